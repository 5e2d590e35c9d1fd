"""``--log``: what trackers are told, when, and what their failures cost."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tracker_plugin
from bandits_installed import MODULES
from in_process import installed, invoke
from tracker_plugin import Failing, Memory

import mpobench
from mpobench import TrackedCell, Tracker
from mpobench.planning.suite import Suite
from mpobench.protocols import Track
from mpobench.registry.registry import Registry
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultStore, read_results
from mpobench.running import log
from mpobench.running.log import open_log, without_secrets
from mpobench.running.tracked import tracked_cell
from mpobench.testing.plugins import check_plugin

PUBLISHED = sorted((Path(__file__).parents[1] / "leaderboards").glob("*.jsonl"))


@pytest.fixture(autouse=True)
def _trackers_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MPOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Memory.cells.clear()
    modules = [(module, module.__name__, "1.0") for module in (*MODULES, tracker_plugin)]
    with installed(Registry.of_modules(modules)):
        yield


def run(*args: str, objectives: str = "sft,dpo") -> tuple[int, str]:
    done = invoke(
        *("run", "--envs", "bandit", "--scale", "smoke", "--launcher", "in-turn"),
        *("--objectives", objectives, *args),
    )
    return done.returncode, done.stderr


def records(results: str = "results") -> dict[str, CellResult]:
    return {record.key: record for record in ResultStore(Path(results)).load_all()}


def test_each_cell_is_shown_once_with_what_its_record_holds() -> None:
    code, _ = run("--log", "memory", "--evaluators", "payoff,payoff:2", objectives="sft,dpo,nan,raises")
    assert code == 1
    known = records()
    assert Counter(cell.key for cell in Memory.cells) == Counter(dict.fromkeys(known, 1))
    assert len(known) == 8
    assert len({(*cell.group, cell.name) for cell in Memory.cells}) == 8
    for cell in Memory.cells:
        record = known[cell.key]
        assert cell.group == (record.env, record.corruption, record.objective, record.evaluator)
        assert (cell.seed, cell.status) == (record.seed, record.status)
        assert cell.config["objective"] == record.objective
        assert (
            cell.config["config.training.learning_rate"] == record.config["training"]["learning_rate"] == 0.5
        )
        if record.status == "ok":
            assert cell.curves == {"curves/loss": list(enumerate(record.curves["loss"], start=1))}
            assert len(record.curves["loss"]) == 4
            assert cell.numbers["metrics/payoff"] == record.metrics["payoff"]
            assert cell.numbers["seconds/evaluate"] == record.seconds["evaluate"]
        else:
            assert record.reason in cell.text
        assert f"mpobench show {record.key[:10]} --results results" in cell.text


def test_a_run_that_goes_on_shows_earlier_cells_and_none_that_was_skipped() -> None:
    assert run("--seeds", "2")[0] == 0
    earlier = set(records())
    assert Memory.cells == []
    assert run("--seeds", "3", "--log", "memory")[0] == 0
    assert {cell.key for cell in Memory.cells} == set(records()) > earlier
    digests = {cell.key: cell.digest for cell in Memory.cells}
    Memory.cells.clear()
    assert run("--seeds", "3", "--log", "memory")[0] == 0
    assert {cell.key: cell.digest for cell in Memory.cells} == digests
    skipped = next(iter(records().values())).model_copy(
        update={"status": "skipped", "reason": "it does not fit"}
    )
    with open_log({"memory": Memory()}, ResultStore(Path("results"))) as tell:
        Memory.cells.clear()
        tell(skipped.key, skipped)
        tell("absent", None)
    assert Memory.cells == []


def test_a_cell_that_is_made_again_has_another_digest() -> None:
    run("--log", "memory")
    run("--log", "memory", "--rerun", "all")
    digests: dict[str, set[str]] = {}
    for cell in Memory.cells:
        digests.setdefault(cell.key, set()).add(cell.digest)
    assert [len(found) for found in digests.values()] == [2, 2]


@pytest.mark.parametrize("at", ["open", "show", "close"])
def test_a_tracker_that_fails_costs_a_line_and_neither_run_nor_result(
    at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILING_API_KEY", Failing.secret)
    assert run("--seeds", "3", "--results", "without")[0] == 0
    code, said = run("--seeds", "3", "--log", f"failing:{at},memory")
    assert code == 0
    (warning,) = (line for line in said.splitlines() if "warning" in line)
    assert warning == (
        f"mpobench: warning: --log failing:{at} has stopped: OSError: no space left in {at}, key redacted; "
        "the run goes on, and the same command logs what is missing"
    )
    assert len(Memory.cells) == 6
    own, other = records(), records("without")
    assert {key: record.metrics for key, record in own.items()} == {
        key: record.metrics for key, record in other.items()
    }


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD"])
def test_a_secret_of_a_tracker_is_in_no_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "of-nobody-else")
    monkeypatch.setenv("PAD_TOKEN", "answer")
    assert without_secrets("401 for of-nobody-else, answer") == "401 for redacted, answer"


def test_a_tracker_that_cannot_be_used_is_a_line_before_anything_is_computed() -> None:
    for spec, line in {
        "memory,failing:request": "the tracker 'failing' needs the package nowhere: pip install nowhere",
        "memroy": "unknown tracker 'memroy': did you mean 'memory'?",
        "memory:colour=red": "tracker 'memory'",
    }.items():
        code, said = run("--log", spec)
        assert (code, said.startswith(f"mpobench: error: {line}")) == (2, True), said
    assert records() == {}
    assert not Path("cache").exists() or not list(Path("cache").rglob("*.npy"))


def test_a_slow_tracker_holds_no_cell_up(monkeypatch: pytest.MonkeyPatch) -> None:
    there = []

    class Patient(Tracker):
        @contextmanager
        def open(self, results: Path) -> Iterator[Track]:
            def show(cell: TrackedCell) -> None:
                until = time.monotonic() + 20
                while len(records()) < 6 and time.monotonic() < until:
                    time.sleep(0.01)
                time.sleep(0.1)
                there.append(len(records()))

            yield show

    monkeypatch.setattr(tracker_plugin, "Memory", Patient)
    monkeypatch.setattr(log, "_SILENCE", 0.01)
    code, said = run("--log", "memory", "--seeds", "3")
    assert (code, there) == (0, [6] * 6)
    assert re.search(r"^mpobench: --log still has [1-6] cells to show$", said, re.MULTILINE)


def test_an_interrupt_waits_for_one_cell_and_shows_no_other() -> None:
    run("--seeds", "3")
    begun, shown = threading.Event(), []

    class Slow(Tracker):
        @contextmanager
        def open(self, results: Path) -> Iterator[Track]:
            def show(cell: TrackedCell) -> None:
                begun.set()
                time.sleep(1.0)
                shown.append(cell.key)

            yield show

    keys = list(records())

    def interrupted() -> None:
        with open_log({"slow": Slow()}, ResultStore(Path("results"))) as tell:
            for key in keys:
                tell(key, None)
            begun.wait(20)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert shown == keys[:1]


def test_the_log_is_an_option_of_files_and_python_and_in_no_key(tmp_path: Path) -> None:
    file = tmp_path / "suite.toml"
    file.write_text(
        'envs = "bandit"\nobjectives = "sft"\nscale = "smoke"\nlog = ["memory", {name = "failing", at = "close"}]\n'
    )
    suite = Suite.from_toml(file)
    assert suite.log == ("memory", "failing:at=close")
    with_log, without = mpobench.dry_run(file), mpobench.dry_run(file, log="")
    assert [cell.key for cell in with_log.cells] == [cell.key for cell in without.cells]
    done = mpobench.run(file, log="memory", launcher="in-turn")
    assert [cell.key for cell in Memory.cells] == [cell.key for cell in done.results]


def test_secrets_of_a_configuration_are_shown_to_nobody() -> None:
    run()
    record = next(iter(records().values()))
    record = record.model_copy(update={"config": {**record.config, "judge": {"api_key": "s3cret"}}})
    cell = tracked_cell(record, Path("results"))
    assert "s3cret" not in repr(cell)
    assert cell.config["config.judge.api_key"] == "redacted"


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
def test_published_results_can_be_shown(file: Path) -> None:
    for record in read_results(file):
        cell = tracked_cell(record, file)
        assert next(iter(cell.numbers)) == f"metrics/{record.primary}"
        assert all(points for points in cell.curves.values())
        assert all(isinstance(value, str | int | float) for value in cell.config.values())
        stages = record.curves.get("stage", [])
        assert all(f"{stages.count(stage)} epochs of {stage}" in cell.text for stage in set(stages))


def test_a_plugin_s_trackers_are_built_when_it_is_checked() -> None:
    registry = Registry.of_modules([(tracker_plugin, "trackers", "1.0")])
    checked = list(check_plugin(registry.cards("tracker"), registry))
    assert [(each.label, each.failure) for each in checked] == [
        ("tracker failing", None),
        ("tracker memory", None),
    ]
