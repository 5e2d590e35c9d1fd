"""The picture of score against budget."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mpobench.errors import RequestError
from mpobench.tuning.budget_file import BudgetCurve, BudgetFile, BudgetPoint
from mpobench_plots.commands import app
from mpobench_plots.tuning import tuning_figure


def curve(objective: str, means: list[float | None], **fields: Any) -> BudgetCurve:
    points = tuple(
        BudgetPoint(
            trials=2**at, trial=0, tuning_score=mean, fields={}, training={}, scores=(mean,), mean=mean,
            standard_error=None, low=None if mean is None else mean - 1, high=None if mean is None else mean + 1,
        )
        for at, mean in enumerate(means)
    )  # fmt: skip
    about = {"env": "tla", "corruption": "base", "evaluator": "return", "scale": "quick", "metric": "return"}
    rest = {"unit": "return", "higher_is_better": True, "held_out_seeds": (2000,), "points": points}
    return BudgetCurve.model_validate({**about, **rest, "objective": objective, **fields})


CURVES = (
    curve("dpo", [1.0, 2.0, 4.0]),
    curve("sft", [3.0, None, 3.5]),
    curve("dpo", [0.0, 1.0, 1.5], corruption="noisy:0.3"),
    curve("tampo:schedule=sigmoid", [2.0, 2.0, 2.5], env="hopper"),
)


def test_a_panel_for_each_dataset_and_a_curve_for_each_objective() -> None:
    figure = tuning_figure(CURVES)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["tla base", "tla noisy:0.3", "hopper base"]
    drawn = {line.get_label(): line for line in panels[0].get_lines() if line.get_gid()}
    assert list(drawn) == ["dpo", "sft"]
    np.testing.assert_array_equal(drawn["dpo"].get_ydata(), [1.0, 2.0, 4.0])
    np.testing.assert_allclose(drawn["dpo"].get_xdata(), [1, 2, 4], rtol=0.03)
    np.testing.assert_array_equal(drawn["sft"].get_ydata(), [3.0, np.nan, 3.5])
    (other,) = (line for line in panels[1].get_lines() if line.get_gid())
    assert other.get_color() == drawn["dpo"].get_color(), "an objective looks the same in all panels"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["dpo", "sft", "tampo:schedule=sigmoid"]


def test_intervals_reach_from_low_to_high() -> None:
    (axes,) = tuning_figure(CURVES[:1]).axes
    (intervals,) = axes.collections
    ends = [segment[:, 1].tolist() for segment in intervals.get_segments()]
    assert ends == [[0.0, 2.0], [1.0, 3.0], [3.0, 5.0]]


def test_the_command_takes_the_folder_or_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    BudgetFile(curves=CURVES).write(tmp_path / "budget.json")
    for place in (".", "budget.json"):
        done = CliRunner().invoke(app, ["tuning", place], catch_exceptions=False)
        assert done.stdout == "tuning-budget.png\n"
        assert (tmp_path / "tuning-budget.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "tuning-budget.png").unlink()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read .*budget.json: No such file or directory; `mpobench tune` makes it"),
        ("{}x", "budget.json is no score against budget: "),
        ('{"format": "other/1"}', "budget.json is no score against budget: format: "),
        ('{"format": "mpobench-tuning-budget/1"}', "has no curve"),
    ],
)
def test_what_is_no_score_against_budget(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "budget.json").write_text(content)
    with pytest.raises(RequestError) as caught:
        CliRunner().invoke(
            app, ["tuning", str(tmp_path), "--output", str(tmp_path / "a.png")], catch_exceptions=False
        )
    assert re.search(message, str(caught.value))
