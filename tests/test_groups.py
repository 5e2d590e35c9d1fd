"""What a device can carry out at once: fewer pieces of work, and the same results as one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bandit_plugin import Bandit
from lab import Here, Lab

import mpobench
from mpobench import Prerequisite, TrainingRequest, Workspace
from mpobench.protocols import Listener, Workers
from mpobench.running import reports
from mpobench.running.live_note import LiveNote

ALL = "sft,dpo,ipo,orpo"


def scores(lab: Lab) -> dict[tuple[str, int], dict[str, float]]:
    return {(each.objective, each.seed): each.metrics for each in lab.store.load_all()}


def test_alike_trainings_are_carried_out_at_once(lab: Lab) -> None:
    alone = lab.run(ALL, seeds=2)
    expected = scores(lab)
    assert not [what for what in lab.work() if "together" in what]
    outcome = lab.run(ALL, seeds=2, envs="bandit:device=3", rerun="all")
    assert (outcome.ran, outcome.ungrouped) == (alone.ran, [])
    # Two of one stage and two of two, by two seeds: three at once, and one is left of each.
    work = lab.work()
    assert work.pop("3 trainings together") == 2
    assert sum(work.values()) == 2
    assert all(what.startswith("train ") for what in work)
    assert scores(lab) == expected


def test_a_group_tells_how_far_it_is_and_what_the_user_should_know(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train, write, opened = Bandit.train_group, LiveNote.write, Here.open
    running: list[tuple[str, float]] = []

    def training(env: Bandit, requests: Sequence[TrainingRequest], workspace: Workspace) -> Any:
        reports.begun(f"group of {requests[0].key}")  # as a launcher's worker does
        workspace.report("training", 0.0)
        workspace.note("mind the lever")
        return train(env, requests, workspace)

    def written(note: LiveNote, at_once: bool = False) -> None:
        running.extend((each.phase, each.fraction) for each in note._running.values())
        write(note, at_once)

    @contextmanager
    def connected(here: Here, workers: int | None, report: Listener) -> Iterator[Workers]:
        reports.connect(report)
        with opened(here, workers, report) as place:
            yield place
        reports.connect(lambda report: None)

    monkeypatch.setattr(Bandit, "train_group", training)
    monkeypatch.setattr(LiveNote, "write", written)
    monkeypatch.setattr(Here, "open", connected)
    lab.run("sft,orpo", envs="bandit:device=2")
    assert ("training", 0.0) in running
    assert capsys.readouterr().err.count("mind the lever") == 1


def test_so_are_the_shared_files_before_them(lab: Lab) -> None:
    lab.run("dpo,ipo", seeds=2, envs="bandit:device=9")
    assert lab.work() == {"pulls 0": 1, "pulls 1": 1, "2 SFT stages together": 1, "4 trainings together": 1}
    alone = Lab(lab.cache.parent / "alone", lab.registry)
    alone.run("dpo,ipo", seeds=2)
    assert scores(alone) == scores(lab)


def test_a_policy_that_is_there_is_not_trained_again(lab: Lab) -> None:
    lab.run("sft,orpo", seeds=2)
    lab.work()
    lab.cell("sft", 0).unlink()
    outcome = lab.run("sft,orpo", seeds=3, envs="bandit:device=9")
    assert (outcome.ran, outcome.reused) == ({"ok": 3}, 3)
    assert lab.work() == {"pulls 2": 1, "2 trainings together": 1}


def test_one_that_diverges_is_told_alone(lab: Lab) -> None:
    outcome = lab.run("sft,nan,orpo", envs="bandit:device=3")
    assert outcome.ran == {"ok": 2, "diverged": 1}
    assert outcome.ungrouped == []
    (line,) = outcome.failures
    assert "diverged: the loss is not finite in epoch 1" in line
    assert lab.work() == {"pulls 0": 1, "3 trainings together": 1, "train nan 0": 1}


def test_what_fails_together_is_done_one_by_one(lab: Lab) -> None:
    outcome = lab.run("sft,raises,orpo", envs="bandit:device=3")
    assert outcome.ran == {"ok": 2, "error": 1}
    (warning,) = outcome.ungrouped
    assert warning.startswith("3 tasks could not be carried out as a group: KeyError")
    assert "\n" not in warning
    assert lab.work()["train sft 0"] == 1


@pytest.mark.parametrize("objectives", ["sft,orpo,dpo,ipo", "dpo,ipo"])
def test_a_failed_shared_file_fails_what_waits_for_it(lab: Lab, objectives: str) -> None:
    outcome = lab.run(objectives, envs="jammed:sft,device=9", seeds=2)
    assert len(outcome.failures) == 4, "the two stages of dpo and ipo, for two seeds"
    assert all("RuntimeError: the lever is stuck" in line for line in outcome.failures)
    assert outcome.ran["ok"] == (4 if "orpo" in objectives else 0)
    (warning,) = outcome.ungrouped
    assert warning.startswith("2 tasks could not be carried out as a group: RuntimeError: the lever is stuck")
    trained = [what for what in lab.work() if "train" in what]
    assert trained == (["4 trainings together"] if "orpo" in objectives else [])


def test_a_device_that_cannot_be_asked_trains_one_by_one(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(env: Bandit) -> int:
        raise RuntimeError("no driver")

    monkeypatch.setattr(Bandit, "group_size", broken)
    assert lab.run("sft,orpo").ran == {"ok": 2}
    assert not [what for what in lab.work() if "together" in what]


def test_what_was_kept_before_a_failure_is_not_trained_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run("sft,orpo,cpo")
    lab.work()
    kept, save = [], Bandit.save_policy

    def full(env: Bandit, policy: float, folder: Path) -> None:
        kept.append(folder)
        if len(kept) == 2:
            raise OSError("no space left")
        save(env, policy, folder)

    monkeypatch.setattr(Bandit, "save_policy", full)
    outcome = lab.run("sft,orpo,cpo", envs="bandit:device=3", rerun="all")
    assert outcome.ran == {"ok": 3}
    (warning,) = outcome.ungrouped
    assert warning.startswith("3 tasks could not be carried out as a group: RequestError: cannot write ")
    assert ": no space left;" in warning
    assert sum(lab.work().values()) == 1 + 2, "one was kept, two are trained alone"


def test_files_that_wait_for_each_other_are_an_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def knot(env: Bandit, request: TrainingRequest) -> list[Prerequisite]:
        return [Prerequisite(one, one, "knots", {}, needs=(other,)) for one, other in ("ab", "ba")]

    monkeypatch.setattr(Bandit, "prerequisites", knot)
    with pytest.raises(mpobench.MpobenchError, match="prerequisites wait for each other"):
        lab.run("sft")
