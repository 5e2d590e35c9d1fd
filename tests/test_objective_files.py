"""Objective files: what is saved is what trains, wherever a name is accepted (damage: test_objective_file_damage)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest
import torch
from command_line import Cli
from hypothesis import given
from hypothesis import strategies as st
from objective_file_samples import NETWORKS, one_step, weights
from processes import environment, program

import mpobench
from mpobench import RequestError, save_objective
from mpobench.files.keys import content_key
from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.registry.objective_files import read_objective_file
from mpobench.registry.registry import Registry
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultStore


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
    assert loaded.params.keys() == objective.params.keys()


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
        (spec,) = Suite.of({"objectives": [{"name": text, "lam": 0.5}]}).objectives
        assert registry.build("objective", spec).text == "found:lam=0.5"


def test_a_link_to_a_file_is_a_file(registry: Registry, tmp_path: Path, found: Path) -> None:
    """Caches of hubs keep a file under the name of its digest, and link to it."""
    for part, blob in (("objective.json", "1234"), ("objective.safetensors", "5678")):
        (found.parent / part).rename(tmp_path / blob)
        (found.parent / part).symlink_to(tmp_path / blob)
    assert registry.build("objective", str(found)).component.lam == 2.0


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
    )


def test_a_file_runs_like_a_name_in_worker_processes(tmp_path: Path, bandit_site: Path, found: Path) -> None:
    (tmp_path / "suite.toml").write_text(
        'envs = "bandit"\nscale = "smoke"\nworkers = 2\n'
        'objectives = ["orpo", "found/objective.json", {name = "./found/objective.json", lam = 0.5}]\n'
    )
    done = run(tmp_path, bandit_site, "run", "suite.toml")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0] for line in done.stdout.splitlines() if line.startswith(("found", "orpo"))}
    assert rows == {"found", "found:lam=0.5", "orpo"}
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


def test_show_tells_card_provenance_and_values(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, found: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = cli("objectives", "show", "./found/objective.json:beta=3")
    assert shown.returncode == 0, shown.stderr
    for words in ("found:beta=3: Found on noisy labels", "A run of ours", "'1s-mpo'", "generations", "256"):
        assert words in shown.stdout
    as_json = cli("objectives", "show", "found/objective.json", "--json")
    content = json.loads(as_json.stdout)
    assert content["fields"]["lam"] == 2.0
    assert content["provenance"] == {"generations": 256, "env": "tla"}
    missing = cli("objectives", "show", "nowhere.json")
    assert missing.returncode == 2
    assert missing.stderr == (
        "mpobench: error: cannot read objective file nowhere.json: no such file or directory\n"
    )
