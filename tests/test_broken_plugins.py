"""Broken plugins, installed as pip would: each gives one clear line, and everything else goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

from mpobench.results.store import ResultStore

OBJECTIVE = """
from mpobench import Objective, ObjectiveCard, hookimpl

class Mine(Objective):
    "Mine."
    def loss(self, batch):
        return -batch.chosen.total

@hookimpl
def mpobench_objectives():
    yield ObjectiveCard(name="NAME", summary="Mine", target=f"{__name__}:Mine")
"""

BROKEN = {
    "raises on import": ("raise RuntimeError('no\\nlibrary')", "RuntimeError: no library"),
    "exits on import": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "syntax": ("def (", "SyntaxError: invalid syntax"),
    "misspelt hook": (
        OBJECTIVE.replace("mpobench_objectives", "mpobench_objectivs"),
        "there is no hook 'mpobench_objectivs': did you mean 'mpobench_objectives'?",
    ),
    "forgotten marker": (
        OBJECTIVE.replace("@hookimpl\n", ""),
        "'mpobench_objectives' looks like a hook but is not marked with @hookimpl",
    ),
    "unknown argument": (
        OBJECTIVE.replace("mpobench_objectives()", "mpobench_objectives(config)"),
        "Argument(s) {'config'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "junk": (OBJECTIVE.replace("yield ObjectiveCard", "yield dict"), "yields a dict, not a ObjectiveCard"),
    "nothing": (
        "from mpobench import hookimpl\n@hookimpl\ndef mpobench_objectives():\n    return 3\n",
        "hook mpobench_objectives failed: TypeError: 'int' object is not iterable",
    ),
    "bad card": (
        OBJECTIVE,
        "hook mpobench_objectives failed: invalid ObjectiveCard: name: String should match",
    ),
    "hook raises": (
        OBJECTIVE.replace("yield", "raise ValueError('out of order'); yield"),
        "hook mpobench_objectives failed: ValueError: out of order",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_listed_and_harms_nobody(case: str, install: Any, cli: Cli) -> None:
    source, line = BROKEN[case]
    site = install("broken-plugin", source, version="0.3")
    install("good-plugin", OBJECTIVE.replace("NAME", "mine"), version="2.0")
    listing = json.loads(cli("plugins", "--json", path=(site,)).stdout)
    (broken,) = (each for each in listing["broken"] if each["distribution"] == "broken-plugin")
    assert (broken["entry_point"], broken["version"]) == ("broken-plugin", "0.3")
    assert line in broken["error"]
    assert "\n" not in broken["error"]
    sources = {each["name"]: each["distribution"] for each in listing["components"]}
    assert (sources["mine"], sources["dpo"]) == ("good-plugin", "mpobench")


def test_what_is_broken_is_shown_and_hinted_at(install: Any, cli: Cli) -> None:
    site = install("broken-plugin", "raise RuntimeError('no library')")
    install("good-plugin", OBJECTIVE.replace("NAME", "mine"))
    assert "\nBroken:\n  broken-plugin (broken-plugin 1.0): RuntimeError: no library\n" in (
        cli("plugins", path=(site,)).stdout
    )
    missing = cli("objectives", "show", "theirs", path=(site,))
    assert missing.returncode == 2
    assert "plugin failed to load: see 'mpobench plugins')" in missing.stderr
    assert cli("objectives", "show", "mine", path=(site,)).returncode == 0


def test_a_name_that_two_distributions_claim(install: Any, cli: Cli) -> None:
    site = install("rival-plugin", OBJECTIVE.replace("NAME", "dpo"), version="6.0")
    line = "objective 'dpo' is claimed by mpobench 0.1.0 and rival-plugin 6.0: uninstall one of them"
    assert line in cli("plugins", path=(site,)).stdout
    assert json.loads(cli("plugins", "--json", path=(site,)).stdout)["conflicts"] == [line]
    refused = cli("objectives", "show", "dpo", path=(site,))
    assert (refused.returncode, refused.stderr) == (2, f"mpobench: error: {line}\n")
    assert cli("objectives", "show", "orpo", path=(site,)).returncode == 0


def test_two_entry_points_of_one_name_are_both_loaded(install: Any, cli: Cli) -> None:
    site = install("plugin-a", OBJECTIVE.replace("NAME", "loss-a"))
    install("plugin-b", OBJECTIVE.replace("NAME", "loss-b"))
    for distribution in ("a", "b"):
        (site / f"plugin_{distribution}-1.0.dist-info" / "entry_points.txt").write_text(
            f"[mpobench]\nobjectives = plugin_{distribution}\n"
        )
    names = {each["name"] for each in json.loads(cli("objectives", "--json", path=(site,)).stdout)}
    assert names >= {"loss-a", "loss-b", "dpo"}


def test_a_component_that_cannot_be_imported_fails_alone(install: Any, cli: Cli) -> None:
    source = OBJECTIVE.replace("NAME", "mine").replace("{__name__}:Mine", "no_such_package:Mine")
    site = install("broken-plugin", source, version="0.3")
    done = cli("objectives", "show", "mine", path=(site,))
    assert done.returncode == 2
    assert done.stderr == (
        "mpobench: error: objective 'mine' of broken-plugin 0.3 (no_such_package:Mine) cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_package'\n"
    )


def test_a_plugin_cannot_take_the_name_of_a_built_in_command(install: Any, cli: Cli) -> None:
    site = install(
        "greedy-plugin",
        "from mpobench import CommandCard, hookimpl\n"
        "@hookimpl\n"
        "def mpobench_commands():\n"
        "    yield CommandCard(name='plugins', summary='Mine', target='greedy_plugin:app')\n",
    )
    text = cli("plugins", path=(site,)).stdout
    assert "command 'plugins' of greedy-plugin 1.0 is hidden by the built-in one" in text


def test_runs_that_need_no_broken_plugin_go_on(
    tmp_path: Path, install: Any, bandit_site: Path, mpobench_cli: Any
) -> None:
    for number, (source, _) in enumerate(BROKEN.values()):
        site = install(f"broken-{number}", source)
    install("rival-plugin", OBJECTIVE.replace("NAME", "dpo"), version="6.0")
    install("good-plugin", OBJECTIVE.replace("NAME", "mine"))

    def run(objectives: str) -> Any:
        place = ("--envs", "bandit", "--scale", "smoke", "--results", str(tmp_path / "results"))
        return mpobench_cli("run", "--objectives", objectives, *place, path=(site, bandit_site))

    done = run("mine,sft")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^mine +\S*0\.\d+", done.stdout, re.M)
    assert "Objectives from mpobench 0.1.0, good-plugin 1.0." in done.stdout
    assert "mpobench:" not in done.stderr, "nobody asked for the broken ones"
    for objectives, line in (
        (
            "mine,dpo",
            "objective 'dpo' is claimed by mpobench 0.1.0 and rival-plugin 6.0: uninstall one of them",
        ),
        ("mine,theirs", f"({len(BROKEN)} plugins failed to load: see 'mpobench plugins')"),
    ):
        refused = run(objectives)
        assert (refused.returncode, refused.stdout, len(refused.stderr.splitlines())) == (2, "", 1)
        assert line in refused.stderr


MISTAKEN = """
from mpobench import Objective, ObjectiveCard, hookimpl

