"""The comparison of a search's result with its start, on held-out seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from mpobench import Workers
from mpobench.display.progress import Display
from mpobench.protocols import JsonObject
from mpobench.running.prerequisites import make_prerequisites
from mpobench_discovery.folder import Folder
from mpobench_discovery.genome import Numbers
from mpobench_discovery.measure import measure
from mpobench_discovery.members import Member
from mpobench_discovery.search_plan import SearchPlan, plan_trainings
from mpobench_discovery.table import number

HELD_OUT: dict[str, int] = {"smoke": 2, "quick": 12, "paper": 25}
"""Number of seeds on which start and result are compared, by scale."""

FIRST_SEED = 3000
"""The first of them. No search, tuning or table uses these seeds, so that they may choose among results of searches."""


@dataclass(frozen=True)
class HeldOutFitness:
    """Fitness on held-out seeds: dataset, training and evaluation episodes differ from seed to seed.

    Attributes:
        before: ``(seeds,)`` fitness of the start; NaN where it diverged.
        after: ``(seeds,)`` fitness of the result, likewise.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]

    def provenance(self) -> JsonObject:
        """Means with standard errors, and the paired difference with its 95 % interval (Student's t)."""
        gains = self.after - self.before
        gains = gains[np.isfinite(gains)]
        summary: JsonObject = {
            "held_out_seeds": f"{FIRST_SEED} to {FIRST_SEED + len(self.before) - 1}",
            "fitness_before": _mean(self.before),
            "fitness_after": _mean(self.after),
            "gain": _mean(gains),
        }
        if len(gains) > 1 and np.ptp(gains) > 0:
            mean, error = gains.mean(), gains.std(ddof=1) / math.sqrt(len(gains))
            reach = float(stdtrit(len(gains) - 1, 0.975)) * error
            summary["gain_95"] = [_rounded(mean - reach), _rounded(mean + reach)]
        diverged = {"before": int(np.isnan(self.before).sum()), "after": int(np.isnan(self.after).sum())}
        return {**summary, "diverged": diverged} if any(diverged.values()) else summary

    def __str__(self) -> str:
        summary = self.provenance()
        before, after, gain = (_text(summary[name]) for name in ("fitness_before", "fitness_after", "gain"))
        interval = " to ".join(number(end) for end in summary.get("gain_95", ()))
        interval = f", 95 % interval {interval}" if interval else ""
        counts = summary.get("diverged")
        diverged = (
            f"; diverged: {counts['before']} of the start's, {counts['after']} of the result's"
            if counts
            else ""
        )
        return (
            f"start {before}, result {after}; paired difference {gain}{interval} "
            f"({len(self.before)} seeds that the search did not use{diverged})"
        )


def _mean(values: NDArray[np.float64]) -> list[float] | None:
    """Mean and standard error of the finite values; None if there is none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    error = float(finite.std(ddof=1) / math.sqrt(len(finite))) if len(finite) > 1 else 0.0
    return [_rounded(finite.mean()), _rounded(error)]


def _rounded(value: float) -> float:
    """Five significant digits: more than any return has."""
    return float(f"{value:.5g}")


def _text(mean: list[float] | None) -> str:
    return "diverged" if mean is None else f"{number(mean[0])} ± {number(mean[1])}"


class _Progress:
    """The progress display of a comparison."""

    def __init__(self, display: Display, members: int) -> None:
        self._display, self._members = display, members
        self.note = display.note
        self.scored(0)

    def scored(self, members: int, resumed: int = 0) -> None:
        """Shows the share of the members that have their score."""
        self._display.update("members", "comparison", members / self._members)


def compare(
    plan: SearchPlan, numbers: Numbers, folder: Folder, workers: Workers, cache: Path
) -> HeldOutFitness:
    """Trains start and result on the same held-out seeds.

    Args:
        plan: Plan of the search.
        numbers: Arrays of the result.
        folder: Folder with the journal; scores in it are not computed again.
        workers: Workers that train and score.
        cache: Folder that runs share.

    Raises:
        MpobenchError: If a shared file or a member cannot be computed; scores that came in are kept.
    """
    seeds = range(FIRST_SEED, FIRST_SEED + HELD_OUT[plan.search.scale])
    trainings = plan_trainings(plan.search, plan.genome, seeds)
    generation = -plan.search.generations
    known = folder.resumed_scores(generation)
    members = [
        Member(generation, 2 * (seed - FIRST_SEED) + place, training, arrays, seed, seed)
        for seed, training in trainings.items()
        for place, arrays in enumerate((None, numbers))
    ]
    due = {member.training.key: member.training for member in members if member.index not in known}
    make_prerequisites(due.values(), workers, cache)
    with Display({"comparison": {"members": 1.0}}) as display:
        scores = measure(members, known, folder, workers, cache, _Progress(display, len(members)))
    fitness = np.array([score.fitness for score in scores])
    return HeldOutFitness(fitness[::2], fitness[1::2])
