"""The evaluator ``preference-accuracy``: log-probabilities of held-out pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mpobench import Evaluator, Metric, Workspace
from mpobench_llm.envs.language_env import LanguageEnv

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale


class PreferenceAccuracy(Evaluator):
    """The share of held-out pairs whose chosen answer is more probable, per token and in total, as in RewardBench."""

    env_type: ClassVar[type] = LanguageEnv
    requires: ClassVar[str] = "held-out pairs"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("accuracy", "%", summary="pairs whose chosen answer has the higher mean log-probability"),
        Metric("accuracy_total", "%", summary="the same of the summed log-probability"),
        Metric("margin", "nats/token", summary="mean difference of the mean log-probabilities"),
        Metric("pairs", "pairs", summary="how many were compared"),
    )

    def config(self, env: LanguageEnv, scale: Scale) -> JsonObject:
        """The number of pairs."""
        return {"pairs": env.evaluation_settings(scale).pairs}

    def evaluate(
        self, env: LanguageEnv, policy: Any, seed: int, scale: Scale, workspace: Workspace
    ) -> dict[str, float]:
        """The metrics of a policy, from log π of all held-out completions."""
        from mpobench_llm.models.adapters import acting
        from mpobench_llm.models.base_model import load_base
        from mpobench_llm.models.head import headless
        from mpobench_llm.models.logps import all_logps

        rows = env.held_out_rows(scale, workspace)
        model, _ = load_base(env.source(workspace))
        batch = env.evaluation_settings(scale).pairs_per_batch
        with acting(model, policy) as actor, headless(model) as head:
            totals = all_logps(
                actor, head, rows, batch, lambda fraction: workspace.report("evaluation", fraction)
            ).double()
        lengths = totals.new_tensor([[len(side) for side in row.completions] for row in rows])
        means = totals / lengths
        return {
            "accuracy": 100 * float((means[:, 0] > means[:, 1]).double().mean()),
            "accuracy_total": 100 * float((totals[:, 0] > totals[:, 1]).double().mean()),
            "margin": float((means[:, 0] - means[:, 1]).mean()),
            "pairs": float(len(rows)),
        }
