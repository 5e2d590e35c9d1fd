"""Objective files that a plugin registers under a name: they are objectives like any other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bandit_plugin
import pytest
from command_line import Cli
from objective_file_samples import one_step, weights
from processes import Install, environment

import mpobench
import mpobench_corruptions.hooks as corruption_hooks
import mpobench_objectives.hooks as objective_hooks
from mpobench import ObjectiveCard, RequestError, hookimpl, save_objective
from mpobench.errors import PluginError, SpecError
from mpobench.files.keys import content_key
from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.registry.objective_files import ObjectiveFileError
from mpobench.registry.registry import Registry
from mpobench.results.cell_result import CellResult
from mpobench.results.store import ResultStore

PLUGIN = """
from pathlib import Path
from mpobench import ObjectiveCard, hookimpl

@hookimpl
def mpobench_objectives():
    yield ObjectiveCard(
        name="found",
        summary="Found and shipped",
        file=Path(__file__).with_name("objective.json"),
        origin="discovered",
        version="3",
    )
"""


@pytest.fixture
def finder(found: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """Makes a registry: bandits, what is published, and a plugin whose card for the file ``found`` has some fields."""

    def make(**fields: Any) -> Registry:
        @hookimpl
        def mpobench_objectives() -> Any:
            card = {"name": "found", "summary": "Found and shipped", "file": found, **fields}
            yield ObjectiveCard(**card)

        module = types.ModuleType("finder")
        vars(module)["mpobench_objectives"] = mpobench_objectives
        monkeypatch.setitem(sys.modules, "finder", module)
        published = (bandit_plugin, objective_hooks, corruption_hooks)
        others = [(each, each.__name__, "1.0") for each in published]
        return Registry.of_modules([(module, "finder-dist", "3.1"), *others])

    return make


def test_the_name_stands_for_the_class_with_the_numbers_of_the_file(finder: Any) -> None:
    registry = finder(version="7")
    built = registry.build("objective", "found")
    assert built.component == one_step(lam=2.0)
    assert (built.text, built.file) == ("found", None)
    assert built.registered.source == "finder-dist 3.1"
    assert built.identity == {
        "name": "found",
        "version": "7",
        "fields": built.component.model_dump(mode="json"),
        "base": {"name": "1s-mpo", "version": "1"},
    }
    assert registry.resolve("objective", "found") is type(built.component)

    changed = registry.build("objective", "found:lam=0.5,beta=1.0")
    assert changed.component == one_step(lam=0.5)
    assert changed.text == "found:lam=0.5"
    assert registry.build("objective", changed.text) == changed
    assert registry.build("objective", "found:lam=2").text == "found", "that is what the file says"


def test_every_number_of_the_file_and_the_class_s_version_enter_the_key(finder: Any, found: Path) -> None:
    registry = finder()
    keys = {content_key(registry.build("objective", "found").identity)}
    for change in ({"lam": 3.0}, {"g_network": weights(99)}):
        save_objective(found, one_step(**{"lam": 2.0, **change}), "1s-mpo", name="x", summary="X")
        keys.add(content_key(registry.build("objective", "found").identity))
    assert len(keys) == 3


def test_the_file_lies_above_the_environment_which_knows_the_class(finder: Any, found: Path) -> None:
    card = json.loads(found.read_text())
    del card["fields"]["beta"]
    found.write_text(json.dumps(card))
    asked = []

    def defaults(name: str, fields: frozenset[str]) -> dict[str, Any]:
        asked.append((name, "psi_network" in fields))
        return {"lam": 7.0, "beta": 7.0, "reduction": "sum"}

    built = finder().build("objective", "found:reduction=sum", defaults)
    assert asked == [("1s-mpo", True)]
    assert built.component == one_step(lam=2.0, beta=7.0, reduction="sum")
    assert built.text == "found:reduction=sum"


def test_a_card_may_name_the_file_otherwise_and_a_field_for_bare_values(finder: Any) -> None:
    registry = finder(name="other", positional="lam")
    assert registry.build("objective", "other:0.5").text == "other:0.5"
    with pytest.raises(SpecError, match="unknown objective 'othr': did you mean 'other'"):
        registry.build("objective", "othr")
    with pytest.raises(SpecError, match="objective 'other': no field 'lamb': did you mean 'lam'"):
        registry.build("objective", "other:lamb=1")
    with pytest.raises(PluginError, match="has no field 'rate', which its card names"):
        finder(positional="rate").build("objective", "found")


def test_a_copy_of_the_file_is_the_registered_objective(finder: Any, found: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy.json"
    copy.parent.mkdir()
    for suffix in (".json", ".safetensors"):
        shutil.copy(found.with_suffix(suffix), copy.parent / f"objective{suffix}")
    (copy.parent / "objective.json").rename(copy)
    registry = finder()
    assert registry.build("objective", f"{copy}:lam=0.5") == registry.build("objective", "found:lam=0.5")
    assert registry.build("objective", str(copy)) == registry.build("objective", "found")

    copy.write_text(copy.read_text().replace('"lam": 2.0', '"lam": 3.0'))
    with pytest.raises(ObjectiveFileError, match=r"named 'found', like an objective of finder-dist 3\.1"):
        registry.build("objective", str(copy))
    found.unlink()
    with pytest.raises(ObjectiveFileError, match=r"named 'found', like an objective of finder-dist 3\.1"):
        registry.build("objective", str(copy))


def _other_values(**values: Any) -> Callable[[Path], None]:
    def spoil(found: Path) -> None:
        found.write_text(json.dumps({**json.loads(found.read_text()), **values}))

    return spoil


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "cannot read objective file {path}: no such file or directory"),
    "not JSON": (lambda found: found.write_text("{"), "objective file {path} is not JSON"),
    "tensors missing": (
        lambda found: found.with_suffix(".safetensors").unlink(),
        "cannot read the tensors of objective file {path}, objective.safetensors: no such file or directory",
    ),
    "tensors changed": (
        lambda found: found.with_suffix(".safetensors").write_bytes(b"others"),
        "objective file {path}: objective.safetensors is not the file that it was saved with",
    ),
    "unknown class": (
        _other_values(objective="1s-mpoo"),
        "objective file {path}: unknown objective '1s-mpoo': did you mean '1s-mpo'?",
    ),
    "unknown field": (_other_values(fields={"lamb": 1}), "objective file {path}: no field 'lamb'"),
    "bad value": (_other_values(fields={"lam": -1}), "objective file {path}: lam=-1: input should be"),
    "its own class": (
        _other_values(objective="found"),
        "objective file {path} gives the fields of 'found', which is an objective file itself",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_line_that_names_plugin_version_and_file(finder: Any, found: Path, damage: str) -> None:
    spoil, line = DAMAGES[damage]
    spoil(found)
    registry = finder()
    with pytest.raises(PluginError) as caught:
        registry.build("objective", "found")
    message = str(caught.value)
    assert message.startswith(f"objective 'found' of finder-dist 3.1 ({found}) cannot be used: ")
    assert line.format(path=found) in message
    assert "\n" not in message
    assert registry.build("objective", "dpo").text == "dpo", "the others work"


def test_no_file_is_of_another_file(finder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = finder()
    monkeypatch.setattr("mpobench.registry.save_objective.get_registry", lambda: registry)
    with pytest.raises(RequestError, match="'found' is an objective file itself: save it as a '1s-mpo'"):
        save_objective(tmp_path / "o.json", one_step(), "found", name="x", summary="X")
    with pytest.raises(RequestError, match="a registered objective is named 'found' already"):
        save_objective(tmp_path / "o.json", one_step(), "1s-mpo", name="found", summary="X")


@pytest.mark.parametrize("fields", [{"file": None}, {"target": "toy_plugin:Loss"}])
def test_a_card_names_a_class_or_a_file(finder: Any, fields: dict[str, Any]) -> None:
    (broken,) = finder(**fields).broken
    assert "a card has a target, which is a class, or the file of an objective" in broken.error


def test_a_plan_knows_it_by_name(finder: Any, found: Path) -> None:
    registry = finder()
    objectives = ["found", "found:lam=3", str(found)]
    expanded = plan(Suite.of({"envs": "bandit", "seeds": 1, "objectives": objectives}), registry)
    assert [cell.objective for cell in expanded.cells] == ["found", "found:lam=3"]


@pytest.fixture
def site(found: Path, install: Install, bandit_site: Path) -> tuple[Path, ...]:
    """Folders for the import path: a plugin that ships ``found``, and the bandits."""
    folder = install("finder", PLUGIN, version="3.1")
    for file in found.parent.iterdir():
        shutil.copy(file, folder / file.name)
    return folder, bandit_site


def test_listings_have_it_and_compute_nothing(site: tuple[Path, ...], tmp_path: Path) -> None:
    listed = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=environment(site[:1], tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split(maxsplit=4) for line in listed.stdout.splitlines()]
    assert ["found", "discovered", "one", "no", "Found and shipped"] in rows
    assert json.loads(listed.stderr) == []


PROBE = """
import json, sys
from mpobench.cli import main
try:
    main(["objectives"])
