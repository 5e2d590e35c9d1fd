"""Parity with TRL's own code: its trainers compute their loss, and its gradient, on the log-probabilities of ours.

No trainer is built, because a loss needs none: each ``_compute_loss`` runs on an object that has the settings it
reads and on a model whose log-probabilities are given. TRL averages over the batch, and so do we here.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MethodType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from objective_samples import build
from trl import DPOTrainer, KTOTrainer
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer

from mpobench import Objective, PreferenceBatch
from mpobench.testing.pairs import Pairs, random_pairs

PAIRS = 12
Loss = Callable[[torch.Tensor, torch.Tensor, Pairs], torch.Tensor]


def tokens(total: torch.Tensor, length: np.ndarray, width: int) -> torch.Tensor:
    """``(rows, width)``: a total spread evenly over the first ``length`` tokens, 0 behind them."""
    steps = torch.as_tensor(length, dtype=total.dtype)[:, None]
    return torch.where(torch.arange(width) < steps, total[:, None] / steps, 0)


def mask(length: np.ndarray, width: int) -> torch.Tensor:
    """``(rows, 1 + width)``: one token of prompt (0), then the response (1), then padding (0)."""
    response = (torch.arange(width) < torch.as_tensor(length)[:, None]).long()
    return torch.cat([torch.zeros(len(length), 1, dtype=torch.long), response], dim=1)


def settings(**chosen: Any) -> SimpleNamespace:
    """What the trainers' losses read of a trainer."""
    common: dict[str, Any] = {
        "accelerator": Accelerator(cpu=True),
        "model": torch.nn.Identity(),
        "aux_loss_enabled": False,
        "label_smoothing": 0.0,
        "precompute_ref_logps": True,
        "_metrics": {"train": defaultdict(list)},
        "_total_train_tokens": 0,
        "_tp_size": 1,
    }
    return SimpleNamespace(**(common | chosen))


def forward(log_probs: torch.Tensor) -> Callable[..., SimpleNamespace]:
    """A model whose tokens have these log-probabilities; the rest is for TRL's metrics."""
    nothing = torch.zeros_like(log_probs)
    outputs = SimpleNamespace(
        log_probs=log_probs,
        entropy=nothing,
        mean_logits=nothing,
        is_top1=nothing.bool(),
        log_sum_sq_probs=nothing,  # Σ p² = 1: WPO's plain weights
    )
    return lambda **inputs: outputs


