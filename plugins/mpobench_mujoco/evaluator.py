"""The true return of a trained policy: what no language-model benchmark can measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mpobench import Env, Evaluator, Metric, Workspace
from mpobench_mujoco import agents
from mpobench_mujoco.env import MujocoEnv

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale


class Return(Evaluator):
    """Mean return of stochastic rollouts, and where it lies between the original and the target agent."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("return", "return", summary="mean undiscounted return at the environment's own action noise"),
        Metric("normalised_score", "%", summary="100·(J − J_original)/(J_target − J_original)"),
        Metric("length", "steps", summary="mean episode length"),
    )

    def refuses(self, env: Env) -> str | None:
        """Only environments with rollouts have a return."""
        return (
            None if isinstance(env, MujocoEnv) else f"{type(env).__name__} has no rollouts with a true return"
        )

    def config(self, env: Env, scale: Scale) -> JsonObject:
        """The number of episodes and the two levels that normalise the score."""
        env = _with_rollouts(env)
        original, target = self._levels(env)
        episodes = env.evaluation_settings(scale).episodes
        return {"episodes": episodes, "original": original, "target": target}

    def evaluate(
        self, env: Env, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """Rolls the policy out."""
        env = _with_rollouts(env)
        returns, lengths = env.returns(policy, seed, scale, workspace)
        original, target = self._levels(env)
        mean = float(returns.mean())
        return {
            "return": mean,
            "normalised_score": 100 * (mean - original) / (target - original),
            "length": float(lengths.mean()),
        }

    @staticmethod
    def _levels(env: MujocoEnv) -> tuple[float, float]:
        task = env.settings.task.task
        original, target = (
            agents.find(env.name, env.backend, role)[1].level(task).mean for role in agents.ROLES
        )
        return original, target


def _with_rollouts(env: Env) -> MujocoEnv:
    """The environment that :meth:`Return.refuses` has let pass."""
    if not isinstance(env, MujocoEnv):
        raise TypeError(f"{type(env).__name__} has no rollouts with a true return")
    return env
