"""An example plugin: an objective, a corruption, an environment, an evaluator and a launcher, a file each."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CorruptionCard, EnvCard, EvaluatorCard, LauncherCard, ObjectiveCard, hookimpl


@hookimpl
def mpobench_objectives() -> Iterable[ObjectiveCard]:
    """A loss."""
    yield ObjectiveCard(
        name="logistic",
        summary="Logistic loss on the margin",
        target="mpobench_example.objective:Logistic",
    )


@hookimpl
def mpobench_corruptions() -> Iterable[CorruptionCard]:
    """A judge who errs."""
    yield CorruptionCard(
        name="lazy-judge",
        summary="The judge tosses a coin for a share RATE of the pairs",
        target="mpobench_example.corruption:LazyJudge",
        positional="rate",
    )


@hookimpl
def mpobench_envs() -> Iterable[EnvCard]:
    """A task with a true reward."""
    yield EnvCard(
        name="arms",
        summary="A bandit with three arms, in numpy: learn which one pays, in milliseconds",
        target="mpobench_example.env:Arms",
    )


@hookimpl
def mpobench_evaluators() -> Iterable[EvaluatorCard]:
    """A score."""
    yield EvaluatorCard(
        name="payoff",
        summary="Mean payoff of a policy of arms",
        target="mpobench_example.evaluator:Payoff",
    )


@hookimpl
def mpobench_launchers() -> Iterable[LauncherCard]:
    """A place where tasks run."""
    yield LauncherCard(
        name="here",
        summary="One task after the other in this process, for a debugger",
        target="mpobench_example.launcher:Here",
    )
