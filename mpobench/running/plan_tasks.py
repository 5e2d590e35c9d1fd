"""The tasks of a plan: prerequisites, groups and trainings, and what waits for what."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mpobench.files import locks
from mpobench.planning.cells import Training
from mpobench.planning.suite import Rerun
from mpobench.protocols import Env, GroupTraining, Prerequisite
from mpobench.results.store import ResultStore
from mpobench.running import worker
from mpobench.running.preparation import missing_prerequisites
from mpobench.running.prerequisites import prerequisite_task
from mpobench.running.scheduler import Call, Task
from mpobench.running.worker import Failure


@dataclass(frozen=True)
class _Member:
    """A task that may be carried out in a group: a prerequisite with its environment, or a training."""

    env: Env
    locality: str
    work: Prerequisite | Training
    needs: tuple[str, ...]


@dataclass
class PlanTasks:
    """Tasks of trainings, built from what is missing on disk.

    Attributes:
        store: Folder of the results.
        cache: Folder of shared files.
        rerun: Cells to compute although they have a result: none, those that failed or diverged, or all.
        prerequisites: Missing shared files, by key.
        trainings: Trainings with due cells, by key.
        unplanned: Failures of environments that could not name what a training needs, by training.
        groups: Members of each group, by the group's key.
    """

    store: ResultStore
    cache: Path
    rerun: Rerun = "missing"
    prerequisites: dict[str, Prerequisite] = field(default_factory=dict)
    trainings: dict[str, Training] = field(default_factory=dict)
    unplanned: dict[str, Failure] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    _members: dict[str, _Member] = field(default_factory=dict)
    _group_of: dict[str, str] = field(default_factory=dict)
    _by_group_key: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    _over: set[str] = field(default_factory=set)

    def add(self, training: Training) -> None:
        """Adds a training and its missing prerequisites."""
        env, locality = training.env, training.request.dataset.key
        group_key, missing = "", []
        self.trainings[training.key] = training
        try:
            if self.rerun == "all" or not self.store.policy_folder(training.key).exists():
                missing = missing_prerequisites(env, training.request, self.cache)
                group_key = env.group_key(training.request) if isinstance(env, GroupTraining) else ""
        except Exception as error:  # noqa: BLE001  # a corruption may be asked here, and may be a stranger's
            self.unplanned[training.key] = Failure.of(error)
            return
        for each in missing:
            if each.key not in self.prerequisites:
                self.prerequisites[each.key] = each
                self._members[each.key] = _Member(env, locality, each, each.needs)
                self._may_group(each.phase, training.env_text, each.group_key, each.key)
        self._members[training.key] = _Member(env, locality, training, tuple(each.key for each in missing))
        self._may_group("training", training.env_text, group_key, training.key)

    def _may_group(self, phase: str, env: str, group_key: str, task: str) -> None:
        if group_key:
            self._by_group_key.setdefault((phase, env, group_key), []).append(task)

    def form_groups(self, ask_size: Callable[[Env], int]) -> None:
        """Forms groups of tasks with the same group key.

        Args:
            ask_size: Function that asks a worker for the preferred group size of an environment.
        """
        sizes: dict[str, int] = {}
        for (_, env_text, _), tasks in self._by_group_key.items():
            env = self._members[tasks[0]].env
            if len(tasks) < 2:
                continue
            if env_text not in sizes:
                sizes[env_text] = ask_size(env)
            size = sizes[env_text]
            for part in (tasks[first : first + size] for first in range(0, len(tasks), size)):
                if len(part) > 1:
                    self.groups[f"group of {part[0]}"] = part
        self._group_of = {task: group for group, members in self.groups.items() for task in members}

    def tasks(self) -> Iterator[Task]:
        """All tasks, each group before its members, which then find their files made."""
        for group, tasks in self.groups.items():
            members = [self._members[task] for task in tasks]
            after = tuple({need for member in members for need in member.needs})
            yield Task(group, self._group_call(group), after=after, locality=members[0].locality)
        for key, member in self._members.items():
            after = (self._group_of[key],) if key in self._group_of else ()
            if isinstance(member.work, Prerequisite):
                yield prerequisite_task(member.env, member.work, self.cache, member.locality, after)
            else:
                yield Task(key, self._training_call(member.work), member.needs, after, member.locality)

    def forget_policies(self) -> None:
        """Removes policies that are to be trained again; no other run may be reading them.

        Raises:
            OSError: If one cannot be removed.
        """
        for key in self.trainings if self.rerun == "all" else ():
            with locks.lock(self.store.lock(key)), contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.store.policy_folder(key))

    def members(self, key: str) -> list[str]:
        """The tasks of a group, or the task itself."""
        return self.groups.get(key, [key])

    def group_of(self, key: str) -> str | None:
        """The group that a task is a member of, if it is."""
        return self._group_of.get(key)

    def words(self, key: str) -> str:
        """A task in words: ``dpo on tla base, seed 0``."""
        members = self.members(key)
        first = self.trainings.get(members[0])
        what = self.prerequisites[members[0]].phase if first is None else str(first.cells[0])
        return what if len(members) == 1 else f"{len(members)} tasks at once, {what} …"

    def ended(self, key: str) -> None:
        """Notes that a task is over: its group goes on without it."""
        self._over.add(key)

    def _training_call(self, training: Training) -> Callable[[], Call]:
        call = worker.run_training, (training, self.store.folder.absolute(), self.cache, self.rerun)
        return lambda: call

    def _group_call(self, group: str) -> Callable[[], Call | None]:
        def call() -> Call | None:
            left = [self._members[task] for task in self.groups[group] if task not in self._over]
            if len(left) < 2:
                return None
            env = left[0].env
            trainings = [each.work for each in left if isinstance(each.work, Training)]
            if trainings:
                return worker.train_group, (env, trainings, self.store.folder.absolute(), self.cache)
            files = [each.work for each in left]
            return worker.make_group, (env, files, self.cache)

        return call

    def phases(self) -> dict[str, dict[str, float]]:
        """Costs of the tasks, by phase of the progress display."""
        phases: dict[str, dict[str, float]] = {}
        for key, prerequisite in self.prerequisites.items():
            phases.setdefault(prerequisite.phase, {})[key] = prerequisite.cost
        cells = {key: float(len(training.cells)) for key, training in self.trainings.items()}
        return phases | {"training": dict.fromkeys(cells, 1.0), "evaluation": cells}

    def phases_of(self, key: str) -> tuple[str, ...]:
        """Phases that a task takes part in."""
        if key in self.prerequisites:
            return (self.prerequisites[key].phase,)
        return ("training", "evaluation") if key in self.trainings else ()
