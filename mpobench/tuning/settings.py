"""The request of a tuning: what is tuned, as a suite says it, and how much is spent on it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mpobench.errors import RequestError
from mpobench.planning.tuned_file import FIRST_HELD_OUT_SEED, FIRST_TUNING_SEED
from mpobench.protocols import Scale
from mpobench.registry.fields import validated
from mpobench.tuning.trial import BATCH

DEFAULTS: dict[Scale, dict[str, Any]] = {
    "smoke": {"trials": BATCH, "rungs": (1, 2), "held_out": 2},
    "quick": {"trials": 24, "rungs": (1, 3, 6), "held_out": 8},
    "paper": {"trials": 32, "rungs": (1, 3, 9), "held_out": 10},
}
"""What is spent at each scale unless the request says otherwise: at ``quick``, less than five minutes of two cores."""

MOST_SEEDS = FIRST_HELD_OUT_SEED - FIRST_TUNING_SEED


class Tuning(BaseModel):
    """How much is spent on each objective on each dataset: the same for all.

    Attributes:
        trials: Number of configurations to try, in batches.
        rungs: Number of tuning seeds after each rung of the race within a batch.
        held_out: Number of held-out seeds on which what was found is measured.
        seed: Seed of the proposals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int = Field(ge=BATCH, le=100_000, multiple_of=BATCH)
    rungs: tuple[int, ...] = Field(min_length=1)
    held_out: int = Field(ge=2, le=MOST_SEEDS)
    seed: int = Field(0, ge=0)

    @field_validator("rungs", mode="after")
    @classmethod
    def _rising(cls, rungs: tuple[int, ...]) -> tuple[int, ...]:
        rising = all(low < high for low, high in zip((0, *rungs), rungs, strict=False))
        if not rising or rungs[-1] > MOST_SEEDS:
            raise ValueError(f"{list(rungs)} do not rise from 1 to at most {MOST_SEEDS}: try 1,3,9")
        return rungs

    @classmethod
    def of(cls, values: Mapping[str, Any], scale: Scale) -> Tuning:
        """A request over the defaults of a scale; None means not given.

        Raises:
            RequestError: For a number that is not allowed.
        """
        given = {name: value for name, value in values.items() if value is not None}
        return validated(cls, {**DEFAULTS[scale], **given}, "tune", RequestError)

    @property
    def tuning_seeds(self) -> range:
        """Seeds of a trial that passes all rungs."""
        return range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + self.rungs[-1])

    @property
    def held_out_seeds(self) -> range:
        """Seeds that no trial uses."""
        return range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + self.held_out)

    @property
    def budgets(self) -> list[int]:
        """Numbers of trials at which the best one so far is measured: powers of two, and all."""
        powers = [2**power for power in range(self.trials.bit_length()) if 2**power < self.trials]
        return [*powers, self.trials]


def default_folder(envs: Iterable[str], scale: Scale) -> Path:
    """``tunings/tla-quick``."""
    names = re.sub(r"[^\w.]+", "-", "-".join(envs))
    return Path("tunings") / f"{names[:60]}-{scale}"