def dpo_trainer(loss_type: str, **options: Any) -> Loss:
    def loss(chosen: torch.Tensor, rejected: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        length = np.concatenate([pairs.chosen_length, pairs.rejected_length])
        width = int(length.max())
        trainer = settings(
            **{
                "loss_types": [loss_type],
                "loss_weights": [1.0],
                "ld_alpha": None,
                "f_divergence_type": "reverse_kl",
                "use_weighting": False,
            }
            | options
        )
        completion = mask(length, width)
        inputs = {
            "input_ids": torch.zeros_like(completion),
            "attention_mask": torch.ones_like(completion),
            "completion_mask": completion,
            "ref_chosen_logps": torch.as_tensor(pairs.reference_chosen, dtype=chosen.dtype),
            "ref_rejected_logps": torch.as_tensor(pairs.reference_rejected, dtype=chosen.dtype),
        }
        model = forward(tokens(torch.cat([chosen, rejected]), length, width))
        return DPOTrainer._compute_loss(trainer, model, inputs, return_outputs=False)

    return loss


def kto_trainer(loss_type: str, **options: Any) -> Loss:
    """The sequences that estimate the KL are the batch's own; twice the mean over sequences is ours over pairs."""

    def loss(chosen: torch.Tensor, rejected: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        length = np.concatenate([pairs.chosen_length, pairs.rejected_length])
        width = int(length.max())
        trainer = settings(loss_type=loss_type, calculate_KL=loss_type == "kto", **options)
        trainer._compute_kl_logps = MethodType(KTOTrainer._compute_kl_logps, trainer)
        completion = mask(length, width)
        sequences = {
            "input_ids": torch.zeros_like(completion),
            "attention_mask": torch.ones_like(completion),
            "completion_mask": completion,
        }
        reference = torch.as_tensor(np.concatenate([pairs.reference_chosen, pairs.reference_rejected]))
        inputs = {
            **sequences,
            **{f"KL_{name}": array for name, array in sequences.items()},
            "label": torch.arange(2 * PAIRS) < PAIRS,
            "ref_logps": reference,
            "ref_KL_logps": reference,
        }
        model = forward(tokens(torch.cat([chosen, rejected]), length, width))
        return 2 * KTOTrainer._compute_loss(trainer, model, inputs, return_outputs=False)

    return loss


def reference_free_trainer(trainer_class: type, **options: Any) -> Loss:
    """CPO's and ORPO's trainers, from the logits on, over a vocabulary of two tokens: the given one and the rest."""

    def loss(chosen: torch.Tensor, rejected: torch.Tensor, pairs: Pairs) -> torch.Tensor:
        length = np.concatenate([pairs.chosen_length, pairs.rejected_length])
        width = int(length.max())
        trainer = settings(is_encoder_decoder=False, pad_token_id=0, padding_value=0, **options)
        for name in ("concatenated_forward", "cpo_loss", "odds_ratio_loss"):
            if hasattr(trainer_class, name):
                setattr(trainer, name, MethodType(getattr(trainer_class, name), trainer))
        trainer.concatenated_inputs = trainer_class.concatenated_inputs
        trainer.get_batch_logps = trainer_class.get_batch_logps
        logp = tokens(torch.cat([chosen, rejected]), length, width)
        logits = torch.stack([logp, torch.log(-torch.expm1(logp.clamp(max=-1e-9)))], dim=-1)
        logits = torch.cat([logits, torch.zeros_like(logits[:, :1])], dim=1)  # a last position, read by none
        completion = mask(length, width)
        batch = {}
        for side, rows in (("chosen", slice(PAIRS)), ("rejected", slice(PAIRS, None))):
            batch[f"{side}_input_ids"] = torch.zeros_like(completion[rows])
            batch[f"{side}_attention_mask"] = completion[rows] | (torch.arange(width + 1) == 0)
            batch[f"{side}_labels"] = torch.where(completion[rows] == 1, 0, -100)

        def model(input_ids: torch.Tensor, **inputs: Any) -> SimpleNamespace:
            return SimpleNamespace(logits=logits)

        return trainer_class.get_batch_loss_metrics(trainer, model, batch)[0]

    return loss


@dataclass(frozen=True)
class Case:
    """One of our objectives and the trainer of TRL that has it.

    Attributes:
        objective: ours.
        trainer: TRL's loss.
        dtype: that TRL's code can take.
        level: whether all sequences have one length: TRL averages cloning over all tokens of a batch.
        uniform: whether the reference is uniform.
        scale: of our loss.
    """

    objective: Objective
    trainer: Loss
    dtype: str = "float64"
    level: bool = False
    uniform: bool = False
    scale: float = 1.0


LEVEL = 24  # tokens
DPO_LOSS_TYPES = {
    "sigmoid": Case(build("dpo", beta=0.3), dpo_trainer("sigmoid", beta=0.3)),
    "hinge": Case(build("hinge", beta=0.3), dpo_trainer("hinge", beta=0.3)),
    "ipo": Case(build("ipo", tau=0.3), dpo_trainer("ipo", beta=0.3)),
    "exo_pair": Case(
        build("exo_pair", beta=0.3, epsilon=0.01),
        dpo_trainer("exo_pair", beta=0.3, label_smoothing=0.01),
        dtype="float32",  # of TRL's ε, whatever the rest
    ),
    "nca_pair": Case(build("nca_pair", beta=0.3), dpo_trainer("nca_pair", beta=0.3)),
    "robust": Case(
        build("robust-dpo", beta=0.3, epsilon=0.2), dpo_trainer("robust", beta=0.3, label_smoothing=0.2)
    ),
    "bco_pair": Case(build("bco_pair", beta=0.3, shift=False), dpo_trainer("bco_pair", beta=0.3)),
    "sppo_hard": Case(build("sppo_hard", beta=0.3), dpo_trainer("sppo_hard", beta=0.3)),
    "aot": Case(build("aot", beta=0.3), dpo_trainer("aot", beta=0.3)),
    "aot_unpaired": Case(build("aot_unpaired", beta=0.3), dpo_trainer("aot_unpaired", beta=0.3)),
    "apo_zero": Case(build("apo_zero", beta=0.3), dpo_trainer("apo_zero", beta=0.3)),
    "apo_down": Case(build("apo_down", beta=0.3), dpo_trainer("apo_down", beta=0.3)),
    "discopop": Case(
        build("discopop", beta=0.3, tau=0.2),
        dpo_trainer("discopop", beta=0.3, args=SimpleNamespace(discopop_tau=0.2)),
    ),
    "sft": Case(build("sft"), dpo_trainer("sft", beta=0.3), level=True),
    "sigmoid_norm": Case(build("sigmoid_norm", beta=3), dpo_trainer("sigmoid_norm", beta=3.0)),
}


def divergence(name: str, trl_name: str, **case: Any) -> Case:
    return Case(
        build("fdpo", beta=0.3, divergence=name, alpha=0.3),
        dpo_trainer("sigmoid", beta=0.3, f_divergence_type=trl_name, f_alpha_divergence_coef=0.7),
        **case,
    )


def cpo(loss_type: str, **options: Any) -> Loss:
    defaults = {"beta": 0.3, "alpha": 0.0, "simpo_gamma": 0.5, "cpo_alpha": 0.0}
    return reference_free_trainer(CPOTrainer, loss_type=loss_type, **(defaults | options))


CASES = {f"dpo trainer, {name}": case for name, case in DPO_LOSS_TYPES.items()} | {
    "dpo trainer, sigmoid and sft": Case(
        build("rpo", beta=0.3, lam=0.6),
        dpo_trainer("", beta=0.3, loss_types=["sigmoid", "sft"], loss_weights=[1.0, 0.6]),
        level=True,
    ),
    "dpo trainer, reverse kl": divergence("reverse_kl", "reverse_kl"),
    "dpo trainer, forward kl": divergence("forward_kl", "forward_kl"),
    "dpo trainer, jensen-shannon": divergence("jensen_shannon", "js_divergence"),
    "dpo trainer, alpha divergence": divergence("alpha", "alpha_divergence", dtype="float32"),
    "dpo trainer, weighted": Case(
        build("wpo", beta=0.3), dpo_trainer("sigmoid", beta=0.3, use_weighting=True)
    ),
    "kto trainer, kto": Case(
        build("kto", beta=0.3, desirable=1.2, undesirable=0.7),
        kto_trainer("kto", beta=0.3, desirable_weight=1.2, undesirable_weight=0.7),
    ),
    "kto trainer, apo_zero_unpaired": Case(
        build("apo_zero", beta=0.3),
        kto_trainer("apo_zero_unpaired", beta=0.3, desirable_weight=1.0, undesirable_weight=1.0),
    ),
    "cpo trainer, sigmoid": Case(build("cpo", beta=0.3), cpo("sigmoid", cpo_alpha=float(LEVEL)), level=True),
    "cpo trainer, label smoothing": Case(
        build("cdpo", beta=0.3, epsilon=0.2), cpo("sigmoid", label_smoothing=0.2), uniform=True
    ),
    "cpo trainer, hinge": Case(build("slic", delta=1 / 0.3, lam=0), cpo("hinge"), scale=0.3),
    "cpo trainer, ipo": Case(build("cpo-ipo", tau=0.3, lam=0.6), cpo("ipo", cpo_alpha=0.6), level=True),
    "cpo trainer, simpo": Case(build("simpo", beta=0.3, gamma=0.5), cpo("simpo")),
    "cpo trainer, simpo with cloning": Case(
        build("cpo-simpo", beta=0.3, gamma=0.5, lam=0.6), cpo("simpo", cpo_alpha=0.6), level=True
    ),
    "cpo trainer, alphapo": Case(build("alphapo", alpha=0.25, beta=0.3, gamma=0.5), cpo("simpo", alpha=0.25)),
    "cpo trainer, alphapo below 0": Case(
        build("alphapo", alpha=-0.25, beta=0.3, gamma=0.5), cpo("simpo", alpha=-0.25)
    ),
    "orpo trainer": Case(
        build("orpo", lam=0.3), reference_free_trainer(ORPOTrainer, beta=0.3), dtype="float32", level=True
    ),
}


def gradients(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], pairs: Pairs, dtype: str
) -> tuple[np.ndarray, ...]:
    """Value and gradients of a scalar loss of both sides' totals."""
    sides = [
        torch.tensor(side, dtype=getattr(torch, dtype), requires_grad=True)
        for side in (pairs.chosen, pairs.rejected)
    ]
    value = loss(*sides)
    slopes = torch.autograd.grad(value, sides, allow_unused=True)
    return (
        value.detach().numpy(),
        *(np.zeros(PAIRS) if slope is None else slope.numpy() for slope in slopes),
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_value_and_gradient_are_trls(case, seed):
    pairs = random_pairs(seed, pairs=PAIRS).rounded(case.dtype)
    if case.level:
        level = np.full(PAIRS, float(LEVEL))
        pairs = replace(
            pairs,
            chosen=pairs.chosen / pairs.chosen_length * level,
            rejected=pairs.rejected / pairs.rejected_length * level,
            chosen_length=level,
            rejected_length=level,
        ).rounded(case.dtype)
    if case.uniform:
        pairs = replace(pairs, reference_chosen=np.zeros(PAIRS), reference_rejected=np.zeros(PAIRS))

    def ours(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
        batch: PreferenceBatch = pairs.batch(torch, case.dtype, chosen=chosen, rejected=rejected)
        return case.scale * case.objective.loss(batch).mean()

    mine = gradients(ours, pairs, case.dtype)
    theirs = gradients(lambda *sides: case.trainer(*sides, pairs), pairs, case.dtype)
    tolerance = 1e-9 if case.dtype == "float64" else 2e-4
    for my, their in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(
            my, their, rtol=tolerance, atol=tolerance * np.abs(their).max(initial=1e-6)
        )
    assert np.abs(theirs[1]).max() > 0, "the comparison has a gradient to compare"


def test_no_loss_of_trls_dpo_trainer_is_missing():
    """An unknown loss type makes TRL name those that it knows."""
    pairs = random_pairs(0, pairs=PAIRS)
    sides = (torch.as_tensor(pairs.chosen), torch.as_tensor(pairs.rejected))
    with pytest.raises(ValueError, match="Unknown loss type") as error:
        dpo_trainer("surprise", beta=0.3)(*sides, pairs)
    known = re.search(r"\[.*\]", str(error.value))
    assert known is not None
    assert set(ast.literal_eval(known.group())) == set(DPO_LOSS_TYPES)
