"""``mpobench run`` as a user has it: killed, resumed, read from a file, failing in part."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, alive, descendants, wait_until
from processes import environment

from mpobench.display import progress
from mpobench.leaderboard.page import Leaderboard
from mpobench.results.store import ResultStore

BANDIT = ("--envs", "bandit", "--scale", "smoke")
SLOW_BANDIT = (
    *BANDIT,
    "--objectives",
    "sft,dpo,orpo",
    "--seeds",
    "3",
    "--workers",
    "2",
    "--training",
    "pause=0.15",
)
CELLS = 9


def resumes(bench: Bench) -> None:
    """The same command finishes the rest, and computes nothing again that was finished."""
    before, begun, finished, trained = bench.whole(), bench.trainings(), bench.finished(), bench.policies()
    assert trained >= len(before)
    done = bench.run(*SLOW_BANDIT)
    assert done.returncode == 0, done.stderr
    assert f"ran {CELLS - len(before)} ok; {len(before)} were there before" in done.stderr
    after = bench.whole()
    assert len(after) == CELLS
    assert {file: after[file] for file in before} == before
    again = bench.trainings() - begun
    assert set(again).isdisjoint(finished)
    assert again.total() == CELLS - trained


@pytest.mark.parametrize("cells", [0, 1, 4])
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_run_that_is_killed_leaves_no_worker_and_goes_on(bench: Bench, cells: int) -> None:
    running = bench.start(*SLOW_BANDIT)
    with bench.stopped_while(
        running, lambda: len(bench.trainings()) > cells and CELLS > len(bench.whole()) >= cells
    ):
        workers = descendants(running.pid)
        assert len(workers) >= 2
        running.send_signal(signal.SIGKILL)  # to the parent alone
        running.wait()
    try:
        wait_until(lambda: not any(map(alive, workers)))
    finally:
        for worker in filter(alive, workers):
            os.kill(worker, signal.SIGKILL)
    assert cells <= len(bench.whole()) < CELLS
    resumes(bench)


@pytest.mark.parametrize("whom", ["group", "parent"])
def test_an_interrupted_run_says_so_in_one_line_and_goes_on(bench: Bench, whom: str) -> None:
    running = bench.start(*SLOW_BANDIT)
    with bench.stopped_while(running, lambda: CELLS > len(bench.whole()) >= 2):
        workers = descendants(running.pid)
        (os.killpg if whom == "group" else os.kill)(running.pid, signal.SIGINT)
    out, err = running.communicate()
    assert (running.returncode, out) == (130, "")
    said = [line for line in err.splitlines() if not line.startswith("[")]
    assert said == ["mpobench: interrupted: finished cells are kept, the same command goes on from here"]
    wait_until(lambda: not any(map(alive, workers)))
    assert 2 <= len(bench.whole()) < CELLS
    resumes(bench)


def test_an_objective_that_takes_its_worker_along_fails_alone(bench: Bench) -> None:
    done = bench.run(*BANDIT, "--objectives", "sft,orpo,dies", "--workers", "1")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("mpobench:")]
    assert said == [
        *["mpobench: warning: a worker was lost (exit code 7): its task runs again"] * 2,
        "mpobench: dies on bandit base, seed 0: error: a worker was lost on it 3 times: exit code 7",
    ]
    assert bench.finished() == {"train sft 0", "train orpo 0", "train dies 0"}
    assert re.search(r"^dies +failed \[\d\]", done.stdout, re.M)


FAILURES = [
    ("raises", "error", r"KeyError: 'no\nsuch thing'"),
    ("wrong-shape", "error", "ValueError: WrongShape.loss returned shape (1,), not (8,)"),
    ("nan", "diverged", "the loss is not finite in epoch 1"),
]


def test_failures_are_one_line_each_and_what_is_sane_goes_on(bench: Bench) -> None:
    args = (*BANDIT, "--objectives", "raises,wrong-shape,nan,sft", "--evaluators", "payoff,payoff:2")
    for earlier in ("", " earlier"):
        done = bench.run(*args)
        assert done.returncode == 1
        assert sorted(line for line in done.stderr.splitlines() if line.startswith("mpobench:")) == sorted(
            f"mpobench: {objective} on bandit base, seed 0: {status}{earlier}: {reason}"
            for objective, status, reason in FAILURES
        )
        assert "Traceback" not in done.stderr
        for objective, status, reason in FAILURES:
            assert re.search(
                rf"^{objective} +{'diverged' if status == 'diverged' else 'failed'} \[\d\]", done.stdout, re.M
            )
            assert reason in done.stdout
        assert re.search(r"^sft +0\.\d+", done.stdout, re.M)
    debug = bench.run(*args, "--rerun", "errors", "--debug")
    assert debug.returncode == 1
    assert debug.stderr.count("Traceback") == 2, "one for each error; a loss that diverges is no error"
    assert "in loss\n" in debug.stderr


def test_a_damaged_result_is_reported_once_and_replaced(bench: Bench) -> None:
    args = (*BANDIT, "--objectives", "sft,orpo")
    assert bench.run(*args).returncode == 0
    file = min(bench.whole())
    file.write_bytes(file.read_bytes()[:100])
    stranger = file.with_name("notes.json")
    stranger.write_text("{}")
    done = bench.run(*args)
    assert done.returncode == 1, "there is still a file that is not ours"
    warnings = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(warnings) == 2
    assert warnings[0].startswith(f"mpobench: warning: {file} is truncated or not a result of mpobench (")
    assert warnings[0].endswith(f"kept as {file.name}.damaged, its cell runs again")
    assert warnings[1].startswith(f"mpobench: warning: {stranger} is truncated or not a result of mpobench (")
    assert "ran 1 ok; 1 were there before" in done.stderr
    assert stranger.read_text() == "{}"
    stranger.unlink()
    assert len(bench.whole()) == 2
    done = bench.run(*args)
    assert (done.returncode, "warning" in done.stderr) == (0, False)


def test_stdout_is_the_leaderboard_alone_and_the_page_matches(bench: Bench) -> None:
    # The loss prints, as many a library does: that must not end up among the results.
    done = bench.run(*BANDIT, "--objectives", "sft,chatty", "--title", "Two arms")
    assert done.returncode == 0, done.stderr
    results = ResultStore(bench.results).load_all()
    assert done.stdout == Leaderboard.of(results).terminal()
    assert (bench.results / "leaderboard.md").read_text() == Leaderboard.of(results).markdown(
        title="Two arms"
    )
    assert "chat chat" in done.stderr


def test_progress_in_a_file_is_lines_of_plain_text(bench: Bench) -> None:
    with (bench.folder / "log").open("w") as log:
        running = bench.start(*BANDIT, "--objectives", "dpo", "--seeds", "2", stderr=log)
        running.communicate()
    lines = (bench.folder / "log").read_text().splitlines()
    phases = [line for line in lines if line.startswith("[")]
    for phase in ("pulls", "SFT stages", "training", "evaluation"):
        seen = [line for line in phases if phase in line]
        assert all(re.fullmatch(rf"\[ *\d+ s\] {phase} +\d+ %(, ETA \d+ s)?", line) for line in seen), seen
        assert seen[-1].endswith(f"{phase} 100 %")
    assert "\r" not in (bench.folder / "log").read_text()
    assert lines[-1].startswith("2 cells: ran 2 ok; 0 were there before. Leaderboard: ")


def test_progress_on_a_terminal_is_bars(bench: Bench) -> None:
    ours, theirs = pty.openpty()
    running = bench.start(*BANDIT, "--objectives", "dpo", "--training", "pause=0.1", stderr=theirs)
    os.close(theirs)
    seen = b"".join(iter(lambda: _read(ours), b"")).decode()
    running.communicate()
    assert running.returncode == 0
    for phase in ("pulls", "SFT stages", "training", "evaluation"):
        assert re.search(rf"{phase} .*100 %", seen), phase
    assert "ETA" in seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_eta_of_a_phase_counts_from_its_own_beginning(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    phases = {
        "rollouts": {"a": 3.0, "b": 1.0},
        "training": {"c": 1.0, "d": 1.0},
        "evaluation": {"c": 1.0, "d": 1.0},
    }
    display = progress.Display(phases)
    clock[0] += 40
    display.update("a", "rollouts", 0.0)
    clock[0] += 30
    display.finish("a", ["rollouts"])
    display.update("b", "rollouts", 0.5)  # too early for another line
    clock[0] += 5
    display.finish("b", ["rollouts"])
    display.update("c", "training", 0.0)
    clock[0] += 600
    display.update("c", "training", 0.25)
    display.update("c", "nonsense", 1.0)
    clock[0] += 60
    display.finish("c", ["training", "evaluation"])
    assert capsys.readouterr().err.splitlines() == [
        "[  40 s] rollouts   0 %",
        "[  1:10] rollouts  75 %, ETA 10 s",
        "[  1:15] rollouts 100 %",
        "[  1:15] training   0 %",
        "[ 11:15] training  12 %, ETA 1:10:00",
        "[ 12:15] training  50 %, ETA 11:00",
        "[ 12:15] evaluation  50 %",  # nobody said when it began
    ]


PROBE = """
import json, sys
from mpobench.cli import main
try:
    main(sys.argv[1:])
