"""A small benchmark that really learns, in milliseconds: a two-armed Gaussian bandit, in numpy.

An agent pulls arm 1 with probability σ(θ). The original agent favours the poor arm, the target agent the good one;
a policy is θ, trained by gradient descent on any objective. Pulls are a prerequisite, and the SFT stage of two-stage
objectives is one that waits for them, as in the MuJoCo environments.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from mpobench import (
    DatasetRequest,
    DivergedError,
    Env,
    EnvCard,
    Evaluator,
    EvaluatorCard,
    GroupTraining,
    Metric,
    Objective,
    PreferenceBatch,
    Prerequisite,
    RequestError,
    SearchRange,
    SequenceLogps,
    Trained,
    TrainingRequest,
    Workspace,
    hookimpl,
)
from mpobench.files.keys import content_key
from mpobench.protocols import Searched

PULLS = 20
THETA = (-1.0, 1.0)
PAYOFF = (0.0, 1.0)


class Bandit(GroupTraining, Env):
    """Learn to pull the arm that pays."""

    default_evaluators: ClassVar[tuple[str, ...]] = ("payoff",)
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)
    not_in_key: ClassVar[frozenset[str]] = frozenset({"device"})

    device: int = Field(1, ge=1, description="trainings that the device carries out at once")
    noise: float = Field(0.5, gt=0, description="standard deviation of a payoff")

    def dataset_config(self, scale: str) -> dict[str, Any]:
        return {"pairs": {"smoke": 8, "quick": 32, "paper": 128}[scale]}

    def training_config(self, request: TrainingRequest) -> dict[str, Any]:
        known: dict[str, Any] = {"epochs": 4, "pause": 0.0, "learning_rate": 0.5}
        unknown = set(request.overrides) - set(known)
        if unknown:
            raise RequestError(f"training has no field {unknown.pop()!r} (fields: {', '.join(known)})")
        return {name: type(known[name])(value) for name, value in {**known, **request.overrides}.items()}

    def training_searches(self, request: TrainingRequest) -> dict[str, Searched]:
        return {"learning_rate": SearchRange(0.01, 10.0, log=True)}

    def prerequisites(self, request: TrainingRequest) -> list[Prerequisite]:
        request.dataset.corruption.sources(1, np.random.default_rng(0))  # which agents does it need?
        pulls = Prerequisite(*self._file("pulls", request), "pulls", ("pulls", request))
        if not request.objective.two_stage:
            return [pulls]
        sft = Prerequisite(
            *self._file("sft", request), "SFT stages", ("sft", request), needs=(pulls.key,), group_key="sft"
        )
        return [pulls, sft]

    def group_key(self, request: TrainingRequest) -> str:
        return content_key([request.objective.two_stage, self.training_config(request)])

    def group_size(self) -> int:
        return self.device

    def _file(self, make: str, request: TrainingRequest) -> tuple[str, str]:
        config = self.training_config(request) if make == "sft" else None
        key = content_key([make, self.noise, request.dataset.key, request.seed, config])
        return key, f"{make}-{key}.npy"

    def prepare(self, payload: tuple[str, TrainingRequest], workspace: Workspace) -> None:
        make, request = payload
        log(workspace, f"{make} {request.seed}")
        self._make(make, request, workspace)

    def prepare_group(self, payloads: Sequence[tuple[str, TrainingRequest]], workspace: Workspace) -> None:
        log(workspace, f"{len(payloads)} SFT stages together")
        for make, request in payloads:
            with contextlib.suppress(DivergedError):
                self._make(make, request, workspace)

    def _make(self, make: str, request: TrainingRequest, workspace: Workspace) -> None:
        made = (
            self._pull(request.dataset)
            if make == "pulls"
            else np.array(self._descend(request, Cloning(), THETA[0], workspace, "SFT stages")[0])
        )
        file = workspace.cache / self._file(make, request)[1]
        np.save(partial := file.with_name(f"{file.stem}-{os.getpid()}.npy"), made)
        partial.replace(file)

    def _pull(self, request: DatasetRequest) -> Any:
        """``(2, pairs)``: how often each side pulled arm 1, the chosen side first."""
        corruption, pairs = request.corruption, self.dataset_config(request.scale)["pairs"]
        rng = np.random.default_rng(request.seed)
        sources = corruption.sources(pairs, rng)
        counts = rng.binomial(PULLS, sigmoid(np.asarray(THETA)[sources]))
        returns = counts * PAYOFF[1] + rng.normal(0, self.noise * PULLS**0.5, counts.shape)
        first = (rng.random(pairs) < corruption.preference(returns)) ^ corruption.flip(pairs, rng)
        return np.where(first, counts.T, counts.T[::-1])

    def _descend(
        self, request: TrainingRequest, objective: Objective, theta: float, workspace: Workspace, phase: str
    ) -> tuple[float, list[float]]:
        config = self.training_config(request)
        counts = np.load(workspace.cache / self._file("pulls", request)[1])
        losses: list[float] = []
        reference = theta
        for epoch in range(config["epochs"]):
            progress = epoch / max(config["epochs"] - 1, 1)
            high, low, here = (
                loss_of(objective, theta + step, reference, counts, progress) for step in (1e-4, -1e-4, 0.0)
            )
            losses.append(here)
            if not np.isfinite(here):
                raise DivergedError(f"the loss is not finite\nin epoch {epoch + 1}")
            theta -= config["learning_rate"] * (high - low) / 2e-4
            time.sleep(config["pause"])
            workspace.report(phase, (epoch + 1) / config["epochs"])
        return theta, losses

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        log(workspace, f"train {request.objective_name} {request.seed}")
        with at_work(workspace):
            return self._train(request, workspace)

    def train_group(self, requests: Sequence[TrainingRequest], workspace: Workspace) -> list[Trained | None]:
        log(workspace, f"{len(requests)} trainings together")

        def one(request: TrainingRequest) -> Trained | None:
            try:
                return self._train(request, workspace)
            except DivergedError:
                return None

        return [one(request) for request in requests]

    def _train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        theta = THETA[0]
        if request.objective.two_stage:
            theta = float(np.load(workspace.cache / self._file("sft", request)[1]))
        theta, losses = self._descend(request, request.objective, theta, workspace, "training")
        return Trained(theta, {"loss": losses})

    def pair_logps(self, request: DatasetRequest, workspace: Workspace) -> Any:
        return tuple(logps(THETA[0], counts) for counts in self._pull(request))

    def save_policy(self, policy: float, folder: Path) -> None:
        (folder / "theta.txt").write_text(repr(policy))

    def load_policy(self, folder: Path) -> float:
        return float((folder / "theta.txt").read_text())


def sigmoid(theta: Any) -> Any:
    return 1 / (1 + np.exp(-theta))


def logps(theta: float, counts: Any) -> SequenceLogps:
    good, poor = -np.logaddexp(0, -theta), -np.logaddexp(0, theta)
    return SequenceLogps(counts * good + (PULLS - counts) * poor, np.full(len(counts), float(PULLS)))


def loss_of(objective: Objective, theta: float, reference: float, counts: Any, progress: float) -> float:
    """The mean loss; ``reference`` enters only for objectives that ask for it."""
    sides = [logps(theta, side) for side in counts]
    if objective.needs_reference:
        sides += [logps(reference, side) for side in counts]
    losses = objective.loss(PreferenceBatch(*sides, progress=progress))
    if losses.shape != (counts.shape[1],):
        raise ValueError(
            f"{type(objective).__name__}.loss returned shape {losses.shape}, not ({counts.shape[1]},)"
        )
    return float(losses.mean())


def log(workspace: Workspace, work: str) -> None:
    """One line for each piece of work, so that tests can count what was computed."""
    workspace.cache.mkdir(parents=True, exist_ok=True)
    with (workspace.cache / "work.log").open("a") as file:
        file.write(f"{work}\n")


@contextlib.contextmanager
def at_work(workspace: Workspace) -> Iterator[None]:
    """A file in the cache, named after this process, for as long as it trains."""
    workspace.cache.mkdir(parents=True, exist_ok=True)
    file = workspace.cache / f"at-work-{os.getpid()}"
    file.touch()
    try:
        yield
    finally:
        file.unlink(missing_ok=True)  # a forked copy may have done it


class Cloning(Objective):
    """-log π of the chosen side."""

    def loss(self, batch: PreferenceBatch) -> Any:
        return -batch.chosen.mean


class Payoff(Evaluator):
    """The exact mean payoff of a policy."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("payoff", "per pull"),)
    scale: float = 1.0

    def config(self, env: Env, scale: str) -> dict[str, Any]:
        return {}

    def evaluate(
        self, env: Env, policy: float, seed: int, scale: str, workspace: Workspace
    ) -> dict[str, float]:
        good = float(sigmoid(policy))
        return {"payoff": self.scale * ((1 - good) * PAYOFF[0] + good * PAYOFF[1])}


@hookimpl
def mpobench_envs() -> Any:
    yield EnvCard(name="bandit", summary="Two arms", target="bandit_plugin:Bandit")


@hookimpl
def mpobench_evaluators() -> Any:
    yield EvaluatorCard(
        name="payoff", summary="Mean payoff", target="bandit_plugin:Payoff", positional="scale"
    )
