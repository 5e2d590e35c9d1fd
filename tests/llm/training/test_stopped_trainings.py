"""Trainings through the environment ``llm`` that are stopped, or diverge: they go on to the bit, and leave nothing."""

from __future__ import annotations

from typing import Any

import pytest
from training_samples import StopError, request, same, stopping_at

from mpobench import (
    DivergedError,
    Objective,
    PreferenceBatch,
    Workspace,
)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["orpo", "dpo"])
def test_a_stopped_training_goes_on(env, workspace, tmp_path, objective):
    """To the bit, by a checkpoint that is gone in the end; with dropout, in whichever stage it was stopped."""
    wanted = request(objective, epochs=2, po_epochs=2, checkpoint_updates=1, lora_dropout=0.2)
    expected = env.train(wanted, Workspace(tmp_path / "other"))
    with pytest.raises(StopError):
        env.train(wanted, Workspace(workspace.cache, stopping_at(0.75)))
    assert list((workspace.cache / "checkpoints").glob("*/checkpoint-2"))
    reports: list[tuple[str, float]] = []
    found = env.train(wanted, Workspace(workspace.cache, lambda phase, share: reports.append((phase, share))))
    assert reports[0] == ("training" if objective == "orpo" else "SFT stages", 0.75)
    assert same(found.policy, expected.policy)
    assert str(found.curves) == str(expected.curves)  # a NaN is no other NaN
    for cache in (workspace.cache, tmp_path / "other"):
        assert [path for path in (cache / "checkpoints").iterdir() if path.is_dir()] == []


class Breaks(Objective):
    """NaN from the last update on."""

    def loss(self, batch: PreferenceBatch) -> Any:
        return batch.chosen.mean + (float("nan") if float(batch.progress) == 1 else 0)


def test_a_training_that_diverged_leaves_no_checkpoint(env, workspace):
    with pytest.raises(DivergedError, match="at update 4 of 4"):
        env.train(request(Breaks(), epochs=2, checkpoint_updates=1), workspace)
    assert [path for path in (workspace.cache / "checkpoints").iterdir() if path.is_dir()] == []
