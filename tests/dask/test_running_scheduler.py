"""``--launcher dask:address=…``: workers that somebody else has started."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, alive, wait_until
from dask_processes import DaskScheduler, command_line, end, kill, said, workers_of
from test_run_command import BANDIT, CELLS, SLOW_BANDIT, resumes

from mpobench import RequestError
from mpobench.registry.registry import Registry


def at(scheduler: DaskScheduler) -> tuple[str, str]:
    return "--launcher", f"dask:address={scheduler.address},timeout=60"


def refusal(registry: Registry, scheduler: DaskScheduler | str, *folders: Path, timeout: float = 60) -> str:
    """The one line of a run that does not begin."""
    address = scheduler if isinstance(scheduler, str) else scheduler.address

    def begin() -> None:
        launcher = registry.build("launcher", f"dask:address={address},timeout={timeout}").component
        with launcher.open(None, lambda phase, fraction: None) as workers:
            workers.check_folders(folders)

    with pytest.raises(RequestError) as error:
        begin()
    assert "\n" not in str(error.value)
    return str(error.value)


@contextmanager
def another(scheduler: DaskScheduler, *args: str, **options: Any) -> Iterator[None]:
    """A worker beside those of a scheduler that is shared, without a nanny: quicker to start."""
    worker = scheduler.worker("--no-nanny", *args, **options)
    try:
        yield
    finally:
        end(worker)


@pytest.mark.slow
def test_a_killed_worker_and_then_a_killed_scheduler_lose_nothing(
    bench: Bench, dask_scheduler: DaskScheduler
) -> None:
    dask_scheduler.worker()
    running = bench.start(*SLOW_BANDIT, *at(dask_scheduler))
    kill(bench.stopped_at_work())
    wait_until(lambda: len(bench.whole()) >= 3)
    dask_scheduler.process.send_signal(signal.SIGKILL)
    out, err = running.communicate()
    assert (running.returncode, out) == (1, "")
    loss, end = said(err)
    assert re.fullmatch(r"mpobench: warning: a worker was lost \(dask's worker .+ ended\): .+", loss)
    assert end == (
        f"mpobench: error: the dask scheduler at {dask_scheduler.address} does not answer any more: "
        "finished cells are kept, the same command goes on from here"
    )
    dask_scheduler.close()  # its workers wait for it to come back
    assert not list(bench.results.glob(".probe-*")) + list(bench.cache.glob(".probe-*"))
    resumes(bench)


def test_an_interrupted_run_stops_its_tasks_and_leaves_the_workers(
    bench: Bench, shared_scheduler: DaskScheduler
) -> None:
    nanny = shared_scheduler.nannies[0]
    one_stage = ("--objectives", "sft", "--seeds", "3", "--workers", "2", "--training", "pause=3")
    running = bench.start(*BANDIT, *one_stage, *at(shared_scheduler))
    wait_until(lambda: len(bench.trainings()) >= 2)  # both workers begin at the same time, for 12 seconds
    busy = workers_of(nanny.pid)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out) == (130, "")
    assert said(err) == ["mpobench: interrupted: finished cells are kept, the same command goes on from here"]
    wait_until(lambda: not any(map(alive, busy)))
    assert alive(nanny.pid)
    wait_until(lambda: len(workers_of(nanny.pid)) == 2)


def test_fewer_tasks_than_workers_on_request(bench: Bench, shared_scheduler: DaskScheduler) -> None:
    done = bench.run(*BANDIT, "--objectives", "sft,orpo", "--workers", "1", *at(shared_scheduler))
    assert done.returncode == 0, done.stderr
    log = (bench.cache / "work.log").read_text().splitlines()
    assert log == ["pulls 0", "train sft 0", "train orpo 0"], "one after the other, in order"


@pytest.fixture
def free_address() -> Iterator[str]:
    """An address at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{free.getsockname()[1]}"


def test_a_refusal_is_one_line_of_the_program(bench: Bench, free_address: str) -> None:
    done = bench.run(*BANDIT, "--objectives", "sft", "--launcher", f"dask:address={free_address},timeout=1")
    assert (done.returncode, done.stdout, bench.whole()) == (2, "", {}), done.stderr
    (line,) = said(done.stderr)
    assert line.startswith(f"mpobench: error: the dask scheduler at {free_address} does not answer: ")


