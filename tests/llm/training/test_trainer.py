"""transformers' loop with any objective of ours, against a loop written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from llm_samples import all_plain_logps, random_rows
from torch.nn.functional import logsigmoid
from training_samples import SETTINGS, UPDATE, Weights, adapter, run, weights

import mpobench
from mpobench import Objective, PreferenceBatch, SequenceLogps
from mpobench.registry.registry import Registry
from mpobench_llm.models.batch import collate
from mpobench_llm.models.logps import all_logps, sequence_logps
from mpobench_llm.models.tokens import Row
from mpobench_llm.training.cloning import Cloning
from mpobench_llm.training.curves import KL, QUANTITIES, RATIOS
from mpobench_llm.training.length_sampler import ShuffledByLength


class Remembers(Objective):
    """Keeps what it saw. The rejected completion's length tells which pair it was."""

    needs_reference: ClassVar[bool] = True
    seen: ClassVar[list[dict[str, Any]]] = []

    def loss(self, batch: PreferenceBatch) -> Any:
        chosen, rejected = batch.reference
        self.seen.append(
            {
                "pairs": (batch.rejected.length - 1).int().tolist(),
                "totals": torch.stack([batch.chosen.total, batch.rejected.total], 1).detach(),
                "lengths": torch.stack([batch.chosen.length, batch.rejected.length], 1),
                "reference": torch.stack([chosen.total, rejected.total], 1),
                "reference_lengths": torch.stack([chosen.length, rejected.length], 1),
                "progress": float(batch.progress),
            }
        )
        return batch.chosen.total * 0 + batch.progress


@pytest.fixture
def seen() -> Iterator[list[dict[str, Any]]]:
    Remembers.seen.clear()
    yield Remembers.seen
    Remembers.seen.clear()


def told_apart(count: int) -> list[Row]:
    """Rows whose rejected completion has index + 1 tokens."""
    rows = random_rows(count, seed=5)
    return [Row(row.prompt, (row.completions[0], (9,) * (row.index + 1)), row.index) for row in rows]


# The loop


def by_hand(
    tiny: Path,
    rows: list[Row],
    reference: torch.Tensor,
    epochs: int,
    learning_rate: float,
    max_grad_norm: float,
) -> tuple[Weights, list[float]]:
    """DPO (β = 1/2) by an AdamW without decay, written out; returns the adapter and each epoch's mean loss."""
    losses = []
    with adapter(tiny) as (wrapped, head):
        wrapped.base_model.model.set_output_embeddings(tied(head.weight))
        trained = {name: each for name, each in wrapped.named_parameters() if each.requires_grad}
        first, second = ({name: torch.zeros_like(each) for name, each in trained.items()} for _ in range(2))
        step = 0
        for epoch in range(epochs):
            order = ShuffledByLength([len(row) for row in rows], UPDATE, seed=3)
            order.set_epoch(epoch)
            shuffled, of_epoch = [rows[row] for row in order], 0.0
            for at in range(0, len(rows), UPDATE):
                step += 1
                pairs = shuffled[at : at + UPDATE]
                logps = all_plain_logps(wrapped, pairs)
                ratios = logps - reference[[pair.index for pair in pairs]]
                loss = -logsigmoid(0.5 * (ratios[:, 0] - ratios[:, 1])).mean()
                of_epoch += loss.item() * len(pairs)
                slopes = torch.autograd.grad(loss, list(trained.values()))
                norm = torch.sqrt(sum(slope.double().square().sum() for slope in slopes))
                for (name, weight), slope in zip(trained.items(), slopes, strict=True):
                    clipped = slope * min(1.0, max_grad_norm / float(norm))
                    first[name] = 0.9 * first[name] + 0.1 * clipped
                    second[name] = 0.999 * second[name] + 0.001 * clipped**2
                    direction = (first[name] / (1 - 0.9**step)) / (
                        (second[name] / (1 - 0.999**step)).sqrt() + 1e-8
                    )
                    weight.data -= learning_rate * direction
            losses.append(of_epoch / len(rows))
        return weights(wrapped), losses


def tied(head: torch.Tensor) -> torch.nn.Linear:
    """A head of these weights."""
    linear = torch.nn.Linear(head.shape[1], head.shape[0], bias=False)
    linear.weight = torch.nn.Parameter(head, requires_grad=False)
    return linear


