"""Rows that are too long: what a cut keeps, what is dropped, and how it is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chat_template_samples import ENDS, with_template
from hub_samples import says
from hypothesis import example, given
from hypothesis import strategies as st
from llm_samples import tiny_base

from mpobench import RequestError
from mpobench_llm.models.end_of_turn import end_of_turn
from mpobench_llm.models.lengths import Bound, Fitted, KeptRows, fit
from mpobench_llm.models.preference_pair import Message, PreferencePair
from mpobench_llm.models.tokens import Row, encode, prompt_ids
from mpobench_llm.row_counts import RowCounts

WORDS = st.integers(0, 40).map("word ".__mul__)
PAIRS = st.builds(
    lambda system, question, more, chosen, rejected: PreferencePair(
        (
            *([says("system", "Be kind. " + system)] if system is not None else []),
            says("user", "First " + question),
            *([says("assistant", "Yes."), says("user", "Then " + more)] if more is not None else []),
        ),
        "Gladly " + chosen,
        "No " + rejected,
    ),
    st.none() | WORDS,
    WORDS,
    st.none() | WORDS,
    WORDS,
    WORDS,
)
"""Pairs of all lengths, with or without a system message and a second turn."""


@pytest.fixture(scope="module")
def tokenizers(tiny: Path) -> dict[str, Any]:
    return {kind: with_template(tiny_base(tiny)[1], kind) for kind in ENDS}


def edges(tokenizer: Any, messages: tuple[Message, ...]) -> tuple[list[int], list[int]]:
    """The tokens before the text of the first user's message, and after that of the last one: texts are a mark here."""
    shown = [says(each["role"], "~" if each["role"] == "user" else each["content"]) for each in messages]
    (mark,) = tokenizer("~", add_special_tokens=False)["input_ids"]
    ids = prompt_ids(tokenizer, shown)
    return ids[: ids.index(mark)], ids[len(ids) - ids[::-1].index(mark) :]


