"""Specs of judges: what they may say, and what they must not hold."""

from __future__ import annotations

import importlib.util
import json

import judge_plugin
import pytest
from judge_samples import FixedAnswers, judge
from pydantic import ValidationError

from mpobench import RequestError
from mpobench.registry.registry import Registry
from mpobench_llm.generation.instructions import read_instructions

SECRET = "hunter2hunter2"


@pytest.fixture(scope="module")
def judges():
    return Registry.of_modules([(judge_plugin, "judges", "1.0")])


def test_a_spec_needs_two_fields(judges):
    built = judges.build(
        "evaluator", "tested-judge:url=http://127.0.0.1:8000/v1,model=org/Name-7B:q4,retries=3"
    )
    assert built.component.url == "http://127.0.0.1:8000/v1"
    assert built.component.model == "org/Name-7B:q4"
    assert judges.build("evaluator", built.text).component == built.component
    assert built.component.metrics[0].name == "win_rate"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (f"url=http://me:{SECRET}@host/v1", "credentials"),
        (f"url=https://{SECRET}@host/v1", "credentials"),
        (f'url="http://host/v1?key={SECRET}"', "query"),
        (f'url="http://host/v1#{SECRET}"', "fragment"),
        (f"url=ftp://host/{SECRET}", "http://HOST"),
        (f"url=host:8000/{SECRET}", "http://HOST"),
        (f"url=http://host:99999/{SECRET}", "http://HOST"),
        (f'url="http://{SECRET}@ho st/v1"', "http://HOST"),
        (f"url=http://me:{SECRET}@{'h' * 600}/v1", "http://HOST"),
        (f"url=http://host/v1,key_variable=sk-{SECRET}", "NAME"),
        (f"url=http://host/v1,key_variable={SECRET}", "NAME"),
        (f"url=http://host/v1,key={SECRET}", "no field 'key'"),
        (f"url=http://host/v1,api_key={SECRET}", "no field 'api_key'"),
    ],
)
def test_what_could_hold_a_secret_is_refused_without_repeating_it(judges, fields, named):
    with pytest.raises(RequestError) as caught:
        judges.build("evaluator", f"tested-judge:model=x,{fields}")
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("absent", ["openai", "statsmodels"])
def test_a_plan_asks_for_what_a_judge_needs(tmp_path, monkeypatch, absent):
    present = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == absent else present(name, *rest)
    )
    with pytest.raises(RequestError, match=rf"^judges need {absent}: pip install 'mpobench\[llm\]'$"):
        judge("http://127.0.0.1:1/v1", tmp_path).config(FixedAnswers(), "smoke")


def test_python_errors_do_not_repeat_it_either(tmp_path):
    with pytest.raises(ValidationError) as caught:
        judge(f"http://me:{SECRET}@host/v1", tmp_path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"template": "{there}/none.txt"}, "cannot read template .*none.txt: no such file"),
        ({"template": "{there}/short.txt"}, r"template .*short.txt: \{output_2\} is missing"),
        ({"template": "{there}/binary"}, "not a text file"),
        ({"instructions": "{there}/none.txt"}, "cannot read instructions"),
        ({"instructions": "{there}/empty.txt"}, "there is none in it"),
        ({"instructions": "{there}/one.txt"}, "two or more"),
        ({"instructions": "{there}/torn.json"}, "not valid JSON"),
        ({"instructions": "{there}/numbers.json"}, "entry 1 is no object"),
        ({"instructions": "{there}/outputs.json"}, "entry 2 has no text 'instruction'"),
        ({"baseline": "gpt4"}, "neither 'original' nor a file or folder"),
        ({"baseline": "{there}"}, "not the folder of a policy"),
        ({"baseline": "{there}/torn.json"}, "model outputs .*torn.json: not valid JSON"),
        ({"baseline": "{there}/outputs.json"}, "entry 2 has no text 'instruction'"),
        (
            {"baseline": "{there}/ab.json", "instructions": "{there}/bcd.txt"},
            "no answer to 2 of 3 instructions, the first is 'c'",
        ),
    ],
)
def test_files_are_checked_when_a_run_is_planned(tmp_path, fields, named):
    (tmp_path / "short.txt").write_text("{instruction} {output_1}")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "one.txt").write_text("one\none\n")
    (tmp_path / "torn.json").write_text('[{"instruction": "a", ')
    (tmp_path / "numbers.json").write_text("[1, 2]")
    (tmp_path / "outputs.json").write_text('[{"instruction": "a", "output": "b"}, {"output": "b"}]')
    (tmp_path / "ab.json").write_text(
        '[{"instruction": "a", "output": "x"}, {"instruction": "b", "output": "y"}]'
    )
    (tmp_path / "bcd.txt").write_text("b\nc\nd\n")
    given = {name: value.format(there=tmp_path) for name, value in fields.items()}
    with pytest.raises(RequestError, match=named):
        judge("http://host/v1", tmp_path, **given).config(FixedAnswers(), "smoke")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "Say héllo.\n\n  Count to 3. \nSay héllo.\n"),
        ("a.json", '[{"instruction": "Say héllo."}, {"instruction": "Count to 3.", "output": "1"}]'),
        ("a.jsonl", '{"instruction": "Say héllo."}\n\n{"instruction": "Count to 3."}\n'),
        ("bom.txt", "\ufeffSay héllo.\r\nCount to 3.\r\n"),
    ],
)
def test_instructions_in_all_formats(tmp_path, name, content):
    (tmp_path / name).write_bytes(content.encode())
    assert read_instructions(tmp_path / name) == ("Say héllo.", "Count to 3.")


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c"])
def test_an_instruction_ends_at_a_newline_only(tmp_path, separator):
    asked = (f"Explain{separator}this.", "And that.")
    texts, objects = tmp_path / "asked.txt", tmp_path / "asked.jsonl"
    texts.write_text("\n".join(asked), encoding="utf-8-sig")
    assert read_instructions(texts) == asked
    lines = (json.dumps({"instruction": text}, ensure_ascii=False) for text in asked)
    objects.write_text("\n".join(lines), encoding="utf-8-sig")
    assert read_instructions(objects) == asked