@pytest.mark.parametrize("max_grad_norm", [1e9, 1e-2])
def test_updates_are_those_of_adamw_written_by_hand(tiny, tmp_path, max_grad_norm):
    rows, epochs, rate = random_rows(7, seed=1), 3, 1e-2  # the last update has fewer, in unequal batches
    reference = torch.randn(7, 2, generator=torch.Generator().manual_seed(1)) - 20
    expected, losses = by_hand(tiny, rows, reference, epochs, rate, max_grad_norm)
    before, after, curves = run(
        tiny,
        tmp_path / "run",
        mpobench.objective("dpo:beta=0.5"),
        rows,
        reference=reference,
        settings=SETTINGS.model_copy(update={"max_grad_norm": max_grad_norm}),
        epochs=epochs,
        learning_rate=rate,
        seed=3,
    )
    assert curves["loss"] == pytest.approx(losses, rel=1e-4)
    for name, found in after.items():
        moved = expected[name] - before[name]
        assert moved.abs().max() > rate
        # Where a slope is nearly nothing, rounding decides its sign, and Adam takes a whole step in that direction.
        close = (found - expected[name]).abs() < 1e-2 * moved.abs().max()
        assert close.float().mean() > 0.98, name


def test_a_rising_and_falling_learning_rate_moves_less(tiny, tmp_path):
    """Schedule and warm-up reach the optimizer, each with the other."""
    rows, objective, found = random_rows(12), mpobench.objective("simpo"), {}
    for name, changes in {
        "constant": {},
        "cosine": {"schedule": "cosine"},
        "linear": {"schedule": "linear"},
        "warm": {"warmup": 0.9},
        "warm and linear": {"schedule": "linear", "warmup": 0.5},
    }.items():
        before, after, _ = run(
            tiny, tmp_path / name, objective, rows, settings=SETTINGS.model_copy(update=changes)
        )
        found[name] = sum(float((after[each] - before[each]).abs().sum()) for each in before)
    constant = found.pop("constant")
    assert all(moved < 0.9 * constant for moved in found.values()), (found, constant)
    assert found["warm and linear"] < 0.8 * found["linear"]


def test_a_last_update_of_fewer_pairs_counts_them_fully(tiny, tmp_path, seen):
    _, _, curves = run(tiny, tmp_path / "run", Remembers(), told_apart(5), reference=torch.zeros(5, 2))
    assert [len(batch["pairs"]) for batch in seen] == [2, 2, 1]
    assert [batch["progress"] for batch in seen] == [0, 0, 1]
    assert curves["loss"] == [pytest.approx(1 / 5)]


class Denormals(Objective):
    """Keeps what becomes of a number below float32's normal ones, in both passes."""

    kept: ClassVar[list[float]] = []

    def loss(self, batch: PreferenceBatch) -> Any:
        batch.chosen.total.register_hook(lambda slope: self.kept.append(doubled(1e-39)))
        self.kept.append(doubled(1e-39))
        return -batch.chosen.total


def doubled(number: float) -> float:
    return float(torch.tensor(number) * 2)


def test_denormal_gradients_are_zeros_and_only_in_training(tiny, tmp_path):
    """Products of them take a hundred times as long."""
    Denormals.kept.clear()
    run(tiny, tmp_path / "run", Denormals(), random_rows(UPDATE))
    assert Denormals.kept == [0.0] * 4, "two batches, forward and backward"
    assert doubled(1e-39) == pytest.approx(2e-39)


# Every objective


REPRESENTATIVES = {
    "orpo": "one stage",
    "simpo": "two stages without a reference",
    "dpo": "two stages with a reference",
    "aot": "a batch at once, against a reference",
    "tampo-noisy-0.1": "networks",
    "tampo": "another loss in the course of training",
}


@pytest.fixture
def like_an_sft_stage(tiny) -> tuple[list[Row], torch.Tensor]:
    """Rows of one update, and a reference as after an SFT stage: the policy's own."""
    rows = random_rows(UPDATE, seed=6)
    with adapter(tiny) as (wrapped, head):
        return rows, all_logps(wrapped, head, rows, 2)


@pytest.mark.parametrize("name", REPRESENTATIVES)
def test_objectives_of_every_kind_move_the_adapter(
    tiny, tmp_path, registry: Registry, like_an_sft_stage, name
):
    rows, reference = like_an_sft_stage
    objective = registry.build("objective", name).component
    before, after, curves = run(tiny, tmp_path / "run", objective, rows, reference=reference)
    assert all(len(values) == 1 and torch.tensor(values).isfinite().all() for values in curves.values())
    for each, weight in after.items():
        assert weight.isfinite().all()
        assert not torch.equal(weight, before[each]), each


def test_every_objective_has_a_slope_in_every_weight_of_the_adapter(
    tiny, registry: Registry, like_an_sft_stage
):
    """By which any optimizer moves it; one forward pass serves all objectives."""
    rows, reference = like_an_sft_stage
    with adapter(tiny) as (wrapped, head):
        batch = collate(rows, torch.float32, "packed")
        totals, lengths = sequence_logps(wrapped, head, batch), batch.lengths.float()
        sides = [
            SequenceLogps(logps[:, side], lengths[:, side])
            for logps in (totals, reference)
            for side in (0, 1)
        ]
        pairs = PreferenceBatch(*sides, progress=totals.new_tensor(0.0))
        names, trained = zip(
            *((n, each) for n, each in wrapped.named_parameters() if each.requires_grad), strict=True
        )
        for card in (each.card for each in registry.cards("objective")):
            losses = registry.build("objective", card.name).component.loss(pairs)
            slopes = torch.autograd.grad(losses.mean(), trained, retain_graph=True)
            for name, slope in zip(names, slopes, strict=True):
                assert slope.isfinite().all(), (card.name, name)
                assert slope.any(), (card.name, name)


