"""The rules of smollm-style on telling examples, and how fluency weighs them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpobench_llm.envs.smollm_style.rules import (
    EXAMPLES,
    INSTRUCTION,
    FluencySettings,
    distinct_trigrams,
    instructed,
    plain,
    score,
    sentences,
)

FLUENCY = FluencySettings(broken=-6.0, fluent=-3.0, repeating=0.4, varied=0.8)
FLUENT = -1.5
LOGPS = st.floats(-1e6, 0)
SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("the moon is a rock. it shines.", 2),
        ("  the moon is a rock.\n\nit shines.\n", 2),
        ("the moon is a rock", 0),
        ("the moon is a rock. it shines", 0),
        ("the moon is a rock.it shines.", 1),
        ("is it a rock? yes! it is.", 3),
        ("really?! it is...", 2),
        ("it weighs 1.5 tons. that is a lot.", 2),
        ("it weighs 1.5 tons", 0),
        ("version 2.0. it is out.", 2),
        ('she said "it is a rock." he agreed.', 2),
        ("(it is a rock.) it shines.", 2),
        ("it is a 'rock.' it shines!", 2),
        ('it ends in a quote. "it does."', 2),
        ("e.g. the moon. it shines.", 3),  # an abbreviation counts: the rule is what code can check
        ("one. two. three.", 3),
        ("", 0),
        ("   ", 0),
        ("...", 1),
        ("a list: 1. one 2. two.", 3),
        ("it shines. 🌙", 0),
    ],
)
def test_sentences(text, count):
    assert sentences(text) == count


GOOD = "the moon is a rock. it shines at night."


@pytest.mark.parametrize(
    ("text", "lower_case", "no_commas", "two_sentences"),
    [
        (GOOD, True, True, True),
        (GOOD.capitalize(), False, True, True),
        (GOOD.replace("moon", "moon, i say,"), True, False, True),
        (GOOD + " it turns.", True, True, False),
        (GOOD[:-1], True, True, False),
        (GOOD.replace("moon", "Étoile"), False, True, True),
        (GOOD.replace("moon", "étoile"), True, True, True),
        (GOOD.replace("moon", "ΣΕΛΉΝΗ"), False, True, True),
        (GOOD.replace("moon", "straße"), True, True, True),
        (GOOD.replace("moon", "月"), True, True, True),
        (GOOD.replace("moon", "1,000 stars"), True, False, True),
        ("The Moon, a rock, shines", False, False, False),
        ("it is. it shines so.", True, True, True),
        ("it is. it shines.", False, False, False),  # four words obey nothing
        ("1 2 3 4 5 6. 7 8 9.", False, False, False),
        ("_ _ _ _ _. _ _.", False, False, False),
        ("", False, False, False),
    ],
)
def test_rules(text, lower_case, no_commas, two_sentences):
    found = score(text, FLUENT, FLUENCY)
    assert (found.lower_case, found.no_commas, found.two_sentences) == (lower_case, no_commas, two_sentences)
    assert found.fluency == 1
    assert found.total == pytest.approx(100 / 3 * (lower_case + no_commas + two_sentences))


@pytest.mark.parametrize(
    ("mean_logp", "fluency"),
    [
        (-1e9, 0), (-6.0, 0), (-4.5, 0.5), (-3.75, 0.75), (-3.0, 1), (-1.5, 1), (0, 1),
    ],
)  # fmt: skip
def test_an_improbable_answer_is_not_fluent(mean_logp, fluency):
    assert FLUENCY.of(mean_logp, 1.0) == pytest.approx(fluency)
    assert score(GOOD, mean_logp, FLUENCY).total == pytest.approx(100 * fluency)


@pytest.mark.parametrize(
    ("text", "distinct"),
    [
        (GOOD, 1),
        ("it is. it is. it is. it is. it is.", 2 / 8),
        ("It is a dog. it is A dog.", 4 / 6),  # it is a, is a dog, a dog it, dog it is
        ("they have a lot of a lot of a lot of a lot.", 5 / 11),
        ("one two", 1),
        ("", 1),
    ],
)
def test_an_answer_that_repeats_itself_is_not_fluent(text, distinct):
    assert distinct_trigrams(text) == pytest.approx(distinct)
    fluency = min(1, max(0, (distinct - 0.4) / 0.4))
    assert score(text, FLUENT, FLUENCY).fluency == pytest.approx(fluency)


@given(LOGPS, LOGPS, SHARES, SHARES)
def test_fluency_is_bounded_and_monotone(one, other, some, more):
    low, high = FLUENCY.of(min(one, other), min(some, more)), FLUENCY.of(max(one, other), max(some, more))
    assert 0 <= low <= high <= 1


@given(st.text() | st.text(alphabet="ab A,.!?\"' ", min_size=8), LOGPS)
def test_totals_are_bounded(text, mean_logp):
    found = score(text, mean_logp, FLUENCY)
    assert 0 <= found.total <= 100 + 1e-9
    assert math.isfinite(found.total)
    assert found.total <= 100 * found.fluency + 1e-9


def test_the_examples_that_the_target_agent_sees_keep_the_rules():
    for _, answer in EXAMPLES:
        assert score(answer, FLUENT, FLUENCY).total == pytest.approx(100)


def test_only_the_target_agent_is_told_the_rules():
    assert plain("Why?") == ({"role": "user", "content": "Why?"},)
    told = instructed("Why?")
    assert told[0] == {"role": "system", "content": INSTRUCTION}
    assert [message["role"] for message in told[1:]] == ["user", "assistant"] * len(EXAMPLES) + ["user"]
    assert told[-1:] == plain("Why?")
