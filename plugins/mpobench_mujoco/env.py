"""MuJoCo environments: data from two agents, training on pairs, true returns.

jax is imported on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mpobench import (
    DatasetRequest,
    Env,
    GroupTraining,
    Prerequisite,
    SequenceLogps,
    Trained,
    TrainingRequest,
    Workspace,
)
from mpobench_mujoco.configuration import Block, MujocoConfiguration
from mpobench_mujoco.settings import EvaluationSettings

if TYPE_CHECKING:
    from mpobench.env_kit.films import Film
    from mpobench_mujoco.policy import Policy
    from mpobench_mujoco.scoring import EpisodeScores


class MujocoEnv(MujocoConfiguration, GroupTraining, Env):
    """A brax task on which two agents generate preference data."""

    default_evaluators: ClassVar[tuple[str, ...]] = ("return",)
    libraries: ClassVar[tuple[str, ...]] = ("brax", "jax", "jaxlib", "mujoco", "numpy", "optax")

    def group_key(self, request: TrainingRequest) -> str:
        """Trainings by as many updates of the same size; data and objectives may differ."""
        training = self.training_settings(request)
        epochs = training.po_epochs if request.objective.two_stage else training.epochs
        return self.program_key(request, epochs, self.pairs_per_update(request))

    def group_size(self) -> int:
        """See :func:`mpobench_mujoco.xla.group_size`."""
        from mpobench_mujoco import xla

        return xla.group_size()

    def prerequisites(self, request: TrainingRequest) -> Sequence[Prerequisite]:
        """Blocks of rollouts, and the SFT stage that all two-stage objectives share."""
        blocks = [
            Prerequisite(
                self.block_key(block), self.block_path(block), "rollouts", block, cost=block.episodes
            )
            for block in self.blocks(request.dataset)
        ]
        if not request.objective.two_stage:
            return blocks
        needs = tuple(block.key for block in blocks)
        training = self.training_settings(request)
        group = self.program_key(request, training.sft_epochs, training.pairs_per_update)
        key, path = self.sft_key(request), self.sft_path(request)
        return [*blocks, Prerequisite(key, path, "SFT stages", request, needs, group_key=group)]

    def prepare(self, payload: Block | TrainingRequest, workspace: Workspace) -> None:
        """Makes a block of rollouts, or the SFT stage of a training."""
        if isinstance(payload, Block):
            from mpobench_mujoco import data

            data.make_block(self, payload, workspace)
        else:
            from mpobench_mujoco import training

            training.sft_stage(self, payload, workspace)

    def prepare_group(self, payloads: Sequence[TrainingRequest], workspace: Workspace) -> None:
        """Makes a group of SFT stages in one program."""
        from mpobench_mujoco import training

        training.sft_stages(self, payloads, workspace)

    def train_group(
        self, requests: Sequence[TrainingRequest], workspace: Workspace
    ) -> Sequence[Trained | None]:
        """Trains a group of policies in one program."""
        from mpobench_mujoco import training

        return training.train_group(self, requests, workspace)

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        """Trains a policy; an epoch is one call of a compiled program."""
        from mpobench_mujoco import training

        return training.train(self, request, workspace)

    def pair_logps(
        self, request: DatasetRequest, workspace: Workspace
    ) -> tuple[SequenceLogps, SequenceLogps]:
        """Log π(τ) of both sides of a dataset's pairs under the policy at the end of the SFT stage."""
        from mpobench_mujoco import training

        return training.pair_logps(self, request, workspace)

    def scores(
        self, policy: Policy, seed: int, settings: EvaluationSettings, workspace: Workspace
    ) -> EpisodeScores:
        """True returns and lengths of a policy's episodes.

        Episodes of one seed start from the same states whatever the policy.
        """
        from mpobench_mujoco import scoring

        return scoring.evaluation_scores(self, policy, seed, settings, workspace)

    def film(self, actor: int | Policy, episode: int, seconds: float, workspace: Workspace) -> Film:
        """See :class:`mpobench.env_kit.films.HasFilms`."""
        from mpobench_mujoco import filming

        return filming.film(self, actor, episode, seconds, workspace)

    def action_std(self, policy: Policy) -> float:
        """Mean standard deviation of a policy's actions."""
        from mpobench_mujoco.policy import action_std

        return float(action_std(policy, self.settings.task.action_std).mean())

    def at_target_std(self, policy: Policy) -> Policy:
        """A policy, and its reference, with the standard deviation of the target agent.

        The target agent must have its own (``std=learned``). The KL divergence to the reference becomes that of the
        mean actions, in the target's noise.
        """
        from mpobench_mujoco import data
        from mpobench_mujoco.policy import REFERENCE

        log_std = data.agent_policy(self, "target")["log_std"]
        names = {"log_std", f"{REFERENCE}log_std"} & policy.keys()
        return {**policy, **dict.fromkeys(names, log_std)}

    def save_policy(self, policy: Policy, folder: Path) -> None:
        """Writes ``policy.safetensors``."""
        from mpobench_mujoco.policy import save

        save(policy, folder / "policy.safetensors")

    def load_policy(self, folder: Path) -> Policy:
        """Reads ``policy.safetensors``."""
        from mpobench_mujoco.policy import load

        return load(folder / "policy.safetensors")


class ThreeLeggedAnt(MujocoEnv):
    """The Three-Legged Ant: an ant that runs must stop using its fourth leg (§4.1 of the paper).

    The policy starts from the original agent, which runs on four legs; the data compare it with the target agent,
    which runs on three. Reward: brax Ant's, minus ``leg_penalty`` · (a_hip² + a_ankle²) of leg four.
    """

    name: ClassVar[str] = "tla"
    settings_file: ClassVar[str] = "tla.toml"
    marked_links: ClassVar[tuple[str, ...]] = ("aux_4", "link 8")


class Ant(MujocoEnv):
    """Brax's Ant: an ant that walks must learn to run."""

    name: ClassVar[str] = "ant"
    settings_file: ClassVar[str] = "ant.toml"


class Hopper(MujocoEnv):
    """Brax's Hopper: a random policy must learn to hop from preferences alone (§I.3 of the paper)."""

    name: ClassVar[str] = "hopper"
    settings_file: ClassVar[str] = "hopper.toml"


class HalfCheetah(MujocoEnv):
    """Brax's HalfCheetah: a cheetah that trots must learn to run. It cannot fall: all episodes are equally long."""

    name: ClassVar[str] = "halfcheetah"
    settings_file: ClassVar[str] = "halfcheetah.toml"
