"""Sampled answers: the right distribution, and nothing but an answer's own prompt and stream decides it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from llm_samples import WORDS, tiny_base
from scipy import stats
from transformers import GPT2Config, GPT2LMHeadModel

from mpobench_llm.generation.sampling import choose, sample

LARGEST = float(np.nextafter(np.float32(1), np.float32(0)))


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.0])
def test_the_distribution_is_the_softmax(temperature):
    logits = torch.tensor([0.5, -1.0, 2.0, -float("inf"), 0.0, 1.0, 0.9])
    possible = logits.isfinite().numpy()
    expected = (logits.double() / temperature).softmax(-1).numpy()[possible]
    draws = 20_000
    for uniform in (
        torch.rand(draws, generator=torch.Generator().manual_seed(1)),
        (torch.arange(draws) + 0.5) / draws,
    ):
        counts = np.bincount(choose(logits.expand(draws, -1), uniform, temperature).numpy(), minlength=7)
        assert counts[~possible].sum() == 0
        assert stats.chisquare(counts[possible], draws * expected).pvalue > 0.01
    np.testing.assert_allclose(counts[possible], draws * expected, rtol=0, atol=2)  # of the even grid


def test_rows_are_drawn_by_their_own_logits_and_number():
    logits = torch.tensor([[0.0, 0.0, -100.0], [-100.0, 0.0, 0.0], [0.0, -100.0, 0.0]])
    assert choose(logits, torch.tensor([0.25, 0.25, 0.25]), 1.0).tolist() == [0, 1, 0]
    assert choose(logits, torch.tensor([0.75, 0.25, 0.75]), 1.0).tolist() == [1, 1, 2]


def test_temperature_zero_takes_the_most_probable():
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(choose(logits, torch.rand(50), 0.0), logits.argmax(-1))
    assert torch.equal(choose(logits, torch.rand(50), 1e-4), logits.argmax(-1)), (
        "nearly zero is nearly the same"
    )


@pytest.mark.parametrize("uniform", [0.0, 0.5, LARGEST, 1.0])
@pytest.mark.parametrize(
    ("logits", "possible"),
    [
        ([-1e4, 1e4, -1e4], {1}),
        ([-float("inf"), 3.0, 3.0, -float("inf")], {1, 2}),
        ([3e38, -3e38, -3e38], {0}),
        ([-3e38, -3e38], {0, 1}),
        ([-float("inf"), -200.0, -float("inf")], {1}),
    ],
)
def test_what_is_impossible_is_never_drawn(logits, possible, uniform):
    assert choose(torch.tensor([logits]), torch.tensor([uniform]), 0.7).item() in possible


PROMPTS = [
    tuple(np.random.default_rng(row).integers(3, WORDS, length).tolist())
    for row, length in enumerate([5, 1, 9, 3, 3, 14, 2, 7, 1, 6])
]
STREAMS = [[8, row] for row in range(len(PROMPTS))]
OPTIONS = {"ends": {1}, "max_tokens": 12, "temperature": 0.05, "batch": 4}


@pytest.fixture(scope="module")
def model(tiny):
    return tiny_base(tiny)[0]


@pytest.fixture(scope="module")
def endless(model) -> list[list[int]]:
    """Answers that nothing ends."""
    answers = sample(model, PROMPTS, STREAMS, **OPTIONS)
    assert not any(1 in answer for answer in answers)
    return answers


@pytest.fixture(scope="module")
def end(endless) -> int:
    """A token in the middle of some of those answers, but not of all."""
    middle = [token for answer in endless for token in set(answer[1:-1])]
    return max(set(middle), key=middle.count)


def test_max_tokens(model, endless):
    assert {len(answer) for answer in endless} == {OPTIONS["max_tokens"]}
    shorter = sample(model, PROMPTS, STREAMS, **{**OPTIONS, "max_tokens": 5})
    assert shorter == [answer[:5] for answer in endless]


@pytest.mark.parametrize("positions", [15, 17, 20, 26])
def test_answers_end_where_the_positions_do(model, endless, positions):
    expected = [answer[: positions - len(prompt)] for prompt, answer in zip(PROMPTS, endless, strict=True)]
    assert sample(model, PROMPTS, STREAMS, **OPTIONS, positions=positions) == expected


def test_answers_stop_at_their_end(model, endless, end):
    expected = [answer[: answer.index(end) + 1] if end in answer else answer for answer in endless]
    assert {len(answer) == OPTIONS["max_tokens"] for answer in expected} == {True, False}
    assert sample(model, PROMPTS, STREAMS, **{**OPTIONS, "ends": {end}}) == expected


def test_any_of_several_ends(model, endless, end):
    others = [token for answer in endless for token in answer[:3] if token != end]
    other = max(set(others), key=others.count)
    expected = []
    for answer in endless:
        stops = [step for step, token in enumerate(answer) if token in (end, other)]
        expected.append(answer[: stops[0] + 1] if stops else answer)
    assert {end, other} <= {answer[-1] for answer in expected}
    assert sample(model, PROMPTS, STREAMS, **{**OPTIONS, "ends": {end, other}}) == expected


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_batches_change_nothing(model, end, batch):
    options = {**OPTIONS, "ends": {end}}
    expected = sample(model, PROMPTS, STREAMS, **options)
    assert sample(model, PROMPTS, STREAMS, **{**options, "batch": batch}) == expected


def test_batches_change_nothing_for_a_model_that_counts_positions():
    """As padding on the left would, if positions began with it."""
    torch.manual_seed(0)
    shape = GPT2Config(
        vocab_size=WORDS, n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.5
    )
    model = GPT2LMHeadModel(shape).eval()
    alone, together = (
        sample(model, PROMPTS, STREAMS, **{**OPTIONS, "temperature": 0.3, "batch": batch})
        for batch in (1, 100)
    )
    assert alone == together


def test_companions_change_nothing(model, end):
    options = {**OPTIONS, "ends": {end}}
    expected = sample(model, PROMPTS, STREAMS, **options)
    some = [7, 2, 5]
    found = sample(model, [PROMPTS[row] for row in some], [STREAMS[row] for row in some], **options)
    assert found == [expected[row] for row in some]
    others = sample(model, PROMPTS, [[9, row] for row in range(len(PROMPTS))], **options)
    assert sum(mine != other for mine, other in zip(expected, others, strict=True)) > 5, "streams do decide"


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_every_token_is_what_its_own_number_says_to_the_plain_model(model, temperature):
    """One prompt at a time, without a cache, in double precision."""
    answers = sample(model, PROMPTS, STREAMS, **{**OPTIONS, "temperature": temperature})
    for prompt, stream, answer in zip(PROMPTS, STREAMS, answers, strict=True):
        draws = np.random.default_rng(stream).random(OPTIONS["max_tokens"])
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
        cumulated = (logits.double() / temperature).softmax(-1).cumsum(-1).numpy()
        for token, number, sums in zip(answer, draws, cumulated, strict=False):
            assert (sums[token - 1] if token else 0) - 1e-4 <= number <= sums[token] + 1e-4


def test_temperature_zero_is_the_greedy_search_of_transformers(model, end):
    answers = sample(model, PROMPTS, STREAMS, **{**OPTIONS, "ends": {end}, "temperature": 0.0})
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        greedy = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            max_new_tokens=OPTIONS["max_tokens"],
            eos_token_id=end,
            pad_token_id=end,
        )
        assert answer == greedy[0, len(prompt) :].tolist()


def test_progress(model, end):
    reports: list[float] = []
    sample(model, PROMPTS, STREAMS, **{**OPTIONS, "ends": {end}}, report=reports.append)
    assert reports == sorted(reports)
    assert 0 < reports[0] < 0.1
    assert reports[-1] == 1
