"""``mpobench tune`` as a user has it: kills, workers, errors in a line, and the suite that names the outcome."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from bench import INTERRUPTIBLE, alive, descendants, wait_until
from command_line import Cli
from filelock import FileLock
from processes import environment, program

ARGS = ("tune", "--envs", "bandit", "--scale", "smoke", "--objectives", "dpo,sft")


def start(folder: Path, site: Path, *args: str) -> subprocess.Popen[str]:
    """A tuning in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        program(*ARGS, "--output", str(folder / "tuning"), *args, before=INTERRUPTIBLE),
        env=environment((site,), folder / "cache"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(running: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = running.communicate()
    assert running.returncode == 0, err
    return out, err


def test_workers_do_not_change_the_outcome(tmp_path: Path, bandit_site: Path) -> None:
    files = []
    for workers in ("1", "3"):
        folder = tmp_path / workers
        out, err = finish(start(folder, bandit_site, "--workers", workers))
        assert re.search(r"^dpo +bandit base +\S+ ± \S+ +\S+ ± \S+ +beta=\S+, learning_rate=\S+$", out, re.M)
        assert f"Tuned values: {folder / 'tuning' / 'tuned.toml'}" in err
        files.append([(folder / "tuning" / name).read_bytes() for name in ("tuned.toml", "budget.json")])
    assert files[0] == files[1]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_tuning_that_is_killed_again_and_again_comes_to_the_same_end(
    tmp_path: Path, bandit_site: Path
) -> None:
    slow = ("--training", "pause=0.05", "--trials", "16", "--workers", "2")
    for patience in (1.5, 2.0, 2.5, 3.0):
        for number in (signal.SIGKILL, signal.SIGINT):
            running = start(tmp_path / "killed", bandit_site, *slow)
            wait_until(lambda run=running: len(descendants(run.pid)) >= 2 or run.poll() is not None)
            time.sleep(patience)
            workers = descendants(running.pid)
            running.send_signal(number)
            running.communicate()
            wait_until(lambda workers=workers: not any(map(alive, workers)))
    finish(start(tmp_path / "killed", bandit_site, *slow))
    finish(start(tmp_path / "calm", bandit_site, *slow))
    killed, calm = (tmp_path / name / "tuning" for name in ("killed", "calm"))
    for name in ("tuned.toml", "budget.json"):
        assert (killed / name).read_bytes() == (calm / name).read_bytes()
    trained = [
        (tmp_path / name / "cache" / "work.log").read_text().count("train ") for name in ("killed", "calm")
    ]
    assert trained[0] <= trained[1] + 8 * 2, "a kill loses what is in hand, and no more"


def test_an_interrupted_tuning_says_so_in_one_line(tmp_path: Path, bandit_site: Path) -> None:
    running = start(tmp_path, bandit_site, "--training", "pause=0.2", "--workers", "1")
    log = tmp_path / "cache" / "work.log"
    wait_until(lambda: log.exists() and "train" in log.read_text())
    os.kill(running.pid, signal.SIGINT)
    _, err = running.communicate()
    assert running.returncode == 130
    last = err.strip().splitlines()[-1]
    place = tmp_path / "tuning"
    assert (
        last
        == f"mpobench: interrupted: finished trainings are kept in {place}, the same command goes on from here"
    )


def test_a_folder_has_one_tuning_at_a_time(tmp_path: Path, bandit_site: Path, cli: Cli) -> None:
    folder = tmp_path / "tuning"
    folder.mkdir()
    with FileLock(folder / ".lock"):
        done = cli(*ARGS, "--output", str(folder), path=(bandit_site,))
    assert done.returncode == 2
    assert done.stderr == (
        f"mpobench: error: another process is tuning in {folder}: wait for it, or choose another --output\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("tune",), "nothing to tune: add --objectives dpo,simpo or name a suite file"),
        ((*ARGS, "--trials", "12"), "tune: trials=12: input should be a multiple of 8"),
        ((*ARGS, "--rungs", "3,1"), "[3, 1] do not rise from 1"),
        ((*ARGS, "--objectives", "dop"), "did you mean 'dpo'?"),
        ((*ARGS, "--training", "epoch=3"), "training has no field 'epoch'"),
        ((*ARGS, "--evaluators", "pay"), "did you mean 'payoff'?"),
        (
            (*ARGS, "--evaluators", "payoff,regret"),
            "--evaluators payoff,regret: the score is of one evaluator",
        ),
        (
            (*ARGS, "--corruptions", "base,noisy:0.3", "--everywhere"),
            "--everywhere is for one corruption, not for base, noisy:0.3: add --corruptions base",
        ),
        (("tune", "none.toml"), "cannot read suite none.toml"),
    ],
)
def test_errors_are_one_line(
    args: tuple[str, ...], message: str, tmp_path: Path, bandit_site: Path, cli: Cli
) -> None:
    output = ("--output", str(tmp_path / "tuning"))
    done = cli(*args, *output, path=(bandit_site,))
    assert done.returncode == 2
    assert done.stderr.startswith("mpobench: error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "tuning").exists()


def test_a_dry_run_shows_ranges_and_the_number_of_trainings(
    tmp_path: Path, bandit_site: Path, cli: Cli
) -> None:
    output = ("--output", str(tmp_path / "tuning"))
    done = cli(*ARGS, "--corruptions", "base,noisy:0.3", "--dry-run", *output, path=(bandit_site,))
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["objective", "on", "field", "range", "default"],
        ["dpo", "bandit", "beta", "[0.0001,", "1000]", "log", "0.1"],
        ["dpo", "bandit", "training.learning_rate", "[0.01,", "10]", "log", "0.5"],
        ["sft", "bandit", "training.learning_rate", "[0.01,", "10]", "log", "0.5"],
    ]
    # A batch is eight on one seed, and three on another; the best of 1, 2, 4 and 8 trials on two held-out seeds.
    assert done.stderr == f"mpobench: 4 studies of 8 trials: at most {4 * (8 + 3 + 4 * 2)} trainings\n"
    assert not (tmp_path / "tuning").exists()


def test_a_suite_is_tuned_and_then_names_the_outcome(
    tmp_path: Path, bandit_site: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    suite = tmp_path / "suite.toml"
    suite.write_text(
        'envs = "bandit"\nobjectives = "sft"\ncorruptions = "base,noisy:0.3"\nscale = "smoke"\n'
        'tuned = "tunings/bandit-smoke/tuned.toml"\n'  # a file that is about to be made
    )
    done = cli("tune", str(suite), path=(bandit_site,))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tunings" / "bandit-smoke" / "tuned.toml").exists()
    ran = cli("run", str(suite), path=(bandit_site,))
    assert ran.returncode == 0, ran.stderr
    assert "warning" not in ran.stderr
    assert re.search(r"^sft +\S+", ran.stdout, re.M)
    one = ("--objectives", "dpo", "--corruptions", "noisy:0.3", "--everywhere", "--output", "wide")
    wide = cli("tune", str(suite), *one, path=(bandit_site,))
    assert wide.returncode == 0, wide.stderr
    there = ("--objectives", "dpo", "--tuned", "wide/tuned.toml", "--dry-run")
    shown = cli("run", str(suite), *there, path=(bandit_site,))
    assert shown.returncode == 0
    assert "has nothing for" not in shown.stderr
    assert "everywhere = true" in Path("wide/tuned.toml").read_text()
    more = cli("run", str(suite), "--objectives", "sft,dpo", "--dry-run", path=(bandit_site,))
    assert more.stderr.splitlines()[0] == (
        "mpobench: warning: tunings/bandit-smoke/tuned.toml has nothing for dpo on bandit (base, noisy:0.3): "
        "untuned defaults count there"
    )
