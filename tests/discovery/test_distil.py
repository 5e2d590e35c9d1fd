"""Distilling: a polynomial is found again, and others come as near as another evaluation says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_file_samples import one_step

import mpobench
from mpobench import Objective, PreferenceBatch, RequestError, SequenceLogps
from mpobench_discovery.distil import accuracy, distilled
from mpobench_discovery.polynomial import Polynomial, fitted
from mpobench_discovery.slopes import STRETCHES, Floats, Points, changes, grid, slopes


def scattered(seed: int, spread: float = 3.0, pairs: int = 100) -> Points:
    """Pairs around log π = −9 whose margins are of either sign."""
    rng = np.random.default_rng(seed)
    middle, half = -9 + rng.normal(size=pairs), spread * rng.normal(size=pairs) / 2
    return Points(middle + half, middle - half)


def polynomial(**fields: Any) -> Objective:
    return type(mpobench.objective("mpo-polynomial"))(**fields)


def by_torch(objective: Objective, points: Points) -> Floats:
    """The gradients again, by another library, in another precision, with all pairs in one batch."""
    sides = [torch.tensor(side, requires_grad=True) for side in (points.chosen, points.rejected)]
    batch = PreferenceBatch(*(SequenceLogps(side, torch.ones_like(side)) for side in sides))
    found = torch.autograd.grad(objective.loss(batch).sum(), sides, allow_unused=True)
    return np.stack([np.zeros(len(points.chosen)) if g is None else g.numpy() for g in found], axis=1)


def test_the_papers_cubic_is_found_again() -> None:
    found = distilled(mpobench.objective("mpo-mixed"), scattered(0).spread())
    low, high = found.polynomial.low, found.polynomial.high
    assert found.polynomial == Polynomial(0.82, (1.7, 0.33, 0.36), low, high)
    assert found.polynomial.formula.startswith("loss = −0.82 log π_w − (1.7 d + 0.33 d² + 0.36 d³),  d = ")
    assert found.polynomial.increasing
    assert found.errors.keys() == {1, 2, 3, 4, 5}
    assert min(found.errors[1], found.errors[2]) > 0.1 > 1e-5 > found.accuracy.error
    assert found.accuracy.explained == pytest.approx(1)
    assert found.accuracy.cosine == pytest.approx(1)


NUMBERS = st.floats(-3, 3).map(lambda number: round(number, 2))


@given(seed=st.integers(0, 1000), alpha=st.floats(0.01, 3), terms=st.tuples(*[NUMBERS] * 5))
def test_any_polynomial_is_found_again(seed: int, alpha: float, terms: tuple[float, ...]) -> None:
    points = scattered(seed).within(-5.0, 5.0)
    gradients = by_torch(polynomial(**Polynomial(alpha, terms, -5.0, 5.0).fields), points)
    again = fitted(points, gradients, 5, -5.0, 5.0)
    np.testing.assert_allclose(again.slopes(points), gradients, atol=1e-3 * np.abs(gradients).max())


@pytest.mark.parametrize(("spec", "formula"), [("sft", "−1 log π_w"), ("lpo", "−9 log π_w − (1 d)")])
def test_what_is_linear_stays_linear(spec: str, formula: str) -> None:
    found = distilled(mpobench.objective(spec), scattered(1))
    assert found.degree == 1
    assert found.polynomial.formula.startswith(f"loss = {formula},  d = ")
    assert found.accuracy.error < 1e-6
    assert found.accuracy.explained == 1


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_the_log_sigmoid_of_narrow_margins_is_its_series(beta: float) -> None:
    """The series of λ log σ(β d) is λ (β d/2 − β² d²/8 + β⁴ d⁴/192 − …)."""
    source = mpobench.objective(f"mpo-log-sigmoid:alpha=0.7,lam=3,beta={beta}")
    found = distilled(source, scattered(2, spread=0.05 / beta), (2,)).polynomial
    assert found.alpha == pytest.approx(0.7, rel=1e-3)
    np.testing.assert_allclose(found.coefficients, [3 * beta / 2, -3 * beta**2 / 8], rtol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_errors_are_what_another_evaluation_finds(seed: int) -> None:
    objective = one_step(lam=0.3 + seed)
    points = scattered(seed).spread()
    found = distilled(objective, points, (3,))
    low, high = points.central()
    assert (found.polynomial.low, found.polynomial.high) == (low, high)
    inside = (points.margins >= low) & (points.margins <= high)
    assert found.points == inside.sum()
    assert 0.94 < inside.mean() <= 1

    here = Points(points.chosen[inside], points.rejected[inside])
    theirs, ours = by_torch(objective, here), by_torch(polynomial(**found.polynomial.fields), here)
    lengths = [float(np.hypot(*row)) for row in theirs]
    limit = sorted(lengths)[len(lengths) // 2]
    shares = np.array([min(1.0, limit / length) for length in lengths])[:, None]
    missed, total = ((shares * (theirs - ours)) ** 2).sum(), ((shares * theirs) ** 2).sum()
    mean = np.average(theirs, axis=0, weights=shares[:, 0] ** 2)
    spread = ((shares * (theirs - mean)) ** 2).sum()
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(theirs, ours, strict=True)]
    assert found.accuracy.error == pytest.approx(np.sqrt(missed / total), rel=0.02)
    assert found.accuracy.explained == pytest.approx(1 - missed / spread, abs=0.02)
    assert found.accuracy.cosine == pytest.approx(np.mean(cosines), abs=1e-4)
    assert found.accuracy.largest == pytest.approx(np.linalg.norm(theirs - ours, axis=1).max(), rel=0.1)
    assert found.accuracy.median == pytest.approx(np.median(lengths), rel=1e-3)


def test_no_other_numbers_come_nearer() -> None:
    """Least squares by another way: whatever is changed, the stated error grows."""
    points = scattered(3)
    low, high = points.central()
    here = points.within(low, high)
    gradients = slopes(one_step(), here)
    best = fitted(here, gradients, 3, low, high)
    error = accuracy(gradients, best.slopes(here)).error
    for at in range(4):
        for factor in (0.97, 1.03):
            numbers = [best.alpha, *best.coefficients]
            numbers[at] *= factor
            other = Polynomial(numbers[0], tuple(numbers[1:]), low, high)
            assert accuracy(gradients, other.slopes(here)).error > error


def test_a_few_enormous_gradients_do_not_decide() -> None:
    points = scattered(4)
    low, high = points.central()
    here = points.within(low, high)
    gradients = slopes(mpobench.objective("mpo-mixed"), here)
    spoilt = gradients.copy()
    spoilt[:2] = [-1e6, 1e6]
    found = fitted(here, spoilt, 3, low, high)
    np.testing.assert_allclose(found.slopes(here), gradients, rtol=0.2, atol=0.5)
    judged = accuracy(spoilt, found.slopes(here))
    assert judged.error < 0.25
    assert judged.largest > 1e6


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), degree=st.integers(1, 5))
def test_what_increases_has_a_polynomial_that_increases_for_ever(seed: int, degree: int) -> None:
    """At both ends at least, beyond which it goes on; its slope is that of the nearest end."""
    rng, points = np.random.default_rng(seed), scattered(seed)
    low, high = points.central()
    here = points.within(low, high)
    steps = np.sort(rng.normal(scale=2, size=3))
    up = np.select([here.margins < steps[0], here.margins < steps[1]], rng.random(2) * 9, 0.1)
    found = fitted(here, np.stack([-0.5 - up, up], axis=1), degree, low, high)
    far = Points(np.array([low, low - 9, high, high + 9]), np.zeros(4))
    by_rejected = found.slopes(far)[:, 1]
    assert (by_rejected >= -0.01).all()
    np.testing.assert_array_equal(by_rejected[::2], by_rejected[1::2])
    assert found.alpha >= 0


def test_cloning_has_no_negative_weight() -> None:
    """The loss pushes the chosen side down: no polynomial may."""
    points = scattered(5)
    low, high = points.central()
    up = np.stack([np.ones(100), np.ones(100)], axis=1)
    assert fitted(points, up, 1, low, high).alpha == 0


@pytest.mark.parametrize(
    ("terms", "increasing"),
    [
        ((1.0,), True),
        ((-1.0,), False),
        ((0.0,), True),
        ((1.0, 0.4), False),
        ((1.0, 0.2), True),
        ((0.0, 0.0, 1.0), True),
        ((0.1, 0.0, -1.0, 0.0, 1.0), False),
    ],
)
def test_whether_a_polynomial_increases(terms: tuple[float, ...], increasing: bool) -> None:
    found = Polynomial(1.0, terms, -2.0, 2.0)
    assert found.increasing == increasing
    slope = found.derivative(np.linspace(-2, 2, 1001))
    assert (slope.min() >= -1e-9) == increasing


@pytest.mark.parametrize(
    ("numbers", "formula"),
    [
        ((0.82, (1.7, -0.33, 0.36), -1.2, 2.3), "−0.82 log π_w − (1.7 d − 0.33 d² + 0.36 d³)"),
        ((0.0, (-1.7, 0.0, 1e-5), -1.2, 2.3), "−(−1.7 d + 1e−05 d³)"),
        ((0.5, (0.0,), -1.2, 2.3), "−0.5 log π_w"),
        ((0.0, (0.0,), -1.2, 2.3), "0"),
    ],
)
def test_the_formula_in_words(numbers: Any, formula: str) -> None:
    words = f"loss = {formula},  d = log π_w − log π_l in [−1.2, 2.3]"
    assert Polynomial(*numbers).formula == words


def test_other_policies_see_pairs_further_apart_or_the_other_way_round() -> None:
    points = scattered(6)
    seen = points.spread()
    top = max(points.chosen.max(), points.rejected.max())
    assert len(seen.chosen) == len(seen.rejected) == 400
    assert max(seen.chosen.max(), seen.rejected.max()) == pytest.approx(top)
    for part, factor in zip(np.split(seen.margins, 4), (*STRETCHES, -1), strict=True):
        np.testing.assert_allclose(part, factor * points.margins)
    np.testing.assert_allclose(seen.chosen[:100], points.chosen)
    np.testing.assert_allclose(seen.chosen[-100:], points.rejected)


def test_a_lonely_trajectory_stays_outside_the_range() -> None:
    points = scattered(7)
    points.rejected[0] = -400
    low, high = points.central()
    assert -9 < low < 0 < high < 9
    above = Points(np.array([-7.0, -6.0]), np.array([-9.0, -8.5]))
    assert above.central() == (0.0, pytest.approx(2.5, abs=0.05))
    with pytest.raises(RequestError, match="equally likely"):
        Points(np.ones(3), np.ones(3)).central()


def test_only_what_changes_with_progress_says_so() -> None:
    points = grid(-14, -8, 5)
    assert len(points.chosen) == 25
    assert {spec: changes(mpobench.objective(spec), points) for spec in ("orpo", "tampo", "sft")} == {
        "orpo": False,
        "tampo": True,
        "sft": False,
    }
