"""``--launcher dask``: worker processes of this machine, which behave as those of the local launcher do."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import Bench, alive, descendants, wait_until
from dask_processes import kill, said, without_seconds, workers_of
from processes import Run, write_distribution
from safetensors.numpy import load_file
from test_run_command import BANDIT, CELLS, SLOW_BANDIT, resumes

DASK = ("--launcher", "dask")
INTERRUPTED = "mpobench: interrupted: finished cells are kept, the same command goes on from here"


def phases(text: str) -> set[str]:
    """Names of the phases that progress lines show at 100 %."""
    return {match[1] for match in re.finditer(r"^\[ *[\d:]+(?: s)?\] (.+?) +100 %$", text, re.MULTILINE)}


def test_a_run_equals_the_local_one(bench: Bench, tmp_path: Path, bandit_site: Path) -> None:
    args = (*BANDIT, "--objectives", "sft,dpo,chatty", "--seeds", "2", "--workers", "2")
    other = tmp_path / "other"
    other.mkdir()
    local, dask = Bench(other, bandit_site).run(*args), bench.run(*args, *DASK)
    assert (dask.returncode, dask.stdout) == (0, local.stdout), dask.stderr
    assert without_seconds(bench.results) == without_seconds(other / "results")
    assert phases(dask.stderr) == phases(local.stderr) == {"pulls", "SFT stages", "training", "evaluation"}
    for line in said(dask.stderr):
        assert line.startswith(("chat", "6 cells: ran 6 ok; 0 were there before")), "dask said something"
    log = [each.cache / "work.log" for each in (bench, Bench(other, bandit_site))]
    assert sorted(log[0].read_text().splitlines()) == sorted(log[1].read_text().splitlines())


@pytest.mark.slow
def test_a_search_equals_the_local_one(tmp_path: Path, bandit_site: Path, mpobench_cli: Run) -> None:
    asked = ("--env", "bandit", "--corruption", "noisy:0.1", "--scale", "smoke", "--family", "1s-mpo")
    for launcher in ("local", "dask"):
        folder = ("--output", str(tmp_path / launcher), "--launcher", launcher)
        done = mpobench_cli(
            *("discover", *asked, "--learn", "phi", "--workers", "2", *folder),
            path=(bandit_site,),
            cache=tmp_path / f"cache-{launcher}",
        )
        assert done.returncode == 0, done.stderr
    local, dask = (load_file(tmp_path / launcher / "objective.safetensors") for launcher in ("local", "dask"))
    assert local.keys() == dask.keys()
    for name, array in local.items():
        np.testing.assert_array_equal(array, dask[name], err_msg=name)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_told_and_loses_nothing(bench: Bench) -> None:
    running = bench.start(*SLOW_BANDIT, *DASK)
    kill(bench.stopped_at_work())
    _out, err = running.communicate()
    assert running.returncode == 0, err
    lines = [line for line in said(err) if "ran" not in line]
    assert len(lines) == 1, err
    assert re.fullmatch(
        r"mpobench: warning: a worker was lost \(dask's worker tcp://127.0.0.1:\d+ ended\): its task runs again",
        lines[0],
    )
    assert len(bench.finished()) == CELLS
    work = Counter((bench.cache / "work.log").read_text().splitlines())
    assert work.total() == len(work) + 1, "what was lost begins again, and nothing else"
    assert bench.trainings().total() <= CELLS + 1


@pytest.mark.parametrize("whom", ["group", pytest.param("parent", marks=pytest.mark.slow)])
def test_an_interrupted_run_says_so_in_one_line_and_goes_on(bench: Bench, whom: str) -> None:
    running = bench.start(*SLOW_BANDIT, *DASK)
    with bench.stopped_while(running, lambda: CELLS > len(bench.whole()) >= 2):
        workers = descendants(running.pid)
        (os.killpg if whom == "group" else os.kill)(running.pid, signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out, said(err)) == (130, "", [INTERRUPTED])
    wait_until(lambda: not any(map(alive, workers)))
    resumes(bench)


def test_a_run_that_is_interrupted_while_workers_start_leaves_none(bench: Bench) -> None:
    running = bench.start(*SLOW_BANDIT, *DASK)
    wait_until(lambda: len(workers_of(running.pid)) == 2)
    workers = descendants(running.pid)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out, said(err)) == (130, "", [INTERRUPTED])
    wait_until(lambda: not any(map(alive, workers)))


def test_a_run_that_is_killed_leaves_no_worker(bench: Bench) -> None:
    running = bench.start(*SLOW_BANDIT, *DASK)
    wait_until(lambda: len(bench.whole()) >= 1)
    workers = descendants(running.pid)
    running.send_signal(signal.SIGKILL)
    running.wait()
    wait_until(lambda: not any(map(alive, workers)))


@pytest.mark.slow
def test_a_cell_that_takes_too_long_fails_alone(bench: Bench) -> None:
    done = bench.run(
        *(*BANDIT, "--objectives", "sft,orpo", "--training", "pause=30", "--cell-timeout", "3"),
        *("--workers", "2", *DASK),
    )
    assert done.returncode == 1
    assert sorted(line for line in said(done.stderr) if line.startswith("mpobench:")) == [
        f"mpobench: {name} on bandit base, seed 0: error: it took longer than --cell-timeout 3: its worker was ended"
        for name in ("orpo", "sft")
    ]


SEEN = """
import os
from typing import Any
from mpobench import EvaluatorCard, Evaluator, Metric, hookimpl

