"""Fixtures of the tests with dask's own processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_processes import DaskScheduler
from processes import environment


@pytest.fixture
def dask_scheduler(tmp_path: Path, bandit_site: Path) -> Iterator[DaskScheduler]:
    scheduler = DaskScheduler(tmp_path / "dask", environment((bandit_site,), tmp_path / "cache-of-workers"))
    try:
        yield scheduler
    finally:
        scheduler.close()
