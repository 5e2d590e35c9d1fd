"""``mpobench plot profiles``: curves are the shares of runs above, and what cannot be drawn is refused in one line."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import mpobench
from mpobench.leaderboard.standings import standings
from mpobench.results.cell_result import CellResult
from mpobench.results.store import write_jsonl
from mpobench_plots.commands import app
from mpobench_plots.profiles import profiles_figure


def cells(objectives: int = 3, seeds: int = 4, env: str = "tla", scores: bool = True) -> Iterator[CellResult]:
    draw = random.Random(env)
    for objective in [f"dpo:beta={beta}" for beta in range(1, objectives + 1)]:
        for corruption in ("base", "mixed"):
            for seed in range(seeds):
                score = draw.gauss(50, 20)
                yield CellResult(
                    key=f"{env}-{objective}-{corruption}-{seed}".replace(":", "-").replace("=", "-"),
                    training_key="t",
                    dataset_key="d",
                    env=env,
                    corruption=corruption,
                    objective=objective,
                    evaluator="return",
                    seed=seed,
                    scale="quick",
                    origin="human",
                    plugin="mpobench 0.1.0",
                    status="ok",
                    metrics={"return": 30 * score, **({"normalised_score": score} if scores else {})},
                    primary="return",
                )


def test_curves_are_the_shares_of_runs_above() -> None:
    results = list(cells())
    figure = profiles_figure(standings(results))
    (axes,) = figure.axes
    (legend,) = figure.legends
    assert len(axes.get_lines()) == 3
    assert len(axes.collections) == 3
    for curve, text in zip(axes.get_lines(), legend.get_texts(), strict=True):
        own = [r.metrics["normalised_score"] for r in results if r.objective == text.get_text()]
        for at in (0, 100, 200, 300, 400):
            x, y = curve.get_xdata()[at], curve.get_ydata()[at]
            assert y == pytest.approx(np.mean([score > x for score in own]))
        assert (curve.get_ydata()[0], curve.get_ydata()[-1]) == (1, 0)


def test_tables_have_panels_and_rows_one_look() -> None:
    figure = profiles_figure(standings([*cells(8), *cells(7, env="hopper"), *cells(1, env="ant")]))
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title().split(",")[0] for axes in panels] == ["ant", "hopper", "tla"]
    assert [len(axes.collections) for axes in panels] == [1, 0, 0], "bands of many rows would hide each other"
    assert len(figure.legends[0].get_texts()) == 8


def plot(*args: object) -> str:
    return CliRunner().invoke(app, ["profiles", *map(str, args)], catch_exceptions=False).stdout


def test_the_command_draws_the_rows_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl([*cells(), *cells(env="hopper", scores=False)], Path("mine.jsonl"))
    assert plot("mine.jsonl", "--objectives", "dpo:beta=2,dpo:beta=1") == "profiles-mine.png\n"
    with Image.open("profiles-mine.png") as image:
        assert image.format == "PNG"


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["nowhere"], "no results at nowhere"),
        (
            ["mine.jsonl", "--objectives", "dpo:beta=9"],
            "no results of objective 'dpo:beta=9' in mine.jsonl: did you",
        ),
        (["mine.jsonl"], "no profile to draw from mine.jsonl: no objective has a normalised score"),
        (["mine.jsonl", "--output", "a.pdf"], "--output a.pdf: pictures are .png or .svg"),
    ],
)
def test_bad_requests_are_one_line(
    args: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(cells(scores=False), Path("mine.jsonl"))
    with pytest.raises(mpobench.RequestError) as refusal:
        plot(*args)
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)