class NotANumber(Objective):
    "The logarithm of a negative number."
    def loss(self, batch):
        return batch.xp.log(-abs(batch.chosen.mean)) + batch.chosen.mean

class WrongShape(Objective):
    "The mean over the pairs, which is the trainer's to take."
    def loss(self, batch):
        return -batch.xp.mean(batch.chosen.mean)

@hookimpl
def mpobench_objectives():
    yield ObjectiveCard(name="not-a-number", summary="Mistaken", target="mistaken_plugin:NotANumber")
    yield ObjectiveCard(name="wrong-shape", summary="Mistaken", target="mistaken_plugin:WrongShape")
"""


@pytest.mark.slow
def test_mistaken_losses_fail_alone_on_the_real_task(tmp_path: Path, install: Any, mpobench_cli: Any) -> None:
    site = install("mistaken-plugin", MISTAKEN, version="0.4")
    args = (
        "--objectives",
        "not-a-number,wrong-shape,sft",
        "--scale",
        "smoke",
        "--results",
        str(tmp_path / "r"),
    )
    done = mpobench_cli("run", *args, path=(site,))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("mpobench:")]
    assert len(said) == 2
    for name, what in (
        ("not-a-number", "diverged: "),
        ("wrong-shape", "error: ValueError: WrongShape.loss returned shape ()"),
    ):
        (line,) = (line for line in said if name in line)
        assert line.startswith(f"mpobench: {name} on tla base, seed 0: {what}")
        assert len(line) < 300
    assert re.search(r"^sft +\S*-?\d+", done.stdout, re.M)
    assert re.search(r"^not-a-number +diverged \[\d\]$", done.stdout, re.M)
    assert re.search(r"^wrong-shape +failed \[\d\]$", done.stdout, re.M)
    results = {result.objective: result for result in ResultStore(tmp_path / "r").load_all()}
    assert {name: (result.status, result.plugin) for name, result in results.items()} == {
        "not-a-number": ("diverged", "mistaken-plugin 0.4"),
        "wrong-shape": ("error", "mistaken-plugin 0.4"),
        "sft": ("ok", "mpobench 0.1.0"),
    }
