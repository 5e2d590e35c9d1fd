"""Fixtures of the tests with dask's own processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_processes import DaskScheduler
from processes import environment
from test_run_command import Bench


@pytest.fixture
def bench(tmp_path: Path, bandit_site: Path) -> Bench:
    return Bench(tmp_path, bandit_site)


@pytest.fixture
def dask_scheduler(tmp_path: Path, bandit_site: Path) -> Iterator[DaskScheduler]:
    scheduler = DaskScheduler(tmp_path / "dask", environment((bandit_site,), tmp_path / "cache-of-workers"))
    try:
        yield scheduler
    finally:
        scheduler.close()
