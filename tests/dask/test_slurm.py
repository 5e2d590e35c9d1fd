"""``--launcher dask:slurm``: jobs of a ``sbatch`` that starts them on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import Bench, alive, descendants, wait_until
from dask_processes import kill, said
from test_run_command import CELLS, SLOW_BANDIT

SBATCH = """#!/bin/sh
# Takes a job script, as Slurm's does, and runs it in a session of its own.
number=$$
cp "$1" "$SLURM_JOBS/$number.sh"
setsid sh "$SLURM_JOBS/$number.sh" > "$SLURM_JOBS/$number.log" 2>&1 < /dev/null &
echo $! > "$SLURM_JOBS/$number.pid"
echo "Submitted batch job $number"
"""
SCANCEL = """#!/bin/sh
kill -- -$(cat "$SLURM_JOBS/$1.pid")
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of the jobs: script, output and process of each."""
    programs, jobs = tmp_path / "bin", tmp_path / "jobs"
    programs.mkdir()
    jobs.mkdir()
    for name, source in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(source)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOBS", str(jobs))
    yield jobs
    for pid in processes(jobs):
        kill(pid)


def processes(jobs: Path) -> set[int]:
    """Live processes of all jobs."""
    roots = {int(file.read_text()) for file in jobs.glob("*.pid")}
    return {pid for root in roots for pid in {root} | descendants(root) if alive(pid)}


@pytest.mark.slow
def test_jobs_are_submitted_replaced_and_cancelled(jobs: Path, tmp_path: Path, bandit_site: Path) -> None:
    bench = Bench(tmp_path, bandit_site)
    launcher = "dask:slurm,queue=short,walltime=01:00:00,memory=2GB,gpus=1"
    running = bench.start(*SLOW_BANDIT[:-1], "pause=0.5", "--launcher", launcher)
    wait_until(lambda: len(bench.trainings()) >= 2)
    scripts = [file.read_text() for file in sorted(jobs.glob("*.sh"))]
    assert len(scripts) == 2
    for script in scripts:
        for directive in ("-p short", "-t 01:00:00", "--cpus-per-task=1", "--mem=2G", "--gres=gpu:1"):
            assert f"#SBATCH {directive}\n" in script
        assert "--nthreads 1" in script
    worker = bench.stopped_at_work()
    roots = [int(file.read_text()) for file in jobs.glob("*.pid")]
    (job,) = [pids for pids in ({root} | descendants(root) for root in roots) if worker in pids]
    for pid in job:  # the node is gone
        kill(pid)
    _out, err = running.communicate()
    assert running.returncode == 0, err
    assert len(bench.finished()) == CELLS
    waits, loss, end = said(err)
    assert waits == "mpobench: 2 workers wait for Slurm (squeue shows their jobs)"
    assert re.fullmatch(r"mpobench: warning: a worker was lost \(dask's worker .+ ended\): .+", loss)
    assert end.startswith("9 cells: ran 9 ok; 0 were there before")
    wait_until(lambda: not processes(jobs))


def test_slurm_that_takes_no_job_is_one_line(jobs: Path, tmp_path: Path, bandit_site: Path) -> None:
    (tmp_path / "bin" / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition' >&2\nexit 1\n"
    )
    done = Bench(tmp_path, bandit_site).run(*SLOW_BANDIT, "--launcher", "dask:slurm")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = said(done.stderr)
    assert line.startswith("mpobench: error: Slurm takes no job: ")
    assert "invalid partition" in line
