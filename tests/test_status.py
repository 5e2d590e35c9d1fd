"""``mpobench status``: of a folder, of a suite, and of a run that goes on in another process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandits_installed import bandits_in_turn
from bench import Bench, descendants
from in_process import installed, invoke
from lab import Lab

from mpobench.results.run_notes import notes_folder, read_notes

SLOW = ("--envs", "bandit", "--scale", "smoke", "--objectives", "sft,dpo,orpo", "--seeds", "4")
PAUSE = ("--workers", "2", "--training", "pause=0.2")


@pytest.fixture(scope="module", autouse=True)
def _bandits_are_installed() -> Iterator[None]:
    with installed(bandits_in_turn()):
        yield


def status(*args: str) -> subprocess.CompletedProcess[str]:
    done = invoke("status", *args)
    assert done.returncode == 0, done.stderr
    return done


def test_a_folder_is_counted_by_column(lab: Lab) -> None:
    lab.run("sft,dpo,raises,nan", corruptions="base,noisy:0.1", seeds=2)
    text = status("--results", str(lab.store.folder)).stdout
    for row in (
        ["bandit", "base", "4", "2", "2"],
        ["bandit", "noisy:0.1", "4", "2", "2"],
        ["all", "8", "4", "4"],
    ):
        assert row in [line.split() for line in text.splitlines()]
    assert "raises on bandit base, seed 0: error: KeyError" in text
    assert "Nothing runs" not in text, "without a suite nobody knows what is missing"
    assert notes_folder(lab.store.folder).is_dir()
    assert read_notes(lab.store.folder) == [], "a run that has ended leaves no note"
    found = json.loads(status("--results", str(lab.store.folder), "--json").stdout)
    assert found["cells"] == {"ok": 8, "diverged": 4, "error": 4}
    assert len(found["failures"]) == 8


def test_a_suite_tells_what_is_missing_and_how_long_it_takes(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft", corruptions="base", seeds=2)
    results = lab.store.load_all()
    for result, seconds in zip(results, (10.0, 20.0), strict=True):
        lab.store.save(result.model_copy(update={"seconds": {"train": seconds, "evaluate": 2.0}}))
    suite = tmp_path / "suite.toml"
    suite.write_text(
        'envs = "bandit"\nobjectives = "sft,orpo"\ncorruptions = "base,mixed"\nscale = "smoke"\nseeds = 2\n'
        f'results = "{lab.store.folder}"\n'
    )
    text = status(str(suite)).stdout
    assert re.search(r"^all +2 +6$", text, re.M)
    assert "Nothing runs; 6 cells are missing, about 1:42 of one worker's time" in text  # 6 × 17 s
    empty = status(str(suite), "--results", str(tmp_path / "none")).stdout
    assert "Nothing runs; 8 cells are missing\n" in empty, "nothing to go by"


def test_a_folder_that_is_not_there_is_a_bad_request(tmp_path: Path) -> None:
    done = invoke("status", "--results", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no results at {tmp_path / 'none'}" in done.stderr


def test_a_damaged_result_is_a_warning(lab: Lab) -> None:
    lab.run("sft,dpo")
    lab.cell("dpo").write_text("{")
    done = status("--results", str(lab.store.folder))
    assert "is truncated or not a result of mpobench" in done.stderr
    assert ["bandit", "base", "1"] in [line.split() for line in done.stdout.splitlines()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_run_in_another_process_is_seen_with_its_workers_and_after_its_end(bench: Bench) -> None:
    running = bench.start(*SLOW, *PAUSE)

    def tasks() -> list[str]:
        notes = read_notes(bench.results)
        return [task.worker for note in notes for task in note.note.running if task.what.count("seed")]

    with bench.stopped_while(running, lambda: len(tasks()) == 2 and len(bench.whole()) >= 2):
        text = status("--results", str(bench.results)).stdout
        assert f"The run of process {running.pid} on " in text
        assert re.search(r"goes on for \d+ s: \d+ of 12 cells, 2 workers\n", text)
        assert re.search(r"^training +\d+ % +(\d+ s|not known yet)$", text, re.M)
        rows = re.findall(r"^\S+:(\d+) +(sft|dpo|orpo) on bandit base, seed \d .*\d+ s$", text, re.M)
        assert {int(pid) for pid, _ in rows} <= descendants(running.pid)
        assert rows
        found = json.loads(status("--results", str(bench.results), "--json").stdout)
        (run,) = found["runs"]
        assert (run["alive"], run["pid"], run["cells"], run["workers"]) == (True, running.pid, 12, 2)
        os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    text = status("--results", str(bench.results)).stdout
    assert re.search(rf"process {running.pid} on \S+ was ended \d+ s ago, after \d+ of 12 cells", text)
    done = bench.run(*SLOW, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "was ended" not in status("--results", str(bench.results)).stdout


def test_a_note_that_is_none_of_ours_is_passed_over(lab: Lab) -> None:
    lab.run("sft")
    for number, content in enumerate(("", "{}", '{"format": "mpobench-run/2"}', "\x00")):
        (notes_folder(lab.store.folder) / f"{number}.json").write_text(content)
    assert "The run" not in status("--results", str(lab.store.folder)).stdout
