"""``mpobench plot curves``: means over the seeds, KL from either place, and older results."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mpobench.errors import RequestError
from mpobench.results.cell_result import CellResult
from mpobench.results.store import read_results, write_jsonl
from mpobench_plots.commands import app
from mpobench_plots.curve_tables import curve_tables
from mpobench_plots.curves import curves_figure

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"


def cell(objective: str, seed: int, curves: dict[str, list[Any]], **changes: Any) -> CellResult:
    name = re.sub(r"\W", "-", changes.get("corruption", "base"))
    fields: dict[str, Any] = {
        "key": f"{objective}-{seed}-{name}", "training_key": "t",
        "dataset_key": "d", "env": "tla", "corruption": "base", "objective": objective, "evaluator": "return",
        "seed": seed, "scale": "quick", "origin": "human", "plugin": "mpobench 0.1.0", "status": "ok",
        "metrics": {"return": 100.0 * seed, "kl": 0.5 + seed}, "primary": "return", "curves": curves,
    }  # fmt: skip
    return CellResult(**fields | changes)


def new_curves(shift: float, epochs: int = 3, sft: int = 0) -> dict[str, list[Any]]:
    own = [None] * sft + [shift + epoch for epoch in range(epochs - sft)]
    return {
        "stage": ["sft"] * sft + ["po"] * (epochs - sft),
        "log_ratio_chosen": own,
        "log_ratio_rejected": own,
        "chosen_fell": [None if value is None else 0.25 for value in own],
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    cells = [
        *(cell("sft", seed, new_curves(seed)) for seed in (0, 1)),
        *(cell("dpo", seed, new_curves(10 * seed, sft=2), metrics={"return": 7.0}) for seed in (0, 1)),
        cell("orpo", 0, new_curves(0), status="diverged", reason="boom", metrics={}, primary=""),
        cell("sft", 0, new_curves(5), corruption="noisy:0.3"),
    ]
    write_jsonl(cells, tmp_path / "results.jsonl")
    return tmp_path / "results.jsonl"


def drawn(axes: Any) -> dict[str, np.ndarray]:
    """The curves of a panel, by colour, without the grey line at 0."""
    return {
        line.get_color(): np.asarray(line.get_ydata(), float)
        for line in axes.get_lines()
        if line.get_color() != "0.7"
    }


def test_means_over_the_seeds(results: Path) -> None:
    (table,) = curve_tables(results, None, None)
    assert table.corruption == "base"
    by_name = {row.name: row for row in table.rows}
    assert list(by_name) == ["sft", "dpo"], "what finished nothing has no curve"
    assert by_name["sft"].by_quantity["log_ratio_chosen"] == [0.5, 1.5, 2.5]
    np.testing.assert_array_equal(by_name["dpo"].by_quantity["log_ratio_chosen"], [math.nan, math.nan, 5.0])
    assert by_name["sft"].reward.mean == 50
    assert by_name["sft"].divergence == 1.0, "an evaluator's metric"
    assert math.isnan(by_name["dpo"].divergence)
    (noisy,) = curve_tables(results, "noisy:0.3", ["sft"])
    assert noisy.rows[0].by_quantity["log_ratio_chosen"] == [5, 6, 7]


def test_a_curve_of_kl_counts_before_a_metric(tmp_path: Path) -> None:
    curves = {**new_curves(0), "kl": [0.1, 0.2, 0.3]}
    write_jsonl([cell("sft", 0, curves)], tmp_path / "a.jsonl")
    (table,) = curve_tables(tmp_path / "a.jsonl", None, None)
    assert table.rows[0].divergence == 0.3
    axes = curves_figure([table]).subfigs[0].axes
    np.testing.assert_array_equal(next(iter(drawn(axes[3]).values())), [0.1, 0.2, 0.3])


def test_panels(results: Path) -> None:
    figure = curves_figure(curve_tables(results, None, None))
    axes = figure.subfigs[0].axes
    assert [panel.get_title() for panel in axes[:2]] == [
        r"$\log\,\pi/\pi_{\mathrm{ref}}$, chosen",
        r"$\log\,\pi/\pi_{\mathrm{ref}}$, rejected",
    ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["sft", "dpo"]
    sft, dpo = drawn(axes[0]).values()
    np.testing.assert_array_equal(sft, [0.5, 1.5, 2.5])
    np.testing.assert_array_equal(dpo, [math.nan, math.nan, 5.0])
    (at_end,) = drawn(axes[3]).values()
    np.testing.assert_array_equal(at_end, [math.nan, math.nan, 1.0])
    assert [text.get_text() for text in axes[4].texts] == ["7", "50"], "the best on top"
    assert len(axes[5].containers) == 1, "of the row whose KL is known"


def test_published_results_hold_all_curves() -> None:
    figure = curves_figure(curve_tables(LEADERBOARDS / "smollm-style.jsonl", None, None))
    axes = figure.subfigs[0].axes
    assert axes[0].get_title() == r"$\log\,\pi/\pi_{\mathrm{ref}}$, chosen"
    assert all(len(drawn(panel)) == 7 for panel in axes[:4])
    assert axes[5].get_visible()


def test_results_that_are_older_than_these_curves(tmp_path: Path) -> None:
    """Published records, of which only those curves are left that there were at first."""
    first = ("stage", "loss", "margin", "accuracy", "logp_chosen", "logp_rejected")
    cells = [
        each.model_copy(update={"curves": {name: each.curves[name] for name in first if name in each.curves}})
        for each in read_results(LEADERBOARDS / "smollm-style.jsonl")
    ]
    write_jsonl(cells, tmp_path / "older.jsonl")
    figure = curves_figure(curve_tables(tmp_path / "older.jsonl", None, None))
    axes = figure.subfigs[0].axes
    assert axes[0].get_title() == r"$\log\,\pi$, chosen"
    assert len(drawn(axes[0])) == 7
    assert [text.get_text() for text in axes[3].texts] == ["not in these results"]
    assert not axes[5].get_visible()


def test_the_command(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(results.parent)
    done = CliRunner().invoke(app, ["curves", "results.jsonl"], catch_exceptions=False)
    assert done.stdout == "curves-results.png\n"
    assert Path("curves-results.png").read_bytes().startswith(b"\x89PNG")
    first, second = (
        CliRunner().invoke(app, ["curves", "results.jsonl", "--output", f"{n}.svg"], catch_exceptions=False)
        and Path(f"{n}.svg").read_bytes()
        for n in "ab"
    )
    assert first == second


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--corruption", "nosy:0.3"], "no results of corruption 'nosy:0.3' in .*: did you mean 'noisy:0.3'"),
        (["--objectives", "sft,dpp"], "no results of objective 'dpp' in .*: did you mean 'dpo'"),
        (["--objectives", "orpo"], "no curves to draw from .*: no training that it asks for has finished"),
        (["--output", "a.pdf"], "pictures are .png or .svg"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(results: Path, options: list[str], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        CliRunner().invoke(app, ["curves", str(results), *options], catch_exceptions=False)
    assert re.search(said, str(caught.value))
    assert "\n" not in str(caught.value)
