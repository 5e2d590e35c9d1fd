"""Names of models and datasets: literal paths, and commits of a hub that moves on."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hub_samples import dpo_mix, dpo_mix_rows, tiny_model, write_jsonl, write_parquet
from hub_server import CLOSED, TOKEN, Repository, hub_environment, serving

from mpobench import RequestError
from mpobench_llm.envs.hub_data import load_rows
from mpobench_llm.envs.hub_env import AnyModel
from mpobench_llm.envs.hub_names import find

# Paths

STRANGE = ("exp[1]", "exp*", "exp?", "{exp,1}", "[!e]xp", "**", "a b#c%20", "exp[[]1]")
"""Names that are patterns to a glob; some match ``exp1``."""


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize(
    "form", ["file", "file in a folder", "folder", "folder with a card", "name of a file in it"]
)
def test_paths_are_taken_literally(tmp_path, name, form):
    decoys, wanted = dpo_mix_rows(60)[30:], dpo_mix_rows(30)
    for decoy in ("exp1", "e", "exp", "expp"):
        write_jsonl(tmp_path / f"{decoy}.jsonl", decoys)
        write_jsonl(tmp_path / decoy / "train.jsonl", decoys)
    if form == "file":
        path = write_jsonl(tmp_path / f"{name}.jsonl", wanted)
    elif form == "file in a folder":
        path = write_parquet(tmp_path / name / "train.parquet", wanted)
    elif form == "folder":
        path = write_jsonl(tmp_path / name / "train.jsonl", wanted).parent
    elif form == "folder with a card":
        path = dpo_mix(tmp_path / name, train=25, test=5)
    else:
        path = write_jsonl(tmp_path / "only" / f"{name}.jsonl", wanted).parent
    pairs = load_rows(str(path), "train").pairs + load_rows(str(path), "test").pairs
    said = {pair.prompt[-1]["content"] for pair in pairs}
    assert said == {row["chosen"][-2]["content"] for row in wanted}
    if path.is_file():
        digest = find(str(path), "dataset").identity
        assert digest != find(str(tmp_path / "exp1.jsonl"), "dataset").identity


def test_a_file_that_is_not_there_is_no_pattern(tmp_path):
    write_jsonl(tmp_path / "exp1.jsonl", dpo_mix_rows(4))
    for name in ("exp[1].jsonl", "exp*.jsonl"):
        with pytest.raises(RequestError, match="there is no file or folder"):
            load_rows(str(tmp_path / name), "train")


def test_a_folder_of_files_in_two_formats_is_refused(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", dpo_mix_rows(4))
    write_parquet(tmp_path / "b.parquet", dpo_mix_rows(4))
    with pytest.raises(RequestError, match="holds files of several formats"):
        load_rows(str(tmp_path), "train")


@pytest.mark.parametrize("model", ["exp[1]", "m@v2"])
def test_a_model_s_folder_is_taken_literally(tmp_path, model):
    origin = find(str(tiny_model(tmp_path / model)), "model")
    assert origin.local == tmp_path / model
    assert origin.revision is None
    assert set(origin.identity) >= {"config.json", "model.safetensors", "tokenizer.json"}


# The hub

OLD, NEW = "a" * 40, "b" * 40

CHILD = """
import json, pickle, sys
from mpobench import RequestError
from mpobench_llm.envs.hub_env import AnyModel
from mpobench_llm.envs.hub_names import remember

def answer(model, dataset):
    config = {}
    try:
        env = AnyModel(model=model, dataset=dataset)
        config = env.dataset_config("smoke")
        env = pickle.loads(pickle.dumps(env))
        pairs = env._rows.pairs("train").pairs
        from mpobench_llm.models.positions import positions_of_model
        positions_of_model(env.model_origin.location, env.model_origin.revision)
        remember(env.model_origin, "model")  # as the download does at its end
        remember(env.dataset_origin, "dataset")
        return [config["model"], config["dataset"], len(pairs)]
    except RequestError as error:
        return [config.get("model"), str(error)]

for line in sys.stdin:
    print(json.dumps(answer(*json.loads(line))), flush=True)
