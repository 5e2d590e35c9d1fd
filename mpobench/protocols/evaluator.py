"""Evaluators: scores of trained policies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from mpobench.protocols.component import Component, JsonObject, Scale
from mpobench.protocols.env import Env
from mpobench.protocols.workspace import Workspace

NORMALISED_SCORE = "normalised_score"
"""Reserved name of a metric that is 0 for the original agent and 100 for the target agent, in percent.

Leaderboards average it over corruptions."""


@dataclass(frozen=True)
class Metric:
    """A number that an evaluator reports.

    Attributes:
        name: Key in the results.
        unit: ``return``, ``%``, ``nats/step`` …
        higher_is_better: Direction, for ranking and for bold print.
        summary: One line for documentation.
    """

    name: str
    unit: str
    higher_is_better: bool = True
    summary: str = ""


class Evaluator(Component, ABC):
    """A score of trained policies.

    Attributes:
        metrics: Metrics that ``evaluate`` returns; leaderboards rank by the first.
        env_type: Base class of the environments whose policies it can score. Others are skipped.
        requires: What those environments have, in words: ``rollouts with a true return``.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    env_type: ClassVar[type] = Env
    requires: ClassVar[str] = ""

    def skip_reason(self, env: Env) -> str | None:
        """The reason why this evaluator does not fit an environment, or None. Its cells are then *skipped*."""
        if isinstance(env, self.env_type):
            return None
        return f"{type(env).__name__} has no {self.requires or self.env_type.__name__}"

    @abstractmethod
    def config(self, env: Any, scale: Scale) -> JsonObject:
        """Everything besides the evaluator's own fields that decides the score (pure, cheap).

        Args:
            env: Environment of ``env_type``.
            scale: Amount of work.
        """

    @abstractmethod
    def evaluate(
        self, env: Any, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """The metrics of a policy, by name.

        Args:
            env: Environment of ``env_type`` that trained the policy.
            policy: Policy of that environment.
            seed: Seed of the evaluation.
            scale: Amount of work.
            workspace: Cache, progress reports and samples.
        """
