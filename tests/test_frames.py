"""Results in Python and as tables: ``mpobench.load``, ``to_frame``, ``mpobench export``, notebooks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bandits_installed import bandits_in_turn
from in_process import installed, invoke
from lab import Lab

import mpobench
from mpobench.api import SuiteOptions
from mpobench.cli.run import run as run_command
from mpobench.planning.suite import Suite
from mpobench.results.store import write_jsonl

PUBLISHED = Path(__file__).parents[1] / "leaderboards"


@pytest.fixture(scope="module", autouse=True)
def _bandits_are_installed() -> Iterator[None]:
    with installed(bandits_in_turn()):
        yield


def test_a_frame_has_a_typed_row_for_each_cell(lab: Lab) -> None:
    lab.run("sft,dpo,nan", seeds=2, corruptions="base,noisy:0.1")
    results = mpobench.load(lab.store.folder)
    table = results.to_frame()
    assert len(table) == len(results) == 12
    types = {name: str(kind) for name, kind in table.dtypes.items()}
    for name, kind in {
        "key": "string",
        "objective": "category",
        "status": "category",
        "seed": "Int64",
        "score": "Float64",
        "higher_is_better": "boolean",
        "metric.payoff": "Float64",
        "config.training.epochs": "Int64",
        "config.env.fields.noise": "Float64",
        "config.objective.fields.beta": "Float64",
        "version.mpobench": "string",
    }.items():
        assert types[name] == kind, name
    for cell, (_, row) in zip(results, table.iterrows(), strict=True):
        assert (row["key"], row["objective"], row["seed"]) == (cell.key, cell.objective, cell.seed)
        if cell.status == "ok":
            assert row["score"] == row["metric.payoff"] == cell.metrics["payoff"]
        else:
            assert row["score"] is pd.NA
        assert row["config.training.learning_rate"] == cell.config["training"]["learning_rate"]
    means = table.groupby(["objective", "corruption"], observed=True)["score"].mean()
    dpo = [cell.metrics["payoff"] for cell in results.where(objective="dpo", corruption="base")]
    assert means["dpo", "base"] == pytest.approx(np.mean(dpo))


@pytest.mark.parametrize("file", sorted(PUBLISHED.glob("*.jsonl")), ids=lambda file: file.stem)
def test_published_leaderboards_become_frames(file: Path) -> None:
    results = mpobench.load(file)
    table = results.to_frame()
    assert list(table["key"]) == [cell.key for cell in results]
    assert list(table["score"]) == [cell.metrics[cell.primary] for cell in results]
    assert "object" not in {str(kind) for kind in table.dtypes}


def test_curves_have_a_row_for_each_epoch(lab: Lab) -> None:
    lab.run("sft,dpo", training={"epochs": 3})
    results = mpobench.load(lab.store.folder)
    curves = results.curves_to_frame()
    assert len(curves) == 6
    for cell in results:
        own = curves[curves["key"] == cell.key]
        assert list(own["epoch"]) == [1, 2, 3]
        assert list(own["loss"]) == cell.curves["loss"]


def test_results_are_a_sequence(lab: Lab) -> None:
    lab.run("sft,dpo", seeds=2)
    results = mpobench.load(str(lab.store.folder))
    assert [cell.key for cell in results] == sorted(cell.key for cell in results)
    assert results[0] in results
    assert len(results[1:3]) == 2
    assert len(results.where(seed=1)) == 2
    assert repr(results) == "<4 cells of mpobench>"
    lab.cell("sft", 0).write_text("{")
    (damaged,) = mpobench.load(lab.store.folder).damaged
    assert "truncated or not a result" in str(damaged)
    with pytest.raises(mpobench.RequestError, match="no results at"):
        mpobench.load(lab.store.folder / "none")


def test_nothing_is_an_empty_frame(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").touch()
    results = mpobench.load(tmp_path / "none.jsonl")
    assert results.to_frame().shape == (0, 16)
    assert results.curves_to_frame().shape == (0, 11)
    assert isinstance(results._repr_html_(), str)


def test_csv_says_what_the_records_say(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft,dpo,raises", seeds=2)
    file = tmp_path / "out" / "cells.csv"
    done = invoke("export", str(lab.store.folder), "--output", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert f"6 rows in {file}" in done.stderr
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    for row, cell in zip(rows, lab.store.load_all(), strict=True):
        assert row["key"] == cell.key
        assert row["reason"] == cell.reason
        assert row["score"] == (repr(cell.metrics["payoff"]) if cell.status == "ok" else "")
        assert json.loads(row["config.dataset.pairs"]) == 8
    curves = tmp_path / "curves.csv"
    assert invoke("export", str(lab.store.folder), "--curves", "--output", str(curves)).returncode == 0
    assert len(curves.read_text().splitlines()) == 1 + 4 * 4


def test_parquet_is_the_frame(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft,nan", seeds=2)
    file = tmp_path / "cells.parquet"
    assert invoke("export", str(lab.store.folder), "--output", str(file)).returncode == 0
    table = mpobench.load(lab.store.folder).to_frame()
    read = pd.read_parquet(file)
    assert list(read.columns) == list(table.columns)
    assert [str(kind) for kind in read.dtypes] == [str(kind) for kind in table.dtypes]
    assert read.astype(str).equals(table.astype(str))


def test_what_cannot_be_written_is_a_line(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run("sft")
    wrong = invoke("export", str(lab.store.folder), "--output", str(tmp_path / "x.xlsx"))
    assert (wrong.returncode, "name a file that ends in .csv or .parquet" in wrong.stderr) == (2, True)
    (tmp_path / "file").touch()
    blocked = invoke("export", str(lab.store.folder), "--output", str(tmp_path / "file" / "x.csv"))
    assert (blocked.returncode, "cannot write" in blocked.stderr) == (2, True)
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    without = invoke("export", str(lab.store.folder), "--output", str(tmp_path / "x.parquet"))
    assert (without.returncode, "pip install 'mpobench[data]'" in without.stderr) == (2, True)
    assert invoke("export", str(lab.store.folder), "--output", str(tmp_path / "x.csv")).returncode == 0


class Tags(HTMLParser):
    """Counts tags, and fails where one is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_notebook_shows_tables_and_no_foreign_markup(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft,dpo,nan", seeds=3, corruptions="base,noisy:0.1")
    results = mpobench.load(lab.store.folder)
    html = results._repr_html_()
    seen = Tags(html).seen
    assert (seen.count("table"), seen.count("h2")) == (1, 1)
    assert seen.count("tr") == 1 + 3
    assert "<code>noisy:0.1</code>" in html
    assert "<sup>[1]</sup>" in html
    assert "<i>smoke</i> scale" in html
    evil = "<script>alert(1)</script>"
    cells = [
        cell.model_copy(
            update={"objective": evil, "corruption": evil, "env": evil, "plugin": evil, "unit": evil}
        )
        for cell in results.where(objective="sft", corruption="base")
    ] + [
        cell.model_copy(update={"reason": evil, "env": evil, "plugin": evil})
        for cell in results.where(objective="nan", corruption="base")
    ]
    write_jsonl(cells, tmp_path / "evil.jsonl")
    html = mpobench.load(tmp_path / "evil.jsonl")._repr_html_()
    assert "script" not in Tags(html).seen
    assert "&lt;script&gt;" in html


def test_results_that_contradict_each_other_are_said_in_a_notebook(lab: Lab, tmp_path: Path) -> None:
    lab.run("sft")
    (cell,) = mpobench.load(lab.store.folder)
    write_jsonl([cell, cell.model_copy(update={"key": "other"})], tmp_path / "two.jsonl")
    assert "two results for sft on base, seed 0" in mpobench.load(tmp_path / "two.jsonl")._repr_html_()


def test_python_has_every_option_of_the_command_line() -> None:
    import inspect

    command = set(inspect.signature(run_command).parameters) - {"context", "suite", "dry_run"}
    assert set(SuiteOptions.__annotations__) == set(Suite.model_fields) == command


def test_a_run_in_python(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPOBENCH_CACHE", str(lab.cache))
    plan = mpobench.dry_run(envs="bandit", objectives=["sft", "dpo"], scale="smoke", seeds=2)
    assert len(plan.cells) == 4
    assert not lab.cache.exists()
    run = mpobench.run(
        envs="bandit",
        objectives=["sft", "dpo"],
        scale="smoke",
        seeds=2,
        training={"epochs": 2},
        launcher="in-turn",
        results=lab.store.folder,
    )
    assert run.outcome.ran == {"ok": 4}
    assert repr(run) == "<a run of 4 cells: ran 4 ok; 0 were there before>"
    assert list(run.to_frame()["config.training.epochs"]) == [2] * 4
    assert run._repr_html_() == mpobench.load(lab.store.folder)._repr_html_()
    with pytest.raises(mpobench.RequestError, match="no field 'objectivs': did you mean 'objectives'"):
        mpobench.run(objectivs="dpo")  # type: ignore[call-arg]
