"""The cards of this plugin."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CommandCard, EnvCard, EvaluatorCard, hookimpl

PAPER = "Alfano, Sapora, Foerster, Rebeschini, Teh: Meta-Learning Objectives for Preference Optimization"


@hookimpl
def mpobench_envs() -> Iterable[EnvCard]:
    """The MuJoCo tasks."""
    yield EnvCard(
        name="tla",
        summary="Three-Legged Ant: an ant that runs must stop using its fourth leg",
        target="mpobench_mujoco.env:ThreeLeggedAnt",
        citation=PAPER,
        positional="backend",
        version="2",
        default=True,
    )
    yield EnvCard(
        name="ant",
        summary="Ant: an ant that walks must learn to run",
        target="mpobench_mujoco.env:Ant",
        citation="Freeman et al. (2021), arXiv:2106.13281",
        positional="backend",
        version="2",
    )
    yield EnvCard(
        name="hopper",
        summary="Hopper: a policy that starts from random weights must learn to hop",
        target="mpobench_mujoco.env:Hopper",
        citation=PAPER,
        positional="backend",
    )
    yield EnvCard(
        name="halfcheetah",
        summary="HalfCheetah: a cheetah that trots must learn to run; it cannot fall",
        target="mpobench_mujoco.env:HalfCheetah",
        citation="Freeman et al. (2021), arXiv:2106.13281",
        positional="backend",
    )


@hookimpl
def mpobench_evaluators() -> Iterable[EvaluatorCard]:
    """Evaluators by true return."""
    yield EvaluatorCard(
        name="return",
        summary="Mean true return of stochastic rollouts, and the normalised score",
        target="mpobench_mujoco.evaluator:Return",
        citation=PAPER,
    )
    yield EvaluatorCard(
        name="return-at-agents-std",
        version="2",
        summary="The same at the target agent's noise, for policies that learn their own (std=learned)",
        target="mpobench_mujoco.evaluator:ReturnAtAgentsStd",
    )
    yield EvaluatorCard(
        name="sampled-return",
        summary="The same of a given number of episodes: the fitness of a search",
        target="mpobench_mujoco.evaluator:SampledReturn",
        positional="episodes",
    )


@hookimpl
def mpobench_commands() -> Iterable[CommandCard]:
    """Training and listing of agents; the speed of this machine."""
    yield CommandCard(
        name="agents",
        summary="Show the agents that generate the data, or train them again",
        target="mpobench_mujoco.commands:app",
    )
    yield CommandCard(
        name="bench",
        summary="Measure training, rollouts and scaling over workers on this machine",
        target="mpobench_mujoco.bench_command:app",
    )
