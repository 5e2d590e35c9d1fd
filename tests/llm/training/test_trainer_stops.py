"""Trainings of the trainer that end before their end."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from llm_samples import random_rows
from training_samples import SETTINGS, StopError, run

import mpobench
from mpobench import DivergedError, Objective, PreferenceBatch


class Breaks(Objective):
    """Becomes NaN after half of the training."""

    def loss(self, batch: PreferenceBatch) -> Any:
        return batch.chosen.mean + (0 if float(batch.progress) < 0.5 else float("nan"))


def test_a_loss_that_leaves_the_numbers(tiny, tmp_path):
    with pytest.raises(DivergedError, match="the loss is not finite at update 3 of 4"):
        run(tiny, tmp_path / "run", Breaks(), random_rows(8), epochs=2)


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
