"""Timing by turns, and what `mpobench bench` says to bad input. What it measures: tests/benchmarks."""

from __future__ import annotations

import time

import in_process
import pytest

from mpobench_mujoco.speed.turns import ROUNDS, by_turns


def test_runners_take_turns_and_the_first_round_does_not_count():
    calls = []

    def busy(name: str, seconds: float) -> None:
        calls.append(name)
        until = time.process_time() + seconds * (50 if len(calls) < 3 else 1)
        while time.process_time() < until:
            pass

    medians = by_turns("test", {"one": lambda: busy("one", 0.002), "two": lambda: busy("two", 0.004)})
    assert calls == ["one", "two"] * (1 + ROUNDS)
    assert medians["one"] == pytest.approx(0.002, rel=0.5)
    assert medians["two"] == pytest.approx(0.004, rel=0.5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--env", "tal"], "did you mean 'tla'"),
        (["--backends", "spring,warp"], "backend"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_bad_input_gets_one_line(arguments, said):
    run = in_process.invoke("bench", *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_help_shows_an_example():
    assert "mpobench bench --backends spring,positional" in in_process.invoke("bench", "--help").stdout
