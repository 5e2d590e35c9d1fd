"""The bandit benchmark as what is installed, for commands that run in this process."""

from __future__ import annotations

import bandit_plugin
import faulty_plugin
import in_process

import mpobench_corruptions.hooks
import mpobench_objectives.hooks
from mpobench.registry.registry import Registry

MODULES = (bandit_plugin, faulty_plugin, in_process, mpobench_objectives.hooks, mpobench_corruptions.hooks)


def bandits_in_turn() -> Registry:
    """Bandits, faults, the published objectives and corruptions, and the launcher ``in-turn``."""
    return Registry.of_modules([(module, module.__name__, "1.0") for module in MODULES])
