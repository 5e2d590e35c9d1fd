"""Datasets and chat templates from real files, and from a hub that answers as the real one does."""

from __future__ import annotations

import errno
import json
import os
import random
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest
from hub_samples import (
    capybara,
    capybara_rows,
    dpo_mix,
    dpo_mix_rows,
    says,
    tiny_model,
    write_jsonl,
    write_parquet,
)

from mpobench import RequestError
from mpobench_llm.envs.hub_data import load_rows
from mpobench_llm.models.chat_templates import ensure_chat_template, fold_system, takes_system
from mpobench_llm.models.loading_errors import explained
from mpobench_llm.models.preference_pair import PreferencePair

TOKEN = "hf_" + "s3cretS3cret" * 3
MANGLED = "s3cret☺s3cret"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session", autouse=True)
def arrow_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps what datasets derives from the samples out of the user's cache."""
    from datasets import config

    before, config.HF_DATASETS_CACHE = config.HF_DATASETS_CACHE, tmp_path_factory.mktemp("arrow")
    yield
    config.HF_DATASETS_CACHE = before


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


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
            "no usable pair in its split train: 1 × equal",
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


# Chat templates

TALK = [says("system", "Be kind."), USER, NO, says("user", "And now?"), YES]


def test_a_base_model_gets_a_template_that_ends_answers(tokenizer):
    assert tokenizer.chat_template is None
    ensure_chat_template(tokenizer)
    prompt = tokenizer.apply_chat_template(TALK[:-1], add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template(TALK, tokenize=False)
    assert whole == prompt + "Yes.</s>"
    assert prompt == (
        "<s><|system|>\nBe kind.</s>\n<|user|>\nShall I?</s>\n<|assistant|>\nNo.</s>\n"
        "<|user|>\nAnd now?</s>\n<|assistant|>\n"
    )
    ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert ids.count(tokenizer.eos_token_id) == len(TALK)
    assert takes_system(tokenizer)


def test_a_template_without_a_beginning_of_sequence(tokenizer):
    tokenizer.bos_token = None
    ensure_chat_template(tokenizer)
    assert tokenizer.apply_chat_template([USER], tokenize=False) == "<|user|>\nShall I?</s>"


def test_a_tokenizer_keeps_its_own_template(tokenizer):
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    ensure_chat_template(tokenizer)
    assert tokenizer.apply_chat_template([USER], tokenize=False) == "Shall I?"


def test_a_tokenizer_that_cannot_end_an_answer_is_refused(tokenizer):
    tokenizer.eos_token = None
    with pytest.raises(RequestError, match="no eos_token"):
        ensure_chat_template(tokenizer)


REJECTING = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}
{%- endif %}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"""
DROPPING = "{% for message in messages if message['role'] != 'system' %}{{ message['content'] }}{% endfor %}"


@pytest.mark.parametrize("template", [REJECTING, DROPPING])
def test_a_template_without_system_messages_gets_them_folded(tokenizer, template):
    tokenizer.chat_template = template
    assert not takes_system(tokenizer)
    text = tokenizer.apply_chat_template(fold_system(TALK), tokenize=False)
    assert "Be kind.\n\nShall I?" in text
    assert "And now?" in text


def test_folding_leaves_the_rest_as_it_is():
    before = json.dumps(TALK)
    assert fold_system(TALK) == [says("user", "Be kind.\n\nShall I?"), *TALK[2:]]
    assert fold_system(TALK[1:]) == TALK[1:]
    assert json.dumps(TALK) == before


def test_planning_imports_nothing_heavy():
    code = (
        "import sys, mpobench_llm.envs.hub_data, mpobench_llm.models.loading_errors;"
        "print({'torch', 'transformers', 'datasets', 'huggingface_hub', 'safetensors'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


# What is wrong with a model's folder


def load(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with explained(str(folder)):
        AutoTokenizer.from_pretrained(folder)
        AutoModelForCausalLM.from_pretrained(folder)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "it has no config.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "it has no tokenizer"),
        (lambda folder: (folder / "model.safetensors").unlink(), "it has no safetensors"),
        (lambda folder: cut(folder / "model.safetensors"), "its weights are damaged"),
        (lambda folder: cut(folder / "config.json"), "its config.json is damaged"),
        (lambda folder: cut(folder / "tokenizer.json"), "its tokenizer.json is damaged"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "KeyError"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "zebra"}'), "zebra"),
    ],
)
def test_a_folder_that_is_no_model_is_one_line(tmp_path, damage, said):
    folder = tiny_model(tmp_path / "model")
    damage(folder)
    with pytest.raises(RequestError) as error:
        load(folder)
    assert str(folder) in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sound_folder_is_a_model(model):
    load(model)


# What the machine and the caller do wrong


def test_a_full_disk_is_named():
    from datasets import Dataset

    with pytest.raises(RequestError, match="some/model: the disk is full"), explained("some/model"):
        Dataset.from_list(dpo_mix_rows(2000)).to_json("/dev/full")


@pytest.mark.parametrize(
    ("place", "said"),
    [("model/config.json", "cannot read {}: permission"), ("cache", "cannot store {}: permission")],
)
def test_what_may_not_be_read_is_told_from_what_may_not_be_written(tmp_path, place, said):
    what = str(tmp_path / "model")
    with pytest.raises(RequestError, match=said.format(what)), explained(what):
        raise PermissionError(
            errno.EACCES, "Permission denied", str(tmp_path / place)
        )  # root may read anything


def test_our_own_errors_pass():
    with pytest.raises(RequestError, match=r"^ours$"), explained("some/model"):
        raise RequestError("ours")


def test_tokens_and_signatures_are_not_repeated(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "anything at all")
    with pytest.raises(RequestError) as error, explained("some/model"):
        raise OSError(f"anything at all, {TOKEN}: https://me:pass@cdn.example/file?X-Signature=abc was cut")
    assert "cannot load some/model: ***, ***: https://cdn.example/file was cut" in str(error.value)
    assert TOKEN not in "".join(traceback.format_exception(error.value))


# The hub


class Hub(BaseHTTPRequestHandler):
    """Answers as huggingface.co does: refusals by the owner's name, the files of a folder for ``real/…``."""

    refusals: ClassVar[dict[str, tuple[int, dict[str, str]]]] = {
        "missing": (401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
        "refused": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
        "forbidden": (403, {"X-Error-Message": "Your token lacks the permission"}),
        "unrevised": (404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id: v9"}),
        "gone": (404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}),
        "busy": (429, {}),
        "broken": (
            500,
            {"X-Error-Message": "Internal Error - We're working hard to fix this as soon as possible!"},
        ),
    }

    def __init__(self, files: Path, *arguments: Any):
        self.files = files
        super().__init__(*arguments)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""

    def answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        steps = [unquote(step) for step in urlsplit(self.path).path.strip("/").split("/")]
        api = steps[0] == "api"
        steps = [step for step in steps if step not in ("api", "datasets", "models")]
        owner, rest = steps[0], steps[2:]
        if owner == "silent":
            self.connection.close()
        elif owner == "gated":
            said = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this repository is restricted"}
            self.answer(403 if "Authorization" in self.headers else 401, said)
        elif owner in self.refusals:
            self.answer(*self.refusals[owner])
        elif api:
            self.answer(200, {"Content-Type": "application/json"}, self.about(rest))
        elif rest[:1] == ["resolve"] and (path := self.files / "/".join(rest[2:])).is_file():
            self.answer(200, {"ETag": f'"{path.name}"', "X-Repo-Commit": COMMIT}, path.read_bytes())
        else:
            self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})

    do_HEAD = do_POST = do_GET

    def about(self, rest: list[str]) -> bytes:
        """What the API says of the repository, or of what a folder in it holds."""
        if rest[:1] == ["tree"]:
            return json.dumps(
                [self.entry(path) for path in self.files.joinpath(*rest[2:]).iterdir()]
            ).encode()
        names = [path.relative_to(self.files).as_posix() for path in self.files.rglob("*") if path.is_file()]
        siblings = [{"rfilename": name} for name in names]
        return json.dumps({"id": "real/rows", "sha": COMMIT, "siblings": siblings, "private": False}).encode()

    def entry(self, path: Path) -> dict[str, Any]:
        kind = "directory" if path.is_dir() else "file"
        name = path.relative_to(self.files).as_posix()
        return {"type": kind, "path": name, "size": path.stat().st_size, "oid": COMMIT}


