"""``+``: several corruptions of one dataset, each deciding its own part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import SerializeAsAny

from mpobench.errors import SpecError
from mpobench.protocols import DatasetCorruption

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DECISIONS = ("sources", "preference", "flip")


def decisions(corruption: DatasetCorruption) -> frozenset[str]:
    """The decisions of a corruption among ``sources``, ``preference`` and ``flip``; none for *base*."""
    if isinstance(corruption, ComposedCorruption):
        return frozenset().union(*map(decisions, corruption.parts))
    return frozenset(
        name for name in _DECISIONS if getattr(type(corruption), name) is not getattr(DatasetCorruption, name)
    )


class ComposedCorruption(DatasetCorruption):
    """Corruptions that decide different things; labels are flipped once per part that flips.

    Attributes:
        parts: Corruptions in the order in which they draw from the random generator.
    """

    parts: tuple[SerializeAsAny[DatasetCorruption], ...]

    def sources(self, pairs: int, rng: np.random.Generator) -> NDArray[np.int8]:
        """``(pairs, 2)``: as the one part that decides it says."""
        return self._who_decides("sources").sources(pairs, rng)

    def preference(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(pairs,)``: as the one part that decides it says."""
        return self._who_decides("preference").preference(returns)

    def flip(self, pairs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """``(pairs,)``: the exclusive or of the parts' flips, which are independent of each other."""
        flipped = DatasetCorruption().flip(pairs, rng)
        for part in self.parts:
            flipped = flipped ^ part.flip(pairs, rng)
        return flipped

    def _who_decides(self, decision: str) -> DatasetCorruption:
        return next((part for part in self.parts if decision in decisions(part)), DatasetCorruption())


def compose(parts: Sequence[tuple[str, DatasetCorruption]]) -> DatasetCorruption:
    """Composes corruptions that decide something; one alone stays itself.

    Args:
        parts: (spec, corruption), at least one.

    Raises:
        SpecError: If two parts decide the sources, or two the preference.
    """
    for decision in ("sources", "preference"):
        claims = [text for text, part in parts if decision in decisions(part)]
        if len(claims) > 1:
            raise SpecError(f"{claims[0]!r} and {claims[1]!r} cannot be added: both decide the {decision}")
    if len(parts) == 1:
        return parts[0][1]
    return ComposedCorruption(parts=tuple(part for _, part in parts))
