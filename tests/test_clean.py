"""``mpobench clean``: it says what goes, asks, and never takes what a process holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from in_process import invoke
from lab import Lab

from mpobench import RequestError
from mpobench.files import locks
from mpobench.files.cache import TAG, check_cache, users
from mpobench.files.cleaning import DAY, chosen, entries

NOW = time.time()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with four entries, unused for 100, 40, 20 and 1 days."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MPOBENCH_CACHE", str(folder))
    check_cache(folder)
    make(folder / "rollouts" / "a" / "states.npy", 1000, 100)
    make(folder / "rollouts" / "b" / "states.npy", 2000, 20)
    make(folder / "sft" / "c.safetensors", 300, 40)
    make(folder / "verdicts.jsonl", 40, 1)
    return folder


def make(file: Path, size: int, days: float) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    for path in (file, file.parent):
        os.utime(path, (NOW - days * DAY,) * 2)


def clean(*args: str) -> subprocess.CompletedProcess[str]:
    return invoke("clean", *args)


def names(cache: Path) -> set[str]:
    return {entry.path.name for entry in entries(cache)}


def test_what_is_there_is_told_and_only_the_old_goes(cache: Path) -> None:
    assert names(cache) == {"a", "b", "c.safetensors", "verdicts.jsonl"}
    done = clean("--dry-run")
    assert done.returncode == 0
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert rows[1:] == [
        "files 1 40 B 1 to 1 days 0 0 B",
        "rollouts 2 3.0 KB 20 to 100 days 1 1.0 KB 100 to 100 days",
        "sft 1 300 B 40 to 40 days 1 300 B 40 to 40 days",
    ]
    assert names(cache) == {"a", "b", "c.safetensors", "verdicts.jsonl"}
    done = clean("--yes")
    assert done.returncode == 0
    assert "2 entries are gone, 1.3 KB" in done.stderr
    assert names(cache) == {"b", "verdicts.jsonl"}
    assert clean("--yes").stderr.count("gone") == 0


def test_age_and_size_choose_the_longest_unused_first(cache: Path) -> None:
    found = entries(cache)
    assert [entry.path.name for entry in found] == ["a", "c.safetensors", "b", "verdicts.jsonl"]
    assert [each.path.name for each in chosen(found, 15, None)] == ["a", "c.safetensors", "b"]
    assert [each.path.name for each in chosen(found, None, 2340)] == ["a"]
    assert [each.path.name for each in chosen(found, None, 2339)] == ["a", "c.safetensors"]
    assert chosen(found, None, 10**6) == []
    assert len(chosen(found, None, 0)) == 4
    assert [each.path.name for each in chosen(found, 50, 2100)] == ["a", "c.safetensors"]
    assert [each.path.name for each in chosen(found, 500, None)] == []


def test_a_folder_is_as_young_as_its_youngest_file(cache: Path) -> None:
    make(cache / "rollouts" / "a" / "more" / "new.npy", 1, 2)
    os.utime(cache / "rollouts" / "a", (NOW - 100 * DAY,) * 2)
    assert next(each for each in entries(cache) if each.path.name == "a").used == pytest.approx(
        NOW - 2 * DAY, abs=5
    )


def test_one_kind_alone_is_looked_at(cache: Path) -> None:
    assert clean("--only", "rollouts", "--older-than", "0", "--yes").returncode == 0
    assert names(cache) == {"c.safetensors", "verdicts.jsonl"}
    wrong = clean("--only", "rolouts")
    assert (wrong.returncode, "has no 'rolouts' (there are: files, sft)" in wrong.stderr) == (2, True)


def test_nobody_to_ask_is_a_bad_request(cache: Path) -> None:
    done = clean()
    assert done.returncode == 2
    assert "Remove 2 of 4 entries, 1.3 KB? There is nobody to ask: say --yes, or --dry-run" in done.stderr
    assert len(names(cache)) == 4


@pytest.mark.parametrize(("answer", "left"), [("y\n", 2), ("n\n", 4)])
def test_it_asks_before_it_removes(
    cache: Path, answer: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def confirm(question: str, **options: object) -> bool:
        asked.append(question)
        return answer == "y\n"

    monkeypatch.setattr("typer.confirm", confirm)
    monkeypatch.setattr("mpobench.cli.clean._is_there_somebody", lambda: True)
    assert clean().returncode == 0
    assert asked == ["Remove 2 of 4 entries, 1.3 KB?"]
    assert len(names(cache)) == left


HOLD = """
import sys, time
from pathlib import Path
from mpobench import RequestError
from mpobench.files import locks
from mpobench.files.cache import in_use
cache = Path(sys.argv[1])
with locks.lock(cache / "rollouts" / "a") if sys.argv[2] == "lock" else in_use(cache):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("what", ["lock", "in use"])
def test_what_another_process_holds_stays_until_it_is_killed(cache: Path, what: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(cache), what], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = clean("--yes")
        assert done.returncode == 1
        if what == "lock":
            assert f"{cache / 'rollouts' / 'a'} is held by a process, and stays" in done.stderr
            assert names(cache) == {"a", "b", "verdicts.jsonl"}
        else:
            assert f"-{holder.pid}, and nothing was removed" in done.stderr
            assert len(names(cache)) == 4
    finally:
        holder.kill()
        holder.communicate()
    assert clean("--yes").returncode == 0
    assert not (cache / ".in-use").exists()
    assert names(cache) == {"b", "verdicts.jsonl"}


