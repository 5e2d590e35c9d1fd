"""Rows of datasets from real files: schemas, held-out rows, and what is wrong with data."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hub_samples import capybara, capybara_rows, dpo_mix, dpo_mix_rows, says, write_jsonl, write_parquet

from mpobench import RequestError
from mpobench_llm.envs.hub_data import load_rows
from mpobench_llm.models.preference_pair import PreferencePair


def both(folder: Path) -> list[PreferencePair]:
    return load_rows(str(folder), "train").pairs + load_rows(str(folder), "test").pairs


def as_pair(row: dict[str, Any]) -> PreferencePair:
    return PreferencePair(
        tuple(row["chosen"][:-1]), row["chosen"][-1]["content"], row["rejected"][-1]["content"]
    )


# Rows of files


def test_the_splits_of_dpo_mix_are_read_in_order(tmp_path):
    folder = str(dpo_mix(tmp_path, train=6, test=3))
    expected = [as_pair(row) for row in dpo_mix_rows(9)]
    assert load_rows(folder, "train").pairs == expected[:6]
    assert load_rows(folder, "test").pairs == expected[6:]
    assert expected[0].prompt[0]["role"] == "system"


def test_the_turns_of_capybara_are_its_prompt(tmp_path):
    rows = capybara_rows(40)
    pairs = both(capybara(tmp_path, train=40))
    assert sorted(map(str, pairs)) == sorted(str(as_pair(row)) for row in rows)
    assert max(len(pair.prompt) for pair in pairs) == 5


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet", "folder of jsonl", "saved", "saved splits"])
def test_every_form_of_local_data_gives_the_same_pairs(tmp_path, form):
    from datasets import Dataset, DatasetDict

    rows = dpo_mix_rows(30)
    path = tmp_path / {"jsonl": "d.jsonl", "json": "d.json", "parquet": "d.parquet"}.get(form, "d")
    if form == "jsonl":
        write_jsonl(path, rows)
    elif form == "json":
        path.write_text(json.dumps(rows))
    elif form == "parquet":
        write_parquet(path, rows)
    elif form == "folder of jsonl":
        write_jsonl(path / "rows.jsonl", rows)
    elif form == "saved":
        Dataset.from_list(rows).save_to_disk(path)
    else:
        DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(path)
    assert sorted(map(str, both(path))) == sorted(str(as_pair(row)) for row in rows)


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "d.jsonl"
    for count in (10, 30):
        assert len(both(write_jsonl(path, dpo_mix_rows(count)))) == count


USER, YES, NO = says("user", "Shall I?"), says("assistant", "Yes."), says("assistant", "No.")
ASKED = PreferencePair((USER,), "Yes.", "No.")
TOLD = PreferencePair((says("system", "Be brief."), USER), "Yes.", "No.")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "Shall I?", "chosen": "Yes.", "rejected": "No."}, ASKED),
        ({"prompt": [USER], "chosen": "Yes.", "rejected": "No."}, ASKED),
        ({"prompt": [USER], "chosen": [YES], "rejected": [NO]}, ASKED),
        ({"prompt": "Shall I?", "chosen": [YES], "rejected": [NO]}, ASKED),
        ({"prompt": "Shall I?", "chosen": [USER, YES], "rejected": [USER, NO]}, ASKED),
        ({"prompt": "what it was made of", "chosen": [USER, YES], "rejected": [USER, NO]}, ASKED),
        ({"chosen": [USER, YES], "rejected": [USER, NO], "score": 1.5}, ASKED),
        ({"chosen": [USER, {**YES, "name": "x"}], "rejected": [USER, {**NO, "name": "y"}]}, ASKED),
        ({"system": "", "prompt": "Shall I?", "chosen": "Yes.", "rejected": "No."}, ASKED),
        ({"system": "Be brief.", "prompt": "Shall I?", "chosen": "Yes.", "rejected": "No."}, TOLD),
        ({"system": "Be brief.", "chosen": [USER, YES], "rejected": [USER, NO]}, TOLD),
        ({"system": "Be loud.", "chosen": [*TOLD.prompt, YES], "rejected": [*TOLD.prompt, NO]}, TOLD),
        ({"prompt": list(TOLD.prompt), "chosen": [YES], "rejected": [NO]}, TOLD),
        ({"prompt": list(TOLD.prompt), "chosen": [USER, YES], "rejected": [USER, NO]}, TOLD),
    ],
)
def test_every_schema_gives_prompt_and_two_answers(tmp_path, row, expected):
    other = json.loads(json.dumps(row).replace("Shall I?", "Shall we?"))
    pairs = both(write_jsonl(tmp_path / "d.jsonl", [row, other]))
    assert expected in pairs
    assert len(pairs) == 2


@pytest.mark.parametrize(
    ("reason", "row"),
    [
        ("equal answers", {"chosen": [USER, YES], "rejected": [USER, says("assistant", " Yes.\n")]}),
        ("empty answer", {"chosen": [USER, YES], "rejected": [USER, says("assistant", " ")]}),
        ("empty answer", {"chosen": None, "rejected": [USER, NO]}),
        ("empty answer", {"chosen": [], "rejected": [USER, NO]}),
        ("prompts differ", {"chosen": [USER, YES], "rejected": [says("user", "May I?"), NO]}),
        ("no prompt", {"chosen": [YES], "rejected": [NO]}),
        ("no prompt", {"chosen": [USER, NO, YES], "rejected": [USER, NO, NO]}),
        ("malformed messages", {"chosen": [USER, YES, USER], "rejected": [USER, NO]}),
        ("malformed messages", {"chosen": [says("tool", "3"), YES], "rejected": [USER, NO]}),
        ("malformed messages", {"chosen": [USER, {**YES, "content": None}], "rejected": [USER, NO]}),
    ],
)
def test_unusable_rows_are_dropped_and_counted(tmp_path, reason, row):
    path = write_jsonl(tmp_path / "d.jsonl", [row, *dpo_mix_rows(20), row])
    for split in ("train", "test"):
        loaded = load_rows(str(path), split)
        assert loaded.dropped == {reason: 2}
    assert len(both(path)) == 20


# Held-out rows


def test_held_out_rows_do_not_depend_on_the_order(tmp_path):
    rows = capybara_rows(200)
    first = load_rows(str(write_parquet(tmp_path / "a.parquet", rows)), "test").pairs
    random.Random(0).shuffle(rows)
    path = write_parquet(tmp_path / "b.parquet", rows)
    second = load_rows(str(path), "test").pairs
    assert len(first) == 10
    assert sorted(map(str, first)) == sorted(map(str, second))
    train = load_rows(str(path), "train").pairs
    assert len(train) == 190
    assert not {pair.prompt[-1]["content"] for pair in train} & {pair.prompt[-1]["content"] for pair in first}


def test_at_most_256_rows_are_held_out(tmp_path):
    path = str(write_jsonl(tmp_path / "d.jsonl", dpo_mix_rows(6000)))
    assert len(load_rows(path, "test").pairs) == 256
    assert len(load_rows(path, "train").pairs) == 6000 - 256


def test_rows_of_one_prompt_are_on_one_side(tmp_path):
    rows = [
        {"prompt": f"Question {row % 30}", "chosen": f"Yes, {row}.", "rejected": "No."} for row in range(90)
    ]
    path = str(write_jsonl(tmp_path / "d.jsonl", rows))
    train, test = (
        {pair.prompt[0]["content"] for pair in load_rows(path, split).pairs} for split in ("train", "test")
    )
    assert len(test) == 1
    assert not train & test


# What is wrong with data


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("d.csv", "chosen,rejected\n", "file is .json, .jsonl, .parquet"),
        (
            "d.jsonl",
            '{"chosen": "a", "rejected": "b"}\n',
            "no column prompt: found chosen, rejected; expected",
        ),
        (
            "d.jsonl",
            '{"question": "a", "answer": "b"}\n',
            "no column chosen and rejected: found question, answer",
        ),
        (
            "d.jsonl",
            '{"prompt": "a", "chosen": "b", "rejected": "b"}\n',
            "no usable pair in its split train: 1 pair read, 0 kept; dropped: 1 × equal",
        ),
        ("d.jsonl", '{"chosen": [{"from": "a"}], "rejected": [{"from": "b"}]}\n', "1 × malformed messages"),
        ("d.jsonl", '{"prompt": "a", "chosen": "b", "rejected": "c"}\n', "too few prompts to hold some out"),
        ("d.jsonl", '{"chosen": ', "cannot load"),
        ("d.jsonl", "", "cannot load"),
        ("d.parquet", "PAR1 no more", "cannot load"),
        ("d/notes.md", "nothing", "it holds no data; put .parquet"),
        ("d/a.bin", "nothing", "it holds no data; put .parquet"),
        ("d/test.jsonl", '{"prompt": "a", "chosen": "b", "rejected": "c"}\n', None),
        ("d/state.json", "{}", "cannot load"),
    ],
)
def test_bad_data_is_one_line_that_names_it(tmp_path, name, content, said):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    place = str(tmp_path / name.split("/")[0])
    if said is None:
        assert load_rows(place, "test").pairs == [PreferencePair((says("user", "a"),), "b", "c")]
        said = "no split named train; it has test"
    with pytest.raises(RequestError) as error:
        load_rows(place, "test" if "too few" in said else "train")
    assert place in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_files_of_two_datasets_in_one_folder_are_refused(tmp_path):
    write_parquet(tmp_path / "a.parquet", dpo_mix_rows())
    write_parquet(tmp_path / "b.parquet", capybara_rows())
    with pytest.raises(RequestError, match="files have different columns"):
        load_rows(str(tmp_path), "train")


@pytest.mark.parametrize("path", ["./data", "/nowhere/data", "~/nowhere", "data/set.jsonl", "a/b/c"])
def test_a_path_that_is_not_there_is_not_sought_on_the_hub(path):
    with pytest.raises(RequestError, match="there is no file or folder"):
        load_rows(path, "train")


def test_loading_is_silent(tmp_path, capfd):
    load_rows(str(dpo_mix(tmp_path)), "train")
    with pytest.raises(RequestError):
        load_rows(str(write_jsonl(tmp_path / "d.jsonl", [])), "train")
    assert capfd.readouterr() == ("", "")


def test_local_files_are_loaded_without_the_network(tmp_path, monkeypatch):
    sought = []

    def getaddrinfo(host: str, *arguments: Any, **options: Any) -> None:
        sought.append(host)
        raise socket.gaierror("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    load_rows(str(dpo_mix(tmp_path)), "train")
    load_rows(str(write_jsonl(tmp_path / "d.jsonl", dpo_mix_rows())), "train")
    assert sought == []


def test_planning_imports_nothing_heavy():
    code = (
        "import sys, mpobench_llm.envs.hub_data, mpobench_llm.models.loading_errors;"
        "print({'torch', 'transformers', 'datasets', 'huggingface_hub', 'safetensors'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
