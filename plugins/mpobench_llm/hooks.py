"""Components of this plugin."""

from __future__ import annotations

from collections.abc import Iterable

from mpobench import CommandCard, EnvCard, EvaluatorCard, hookimpl

PAPER = "Alfano, Sapora, Foerster, Rebeschini, Teh: Meta-Learning Objectives for Preference Optimization"


@hookimpl
def mpobench_envs() -> Iterable[EnvCard]:
    """Language models to fine-tune."""
    yield EnvCard(
        name="smollm-style",
        version="4",
        summary="A small model that chats must learn to answer by three rules that code checks; offline, on a CPU",
        target="mpobench_llm.envs.smollm_style.env:SmolLMStyle",
        citation="SmolLM2: Allal et al. (2025), arXiv:2502.02737",
    )
    for name, target, pairing in (
        ("gemma-7b-dpo-mix", "GemmaDpoMix", "Gemma 7B on argilla/dpo-mix-7k"),
        ("gemma-7b-capybara", "GemmaCapybara", "Gemma 7B on argilla/distilabel-capybara-dpo-7k-binarized"),
        ("mistral-7b-dpo-mix", "MistralDpoMix", "Mistral 7B v0.3 on argilla/dpo-mix-7k"),
    ):
        yield EnvCard(
            name=name,
            version="2",
            summary=f"{pairing}, as in the paper; needs an accelerator",
            target=f"mpobench_llm.envs.hub_env:{target}",
            citation=PAPER,
        )
    yield EnvCard(
        name="llm",
        version="3",
        summary="Any causal language model on any preference dataset, of the hub or local",
        target="mpobench_llm.envs.hub_env:AnyModel",
    )


@hookimpl
def mpobench_evaluators() -> Iterable[EvaluatorCard]:
    """Ground truth, held-out pairs, a judge."""
    yield EvaluatorCard(
        name="style-reward",
        version="2",
        summary="What the answers of a policy earn on smollm-style, checked by code",
        target="mpobench_llm.evaluators.style_reward:StyleReward",
    )
    yield EvaluatorCard(
        name="preference-accuracy",
        summary="How often a policy finds the better answer of a held-out pair more probable",
        target="mpobench_llm.evaluators.preference_accuracy:PreferenceAccuracy",
        citation="Lambert et al. (2024), arXiv:2403.13787",
    )
    yield EvaluatorCard(
        name="judge",
        summary="How often a language model prefers a policy's answers to a baseline's, by any OpenAI-compatible API",
        target="mpobench_llm.judge.evaluator:Judge",
        citation="AlpacaEval 2: Dubois et al. (2024), arXiv:2404.04475",
    )


@hookimpl
def mpobench_commands() -> Iterable[CommandCard]:
    """Answers of policies."""
    yield CommandCard(
        name="answers",
        summary="Write a policy's answers as AlpacaEval's model_outputs.json",
        target="mpobench_llm.answers_command:app",
    )
