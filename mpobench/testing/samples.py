"""Small components that stand beside the one under test: losses, corruptions, an environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from mpobench.protocols import (
    Array,
    DatasetCorruption,
    Env,
    JsonObject,
    Objective,
    PreferenceBatch,
    Scale,
    Trained,
    TrainingRequest,
    Workspace,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Cloning(Objective):
    """Supervised fine-tuning: −log π of the chosen side, per step."""

    def loss(self, batch: PreferenceBatch) -> Array:
        """``(pairs,)``."""
        return -batch.chosen.mean


class Contrast(Objective):
    """A two-stage loss: log(1 + exp(−Δ)), Δ being the margin of the mean log-ratios to the reference."""

    needs_reference: ClassVar[bool] = True
    beta: float = Field(1.0, gt=0, description="slope")

    def loss(self, batch: PreferenceBatch) -> Array:
        """``(pairs,)``."""
        chosen, rejected = batch.reference
        margin = batch.chosen.mean - chosen.mean - batch.rejected.mean + rejected.mean
        return batch.xp.logaddexp(batch.xp.zeros_like(margin), -self.beta * margin)


class Centred(Objective):
    """A loss that depends on its batch: −log π of the chosen side, relative to the mean of the batch, squared."""

    @property
    def min_pairs(self) -> int:
        """Two, of which there is a mean."""
        return 2

    def loss(self, batch: PreferenceBatch) -> Array:
        """``(pairs,)``."""
        return (batch.chosen.mean - batch.xp.mean(batch.chosen.mean)) ** 2


class Diverging(Objective):
    """A loss that is never finite."""

    def loss(self, batch: PreferenceBatch) -> Array:
        """``(pairs,)``."""
        return batch.chosen.mean * float("nan")


class Flips(DatasetCorruption):
    """A fifth of the labels is swapped."""

    rate: float = 0.2

    def flip(self, pairs: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """``(pairs,)``."""
        return rng.random(pairs) < self.rate


class Sides(DatasetCorruption):
    """Either agent generates either side."""

    def sources(self, pairs: int, rng: np.random.Generator) -> NDArray[np.int8]:
        """``(pairs, 2)``."""
        return rng.integers(0, 2, (pairs, 2)).astype("int8")


class Doubt(DatasetCorruption):
    """The judge tosses a coin."""

    def preference(self, returns: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(pairs,)``."""
        half: NDArray[np.float64] = 0.5 + 0.0 * returns[:, 0]
        return half


class ForeignEnv(Env):
    """An environment that no evaluator knows."""

    default_evaluators: ClassVar[tuple[str, ...]] = ()

    def dataset_config(self, scale: Scale) -> JsonObject:
        """Nothing."""
        return {}

    def training_config(self, request: TrainingRequest) -> JsonObject:
        """Nothing."""
        return {}

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        """No policy."""
        return Trained(None, {"loss": []})

    def save_policy(self, policy: Any, folder: Path) -> None:
        """Nothing."""

    def load_policy(self, folder: Path) -> Any:
        """No policy."""
        return None
