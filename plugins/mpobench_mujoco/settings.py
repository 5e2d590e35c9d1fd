"""Settings of a MuJoCo environment's TOML file: datasets, training, evaluation, agents.

Free of jax, so that planning a run stays fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from pydantic import Field

from mpobench.env_kit.env_file import EnvFile, Settings

Schedule: TypeAlias = Literal["constant", "linear"]
"""Course of the learning rate over a stage."""


class TaskSettings(Settings):
    """The task itself.

    Attributes:
        task: Name of the task (see :func:`mpobench_mujoco.physics.make`).
        action_std: Standard deviation of every policy's action noise.
        steps: Episode length.
        parameters: Parameters of the task, such as the Three-Legged Ant's ``leg_penalty``.
    """

    task: str
    action_std: float = Field(gt=0)
    steps: int = Field(1000, ge=1)
    parameters: Mapping[str, float] = {}

    def parameters_of(self, task: str) -> Mapping[str, float]:
        """Parameters of a task on which agents are measured: of other tasks than this one, the defaults."""
        return self.parameters if task == self.task else {}


class DatasetSettings(Settings):
    """The preference dataset.

    Attributes:
        pairs: Number of pairs (rows).
        block: Number of episodes in one file of the pool; workers make files in parallel.
    """

    pairs: int = Field(ge=2)
    block: int = Field(64, ge=1)


class TrainingSettings(Settings):
    """The training of one policy. Defaults are the paper's Table 7.

    Attributes:
        start: Initial weights: the original agent's, or random ones from the training's seed. Observations are
            normalised by the original agent's statistics either way.
        epochs: Epochs of one-stage training.
        sft_epochs: Epochs of the first stage of two-stage training.
        po_epochs: Epochs of its second stage.
        pairs_per_update: Minibatch size.
        po_pairs_per_update: Minibatch size of the stage that the objective rules: the second one, or the only one. None
            is ``pairs_per_update``, or as many as a loss that depends on its batch asks for (``min_pairs``), at most
            all pairs: an epoch is then a single update.
        learning_rate: Adam's learning rate in one-stage training and in the SFT stage. Below its range a policy stays
            what it was: on mixed data the agent to begin with earns more than what is learned.
        po_learning_rate: Adam's learning rate in the second stage.
        schedule: Course of the learning rate over a stage: ``constant``, or ``linear``, which falls to 0 at the end.
        keep_optimizer_state: Whether the second stage begins with Adam's moments of the first.
        max_grad_norm: Global norm to which larger gradients are scaled down.
        stride: Distance of the steps of a trajectory that are read. Neighbouring steps are much alike, and a search
            that trains thousands of policies can skip some.
    """

    start: Literal["original", "random"] = "original"
    epochs: int = Field(12, ge=1)
    sft_epochs: int = Field(10, ge=1)
    po_epochs: int = Field(2, ge=1)
    pairs_per_update: int = Field(2, ge=1)
    po_pairs_per_update: int | None = Field(None, ge=1)
    learning_rate: float = Field(
        1e-3, gt=0, json_schema_extra={"search": {"low": 1e-4, "high": 3e-2, "log": True}}
    )
    po_learning_rate: float = Field(
        3e-6, gt=0, json_schema_extra={"search": {"low": 1e-7, "high": 3e-2, "log": True}}
    )
    schedule: Schedule = "constant"
    keep_optimizer_state: bool = True
    max_grad_norm: float = Field(1.3, gt=0)
    stride: int = Field(1, ge=1)


class EvaluationSettings(Settings):
    """The score of one policy.

    Attributes:
        episodes: Number of episodes, whose returns are averaged.
        batch: Number of episodes rolled out in parallel.
    """

    episodes: int = Field(ge=1)
    batch: int = Field(64, ge=1)


class Phase(Settings):
    """A phase of an agent's training.

    Attributes:
        steps: Environment steps.
        learning_rate: Learning rate of Adam.
        discounting: Discount factor γ.
        reward_scale: Factor on rewards before PPO sees them.
        unroll: Steps of each episode that are collected before an update.
        action_std: Standard deviation of the action noise in this phase; None for the environment's. An agent that has
            learned to stay on its feet in more noise than it acts with does not fall. Where the standard deviation is
            learned, it is the one to begin with.
        parameters: Parameters of the task in this phase.
    """

    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    discounting: float = Field(gt=0, le=1)
    reward_scale: float = Field(1.0, gt=0)
    unroll: int = Field(20, ge=1)
    action_std: float | None = Field(None, gt=0)
    parameters: Mapping[str, float] = {}


class Recipe(Settings):
    """The training of an agent by PPO.

    Attributes:
        task: Task of the training.
        level: Mean return on that task, with the environment's parameters, that the agent should have.
        seed: Seed of initial weights and of all sampling.
        phases: Phases in order; Adam's moments start afresh in each.
        envs: Episodes simulated in parallel.
        minibatches: Number of minibatches of one collection.
        passes: Passes over one collection.
        clip: Clip ε of PPO.
        gae_lambda: λ of the advantage estimates.
        max_grad_norm: Global norm that gradients are scaled down to.
        checkpoint_steps: Environment steps between checkpoints.
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


class EnvSettings(EnvFile[DatasetSettings, EvaluationSettings]):
    """A whole environment file.

    Attributes:
        task: Task of the policies.
        levels: Tasks on which the two agents are measured, the task itself first.
        agents: Recipe of each agent.
        learned_std_agents: Recipe of each agent that learns its standard deviation, beginning with the shipped agent
            of the same role.
    """

    task: TaskSettings
    levels: tuple[str, ...] = Field(min_length=1)
    agents: dict[str, Recipe]
    learned_std_agents: Mapping[str, Recipe] = {}