"""


@contextmanager
def asking(home: Path, **variables: str) -> Iterator[Callable[[str, str], Any]]:
    """A process that plans and loads a model and a dataset at a time; yields the way to ask it."""
    environment = hub_environment(home, HF_TOKEN=TOKEN, **variables)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=pipe, stdout=pipe, text=True, env=environment
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout

        def ask(model: str, dataset: str) -> Any:
            stdin.write(json.dumps([model, dataset]) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())

        yield ask
        stdin.close()


def named(part: str, revision: str) -> dict[str, str]:
    return {"name": f"real/{part}", "revision": revision}


PLAIN = ("real/model", "real/rows")
PINNED = (f"real/model@{OLD}", f"real/rows@{OLD}")
REFUSED = {
    "gone/x": "the hub has no model gone/x",
    "real/model@v9": "real/model has no such revision",
    "gated/x": "gated/x needs its licence accepted",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is said of a model and a dataset on a hub whose dataset moves on: before, after, and without the hub."""
    folder = tmp_path_factory.mktemp("hub")
    old, new = dpo_mix(folder / "old", train=20, test=5), dpo_mix(folder / "new", train=30, test=5)
    model, home = tiny_model(folder / "model"), folder / "home"
    rows = Repository({OLD: old, NEW: new}, {"main": OLD, "v1": OLD})
    requests: list[str] = []
    said: dict[str, Any] = {}
    with serving({"real/rows": rows, "real/model": Repository.of(model, OLD)}, requests) as endpoint:
        with asking(home, HF_ENDPOINT=endpoint) as ask:
            said["pinned"] = ask(*PINNED)
            said["questions"] = [
                path for path in requests if "main" in path or path.endswith("api/models/real/model")
            ]
            said["before"] = ask(*PLAIN)
            rows.refs["main"] = NEW
            said["after"], said["tag"] = ask(*PLAIN), ask("real/model", "real/rows@v1")
            rows.refs["main"] = OLD
            said["back"] = ask(*PLAIN)
            rows.refs["main"] = NEW
            ask(*PLAIN)
            said |= {name: ask(name, "real/rows") for name in REFUSED}
        rows.refs["main"] = OLD  # of which a process without the hub knows nothing
        with asking(home, HF_ENDPOINT=endpoint, HF_HUB_OFFLINE="1") as ask:
            said["offline"] = ask(*PLAIN)
            said["offline, old"] = ask(*PINNED)
    with asking(home / "empty", HF_ENDPOINT=CLOSED) as ask:
        said["closed"] = ask(*PLAIN)
    return said


def test_the_commit_is_in_the_configuration_and_is_what_is_loaded(answers):
    assert answers["before"] == [named("model", OLD), named("rows", OLD), 20]
    assert answers["after"] == [named("model", OLD), named("rows", NEW), 30]
    assert answers["back"] == answers["tag"] == answers["pinned"] == answers["before"]


def test_without_the_hub_the_commit_is_that_of_the_cache(answers):
    assert answers["offline"] == answers["after"]


def test_another_commit_than_that_of_the_key_is_never_read(answers):
    """Without the hub, datasets reads what it has cached last, whatever is asked for."""
    assert answers["offline, old"] == answers["before"] or answers["offline, old"][1].startswith(
        f"the commit {OLD} of real/rows cannot be loaded without the hub, for the cache holds a later one: connect, or"
    )


def test_a_commit_needs_no_question(answers):
    assert answers["questions"] == []


def test_what_cannot_be_resolved_is_planned_but_never_loaded(answers):
    config, said = answers["closed"]
    assert config == named("model", "unresolved")
    assert said.startswith("cannot reach the hub for real/rows: connect, or give a local path")


@pytest.mark.parametrize("model", REFUSED)
def test_what_the_hub_refuses_is_refused_at_planning(answers, model):
    config, said = answers[model]
    assert config is None
    assert said.startswith(REFUSED[model])
    assert "\n" not in said
    assert TOKEN not in said


def test_an_environment_keeps_the_commits_that_planning_found(monkeypatch):
    from mpobench_llm.envs import hub_env

    commits = iter((OLD, OLD, NEW, NEW))
    monkeypatch.setattr(hub_env, "find", lambda name, kind: find(f"{name}@{next(commits)}", kind))
    env = AnyModel(model="real/model", dataset="real/rows")
    config = env.dataset_config("smoke")
    assert config["model"] == named("model", OLD)
    carried = pickle.loads(pickle.dumps(env))
    assert carried.dataset_config("smoke") == config
    assert carried == env == AnyModel(model="real/model", dataset="real/rows")
    later = AnyModel(model="real/model", dataset="real/rows")
    assert later.dataset_config("smoke") != config
    assert later.as_recorded(config).dataset_config("smoke") == config
