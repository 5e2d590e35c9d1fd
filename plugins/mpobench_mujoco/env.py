"""What all MuJoCo environments share: data from two agents, training on pairs, true returns.

Free of jax at import: planning a run asks for configurations and keys only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mpobench import (
    DatasetRequest,
    Env,
    Prerequisite,
    RequestError,
    SequenceLogps,
    Trained,
    TrainingRequest,
    Workspace,
)
from mpobench.keys import content_key
from mpobench_mujoco import agents
from mpobench_mujoco.settings import (
    DatasetSettings,
    EnvSettings,
    EvaluationSettings,
    TrainingSettings,
    load_settings,
    resolve_training,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mpobench.protocols import JsonObject, Scale
    from mpobench_mujoco.policy import Policy


PHYSICS = {"spring": 2, "positional": 2, "generalized": 3, "mjx": 3}
"""Raised when rollouts change, if only by rounding. 2: environments side by side in the last axis. 3: where they are
not, the compiler's own vector width."""


class MujocoEnv(Env):
    """A brax task on which two agents generate preference data.

    A subclass names its TOML file; everything that belongs to the task is in there.

    Attributes:
        name: under which its agents are shipped.
        settings_file: its TOML, beside this module.
    """

    default_evaluators: ClassVar[tuple[str, ...]] = ("return",)
    libraries: ClassVar[tuple[str, ...]] = ("brax", "jax", "jaxlib", "mujoco", "numpy", "optax")
    name: ClassVar[str]
    settings_file: ClassVar[str]

    backend: Literal["spring", "generalized", "positional", "mjx"] = Field(
        "spring", description="brax physics backend; agents belong to one"
    )

    @property
    def settings(self) -> EnvSettings:
        """What the environment's TOML says."""
        return load_settings(self.settings_file)

    def dataset_settings(self, scale: Scale) -> DatasetSettings:
        """How large a dataset is at a scale."""
        return self.settings.scale[scale].dataset

    def evaluation_settings(self, scale: Scale) -> EvaluationSettings:
        """How many episodes a score takes at a scale."""
        return self.settings.scale[scale].evaluation

    def training_settings(self, request: TrainingRequest) -> TrainingSettings:
        """The resolved training configuration of a request."""
        return resolve_training(
            self.settings, request.dataset.scale, request.objective_name, request.overrides
        )

    def objective_defaults(self, name: str, fields: frozenset[str]) -> dict[str, Any]:
        """``reduction="mean"`` for all that have the choice, and what was tuned for single objectives."""
        return self.settings.objective_defaults(name, fields)

    def search_defaults(self, scale: Scale) -> dict[str, Any]:
        """What ``search`` in the environment's TOML says."""
        return self.settings.search_defaults(scale)

    def dataset_config(self, scale: Scale) -> JsonObject:
        """The task, the two agents (by digest) and the number of pairs."""
        return {
            "task": self.settings.task.model_dump(),
            "agents": {role: agents.find(self.name, self.backend, role)[1].sha256 for role in agents.ROLES},
            "pairs": self.dataset_settings(scale).pairs,
        }

    def training_config(self, request: TrainingRequest) -> JsonObject:
        """The fields of :class:`~mpobench_mujoco.settings.TrainingSettings` that this training reads."""
        training = self.training_settings(request)
        pairs = self.dataset_settings(request.dataset.scale).pairs
        if training.pairs_per_update > pairs:
            raise RequestError(
                f"training.pairs_per_update = {training.pairs_per_update} is more than the dataset's {pairs} pairs"
            )
        unread = (
            {"epochs"}
            if request.objective.two_stage
            else {"sft_epochs", "po_epochs", "po_learning_rate", "keep_optimizer_state"}
        )
        if training.stride == 1:  # what it is unless a search asks for less
            unread = unread | {"stride"}
        return training.model_dump(exclude=unread)

    def block_payload(self, role: agents.Role, draw: int, first: int, episodes: int) -> JsonObject:
        """What a block of the rollout pool is made from; its content key is its name in the cache."""
        return {
            "make": "rollouts",
            "physics": PHYSICS[self.backend],
            "task": self.settings.task.model_dump(),
            "backend": self.backend,
            "agent": agents.find(self.name, self.backend, role)[1].sha256,
            "role": role,
            "draw": draw,
            "first": first,
            "episodes": episodes,
        }

    def sft_payload(self, request: TrainingRequest) -> JsonObject:
        """What an SFT stage is made from: data, seed and optimizer, but not the objective that follows it."""
        training = self.training_settings(request)
        kept = {"start", "sft_epochs", "pairs_per_update", "learning_rate", "max_grad_norm"}
        if training.stride > 1:
            kept.add("stride")
        return {
            "make": "sft",
            "dataset": request.dataset.key,
            "trajectories": self.trajectories_key(request.dataset),
            "training": training.model_dump(include=kept),
            "seed": request.seed,
        }

    def blocks(self, request: DatasetRequest) -> list[JsonObject]:
        """The blocks of rollouts that a dataset picks from: every block of each (side, agent) that occurs."""
        from mpobench.labels import draw_sources

        settings = self.dataset_settings(request.scale)
        sources = draw_sources(request.corruption, settings.pairs, request.seed)
        return [
            self.block_payload(agents.ROLES[agent], side, first, min(settings.block, settings.pairs - first))
            for side in (0, 1)
            for agent in sorted(set(sources[:, side].tolist()))
            for first in range(0, settings.pairs, settings.block)
        ]

    def trajectories_key(self, request: DatasetRequest) -> str:
        """Content key of a dataset's trajectories, whatever their labels: seeds and corruptions may share them."""
        from mpobench.labels import draw_sources

        pairs = self.dataset_settings(request.scale).pairs
        sources = draw_sources(request.corruption, pairs, request.seed)
        normalised_by = agents.find(self.name, self.backend, "original")[1].sha256
        return content_key(
            [self.blocks(request), normalised_by, hashlib.sha256(sources.tobytes()).hexdigest()]
        )

    def alike(self, request: TrainingRequest) -> str:
        """Trainings on the same trajectories by as many updates of the same size; the objectives may differ."""
        training = self.training_settings(request)
        epochs = training.po_epochs if request.objective.two_stage else training.epochs
        return self._program(request, training, epochs)

    def _program(self, request: TrainingRequest, training: TrainingSettings, epochs: int) -> str:
        shape = training.model_dump(include={"pairs_per_update", "max_grad_norm", "stride"})
        return content_key([self.trajectories_key(request.dataset), epochs, shape])

    def at_once(self) -> int:
        """See :func:`mpobench_mujoco.xla.at_once`."""
        from mpobench_mujoco import xla

        return xla.at_once()

    def prerequisites(self, request: TrainingRequest) -> Sequence[Prerequisite]:
        """Blocks of rollouts, and the SFT stage that all two-stage objectives share."""
        blocks = [
            Prerequisite(
                key := content_key(payload), f"rollouts/{key}", "rollouts", payload, cost=payload["episodes"]
            )
            for payload in self.blocks(request.dataset)
        ]
        if not request.objective.two_stage:
            return blocks
        key = content_key(payload := self.sft_payload(request))
        needs = tuple(block.key for block in blocks)
        training = self.training_settings(request)
        alike = self._program(request, training, training.sft_epochs)
        sft = Prerequisite(key, f"sft/{key}.safetensors", "SFT stages", payload, needs, alike=alike)
        return [*blocks, sft]

    def prepare(self, payload: JsonObject, request: TrainingRequest, workspace: Workspace) -> None:
        """Makes a block of rollouts or an SFT stage."""
        from mpobench_mujoco import data, training

        if payload["make"] == "rollouts":
            data.make_block(self, payload, workspace)
        else:
            training.sft_stage(self, request, workspace)

    def prepare_together(
        self, payloads: Sequence[JsonObject], requests: Sequence[TrainingRequest], workspace: Workspace
    ) -> None:
        """Makes several SFT stages in one program."""
        from mpobench_mujoco import training

        training.sft_stages(self, requests, workspace)

    def train_together(
        self, requests: Sequence[TrainingRequest], workspace: Workspace
    ) -> Sequence[Trained | None]:
        """Trains several policies in one program."""
        from mpobench_mujoco import training

        return training.train_together(self, requests, workspace)

    def train(self, request: TrainingRequest, workspace: Workspace) -> Trained:
        """Trains a policy from the original agent, one epoch a program call."""
        from mpobench_mujoco import training

        return training.train(self, request, workspace)

    def pair_logps(
        self, request: DatasetRequest, workspace: Workspace
    ) -> tuple[SequenceLogps, SequenceLogps]:
        """Log π(τ) of both sides of a dataset's pairs under the policy at the end of the SFT stage."""
        from mpobench_mujoco import training

        return training.pair_logps(self, request, workspace)

    def returns(
        self, policy: Policy, seed: int, settings: EvaluationSettings, workspace: Workspace
    ) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """True returns and lengths of a policy's episodes, ``(episodes,)`` each, at the environment's noise.

        Episodes of one seed start from the same states whatever the policy.
        """
        from mpobench_mujoco import data

        return data.evaluation_returns(self, policy, seed, settings, workspace)

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


class Ant(MujocoEnv):
    """Brax's Ant: an ant that walks must learn to run."""

    name: ClassVar[str] = "ant"
    settings_file: ClassVar[str] = "ant.toml"


class Hopper(MujocoEnv):
    """Brax's Hopper: what has never moved must learn to hop from preferences alone (§I.3 of the paper)."""

    name: ClassVar[str] = "hopper"
    settings_file: ClassVar[str] = "hopper.toml"


class HalfCheetah(MujocoEnv):
    """Brax's HalfCheetah: a cheetah that trots must learn to run. It cannot fall: all episodes are equally long."""

    name: ClassVar[str] = "halfcheetah"
    settings_file: ClassVar[str] = "halfcheetah.toml"
