"""Runs of MLflow: in a database file, read back by MLflow itself, and with a server that does not answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bandits_installed import MODULES
from in_process import installed
from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

import mpobench
import mpobench_trackers.hooks
from mpobench.api import Run
from mpobench.registry.registry import Registry
from mpobench.results.store import ResultStore
from mpobench_trackers import mlflow_runs

PASSWORD = "deadbeef" * 5


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, value in mlflow_runs._SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    modules = (*MODULES, mpobench_trackers.hooks)
    with installed(Registry.of_modules([(module, module.__name__, "1.0") for module in modules])):
        yield


def run(objectives: str, log: str = "mlflow") -> Run:
    return mpobench.run(envs="bandit", scale="smoke", objectives=objectives, launcher="in-turn", log=log)


def client() -> MlflowClient:
    return MlflowClient(tracking_uri="sqlite:///results/mlflow.db")


def runs(experiment: str = "mpobench") -> dict[str, MlflowRun]:
    """The runs of an experiment by the key of their cell."""
    found = client().get_experiment_by_name(experiment)
    assert found is not None
    listed = client().search_runs([found.experiment_id])
    by_key = {each.data.tags["mpobench.key"]: each for each in listed}
    assert len(by_key) == len(listed)
    return by_key


def test_mlflow_reads_what_the_records_hold(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    done = run("dpo,nan", "mlflow:bandits")
    found = runs("bandits")
    assert found.keys() == {record.key for record in done.results}
    assert {record.status for record in done.results} == {"ok", "diverged"}
    for record in done.results:
        shown = found[record.key]
        assert shown.info.run_name == f"bandit base {record.objective} payoff seed 0"
        assert shown.info.status == ("FINISHED" if record.status == "ok" else "FAILED")
        assert shown.data.params["objective"] == record.objective
        assert shown.data.params["config.training.learning_rate"] == "0.5"
        assert record.reason in shown.data.tags["mlflow.note.content"]
        losses = client().get_metric_history(shown.info.run_id, "curves/loss")
        points = sorted((point.step, point.value) for point in losses)
        assert points == list(enumerate(record.curves.get("loss", []), start=1))
        if record.status == "ok":
            assert shown.data.metrics["metrics/payoff"] == record.metrics["payoff"]
    assert "mlflow" not in "".join(capfd.readouterr()).replace("mlflow.db", "")
    assert not (tmp_path / "mlruns").exists()


def test_runs_that_are_there_are_left_alone_and_those_of_earlier_records_replaced() -> None:
    run("sft")
    before = runs()
    run("sft,dpo")
    after = runs()
    assert len(after) == 2
    (key,) = before
    assert after[key].info.run_id == before[key].info.run_id
    store = ResultStore(Path("results"))
    record = store.load(key)
    assert record is not None
    store.save(record.model_copy(update={"seconds": {"train": 12.5}}))
    run("sft,dpo")
    again = runs()
    assert again.keys() == after.keys()
    assert again[key].data.metrics["seconds/train"] == 12.5
    assert {other: each.info.run_id for other, each in again.items() if other != key} == {
        other: each.info.run_id for other, each in after.items() if other != key
    }


def test_a_server_that_does_not_answer_ends_the_log_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{PASSWORD}@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = run("sft,dpo")
    assert done.outcome.ran == {"ok": 2}
    said = "".join(capfd.readouterr())
    assert PASSWORD not in said
    (warning,) = (line for line in said.splitlines() if "warning" in line)
    assert warning.startswith("mpobench: warning: --log mlflow has stopped: ")


def test_what_cannot_be_is_a_line_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(mpobench.RequestError, match="takes no password in its uri: set MLFLOW_") as error:
        run("sft", f"mlflow:uri=http://me:{PASSWORD}@127.0.0.1:9")
    assert PASSWORD not in str(error.value)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(mpobench.RequestError) as error:
        run("sft")
    assert "pip install mlflow" in str(error.value)
    assert not list(Path("results/cells").glob("*.json"))
