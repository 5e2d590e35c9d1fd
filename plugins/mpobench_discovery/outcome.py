"""What a search came to: its objective file, the comparison with its start on held-out seeds, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from mpobench import Objective, Workers, save_objective
from mpobench.display.progress import Display
from mpobench.env_kit.versions import library_versions
from mpobench.protocols import JsonObject
from mpobench.registry.objective_files import ObjectiveFileError, read_objective_file
from mpobench.registry.registry import get_registry
from mpobench.running.prerequisites import make_prerequisites
from mpobench_discovery import METHOD
from mpobench_discovery.folder import Folder, Generation
from mpobench_discovery.genome import Numbers
from mpobench_discovery.members import Member
from mpobench_discovery.search import SearchPlan, measure, plan_trainings
from mpobench_discovery.table import number

HELD_OUT: dict[str, int] = {"smoke": 2, "quick": 12, "paper": 25}
"""Seeds on which start and result are compared, by scale; none of them was used by the search."""


@dataclass(frozen=True)
class Comparison:
    """Fitness on held-out seeds, each seed a dataset, a training and evaluation episodes of its own.

    Attributes:
        before: of the start, one a seed; NaN where it diverged.
        after: of the result, likewise.
    """

    before: np.ndarray
    after: np.ndarray

    def provenance(self) -> JsonObject:
        """Means with standard errors, and the paired difference with its 95 % interval (Student's t)."""
        gains = (self.after - self.before)[np.isfinite(self.after - self.before)]
        said: JsonObject = {
            "held_out_seeds": f"0 to {len(self.before) - 1}",
            "fitness_before": _mean(self.before),
            "fitness_after": _mean(self.after),
            "gain": _mean(gains),
        }
        if len(gains) > 1 and np.ptp(gains) > 0:
            mean, error = gains.mean(), gains.std(ddof=1) / math.sqrt(len(gains))
            reach = float(stdtrit(len(gains) - 1, 0.975)) * error
            said["gain_95"] = [_short(mean - reach), _short(mean + reach)]
        lost = {"before": int(np.isnan(self.before).sum()), "after": int(np.isnan(self.after).sum())}
        return {**said, "diverged": lost} if any(lost.values()) else said

    def __str__(self) -> str:
        said = self.provenance()
        before, after, gain = (_words(said[name]) for name in ("fitness_before", "fitness_after", "gain"))
        interval = " to ".join(number(end) for end in said.get("gain_95", ()))
        interval = f", 95 % interval {interval}" if interval else ""
        lost = said.get("diverged")
        diverged = (
            f"; diverged: {lost['before']} of the start's, {lost['after']} of the result's" if lost else ""
        )
        return (
            f"start {before}, result {after}; paired difference {gain}{interval} "
            f"({len(self.before)} seeds that the search did not use{diverged})"
        )


def _mean(values: np.ndarray) -> list[float] | None:
    """Mean and standard error of the finite ones."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    error = float(finite.std(ddof=1) / math.sqrt(len(finite))) if len(finite) > 1 else 0.0
    return [_short(finite.mean()), _short(error)]


def _short(value: float) -> float:
    """Five digits are more than any return has."""
    return float(f"{value:.5g}")


def _words(pair: list[float] | None) -> str:
    return "diverged" if pair is None else f"{number(pair[0])} ± {number(pair[1])}"


def averaged(generations: Sequence[Generation], share: float) -> Numbers:
    """The mean over the means of the last generations, at least of one."""
    last = generations[-max(1, round(share * len(generations))) :]
    return {
        field: {
            part: np.mean([each.mean[field][part] for each in last], axis=0, dtype=np.float64).astype(
                np.float32
            )
            for part in parts
        }
        for field, parts in last[0].mean.items()
    }


class _Progress:
    """Progress of the comparison."""

    def __init__(self, display: Display, members: int) -> None:
        self._display, self._members = display, members
        self.note = display.note

    def scored(self, members: int, resumed: int = 0) -> None:
        self._display.update("all", "comparison", members / self._members)


def compare(plan: SearchPlan, numbers: Numbers, folder: Folder, workers: Workers, cache: Path) -> Comparison:
    """Trains start and result on the same held-out seeds."""
    trainings = plan_trainings(plan.search, plan.genome, range(HELD_OUT[plan.search.scale]))
    generation = -plan.search.generations
    members = [
        Member(generation, 2 * seed + which, training, each, seed, seed)
        for seed, training in trainings.items()
        for which, each in enumerate((None, numbers))
    ]
    make_prerequisites(trainings.values(), workers, cache)
    with Display({"comparison": {"all": 1.0}}) as display:
        display.update("all", "comparison", 0.0)
        report = _Progress(display, len(members))
        scores = measure(members, folder.scores(generation), folder, workers, cache, report)
    fitness = np.array([each.fitness for each in scores])
    return Comparison(fitness[::2], fitness[1::2])


@dataclass(frozen=True)
class Cost:
    """What the generations took.

    Attributes:
        agents: trained.
        steps: of the environment, in their evaluation.
        core_hours: in training and evaluation.
        hours: of wall time.
        overhead: share of the workers' time that was neither training nor evaluation; None if nobody knows.
    """

    agents: int
    steps: int
    core_hours: float
    hours: float
    overhead: float | None

    @classmethod
    def of(cls, generations: Sequence[Generation]) -> Cost:
        """The sum over generations; the overhead is that of those that were not interrupted."""
        busy = math.fsum(each.busy for each in generations) / 3600
        hours = math.fsum(each.seconds for each in generations) / 3600
        whole = [each for each in generations if each.workers]
        offered = math.fsum(each.seconds * each.workers for each in whole)
        return cls(
            sum(len(each.fitness) for each in generations),
            sum(each.steps for each in generations),
            busy,
            hours,
            1 - math.fsum(each.busy for each in whole) / offered if whole else None,
        )

    def __str__(self) -> str:
        said = (
            f"{self.agents} agents trained, {self.steps / 1e6:.1f} M environment steps, "
            f"{self.core_hours:.2f} core-hours in {self.hours:.2f} hours"
        )
        return (
            said if self.overhead is None else f"{said}; overhead of the search {100 * self.overhead:.1f} %"
        )


def publish(plan: SearchPlan, numbers: Numbers, folder: Folder, comparison: Comparison, cost: Cost) -> None:
    """Writes the result as an objective file, unless it is there."""
    search, found = plan.search, plan.genome.objective(numbers)
    env = get_registry().build("env", search.env).component
    provenance: JsonObject = {
        **search.model_dump(mode="json", exclude={"start"}),
        "learn": [field.removesuffix("_network") for field in plan.genome.fields],
        "start": Path(search.start).name if search.start else f"{plan.genome.family}'s own",
        **comparison.provenance(),
        "agents": cost.agents,
        "environment_steps": cost.steps,
        "core_hours": round(cost.core_hours, 3),
        "versions": library_versions(env) | {"evosax": version("evosax")},
        "search": plan.key,
    }
    if _is_there(folder.result, found, plan):
        return
    taken = {each.card.name for each in get_registry().cards("objective")}
    save_objective(
        folder.result,
        found,
        plan.genome.family,
        # If the result of fewer generations has been installed by now, this one is another objective.
        name=f"{folder.name}-{search.generations}" if folder.name in taken else folder.name,
        summary=f"Evolved on {search.env} {search.corruption} from {provenance['start']}"[:160],
        citation=METHOD,
        provenance=provenance,
    )


def _is_there(file: Path, found: Objective, plan: SearchPlan) -> bool:
    """Whether a file is this result: then it stays as it is, with the versions that computed it."""
    try:
        before = read_objective_file(file)
    except ObjectiveFileError:
        return False
    same = type(found)(**before.values) == found
    made = before.card.provenance
    return same and made.get("search") == plan.key and made.get("generations") == plan.search.generations
