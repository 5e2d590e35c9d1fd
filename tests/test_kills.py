"""Kills at random points: no finished cell is lost, torn or computed twice, and the page is that of a calm run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from bench import Bench, alive, descendants, wait_until

from mpobench.leaderboard.page import Leaderboard
from mpobench.results.store import ResultStore

OBJECTIVES = ("sft", "dpo", "orpo", "ipo")
SEEDS = 22
ARGS = (
    *("--envs", "bandit", "--scale", "smoke", "--objectives", ",".join(OBJECTIVES)),
    *("--seeds", str(SEEDS), "--workers", "2"),
)
CELLS = len(OBJECTIVES) * SEEDS
KILLS = [
    *[("parent", signal.SIGINT)] * 7,
    *[("parent", signal.SIGTERM)] * 7,
    *[("parent", signal.SIGKILL)] * 7,
    *[("worker", signal.SIGKILL)] * 9,
    *[("worker", signal.SIGTERM)] * 4,
]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_34_kills_lose_nothing(bench: Bench, bandit_site: Path, tmp_path: Path) -> None:
    chance = random.Random(14)
    kills = list(KILLS)
    chance.shuffle(kills)
    lost_in_hand = 0
    running: subprocess.Popen[str] | None = None
    for whom, number in kills:
        if running is None or running.poll() is not None:
            running = bench.start(*ARGS, "--training", "pause=0.12", stderr=subprocess.DEVNULL)
            wait_until(lambda run=running: len(descendants(run.pid)) >= 2 or run.poll() is not None)
        time.sleep(chance.uniform(0.0, 1.2))
        before, workers = contents(bench), descendants(running.pid)
        if whom == "worker":
            if workers:
                os.kill(chance.choice(sorted(workers)), number)
                lost_in_hand += 1
        else:
            running.send_signal(number)
            running.wait()
            lost_in_hand += 2
            wait_until(lambda workers=workers: not any(map(alive, workers)))
        after = contents(bench)
        assert {file: after[file] for file in before} == before, "a finished cell was lost or written again"
    if running is not None and running.poll() is None:
        running.send_signal(signal.SIGKILL)
        running.wait()
        lost_in_hand += 2
    left = CELLS - len(contents(bench))
    assert left > 0, "the kills came too late: make trainings longer"
    done = bench.run(*ARGS, "--training", "pause=0.12")
    assert done.returncode == 0, done.stderr
    results = ResultStore(bench.results).load_all()
    assert len(results) == CELLS
    assert {result.status for result in results} == {"ok"}
    begun = bench.trainings().total()
    assert CELLS <= begun <= CELLS + lost_in_hand, "a training was begun again that no kill had interrupted"

    calm = Bench(tmp_path / "calm", bandit_site)
    assert calm.run(*ARGS, "--training", "pause=0.12").returncode == 0
    page = Leaderboard.of(ResultStore(calm.results).load_all()).markdown()
    assert (bench.results / "leaderboard.md").read_text() == page


def contents(bench: Bench) -> dict[str, bytes]:
    """The bytes of every result; fails if one of them cannot be read as a result."""
    store = ResultStore(bench.results)
    return {result.key: store.path(result.key).read_bytes() for result in store.load_all()}


def test_two_runs_on_one_folder_at_once_share_the_work(bench: Bench, bandit_site: Path) -> None:
    args = (*ARGS[:-3], "4", "--workers", "2", "--training", "pause=0.03")
    runs = [bench.start(*args) for _ in range(2)]
    ends = [running.communicate() for running in runs]
    assert [running.returncode for running in runs] == [0, 0], ends
    assert ends[0][0] == ends[1][0], "both print the whole leaderboard"
    assert bench.trainings().total() == len(OBJECTIVES) * 4, "no training was done twice"
    counted = [line for _, err in ends for line in err.splitlines() if "cells: ran" in line]
    assert len(counted) == 2


FAULTS = {
    "exits": ("error", "it called sys.exit(3)"),
    "hungry": ("error", "MemoryError: Unable to allocate"),
    "late-nan": ("diverged", "the loss is not finite in epoch 3"),
    "hangs": ("error", "it took longer than --cell-timeout 5: its worker was ended"),
}


def test_faults_are_one_clear_line_each_and_the_others_go_on(bench: Bench) -> None:
    objectives = ("--objectives", ",".join(["sft", *FAULTS, "orpo"]))
    done = bench.run(
        "--envs", "bandit", "--scale", "smoke", *objectives, "--workers", "1", "--cell-timeout", "5"
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("mpobench:")]
    assert len(lines) == len(FAULTS)
    for fault, (status, reason) in FAULTS.items():
        (line,) = (line for line in lines if line.startswith(f"mpobench: {fault} "))
        assert line.startswith(f"mpobench: {fault} on bandit base, seed 0: {status}: {reason}")
    assert "Traceback" not in done.stderr
    status = {result.objective: result.status for result in ResultStore(bench.results).load_all()}
    assert status == {"sft": "ok", "orpo": "ok", **{fault: status for fault, (status, _) in FAULTS.items()}}


def test_a_score_that_was_there_before_its_training_was_given_up_is_kept(bench: Bench) -> None:
    args = ("--envs", "bandit", "--scale", "smoke", "--objectives", "sft", "--workers", "1")
    done = bench.run(*args, "--evaluators", "payoff,fatal")
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if "error:" in line)
    assert line.endswith("a worker was lost on it 3 times: exit code 7")
    results = ResultStore(bench.results).load_all()
    assert {result.evaluator: result.status for result in results} == {"payoff": "ok", "fatal": "error"}
    assert bench.trainings().total() == 1


def test_two_runs_at_once_share_what_diverges(bench: Bench) -> None:
    args = (
        "--envs",
        "bandit",
        "--scale",
        "smoke",
        "--objectives",
        "late-nan",
        "--seeds",
        "4",
        "--workers",
        "1",
    )
    runs = [bench.start(*args, "--training", "pause=0.1") for _ in range(2)]
    ends = [running.communicate() for running in runs]
    assert [running.returncode for running in runs] == [1, 1], ends
    assert bench.trainings().total() == 4, "a training that diverges is over, for both runs"


def test_a_policy_of_which_a_part_is_left_is_trained_again(bench: Bench) -> None:
    args = ("--envs", "bandit", "--scale", "smoke", "--objectives", "sft")
    assert bench.run(*args).returncode == 0
    (policy,) = (bench.results / "policies").glob("*/theta.txt")
    policy.unlink()
    assert bench.run(*args, "--evaluators", "payoff:2").returncode == 0
    assert bench.trainings() == {"train sft 0": 2}


def test_rerun_all_forgets_nothing_before_there_are_workers(bench: Bench) -> None:
    args = ("--envs", "bandit", "--scale", "smoke", "--objectives", "sft")
    assert bench.run(*args).returncode == 0
    done = bench.run(*args, "--rerun", "all", "--launcher", "dask:address=tcp://127.0.0.1:9,timeout=1")
    assert done.returncode == 2, done.stderr
    assert bench.policies() == 1


def test_a_forked_copy_of_a_worker_is_ended(bench: Bench) -> None:
    running = bench.start(
        "--envs", "bandit", "--scale", "smoke", "--objectives", "sft,forks", "--workers", "1"
    )
    _, err = running.communicate()
    assert running.returncode == 0, err
    assert bench.trainings() == {"train sft 0": 1, "train forks 0": 1}
    assert "mpobench: warning: a component forked this worker: its copy was ended" in err
    results = ResultStore(bench.results).load_all()
    assert {result.objective: result.status for result in results} == {"sft": "ok", "forks": "ok"}