CHILD = """
import json, sys, time
time.sleep = lambda seconds: None  # the libraries' retries, without the waiting
from mpobench import RequestError
from mpobench_llm.envs.hub_data import load_rows
from mpobench_llm.models.loading_errors import explained

def outcome(kind, name):
    try:
        if kind == "dataset":
            return [len(load_rows(name, split).pairs) for split in ("train", "test")]
        from transformers import AutoConfig, AutoTokenizer
        with explained(name):
            AutoTokenizer.from_pretrained(name)
            AutoConfig.from_pretrained(name)
    except RequestError as error:
        return str(error)

print(json.dumps([outcome(*each) for each in json.loads(sys.argv[1])]))
"""

Asked = tuple[str, str]
KINDS = ("dataset", "model")
REFUSED = [(kind, f"{owner}/x") for kind in KINDS for owner in ("gated", "silent", *Hub.refusals)]
REAL: Asked = ("dataset", "real/rows")
CLOSED = "http://127.0.0.1:9"


def ask(home: Path, asked: list[Asked], **variables: str) -> subprocess.Popen[str]:
    """Loads each (kind, name) in a process that has these environment variables: they are read on import."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(asked)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", **variables},
    )


def told(child: subprocess.Popen[str], asked: list[Asked]) -> dict[Asked, Any]:
    out, errors = child.communicate(timeout=120)
    assert child.returncode == 0, errors
    assert TOKEN not in out + errors
    assert MANGLED not in out + errors
    return dict(zip(asked, json.loads(out.splitlines()[-1]), strict=True))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[Asked, Any]]:
    """What is said of each (kind, name), by where it was asked: of the hub, of a closed port, or offline."""
    home, files = tmp_path_factory.mktemp("home"), dpo_mix(tmp_path_factory.mktemp("hub"), train=20, test=5)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, files)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        hub = ask(home, [REAL, *REFUSED], HF_ENDPOINT=endpoint, HF_TOKEN=TOKEN)
        closed = ask(home / "empty", [REAL], HF_ENDPOINT=CLOSED)
        mangled = ask(home / "other", [REAL], HF_ENDPOINT=endpoint, HF_TOKEN=MANGLED)
        found = {
            "hub": told(hub, [REAL, *REFUSED]),
            "closed": told(closed, [REAL]),
            "mangled": told(mangled, [REAL]),
        }
        server.shutdown()
    unknown = [(kind, "never/asked") for kind in KINDS]
    offline = ask(home, [REAL, *unknown], HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1")
    return {**found, "offline": told(offline, [REAL, *unknown])}


def test_a_dataset_of_the_hub_is_loaded_and_found_again_offline(answers):
    assert answers["hub"][REAL] == [20, 5]
    assert answers["offline"][REAL] == [20, 5]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("owner", "said"),
    [
        (
            "gated",
            "{} needs its licence accepted: open {page}, accept, then set HF_TOKEN (or run `hf auth login`)",
        ),
        ("missing", "the hub has no {kind} {}, or it is private: check the name at {page}, or set HF_TOKEN"),
        ("gone", "the hub has no {kind} {}, or it is private: check the name at {page}, or set HF_TOKEN"),
        (
            "refused",
            "the hub refuses the token for {}: make a new one at https://huggingface.co/settings/tokens",
        ),
        ("forbidden", "the token may not read {}: give it the permission"),
        ("unrevised", "{} has no such revision; see {page}/commits/main"),
        ("busy", "the hub has had too many requests and did not give {}: wait some minutes"),
        ("broken", "the hub answers 500 for {}: try again later"),
    ],
)
def test_what_the_hub_refuses_is_one_line(answers, kind, owner, said):
    name = f"{owner}/x"
    page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{name}"
    message = answers["hub"][kind, name]
    assert message.startswith(said.format(name, page=page, kind=kind))
    assert "\n" not in message
    assert TOKEN not in message


@pytest.mark.parametrize(
    ("place", "asked"), [("closed", REAL), ("hub", ("dataset", "silent/x")), ("hub", ("model", "silent/x"))]
)
def test_a_hub_out_of_reach_is_one_line(answers, place, asked):
    expected = (
        f"cannot reach the hub for {asked[1]}: connect, or give a local path: llm:model=DIR,dataset=DIR"
    )
    assert answers[place][asked] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_offline_is_one_line(answers, kind):
    said = "never/asked is not in the cache, and HF_HUB_OFFLINE forbids to ask the hub: unset it, or give a local"
    assert answers["offline"][kind, "never/asked"].startswith(said)


def test_a_token_that_cannot_be_sent_is_not_repeated(answers):
    message = answers["mangled"][REAL]
    assert message.startswith(
        "the token for real/rows holds characters that no token has: copy it again, then set HF"
    )
