"""Event files, read back by TensorBoard itself."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bandits_installed import MODULES
from in_process import installed
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import mpobench
import mpobench.running.hooks
import mpobench_dask.hooks
import mpobench_trackers.hooks
from mpobench.errors import DiskFullError
from mpobench.registry.registry import Registry
from mpobench.results.cell_result import CellResult
from mpobench.results.store import read_results
from mpobench.running.tracked import tracked_cell
from mpobench_trackers import tensorboard

BOARDS = Path(__file__).parents[2] / "leaderboards"


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    modules = (*MODULES, mpobench.running.hooks, mpobench_dask.hooks, mpobench_trackers.hooks)
    with installed(Registry.of_modules([(module, module.__name__, "1.0") for module in modules])):
        yield


def run(objectives: str = "sft,dpo", **options: Any) -> dict[str, CellResult]:
    """Runs a bandit; returns all records by the name of their run."""
    options = {"launcher": "in-turn", "log": "tensorboard", **options}
    done = mpobench.run(envs="bandit", scale="smoke", objectives=objectives, **options)
    assert done.outcome.planned
    return {
        f"{r.env}/{r.corruption}/{r.objective}/{r.evaluator}/seed-{r.seed}-{r.key[:8]}": r
        for r in done.results
    }


def runs(folder: str = "results/tensorboard") -> dict[str, EventAccumulator]:
    board = EventMultiplexer(size_guidance={"scalars": 0, "tensors": 0})
    board.AddRunsFromDirectory(folder)
    board.Reload()
    return {name: board.GetAccumulator(name) for name in board.Runs()}


def scalars(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(tag)]


def hyperparameters(events: EventAccumulator) -> dict[str, Any]:
    content = HParamsPluginData.FromString(
        events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    )
    return {
        name: getattr(value, value.WhichOneof("kind"))
        for name, value in content.session_start_info.hparams.items()
    }


@pytest.mark.parametrize("launcher", ["in-turn", "local", pytest.param("dask", marks=pytest.mark.slow)])
def test_tensorboard_reads_what_the_records_hold(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # dask's workers import the bandit, too
    known = run("sft,dpo", corruptions="base,noisy:0.3", launcher=launcher, workers=1)
    found = runs()
    assert found.keys() == known.keys()
    assert len(found) == 4
    for name, record in known.items():
        events = found[name]
        losses = scalars(events, "curves/loss")
        assert [step for step, _ in losses] == [1, 2, 3, 4]
        assert [value for _, value in losses] == list(map(float, np.float32(record.curves["loss"])))
        assert scalars(events, "metrics/payoff") == [(4, float(np.float32(record.metrics["payoff"])))]
        assert scalars(events, "seconds/evaluate") == [(4, float(np.float32(record.seconds["evaluate"])))]
        shown = hyperparameters(events)
        assert (shown["objective"], shown["corruption"]) == (record.objective, record.corruption)
        assert (shown["seed"], shown["status"]) == (0.0, "ok")
        assert shown["config.training.learning_rate"] == 0.5
        experiment = HParamsPluginData.FromString(
            events.PluginTagToContent("hparams")["_hparams_/experiment"]
        ).experiment
        assert [metric.name.tag for metric in experiment.metric_infos] == ["metrics/payoff"]
        (text,) = events.Tensors("cell/text_summary")
        assert f"mpobench show {record.key[:10]}" in text.tensor_proto.string_val[0].decode()


def test_cells_that_failed_or_diverged_are_told() -> None:
    known = run("nan,raises,sft")
    found = runs()
    assert found.keys() == known.keys()
    for name, record in known.items():
        (text,) = found[name].Tensors("cell/text_summary")
        said = text.tensor_proto.string_val[0].decode()
        assert said.startswith(f"**status** {record.status}")
        assert hyperparameters(found[name])["status"] == record.status
        assert record.reason in said
        assert bool(found[name].Tags()["scalars"]) == (record.status == "ok")


def test_earlier_cells_are_added_and_those_that_are_there_left_alone() -> None:
    run(log=None)
    assert not Path("results/tensorboard").exists()
    assert runs() == {}
    known = run(seeds=2)
    files = {file: file.stat().st_mtime_ns for file in Path("results").rglob("*tfevents*")}
    assert len(files) == len(known) == 4
    assert run(seeds=2) == known
    assert {file: file.stat().st_mtime_ns for file in Path("results").rglob("*tfevents*")} == files
    again = run(rerun="all", seeds=2)
    found = runs()
    assert len(list(Path("results").rglob("*tfevents*"))) == 4
    for name, record in again.items():
        assert record != known[name]
        (seconds,) = scalars(found[name], "seconds/evaluate")
        assert seconds[1] == float(np.float32(record.seconds["evaluate"]))


def test_another_folder_and_cells_of_one_name() -> None:
    run("dpo", log="tensorboard:runs/all")
    run("dpo", log="tensorboard:folder=runs/all", training={"epochs": 2})
    found = runs("runs/all")
    assert not Path("results/tensorboard").exists()
    assert len({name.rpartition("-")[0] for name in found}) == 1
    assert sorted(len(events.Scalars("curves/loss")) for events in found.values()) == [2, 4]


def test_a_full_disk_ends_the_log_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise DiskFullError(f"cannot write {path}: the disk is full")

    with monkeypatch.context() as context:
        context.setattr(tensorboard, "write_atomically", full)
        known = run()
    assert {record.status for record in known.values()} == {"ok"}
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(said) == 1
    assert said[0].startswith("mpobench: warning: --log tensorboard has stopped: DiskFullError: cannot write")
    assert runs() == {}
    run()
    assert runs().keys() == known.keys()


def test_what_cannot_be_used_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    with pytest.raises(mpobench.RequestError, match="name another folder, --log tensorboard:DIR"):
        run(log="tensorboard:file/runs")
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(mpobench.RequestError) as error:
        run()
    line = "the tracker 'tensorboard' needs the package tensorboardX: pip install 'mpobench[trackers]'"
    assert str(error.value) == line
    assert not list(Path("results/cells").glob("*.json"))


@pytest.mark.parametrize("board", ["tla", "smollm-style"])
def test_published_cells_become_event_files(board: str, tmp_path: Path) -> None:
    for record in read_results(BOARDS / f"{board}.jsonl")[:8]:
        cell = tracked_cell(record, BOARDS)
        with tensorboard.TensorBoard(folder=tmp_path / "runs").open(tmp_path) as show:
            show(cell)
        events = EventAccumulator(str(tensorboard.run_folder(cell, tmp_path / "runs")))
        events.Reload()
        tags = events.Tags()["scalars"]
        assert {tag for tag in tags if tag.startswith("curves/")} == set(cell.curves)
        assert len(tags) == len(cell.curves) + len(cell.numbers)  # no two names became one tag
        for name, points in cell.curves.items():
            read = scalars(events, name)
            assert [step for step, _ in read] == [epoch for epoch, _ in points]
            assert all(
                math.isclose(value, point, rel_tol=1e-6, abs_tol=1e-30)
                for (_, value), (_, point) in zip(read, points, strict=True)
            )


def test_names_stay_within_their_folder(tmp_path: Path) -> None:
    record = read_results(BOARDS / "tla.jsonl")[0]
    for name in (
        "llm:model=/etc/x,dataset=../../up",
        "judge:url=http://127.0.0.1:8000/v1",
        "x" * 500,
        "a b\nc",
    ):
        cell = tracked_cell(record.model_copy(update={"env": name}), tmp_path)
        folder = tensorboard.run_folder(cell, tmp_path)
        assert len(folder.relative_to(tmp_path).parts) == 5
        assert folder.resolve().is_relative_to(tmp_path)
        folder.mkdir(parents=True)
