"""Runs of Weights & Biases: offline, where its own files are read back, and with a server that does not answer."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bandits_installed import MODULES
from in_process import installed
from wandb.proto.wandb_internal_pb2 import Record

import mpobench
import mpobench_trackers.hooks
from mpobench.api import Run
from mpobench.registry.registry import Registry
from mpobench_trackers import weights_and_biases

KEY = "deadbeef" * 5
_HEADER, _BLOCK = 7, 1 << 15


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "MPOBENCH_CACHE": str(tmp_path / "cache"),
        "WANDB_BASE_URL": "http://127.0.0.1:9",
        "NETRC": str(tmp_path / "netrc"),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    modules = (*MODULES, mpobench_trackers.hooks)
    with installed(Registry.of_modules([(module, module.__name__, "1.0") for module in modules])):
        yield


def run(objectives: str, log: str) -> Run:
    return mpobench.run(envs="bandit", scale="smoke", objectives=objectives, launcher="in-turn", log=log)


def stored(file: Path) -> list[Record]:
    """The records of a ``.wandb`` file: LevelDB's log format, each record whole within the first block."""
    content = file.read_bytes()
    assert content[:4] == b":W&B"
    assert len(content) < _BLOCK
    records, at = [], _HEADER
    while at + _HEADER <= len(content):
        _, size, kind = struct.unpack_from("<IHB", content, at)
        assert kind == 1
        records.append(Record.FromString(content[at + _HEADER : at + _HEADER + size]))
        at += _HEADER + size
    return records


def of_kind(records: list[Record], kind: str) -> list[Any]:
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


def test_runs_that_are_kept_offline(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    done = run("dpo,nan", "wandb:bandits,mode=offline")
    for record in done.results:
        (file,) = Path("results/wandb").rglob(f"run-{record.key}.wandb")
        records = stored(file)
        (started,) = of_kind(records, "run")[:1]
        assert (started.project, started.run_id) == ("bandits", record.key)
        assert started.display_name == f"bandit base {record.objective} payoff seed 0"
        assert started.run_group == f"bandit base {record.objective}"
        assert list(started.tags) == [record.status]
        assert record.reason in started.notes
        config = {item.key: json.loads(item.value_json) for item in started.config.update}
        assert config["objective"] == record.objective
        assert config["config.training.learning_rate"] == 0.5
        history = [
            {item.key or item.nested_key[0]: json.loads(item.value_json) for item in row.item}
            for row in of_kind(records, "history")
        ]
        losses = [(row["_step"], row["curves/loss"]) for row in history]
        assert losses == list(enumerate(record.curves.get("loss", []), start=1))
        summary = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for update in of_kind(records, "summary")
            for item in update.update
        }
        if record.status == "ok":
            assert summary["metrics/payoff"] == record.metrics["payoff"]
        (end,) = of_kind(records, "exit")
        assert end.exit_code == (record.status != "ok")
    assert {record.status for record in done.results} == {"ok", "diverged"}
    said = "".join(capfd.readouterr())
    assert KEY not in said
    assert "wandb:" not in said
    for path in tmp_path.rglob("*"):
        assert path.is_symlink() or not path.is_file() or KEY.encode() not in path.read_bytes(), path
    files = set(Path("results/wandb").rglob("*.wandb"))
    assert len(files) == 2
    run("dpo,nan", "wandb:bandits,mode=offline")
    assert set(Path("results/wandb").rglob("*.wandb")) == files
    run("dpo,nan", "wandb:others,mode=offline")
    assert len(set(Path("results/wandb").rglob("*.wandb"))) == 4


def test_a_server_that_does_not_answer_ends_the_log_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(weights_and_biases, "_PATIENCE", 0.5)
    done = run("sft,dpo", "wandb")
    assert done.outcome.ran == {"ok": 2}
    said = "".join(capfd.readouterr())
    assert KEY not in said
    (warning,) = (line for line in said.splitlines() if "warning" in line)
    assert warning.startswith("mpobench: warning: --log wandb has stopped: ")
    assert not Path("results/wandb/shown").exists()


def test_what_is_missing_is_a_line_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        mpobench.RequestError, match="has no key: run 'wandb login', or take --log wandb:mode=off"
    ):
        run("sft", "wandb")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(mpobench.RequestError) as error:
        run("sft", "wandb")
    assert str(error.value) == "the tracker 'wandb' needs the package wandb: pip install wandb"
    assert not list(Path("results/cells").glob("*.json"))