def test_a_run_waits_while_the_cache_is_cleaned(cache: Path) -> None:
    code = HOLD.replace("held", "in").replace("time.sleep(60)", "sys.exit()")
    with locks.lock(cache / ".cleaning"):
        waiting = subprocess.Popen(
            [sys.executable, "-c", code, str(cache), "in use"], stdout=subprocess.PIPE, text=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.communicate(timeout=2)
    assert waiting.communicate() == ("in\n", None)
    assert users(cache) == []


def test_a_run_uses_the_cache_and_leaves_no_mark(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "mpobench.running.runner.PlanTasks.form_groups", lambda *_: seen.extend(users(lab.cache))
    )
    lab.run("sft")
    assert len(seen) == 1
    assert seen[0].endswith(f"-{os.getpid()}")
    assert users(lab.cache) == []
    assert (lab.cache / TAG).read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_what_was_removed_is_made_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(lab.cache))
    lab.run("sft,dpo")
    before = {result.key: result.metrics for result in lab.store.load_all()}
    assert clean("--older-than", "0", "--yes").returncode == 0
    assert entries(lab.cache) == []
    lab.run("sft,dpo", rerun="all")
    assert {result.key: result.metrics for result in lab.store.load_all()} == before


def test_locks_go_with_what_they_belong_to_and_lonely_ones_by_age(cache: Path) -> None:
    with locks.lock(cache / "rollouts" / "a"), locks.lock(cache / "compiling" / "program"):
        pass
    os.utime(cache / "compiling" / "program.lock", (NOW - 60 * DAY,) * 2)
    assert clean("--yes").returncode == 0
    assert not (cache / "rollouts" / "a.lock").exists()
    assert not (cache / "compiling" / "program.lock").exists()


def test_a_folder_that_may_be_something_else_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path))
    make(tmp_path / "thesis" / "chapter1.tex", 10, 100)
    check_cache(tmp_path)
    assert not (tmp_path / TAG).exists(), "only a new or empty folder is marked"
    done = clean("--yes")
    assert done.returncode == 2
    assert f"{tmp_path} is not known to be a cache (it has no {TAG}" in done.stderr
    assert (tmp_path / "thesis" / "chapter1.tex").exists()


def test_links_are_removed_and_what_they_point_at_stays(cache: Path, tmp_path: Path) -> None:
    make(tmp_path / "elsewhere" / "file", 10, 100)
    (cache / "rollouts" / "link").symlink_to(tmp_path / "elsewhere")
    (cache / "linked").symlink_to(tmp_path / "elsewhere")
    assert clean("--older-than", "0", "--yes").returncode == 0
    assert names(cache) == set()
    assert (tmp_path / "elsewhere" / "file").exists()


def test_an_empty_cache_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "none"))
    done = clean()
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{tmp_path / 'none'} is empty" in done.stderr


def test_commands_that_draw_from_the_cache_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    held: list[list[str]] = []

    def films(training: object, cache: Path, *rest: object) -> None:
        held.append(users(cache))
        raise RequestError("no films today")

    monkeypatch.setattr("mpobench.running.films.films", films)
    done = invoke("plot", "rollout", "tla", "--output", str(tmp_path / "film.png"))
    assert (done.returncode, len(held)) == (2, 1)
    assert len(held[0]) == 1
    assert users(tmp_path / "cache") == []
    assert (tmp_path / "cache" / TAG).exists()
