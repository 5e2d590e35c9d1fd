"""A plugin of toys: everything that a plan needs, and nothing that takes time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from mpobench import (
    CorruptionCard,
    DatasetCorruption,
    Env,
    EnvCard,
    Evaluator,
    EvaluatorCard,
    Metric,
    Objective,
    ObjectiveCard,
    PreferenceBatch,
    RequestError,
    Trained,
    TrainingRequest,
    Workspace,
    hookimpl,
)


class Task(Env):
    """Needs its objectives to average, and cannot mix agents."""

    default_evaluators: ClassVar[tuple[str, ...]] = ("length",)
    gravity: float = 9.8

    def skip_reason(self, corruption: DatasetCorruption) -> str | None:
        return "has only one agent" if isinstance(corruption, Swap) else None

    def objective_defaults(self, name: str, fields: frozenset[str]) -> dict[str, Any]:
        return {"reduction": "mean"} if "reduction" in fields else {}

    def dataset_config(self, scale: str) -> dict[str, Any]:
        return {"pairs": 2 if scale == "smoke" else 8}

    def training_config(self, request: TrainingRequest) -> dict[str, Any]:
        unknown = set(request.overrides) - {"epochs"}
        if unknown:
            raise RequestError(f"no training option {unknown.pop()!r}")
        return {"epochs": 3, **request.overrides}

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        return Trained(policy=request.seed, curves={"loss": [0.0]})

    def save_policy(self, policy: Any, folder: Path) -> None:
        (folder / "policy.txt").write_text(str(policy))

    def load_policy(self, folder: Path) -> Any:
        return int((folder / "policy.txt").read_text())


class Plain(DatasetCorruption):
    """Decides nothing."""


class Flip(DatasetCorruption):
    """Decides the labels."""

    rate: float = Field(ge=0, le=1, description="share of flipped labels")
    salt: int = 0

    def flip(self, pairs: int, rng: Any) -> Any:
        return rng.random(pairs) < self.rate


class Swap(DatasetCorruption):
    """Decides the sources."""

    def sources(self, pairs: int, rng: Any) -> Any:
        return super().sources(pairs, rng)[:, ::-1]


class Doubt(DatasetCorruption):
    """Decides the preference."""

    def preference(self, returns: Any) -> Any:
        return 0.5 + 0 * returns[:, 0]


class Loss(Objective):
    """A loss with a field of every type."""

    beta: float = Field(1.0, gt=0, description="scale")
    steps: int = Field(1, ge=1, le=9)
    reduction: Literal["sum", "mean"] = "sum"
    smooth: bool = False
    label: str = "plain"
    clip: float | None = 5.0
    weights: tuple[float, ...] = ()

    def loss(self, batch: PreferenceBatch) -> Any:
        return -self.beta * (batch.chosen.mean - batch.rejected.mean)


class Lengthwise(Evaluator):
    """Scores without looking."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("length", "steps"),)
    only: float | None = None

    def skip_reason(self, env: Env) -> str | None:
        return "wants another gravity" if self.only not in (None, getattr(env, "gravity", None)) else None

    def config(self, env: Env, scale: str) -> dict[str, Any]:
        return {"rollouts": 4}

    def evaluate(
        self, env: Env, policy: Any, seed: int, scale: str, workspace: Workspace
    ) -> dict[str, float]:
        return {"length": float(policy)}


@hookimpl
def mpobench_envs() -> Any:
    yield EnvCard(name="task", summary="A toy task", target="toy_plugin:Task", positional="gravity")


@hookimpl
def mpobench_corruptions() -> Any:
    yield CorruptionCard(name="plain", summary="Nothing", target="toy_plugin:Plain")
    yield CorruptionCard(name="flip", summary="Labels", target="toy_plugin:Flip", positional="rate")
    yield CorruptionCard(name="swap", summary="Sources", target="toy_plugin:Swap")
    yield CorruptionCard(name="doubt", summary="Preference", target="toy_plugin:Doubt")


@hookimpl
def mpobench_objectives() -> Any:
    yield ObjectiveCard(name="loss", summary="A toy loss", target="toy_plugin:Loss")
    yield ObjectiveCard(name="other-loss", summary="The same", target="toy_plugin:Loss", version="2")


@hookimpl
def mpobench_evaluators() -> Any:
    yield EvaluatorCard(
        name="length", summary="A toy score", target="toy_plugin:Lengthwise", positional="only"
    )