# What an objective sees


def test_references_reach_their_pairs(tiny, tmp_path, seen):
    rows = told_apart(12)
    reference = torch.arange(24.0).view(12, 2)
    run(tiny, tmp_path / "run", Remembers(), rows, reference=reference, epochs=2, learning_rate=1e-30)
    orders = [[pair for batch in seen[at : at + 6] for pair in batch["pairs"]] for at in (0, 6)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(12))
    assert orders[0] != orders[1]
    assert list(range(12)) not in orders
    with adapter(tiny) as (wrapped, head):
        expected = all_logps(wrapped, head, rows, 5)
    for batch in seen:
        pairs = batch["pairs"]
        assert torch.equal(batch["reference"], reference[pairs])
        torch.testing.assert_close(batch["totals"], expected[pairs], rtol=0, atol=1e-4)
        lengths = [[len(side) for side in rows[pair].completions] for pair in pairs]
        assert batch["lengths"].tolist() == batch["reference_lengths"].tolist() == lengths


def test_progress_goes_from_nothing_to_everything(tiny, tmp_path, seen):
    reports: list[float] = []
    rows = told_apart(8)
    _, _, curves = run(
        tiny, tmp_path / "run", Remembers(), rows,
        reference=torch.zeros(8, 2), epochs=3, learning_rate=1e-30, report=reports.append,
    )  # fmt: skip
    assert [batch["progress"] for batch in seen] == pytest.approx(
        [update / 5 for update in range(6) for _ in range(2)]
    )
    assert reports == pytest.approx([(update + 1) / 6 for update in range(6)])
    assert curves["loss"] == pytest.approx([0.1, 0.5, 0.9]), "each epoch's own"


def test_curves_are_means_over_pairs(tiny, tmp_path):
    rows = random_rows(7, seed=7)  # updates of 4 and of 3 pairs, in batches of 2 and of 1
    objective = mpobench.objective("simpo")
    with adapter(tiny) as (wrapped, head):
        totals = all_logps(wrapped, head, rows, 7)
    means = totals / torch.tensor([[len(side) for side in row.completions] for row in rows])
    _, _, curves = run(tiny, tmp_path / "run", objective, rows, epochs=2, learning_rate=1e-30)
    margin = means[:, 0] - means[:, 1]
    sides = [SequenceLogps(totals[:, side], totals[:, side] / means[:, side]) for side in (0, 1)]
    expected = {
        "loss": objective.loss(PreferenceBatch(*sides)).mean(),
        "margin": margin.mean(),
        "accuracy": (margin > 0).float().mean(),
        "logp_chosen": means[:, 0].mean(),
        "logp_rejected": means[:, 1].mean(),
    }
    assert 0 < expected["accuracy"] < 1
    assert list(curves) == list(QUANTITIES)
    for name, value in expected.items():
        assert curves[name] == pytest.approx([float(value)] * 2, rel=1e-4), name


def test_curves_relative_to_the_reference(tiny, tmp_path):
    """Whether the objective reads the reference or not."""
    rows = random_rows(7, seed=7)
    with adapter(tiny) as (wrapped, head):
        totals = all_logps(wrapped, head, rows, 7)
    reference = totals + torch.randn(7, 2, generator=torch.Generator().manual_seed(0))
    means = (totals - reference) / torch.tensor([[len(side) for side in row.completions] for row in rows])
    expected = {
        "log_ratio_chosen": means[:, 0].mean(),
        "log_ratio_rejected": means[:, 1].mean(),
        "chosen_fell": (means[:, 0] < 0).float().mean(),
    }
    assert 0 < expected["chosen_fell"] < 1
    for spec in ("simpo", "dpo"):
        _, _, curves = run(
            tiny,
            tmp_path / spec,
            mpobench.objective(spec),
            rows,
            reference=reference,
            epochs=2,
            learning_rate=1e-30,
        )
        assert list(curves) == [*QUANTITIES, *RATIOS, KL]
        for name, value in expected.items():
            assert curves[name] == pytest.approx([float(value)] * 2, rel=1e-3, abs=1e-4), name


def test_cloning_raises_the_chosen_completions(tiny, tmp_path):
    """Its rows have no other."""
    rows = random_rows(8, seed=8, sides=1)
    _, _, curves = run(tiny, tmp_path / "run", Cloning(), rows, epochs=6, learning_rate=5e-2)
    assert set(curves) == {"loss", "logp_chosen"}, "and its curves are of no other"
    assert curves["loss"][-1] < curves["loss"][0] - 0.05
    assert curves["loss"] == pytest.approx([-value for value in curves["logp_chosen"]])
