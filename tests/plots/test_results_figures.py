"""Pictures of results: scores with intervals, and strips of films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_leaderboard import cell
from typer.testing import CliRunner

from mpobench.display.pictures import rendered
from mpobench.env_kit.films import Film, Shape
from mpobench.errors import RequestError
from mpobench.leaderboard.scores import score
from mpobench.leaderboard.standings import standings
from mpobench.results.store import write_jsonl
from mpobench_plots.commands import app
from mpobench_plots.film_strip import _seen, _turn, film_strip
from mpobench_plots.scores import scores_figure


def test_scores_are_means_with_their_intervals_best_first() -> None:
    cells = [
        cell(name, corruption, seed, value=value + 10 * seed)
        for name, value in (("dpo", 1000.0), ("sft", 2000.0))
        for corruption in ("base", "mixed")
        for seed in range(4)
    ]
    (section,) = standings(cells)
    figure = scores_figure([section])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sft", "dpo"]
    points = [line.get_xdata()[0] for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert points == [2015, 1015, 2015, 1015]
    spans = [tuple(line.get_xdata()) for line in axes.get_lines() if line.get_marker() == "None"]
    found = score(section, section.rows[0].entries["base"])
    assert found is not None
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) in spans
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["base", "mixed"]


def test_means_of_survivors_have_a_dagger() -> None:
    lost = {"status": "diverged", "reason": "it fell"}
    cells = [
        cell(name, "base", seed, value=value, **(lost if (name, seed) == ("dpo", 1) else {}))
        for name, value in (("dpo", 1000.0), ("sft", 2000.0))
        for seed in range(3)
    ]
    (axes,) = scores_figure(standings(cells)).axes
    assert [(text.get_text(), text.xy[0]) for text in axes.texts] == [("†", 1000.0)]
    assert "† some seeds did not finish" in axes.get_xlabel()
    (axes,) = scores_figure(standings([each for each in cells if each.status == "ok"])).axes
    assert not axes.texts
    assert "†" not in axes.get_xlabel()


def test_scores_of_what_did_not_finish_are_left_out(tmp_path: Path) -> None:
    cells = [cell("dpo"), cell("sft", status="error", reason="it fell")]
    assert rendered(scores_figure(standings(cells)), ".svg")
    write_jsonl(cells[1:], tmp_path / "none.jsonl")
    with pytest.raises(RequestError, match="nothing to draw"):
        CliRunner().invoke(app, ["scores", str(tmp_path / "none.jsonl")], catch_exceptions=False)


def test_quaternions_turn_as_scipys_do() -> None:
    rng = np.random.default_rng(0)
    for rotation in Rotation.random(5, rng):
        vectors = rng.normal(size=(7, 3))
        x, y, z, w = rotation.as_quat()
        np.testing.assert_allclose(
            _turn(np.array([w, x, y, z]), vectors), rotation.apply(vectors), atol=1e-12
        )


def test_the_camera_keeps_lengths_and_up() -> None:
    points = np.random.default_rng(1).normal(size=(6, 3))
    seen = _seen(points, np.zeros(3))
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), np.linalg.norm(points, axis=1))
    assert np.linalg.det(np.linalg.lstsq(points, seen, rcond=None)[0]) == pytest.approx(1), "no mirror"
    (zenith,) = _seen(np.array([[0.0, 0.0, 1.0]]), np.zeros(3))
    assert zenith[0] == pytest.approx(0)
    assert zenith[1] > 0.9


def test_a_strip_has_a_row_for_each_film_and_the_return_above_each_frame() -> None:
    ball = Shape(
        kind="sphere", link=0, position=(0, 0, 0), rotation=(1, 0, 0, 0), size=(0.3, 0, 0), color=(1, 0, 0)
    )
    film = Film(
        shapes=(ball,), links=("ball",), frame_seconds=0.5, ended=False,
        positions=tuple(((0.1 * at, 0.0, 0.3),) for at in range(9)),
        rotations=tuple(((1.0, 0.0, 0.0, 0.0),) for _ in range(9)),
        earned=tuple(-2.0 * at for at in range(9)),
    )  # fmt: skip
    figure = film_strip({"first $a$": film, "second": film}, frames=3)
    assert len(figure.axes) == 6
    assert [axes.get_title() for axes in figure.axes[:3]] == ["0.0 s: 0", "2.0 s: −8", "4.0 s: −16"]
    assert figure.axes[3].texts[0].get_text() == "second"
    assert rendered(figure, ".png") == rendered(
        film_strip({"first $a$": film, "second": film}, frames=3), ".png"
    )


def test_rollouts_of_what_cannot_be_looked_at_are_refused() -> None:
    for args, words in (
        (["rollout", "smollm-style"], "smollm-style has nothing to look at: try tla"),
        (["rollout", "tla", "--results", "leaderboards/hopper.jsonl"], "no cell of sft on tla base, seed 0$"),
        (
            ["rollout", "tla", "--results", "leaderboards/tla.jsonl", "--scale", "smoke"],
            "tla.jsonl has no cell of sft on tla base, seed 0, at smoke scale",
        ),
    ):
        with pytest.raises(RequestError, match=words):
            CliRunner().invoke(app, args, catch_exceptions=False)
