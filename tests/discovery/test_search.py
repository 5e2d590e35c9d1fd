"""Whole searches on the bandit: they find something, and nothing that stops them changes what they find."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import Run, environment, program
from safetensors.numpy import load_file
from search_samples import FAMILIES, arguments
from tuning_samples import entry

import mpobench
from mpobench.planning.tuned_file import TunedFile


@pytest.fixture
def discover(invoke: Run) -> Run:
    """Runs ``mpobench discover`` on the bandit, in this process."""

    def run(output: Path, *more: str) -> subprocess.CompletedProcess[str]:
        return invoke(*arguments(output, "--launcher", "in-turn", *more))

    return run


def found(folder: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "objective.json").read_text())
    return card


def generations(folder: Path) -> list[dict[str, np.ndarray]]:
    return [load_file(file) for file in sorted((folder / "generations").iterdir())]


@pytest.mark.parametrize("family", FAMILIES)
def test_it_improves_on_its_start_and_says_so(family: str, discover: Run, tmp_path: Path) -> None:
    folder = tmp_path / "My Search"
    done = discover(folder, "--family", family, "--generations", "8", "--population", "12")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == str(folder / "objective.json")
    gain = re.search(r"paired difference (-?[\d.]+)", lines[0])
    assert gain
    assert "96 agents trained" in lines[1]
    assert re.search(r"generation 8, best [\d.]+, mean .*, ETA 0 s", done.stderr)
    card = found(folder)
    provenance = card["provenance"]
    assert (card["name"], card["objective"]) == ("my-search", family)
    assert provenance["env"] == "bandit"
    assert provenance["corruption"] == "noisy:0.1"
    assert provenance["agents"] == 96
    assert provenance["versions"].keys() >= {"mpobench", "evosax", "numpy"}
    assert provenance["held_out_seeds"] == "3000 to 3001"
    assert provenance["fitness_after"][0] >= provenance["fitness_before"][0]
    mpobench.objective(str(folder / "objective.json"))


def test_processes_of_their_own_find_the_same(
    discover: Run, mpobench_cli: Run, bandit_site: Path, tmp_path: Path
) -> None:
    done = mpobench_cli(*arguments(tmp_path / "processes"), path=(bandit_site,), cache=tmp_path / "other")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "processes" / "objective.json")
    assert discover(tmp_path / "here").returncode == 0
    assert_same_search(tmp_path / "processes", tmp_path / "here")


def test_the_same_command_again_computes_nothing(discover: Run, tmp_path: Path) -> None:
    first = discover(tmp_path / "search")
    before = (tmp_path / "cache" / "work.log").read_text().count("train")
    again = discover(tmp_path / "search")
    assert (first.returncode, again.returncode) == (0, 0), again.stderr
    assert first.stdout == again.stdout
    after = (tmp_path / "cache" / "work.log").read_text().count("train")
    assert (before, after - before) == (2 * 4 + 2 * 2, 0)


def test_a_finished_search_goes_on_when_it_is_given_more(discover: Run, tmp_path: Path) -> None:
    for count in ("2", "4"):
        assert discover(tmp_path / "by-steps", "--generations", count).returncode == 0
    assert discover(tmp_path / "whole", "--generations", "4").returncode == 0
    assert_same_search(tmp_path / "by-steps", tmp_path / "whole")


def test_members_of_a_group_are_the_same_as_alone(discover: Run, tmp_path: Path) -> None:
    assert discover(tmp_path / "alone").returncode == 0
    log = tmp_path / "cache" / "work.log"
    log.unlink()
    done = discover(tmp_path / "group", "--env", "bandit:device=3")
    assert done.returncode == 0, done.stderr
    work = log.read_text()
    assert work.count("2 trainings together") == 2 * 2, "of each generation, each worker takes half"
    assert work.count("train ") == 2 * 2, "start and result, on two held-out seeds: one for each worker"
    assert_same_search(tmp_path / "alone", tmp_path / "group")


def assert_same_search(one: Path, other: Path) -> None:
    """To the bit: every mean, every state, every fitness, and the objective."""
    for mine, theirs in zip(generations(one), generations(other), strict=True):
        assert mine.keys() == theirs.keys()
        for name, array in mine.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    first, second = (load_file(folder / "objective.safetensors") for folder in (one, other))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.slow
def test_stopped_anywhere_it_goes_on_as_if_nothing_had_happened(
    discover: Run, bandit_site: Path, tmp_path: Path
) -> None:
    size = ("--generations", "5", "--population", "6")
    slow = (*size, "--training", "pause=0.05")
    folder, stops = tmp_path / "stopped", 0
    stopped = ((2, signal.SIGKILL), (9, signal.SIGINT), (16, signal.SIGKILL))
    for scored, stop in stopped:  # members, over all generations
        least = max(scored, members(folder) + 1)  # or the signal would meet an interpreter that starts
        process = subprocess.Popen(
            program(*arguments(folder, *slow)),
            env=environment((bandit_site,), tmp_path / "cache"),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while process.poll() is None and members(folder) < least:
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, stop)
            stops += 1
        said = process.communicate()[1]
        if stop == signal.SIGINT:
            assert process.returncode in (0, 130)
            assert "Traceback" not in said
            assert process.returncode == 0 or "the same command goes on from here" in said
    assert stops >= 2, "the machine was too slow to stop anything"
    assert discover(folder, *slow).returncode == 0
    assert discover(tmp_path / "whole", *size).returncode == 0
    assert_same_search(folder, tmp_path / "whole")


def members(folder: Path) -> int:
    """How many have their score."""
    finished = list((folder / "generations").glob("*.safetensors")) if folder.exists() else []
    journal = folder / "members.jsonl"
    try:
        return 6 * len(finished) + len(journal.read_text().splitlines())
    except FileNotFoundError:
        return 6 * len(finished)


def test_a_search_begins_with_a_tuned_loss(discover: Run, tmp_path: Path) -> None:
    tuned = entry(
        corruption="noisy:0.1",
        objective="cpo",
        fields={"beta": 0.3},
        training={"learning_rate": 0.7},
        fixed={"epochs": 3},
    )
    TunedFile(tuned=(tuned,)).write(tmp_path / "tuned.toml")
    options = ("--start", "cpo", "--tuned", str(tmp_path / "tuned.toml"))
    done = discover(tmp_path / "search", *options)
    assert done.returncode == 0, done.stderr
    assert "3 there), for cpo on bandit (noisy:0.1)" in done.stderr
    start = mpobench.objective(str(tmp_path / "search" / "start.json"))
    assert start == mpobench.objective("cpo:beta=0.3").as_networks()  # type: ignore[attr-defined]
    assert json.loads((tmp_path / "search" / "search.json").read_text())["search"]["training"] == {
        "learning_rate": 0.7
    }
    stated = discover(
        tmp_path / "stated",
        *(
            "--start",
            "cpo:beta=0.1",
            *options[2:],
            "--training",
            "learning_rate=0.2",
            "--training",
            "epochs=3",
        ),
    )
    assert stated.returncode == 0, stated.stderr
    assert "in another training" not in stated.stderr
    assert mpobench.objective(str(tmp_path / "stated" / "start.json")).beta == 0.1  # type: ignore[attr-defined]
    assert json.loads((tmp_path / "stated" / "search.json").read_text())["search"]["training"] == {
        "learning_rate": "0.2",
        "epochs": "3",
    }


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (("--tuned", "tuned.toml"), "--tuned tuned.toml is for the objective that --start names: name one"),
        (("--start", "cpo", "--tuned", "none.toml"), "cannot read tuned values none.toml"),
        (("--start", "dpo"), "it cannot be written as networks"),
        (("--learn", "psi,h"), "1s-mpo has no network for 'h'"),
        (("--training", "epoch=2"), "training has no field 'epoch'"),
        (("--evaluator", "return"), "Bandit has no rollouts with a true return"),
        (("--launcher", "slurm"), "unknown launcher 'slurm'"),
    ],
)
def test_a_bad_request_is_one_line_and_leaves_nothing(
    more: tuple[str, ...], error: str, discover: Run, tmp_path: Path
) -> None:
    done = discover(tmp_path / "search", *more)
    assert done.returncode == 2, done.stderr
    assert error in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "search" / "search.json").exists()


def test_a_member_that_cannot_be_computed_is_one_line(discover: Run, tmp_path: Path) -> None:
    done = discover(tmp_path / "search", "--training", "pause=-1")
    assert done.returncode == 1
    assert "a member cannot be computed: ValueError: sleep length" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_another_run(discover: Run, tmp_path: Path) -> None:
    assert discover(tmp_path / "search").returncode == 0
    done = discover(tmp_path / "search", "--seed", "1")
    assert done.returncode == 2
    assert "holds another search (seed = 0 there, 1 here): choose another --output" in done.stderr


def test_the_name_of_the_result_has_to_be_free(discover: Run, tmp_path: Path) -> None:
    done = discover(tmp_path / "dpo")
    assert done.returncode == 2
    assert "an objective is named 'dpo' already: choose another --output" in done.stderr


def test_what_is_tampered_with_is_told(discover: Run, tmp_path: Path) -> None:
    assert discover(tmp_path / "search").returncode == 0
    start = tmp_path / "search" / "start.json"
    whole = start.read_text()
    start.write_text(whole.replace('"lam": 1.0', '"lam": 2.0'))
    assert "start.json is not where this search began" in discover(tmp_path / "search").stderr
    start.write_text(whole)
    file = tmp_path / "search" / "generations" / "0002.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    done = discover(tmp_path / "search", "--generations", "3")
    assert done.returncode == 2
    assert "0002.safetensors is damaged: delete it" in done.stderr
    file.unlink()
    assert discover(tmp_path / "search", "--generations", "3").returncode == 0


def test_a_search_from_what_another_found(discover: Run, tmp_path: Path) -> None:
    assert discover(tmp_path / "first").returncode == 0
    start = tmp_path / "first" / "objective.json"
    done = discover(tmp_path / "second", "--start", str(start), "--learn", "g")
    assert done.returncode == 0, done.stderr
    first, second = (load_file(tmp_path / name / "objective.safetensors") for name in ("first", "second"))
    np.testing.assert_array_equal(first["phi_network.coefficient"], second["phi_network.coefficient"])
    assert not np.array_equal(first["g_network.kernel_out"], second["g_network.kernel_out"])
    assert found(tmp_path / "second")["provenance"]["start"] == "objective.json"
