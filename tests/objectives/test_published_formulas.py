"""Built-in objectives against their published formulas, evaluated on probabilities in 40 digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from mpmath import mp, mpf
from objective_samples import CARDS, VARIANTS, Pairs, numeric_fields, random_pairs, torch_gradients

from mpobench import Objective

mp.dps = 40
ZERO, STEP = mpf(0), mpf(10) ** -12


def sigma(x: mpf) -> mpf:
    return 1 / (1 + mp.exp(-x))


@dataclass(frozen=True)
class Trajectories:
    """What the formulas speak of: probabilities of the chosen (w) and rejected (l) side, and lengths."""

    pi_w: mpf
    pi_l: mpf
    ref_w: mpf
    ref_l: mpf
    n_w: mpf
    n_l: mpf
    t: mpf


def odds(p: mpf) -> mpf:
    return p / (1 - p)


def tampo(o: SimpleNamespace, x: Trajectories) -> mpf:
    alpha = {"linear": x.t, "quadratic": x.t * x.t, "sigmoid": sigma(20 * (x.t - mpf("0.75")))}[o.schedule]
    preference = mp.log(sigma(o.beta * (mp.log(x.pi_w) - mp.log(x.pi_l)) - o.gamma))
    return (1 - alpha) * mp.log(x.pi_w) + alpha * preference


# Table 4 (to be maximised), §2.1, §4.2 and Eq. 13 of the benchmark's paper, in its own notation. π(τ) is the
# product over steps, or under reduction=mean its geometric mean. Where a formula divides by the length
# itself, `root` is that geometric mean under either reduction.
PUBLISHED: dict[str, Callable[[SimpleNamespace, Trajectories, Trajectories], mpf]] = {
    "rrhf": lambda o, x, root: o.lam * mp.log(x.pi_w) - max(ZERO, -mp.log(root.pi_w) + mp.log(root.pi_l)),
    "slic": lambda o, x, root: o.lam * mp.log(x.pi_w) - max(ZERO, o.delta - mp.log(x.pi_w) + mp.log(x.pi_l)),
    "dpo": lambda o, x, root: mp.log(
        sigma(o.beta * mp.log(x.pi_w / x.ref_w) - o.beta * mp.log(x.pi_l / x.ref_l))
    ),
    "ipo": lambda o, x, root: -((mp.log(x.pi_w / x.ref_w) - mp.log(x.pi_l / x.ref_l) - 1 / (2 * o.tau)) ** 2),
    "cpo": lambda o, x, root: (
        mp.log(x.pi_w) + mp.log(sigma(o.beta * mp.log(x.pi_w) - o.beta * mp.log(x.pi_l)))
    ),
    "orpo": lambda o, x, root: (
        mp.log(root.pi_w) + o.lam * mp.log(sigma(mp.log(odds(root.pi_w)) - mp.log(odds(root.pi_l))))
    ),
    "rdpo": lambda o, x, root: mp.log(
        sigma(
            o.beta * mp.log(x.pi_w / x.ref_w)
            - o.beta * mp.log(x.pi_l / x.ref_l)
            + (o.alpha * x.n_w - o.alpha * x.n_l)
        )
    ),
    "simpo": lambda o, x, root: mp.log(
        sigma(o.beta * mp.log(root.pi_w) - o.beta * mp.log(root.pi_l) - o.gamma)
    ),
    "sft": lambda o, x, root: mp.log(x.pi_w),
    "lpo": lambda o, x, root: o.lam * mp.log(x.pi_w) - mp.log(x.pi_l),
    "tampo": lambda o, x, root: tampo(o, x),
}

BUILT_IN = {name for name, registered in CARDS.items() if registered.distribution == "mpobench"}
BUILT_IN_VARIANTS = {text: built for text, built in VARIANTS.items() if text.partition(":")[0] in PUBLISHED}


def published_loss(
    name: str, objective: Objective, pairs: Pairs, row: int, chosen: mpf, rejected: mpf
) -> mpf:
    """Minus the published objective, as a function of the two totals."""
    fields = SimpleNamespace(
        **{
            field: mpf(value) if isinstance(value, float) else value
            for field, value in objective.model_dump().items()
        }
    )
    n_w, n_l = mpf(pairs.chosen_length[row]), mpf(pairs.rejected_length[row])

    def trajectories(steps_w: mpf, steps_l: mpf) -> Trajectories:
        return Trajectories(
            pi_w=mp.exp(chosen / steps_w),
            pi_l=mp.exp(rejected / steps_l),
            ref_w=mp.exp(mpf(pairs.reference_chosen[row]) / steps_w),
            ref_l=mp.exp(mpf(pairs.reference_rejected[row]) / steps_l),
            n_w=n_w,
            n_l=n_l,
            t=mpf(pairs.progress),
        )

    root, product = trajectories(n_w, n_l), trajectories(mpf(1), mpf(1))
    return -PUBLISHED[name](fields, root if getattr(fields, "reduction", "sum") == "mean" else product, root)


def published_gradients(
    name: str, objective: Objective, pairs: Pairs
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss and its derivatives in both totals, by differences in 40 digits."""
    rows = []
    for row in range(len(pairs.chosen)):

        def loss(to_chosen: mpf = ZERO, to_rejected: mpf = ZERO, row: int = row) -> mpf:
            chosen, rejected = mpf(pairs.chosen[row]) + to_chosen, mpf(pairs.rejected[row]) + to_rejected
            return published_loss(name, objective, pairs, row, chosen, rejected)

        by_chosen = (loss(to_chosen=STEP) - loss(to_chosen=-STEP)) / (2 * STEP)
        by_rejected = (loss(to_rejected=STEP) - loss(to_rejected=-STEP)) / (2 * STEP)
        rows.append([float(loss()), float(by_chosen), float(by_rejected)])
    return tuple(np.array(rows).T)


def drawn_fields(objective: Objective, seed: int) -> Objective:
    """The objective with its numbers drawn from their search ranges (seed 0: the defaults)."""
    rng = np.random.default_rng(seed)
    drawn = {
        name: float(np.exp(rng.uniform(np.log(field["search"]["low"]), np.log(field["search"]["high"]))))
        for name, field in numeric_fields(objective).items()
    }
    return type(objective)(**(objective.model_dump() | drawn)) if seed else objective


def test_every_built_in_has_its_formula_here():
    assert set(PUBLISHED) == BUILT_IN


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("text", BUILT_IN_VARIANTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 1e-4)])
def test_value_and_gradient_are_the_published_ones(text, seed, dtype, tolerance):
    objective = drawn_fields(BUILT_IN_VARIANTS[text], seed)
    pairs = random_pairs(seed, pairs=8).rounded(dtype)
    expected = published_gradients(text.partition(":")[0], objective, pairs)
    got = torch_gradients(objective, pairs, dtype)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(
            ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max(initial=1e-3)
        )
