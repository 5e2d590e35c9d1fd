"""AlpacaEval's file of answers, there and back."""

from __future__ import annotations

import json

import pytest

from mpobench import RequestError
from mpobench_llm.generation.alpaca_eval import read_outputs, write_outputs
from mpobench_llm.generation.answer import Answer

ANSWERS = [Answer("Sag „hallo“.\n\nBitte.", "Hallo 🙂"), Answer("b", ""), Answer("c", "x" * 9)]


def test_answers_come_back(tmp_path):
    path = tmp_path / "new" / "model_outputs.json"
    write_outputs(path, ANSWERS, "our-model")
    assert read_outputs(path) == ANSWERS
    rows = json.loads(path.read_text())
    assert {row["generator"] for row in rows} == {"our-model"}
    assert [set(row) for row in rows] == [{"instruction", "output", "generator"}] * 3
    write_outputs(path, ANSWERS, "our-model", dataset="helpful_base")
    assert {row["dataset"] for row in json.loads(path.read_text())} == {"helpful_base"}


def test_answers_are_matched_by_instruction(tmp_path):
    path = tmp_path / "outputs.json"
    write_outputs(path, [*ANSWERS, Answer("c", "a second answer")], "m")
    wanted = ["c", "b", "c"]
    assert read_outputs(path, wanted) == [ANSWERS[2], ANSWERS[1], ANSWERS[2]]
    with pytest.raises(RequestError, match=r"no answer to 2 of 3 instructions, the first is 'd'"):
        read_outputs(path, ["b", "d", "e"])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "not valid JSON"),
        ("{}", "a list of objects"),
        ("[]", "a list of objects"),
        ('[{"instruction": "a"}]', "entry 1 has no text 'output' "),
        ('[{"instruction": "a", "output": null}]', "entry 1 has no text 'output'"),
        ('[{"instruction": "a", "output": "b"}, []]', "entry 2 is no object"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, named):
    path = tmp_path / "outputs.json"
    path.write_text(content)
    with pytest.raises(RequestError, match=rf"model outputs .*outputs.json: .*{named}"):
        read_outputs(path)
