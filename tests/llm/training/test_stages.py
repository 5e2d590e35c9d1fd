"""The stages of a training through the environment ``llm``, and the references that they share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from llm_samples import all_plain_logps
from peft import PeftModel
from safetensors.torch import load_file
from training_samples import PAIRS, plain, request, same

from mpobench import (
    Objective,
    PreferenceBatch,
    TrainingRequest,
    Workspace,
)
from mpobench_llm.models import base_model
from mpobench_llm.models.adapters import acting
from mpobench_llm.models.base_model import load_base
from mpobench_llm.models.head import headless
from mpobench_llm.models.logps import all_logps
from mpobench_llm.models.policy import Policy
from mpobench_llm.training import resumable
from mpobench_llm.training.curves import KL, QUANTITIES, RATIOS
from mpobench_llm.training.sft_stage import (
    REFERENCE,
    load_sft_stage,
    make_sft_stage,
    untrained_reference,
)


def test_two_stage_objectives_share_one_sft_stage(env, workspace):
    first = env.train(request("dpo"), workspace)
    (folder,) = [path for path in (workspace.cache / "sft").iterdir() if path.is_dir()]
    made = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}
    phases: set[str] = set()
    listening = Workspace(workspace.cache, report=lambda phase, fraction: phases.add(phase))
    second = env.train(request("ipo", po_epochs=3), listening)
    assert phases == {"training"}
    assert made == {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}
    assert [path for path in (workspace.cache / "sft").iterdir() if path.is_dir()] == [folder]
    assert first.curves["stage"] == ["sft"] * 2 + ["po"]
    assert second.curves["stage"] == ["sft"] * 2 + ["po"] * 3
    for name in (*QUANTITIES, *RATIOS, KL):
        values = np.array(first.curves[name])
        np.testing.assert_array_equal(values[:2], second.curves[name][:2])
        # of which an SFT stage knows nothing
        unread = name in ("margin", "accuracy", "logp_rejected", *RATIOS, KL)
        assert np.isnan(values[:2]).all() == unread
        assert np.isfinite(values[2:]).all()
    assert not same(first.policy, second.policy)


@pytest.mark.parametrize(
    ("objective", "overrides", "update"),
    [
        ("dpo", {}, 4),
        ("kto", {}, 8),
        ("aot", {"accumulation": 1, "pairs_per_batch": 3}, 8),
        ("kto", {"po_accumulation": 1}, 2),
        ("orpo", {"po_accumulation": 3}, 6),
    ],
)
def test_a_loss_that_depends_on_its_batch_gets_one(env, objective, overrides, update):
    """Of the 8 pairs at most; the SFT stage stays that of all others, and keys of other losses are what they were."""
    wanted = request(objective, **overrides)
    assert env.pairs_per_update(wanted) == update
    config, plain = env.training_config(wanted), env.training_settings(wanted)
    own = env.objective_settings(wanted).accumulation
    if wanted.objective.two_stage:
        assert (config["accumulation"], config.get("po_accumulation", plain.accumulation)) == (
            plain.accumulation,
            own,
        )
        assert ("po_accumulation" in config) == (own != plain.accumulation)
        shared = {name: value for name, value in overrides.items() if name != "po_accumulation"}
        assert env.sft_key(wanted) == env.sft_key(request("dpo", **shared))
    else:
        assert config["accumulation"] == own
        assert "po_accumulation" not in config


def test_an_objective_s_stage_has_its_own_updates(env, workspace, monkeypatch):
    seen = []

    def carry_out(stage: Any, workspace: Workspace, phase: str) -> Any:
        seen.append((phase, stage.settings.accumulation))
        return resumable_carry_out(stage, workspace, phase)

    resumable_carry_out = resumable.carry_out
    monkeypatch.setattr(resumable, "carry_out", carry_out)
    env.train(request("kto", sft_epochs=1), workspace)
    assert seen == [("SFT stages", 2), ("training", 4)]


def test_the_sft_stage_is_named_by_what_planning_says(env, workspace):
    wanted = request("dpo")
    for each in env.prerequisites(wanted):
        assert not (workspace.cache / each.path).exists()
        env.prepare(each.payload, workspace)
        assert (workspace.cache / each.path).exists()
    *_, sft = env.prerequisites(wanted)
    assert make_sft_stage(env, wanted, workspace) == workspace.cache / sft.path


def test_references_are_those_of_the_sft_policy(env, tiny, workspace):
    wanted = request("dpo", "noisy:0.5", po_learning_rate=1e-30, lora_dropout=0.0)
    rows = env.rows(wanted, workspace)
    curves = env.train(wanted, workspace).curves
    folder = make_sft_stage(env, wanted, workspace)
    stored = load_file(folder / REFERENCE)["logps"]
    with torch.no_grad():
        expected = all_plain_logps(PeftModel.from_pretrained(plain(tiny), folder).eval(), rows)
        untrained = all_plain_logps(plain(tiny), rows)
    torch.testing.assert_close(stored.double(), expected, rtol=0, atol=1e-3)
    assert (expected - untrained).abs().mean() > 0.05, "the SFT stage has done something"
    # A second stage that stands still sees log-ratios of nil.
    assert curves["loss"][-1] == pytest.approx(np.log(2), abs=1e-4)


def test_pair_logps_are_those_of_the_sft_policy(env, tiny, workspace, monkeypatch):
    monkeypatch.setattr(base_model, "has_bfloat16", lambda: False)  # so that plain transformers rounds alike
    wanted = request("dpo", "noisy:0.5", seed=3)
    wanted = TrainingRequest(wanted.dataset, "", wanted.objective, wanted.seed)
    chosen, rejected = env.pair_logps(wanted.dataset, workspace)
    rows = env.rows(wanted, workspace)
    folder = make_sft_stage(env, wanted, workspace)
    with torch.no_grad():
        expected = all_plain_logps(PeftModel.from_pretrained(plain(tiny), folder).eval(), rows).numpy()
    for side, found in enumerate((chosen, rejected)):
        np.testing.assert_allclose(found.total, expected[:, side], rtol=0, atol=1e-3)
        assert found.length.tolist() == [len(row.completions[side]) for row in rows]


class Lonely(Objective):
    """Reads a reference in one stage, and keeps what it read."""

    needs_reference: ClassVar[bool] = True
    seen: ClassVar[dict[tuple[float, float], tuple[float, float]]] = {}

    @property
    def two_stage(self) -> bool:
        return False

    def loss(self, batch: PreferenceBatch) -> Any:
        chosen, rejected = batch.reference
        ours = zip(batch.chosen.total.tolist(), batch.rejected.total.tolist(), strict=True)
        self.seen.update(
            zip(ours, zip(chosen.total.tolist(), rejected.total.tolist(), strict=True), strict=True)
        )
        return -batch.chosen.mean


def test_in_one_stage_the_reference_is_the_untrained_model(env, tiny, workspace):
    Lonely.seen.clear()
    wanted = request(Lonely(), "noisy:0.5", learning_rate=1e-30, lora_dropout=0.0)
    env.train(wanted, workspace)
    assert len(Lonely.seen) == PAIRS
    with torch.no_grad():
        expected = all_plain_logps(plain(tiny), env.rows(wanted, workspace))
    (file,) = (workspace.cache / "reference").glob("*.safetensors")
    torch.testing.assert_close(load_file(file)["logps"].double(), expected, rtol=0, atol=1e-3)
    for ours, reference in Lonely.seen.items():
        assert ours == pytest.approx(reference, abs=1e-3), "of the same pair"
    assert not (workspace.cache / "sft").exists()


@pytest.mark.parametrize("first", [False, True])
def test_a_machine_of_another_precision_makes_references_of_its_own(env, workspace, monkeypatch, first):
    """With one cache; whichever comes first."""
    wanted, found, folders = request("dpo", precision="auto"), {}, {}
    for half in (first, not first, first):
        monkeypatch.setattr(base_model, "has_bfloat16", lambda half=half: half)
        folder = make_sft_stage(env, wanted, workspace)
        assert folders.setdefault(half, folder) == folder
        found[half] = load_sft_stage(env, wanted, workspace), untrained_reference(env, wanted, workspace)
    assert len(set(folders.values())) == 2
    assert folders[first] == workspace.cache / env.sft_path(wanted)
    rows = env.rows(wanted, workspace)
    for half, (stage, untrained) in found.items():
        model, _ = load_base(env.source(workspace, "bfloat16" if half else "float32"))
        for policy, reference in ((stage.policy, stage.reference), (Policy(), untrained)):
            with acting(model, policy) as actor, headless(model) as head:
                assert torch.equal(all_logps(actor, head, rows, 2), reference)
    assert not torch.equal(found[True][1], found[False][1])
