"""The check of what an environment says while a run is planned."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, get_args

from mpobench.errors import RequestError, one_line
from mpobench.protocols import (
    DatasetCorruption,
    Env,
    GroupTraining,
    Objective,
    Prerequisite,
    Scale,
    TrainingRequest,
)
from mpobench.testing.expect import expect, expect_json, expect_reason, no_exception
from mpobench.testing.samples import Centred, Cloning, Contrast, Doubt, Flips, Sides
from mpobench.testing.searches import values_to_try
from mpobench.testing.subjects import Subject
from mpobench.testing.trainings import training_request

HEAVY = ("jax", "torch")
UNKNOWN = "no_such_field"

_PLAN_ELSEWHERE = """\
import pickle, sys
sys.path[:] = {path!r}
env, overrides = pickle.loads(sys.stdin.buffer.read())
from mpobench.testing.planning import HEAVY, answers
answers(env, overrides)
print(*(name for name in HEAVY if name in sys.modules))
"""


def check_planning(checked: Subject[Env], overrides: Mapping[str, Any]) -> None:
    """Checks configurations, skip reasons, overrides and prerequisites."""
    label, env = checked.label, checked.component
    advice = "let planning answer from its fields and its own files alone"
    with no_exception(f"{label}, asked while a run is planned,", advice):
        _check_evaluators(checked)
        _check_scales(checked)
        first, again = answers(env, overrides), answers(env, overrides)
        for question, answer in first.items():
            key = expect_json(f"{question} of {label}", answer)
            same = key == expect_json(f"{question} of {label}", again[question])
            expect(
                same,
                f"{question} of {label} differs when it is asked twice: let fields and request alone decide",
            )
        _check_defaults(checked)
        _check_skips(checked)
        _check_seed(checked, overrides)
        _check_updates(checked)
        _check_unknown_override(checked)
        _check_searches(checked, overrides)
        _check_prerequisites(checked, overrides)
    _check_imports(checked, overrides)


def answers(env: Env, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """All that a plan asks of an environment, by question."""
    said: dict[str, Any] = {"dataset_config('smoke')": env.dataset_config("smoke")}
    for objective in (Cloning(), Contrast()):
        request = training_request(env, objective, overrides=overrides)
        name = type(objective).__name__
        said[f"training_config() for {name}"] = env.training_config(request)
        needed = env.prerequisites(request)
        said[f"prerequisites() for {name}"] = [
            [each.key, each.path, each.phase, list(each.needs), each.cost, each.group_key] for each in needed
        ]
        if isinstance(env, GroupTraining):
            said[f"group_key() for {name}"] = env.group_key(request)
    return said


def _check_evaluators(checked: Subject[Env]) -> None:
    label, env = checked.label, checked.component
    specs = env.default_evaluators
    expect(
        specs and not isinstance(specs, str),
        f"{label} has no default_evaluators: name one, as in ('return',)",
    )
    for spec in specs:
        try:
            evaluator = checked.registry.build("evaluator", spec).component
        except RequestError as error:
            raise AssertionError(
                f"default evaluator {spec!r} of {label} cannot be built: {one_line(error)}"
            ) from error
        reason = evaluator.skip_reason(env)
        expect(
            reason is None, f"default evaluator {spec!r} of {label} skips it ({reason}): name one that fits"
        )
    expect(
        all(isinstance(name, str) for name in env.libraries),
        f"libraries of {label} are {env.libraries!r}: name distributions, as in ('numpy',)",
    )


def _check_defaults(checked: Subject[Env]) -> None:
    fields = frozenset({"beta", "reduction"})
    unknown = set(checked.component.objective_defaults("checked", fields)) - fields
    names = ", ".join(sorted(unknown))
    expect(not unknown, f"objective_defaults() of {checked.label} sets fields that the objective lacks ({names}): "
           "return only names that are among fields")  # fmt: skip


def _check_scales(checked: Subject[Env]) -> None:
    for scale in get_args(Scale):
        try:
            config = checked.component.dataset_config(scale)
        except RequestError as error:
            expect(
                scale != "smoke",
                f"{checked.label} has no scale 'smoke' ({one_line(error)}): offer one of seconds",
            )
            continue
        expect_json(f"dataset_config({scale!r}) of {checked.label}", config)


def _check_skips(checked: Subject[Env]) -> None:
    env, label = checked.component, checked.label
    for corruption in (Flips(), Sides(), Doubt()):
        expect_reason(f"skip_reason() of {label}", env.skip_reason(corruption))
    reason = env.skip_reason(DatasetCorruption())
    expect(reason is None, f"{label} skips clean data ({reason}): accept a corruption that decides nothing")


def _check_seed(checked: Subject[Env], overrides: Mapping[str, Any]) -> None:
    env = checked.component
    configs = [
        env.training_config(training_request(env, Cloning(), seed, overrides=overrides)) for seed in (0, 1)
    ]
    same = configs[0] == configs[1]
    expect(
        same, f"training_config() of {checked.label} depends on the seed: leave it out, it is in every key"
    )


def _check_updates(checked: Subject[Env]) -> None:
    """By default, a loss that depends on its batch gets as many pairs in an update as it asks for."""
    objective = Centred()
    given = checked.component.pairs_per_update(training_request(checked.component, objective))
    expect(
        given is None or (type(given) is int and given >= objective.min_pairs),
        f"pairs_per_update() of {checked.label} is {given!r} for a loss of min_pairs = {objective.min_pairs}: "
        "give it as many by default",
    )


def _check_unknown_override(checked: Subject[Env]) -> None:
    env, label = checked.component, checked.label
    request = training_request(env, Cloning(), overrides={UNKNOWN: 1})
    advice = "raise RequestError with one line that names the field and those that exist"
    try:
        env.training_config(request)
    except RequestError as error:
        named = UNKNOWN in str(error) and "\n" not in str(error)
        expect(
            named,
            f"{label} rejects an unknown training field in words that do not name it ({error}): {advice}",
        )
    except Exception as error:
        raise AssertionError(
            f"{label} meets an unknown training field with {one_line(error)}: {advice}"
        ) from error
    else:
        raise AssertionError(f"{label} accepts training options that do not exist ({UNKNOWN}=1): {advice}")


def _check_searches(checked: Subject[Env], overrides: Mapping[str, Any]) -> None:
    """Tuning may try both ends of every range of a training field, and only fields that are read."""
    env = checked.component
    for objective in (Cloning(), Contrast()):
        request = training_request(env, objective, overrides=overrides)
        read = env.training_config(request)
        for name, search in env.training_searches(request).items():
            label = f"the search range {search} of training field {name!r} of {checked.label}"
            expect(name in read, f"{label} is of a field that this training does not read: leave it out")
            for value in values_to_try(label, search):
                trial = training_request(env, objective, overrides={**overrides, name: value})
                try:
                    accepted = env.training_config(trial)[name]
                except RequestError:
                    accepted = None
                expect(accepted == value, f"{label} holds {value}, which the environment rejects: narrow it")


def _check_prerequisites(checked: Subject[Env], overrides: Mapping[str, Any]) -> None:
    """Within one training and across several, a key stands for one file, and a file for one key."""
    env, label = checked.component, checked.label
    path_of: dict[str, str] = {}
    key_of: dict[str, str] = {}
    for request in _requests(env, overrides):
        known: set[str] = set()
        for each in env.prerequisites(request):
            _check_prerequisite(label, each, known)
            known.add(each.key)
            path = path_of.setdefault(each.key, each.path)
            expect(path == each.path, f"prerequisite {each.key} of {label} is two files, {path} and {each.path}: "
                   "hash all that decides a file into its key")  # fmt: skip
            key = key_of.setdefault(each.path, each.key)
            expect(key == each.key, f"file {each.path} of {label} has two keys, {key} and {each.key}: "
                   "put the content key into the path")  # fmt: skip


def _requests(env: Env, overrides: Mapping[str, Any]) -> list[TrainingRequest]:
    objectives: tuple[Objective, ...] = (Cloning(), Contrast(), Contrast(beta=2.0))
    corruptions = [each for each in (DatasetCorruption(), Flips(), Sides()) if env.skip_reason(each) is None]
    return [
        training_request(env, objective, seed, corruption, overrides)
        for objective in objectives
        for corruption in corruptions
        for seed in (0, 1)
    ]


def _check_prerequisite(label: str, prerequisite: Prerequisite, known: set[str]) -> None:
    key, path = prerequisite.key, PurePath(prerequisite.path)
    expect(
        key and key not in known, f"{label} names prerequisite {key!r} twice: give each file a key of its own"
    )
    inside = not path.is_absolute() and ".." not in path.parts and path.parts
    expect(inside, f"prerequisite {key} of {label} lies at {path}: name a path within the workspace's cache")
    missing = [need for need in prerequisite.needs if need not in known]
    expect(
        not missing,
        f"prerequisite {key} of {label} needs {missing}, which do not come before it: reorder them",
    )
    expect(
        prerequisite.phase,
        f"prerequisite {key} of {label} has no phase: name its kind of work, as 'rollouts'",
    )
    with no_exception(
        f"pickling the payload of prerequisite {key} of {label}", "pass what pickles to the worker"
    ):
        pickle.loads(pickle.dumps(prerequisite.payload))


def _check_imports(checked: Subject[Env], overrides: Mapping[str, Any]) -> None:
    """A plan is made without jax and torch, in a process that has not imported them."""
    done = subprocess.run(
        [sys.executable, "-c", _PLAN_ELSEWHERE.format(path=sys.path)],
        input=pickle.dumps((checked.component, dict(overrides))),
        capture_output=True,
        check=False,
    )
    error = (done.stderr.decode().strip().splitlines() or [""])[-1]
    expect(done.returncode == 0, f"{checked.label} cannot be planned in another process ({error}): "
           "let it answer from its fields and files")  # fmt: skip
    imported = done.stdout.decode().split()
    expect(not imported, f"{checked.label} imports {' and '.join(imported)} while a run is planned: "
           "import them inside the methods that compute")  # fmt: skip
