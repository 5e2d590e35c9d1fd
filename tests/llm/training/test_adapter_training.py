"""Whole trainings through the environment ``llm``: stages, references, policies, and the model as it was before."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from llm_samples import all_plain_logps
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file
from training_samples import StopError, request, same, stopping_at
from transformers import AutoModelForCausalLM

from mpobench import (
    DivergedError,
    Objective,
    PreferenceBatch,
    RequestError,
    Trained,
    TrainingRequest,
    Workspace,
)
from mpobench_llm.generation.answering import end_tokens
from mpobench_llm.models import base_model
from mpobench_llm.models.adapters import acting, adapted, merged
from mpobench_llm.models.base_model import load_base
from mpobench_llm.models.exactness import in_single_precision
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

PAIRS = 8
"""Of the smallest scale."""


def plain(tiny: Path) -> Any:
    """The model as transformers alone loads it."""
    return AutoModelForCausalLM.from_pretrained(tiny).eval()


# Two stages


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


# The policy


@pytest.fixture(scope="module")
def trained(env, tmp_path_factory) -> Trained:
    """An adapter that does something, by one training for all tests that only read it."""
    return env.train(request("orpo", epochs=3), Workspace(tmp_path_factory.mktemp("trained")))


def test_a_policy_is_what_peft_loads(env, tiny, workspace, tmp_path, trained):
    folder = tmp_path / "policy"
    folder.mkdir()
    env.save_policy(trained.policy, folder)
    assert LoraConfig.from_pretrained(folder).base_model_name_or_path == str(tiny)
    ids = torch.tensor([[0, 20, 30, 40, 50]])
    base = plain(tiny)
    with torch.no_grad():
        untrained = base(ids).logits
        by_peft = PeftModel.from_pretrained(base, folder).eval()(ids).logits
    loaded = env.load_policy(folder)
    assert same(loaded, trained.policy)
    model, _ = load_base(env.source(workspace, "float32"))
    for policy in (trained.policy, loaded):
        with torch.no_grad(), acting(model, policy) as actor:
            torch.testing.assert_close(actor(ids).logits, by_peft, rtol=1e-4, atol=1e-5)
    assert (by_peft - untrained).abs().max() > 1e-3


@contextmanager
def exactly(model: Any, policy: Policy) -> Iterator[Any]:
    """A policy with its adapter apart, and products in single precision."""
    with acting(model, policy) as actor, in_single_precision(actor):
        yield actor


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_to_sample_an_adapter_may_be_added_to_the_weights_for_a_while(env, workspace, precision, trained):
    policy = trained.policy
    model, _ = load_base(env.source(workspace, precision))
    before = Looks.at(model)
    ids = torch.tensor([[0, 20, 30, 40, 50]])
    with torch.no_grad():
        untrained = model(ids).logits
        with exactly(model, policy) as actor:
            expected = actor(ids).logits
        for stopped in (False, True):
            with suppress(StopError), merged(model, policy) as actor:
                found = actor(ids).logits
                if stopped:
                    raise StopError
            assert torch.equal(model(ids).logits, untrained), stopped
            assert Looks.at(model) == before, stopped
    assert (expected - untrained.float()).abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_small_change_of_the_weights_reaches_the_answers(env, workspace, precision, trained):
    """Every change is below half of the last digit that a weight has in bfloat16."""
    weights = {
        name: value * (1e-3 if "lora_B" in name else 1) for name, value in trained.policy.weights.items()
    }
    policy = Policy(trained.policy.lora, weights)
    model, _ = load_base(env.source(workspace, precision))
    ids = torch.tensor([[0, 20, 30, 40, 50]])

    def hidden(way: Any, whose: Policy) -> torch.Tensor:
        with torch.no_grad(), way(model, whose) as actor:
            return actor(ids, output_hidden_states=True).hidden_states[-1].float()

    change = hidden(exactly, policy) - hidden(exactly, Policy())
    found = hidden(merged, policy) - hidden(exactly, Policy())
    assert change.norm() > 0
    assert (found - change).norm() < 0.05 * change.norm()


def test_what_ends_an_answer(env, workspace):
    model, tokenizer = load_base(env.source(workspace))
    assert end_tokens(model, tokenizer) == {tokenizer.eos_token_id}
    other = copy.deepcopy(tokenizer)
    other.chat_template = "{% for each in messages %}{{ each.role + ':' + each.content + '~\n' }}{% endfor %}"
    assert end_tokens(model, other) == {tokenizer.eos_token_id}, "a mark that a text may hold is no end"


def test_the_untrained_model_has_nothing_to_save(env, tmp_path):
    with pytest.raises(RequestError, match="the untrained model has no adapter"):
        env.save_policy(env.original(), tmp_path)


def test_adapters_are_trained_in_single_precision_on_a_model_in_half(env, workspace):
    trained = env.train(request("orpo", precision="bfloat16", epochs=3), workspace)
    assert np.isfinite(trained.curves["loss"]).all()
    model, _ = load_base(env.source(workspace, "bfloat16"))
    assert model.dtype == torch.bfloat16
    weights = trained.policy.weights
    assert {value.dtype for value in weights.values()} == {torch.float32}
    for name, value in weights.items():
        assert (value != value.bfloat16().float()).any(), f"{name} was rounded"
    with adapted(model, trained.policy.lora, weights) as wrapped:
        assert {each.dtype for each in wrapped.parameters() if each.requires_grad} == {torch.float32}
    with acting(model, trained.policy) as actor:
        assert {each.dtype for each in actor.parameters()} == {torch.bfloat16}


class Broken(Objective):
    """NaN at every pair."""

    def loss(self, batch: PreferenceBatch) -> Any:
        return batch.chosen.mean * float("nan")


@dataclass(frozen=True, eq=False)
class Looks:
    """What must be the same of a base model before and after."""

    weights: dict[str, torch.Tensor]
    modules: list[str]
    hooks: int

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Looks)
        assert self.weights.keys() == other.weights.keys()
        same = all(torch.equal(value, other.weights[name]) for name, value in self.weights.items())
        return same and (self.modules, self.hooks) == (other.modules, other.hooks)

    __hash__ = None

    @classmethod
    def at(cls, model: Any) -> Looks:
        assert not any(each.requires_grad for each in model.parameters())
        assert not any(module.training for module in model.modules())
        assert not model.is_activation_checkpointing
        assert not hasattr(model, "peft_config")
        hooks = sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        return cls(
            weights, [f"{name}: {type(module).__name__}" for name, module in model.named_modules()], hooks
        )


@pytest.mark.parametrize(
    ("objective", "changes"),
    [("orpo", {}), ("dpo", {}), ("orpo", {"gradient_checkpointing": "on"}), ("stopped", {}), ("broken", {})],
)
def test_the_base_model_is_as_it_was(env, workspace, objective, changes):
    model, _ = load_base(env.source(workspace))
    before = Looks.at(model)
    loss = {"broken": Broken(), "stopped": "orpo"}.get(objective, objective)
    wanted = request(loss, **{"precision": "auto", **changes})
    if objective == "broken":
        with pytest.raises(DivergedError):
            env.train(wanted, workspace)
    elif objective == "stopped":
        with pytest.raises(StopError):
            env.train(wanted, Workspace(workspace.cache, stopping_at(0.5)))
    else:
        env.train(wanted, workspace)
    assert load_base(env.source(workspace))[0] is model
    assert Looks.at(model) == before


def test_recomputing_activations_computes_the_same(env, workspace):
    """As does the number of updates between checkpoints: neither is in a key."""
    first = env.train(request("orpo", lora_dropout=0.0), workspace)
    changes = {"gradient_checkpointing": "on", "checkpoint_updates": 1, "lora_dropout": 0.0}
    second = env.train(request("orpo", **changes), workspace)
    assert first.curves["loss"] == pytest.approx(second.curves["loss"], rel=1e-5)
    for name, value in first.policy.weights.items():
        torch.testing.assert_close(value, second.policy.weights[name], rtol=1e-3, atol=1e-4)


def test_trainings_repeat_themselves_and_seeds_differ(env, workspace, trained):
    again, other = (env.train(request("orpo", seed=seed, epochs=3), workspace) for seed in (0, 1))
    assert same(again.policy, trained.policy)
    assert not same(other.policy, trained.policy)


# Data and objectives


def test_noise_swaps_exactly_the_flipped_pairs(env, workspace):
    wanted = request("orpo", "noisy:0.5", seed=4)
    clean, noisy = (env.rows(each, workspace) for each in (request("orpo", seed=4), wanted))
    flips = wanted.dataset.corruption.flip(PAIRS, np.random.default_rng([4, 2]))
    assert 0 < flips.sum() < PAIRS
    assert len(clean) == PAIRS
    for flipped, before, after in zip(flips, clean, noisy, strict=True):
        assert (after.prompt, after.index) == (before.prompt, before.index)
        assert before.completions[0] != before.completions[1]
        assert after.completions == (before.completions[::-1] if flipped else before.completions)


def test_a_discovered_objective_trains_unchanged(env, workspace):
    trained = env.train(request("1s-mpo-noisy-0.1"), workspace)
    assert trained.curves["stage"] == ["po"]
    assert np.isfinite([trained.curves[name] for name in QUANTITIES]).all()
    assert any(bool(value.any()) for name, value in trained.policy.weights.items() if "lora_B" in name)


def test_an_objective_file_trains_by_its_path(env, workspace, found):
    by_path, other = (env.train(request(spec), workspace) for spec in (str(found), "1s-mpo"))
    assert np.isfinite([by_path.curves[name] for name in QUANTITIES]).all()
    assert not same(by_path.policy, other.policy)