except SystemExit as exit:
    assert not exit.code, exit.code
print(json.dumps(sorted({"numpy", "jax", "torch"} & set(sys.modules))), file=sys.stderr)
"""


def test_show_tells_where_the_numbers_come_from(cli: Cli, site: tuple[Path, ...], found: Path) -> None:
    text = cli("objectives", "show", "found", path=site).stdout
    for words in (
        "found: Found and shipped (finder 3.1)",
        "Origin: discovered. Stages: one. Reference policy: no.",
        f"A '1s-mpo' of mpobench {mpobench.__version__} with the numbers of {site[0] / 'objective.json'}.",
        "generations",
        "−ψ(π(τ_w))",
    ):
        assert words in text
    shown = json.loads(cli("objectives", "show", "found", "--json", path=site).stdout)
    assert (shown["distribution"], shown["version"], shown["behaviour_version"]) == ("finder", "3.1", "3")
    assert (shown["objective"], shown["provenance"]) == ("1s-mpo", {"generations": 256, "env": "tla"})
    defaults = {field["name"]: field["default"] for field in shown["fields"]}
    assert (defaults["lam"], defaults["phi"]) == ("2", "log")
    assert defaults["g_network"].startswith("tensors ")
    by_path = cli("objectives", "show", f"{found}:lam=3", path=site).stdout
    assert by_path.startswith(f"found:lam=3: Found on noisy labels ({found})\n")
    assert "A '1s-mpo' of mpobench" in by_path


def test_it_runs_like_its_file(cli: Cli, site: tuple[Path, ...], found: Path, tmp_path: Path) -> None:
    def results(objectives: str, folder: str, path: tuple[Path, ...]) -> dict[str, CellResult]:
        options = ("--envs", "bandit", "--scale", "smoke", "--results", str(tmp_path / folder))
        done = cli("run", "--objectives", objectives, *options, path=path)
        assert done.returncode == 0, done.stderr
        return {result.objective: result for result in ResultStore(tmp_path / folder).load_all()}

    by_name = results("found,dpo", "by name", site)
    by_path = results(str(found), "by path", site[1:])
    assert by_name.keys() == {"found", "dpo"}
    ours, theirs = by_name["found"], by_path["found"]
    assert (ours.metrics, ours.curves) == (theirs.metrics, theirs.curves)
    assert (ours.origin, ours.plugin, theirs.plugin) == (
        "discovered",
        "finder 3.1",
        f"mpobench {mpobench.__version__}",
    )
    assert ours.key != theirs.key
    assert results(str(found), "by name", site) == by_name, "the same file, and nothing to run again"
    (site[0] / "objective.json").unlink()
    broken = cli("run", "--objectives", "found", "--envs", "bandit", "--dry-run", path=site)
    assert broken.returncode == 2
    assert broken.stderr == (
        f"mpobench: error: objective 'found' of finder 3.1 ({site[0] / 'objective.json'}) cannot be used: "
        f"cannot read objective file {site[0] / 'objective.json'}: no such file or directory\n"
    )
    listed = cli("objectives", path=site).stdout
    assert ["found", "discovered", "?", "?"] in [line.split()[:4] for line in listed.splitlines()]


def test_it_can_be_drawn(cli: Cli, site: tuple[Path, ...], tmp_path: Path) -> None:
    picture = tmp_path / "found.svg"
    done = cli("plot", "loss", "found:lam=0.5", "dpo", "--output", str(picture), path=site)
    assert (done.returncode, done.stdout) == (0, f"{picture}\n"), done.stderr
