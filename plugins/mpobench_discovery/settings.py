"""The settings of a search: everything that decides its outcome, and nothing else.

Free of jax, so that a bad request is refused at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import Field, field_validator

from mpobench import RequestError
from mpobench.env_kit.env_file import Settings
from mpobench.protocols import JsonObject, Scale
from mpobench.registry.fields import validated

ENV, CORRUPTION, FAMILY = "tla", "base", "1s-mpo"
SCALE: Scale = "quick"
"""Where a search takes place that says nothing else."""

SCALES: dict[Scale, JsonObject] = {
    "smoke": {"population": 4, "generations": 2, "learning_rate": 0.03, "reach": 5.0, "datasets": 1},
    "quick": {"population": 32, "generations": 16, "learning_rate": 0.03, "reach": 5.0, "datasets": 8},
    "paper": {"population": 256, "generations": 256, "reach": 1.0, "datasets": 1},
}
"""Settings of each scale, below those of the environment (:class:`HasSearchDefaults`). ``paper`` is Table 8; the others
have few generations, and so take larger steps with the coefficients."""


def checked_scale(text: str) -> Scale:
    """A scale.

    Raises:
        RequestError: For another word.
    """
    for scale in SCALES:
        if scale == text:
            return scale
    raise RequestError(f"discover: scale={text!r}: choose one of {', '.join(SCALES)}")


@runtime_checkable
class HasSearchDefaults(Protocol):
    """An environment with settings of its own for the discovery of objectives."""

    def search_defaults(self, scale: Scale) -> JsonObject:
        """Values of fields of :class:`Search`, such as how members train; fields without one have general defaults."""


class Search(Settings):
    """Complete settings of a search: two searches with the same fields find the same objective.

    Attributes:
        population: Members of a generation, in antithetic pairs.
        sigma: Standard deviation of their numbers around the mean, at the beginning.
        sigma_decay: Factor on it after each generation.
        learning_rate: Learning rate of Adam, on the mean.
        reach: Factor on spread and steps of single coefficients. A coefficient has much effect alone, whereas a larger
            spread turns an array of a hundred numbers into steep and useless functions.
        datasets: Number of datasets (labels and flips drawn anew) that the generations take turns with.
        average: Share of the generations, the last ones, whose means are averaged to the result; at least one is
            (Polyak & Juditsky, 1992: the average of a noisy search is nearer to the optimum than where it stands).
        training: Overrides of the environment's training configuration.
        evaluator: Evaluator whose first metric is the fitness; empty for the environment's own.
    """

    env: str = Field(ENV, description="environment")
    corruption: str = Field(CORRUPTION, description="dataset corruption")
    family: str = Field(FAMILY, description="objective whose functions are learned")
    learn: tuple[str, ...] = Field((), description="functions to learn; none means all that the start has")
    start: str | None = Field(
        None, description="objective file or spec to begin with; none means the family's own start"
    )
    scale: Scale = Field(SCALE, description="amount of work")
    seed: int = Field(0, ge=0, le=400, description="seed of the search")
    population: int = Field(ge=2, le=100_000, description="members of a generation")
    generations: int = Field(ge=1, le=1_000_000, description="number of generations")
    sigma: float = Field(0.03, gt=0, le=1, description="spread of the population")
    sigma_decay: float = Field(0.999, gt=0, le=1, description="factor on sigma after each generation")
    learning_rate: float = Field(0.02, gt=0, le=1, description="learning rate of Adam, on the mean")
    reach: float = Field(
        1.0,
        gt=0,
        le=100,
        description="factor on the steps of single coefficients, compared with arrays of weights",
    )
    datasets: int = Field(ge=1, le=1_000_000, description="datasets that the generations take turns with")
    average: float = Field(
        0.2, ge=0, le=1, description="share of the generations that the result averages over"
    )
    training: JsonObject = Field({}, description="overrides of the environment's training configuration")
    evaluator: str = Field("", description="evaluator whose first metric is the fitness")

    @field_validator("population")
    @classmethod
    def _pairs(cls, value: int) -> int:
        if value % 2:
            raise ValueError("members come in antithetic pairs: take an even number")
        return value

    @classmethod
    def of(cls, values: dict[str, Any], defaults: Callable[[str, Scale], JsonObject]) -> Search:
        """A search from plain values, None meaning the default.

        Args:
            values: Values that the user stated.
            defaults: Function of an environment's spec and the scale that returns its own values.

        Raises:
            RequestError: One line that names the field and what is allowed.
        """
        given = {key: value for key, value in values.items() if value is not None}
        scale = checked_scale(given.get("scale", SCALE))
        below = {**SCALES[scale], **defaults(given.get("env", ENV), scale)}
        training = {**below.get("training", {}), **given.get("training", {})}
        return validated(cls, {**below, **given, "training": training}, "discover", RequestError)

    @property
    def folder(self) -> Path:
        """Default folder of the search."""
        spec = f"{self.env}-{self.corruption}-{self.family}-{self.scale}".lower()
        kept = "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in spec)
        return Path("discoveries") / kept
