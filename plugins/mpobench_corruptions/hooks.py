"""Cards of the built-in corruptions."""

from __future__ import annotations

from collections.abc import Iterator

from mpobench import CorruptionCard, hookimpl

_PAPER = "Alfano et al., Meta-Learning Objectives for Preference Optimization"


@hookimpl
def mpobench_corruptions() -> Iterator[CorruptionCard]:
    """The clean dataset and the paper's three ways to spoil it."""
    yield CorruptionCard(
        name="base",
        summary="One side from each agent, judged by their true returns",
        target="mpobench_corruptions.base:Base",
        citation=f"{_PAPER}, §4.1",
    )
    yield CorruptionCard(
        name="noisy",
        summary="Each label is flipped with probability RATE",
        target="mpobench_corruptions.noisy:Noisy",
        citation=f"{_PAPER}, §4.1",
        positional="rate",
    )
    yield CorruptionCard(
        name="mixed",
        summary="Each side comes from either agent at random: 25 % target pairs, 50 % mixed, 25 % original",
        target="mpobench_corruptions.mixed:Mixed",
        citation=f"{_PAPER}, §4.1",
    )
    yield CorruptionCard(
        name="bad-judge",
        summary="A Bradley-Terry judge at TEMPERATURE, who errs most where returns are close",
        target="mpobench_corruptions.bad_judge:BadJudge",
        citation=f"{_PAPER}, appendix I.4",
        positional="temperature",
    )
