"""Fixtures of the tests with dask's own processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from dask_processes import DaskScheduler
from processes import environment


@pytest.fixture
def dask_scheduler(tmp_path: Path, bandit_site: Path) -> Iterator[DaskScheduler]:
    """A scheduler without workers, which a test may kill."""
    variables = environment((bandit_site,), tmp_path / "cache-of-workers")
    with closing(DaskScheduler(tmp_path / "dask", variables)) as scheduler:
        yield scheduler


@pytest.fixture(scope="module")
def shared_scheduler(tmp_path_factory: pytest.TempPathFactory, bandit_site: Path) -> Iterator[DaskScheduler]:
    """A scheduler with two workers, which the tests of a file leave as they are."""
    folder = tmp_path_factory.mktemp("shared")
    variables = environment((bandit_site,), folder / "cache-of-workers")
    with closing(DaskScheduler(folder / "dask", variables)) as scheduler:
        scheduler.worker()
        yield scheduler
