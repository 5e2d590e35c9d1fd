"""Members that a device may train in a group: each has its own policy, whatever becomes of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bandit_plugin import Bandit
from faulty_plugin import NotANumber

import mpobench
from mpobench import DatasetCorruption, DatasetRequest, Objective, TrainingRequest, Workspace
from mpobench_discovery import members


def requests(*objectives: Objective) -> list[TrainingRequest]:
    dataset = DatasetRequest(DatasetCorruption(), 0, "smoke", "dataset")
    return [TrainingRequest(dataset, "mine", each, seed) for seed, each in enumerate(objectives)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def policies(workspace: Workspace, env: Bandit, *objectives: Objective) -> list[float | None]:
    found = members.train_members(env, requests(*objectives), workspace)
    return [None if each is None else each.policy for each in found]


def work(workspace: Workspace) -> str:
    log = workspace.cache / "work.log"
    text = log.read_text()
    log.unlink()
    return text


@pytest.mark.parametrize("name", ["orpo", "dpo"])
def test_a_group_and_its_members_alone_are_the_same(
    name: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    objectives = [mpobench.objective(name)] * 3
    expected = policies(workspace, Bandit(), *objectives)
    assert "3 trainings together" in work(workspace)

    def broken(*arguments: object) -> None:
        raise MemoryError("the device is full")

    notes: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Bandit, "train_group", broken)
        assert policies(replace(workspace, note=notes.append), Bandit(), *objectives) == expected
        (note,) = notes
        assert "3 members could not be trained as a group" in note
        assert "the device is full" in note
        assert work(workspace).count("train mine") == 3
    monkeypatch.setattr(Bandit, "group_key", lambda env, request: "")
    assert policies(workspace, Bandit(), *objectives) == expected
    assert work(workspace).count("train mine") == 3


def test_one_that_diverges_is_none(workspace: Workspace) -> None:
    first, nothing, last = policies(
        workspace, Bandit(), mpobench.objective("orpo"), NotANumber(), mpobench.objective("sft")
    )
    assert nothing is None
    assert first is not None
    assert last is not None
    assert policies(workspace, Bandit(), NotANumber()) == [None]