@pytest.mark.parametrize("kind", ["chatml", "llama", "glm", "gemma"])
@given(pair=PAIRS, max_length=st.integers(8, 260))
def test_a_cut_row_begins_as_the_conversation_and_ends_as_the_answers_where_they_fit(
    tokenizers, kind, pair, max_length
):
    tokenizer = tokenizers[kind]
    whole = encode(tokenizer, pair)
    longest = max(map(len, whole.completions))
    outcome = fit(tokenizer, pair.prompt, whole, Bound(max_length, "cut"))
    begin, header = edges(tokenizer, pair.prompt)
    kept = len(begin) + len(header) + 1
    if not isinstance(outcome, Fitted):
        assert outcome == "overlong"
        assert kept >= max_length, "the opening and the header leave no room"
        return
    row = outcome.row
    assert len(row.prompt) + max(map(len, row.completions)) <= max_length
    assert outcome.cut == (len(whole.prompt) + longest > max_length)
    if not outcome.cut:
        assert row == whole
        return
    assert list(row.prompt[: len(begin)]) == begin
    tail = row.prompt[len(begin) :]
    assert tail
    assert whole.prompt[len(whole.prompt) - len(tail) :] == tail, "the end of the prompt"
    assert tokenizer.decode(row.prompt).endswith(tokenizer.decode(whole.prompt)[-10:]), (
        "the header of an answer"
    )
    end = end_of_turn(tokenizer).token
    for before, after in zip(whole.completions, row.completions, strict=True):
        assert before[: len(after)] == after
        assert (after[-1] == end) == (after == before)
    if any(after != before for before, after in zip(whole.completions, row.completions, strict=True)):
        smallest = min(len(whole.prompt), max(max_length // 4, kept))
        assert len(row.prompt) == smallest, "the prompt gives way first"
        assert len(row.prompt) + max(map(len, row.completions)) == max_length, (
            "no token less than there is room"
        )


@given(pair=PAIRS, max_length=st.integers(8, 260), overlong=st.sampled_from(["drop", "cut"]))
def test_sides_may_change_places(tokenizers, pair, max_length, overlong):
    tokenizer, bound = tokenizers["chatml"], Bound(max_length, overlong)
    one = fit(tokenizer, pair.prompt, encode(tokenizer, pair), bound)
    swapped = PreferencePair(pair.prompt, pair.rejected, pair.chosen)
    other = fit(tokenizer, pair.prompt, encode(tokenizer, swapped), bound)
    if isinstance(one, Fitted):
        assert isinstance(other, Fitted)
        assert one.row.prompt == other.row.prompt
        assert one.row.completions == other.row.completions[::-1]
    else:
        assert one == other


@given(pair=PAIRS, max_length=st.integers(8, 260))
@example(pair=PreferencePair((says("user", "First "),), "Gladly ", "No "), max_length=260)
def test_without_cutting_longer_rows_are_dropped_and_others_untouched(tokenizers, pair, max_length):
    whole = encode(tokenizers["chatml"], pair)
    outcome = fit(tokenizers["chatml"], pair.prompt, whole, Bound(max_length))
    if len(whole.prompt) + max(map(len, whole.completions)) > max_length:
        assert outcome == "overlong"
    else:
        assert outcome == Fitted(whole)


def test_pairs_that_are_or_become_equal_are_dropped(tokenizers):
    asked = (says("user", "Why?"),)

    def outcome(chosen: str, rejected: str, kind: str = "chatml", max_length: int = 60) -> object:
        tokenizer = tokenizers[kind]
        pair = PreferencePair(asked, chosen, rejected)
        return fit(tokenizer, asked, encode(tokenizer, pair), Bound(max_length, "cut"))

    shared = "word " * 60
    assert outcome(shared + "yes", shared + "no") == "equal when cut"
    assert isinstance(outcome("yes " + shared, "no " + shared), Fitted)
    assert isinstance(outcome("Yes.", "Yes. "), Fitted)
    assert outcome("Yes.", "Yes. ", "llama") == "equal answers", "a template that strips them"


def test_kept_rows_are_numbered_and_counted():
    row = Row((5,), ((6,), (7,)), 9)
    outcomes = [Fitted(row), "overlong", Fitted(row, cut=True), "overlong", "equal when cut", Fitted(row)]
    kept = KeptRows.of(outcomes, Bound(8, "cut"), {"empty answer": 3})
    assert [each.index for each in kept.rows] == [0, 1, 2]
    assert kept.counts == RowCounts(3, {"empty answer": 3, "overlong": 2, "equal when cut": 1}, cut=1)
    assert kept.counts.read == 9
    assert kept.counts.facts() == {
        "pairs read": 9,
        "pairs kept": 3,
        "pairs kept, but cut": 1,
        "pairs dropped: equal answers": 0,
        "pairs dropped: overlong": 2,
        "pairs dropped: empty answer": 3,
        "pairs dropped: equal when cut": 1,
    }
    line = kept.counts.line("the data")
    assert line == (
        "mpobench: warning: fewer than half of the pairs of the data are kept: 9 pairs read, 3 kept, 1 of them cut; "
        "dropped: 3 × empty answer, 2 × overlong, 1 × equal when cut"
    )


@pytest.mark.parametrize(
    ("kept", "dropped", "few"), [(5, 5, False), (4, 5, True), (0, 1, True), (1, 0, False)]
)
def test_fewer_than_half_is_a_warning(kept, dropped, few):
    counts = RowCounts(kept, {"overlong": dropped})
    assert counts.few == few
    assert counts.line("the data").startswith("mpobench: warning: " if few else "the data: ")


def test_none_is_an_error_that_says_what_to_do():
    with pytest.raises(
        RequestError, match=r"^the data has no pair to use at 8 tokens: 2 pairs read.*; cut them$"
    ):
        RowCounts(0, {"overlong": 2}).check("the data", 8, "cut them")
    with pytest.raises(RequestError, match=r"1 × no prompt$"):
        RowCounts(0, {"no prompt": 1}).check("the data", 8, "cut them")
    RowCounts(1, {"overlong": 2}).check("the data", 8, "cut them")
