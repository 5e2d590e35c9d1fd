"""What processes share when they compile."""

from __future__ import annotations

from pathlib import Path

import filelock
import jax
import pytest

from mpobench_mujoco import xla


@pytest.fixture
def others(workspace):
    """What another process would use that comes to the same program."""

    def lock(program: str) -> filelock.FileLock:
        folder = Path(jax.config.values["jax_compilation_cache_dir"]).parent / "compiling"
        return filelock.FileLock(folder / f"{program}.lock", timeout=0)

    return lock


def test_who_compiles_a_program_first_keeps_the_others_waiting(others):
    lock = others("a-program")
    with xla.first_call("a-program"), pytest.raises(filelock.Timeout), lock:
        pass
    with xla.first_call("a-program"), lock:
        assert lock.is_locked


def test_a_call_that_failed_was_not_the_first(others):
    lock = others("a-failure")
    with pytest.raises(ZeroDivisionError), xla.first_call("a-failure"):
        raise ZeroDivisionError
    with lock:
        assert lock.is_locked
    with xla.first_call("a-failure"), pytest.raises(filelock.Timeout), lock:
        pass
