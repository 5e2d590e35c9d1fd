"""Each promise of an objective, broken: the check finds it, and says so in one sentence."""

from __future__ import annotations

import importlib.util
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import ConfigDict, Field

from mpobench import Objective, PreferenceBatch
from mpobench.testing import check_objective


class Sound(Objective):
    """A loss that keeps all promises."""

    beta: float = Field(1.0, gt=0, description="slope")
    reduction: Literal["sum", "mean"] = Field("mean", description="of steps")

    def loss(self, batch: PreferenceBatch) -> Any:
        return -self.beta * getattr(batch.chosen, {"sum": "total", "mean": "mean"}[self.reduction])


class Scalar(Sound):
    def loss(self, batch):
        return super().loss(batch).mean()


class Doubled(Sound):
    def loss(self, batch):
        return np.float64(2) * np.asarray(super().loss(batch), dtype="float64")


class ByPlace(Sound):
    def loss(self, batch):
        xp, loss = batch.xp, super().loss(batch)
        return loss + xp.cumulative_sum(xp.ones_like(loss))


class ByCompany(Sound):
    def loss(self, batch):
        loss = super().loss(batch)
        return loss - batch.xp.mean(loss)


class Alone(Sound):
    @property
    def min_pairs(self):
        return 4


class NoNumber(Sound):
    min_pairs: ClassVar[int] = True


class Secret(Sound):
    def loss(self, batch):
        return super().loss(batch) + batch.reference[0].mean


class Unread(Sound):
    needs_reference: ClassVar[bool] = True


class OneStage(Secret):
    needs_reference: ClassVar[bool] = True

    @property
    def two_stage(self):
        return False


class Overflowing(Sound):
    def loss(self, batch):
        margin = batch.chosen.mean - batch.rejected.mean
        return batch.xp.log(1 + batch.xp.exp(-self.beta * margin))


class SteepAtZero(Sound):
    def loss(self, batch):
        xp, margin = batch.xp, batch.chosen.mean - batch.rejected.mean
        return self.beta * xp.where(margin > 0, xp.sqrt(xp.abs(margin)), -margin)


class Branching(Sound):
    def loss(self, batch):
        return super().loss(batch) if self.beta > 0.5 else 2 * super().loss(batch)


class Converting(Sound):
    def loss(self, batch):
        return -float(self.beta) * batch.chosen.mean


class Ignoring(Sound):
    def loss(self, batch):
        return -batch.chosen.mean


class OneChoiceFails(Sound):
    def loss(self, batch):
        return super().loss(batch) if self.reduction == "mean" else super().loss(batch).mean()


class Undescribed(Sound):
    gamma: float = 1.0


class OutOfBounds(Sound):
    gamma: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="rate",
        json_schema_extra={"search": {"low": 0.1, "high": 2, "log": True}},
    )


class UnknownChoice(Sound):
    kind: Literal["a", "b"] = Field(
        "a", description="kind", json_schema_extra={"search": {"choices": ["a", "c"]}}
    )


class Mutable(Sound):
    model_config = ConfigDict(frozen=False)

    def __hash__(self):
        return 1


class Lenient(Sound):
    model_config = ConfigDict(extra="ignore")


class OfTorchAlone(Sound):
    def loss(self, batch):
        loss = super().loss(batch)
        return 2 * loss if type(loss).__module__ == "torch" else loss


class Forgetful(Sound):
    def __reduce__(self):
        return type(self), ()


BROKEN = [
    (Scalar(), r"returned a float32|returned shape \(\) for 16 pairs"),
    (Doubled(), "returned float64 for a batch of float32 in numpy"),
    (ByPlace(), "in another place of the batch"),
    (ByCompany(), "in the company of other pairs: let no mean or sort run over pairs"),
    (Alone(), "says min_pairs = 4, but no pair's loss depends on another"),
    (NoNumber(), "says min_pairs = True: state a number of pairs, 1 or more"),
    (Secret(), "reads a reference without saying so: declare needs_reference"),
    (Unread(), "never reads batch.reference"),
    (OneStage(), "needs a reference that only an SFT stage makes"),
    (Overflowing(), r"the loss of .* is inf in jax, far apart for the pair .*: use a form that stays finite"),
    (SteepAtZero(), "its gradient in log π of the chosen side of .* is nan in jax, equal"),
    (Branching(), "its numbers being tracers, raised .*: use batch.xp.where"),
    (Converting(), "its numbers being tracers, raised .*: use batch.xp.where"),
    (Ignoring(), "is the same whatever its numbers beta are"),
    (OneChoiceFails(), r"OneChoiceFails\(beta=1.0 reduction='sum'\) returned"),
    (Undescribed(), r"field 'gamma' of .* is not described"),
    (OutOfBounds(), r"the search range \[0.1, 2\] log of field 'gamma' of .* holds 2"),
    (UnknownChoice(), r"the search range a\|c of field 'kind' of .* holds c, which the field rejects"),
    (Mutable(), "accepts a new value of a field"),
    (Lenient(), "accepts an unknown field"),
    (OfTorchAlone(), "numpy has"),
    (Forgetful(beta=2.0), "differs from its pickled copy"),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("objective", "sentence"), BROKEN, ids=lambda value: type(value).__name__)
def test_a_broken_promise_is_one_sentence(objective: Objective, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence) as caught:
        check_objective(objective)
    assert "\n" not in str(caught.value)


def test_a_sound_one_passes_as_an_object_by_name_and_by_spec() -> None:
    check_objective(Sound())
    check_objective("dpo")
    check_objective("dpo:beta=3")


def test_an_objective_file_is_checked_by_its_path(found: Any) -> None:
    check_objective(str(found))


def test_what_is_unknown_or_of_another_kind_is_one_sentence() -> None:
    with pytest.raises(AssertionError, match="did you mean 'dpo'"):
        check_objective("dpoo")
    with pytest.raises(AssertionError, match="is no objective: derive it"):
        check_objective(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_a_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == library else find(name))
    with pytest.warns(UserWarning, match=f"is not checked in {library}, which is not installed"):
        check_objective(Sound())
