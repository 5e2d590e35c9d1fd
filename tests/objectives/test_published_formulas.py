"""Built-in objectives against their published formulas, evaluated on probabilities in 40 digits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from objective_samples import (
    CARDS,
    FILES,
    VARIANTS,
    family,
    has_networks,
    numeric_fields,
    torch_gradients,
)
from published_formulas import PUBLISHED, PUBLISHED_OF_BATCH, Trajectories

from mpobench import Objective
from mpobench.testing.pairs import Pairs, random_pairs

mp.dps = 40
STEP = mpf(10) ** -12

BUILT_IN = {
    name for name, registered in CARDS.items() if registered.distribution == "mpobench" and name not in FILES
}
WITH_FORMULA = {
    text: built
    for text, built in VARIANTS.items()
    if family(text.partition(":")[0]) in PUBLISHED.keys() | PUBLISHED_OF_BATCH.keys()
    and not has_networks(built)  # see test_mirror_networks.py
}


def exact(objective: Objective) -> SimpleNamespace:
    """The fields, numbers as mpmath's."""
    return SimpleNamespace(
        **{
            field: mpf(value) if isinstance(value, float) else value
            for field, value in objective.model_dump().items()
        }
    )


class Exact:
    """A batch in 40 digits: its losses by the published formula, and their sum's derivatives."""

    def __init__(self, name: str, objective: Objective, pairs: Pairs):
        self.name, self.fields, self.pairs = name, exact(objective), pairs
        self.mean = getattr(objective, "reduction", "sum") == "mean"
        self.rows = range(len(pairs.chosen))

    def trajectories(self, row: int, root: bool, to_chosen: Any = 0, to_rejected: Any = 0) -> Trajectories:
        """Row ``row`` with its totals moved, as products over the steps or as geometric means (``root``)."""
        pairs, n_w, n_l = self.pairs, mpf(self.pairs.chosen_length[row]), mpf(self.pairs.rejected_length[row])
        w, l = (n_w, n_l) if root else (mpf(1), mpf(1))  # noqa: E741
        return Trajectories(
            pi_w=mp.exp((mpf(pairs.chosen[row]) + to_chosen) / w),
            pi_l=mp.exp((mpf(pairs.rejected[row]) + to_rejected) / l),
            ref_w=mp.exp(mpf(pairs.reference_chosen[row]) / w),
            ref_l=mp.exp(mpf(pairs.reference_rejected[row]) / l),
            n_w=n_w,
            n_l=n_l,
            t=mpf(pairs.progress),
        )

    def losses(self, moved: int = 0, to_chosen: Any = 0, to_rejected: Any = 0) -> list[mpf]:
        """Minus the published objective of each row that row ``moved`` has a part in: its own, or the batch's."""
        if self.name in PUBLISHED:
            x, root = (self.trajectories(moved, root, to_chosen, to_rejected) for root in (self.mean, True))
            return [-PUBLISHED[self.name](self.fields, x, root)]
        here = [self.trajectories(row, self.mean) for row in self.rows]
        there = list(here)
        there[moved] = self.trajectories(moved, self.mean, to_chosen, to_rejected)
        return [-value for value in PUBLISHED_OF_BATCH[self.name](self.fields, there, here)]

    def values(self) -> list[float]:
        """Every row's loss."""
        if self.name in PUBLISHED:
            return [float(self.losses(row)[0]) for row in self.rows]
        return [float(value) for value in self.losses()]

    def derivatives(self, side: str) -> list[float]:
        """The sum of the losses by each row's total of one side, by differences."""

        def total(row: int, step: mpf) -> mpf:
            return sum(self.losses(row, **{side: step}))

        return [float((total(row, STEP) - total(row, -STEP)) / (2 * STEP)) for row in self.rows]


def drawn_fields(objective: Objective, seed: int) -> Objective:
    """The objective with its numbers drawn from their search ranges (seed 0: the defaults)."""
    rng = np.random.default_rng(seed)

    def drawn(low: float, high: float, log: bool) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))) if log else rng.uniform(low, high))

    fields = {name: drawn(**field["search"]) for name, field in numeric_fields(objective).items()}
    return type(objective)(**(objective.model_dump() | fields)) if seed else objective


def test_every_built_in_has_its_formula_here():
    assert PUBLISHED.keys() | PUBLISHED_OF_BATCH.keys() == BUILT_IN
    assert not PUBLISHED.keys() & PUBLISHED_OF_BATCH.keys()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("text", WITH_FORMULA)
def test_value_and_gradient_are_the_published_ones(text, seed):
    objective = drawn_fields(WITH_FORMULA[text], seed)
    for dtype, tolerance in (("float64", 1e-11), ("float32", 1e-4)):
        pairs = random_pairs(seed, pairs=6).rounded(dtype)
        formula = Exact(family(text.partition(":")[0]), objective, pairs)
        expected = (
            formula.values(),
            formula.derivatives("to_chosen"),
            formula.derivatives("to_rejected"),
        )
        for ours, theirs in zip(torch_gradients(objective, pairs, dtype), expected, strict=True):
            np.testing.assert_allclose(
                ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max(initial=1e-3)
            )
