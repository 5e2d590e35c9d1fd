"""What is said when a model or a dataset cannot be loaded: of folders, of the machine, and of the hub."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path
from typing import Any

import pytest
from hub_samples import dpo_mix, dpo_mix_rows, tiny_model
from hub_server import (
    CLOSED,
    KINDS,
    MANGLED,
    REAL,
    REFUSED,
    TOKEN,
    Asked,
    Repository,
    ask,
    serving,
    told,
)

from mpobench import RequestError
from mpobench_llm.models.loading_errors import explained

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


def test_a_sound_folder_is_a_model(tiny):
    load(tiny)


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


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[Asked, Any]]:
    """What is said of each (kind, name), by where it was asked: of the hub, of a closed port, or offline."""
    home, files = tmp_path_factory.mktemp("home"), dpo_mix(tmp_path_factory.mktemp("hub"), train=20, test=5)
    with serving({"real/rows": Repository.of(files)}) as endpoint:
        hub = ask(home, [REAL, *REFUSED], HF_ENDPOINT=endpoint, HF_TOKEN=TOKEN)
        closed = ask(home / "empty", [REAL], HF_ENDPOINT=CLOSED)
        mangled = ask(home / "other", [REAL], HF_ENDPOINT=endpoint, HF_TOKEN=MANGLED)
        found = {
            "hub": told(hub, [REAL, *REFUSED]),
            "closed": told(closed, [REAL]),
            "mangled": told(mangled, [REAL]),
        }
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
