"""Losses that depend on their batch: an update in parts is one large batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from llm_samples import random_rows
from training_samples import SETTINGS, Weights, adapter, run

import mpobench
from mpobench import Objective, PreferenceBatch
from mpobench_llm.models.base_model import ModelSource
from mpobench_llm.models.tokens import Row
from mpobench_llm.training.one_process import fit
from mpobench_llm.training.stage import Stage, adapter_config


class Crowd(Objective):
    """A loss that has all that such losses have: a mean with a gradient, ranks, progress. Keeps the sizes it saw."""

    needs_reference: ClassVar[bool] = True
    min_pairs: ClassVar[int] = 8
    seen: ClassVar[list[int]] = []

    def loss(self, batch: PreferenceBatch) -> Any:
        chosen, rejected = batch.reference
        ratio = batch.chosen.mean - chosen.mean
        other = (batch.rejected.mean - rejected.mean).sort().values[ratio.argsort().argsort()]
        self.seen.append(len(ratio))
        return (ratio - ratio.mean() ** 2) * (1 + batch.progress) - (ratio * other).exp()


def slopes(tiny: Path, folder: Path, objective: Objective, rows: list[Row], **changes: Any) -> Weights:
    """The gradient of each of the adapter's weights in the last update."""
    settings = SETTINGS.model_copy(update=changes)
    reference = torch.randn(len(rows), 2, generator=torch.Generator().manual_seed(2)) - 20
    found: Weights = {}
    with adapter(tiny, settings) as (wrapped, head):
        for name, weight in wrapped.named_parameters():
            if weight.requires_grad:
                weight.register_post_accumulate_grad_hook(
                    lambda weight, name=name: found.update({name: weight.grad.clone()})
                )
        stage = Stage(
            ModelSource(str(tiny), "tiny", "float32"), adapter_config(settings), None, objective, rows, reference,
            settings, 1, 1e-3, 0, folder,
        )  # fmt: skip
        curves = fit(wrapped, head, stage, lambda fraction: None)
    return {**found, **{name: torch.tensor(values) for name, values in curves.items()}}


@pytest.mark.parametrize("spec", ["kto", "bco_pair", "aot", "aot_unpaired", "crowd"])
def test_an_update_in_parts_is_one_large_batch(tiny, tmp_path, spec):
    """Gradients and curves of 1 × 8, 4 × 2 and, with a batch of fewer pairs at the end, 3 × 3 pairs."""
    objective, rows = Crowd() if spec == "crowd" else mpobench.objective(spec), random_rows(8, seed=4)
    whole = slopes(tiny, tmp_path / "8", objective, rows, pairs_per_batch=8, accumulation=1)
    Crowd.seen.clear()
    for pairs_per_batch, accumulation in ((2, 4), (3, 3)):
        changes = {"pairs_per_batch": pairs_per_batch, "accumulation": accumulation}
        parts = slopes(tiny, tmp_path / f"{pairs_per_batch}", objective, rows, **changes)
        assert parts.keys() == whole.keys()
        for name, value in whole.items():
            torch.testing.assert_close(parts[name], value, rtol=1e-3, atol=1e-5, msg=name)
    assert any(bool(value.abs().max() > 1e-3) for name, value in whole.items() if "lora" in name)
    assert Crowd.seen == ([8, 8] if spec == "crowd" else [])


def test_a_loss_that_depends_on_no_batch_is_computed_once(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("mpobench_llm.training.whole_update.shares", None)
    run(tiny, tmp_path / "run", mpobench.objective("simpo"), random_rows(8))
    settings = SETTINGS.model_copy(update={"pairs_per_batch": 8, "accumulation": 1})
    reference = torch.zeros(8, 2)
    run(
        tiny,
        tmp_path / "all",
        mpobench.objective("kto"),
        random_rows(8),
        reference=reference,
        settings=settings,
    )