except SystemExit as exit:
    code = exit.code or 0
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@pytest.mark.slow
def test_a_finished_ant_run_again_takes_seconds_and_imports_no_jax(
    tmp_path: Path, shared_cache: Path, mpobench_cli: Any
) -> None:
    args = ["run", "--objectives", "sft", "--scale", "smoke", "--results", str(tmp_path / "results")]
    first = mpobench_cli(*args, cache=shared_cache)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("tla, return, *smoke* scale"), "a library printed something"
    before = {
        file: file.stat().st_mtime_ns for file in (tmp_path / "results").rglob("*.*") if file.suffix != ".md"
    }
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    again = subprocess.run(
        [sys.executable, "-c", PROBE, *args],
        env=environment((), shared_cache),
        capture_output=True,
        text=True,
        check=True,
    )
    total = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time: nothing is waited for, and other work on the machine does not count.
    assert total.ru_utime + total.ru_stime - used.ru_utime - used.ru_stime < 5
    *table, last = again.stdout.splitlines(keepends=True)
    code, modules = json.loads(last)
    assert code == 0
    assert "".join(table) == first.stdout
    assert {"jax", "torch", "brax"}.isdisjoint(modules)
    assert "ran none; 1 were there before" in again.stderr
    after = {
        file: file.stat().st_mtime_ns for file in (tmp_path / "results").rglob("*.*") if file.suffix != ".md"
    }
    assert after == before


SEALED = "this lever is sealed; take another"


def test_a_dry_run_says_what_would_be_refused_and_a_run_refuses_it(bench: Bench) -> None:
    asked = ("--envs", "jammed:check", "--scale", "smoke", "--objectives", "sft,dpo")
    tried = bench.run(*asked, "--dry-run")
    assert tried.returncode == 0
    assert tried.stderr.count(f"mpobench: warning: the run would be refused: {SEALED}\n") == 1
    refused = bench.run(*asked)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"mpobench: error: {SEALED}\n"


def test_a_run_of_which_every_cell_is_refused_has_the_exit_code_of_a_refusal(bench: Bench) -> None:
    asked = ("--scale", "smoke", "--objectives", "sft,dpo", "--workers", "1")
    alone = bench.run("--envs", "jammed:refused pulls", *asked)
    assert alone.returncode == 2
    assert f"error: RequestError: {SEALED}" in alone.stderr
    beside = bench.run("--envs", "bandit,jammed:refused pulls", *asked)
    assert beside.returncode == 1, "the cells of the other environment are kept"
