"""The distance of a policy from its reference on its own answers: what over-optimization drives up.

A few answers are sampled from the policy. At each of their tokens both next-token distributions are known, so
KL(π ‖ π_ref) is summed over the whole vocabulary there, not estimated from the token that was drawn: the same
expectation with less variance.

References:
    Schulman (2020), Approximating KL Divergence, http://joschu.net/blog/kl-approx.html.
    Amini, Vieira, Cotterell (2025), Better Estimation of the Kullback-Leibler Divergence Between Language Models,
    arXiv:2504.10637.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from mpobench_llm.generation.answering import TRAINING, end_tokens
from mpobench_llm.generation.sampling import sample
from mpobench_llm.models.base_model import load_tokenizer
from mpobench_llm.models.head import Head, head_restored
from mpobench_llm.training.stage import Stage


def kl_to_reference(model: Any, head: Head, stage: Stage, epoch: int) -> float:
    """Mean KL(π ‖ π_ref) per token of the policy's answers to the first prompts of its data, in nats.

    The reference policy is the one at the beginning of the stage: the SFT stage's, or the untrained model.

    Args:
        model: Model with the policy's adapter, and without its head.
        head: Head.
        stage: Stage; its settings say how many answers, and how long.
        epoch: Number of the epoch, of which the random numbers depend.
    """
    prompts = [row.prompt for row in stage.rows[: stage.settings.kl_answers]]
    half = head.dtype == torch.bfloat16
    with _for_inference(model, head), torch.autocast(model.device.type, torch.bfloat16, enabled=half):
        answers = sample(
            model,
            prompts,
            [[TRAINING, stage.seed, epoch, row] for row in range(len(prompts))],
            ends=end_tokens(model, load_tokenizer(stage.source.location, stage.source.revision)),
            max_tokens=stage.settings.kl_tokens,
            temperature=1.0,
            batch=len(prompts),
            positions=stage.source.positions,
        )
        ours = [_logps(model, *pair) for pair in zip(prompts, answers, strict=True)]
        with _as_reference(model, stage):
            theirs = [_logps(model, *pair) for pair in zip(prompts, answers, strict=True)]
    summed = sum(float((own.exp() * (own - other)).sum()) for own, other in zip(ours, theirs, strict=True))
    return summed / sum(map(len, answers))


@torch.no_grad()
def _logps(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of all tokens at each position of an answer, ``(tokens, vocabulary)``."""
    ids = torch.tensor([[*prompt, *answer]], device=model.device)
    wanted = len(answer) + 1
    known = inspect.signature(model.get_base_model().forward).parameters
    fewer = {"logits_to_keep": wanted} if "logits_to_keep" in known else {}
    logits = model(input_ids=ids, use_cache=False, **fewer).logits
    logps: torch.Tensor = logits[0, -wanted:-1].float().log_softmax(-1)
    return logps


@contextmanager
def _for_inference(model: Any, head: Head) -> Iterator[None]:
    """The model with its head, for inference."""
    training = model.training
    with head_restored(model.get_base_model(), head):
        model.eval()
        try:
            yield
        finally:
            model.train(training)


@contextmanager
def _as_reference(model: Any, stage: Stage) -> Iterator[None]:
    """The model as it was at the beginning of the stage."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    if stage.weights is None:
        with model.disable_adapter():
            yield
        return
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    mine = {name: value.detach().clone() for name, value in state.items()}
    set_peft_model_state_dict(model, dict(stage.weights))
    try:
        yield
    finally:
        set_peft_model_state_dict(model, mine)
