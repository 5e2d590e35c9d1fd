"""mpobench: a benchmark of preference-optimization objectives with true rewards and controlled corruptions.

Everything public is importable from here, and imported on first use, so that ``import mpobench`` (and with it
``mpobench --help``) stays fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mpobench.api import objective as objective
    from mpobench.api import run as run
    from mpobench.cards import CommandCard as CommandCard
    from mpobench.cards import CorruptionCard as CorruptionCard
    from mpobench.cards import EnvCard as EnvCard
    from mpobench.cards import EvaluatorCard as EvaluatorCard
    from mpobench.cards import LauncherCard as LauncherCard
    from mpobench.cards import ObjectiveCard as ObjectiveCard
    from mpobench.errors import DivergedError as DivergedError
    from mpobench.errors import MpobenchError as MpobenchError
    from mpobench.errors import RequestError as RequestError
    from mpobench.hookspecs import hookimpl as hookimpl
    from mpobench.preferences import PreferenceBatch as PreferenceBatch
    from mpobench.preferences import SequenceLogps as SequenceLogps
    from mpobench.protocols import ORIGINAL as ORIGINAL
    from mpobench.protocols import TARGET as TARGET
    from mpobench.protocols import DatasetCorruption as DatasetCorruption
    from mpobench.protocols import DatasetRequest as DatasetRequest
    from mpobench.protocols import Env as Env
    from mpobench.protocols import Evaluator as Evaluator
    from mpobench.protocols import Launcher as Launcher
    from mpobench.protocols import Metric as Metric
    from mpobench.protocols import Objective as Objective
    from mpobench.protocols import Trained as Trained
    from mpobench.protocols import TrainingRequest as TrainingRequest
    from mpobench.saving import save_objective as save_objective
    from mpobench.tensors import Tensors as Tensors
    from mpobench.workspace import Prerequisite as Prerequisite
    from mpobench.workspace import Sample as Sample
    from mpobench.workspace import Workspace as Workspace

_HOME = {
    "objective": "api",
    "run": "api",
    "CommandCard": "cards",
    "CorruptionCard": "cards",
    "EnvCard": "cards",
    "EvaluatorCard": "cards",
    "LauncherCard": "cards",
    "ObjectiveCard": "cards",
    "DivergedError": "errors",
    "MpobenchError": "errors",
    "RequestError": "errors",
    "hookimpl": "hookspecs",
    "save_objective": "saving",
    "PreferenceBatch": "preferences",
    "SequenceLogps": "preferences",
    "ORIGINAL": "protocols",
    "TARGET": "protocols",
    "DatasetCorruption": "protocols",
    "DatasetRequest": "protocols",
    "Env": "protocols",
    "Evaluator": "protocols",
    "Launcher": "protocols",
    "Metric": "protocols",
    "Objective": "protocols",
    "Trained": "protocols",
    "TrainingRequest": "protocols",
    "Tensors": "tensors",
    "Prerequisite": "workspace",
    "Sample": "workspace",
    "Workspace": "workspace",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"mpobench.{_HOME[name]}"), name)
    raise AttributeError(f"module 'mpobench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_HOME, "__version__"])
