"""Each promise of environments and evaluators, broken: the check finds it, and says so in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from clean_environment import REPOSITORY

from mpobench import (
    DivergedError,
    GroupTraining,
    Metric,
    Prerequisite,
    SearchChoices,
    SearchRange,
    Trained,
)
from mpobench.files.atomic import file_atomically
from mpobench.files.keys import content_key
from mpobench.registry.registry import Registry
from mpobench.testing import check_env, check_evaluator, planning

sys.path.insert(0, str(REPOSITORY / "mpobench" / "scaffold" / "example"))

import mpobench_example
from mpobench_example.env import Arms
from mpobench_example.evaluator import Payoff

REGISTRY = Registry.of_modules([(mpobench_example, "mpobench-example", "1")])


class Prepared(GroupTraining, Arms):
    """The example with a prerequisite and groups: all promises are kept."""

    def prerequisites(self, request):
        key = content_key([request.dataset.key, request.seed])
        return [Prerequisite(key, f"pulls-{key}.npy", "pulls", key, group_key="pulls")]

    def prepare(self, payload, workspace):
        file = workspace.cache / f"pulls-{payload}.npy"
        if not file.exists():
            with file_atomically(file) as temporary:
                temporary.write_bytes(b"")

    def group_key(self, request):
        return content_key(self.training_config(request))

    def group_size(self):
        return 4

    def train_group(self, requests, workspace):
        return [self.attempt(request, workspace) for request in requests]

    def attempt(self, request, workspace) -> Trained | None:
        try:
            return self.train(request, workspace)
        except DivergedError:
            return None

    def prepare_group(self, payloads, workspace):
        for payload in payloads:
            self.prepare(payload, workspace)


class NotJson(Arms):
    def dataset_config(self, scale):
        return {"pairs": np.int64(super().dataset_config(scale)["pairs"])}


class Unstable(Arms):
    def training_config(self, request):
        return {**super().training_config(request), "salt": float(np.random.default_rng().random())}


class OfSeed(Arms):
    def training_config(self, request):
        return {**super().training_config(request), "salt": request.seed}


class AnyOverride(Arms):
    def training_config(self, request):
        known = {name: value for name, value in request.overrides.items() if name == "epochs"}
        return {"epochs": 20, "learning_rate": 0.5, **known}


class TypeErrorOnOverride(Arms):
    def training_config(self, request):
        if request.overrides:
            raise TypeError("unexpected keyword")
        return super().training_config(request)


class TunesWhatIsNotRead(Arms):
    def training_searches(self, request):
        return {"po_learning_rate": SearchRange(0.1, 1.0)}


class TunesBeyondBounds(Arms):
    def training_searches(self, request):
        return {"epochs": SearchRange(1, 8.5)}


class TunesNothing(Arms):
    def training_searches(self, request):
        return {"epochs": SearchChoices((4,))}


class Importing(Arms):
    def dataset_config(self, scale):
        import torch  # noqa: F401

        return super().dataset_config(scale)


class NoEvaluator(Arms):
    default_evaluators: ClassVar[tuple[str, ...]] = ()


class UnknownEvaluator(Arms):
    default_evaluators: ClassVar[tuple[str, ...]] = ("payof",)


class SkipsCleanData(Arms):
    def skip_reason(self, corruption):
        return "pairs are given"


class SilentSkip(Arms):
    def skip_reason(self, corruption):
        return True if type(corruption).__name__ == "Flips" else None


class OneFileForAll(Prepared):
    def prerequisites(self, request):
        return [
            Prerequisite(each.key, "pulls.npy", "pulls", each.key) for each in super().prerequisites(request)
        ]


class OneKeyForAll(Prepared):
    def prerequisites(self, request):
        return [
            Prerequisite("pulls", each.path, "pulls", each.key) for each in super().prerequisites(request)
        ]


class Outside(Prepared):
    def prerequisites(self, request):
        return [
            Prerequisite(each.key, f"/tmp/{each.key}", "pulls", each.key)
            for each in super().prerequisites(request)
        ]


class MakesNothing(Prepared):
    def prepare(self, payload, workspace):
        pass


class MakesAgain(Prepared):
    def prepare(self, payload, workspace):
        (workspace.cache / f"pulls-{payload}.npy").unlink(missing_ok=True)
        super().prepare(payload, workspace)


class SavesTheSign(Arms):
    def save_policy(self, policy, folder):
        super().save_policy(np.sign(policy), folder)


class Unseeded(Arms):
    def train(self, request, workspace):
        trained = super().train(request, workspace)
        return Trained(trained.policy + np.random.default_rng().normal(size=3), trained.curves)


class ResumesBadly(Arms):
    def train(self, request, workspace):
        half = Path(workspace.cache / f"half-{request.key}")
        if half.exists():
            return Trained(np.zeros(3), {"loss": [0.0]})
        half.touch()
        trained = super().train(request, workspace)
        half.unlink()
        return trained


class Diverges(Arms):
    def train(self, request, workspace):
        try:
            return super().train(request, workspace)
        except DivergedError:
            return Trained(np.zeros(3), {"loss": [0.0]})


class Crashes(Arms):
    def train(self, request, workspace):
        try:
            return super().train(request, workspace)
        except DivergedError as error:
            raise RuntimeError("nan") from error


class ArraysInCurves(Arms):
    def train(self, request, workspace):
        trained = super().train(request, workspace)
        return Trained(trained.policy, {"loss": np.array(trained.curves["loss"])})  # type: ignore[dict-item]


class Mingling(Prepared):
    def train_group(self, requests, workspace):
        found = super().train_group(requests, workspace)
        curve = np.mean([each.curves["loss"] for each in found if each is not None], axis=0)
        return [each and Trained(each.policy, {"loss": (0.9 * curve).tolist()}) for each in found]


class OneTakesAll(Prepared):
    def train_group(self, requests, workspace):
        found = super().train_group(requests, workspace)
        return found if None not in found else [None] * len(found)


class PreparesOne(Prepared):
    def prepare_group(self, payloads, workspace):
        self.prepare(payloads[0], workspace)


BROKEN = [
    (NotJson(), r"dataset_config\('smoke'\) of .* is no plain JSON"),
    (Unstable(), r"training_config\(\) for Cloning of .* differs when it is asked twice"),
    (OfSeed(), "depends on the seed: leave it out"),
    (AnyOverride(), r"accepts training options that do not exist \(no_such_field=1\)"),
    (TypeErrorOnOverride(), "meets an unknown training field with TypeError.*: raise RequestError"),
    (
        TunesWhatIsNotRead(),
        "of training field 'po_learning_rate' of .* is of a field that this training does not read",
    ),
    (
        TunesBeyondBounds(),
        r"search range \[1, 8.5\] of training field 'epochs' of .* holds 8.5, which the environment rejects",
    ),
    (TunesNothing(), "search range 4 of training field 'epochs' of .* has no two choices"),
    (Importing(), "imports torch while a run is planned: import them inside the methods that compute"),
    (NoEvaluator(), r"has no default_evaluators: name one"),
    (UnknownEvaluator(), "default evaluator 'payof' .* cannot be built.*did you mean 'payoff'"),
    (SkipsCleanData(), r"skips clean data \(pairs are given\)"),
    (SilentSkip(), r"skip_reason\(\) of .* returned True: return None, or one line"),
    (OneFileForAll(), "file pulls.npy of .* has two keys"),
    (OneKeyForAll(), "prerequisite pulls of .* is two files"),
    (Outside(), "lies at /tmp/.*: name a path within the workspace's cache"),
    (MakesNothing(), r"prepared .*, but pulls-\w+.npy is not there"),
    (MakesAgain(), r"makes pulls-\w+.npy a second time"),
    (SavesTheSign(), "payoff of a policy that was saved and loaded is"),
    (Unseeded(), "a policy that was trained again after a stop is"),
    (ResumesBadly(), "a policy that was trained again after a stop is .*: let dataset, seed"),
    (Diverges(), "trains on a loss that is not finite: raise DivergedError"),
    (Crashes(), "meets a loss that is not finite with RuntimeError"),
    (ArraysInCurves(), "are no plain JSON .*: use .tolist()"),
    (Mingling(), "the loss of .* in a group is .* alone: let no member see another"),
    (OneTakesAll(), "gave up a member beside one that diverged"),
    (PreparesOne(), r"prepare_group\(\) of .* did not make"),
]


@pytest.mark.parametrize(("env", "sentence"), BROKEN, ids=lambda value: type(value).__name__)
def test_a_broken_promise_of_an_environment_is_one_sentence(
    env: Any, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(env, Importing):  # the only one that another process has to look at
        monkeypatch.setattr(planning, "_check_imports", lambda *checked: None)
    with pytest.raises(AssertionError, match=sentence) as caught:
        check_env(env, registry=REGISTRY)
    assert "\n" not in str(caught.value)


def test_a_sound_environment_passes() -> None:
    check_env("arms", registry=REGISTRY, overrides={"epochs": 3})
    check_env(Prepared(), registry=REGISTRY)


class MoreMetrics(Payoff):
    def evaluate(self, *args, **kwargs):
        return {**super().evaluate(*args, **kwargs), "extra": 1.0}


class Arrays(Payoff):
    def evaluate(self, *args, **kwargs):
        return {name: np.float32(value) for name, value in super().evaluate(*args, **kwargs).items()}


class Infinite(Payoff):
    def evaluate(self, *args, **kwargs):
        return {**super().evaluate(*args, **kwargs), "payoff": float("inf")}


class Noisy(Payoff):
    def evaluate(self, *args, **kwargs):
        return {**super().evaluate(*args, **kwargs), "payoff": float(np.random.default_rng().random())}


class NoMetrics(Payoff):
    metrics: ClassVar[tuple[Metric, ...]] = ()


class Twice(Payoff):
    metrics: ClassVar[tuple[Metric, ...]] = (*Payoff.metrics, Payoff.metrics[0])


class LowScore(Payoff):
    metrics: ClassVar[tuple[Metric, ...]] = (
        Payoff.metrics[0],
        Metric("normalised_score", "%", higher_is_better=False),
    )


class ConfigOfArrays(Payoff):
    def config(self, env, scale):
        return {"pulls": np.arange(3)}


class SkipsNobody(Payoff):
    def skip_reason(self, env):
        return None


class SkipsItsOwn(Payoff):
    def skip_reason(self, env):
        return "not today"


BROKEN_EVALUATORS = [
    (MoreMetrics(), r"returned \['extra', 'normalised_score', 'payoff'\] and declares"),
    (Arrays(), "return a finite number"),
    (Infinite(), "'payoff' is inf: return a finite number"),
    (Noisy(), "with the same seed: draw from a generator of the seed alone"),
    (NoMetrics(), r"declares metrics \(\)"),
    (Twice(), "declares a metric twice"),
    (LowScore(), "is 100 for the target agent"),
    (ConfigOfArrays(), r"config\(\) of .* is no plain JSON"),
    (SkipsNobody(), "does not skip an environment that is no Arms"),
    (SkipsItsOwn(), r"skips Arms \(not today\)"),
]


@pytest.mark.parametrize(("evaluator", "sentence"), BROKEN_EVALUATORS, ids=lambda value: type(value).__name__)
def test_a_broken_promise_of_an_evaluator_is_one_sentence(evaluator: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence) as caught:
        check_evaluator(evaluator, "arms", registry=REGISTRY)
    assert "\n" not in str(caught.value)


def test_a_sound_evaluator_passes() -> None:
    check_evaluator("payoff", "arms", registry=REGISTRY)
