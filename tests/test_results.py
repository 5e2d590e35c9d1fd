"""Results survive being written, interrupted, damaged and published."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mpobench.errors import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultFileError, ResultStore, jsonl, read_results, write_jsonl


def result(**changes: Any) -> CellResult:
    fields: dict[str, Any] = {
        "key": "c0ffee",
        "training_key": "7ea",
        "dataset_key": "da7a",
        "env": "tla",
        "corruption": "noisy:0.1",
        "objective": "dpo:beta=0.2",
        "evaluator": "return",
        "seed": 0,
        "scale": "quick",
        "origin": "human",
        "plugin": "mpobench 0.1.0",
        "status": "ok",
        "metrics": {"return": 1650.5, "normalised_score": -2.25},
        "primary": "return",
        "unit": "return",
        "curves": {"loss": [0.7, 0.3], "stage": ["sft", "po"]},
        "seconds": {"training": 12.5},
        "config": {"training": {"learning_rate": 1e-5, "epochs": 12}},
        "versions": {"mpobench": "0.1.0", "jax": "0.9.2"},
    }
    return CellResult(**(fields | changes))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- the record -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_that_is_not_finite_is_refused(number: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        result(metrics={"return": number})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"primary": "loss"}, "'loss' is not among the metrics"),
        ({"metrics": {}}, "not among the metrics"),
        ({"status": "diverged"}, "'diverged' needs a reason"),
        ({"status": "finished"}, "status"),
        ({"key": "../../etc/passwd"}, "key"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_an_inconsistent_record_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        result(**changes)


def test_a_diverged_curve_is_kept_as_strict_json() -> None:
    text = result(curves={"loss": [0.5, float("nan"), float("inf")]}).to_json()

    def no_constants(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert json.loads(text, parse_constant=no_constants)["curves"]["loss"] == [0.5, None, None]


def test_secrets_of_a_configuration_are_not_written() -> None:
    config = {
        "evaluator": {"judge": {"api_key": "sk-123", "model": "m"}, "max_tokens": 5},
        "hub": [{"hf_token": "hf_456"}],
    }
    text = result(config=config).to_json().decode()
    assert "sk-123" not in text
    assert "hf_456" not in text
    assert json.loads(text)["config"]["evaluator"] == {
        "judge": {"api_key": "redacted", "model": "m"},
        "max_tokens": 5,
    }


finite = st.floats(allow_nan=False, allow_infinity=False)
records = st.builds(
    result,
    key=st.from_regex(r"[a-z0-9_-]{1,30}", fullmatch=True),
    objective=st.text(),
    seed=st.integers(0, 2**40),
    metrics=st.dictionaries(st.text(), finite).map(lambda metrics: {**metrics, "return": 0.1}),
    curves=st.dictionaries(st.text(), st.lists(finite | st.text() | st.none())),
    config=st.dictionaries(
        st.text(), st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | finite | st.text())
    ),
)


@settings(deadline=None)
@given(record=records)
def test_a_record_survives_json(record: CellResult) -> None:
    line = record.to_json()
    assert b"\n" not in line
    assert CellResult.model_validate_json(line) == record


# --- the store ------------------------------------------------------------------------------------------


def test_saved_results_come_back_by_key(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "deep" / "results")
    assert store.load_all() == []
    assert store.load("a") is None
    store.check_writable()
    assert store.load_all() == []
    b, a = result(key="b"), result(key="a", status="skipped", reason="no pairs", metrics={})
    store.save(b)
    store.save(a)
    assert store.path("a") == tmp_path / "deep" / "results" / "cells" / "a.json"
    assert store.load("a") == a
    assert store.load_all() == [a, b] == read_results(tmp_path / "deep" / "results")
    assert names(store.cells) == ["a.json", "b.json"]


def test_saving_again_replaces(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.save(result(status="error", reason="boom"))
    store.save(result())
    assert store.load_all() == [result()]


DAMAGE = {
    "truncated": result(key="bad").to_json()[:100],
    "empty": b"",
    "binary": b"\x93NUMPY\xff\xfe",
    "not ours": b'{"hello": "world"}',
    "another version": result(key="bad").to_json().replace(b"mpobench-cell/1", b"mpobench-cell/9"),
    "not finite": result(key="bad").to_json().replace(b"1650.5", b"NaN"),
    "renamed": result(key="other").to_json(),
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_loses_nothing_else(tmp_path: Path, content: bytes) -> None:
    store = ResultStore(tmp_path)
    store.save(result(key="good"))
    store.path("bad").write_bytes(content)

    with pytest.raises(ResultFileError) as caught:
        store.load("bad")
    message = str(caught.value)
    assert message.startswith(str(store.path("bad")))
    assert message.endswith("delete it or move it away")
    assert "\n" not in message

    told: list[ResultFileError] = []
    assert store.load_all(told.append) == [result(key="good")]
    assert [str(error) for error in told] == [message]
    with pytest.raises(ResultFileError):
        store.load_all()


def test_a_folder_in_place_of_a_result_is_reported(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    store.path("bad").mkdir(parents=True)
    told: list[ResultFileError] = []
    assert store.load_all(told.append) == []
    assert "is a directory" in str(told[0])


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    store = ResultStore(tmp_path / "results")
    with pytest.raises(
        RequestError, match=r"cannot write .*results.*: not a directory; choose another place"
    ):
        store.check_writable()
    with pytest.raises(RequestError, match=r"cannot read .*not a directory"):
        store.load_all()


# --- published results ----------------------------------------------------------------------------------


def test_jsonl_is_sorted_and_reads_back(tmp_path: Path) -> None:
    results = [result(key=key, seed=i) for i, key in enumerate("cab")]
    path = tmp_path / "tla.jsonl"
    write_jsonl(results, path)
    assert path.read_bytes() == jsonl(reversed(results))
    assert [r.key for r in read_results(path)] == ["a", "b", "c"]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tla.jsonl"
    path.write_bytes(result(key="a").to_json() + b"\n\n{}\n" + result(key="b").to_json())
    told: list[ResultFileError] = []
    assert [r.key for r in read_results(path, told.append)] == ["a", "b"]
    assert str(told[0]).startswith(f"{path}, line 3 is truncated or not a result")
    with pytest.raises(ResultFileError, match="line 3"):
        read_results(path)


def test_reading_from_nowhere_or_something_else(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no results at .*mpobench run"):
        read_results(tmp_path / "nowhere")
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(RequestError, match=r"give a results folder or a \.jsonl file"):
        read_results(tmp_path / "notes.md")


# --- atomic writes --------------------------------------------------------------------------------------


def test_an_atomic_write_makes_folders_and_follows_links(tmp_path: Path) -> None:
    target = tmp_path / "new" / "page.md"
    write_atomically(target, "± one\n")
    assert target.read_bytes() == "± one\n".encode()
    link = tmp_path / "link.md"
    link.symlink_to(target)
    write_atomically(link, b"two")
    assert link.is_symlink()
    assert target.read_bytes() == b"two"
    assert names(tmp_path) == ["link.md", "new"]
    assert names(tmp_path / "new") == ["page.md"]


def test_an_atomic_write_has_the_permissions_of_a_plain_one(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("place", [".", "/dev/null"])
def test_only_regular_files_are_replaced(tmp_path: Path, place: str) -> None:
    with pytest.raises(RequestError, match="not a regular file"):
        write_atomically(tmp_path / place, b"")
    assert names(tmp_path) == []


def test_a_write_that_fails_half_way_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("old")
    program = (
        "import pathlib, resource, sys\n"
        "from mpobench.files.atomic import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_atomically(pathlib.Path(sys.argv[1]), b'x' * 100_000)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert f"RequestError: cannot write {path}: file too large" in outcome.stderr
    assert path.read_text() == "old"
    assert names(tmp_path) == ["page.md"]


def test_a_full_disk_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)  # a disk of its own to fill would need root
    with pytest.raises(RequestError, match="the disk is full; free some space"):
        write_atomically(tmp_path / "page.md", b"x")
    assert names(tmp_path) == []


def test_results_that_are_known_are_not_read_again(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    first, second = result(key="a"), result(key="b", seed=1)
    for each in (first, second):
        store.save(each)
    store.path("a").write_bytes(b"{}")
    (read, again) = store.load_all(known={"a": first, "gone": first})
    assert read is first
    assert again == second


def test_equal_configurations_share_their_memory(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    for key, config in (("a", {"x": 1}), ("b", {"x": 1}), ("c", {"x": 1.0}), ("d", {"x": True})):
        store.save(result(key=key, config=config))
    first, same, floating, boolean = store.load_all()
    assert first.config is same.config
    assert first.versions is same.versions is floating.versions
    assert [type(each.config["x"]) for each in (first, floating, boolean)] == [int, float, bool]
