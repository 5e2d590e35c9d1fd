"""Numbers to try a loss on: plausible pairs, and extreme ones."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mpobench.protocols import PreferenceBatch, SequenceLogps

Numbers: TypeAlias = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Pairs:
    """The numbers of a batch.

    Attributes:
        chosen: Log π(τ) of the chosen sides, ``(pairs,)`` in float64, in nats; likewise the next three.
        rejected: Rejected sides.
        reference_chosen: Chosen sides under the reference policy.
        reference_rejected: Rejected sides under the reference policy.
        chosen_length: Steps of the chosen sides, ``(pairs,)`` in float64.
        rejected_length: Steps of the rejected sides.
        progress: Share of training that is done.
    """

    chosen: Numbers
    rejected: Numbers
    reference_chosen: Numbers
    reference_rejected: Numbers
    chosen_length: Numbers
    rejected_length: Numbers
    progress: float = 0.4

    @property
    def arrays(self) -> dict[str, Numbers]:
        """All arrays, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "progress"}

    def rows(self, rows: Any) -> Pairs:
        """Some of the pairs, by any index of numpy."""
        return self._with({name: array[rows] for name, array in self.arrays.items()})

    def rounded(self, dtype: str) -> Pairs:
        """The nearest numbers that ``dtype`` can hold, still as float64."""
        return self._with(
            {name: array.astype(dtype).astype("float64") for name, array in self.arrays.items()}
        )

    def _with(self, arrays: dict[str, Any]) -> Pairs:
        return replace(self, **arrays)

    def batch(self, xp: Any, dtype: str, **replaced: Any) -> PreferenceBatch:
        """The batch in an array library.

        Args:
            xp: The library: ``numpy``, ``jax.numpy``, ``torch``.
            dtype: ``float32`` or ``float64``.
            **replaced: Arrays, or progress, that go in as they are.
        """
        converted = {
            name: xp.asarray(array, dtype=getattr(xp, dtype))
            for name, array in self.arrays.items()
            if name not in replaced
        }
        return batch_of({"progress": self.progress, **converted, **replaced})


def batch_of(arrays: dict[str, Any]) -> PreferenceBatch:
    """A batch from arrays, and progress, under the names of :class:`Pairs`."""
    return PreferenceBatch(
        chosen=SequenceLogps(arrays["chosen"], arrays["chosen_length"]),
        rejected=SequenceLogps(arrays["rejected"], arrays["rejected_length"]),
        reference_chosen=SequenceLogps(arrays["reference_chosen"], arrays["chosen_length"]),
        reference_rejected=SequenceLogps(arrays["reference_rejected"], arrays["rejected_length"]),
        progress=arrays["progress"],
    )


def random_pairs(seed: int, pairs: int = 16) -> Pairs:
    """Plausible pairs: 1 to 200 steps, means between −14 and −0.01 nats, a reference within 20 nats, below 1."""
    rng = np.random.default_rng(seed)
    length = rng.integers(1, 200, (2, pairs)).astype("float64")
    total = -rng.uniform(0.01, 14, (2, pairs)) * length
    reference = np.minimum(total + rng.uniform(-20, 20, (2, pairs)), -0.01 * length)
    chosen, rejected = zip(total, reference, length, strict=True)
    return Pairs(
        chosen=chosen[0],
        rejected=rejected[0],
        reference_chosen=chosen[1],
        reference_rejected=rejected[1],
        chosen_length=chosen[2],
        rejected_length=rejected[2],
        progress=float(rng.random()),
    )


_ZEROS, _SEVENS, _FIVES = np.zeros(6), np.full(6, -7.0), np.full(6, 5.0)

EXTREMES = {
    # log-ratios and margins of 10⁴ nats in either direction, over one step or a thousand
    "far apart": Pairs(
        chosen=np.array([-1e4, -1.0, -1e4, -1.0, -1e4, -1.0]),
        rejected=np.array([-1.0, -1e4, -1.0, -1e4, -1e4, -1.0]),
        reference_chosen=np.array([-1.0, -1e4, -1e4, -1.0, -1.0, -1e4]),
        reference_rejected=np.array([-1e4, -1.0, -1.0, -1e4, -1e4, -1.0]),
        chosen_length=np.array([1.0, 1.0, 1e3, 1e3, 1.0, 1e3]),
        rejected_length=np.array([1.0, 1.0, 1e3, 1e3, 1e3, 1.0]),
    ),
    "equal": Pairs(_SEVENS, _SEVENS, _SEVENS, _SEVENS, _FIVES, _FIVES),
    # π → 1 from below, and densities, whose logarithm may be 0 or positive
    "certain": Pairs(
        chosen=np.array([-1e-30, -0.0, 0.0, 5.0, -3.0, -1e-7]),
        rejected=np.array([-3.0, 0.0, -1e-30, -3.0, 5.0, -1e-7]),
        reference_chosen=_ZEROS,
        reference_rejected=_ZEROS,
        chosen_length=np.ones(6),
        rejected_length=np.ones(6),
    ),
}
"""Six pairs of each kind: a training meets them all."""
