"""A benchmark that computes nothing: its cells cost what the harness costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from mpobench import (
    Env,
    EnvCard,
    Evaluator,
    EvaluatorCard,
    Metric,
    Objective,
    ObjectiveCard,
    PreferenceBatch,
    Trained,
    TrainingRequest,
    Workspace,
    hookimpl,
)


class Nothing(Env):
    """Trains in no time."""

    default_evaluators: ClassVar[tuple[str, ...]] = ("zero",)
    number: int = 0

    def dataset_config(self, scale: str) -> dict[str, Any]:
        return {"pairs": 8}

    def training_config(self, request: TrainingRequest) -> dict[str, Any]:
        return {"epochs": 3}

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        return Trained(policy=0.0, curves={"loss": [0.3, 0.2, 0.1]})

    def save_policy(self, policy: Any, folder: Path) -> None:
        (folder / "policy.txt").write_text(str(policy))

    def load_policy(self, folder: Path) -> Any:
        return float((folder / "policy.txt").read_text())


class Idle(Objective):
    """A loss of zero."""

    beta: float = 1.0

    def loss(self, batch: PreferenceBatch) -> Any:
        return 0 * batch.chosen.mean


class Zero(Evaluator):
    """A score of zero."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("return", "return"),)

    def config(self, env: Env, scale: str) -> dict[str, Any]:
        return {}

    def evaluate(
        self, env: Env, policy: Any, seed: int, scale: str, workspace: Workspace
    ) -> dict[str, float]:
        return {"return": float(policy)}


@hookimpl
def mpobench_envs() -> Any:
    yield EnvCard(name="nothing", summary="No work", target="noop_plugin:Nothing", positional="number")


@hookimpl
def mpobench_objectives() -> Any:
    yield ObjectiveCard(name="idle", summary="No loss", target="noop_plugin:Idle")


@hookimpl
def mpobench_evaluators() -> Any:
    yield EvaluatorCard(name="zero", summary="No score", target="noop_plugin:Zero")
