"""What an environment refuses before a run, and the lines that it shows during one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bandit_plugin import Bandit
from lab import Here, Lab

from mpobench import RequestError, Trained, TrainingRequest, Workspace
from mpobench.planning.plan import plan
from mpobench.planning.suite import Suite
from mpobench.protocols import Listener, Workers
from mpobench.running import reports
from mpobench.running.runner import execute
from mpobench.running.workplace import Workplace


def test_a_refusal_ends_a_run_before_anything_is_computed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_data(env: Bandit, request: TrainingRequest) -> None:
        if request.objective_name == "dpo":
            raise RequestError("these data are empty; take others")

    monkeypatch.setattr(Bandit, "check_data", check_data)
    suite = Suite.of({"envs": "bandit", "scale": "smoke", "objectives": "sft,dpo"})
    assert len(plan(suite, lab.registry).trainings) > 1, "planning does not ask"
    with pytest.raises(RequestError, match=r"^these data are empty; take others$"):
        lab.run("sft,dpo")
    assert not lab.work()
    assert not lab.store.keys()
    lab.run("sft")
    assert set(lab.status().values()) == {"ok"}


def test_an_unexpected_fault_of_a_check_is_left_to_the_training(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check_data(env: Bandit, request: TrainingRequest) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Bandit, "check_data", check_data)
    lab.run("sft")
    assert set(lab.status().values()) == {"ok"}


class Connected(Here):
    """The same, with the reports that workers send."""

    @contextmanager
    def open(self, workers: int | None, report: Listener) -> Iterator[Workers]:
        reports.connect(report)
        try:
            with super().open(workers, report) as opened:
                yield opened
        finally:
            reports.connect(lambda report: None)


def test_lines_of_trainings_are_on_stderr_each_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = Bandit.train

    def noting(env: Bandit, request: TrainingRequest, workspace: Workspace) -> Trained:
        workspace.note("the data: 8 pairs read, 7 kept")
        workspace.note(f"seed {request.seed}")
        return train(env, request, workspace)

    monkeypatch.setattr(Bandit, "train", noting)
    suite = Suite.of({"envs": "bandit", "scale": "smoke", "objectives": "sft,dpo", "seeds": 2})
    execute(plan(suite, lab.registry), lab.store, Workplace(Connected(), lab.cache, workers=1))
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if line.startswith(("the data", "seed"))]
    assert sorted(lines) == ["seed 0", "seed 1", "the data: 8 pairs read, 7 kept"]
    assert shown.out == ""
