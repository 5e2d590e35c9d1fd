"""Tunings of bandits in this process, and entries of tuned files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import bandit_plugin
import faulty_plugin
import in_process
import pytest
from pydantic import Field

import mpobench_corruptions.hooks
import mpobench_objectives.hooks
from mpobench import Objective, ObjectiveCard, hookimpl
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_file import TunedEntry
from mpobench.registry.registry import Registry
from mpobench.tuning.settings import Tuning
from mpobench.tuning.study import Study, plan_studies
from mpobench.tuning.tune import Tuned, tune

MODULES = (bandit_plugin, faulty_plugin, in_process, mpobench_objectives.hooks, mpobench_corruptions.hooks)
SMALL = {"trials": 16, "rungs": (1, 2, 4), "held_out": 3}


def tuning_registry() -> Registry:
    """Bandits, faults, a launcher in this process, and the published objectives and corruptions."""
    return Registry.of_modules([(module, module.__name__, "1.0") for module in MODULES])


def suite_of(**fields: Any) -> Suite:
    return Suite.of(
        {"envs": "bandit", "scale": "smoke", "objectives": "dpo", "launcher": "in-turn", **fields}
    )


def tuned_in(
    folder: Path,
    registry: Registry,
    budget: dict[str, Any] | None = None,
    everywhere: bool = False,
    **fields: Any,
) -> tuple[Tuned, list[str]]:
    """Tunes in a folder, with a cache in it; the outcome, and the lines for the user."""
    notes: list[str] = []
    tuning = Tuning.of({**SMALL, **(budget or {})}, "smoke")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPOBENCH_CACHE", str(folder / "cache"))
        place = folder / "tuning"
        done = tune(suite_of(**fields), tuning, place, registry, notes.append, everywhere=everywhere)
    return done, notes


def entry(**fields: Any) -> TunedEntry:
    """An entry for ``dpo`` on the bandit."""
    return TunedEntry.model_validate(
        {
            "env": "bandit",
            "corruption": "base",
            "objective": "dpo",
            "scale": "smoke",
            "evaluator": "payoff",
            "score": 0.5,
            "trials": 8,
            "trainings": 20,
            "tuning_seeds": "1000 to 1003",
            "held_out_seeds": "2000 to 2002",
            "dataset": "key",
            "mpobench": "0.1.0",
            **fields,
        }
    )


REGISTRY = tuning_registry()


def study_of(objective: str = "dpo", **fields: Any) -> Study:
    """The study of one objective at a small budget."""
    tuning = Tuning.of(SMALL, "smoke")
    (study,) = plan_studies(suite_of(objectives=objective, **fields), tuning, REGISTRY).studies
    return study


class Choosy(Objective):
    """Choices, a whole number, and a default outside of its range."""

    kind: Literal["a", "b", "c"] = Field("c", json_schema_extra={"search": {"choices": ["a", "b"]}})
    flag: bool = Field(False, json_schema_extra={"search": {"choices": [True, False]}})
    free: Literal["x", "y"] = "x"
    steps: int = Field(3, ge=1, json_schema_extra={"search": {"low": 1, "high": 9}})
    gamma: float = Field(0.0, ge=0, json_schema_extra={"search": {"low": 0.1, "high": 10.0, "log": True}})

    def loss(self, batch: Any) -> Any:
        return -batch.chosen.mean


class Greedy(Objective):
    """Cloning, in steps of a size."""

    gain: float = Field(0.3, gt=0, json_schema_extra={"search": {"low": 0.1, "high": 1.0, "log": True}})

    def loss(self, batch: Any) -> Any:
        return -self.gain * batch.chosen.mean


@hookimpl
def mpobench_objectives() -> Any:
    yield ObjectiveCard(name="choosy", summary="Choices", target="tuning_samples:Choosy")
    yield ObjectiveCard(name="greedy", summary="The more the better", target="tuning_samples:Greedy")


def with_toys() -> Registry:
    """The registry with the objectives of this module."""
    modules = (*MODULES, sys.modules[__name__])
    return Registry.of_modules([(module, module.__name__, "1.0") for module in modules])
