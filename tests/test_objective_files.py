"""Objective files: what is saved is what trains, wherever a name is accepted, and damage is one clear line."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from processes import environment, program
from safetensors.numpy import load_file, save, save_file

import mpobench
from mpobench import Objective, RequestError, save_objective
from mpobench.keys import content_key
from mpobench.objective_files import ObjectiveFileError, read_objective_file
from mpobench.registry import Registry
from mpobench.results import CellResult, ResultStore
from mpobench.suite import Suite, plan

NETWORKS = {
    "1s-mpo": ("psi_network", "phi_network", "g_network"),
    "2s-mpo": ("phi_network", "g_network"),
    "tampo": ("psi_network", "phi_network", "g_network", "schedule_network"),
}


def weights(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = {"kernel_in": (9, 14), "bias": (9, 14), "kernel_out": (9, 14), "coefficient": ()}
    return {name: np.asarray(rng.random(shape), np.float32) for name, shape in shapes.items()}


def one_step(**fields: Any) -> Objective:
    """A 1s-mpo of three networks."""
    networks = {name: weights(seed) for seed, name in enumerate(NETWORKS["1s-mpo"])}
    return type(mpobench.objective("1s-mpo"))(**{**networks, **fields})


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """An objective file: 1s-mpo with λ = 2, named ``found``."""
    path = tmp_path / "found" / "objective.json"
    save_objective(
        path,
        one_step(lam=2.0),
        "1s-mpo",
        name="found",
        summary="Found on noisy labels",
        citation="A run of ours",
        provenance={"generations": 256, "env": "tla"},
    )
    return path


@given(
    registered=st.sampled_from(sorted(NETWORKS)),
    chosen=st.sets(st.sampled_from(NETWORKS["tampo"])),
    seed=st.integers(0, 2**32 - 1),
    beta=st.floats(0.01, 100),
    phi=st.sampled_from(["log", "logit", "tsallis", "l2"]),
    provenance=st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.booleans())),
)
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory,
    registered: str,
    chosen: set[str],
    seed: int,
    beta: float,
    phi: str,
    provenance: dict[str, Any],
) -> None:
    path = tmp_path_factory.getbasetemp() / "round trip" / "a.b+c.json"
    networks = {name: weights(seed) for name in chosen.intersection(NETWORKS[registered])}
    objective = type(mpobench.objective(registered))(beta=beta, phi=phi, **networks)
    card = save_objective(path, objective, registered, name="x", summary="X", provenance=provenance)
    file = read_objective_file(path)
    assert file.card == card
    assert file.card.provenance == provenance
    loaded = mpobench.objective(str(path))
    assert loaded == objective
    assert loaded.leaves.keys() == objective.leaves.keys()


def test_a_trainer_may_save_the_leaves_as_it_has_them(tmp_path: Path) -> None:
    path = tmp_path / "traced.json"
    leaves = {
        "lam": jnp.float32(0.5),
        "g_network": {name: jnp.asarray(array) for name, array in weights(9).items()},
    }
    save_objective(path, one_step().model_copy(update=leaves), "1s-mpo", name="x", summary="X")
    assert mpobench.objective(str(path)) == one_step(lam=0.5, g_network=weights(9))


def test_weights_that_torch_is_training_are_saved(tmp_path: Path) -> None:
    path = tmp_path / "torch.json"
    network = {name: torch.tensor(array, requires_grad=True) for name, array in weights(9).items()}
    leaves = {"lam": torch.tensor(0.5), "g_network": network}
    save_objective(path, one_step().model_copy(update=leaves), "1s-mpo", name="x", summary="X")
    assert mpobench.objective(str(path)) == one_step(lam=0.5, g_network=weights(9))


def test_a_file_without_networks_has_no_tensors(tmp_path: Path) -> None:
    path = tmp_path / "plain.json"
    save_objective(path, mpobench.objective("dpo:beta=0.3"), "dpo", name="x", summary="X", origin="human")
    assert json.loads(path.read_text())["tensors"] is None
    assert list(tmp_path.iterdir()) == [path]
    assert mpobench.objective(str(path)) == mpobench.objective("dpo:beta=0.3")


@pytest.mark.parametrize(
    ("path", "fields", "line"),
    [
        ("o.txt", {}, "its name has to end in .json"),
        ("o.json", {"name": "Two Words"}, "name='Two Words'"),
        ("o.json", {"summary": ""}, "summary=''"),
        ("o.json", {"summary": "two\nlines"}, "summary="),
        ("o.json", {"name": "found.json"}, "name='found.json'"),
        ("o.json", {"name": "dpo"}, "a registered objective is named 'dpo' already"),
        ("o.json", {"registered": "dpo"}, "'dpo' is a DPO, and this is a OneStepMPO"),
        ("o.json", {"registered": "nope"}, "unknown objective 'nope'"),
        ("o.json", {"provenance": {"by": "\ud800"}}, "provenance"),
        ("there.json/o.json", {}, "cannot write"),
    ],
)
def test_what_cannot_be_saved_is_one_line(
    tmp_path: Path, path: str, fields: dict[str, Any], line: str
) -> None:
    (tmp_path / "there.json").write_text("")
    card = {"name": "x", "summary": "X", "registered": "1s-mpo", **fields}
    with pytest.raises(RequestError) as caught:
        save_objective(tmp_path / path, one_step(), **card)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["there.json"]


def test_overrides_lie_above_the_file_and_the_file_above_the_environment(
    registry: Registry, tmp_path: Path, found: Path
) -> None:
    asked = []

    def defaults(name: str, fields: frozenset[str]) -> dict[str, Any]:
        asked.append(name)
        return {"lam": 7.0, "beta": 7.0, "reduction": "sum"}

    built = registry.build("objective", f"{found}:beta=0.5", defaults)
    assert asked == ["1s-mpo"]
    assert built.component == one_step(lam=2.0, beta=0.5)
    assert built.text == "found:beta=0.5"
    assert built.spec == f"{found}:beta=0.5"
    assert registry.build("objective", built.spec, defaults) == built
    assert registry.build("objective", f"{found}:lam=2").text == "found", "that is what the file says"

    card = json.loads(found.read_text())
    del card["fields"]["beta"], card["fields"]["reduction"]
    found.write_text(json.dumps(card))
    assert registry.build("objective", str(found), defaults).component == one_step(
        lam=2.0, beta=7.0, reduction="sum"
    )


def test_identity_is_what_it_holds_and_is_called_not_where_it_is(
    registry: Registry, tmp_path: Path, found: Path
) -> None:
    built = registry.build("objective", str(found))
    assert isinstance(built.identity, dict)
    assert (built.identity["name"], built.identity["file"]) == ("1s-mpo", "found")
    assert built.identity["fields"]["g_network"].keys() == {"sha256"}
    elsewhere = found.parent.rename(tmp_path / "else where") / "objective.json"
    moved = registry.build("objective", str(elsewhere))
    assert moved.identity == built.identity
    keys = {content_key(built.identity)}
    for change in ({"lam": 3.0}, {"g_network": weights(99)}):
        save_objective(elsewhere, one_step(**{"lam": 2.0, **change}), "1s-mpo", name="found", summary="X")
        keys.add(content_key(registry.build("objective", str(elsewhere)).identity))
    save_objective(elsewhere, one_step(lam=2.0), "1s-mpo", name="other", summary="X")
    keys.add(content_key(registry.build("objective", str(elsewhere)).identity))
    assert len(keys) == 4


Spoil = Callable[[Path, dict[str, Any], dict[str, Any]], None]
DAMAGES: dict[str, tuple[Spoil, str]] = {
    "no file": (lambda path, card, tensors: path.unlink(), "cannot read objective file {path}: no such file"),
    "a folder": (
        lambda path, card, tensors: (path.unlink(), path.mkdir()),
        "cannot read objective file {path}: is a directory",
    ),
    "not JSON": (lambda path, card, tensors: path.write_text("{"), "objective file {path} is not JSON: "),
    "not UTF-8": (
        lambda path, card, tensors: path.write_bytes(b'"\xff'),
        "objective file {path} is not JSON: ",
    ),
    "not an object": (
        lambda path, card, tensors: path.write_text("[]"),
        "has format None, not 'mpobench-objec",
    ),
    "format": (
        lambda path, card, tensors: card.update(format="mpobench-objective/2"),
        "objective file {path} has format 'mpobench-objective/2', not 'mpobench-objective/1'",
    ),
    "no name": (lambda path, card, tensors: card.pop("name"), "'name' has to be given"),
    "bad name": (lambda path, card, tensors: card.update(name="a:b"), "name='a:b'"),
    "origin": (lambda path, card, tensors: card.update(origin="alien"), "origin='alien'"),
    "unknown entry": (lambda path, card, tensors: card.update(sumary="x"), "did you mean 'summary'?"),
    "name taken": (
        lambda path, card, tensors: card.update(name="dpo"),
        "objective file {path} is named 'dpo', like an objective of mpobench 0.1.0",
    ),
    "unknown objective": (
        lambda path, card, tensors: card.update(objective="1s-mpoo"),
        "objective file {path}: unknown objective '1s-mpoo': did you mean '1s-mpo'?",
    ),
    "unknown field": (
        lambda path, card, tensors: card["fields"].update(lamb=1),
        "objective file {path}: no field 'lamb': did you mean 'lam'?",
    ),
    "invalid value": (
        lambda path, card, tensors: card["fields"].update(lam=-1),
        "lam=-1: input should be gre",
    ),
    "infinite value": (
        lambda path, card, tensors: card["fields"].update(lam=1e999),
        "lam=inf: input should be a",
    ),
    "value for tensors": (
        lambda path, card, tensors: (
            card["fields"].update(phi_network="zeros"),
            _without(tensors, "phi_network"),
        ),
        "phi_network='zeros': arrays cannot be written in a spec",
    ),
    "twice": (
        lambda path, card, tensors: card["fields"].update(phi_network=None),
        "'phi_network' is given twice",
    ),
    "no tensors file": (
        lambda path, card, tensors: card["tensors"].update(file="gone.safetensors"),
        "cannot read the tensors of objective file {path}, gone.safetensors: no such file",
    ),
    "path traversal": (
        lambda path, card, tensors: card["tensors"].update(file="../objective.safetensors"),
        "the tensors are a .safetensors file beside the card, named without a folder",
    ),
    "absolute path": (
        lambda path, card, tensors: card["tensors"].update(file="/etc/x.safetensors"),
        "named without a folder",
    ),
    "a pickle": (
        lambda path, card, tensors: card["tensors"].update(file="objective.pkl"),
        "a .safetensors file",
    ),
    "digest": (
        lambda path, card, tensors: card["tensors"].update(sha256="0" * 64),
        "objective.safetensors is not the file that it was saved with (its SHA-256 differs)",
    ),
    "no digest": (lambda path, card, tensors: card["tensors"].update(sha256=""), "tensors.sha256=''"),
    "field of tensors": (
        lambda path, card, tensors: tensors.update({"psi_netwrk.bias": weights(0)["bias"]}),
        "no field 'psi_netwrk': did you mean 'psi_network'?",
    ),
    "tensor of no field": (
        lambda path, card, tensors: tensors.update(bias=weights(0)["bias"]),
        "no field 'bias'",
    ),
    "missing tensor": (
        lambda path, card, tensors: tensors.pop("g_network.bias"),
        "the network has no tensor 'bias'",
    ),
    "shape": (
        lambda path, card, tensors: tensors.update({"g_network.bias": np.zeros(126, np.float32)}),
        "'bias' has shape (126,), not (9, 14)",
    ),
    "dtype": (
        lambda path, card, tensors: tensors.update({"g_network.bias": np.zeros((9, 14))}),
        "'bias' has dtype float64, not float32",
    ),
    "negative kernel": (
        lambda path, card, tensors: tensors.update({"g_network.kernel_in": -np.ones((9, 14), np.float32)}),
        "'kernel_in' has a negative number",
    ),
    "not finite": (
        lambda path, card, tensors: tensors.update({"g_network.bias": np.full((9, 14), np.nan, np.float32)}),
        "'bias' holds a number that is not finite",
    ),
}


def _without(tensors: dict[str, Any], field: str) -> None:
    for name in [name for name in tensors if name.startswith(f"{field}.")]:
        del tensors[name]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_line_that_names_the_file(registry: Registry, found: Path, damage: str) -> None:
    spoil, line = DAMAGES[damage]
    before = found.read_bytes()
    card, stored = json.loads(before), found.with_suffix(".safetensors")
    tensors = load_file(stored)
    spoil(found, card, tensors)
    if found.is_file() and found.read_bytes() == before:
        content = save(tensors)
        if content != stored.read_bytes():
            stored.write_bytes(content)
            card["tensors"]["sha256"] = hashlib.sha256(content).hexdigest()
        found.write_text(json.dumps(card))
    with pytest.raises(ObjectiveFileError) as caught:
        registry.build("objective", str(found))
    message = str(caught.value)
    assert line.format(path=found) in message
    assert f"objective file {found}" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"not tensors", b"\xff" * 100])
def test_tensors_that_are_no_safetensors(registry: Registry, found: Path, content: bytes) -> None:
    card = json.loads(found.read_text())
    card["tensors"]["sha256"] = hashlib.sha256(content).hexdigest()
    found.write_text(json.dumps(card))
    found.with_suffix(".safetensors").write_bytes(content)
    with pytest.raises(ObjectiveFileError, match=r"objective\.safetensors is no safetensors file of numbers"):
        registry.build("objective", str(found))


def test_numbers_that_numpy_does_not_have(registry: Registry, found: Path) -> None:
    stored = found.with_suffix(".safetensors")
    save_file({"g_network.bias": np.zeros((9, 14), np.float16)}, stored)
    stored.write_bytes(stored.read_bytes().replace(b'"F16"', b'"BF16"').replace(b"  ", b" ", 1))
    card = json.loads(found.read_text())
    card["tensors"]["sha256"] = hashlib.sha256(stored.read_bytes()).hexdigest()
    found.write_text(json.dumps(card))
    with pytest.raises(ObjectiveFileError) as caught:
        registry.build("objective", str(found))
    assert "\n" not in str(caught.value)


def test_a_torn_pair_of_files_is_noticed(registry: Registry, found: Path) -> None:
    before = found.read_text()
    save_objective(found, one_step(g_network=weights(9)), "1s-mpo", name="found", summary="X")
    found.write_text(before)
    with pytest.raises(ObjectiveFileError, match="SHA-256 differs"):
        registry.build("objective", str(found))


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("lamb=1", "no field 'lamb': did you mean 'lam'?"),
        ("lam=-1", "lam='-1'"),
        ("phi_network=zeros", "arrays cannot be written in a spec"),
        ('phi_network={"bias":[1]}', "'bias' is no array"),
        ("0.5", "'0.5' needs a key"),
    ],
)
def test_bad_overrides_are_one_line(registry: Registry, found: Path, override: str, line: str) -> None:
    with pytest.raises(RequestError) as caught:
        registry.build("objective", f"{found}:{override}")
    assert line in str(caught.value)
    assert f"objective file {found}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_objectives_are_files(registry: Registry, found: Path) -> None:
    with pytest.raises(RequestError, match="unknown corruption"):
        registry.build("corruption", str(found))


@pytest.mark.parametrize("folder", ["plain", "with space", "a+b", "a:b", "a.json:b", "~", "ä"])
def test_paths_of_any_kind(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_objective(tmp_path / folder / "o.json", one_step(), "1s-mpo", name="found", summary="X")
    for text in (f"./{folder}/o.json", str(tmp_path / folder / "o.json")):
        (spec,) = Suite.of({"objectives": f"{text},lam=0.5"}).objectives
        built = registry.build("objective", spec)
        assert built.text == "found:lam=0.5"
        assert registry.build("objective", built.spec).component == built.component
        (spec,) = Suite.of({"objectives": [{"name": text, "lam": 0.5}]}).objectives
        assert registry.build("objective", spec).text == "found:lam=0.5"


def test_a_link_to_a_file_is_a_file(registry: Registry, tmp_path: Path, found: Path) -> None:
    """Caches of hubs keep a file under the name of its digest, and link to it."""
    for part, blob in (("objective.json", "1234"), ("objective.safetensors", "5678")):
        (found.parent / part).rename(tmp_path / blob)
        (found.parent / part).symlink_to(tmp_path / blob)
    built = registry.build("objective", str(found))
    assert registry.build("objective", built.spec) == built


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[" * 200_000, "is not JSON"),
        ('{"format": "mpobench-objective/1", "provenance": {"by": "\\ud800"}}', "UTF-8"),
        ('{"format": "mpobench-objective/1", "summary": "\\u001b[31mred"}', "summary="),
    ],
)
def test_what_would_harm_the_reader_is_one_line(
    registry: Registry, tmp_path: Path, content: str, line: str
) -> None:
    (tmp_path / "o.json").write_text(content)
    with pytest.raises(ObjectiveFileError) as caught:
        registry.build("objective", str(tmp_path / "o.json"))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_changes_during_a_run_fails_its_own_cells(
    bandits: Registry, tmp_path: Path, found: Path
) -> None:
    suite = Suite.of({"envs": "bandit", "seeds": 1, "objectives": ["dpo", str(found)]})
    trainings = {training.objective.text: training for training in plan(suite, bandits).trainings}
    assert trainings["found"].spec.build(bandits).key == trainings["found"].key
    found.write_text(found.read_text().replace('"lam":2.0', '"lam":3.0').replace('"lam": 2.0', '"lam": 3.0'))
    with pytest.raises(RequestError, match="has changed since the run was planned"):
        trainings["found"].spec.build(bandits)
    assert trainings["dpo"].spec.build(bandits).key == trainings["dpo"].key


def test_two_files_of_one_name_in_a_plan_are_refused(bandits: Registry, tmp_path: Path, found: Path) -> None:
    def planned(*objectives: str) -> list[str]:
        suite = Suite.of({"envs": "bandit", "seeds": 1, "objectives": list(objectives)})
        return [cell.objective for cell in plan(suite, bandits).cells]

    other = tmp_path / "other.json"
    save_objective(other, one_step(lam=3.0), "1s-mpo", name="found", summary="X")
    with pytest.raises(RequestError) as caught:
        planned(str(found), "dpo", str(other))
    assert str(caught.value).startswith(
        f"objective file {found} and objective file {other} are both named 'found'"
    )
    roundabout = f"{found.parent}/../found/objective.json"
    assert planned(str(found), roundabout, f"{found}:lam=3") == ["found", "found:lam=3"]


def run(folder: Path, site: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program(*args),
        cwd=folder,
        env=environment((site,), folder / "cache"),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_file_runs_like_a_name_in_worker_processes(tmp_path: Path, bandit_site: Path, found: Path) -> None:
    (tmp_path / "suite.toml").write_text(
        'envs = "bandit"\nscale = "smoke"\nworkers = 2\n'
        'objectives = ["orpo", "found/objective.json", {name = "./found/objective.json", lam = 0.5}]\n'
    )
    done = run(tmp_path, bandit_site, "run", "suite.toml")
    assert done.returncode == 0, done.stderr
    rows = [line.split()[0] for line in done.stdout.splitlines() if line.startswith(("found", "orpo"))]
    assert sorted(rows) == ["found", "found:lam=0.5", "orpo"]
    results = {result.objective: result for result in ResultStore(tmp_path / "results").load_all()}
    assert {name: result.origin for name, result in results.items()} == {
        "orpo": "human",
        "found": "discovered",
        "found:lam=0.5": "discovered",
    }
    assert all(result.status == "ok" for result in results.values())
    assert results["found"].config["objective"]["file"] == "found"
    assert _training(results["found"]) != _training(results["found:lam=0.5"])
    assert str(tmp_path) not in "".join(
        file.read_text() for file in (tmp_path / "results" / "cells").iterdir()
    )

    os.rename(tmp_path / "found", tmp_path / "moved")  # noqa: PTH104
    moved = "orpo,moved/objective.json,lam=0.5,moved/objective.json"
    again = run(tmp_path, bandit_site, "run", "suite.toml", "--objectives", moved)
    assert again.returncode == 0, again.stderr
    assert "ran none; 3 were there before" in again.stderr


def _training(result: CellResult) -> Any:
    return result.curves["loss"]


def test_show_tells_card_provenance_and_values(tmp_path: Path, bandit_site: Path, found: Path) -> None:
    shown = run(tmp_path, bandit_site, "objectives", "show", "./found/objective.json:beta=3")
    assert shown.returncode == 0, shown.stderr
    for words in ("found:beta=3: Found on noisy labels", "A run of ours", "'1s-mpo'", "generations", "256"):
        assert words in shown.stdout
    as_json = run(tmp_path, bandit_site, "objectives", "show", "found/objective.json", "--json")
    content = json.loads(as_json.stdout)
    assert content["fields"]["lam"] == 2.0
    assert content["provenance"] == {"generations": 256, "env": "tla"}
    missing = run(tmp_path, bandit_site, "objectives", "show", "nowhere.json")
    assert missing.returncode == 2
    assert missing.stderr == (
        "mpobench: error: cannot read objective file nowhere.json: no such file or directory\n"
    )
