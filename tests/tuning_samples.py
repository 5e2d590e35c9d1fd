"""Tunings of bandits in this process, and entries of tuned files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bandit_plugin
import faulty_plugin
import in_process
import pytest

import mpobench_corruptions.hooks
import mpobench_objectives.hooks
from mpobench.planning.suite import Suite
from mpobench.planning.tuned_file import TunedEntry
from mpobench.registry.registry import Registry
from mpobench.tuning.settings import Tuning
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
    folder: Path, registry: Registry, budget: dict[str, Any] | None = None, **fields: Any
) -> tuple[Tuned, list[str]]:
    """Tunes in a folder, with a cache in it; the outcome, and the lines for the user."""
    notes: list[str] = []
    tuning = Tuning.of({**SMALL, **(budget or {})}, "smoke")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPOBENCH_CACHE", str(folder / "cache"))
        done = tune(suite_of(**fields), tuning, folder / "tuning", registry, notes.append)
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
