"""Components that load and then fail, each in its own way: what a run has to live with."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from bandit_plugin import Bandit, Payoff

from mpobench import (
    CorruptionCard,
    DatasetCorruption,
    Env,
    EnvCard,
    EvaluatorCard,
    Objective,
    ObjectiveCard,
    PreferenceBatch,
    RequestError,
    TrainingRequest,
    Workspace,
    hookimpl,
)


class JammedBandit(Bandit):
    """Its lever is stuck: planning or a prerequisite fails, and so does whatever needs it; or it is refused."""

    stage: Literal["plan", "pulls", "sft", "check", "refused pulls"]

    def dataset_config(self, scale: str) -> dict[str, Any]:
        if self.stage == "plan":
            raise ZeroDivisionError("no lever\nat all")
        return super().dataset_config(scale)

    def check_data(self, request: TrainingRequest) -> None:
        if self.stage == "check":
            raise RequestError("this lever is sealed; take another")

    def prepare(self, payload: tuple[str, TrainingRequest], workspace: Workspace) -> None:
        if f"refused {payload[0]}" == self.stage:
            raise RequestError("this lever is sealed; take another")
        if payload[0] == self.stage:
            raise RuntimeError("the lever\nis stuck")
        super().prepare(payload, workspace)

    def prepare_group(self, payloads: Sequence[tuple[str, TrainingRequest]], workspace: Workspace) -> None:
        for payload in payloads:
            self.prepare(payload, workspace)


class Raises(Objective):
    """A loss with a mistake in it."""

    def loss(self, batch: PreferenceBatch) -> Any:
        raise KeyError("no\nsuch thing")


class WrongShape(Objective):
    """One loss for all pairs."""

    def loss(self, batch: PreferenceBatch) -> Any:
        return -batch.chosen.mean[:1]


class NotANumber(Objective):
    """The logarithm of a negative number."""

    def loss(self, batch: PreferenceBatch) -> Any:
        return np.nan * batch.chosen.mean


class Dies(Objective):
    """Takes its process along, as a crash in compiled code does."""

    def loss(self, batch: PreferenceBatch) -> Any:
        os._exit(7)


class Exits(Objective):
    """Ends the program, as a library's command line does."""

    def loss(self, batch: PreferenceBatch) -> Any:
        sys.exit(3)


class Forks(Objective):
    """Sound, but leaves a copy of its process behind."""

    forked: ClassVar[list[int]] = []

    def loss(self, batch: PreferenceBatch) -> Any:
        if not self.forked:
            self.forked.append(os.getpid())
            os.fork()
        return -batch.chosen.mean


class Hangs(Objective):
    """Waits for ever."""

    def loss(self, batch: PreferenceBatch) -> Any:
        time.sleep(10_000)


class Hungry(Objective):
    """Wants more memory than there is."""

    def loss(self, batch: PreferenceBatch) -> Any:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, resource.RLIM_INFINITY))
        try:
            return np.zeros(2**28)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class LateNotANumber(Objective):
    """Sound until half of the training is done."""

    def loss(self, batch: PreferenceBatch) -> Any:
        return batch.chosen.mean * (-1.0 if batch.progress < 0.5 else np.nan)


class Chatty(Objective):
    """Sound, but prints, as libraries do."""

    def loss(self, batch: PreferenceBatch) -> Any:
        print("chat chat", flush=True)
        return -batch.chosen.mean


class SourcesRaise(DatasetCorruption):
    """Does not know who generates the pairs."""

    def sources(self, pairs: int, rng: Any) -> Any:
        raise LookupError("which agents?")


class Infinite(Payoff):
    """Scores without bounds."""

    def evaluate(
        self, env: Env, policy: float, seed: int, scale: str, workspace: Workspace
    ) -> dict[str, float]:
        return {"payoff": float("inf")}


class Fatal(Payoff):
    """Takes its process along."""

    def evaluate(
        self, env: Env, policy: float, seed: int, scale: str, workspace: Workspace
    ) -> dict[str, float]:
        os._exit(7)


class Unable(Payoff):
    """Cannot score; says so, unless someone has left it a key."""

    def evaluate(
        self, env: Env, policy: float, seed: int, scale: str, workspace: Workspace
    ) -> dict[str, float]:
        if not (workspace.cache / "key").exists():
            raise FileNotFoundError("where is the key?")
        return super().evaluate(env, policy, seed, scale, workspace)


@hookimpl
def mpobench_envs() -> Any:
    yield EnvCard(name="jammed", summary="Stuck", target="faulty_plugin:JammedBandit", positional="stage")


@hookimpl
def mpobench_corruptions() -> Any:
    yield CorruptionCard(name="sources-raise", summary="Raises", target="faulty_plugin:SourcesRaise")


@hookimpl
def mpobench_objectives() -> Any:
    yield ObjectiveCard(name="raises", summary="Raises", target="faulty_plugin:Raises")
    yield ObjectiveCard(name="wrong-shape", summary="Of a wrong shape", target="faulty_plugin:WrongShape")
    yield ObjectiveCard(name="nan", summary="Not a number", target="faulty_plugin:NotANumber")
    yield ObjectiveCard(name="dies", summary="Ends its process", target="faulty_plugin:Dies")
    yield ObjectiveCard(name="exits", summary="Calls sys.exit", target="faulty_plugin:Exits")
    yield ObjectiveCard(name="forks", summary="Forks", target="faulty_plugin:Forks")
    yield ObjectiveCard(name="hangs", summary="Never ends", target="faulty_plugin:Hangs")
    yield ObjectiveCard(name="hungry", summary="Takes all memory", target="faulty_plugin:Hungry")
    yield ObjectiveCard(
        name="late-nan", summary="Not a number in the end", target="faulty_plugin:LateNotANumber"
    )
    yield ObjectiveCard(name="chatty", summary="Prints", target="faulty_plugin:Chatty")


@hookimpl
def mpobench_evaluators() -> Any:
    yield EvaluatorCard(name="infinite", summary="Without bounds", target="faulty_plugin:Infinite")
    yield EvaluatorCard(name="fatal", summary="Ends its process", target="faulty_plugin:Fatal")
    yield EvaluatorCard(name="unable", summary="Cannot", target="faulty_plugin:Unable")
