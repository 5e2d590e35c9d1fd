"""The file of scores against budget: for each objective on each dataset the best of the first 1, 2, 4, … trials."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from mpobench.errors import RequestError, problems
from mpobench.files.atomic import write_atomically
from mpobench.files.text import without_mark
from mpobench.protocols import Scale
from mpobench.protocols.component import Strict


class BudgetPoint(Strict):
    """The best trial of a budget.

    Attributes:
        trials: Budget.
        trial: Number of the best trial, from 0, the defaults.
        tuning_score: Its mean on the tuning seeds.
        fields: Its fields of the objective.
        training: Its fields of the training configuration.
        scores: Its metric on each held-out seed; None where it diverged.
        mean: Mean of these; None if it diverged on all.
        standard_error: Standard error of the mean; None from less than two scores.
        low: Lower end of the mean's 95 % interval (Student's t); None likewise.
        high: Upper end.
    """

    trials: int
    trial: int
    tuning_score: float | None
    fields: dict[str, Any]
    training: dict[str, Any]
    scores: tuple[float | None, ...]
    mean: float | None
    standard_error: float | None
    low: float | None
    high: float | None


class BudgetCurve(Strict):
    """The curve of one objective on one dataset.

    Attributes:
        env: Canonical spec, like the next three.
        corruption: Corruption of the dataset.
        objective: Objective, with the fields that were set beforehand.
        evaluator: Evaluator of the score.
        scale: Amount of work of a training.
        metric: Name of the score.
        unit: Unit of the score.
        higher_is_better: Direction of the score.
        held_out_seeds: Seeds of the scores.
        points: Points, by budget.
    """

    env: str
    corruption: str
    objective: str
    evaluator: str
    scale: Scale
    metric: str
    unit: str
    higher_is_better: bool
    held_out_seeds: tuple[int, ...]
    points: tuple[BudgetPoint, ...]

    @property
    def place(self) -> tuple[str, str, str]:
        """Environment, corruption and objective."""
        return self.env, self.corruption, self.objective


class BudgetFile(Strict):
    """All curves of a tuning's folder."""

    format: Literal["mpobench-tuning-budget/1"] = "mpobench-tuning-budget/1"
    curves: tuple[BudgetCurve, ...] = ()

    @classmethod
    def read(cls, path: Path) -> BudgetFile:
        """Reads a file.

        Raises:
            RequestError: In one line, if it cannot be read or is something else.
        """
        try:
            return cls.model_validate_json(without_mark(path.read_bytes()))
        except OSError as error:
            raise RequestError(f"cannot read {path}: {error.strerror}; `mpobench tune` makes it") from error
        except ValidationError as error:
            raise RequestError(f"{path} is no score against budget: {problems(error)[0]}") from error

    def write(self, path: Path) -> None:
        """Writes the file atomically, a curve a line, sorted."""
        ordered = sorted(self.curves, key=lambda curve: curve.place)
        lines = ",\n".join(curve.model_dump_json() for curve in ordered)
        write_atomically(path, f'{{"format": "{self.format}", "curves": [\n{lines}\n]}}\n')

    def updated(self, curves: Iterable[BudgetCurve]) -> BudgetFile:
        """The file with other curves in place of its own for the same objective and dataset."""
        by_place = {curve.place: curve for curve in (*self.curves, *curves)}
        return BudgetFile(curves=tuple(by_place.values()))