class Gpu(Evaluator):
    metrics = (Metric("gpu", ""), Metric("threads", ""))
    def config(self, env: Any, scale: str) -> dict[str, Any]:
        return {}
    def evaluate(self, env: Any, policy: Any, seed: int, scale: str, workspace: Any) -> dict[str, float]:
        return {"gpu": float(os.environ["CUDA_VISIBLE_DEVICES"]), "threads": float(os.environ["OMP_NUM_THREADS"])}

@hookimpl
def mpobench_evaluators() -> Any:
    yield EvaluatorCard(name="gpu", summary="GPU that a worker sees", target="seen:Gpu")
"""


@pytest.mark.slow
def test_each_worker_sees_a_gpu_of_its_own(
    bench: Bench, tmp_path: Path, bandit_site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    write_distribution(site, "seen", SEEN)
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GPU 0: Fake (UUID: a)'\necho 'GPU 1: Fake (UUID: b)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    bench = Bench(tmp_path, bandit_site)
    bench._environment["PYTHONPATH"] += f"{os.pathsep}{site}"
    done = bench.run(
        *(*BANDIT, "--objectives", "sft,orpo", "--seeds", "3", "--evaluators", "gpu"),
        *("--training", "pause=0.1", *DASK),
    )
    assert done.returncode == 0, done.stderr
    from mpobench.results.store import ResultStore

    metrics = [result.metrics for result in ResultStore(bench.results).load_all()]
    assert {each["gpu"] for each in metrics} == {0.0, 1.0}
    assert {each["threads"] for each in metrics} == {1.0}


def test_a_missing_package_is_one_line(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "distributed.py").write_text(
        "raise ModuleNotFoundError('no', name='distributed')\n"
    )
    bench._environment["PYTHONPATH"] = f"{tmp_path / 'hidden'}{os.pathsep}{bench._environment['PYTHONPATH']}"
    done = bench.run(*BANDIT, "--objectives", "sft", *DASK)
    assert (done.returncode, done.stdout) == (2, "")
    assert said(done.stderr) == [
        "mpobench: error: the launcher 'dask' needs the package distributed: pip install 'mpobench[cluster]'"
    ]


def test_dask_is_imported_by_a_run_that_asks_for_it_alone(bench: Bench) -> None:
    probe = (
        "import sys\n"
        "from mpobench.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'dask', 'distributed'} & set(sys.modules)), file=sys.stderr)\n"
    )

    def imported(*args: str) -> str:
        done: Any = subprocess.run(
            [sys.executable, "-c", probe, *args],
            env=bench._environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return str(done.stderr.splitlines()[-1])

    assert imported("launchers", "show", "dask") == "[]"
    assert imported("run", *BANDIT, "--objectives", "sft", "--results", str(bench.results)) == "[]"
