"""The check of evaluators."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpobench.protocols import NORMALISED_SCORE, Env, Evaluator, Metric, Sample, Workspace
from mpobench.registry.registry import Registry
from mpobench.testing.expect import expect, expect_json, expect_reason, is_number, no_exception
from mpobench.testing.samples import Cloning, ForeignEnv
from mpobench.testing.subjects import Subject, check_value, subject
from mpobench.testing.trainings import train, training_request


def check_evaluator(
    evaluator: str | Evaluator,
    env: str | Env,
    *,
    policy: Any = None,
    cache: Path | None = None,
    registry: Registry | None = None,
) -> None:
    """Checks an evaluator on a policy of an environment, at the scale ``smoke``.

    - It is a value; its spec builds it again; its fields are described.
    - It declares its metrics, each once; it returns these and no other, as finite numbers.
    - Its configuration is plain JSON, the same each time; the same seed gives the same scores.
    - It says in one line why it skips an environment of another kind.

    Args:
        evaluator: Registered name, spec, or an object.
        env: Environment that it fits, likewise.
        policy: Policy of that environment; None for one that is trained in a moment.
        cache: Folder of shared files; None for one that is empty, and removed afterwards.
        registry: Components; None for those that are installed.

    Raises:
        AssertionError: With one sentence, for the first promise that is not kept.
    """
    checked, place = subject("evaluator", evaluator, registry), subject("env", env, registry).component
    check_value(checked)
    _check_metrics(checked)
    with no_exception(
        f"{checked.label}, asked while a run is planned,", "answer from its fields and the env's alone"
    ):
        _check_fit(checked, place)
        keys = [
            expect_json(f"config() of {checked.label}", checked.component.config(place, "smoke"))
            for _ in range(2)
        ]
        expect(
            keys[0] == keys[1],
            f"config() of {checked.label} differs when asked twice: let fields and env decide",
        )
    folder: AbstractContextManager[Any] = (
        tempfile.TemporaryDirectory() if cache is None else nullcontext(cache)
    )
    with folder as where:
        workspace = Workspace(Path(where))
        if policy is None:
            policy = train(place, training_request(place, Cloning()), workspace).policy
        with no_exception(f"{checked.label}, scoring a policy,", "score any policy of its environment"):
            _check_scores(checked, place, policy, workspace)
    check_value(checked)


def _check_metrics(checked: Subject[Evaluator]) -> None:
    label, metrics = checked.label, checked.component.metrics
    sound = bool(metrics) and all(isinstance(metric, Metric) for metric in metrics)
    expect(sound, f"{label} declares metrics {metrics!r}: list mpobench.Metric, the one that ranks first")
    names = [metric.name for metric in metrics]
    expect(
        len(set(names)) == len(names),
        f"{label} declares a metric twice ({names}): give each a name of its own",
    )
    for metric in metrics:
        expect(metric.name and metric.unit, f"{label} declares {metric}: give each metric a name and a unit")
        direction = metric.higher_is_better
        expect(
            isinstance(direction, bool),
            f"{label}: higher_is_better of {metric.name!r} is {direction!r}: say which",
        )
        if metric.name == NORMALISED_SCORE:
            right = metric.unit == "%" and direction
            expect(
                right,
                f"{label}: {NORMALISED_SCORE!r} is 100 for the target agent: let its unit be '%', higher better",
            )


def _check_fit(checked: Subject[Evaluator], env: Env) -> None:
    label, evaluator = checked.label, checked.component
    reason = evaluator.skip_reason(env)
    expect(
        reason is None,
        f"{label} skips {type(env).__name__} ({reason}): check it on an environment that it fits",
    )
    foreign = evaluator.skip_reason(ForeignEnv())
    expect_reason(f"skip_reason() of {label}", foreign)
    if not issubclass(ForeignEnv, evaluator.env_type):
        advice = "let it return a line, or set env_type alone"
        expect(
            foreign,
            f"{label} does not skip an environment that is no {evaluator.env_type.__name__}: {advice}",
        )


def _check_scores(checked: Subject[Evaluator], env: Env, policy: Any, workspace: Workspace) -> None:
    label, evaluator = checked.label, checked.component
    shown: list[Any] = []
    watched = replace(workspace, show=shown.append)
    scores = evaluator.evaluate(env, policy, 0, "smoke", watched)
    declared = {metric.name for metric in evaluator.metrics}
    expect(
        isinstance(scores, dict),
        f"{label} returned a {type(scores).__name__}: return a dict of metrics by name",
    )
    expect(
        scores.keys() == declared,
        f"{label} returned {sorted(scores)} and declares {sorted(declared)}: return the metrics that it declares",
    )
    for name, value in scores.items():
        expect(
            is_number(value),
            f"{label}: {name!r} is {value!r}: return a finite number, float(...) of an array's",
        )
    kinds = all(isinstance(sample, Sample) for sample in shown)
    expect(kinds, f"{label} shows {shown[:1]}: show mpobench.Sample")
    again = evaluator.evaluate(env, policy, 0, "smoke", workspace)
    same = again == scores
    expect(
        same,
        f"{label} scored {scores}, then {again} with the same seed: draw from a generator of the seed alone",
    )