def test_an_address_that_does_not_answer(registry: Registry, free_address: str) -> None:
    for address in (free_address, "tcp://no.such.host.invalid:8786"):
        line = refusal(registry, address, timeout=1)
        assert line.startswith(f"the dask scheduler at {address} does not answer: ")
    line = refusal(registry, "nowhere")
    assert line.startswith("launcher 'dask': address='nowhere': string should match ")
    line = refusal(registry, "tcp://a:1,gpus=1")
    assert line == "launcher 'dask': gpus belong to workers that are started here, not to an address"


def test_fields_of_a_slurm_job_without_slurm(registry: Registry) -> None:
    with pytest.raises(
        RequestError, match="cores, queue belong to a Slurm job: dask:slurm,cores=4,queue=long"
    ):
        registry.build("launcher", "dask:queue=long,cores=4")


def test_a_scheduler_without_workers(registry: Registry, dask_scheduler: DaskScheduler) -> None:
    line = refusal(registry, dask_scheduler, timeout=5)
    assert line == (
        f"the dask scheduler at {dask_scheduler.address} has no workers: start some with 'dask worker'"
    )


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mpobench":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
"""

WORKERS = {
    "another version": ("mpobench/__init__.py", "__version__ = '0.0.1'\n", "has mpobench 0.0.1, this is "),
    "no mpobench": ("sitecustomize.py", BLOCK, "cannot import mpobench: ModuleNotFoundError: "),
}


@pytest.mark.parametrize("case", WORKERS)
def test_a_worker_that_does_not_fit_is_named(
    registry: Registry, shared_scheduler: DaskScheduler, tmp_path: Path, case: str
) -> None:
    file, source, problem = WORKERS[case]
    module = tmp_path / "other-site" / file
    module.parent.mkdir(parents=True)
    module.write_text(source)
    with another(shared_scheduler, "--nthreads", "1", PYTHONPATH=str(tmp_path / "other-site")):
        line = refusal(registry, shared_scheduler)
    assert line.startswith("dask's worker tcp://127.0.0.1:")
    assert problem in line
    assert "install" in line


def test_a_worker_with_several_threads_is_named(registry: Registry, shared_scheduler: DaskScheduler) -> None:
    with another(shared_scheduler, "--nthreads", "2"):
        line = refusal(registry, shared_scheduler)
    assert re.fullmatch(
        r"dask's worker tcp://127.0.0.1:\d+ has 2 threads: start it with --nthreads 1 .*", line
    )


def test_a_worker_that_sees_another_folder_is_named(
    registry: Registry, shared_scheduler: DaskScheduler, tmp_path: Path
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {folder} && exec "$@"', "sh")
    if subprocess.run([*hidden, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    with another(shared_scheduler, "--nthreads", "1", prefix=hidden):
        line = refusal(registry, shared_scheduler, folder)
    assert line.endswith(
        f" does not see {folder} as this machine does: name a folder that all machines share"
    )


@pytest.mark.slow
def test_a_late_worker_without_mpobench_costs_a_line_and_no_cell(
    bench: Bench, dask_scheduler: DaskScheduler, tmp_path: Path
) -> None:
    dask_scheduler.worker("--nthreads", "1")
    running = bench.start(*SLOW_BANDIT[:-1], "pause=0.5", *at(dask_scheduler))
    busy = bench.stopped_at_work()
    (tmp_path / "other-site").mkdir()
    (tmp_path / "other-site" / "sitecustomize.py").write_text(BLOCK.replace('"mpobench"', '"mpobench_dask"'))
    late = dask_scheduler.worker("--nthreads", "1", PYTHONPATH=str(tmp_path / "other-site"))
    os.kill(busy, signal.SIGCONT)
    _, err = running.communicate()
    assert running.returncode == 0, err
    assert len(bench.finished()) == CELLS
    *losses, _ = said(err)
    assert losses
    assert all("a worker was lost" in line for line in losses)
    late.wait()  # dask ends a worker that cannot read its task


@pytest.mark.slow
def test_nobody_waits_for_workers_that_are_gone(bench: Bench, dask_scheduler: DaskScheduler) -> None:
    nanny = dask_scheduler.worker()
    running = bench.start(*SLOW_BANDIT, "--launcher", f"dask:address={dask_scheduler.address},timeout=10")
    wait_until(lambda: len(bench.whole()) >= 1)
    workers = workers_of(nanny.pid)
    for pid in (nanny.pid, *workers):
        kill(pid)
    out, err = running.communicate()
    assert (running.returncode, out) == (1, "")
    assert said(err)[-1] == (
        f"mpobench: error: the dask scheduler at {dask_scheduler.address} has had no worker for 10 seconds: "
        "finished cells are kept, the same command goes on from here"
    )
    assert len(bench.whole()) < CELLS
    assert all(not command_line(pid) for pid in workers)
