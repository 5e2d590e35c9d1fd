"""transformers' loop with any objective of ours, against a loop written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from llm_samples import all_plain_logps, random_rows, tiny_base
from torch.nn.functional import logsigmoid

import mpobench
from mpobench import DivergedError, Objective, PreferenceBatch, SequenceLogps
from mpobench.registry.registry import Registry
from mpobench_llm.models.adapters import adapted
from mpobench_llm.models.base_model import ModelSource
from mpobench_llm.models.batch import collate
from mpobench_llm.models.head import headless
from mpobench_llm.models.logps import all_logps, sequence_logps
from mpobench_llm.models.tokens import Row
from mpobench_llm.settings import TrainingSettings
from mpobench_llm.training.cloning import Cloning
from mpobench_llm.training.curves import KL, QUANTITIES, RATIOS
from mpobench_llm.training.length_sampler import ShuffledByLength
from mpobench_llm.training.one_process import fit
from mpobench_llm.training.stage import Stage, adapter_config

SETTINGS = TrainingSettings(
    pairs_per_batch=2,
    accumulation=2,
    lora_rank=2,
    lora_alpha=4,
    lora_dropout=0.0,
    schedule="constant",
    warmup=0,
    max_grad_norm=1e9,
    precision="float32",
)
UPDATE = 4
"""Pairs in one."""

Weights = dict[str, torch.Tensor]


@contextmanager
def adapter(tiny: Path, settings: TrainingSettings = SETTINGS, seed: int = 0) -> Iterator[tuple[Any, Any]]:
    """The tiny model with an adapter that already does something, and without its head: (model, head)."""
    model, _ = tiny_base(tiny)
    torch.manual_seed(seed)
    lora = adapter_config(settings, settings.lora_dropout)
    lora.init_lora_weights = False
    with adapted(model, lora, None) as wrapped, headless(model) as head:
        yield wrapped, head


def weights(wrapped: Any) -> Weights:
    return {name: each.detach().clone() for name, each in wrapped.named_parameters() if each.requires_grad}


def run(
    tiny: Path,
    folder: Path,
    objective: Objective,
    rows: list[Row],
    *,
    reference: torch.Tensor | None = None,
    settings: TrainingSettings = SETTINGS,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    seed: int = 0,
    start: int = 0,
    report: Any = lambda fraction: None,
) -> tuple[Weights, Weights, dict[str, list[float]]]:
    """A training; returns the adapter before and after it, and its curves."""
    with adapter(tiny, settings, start) as (wrapped, head):
        before = weights(wrapped)
        stage = Stage(
            ModelSource(str(tiny), "tiny", "float32"), adapter_config(settings), None, objective, rows, reference,
            settings, epochs, learning_rate, seed, folder,
        )  # fmt: skip
        curves = fit(wrapped, head, stage, report)
        return before, weights(wrapped), curves


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


# Every objective


REPRESENTATIVES = {
    "orpo": "one stage",
    "simpo": "two stages without a reference",
    "dpo": "two stages with a reference",
    "aot": "a batch at once, against a reference",
    "1s-mpo-noisy-0.1": "networks",
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


# Losses that depend on their batch


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
    assert curves["loss"][-1] < curves["loss"][0] - 0.05
    assert curves["loss"] == pytest.approx([-value for value in curves["logp_chosen"]])


# The order of pairs


LENGTHS = torch.randint(1, 99, (50,), generator=torch.Generator().manual_seed(0)).tolist()


def epoch_of(seed: int, epoch: int) -> list[int]:
    sampler = ShuffledByLength(LENGTHS, 8, seed)
    sampler.set_epoch(epoch)
    assert len(sampler) == len(LENGTHS)
    return list(sampler)


def test_orders():
    order = epoch_of(0, 0)
    assert sorted(order) == list(range(50))
    for at in range(0, 50, 8):
        lengths = [LENGTHS[row] for row in order[at : at + 8]]
        assert lengths == sorted(lengths)
    assert [LENGTHS[row] for row in order] != sorted(LENGTHS), "updates mix all lengths"
    assert order == epoch_of(0, 0)
    assert len({tuple(epoch_of(seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


def test_an_update_s_pairs_are_drawn_without_regard_to_length():
    """Over many epochs, the mean length of the first update is that of all rows."""
    means = [sum(LENGTHS[row] for row in epoch_of(1, epoch)[:8]) / 8 for epoch in range(200)]
    assert sum(means) / 200 == pytest.approx(sum(LENGTHS) / 50, rel=0.05)


# Stops


class Breaks(Objective):
    """Becomes NaN after half of the training."""

    def loss(self, batch: PreferenceBatch) -> Any:
        return batch.chosen.mean + (0 if float(batch.progress) < 0.5 else float("nan"))


def test_a_loss_that_leaves_the_numbers(tiny, tmp_path):
    with pytest.raises(DivergedError, match="the loss is not finite at update 3 of 4"):
        run(tiny, tmp_path / "run", Breaks(), random_rows(8), epochs=2)


class StopError(Exception):
    """A power cut."""


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["simpo", "kto"])
def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(tiny, tmp_path, spec):
    """Between epochs and within one, to the bit: weights, moments, order, dropout, learning rate and curves."""
    rows = random_rows(10, seed=9)  # three updates an epoch
    settings = SETTINGS.model_copy(update={"lora_dropout": 0.3, "schedule": "cosine"})
    objective = mpobench.objective(spec)
    options = {"epochs": 3, "seed": 1, "reference": torch.full((10, 2), -20.0)}
    before, expected, curves = run(tiny, tmp_path / "whole", objective, rows, settings=settings, **options)
    for checkpoint_updates, stop in ((None, 4), (None, 5), (1, 2), (2, 5)):
        case = f"checkpoints every {checkpoint_updates or 3} updates, stopped at {stop}"
        options["settings"] = settings.model_copy(update={"checkpoint_updates": checkpoint_updates})
        updates = []

        def report(fraction: float, updates: list[int] = updates, stop: int = stop) -> None:
            updates.append(round(fraction * 9))
            if updates == list(range(1, stop + 1)):
                raise StopError

        folder = tmp_path / f"{checkpoint_updates} {stop}"
        with pytest.raises(StopError):
            run(tiny, folder, objective, rows, report=report, **options)
        updates.clear()
        _, found, again = run(tiny, folder, objective, rows, start=5, report=report, **options)
        last = (stop - 1) // (checkpoint_updates or 3) * (checkpoint_updates or 3)
        assert updates == list(range(last + 1, 10)), (
            f"{case}: what came before the checkpoint is not done again"
        )
        for name, weight in expected.items():
            assert not torch.equal(weight, before[name])
            assert torch.equal(weight, found[name]), (case, name)
        assert again == curves, case
        assert len(list(folder.glob("checkpoint-*"))) == 1, case


def test_a_checkpoint_that_was_cut_short_is_not_believed(tiny, tmp_path):
    rows, objective = random_rows(8), mpobench.objective("orpo")
    options = {"settings": SETTINGS.model_copy(update={"checkpoint_updates": 1}), "epochs": 2}
    _, expected, _ = run(tiny, tmp_path / "whole", objective, rows, **options)

    def stopping(fraction: float) -> None:
        if fraction == 0.75:
            raise StopError

    folder, updates = tmp_path / "stopped", []
    with pytest.raises(StopError):
        run(tiny, folder, objective, rows, report=stopping, **options)
    state = folder / "checkpoint-2" / "trainer_state.json"
    state.write_bytes(state.read_bytes()[:100])
    _, found, _ = run(tiny, folder, objective, rows, report=updates.append, **options)
    assert len(updates) == 4, "from the beginning"
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())
