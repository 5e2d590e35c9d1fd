"""Whole trainings through the environment ``llm``: policies, and the model as it was before."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from llm_samples import random_rows
from peft import LoraConfig, PeftModel
from training_samples import PAIRS, StopError, plain, request, same, stopping_at

from mpobench import (
    DivergedError,
    Objective,
    PreferenceBatch,
    RequestError,
    Trained,
    Workspace,
)
from mpobench_llm.generation.answering import end_tokens
from mpobench_llm.models.adapters import acting, adapted, merged
from mpobench_llm.models.base_model import load_base
from mpobench_llm.models.batch import collate
from mpobench_llm.models.exactness import in_single_precision
from mpobench_llm.models.head import headless
from mpobench_llm.models.logps import sequence_logps
from mpobench_llm.models.policy import Policy
from mpobench_llm.training.curves import QUANTITIES


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
def test_peft_casts_the_inputs_of_an_adapter_for_nothing(env, workspace, precision, trained):
    """With its casts and without them, log-probabilities and gradients are the same to the bit."""
    model, _ = load_base(env.source(workspace, precision))
    rows, half = random_rows(6), precision == "bfloat16"
    found = []
    for casting in (False, True):
        with (
            adapted(model, trained.policy.lora, trained.policy.weights) as wrapped,
            headless(model) as head,
            torch.autocast("cpu", torch.bfloat16, enabled=half),
        ):
            layers = [layer for layer in wrapped.modules() if hasattr(layer, "cast_input_dtype_enabled")]
            assert not any(layer.cast_input_dtype_enabled for layer in layers)
            for layer in layers:
                layer.cast_input_dtype_enabled = casting
            logps = sequence_logps(wrapped, head, collate(rows, head.dtype, "packed"))
            (logps[:, 0] - logps[:, 1]).square().sum().backward()
            gradients = [each.grad for each in wrapped.parameters() if each.requires_grad]
        found.append([logps.detach(), *gradients])
    assert len(found[0]) > 1
    assert all(float(gradient.abs().max()) > 0 for gradient in found[0])
    assert all(torch.equal(*both) for both in zip(*found, strict=True))
    dropping = copy.copy(trained.policy.lora)
    dropping.lora_dropout = 0.05
    with adapted(model, dropping, None) as wrapped:
        layers = [layer for layer in wrapped.modules() if hasattr(layer, "cast_input_dtype_enabled")]
        assert all(layer.cast_input_dtype_enabled for layer in layers), "dropout in half precision rounds"


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
    trained = env.train(request("tampo-noisy-0.1"), workspace)
    assert trained.curves["stage"] == ["po"]
    assert np.isfinite([trained.curves[name] for name in QUANTITIES]).all()
    assert any(bool(value.any()) for name, value in trained.policy.weights.items() if "lora_B" in name)


def test_an_objective_file_trains_by_its_path(env, workspace, found):
    by_path, other = (env.train(request(spec), workspace) for spec in (str(found), "1s-mpo"))
    assert np.isfinite([by_path.curves[name] for name in QUANTITIES]).all()
    assert not same(by_path.policy, other.policy)
