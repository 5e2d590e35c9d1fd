"""The loss of a single pair is the loss of a batch that holds it alone, in any library, and it has a gradient."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import mpobench
from mpobench import PreferenceBatch, SequenceLogps
from mpobench.protocols.pair_loss import pair_loss

CHOSEN, REJECTED, REFERENCE, PROGRESS = -9.25, -11.5, (-10.0, -10.5), 0.75


@pytest.mark.parametrize("name", ["orpo", "simpo", "dpo", "tampo", "kto"])
def test_every_library_gives_the_loss_of_a_batch_of_one(name: str) -> None:
    objective = mpobench.objective(name)

    def side(logp: float) -> SequenceLogps:
        return SequenceLogps(np.array([logp]), np.ones(1))

    sides: Any = map(side, (CHOSEN, REJECTED, *REFERENCE))
    expected = objective.loss(PreferenceBatch(*sides, progress=PROGRESS))[0]
    for make in (np.asarray, jnp.asarray, torch.tensor):
        value = pair_loss(objective, make(CHOSEN), make(REJECTED), REFERENCE, PROGRESS)
        assert float(value) == pytest.approx(float(expected), rel=1e-5)


def test_it_is_differentiated_without_a_reference() -> None:
    objective = mpobench.objective("orpo")

    def loss(chosen: Any, rejected: Any) -> Any:
        return pair_loss(objective, chosen, rejected)

    slopes = jax.grad(loss, argnums=(0, 1))(jnp.float32(CHOSEN), jnp.float32(REJECTED))
    step = 1e-5
    for place, slope in enumerate(slopes):
        ends = []
        for way in (step, -step):
            pair = [np.asarray(CHOSEN), np.asarray(REJECTED)]
            pair[place] = pair[place] + way
            ends.append(float(loss(np.asarray(pair[0]), np.asarray(pair[1]))))
        assert float(slope) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3)
