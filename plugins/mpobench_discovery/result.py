"""The result of a search: the average of its last generations, as an objective file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mpobench import Objective, save_objective
from mpobench.env_kit.versions import library_versions
from mpobench.protocols import JsonObject
from mpobench.registry.objective_files import ObjectiveFileError, read_objective_file
from mpobench.registry.registry import get_registry
from mpobench_discovery import METHOD
from mpobench_discovery.cost import Cost
from mpobench_discovery.folder import Folder, Generation
from mpobench_discovery.genome import Numbers
from mpobench_discovery.held_out import HeldOutFitness
from mpobench_discovery.search_plan import SearchPlan


def averaged(generations: Sequence[Generation], share: float) -> Numbers:
    """The average of the means of the last generations.

    Args:
        generations: All generations.
        share: Share of the generations that is averaged; at least one is.
    """
    last = generations[-max(1, round(share * len(generations))) :]

    def average(field: str, part: str) -> np.ndarray:
        means = [generation.mean[field][part] for generation in last]
        return np.asarray(np.mean(means, axis=0, dtype=np.float64).astype(np.float32))

    return {field: {part: average(field, part) for part in parts} for field, parts in last[0].mean.items()}


def publish(plan: SearchPlan, numbers: Numbers, folder: Folder, held_out: HeldOutFitness, cost: Cost) -> None:
    """Writes the result as an objective file, unless it is there.

    Args:
        plan: Plan of the search.
        numbers: Arrays of the result.
        folder: Folder of the search.
        held_out: Fitness of start and result on held-out seeds.
        cost: Cost of the search.
    """
    search, result = plan.search, plan.genome.objective(numbers)
    if _is_there(folder.result, result, plan):
        return
    env = get_registry().build("env", search.env).component
    provenance: JsonObject = {
        **search.model_dump(mode="json", exclude={"start"}),
        "learn": [field.removesuffix("_network") for field in plan.genome.fields],
        "start": Path(search.start).name if search.start else f"{plan.genome.family}'s own",
        **held_out.provenance(),
        "agents": cost.agents,
        "environment_steps": cost.steps,
        "core_hours": round(cost.core_hours, 3),
        "versions": library_versions(env) | {"evosax": version("evosax")},
        "search": plan.key,
    }
    taken = {registered.card.name for registered in get_registry().cards("objective")}
    save_objective(
        folder.result,
        result,
        plan.genome.family,
        # If the result of fewer generations has been installed by now, this one is another objective.
        name=f"{folder.name}-{search.generations}" if folder.name in taken else folder.name,
        summary=f"Evolved on {search.env} {search.corruption} from {provenance['start']}"[:160],
        citation=METHOD,
        provenance=provenance,
    )


def _is_there(file: Path, result: Objective, plan: SearchPlan) -> bool:
    """Whether a file holds this result: then it stays as it is, with the versions that computed it."""
    try:
        before = read_objective_file(file)
    except ObjectiveFileError:
        return False
    same = type(result)(**before.values) == result
    provenance = before.card.provenance
    return (
        same
        and provenance.get("search") == plan.key
        and provenance.get("generations") == plan.search.generations
    )
