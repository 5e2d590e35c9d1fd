"""Each promise of a corruption, broken: the check finds it, and says so in one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import Field

from mpobench import DatasetCorruption
from mpobench.testing import check_corruption


class Sound(DatasetCorruption):
    """Labels are flipped at a rate."""

    rate: float = Field(0.3, ge=0, le=1, description="share of labels")

    def flip(self, pairs, rng):
        return rng.random(pairs) < self.rate


class ExactShare(Sound):
    def flip(self, pairs, rng):
        return rng.permutation(pairs) < self.rate * pairs


class Integers(Sound):
    def flip(self, pairs, rng):
        return super().flip(pairs, rng).astype(int)


class OneColumn(Sound):
    def sources(self, pairs, rng):
        return super().sources(pairs, rng)[:, 0]


class ThirdAgent(Sound):
    def sources(self, pairs, rng):
        return super().sources(pairs, rng) + np.int8(1)


class Unseeded(Sound):
    def flip(self, pairs, rng):
        return super().flip(pairs, np.random.default_rng())


class Fixed(Sound):
    def flip(self, pairs, rng):
        return super().flip(pairs, np.random.default_rng(7))


class RateOfSeed(Sound):
    def flip(self, pairs, rng):
        return rng.random(pairs) < rng.random()


class Beginning(Sound):
    def flip(self, pairs, rng):
        return super().flip(pairs, rng) & (np.arange(pairs) < pairs / 2)


class Overconfident(Sound):
    def preference(self, returns):
        return 2.0 * super().preference(returns)


class Overflowing(Sound):
    def preference(self, returns):
        better = np.exp(returns)
        return better[:, 0] / better.sum(axis=1)


class Ranking(Sound):
    def preference(self, returns):
        return 0.5 + 0.5 * (returns[:, 0] > returns.sum() / max(returns.size, 1))


class Moody(Sound):
    def preference(self, returns):
        return np.random.default_rng().random(len(returns))


class Counting(Sound):
    def flip(self, pairs, rng):
        return np.array([rng.random() < self.rate for _ in range(max(pairs, 1))])


BROKEN = [
    (Integers(), r"flip\(\) returned int64 \(0,\) for 0 pairs: return an array bool"),
    (OneColumn(), r"sources\(\) returned int8 \(0,\) for 0 pairs: return an array int8 \(0, 2\)"),
    (ThirdAgent(), "other agents than ORIGINAL, TARGET"),
    (Unseeded(), "differs for the same generator: draw from rng only"),
    (Fixed(), "is the same for every seed"),
    (RateOfSeed(), "depending on the seed: draw all pairs from one distribution"),
    (Beginning(), "in the first half of a dataset and 0.000 in the second"),
    (Overconfident(), "for returns of 1: return probabilities|for returns of 1e-06: return probabilities"),
    (
        Overflowing(),
        "raised RuntimeWarning: overflow .*: accept any number of pairs, and finite returns of any size",
    ),
    (Ranking(), "judge each pair by its own"),
    (Moody(), "differs for the same returns: draw nothing"),
    (Counting(), r"flip\(\) returned bool \(1,\) for 0 pairs"),
]


@pytest.mark.parametrize(("corruption", "sentence"), BROKEN, ids=lambda value: type(value).__name__)
def test_a_broken_promise_is_one_sentence(corruption: DatasetCorruption, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence) as caught:
        check_corruption(corruption)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("corruption", [Sound(), ExactShare(), Sound(rate=0), "noisy", "noisy:0.1"], ids=str)
def test_a_sound_one_passes(corruption: DatasetCorruption | str) -> None:
    check_corruption(corruption)
