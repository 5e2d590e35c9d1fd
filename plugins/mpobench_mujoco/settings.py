"""What an environment's TOML says: how its data are made, how policies train, how they are scored.

Free of jax, so that planning a run stays fast.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

from pydantic import Field

from mpobench.env_kit.env_file import EnvFile, Settings, resolve


class TaskSettings(Settings):
    """The task itself.

    Attributes:
        task: name of the brax environment.
        action_std: standard deviation of every policy's action noise.
        steps: episode length.
        leg_penalty: the Three-Legged Ant's coefficient.
    """

    task: str
    action_std: float = Field(gt=0)
    steps: int = Field(1000, ge=1)
    leg_penalty: float = Field(0.0, ge=0)


class DatasetSettings(Settings):
    """The preference dataset.

    Attributes:
        pairs: number of pairs (rows).
        block: episodes rolled out at once; cuts the pool into files that workers make in parallel.
    """

    pairs: int = Field(ge=2)
    block: int = Field(64, ge=1)


class TrainingSettings(Settings):
    """The training of one policy. Defaults are the paper's Table 7.

    Attributes:
        start: the policy's weights at the beginning: the original agent's, or drawn from the training's seed.
            Observations are normalised by the original agent's statistics either way.
        epochs: of one-stage training.
        sft_epochs: of the first stage of two-stage training.
        po_epochs: of its second stage.
        pairs_per_update: minibatch size.
        learning_rate: Adam's, in one-stage training and in the SFT stage.
        po_learning_rate: Adam's in the second stage.
        keep_optimizer_state: whether the second stage goes on with Adam's moments of the first.
        max_grad_norm: gradients are scaled down to this global norm.
        stride: every so many steps of a trajectory are read, one is: neighbours in time say much the same, and a
            search that trains thousands of policies can do with fewer of them.
    """

    start: Literal["original", "random"] = "original"
    epochs: int = Field(12, ge=1)
    sft_epochs: int = Field(10, ge=1)
    po_epochs: int = Field(2, ge=1)
    pairs_per_update: int = Field(2, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    po_learning_rate: float = Field(3e-6, gt=0)
    keep_optimizer_state: bool = True
    max_grad_norm: float = Field(1.3, gt=0)
    stride: int = Field(1, ge=1)


class EvaluationSettings(Settings):
    """The score of one policy.

    Attributes:
        episodes: rolled out and averaged.
        batch: episodes rolled out at once.
    """

    episodes: int = Field(ge=1)
    batch: int = Field(64, ge=1)


class ScaleSettings(Settings):
    """What one scale spends."""

    dataset: DatasetSettings
    evaluation: EvaluationSettings
    training: Mapping[str, Any] = {}


class Phase(Settings):
    """A stretch of an agent's training with settings of its own.

    Attributes:
        steps: environment steps.
        learning_rate: Adam's.
        discounting: γ.
        reward_scale: rewards are multiplied by this before PPO sees them.
        unroll: steps collected of each episode before an update.
        leg_penalty: of the task in this stretch, where it has one.
    """

    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    discounting: float = Field(gt=0, le=1)
    reward_scale: float = Field(1.0, gt=0)
    unroll: int = Field(20, ge=1)
    leg_penalty: float = Field(0.0, ge=0)


class Recipe(Settings):
    """How an agent is trained by PPO: fast learning first, then steadiness.

    Attributes:
        task: on which it is trained.
        level: mean return on that task, at the environment's ``leg_penalty``, that the agent should have.
        seed: of initial weights and of all sampling.
        phases: in order; Adam's moments start afresh in each.
        envs: episodes simulated in parallel.
        minibatches: that one collection is cut into.
        passes: over one collection.
        clip: PPO's ε.
        gae_lambda: of the advantage estimates.
        max_grad_norm: gradients are scaled down to this global norm.
        checkpoint_steps: environment steps between checkpoints.
    """

    task: str
    level: float
    seed: int
    phases: tuple[Phase, ...] = Field(min_length=1)
    envs: int = 512
    minibatches: int = 8
    passes: int = 4
    clip: float = 0.2
    gae_lambda: float = 0.95
    max_grad_norm: float = 1.0
    checkpoint_steps: int = 1_003_520


class EnvSettings(EnvFile):
    """A whole environment file.

    Attributes:
        task: that policies are trained for.
        levels: tasks on which the two agents are measured, the task itself first.
        agents: recipe of each.
        scale: what each scale spends.
    """

    task: TaskSettings
    levels: tuple[str, ...] = Field(min_length=1)
    agents: dict[str, Recipe]
    scale: dict[str, ScaleSettings]


@functools.cache
def load_settings(file: str) -> EnvSettings:
    """Reads one of the plugin's own TOML files."""
    text = resources.files("mpobench_mujoco").joinpath(file).read_text("utf-8")
    return EnvSettings.model_validate(tomllib.loads(text))


def resolve_training(
    settings: EnvSettings, scale: str, objective: str, overrides: Mapping[str, Any]
) -> TrainingSettings:
    """The training configuration: environment's, scale's, objective's defaults, then the user's.

    Raises:
        RequestError: for an override that is unknown or out of range.
    """
    layers = settings.training_layers(settings.scale[scale].training, objective, overrides)
    return resolve(TrainingSettings, "training", layers)
