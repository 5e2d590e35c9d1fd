"""How well a policy tells the better answer from the worse one, on pairs that it was not trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mpobench import Evaluator, Metric, Workspace
from mpobench_llm.env import LanguageEnv

if TYPE_CHECKING:
    from mpobench.protocols import JsonObject, Scale


class PreferenceAccuracy(Evaluator):
    """The share of held-out pairs whose chosen answer is more probable, per token and in all (RewardBench's way)."""

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
        """Computes log π of all held-out completions."""
        from mpobench_llm import models, trainer
        from mpobench_llm.logps import headless

        rows = env.held_out_rows(scale, workspace)
        model, _ = models.base(env.source(workspace))
        with models.acting(model, policy) as speaker, headless(model) as head:
            totals = trainer.all_logps(
                speaker, head, rows, 8, lambda fraction: workspace.report("evaluation", fraction)
            ).double()
        lengths = totals.new_tensor([[len(side) for side in row.completions] for row in rows])
        means = totals / lengths
        return {
            "accuracy": 100 * float((means[:, 0] > means[:, 1]).double().mean()),
            "accuracy_total": 100 * float((totals[:, 0] > totals[:, 1]).double().mean()),
            "margin": float((means[:, 0] - means[:, 1]).mean()),
            "pairs": float(len(rows)),
        }
