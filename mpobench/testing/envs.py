"""The check of environments."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpobench.errors import DivergedError
from mpobench.protocols import Env, Evaluator, GroupTraining, Objective, Trained, TrainingRequest, Workspace
from mpobench.registry.registry import Registry
from mpobench.testing.expect import expect, is_number, no_exception
from mpobench.testing.groups import check_groups
from mpobench.testing.planning import check_planning
from mpobench.testing.samples import Cloning, Contrast, Diverging
from mpobench.testing.subjects import Subject, check_value, subject
from mpobench.testing.trainings import default_evaluator, prepare, training_request


class _Stopped(BaseException):
    """The end of a training in its midst, like Ctrl-C."""


def check_env(
    env: str | Env,
    *,
    train: bool = True,
    overrides: Mapping[str, Any] | None = None,
    cache: Path | None = None,
    registry: Registry | None = None,
) -> None:
    """Checks an environment at the scale ``smoke``. A bare name takes the examples of its required fields.

    - It is a value; its spec builds it again; its fields are described.
    - A plan gets the same plain JSON from it each time, without jax or torch; an unknown override is an error that
      names it; prerequisites have one key a file.
    - What it prepares is there; a policy that is saved and loaded scores the same; the same training gives the same
      policy, also after it was stopped in its midst; a loss that is not finite ends in ``DivergedError``.
    - A :class:`~mpobench.GroupTraining` trains members of a group as it trains each alone.

    Args:
        env: Registered name, spec, or an object.
        train: Whether to train; without it only planning is checked.
        overrides: Fields of the training configuration, such as a smaller number of epochs.
        cache: Folder of shared files; None for one that is empty, and removed afterwards.
        registry: Components; None for those that are installed.

    Raises:
        AssertionError: With one sentence, for the first promise that is not kept.
    """
    checked = subject("env", env, registry)
    check_value(checked)
    check_planning(checked, overrides or {})
    if not train:
        return
    folder: AbstractContextManager[Any] = (
        tempfile.TemporaryDirectory() if cache is None else nullcontext(cache)
    )
    with folder as place, tempfile.TemporaryDirectory() as policies:
        training = _TrainingCheck(checked, Workspace(Path(place)), Path(policies), dict(overrides or {}))
        training.run()
    check_value(checked)  # what it has computed is no part of the value


class _TrainingCheck:
    """Trainings of one environment."""

    def __init__(
        self, checked: Subject[Env], workspace: Workspace, policies: Path, overrides: dict[str, Any]
    ) -> None:
        self._label, self._env, self._workspace = checked.label, checked.component, workspace
        self._policies, self._overrides = policies, overrides
        self._evaluator: Evaluator | None = default_evaluator(self._env, checked.registry)

    def run(self) -> None:
        """Trains in one stage, then in two; stops, diverges, and trains groups."""
        for objective in (Cloning(), Contrast()):
            name = type(objective).__name__.lower()
            with no_exception(
                f"{self._label}, training on a {name} loss,", "train on any loss that is finite"
            ):
                request = self._request(objective)
                self._check_prerequisites(request)
                trained = self._env.train(request, self._workspace)
                self._check_record(trained)
                scores = self._check_saving(trained.policy, name)
        with no_exception(
            f"{self._label}, training again after a stop,", "let a stopped training leave nothing half"
        ):
            self._check_again(trained, scores)
        self._check_divergence()
        if isinstance(self._env, GroupTraining):
            with no_exception(f"{self._label}, training a group,", "return None for members that fail"):
                check_groups(self._label, self._env, self._workspace, self._overrides)

    def _request(self, objective: Objective, key: str = "") -> TrainingRequest:
        return training_request(self._env, objective, overrides=self._overrides, key=key)

    def _check_prerequisites(self, request: TrainingRequest) -> None:
        cache = self._workspace.cache
        prepare(self._env, request, self._workspace)
        for each in self._env.prerequisites(request):
            there = (cache / each.path).exists()
            expect(
                there,
                f"{self._label} prepared {each.key}, but {each.path} is not there: write it below cache",
            )
            before = (cache / each.path).stat().st_mtime_ns
            self._env.prepare(each.payload, self._workspace)
            same = (cache / each.path).stat().st_mtime_ns == before
            expect(
                same,
                f"{self._label} makes {each.path} a second time: let prepare() keep a file that is there",
            )

    def _check_record(self, trained: Trained) -> None:
        curves, label = trained.curves, self._label
        expect(
            isinstance(trained, Trained),
            f"{label} trained a {type(trained).__name__}: return mpobench.Trained",
        )
        expect(
            "loss" in curves, f"{label} returned curves of {sorted(curves)}: 'loss' has to be one, by epoch"
        )
        finite = all(map(is_number, curves["loss"]))
        expect(
            finite, f"{label} returned losses {curves['loss']}: return a list of finite floats, by .tolist()"
        )
        try:
            json.dumps([curves, trained.seconds])  # what an objective makes no use of may be nan
        except TypeError as error:
            raise AssertionError(
                f"curves or seconds of {label} are no plain JSON ({error}): use .tolist()"
            ) from error
        timed = all(is_number(value) and value >= 0 for value in trained.seconds.values())
        expect(
            timed, f"{label} returned seconds {trained.seconds}: return one number for each part of the work"
        )

    def _check_saving(self, policy: Any, name: str) -> dict[str, float]:
        """A policy that was saved and loaded scores the same; returns its scores."""
        folder = self._policies / name
        folder.mkdir()
        self._env.save_policy(policy, folder)
        expect(any(folder.iterdir()), f"{self._label} saved no file: let save_policy() write into the folder")
        scores = self._scores(policy)
        loaded = self._scores(self._env.load_policy(folder))
        self._expect_same(
            scores, loaded, "a policy that was saved and loaded", "save all that decides what it does"
        )
        return scores

    def _scores(self, policy: Any) -> dict[str, float]:
        if self._evaluator is None:
            return {}
        return self._evaluator.evaluate(self._env, policy, 0, "smoke", self._workspace)

    def _expect_same(self, one: dict[str, float], other: dict[str, float], whose: str, advice: str) -> None:
        differing = [name for name in one if abs(one[name] - other[name]) > 1e-6 * max(1.0, abs(one[name]))]
        if differing:
            name = differing[0]
            sentence = f"{self._label}: {name} of {whose} is {other[name]:g}, not {one[name]:g}"
            raise AssertionError(f"{sentence}: {advice}")

    def _check_again(self, trained: Trained, scores: dict[str, float]) -> None:
        """The same training under another key, which is stopped at its first report and called again."""
        request = self._request(Contrast(), key="again")

        def stop(phase: str, fraction: float) -> None:
            if 0 < fraction < 1:
                raise _Stopped

        try:
            again = self._env.train(request, replace(self._workspace, report=stop))
            how = "with the same seed"
        except _Stopped:
            again = self._env.train(request, self._workspace)
            how = "after a stop"
        advice = "let dataset, seed and configuration alone decide, and resume exactly or from the start"
        self._expect_same(
            scores, self._scores(again.policy), f"a policy that was trained again {how}", advice
        )
        lengths = [len(record.curves["loss"]) for record in (trained, again)]
        expect(lengths[0] == lengths[1], f"{self._label} has {lengths[1]} epochs of loss when trained again {how}, "
               f"not {lengths[0]}: let curves cover the whole training")  # fmt: skip

    def _check_divergence(self) -> None:
        request = self._request(Diverging())
        advice = "raise DivergedError when a loss or a weight is not finite"
        try:
            prepare(self._env, request, self._workspace)
            self._env.train(request, self._workspace)
        except DivergedError:
            return
        except Exception as error:
            raise AssertionError(
                f"{self._label} meets a loss that is not finite with {error!r}: {advice}"
            ) from error
        raise AssertionError(f"{self._label} trains on a loss that is not finite: {advice}")
