"""The words of an exported package's README: the objective's stages, direction, fitness and provenance, in markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from mpobench import Objective, Tensors
from mpobench.protocols import JsonObject
from mpobench.registry.paper_span import PAPER_SPAN

FITNESS = {
    "fitness_before": "fitness of the start",
    "fitness_after": "fitness",
    "gain": "gain",
    "gain_95": "95 % interval of the gain",
    "held_out_seeds": "seeds, none of them used by the search",
    "diverged": "trainings of the start and of the result that diverged, left out above",
}
"""Measurements in the provenance of a search's result, by their names in a README."""

SHORT = 8
"""Longest list that is shown without brackets."""

_SPEC = re.compile(r"[\w.,:=+-]+")
_MARKUP = re.compile(r"([\\`*_\[\]<>|#])")


def networks(objective: Objective) -> str:
    """The fields with weights, in half a sentence; nothing where there are none."""
    fields = [f"`{field}`" for field, value in objective if isinstance(value, Tensors)]
    return f", and the weights of {_listed(fields)} beside it" if fields else ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def training(objective: Objective) -> str:
    """The stages of a training, and its reference."""
    stages = "It follows a stage of cloning" if objective.two_stage else "It trains in one stage"
    return f"{stages}, and needs {'a' if objective.needs_reference else 'no'} reference policy."


def behaviour(prefers_chosen: bool) -> str:
    """The direction of the loss."""
    where = f"where both lie between {PAPER_SPAN[0]:g} and {PAPER_SPAN[1]:g} nats per step"
    if prefers_chosen:
        return f"Its loss falls with log π(τ_w) and rises with log π(τ_l), or stays level, {where}."
    return f"Its loss does not everywhere fall with log π(τ_w) and rise with log π(τ_l), {where}."


def fitness(provenance: JsonObject) -> str:
    """A section on how good the objective is, if its provenance says so."""
    rows = [(FITNESS[key], _estimate(key, provenance[key])) for key in FITNESS if key in provenance]
    if not rows:
        return ""
    return f"""
## How good it is

What the search that found it measured: the score of policies that are trained with it.

{_table(rows)}"""


def _estimate(key: str, value: object) -> str:
    """A mean with its standard error, an interval, or whatever else it is."""
    match value:
        case [int() | float() as first, int() | float() as second]:
            return f"{first:g} to {second:g}" if key == "gain_95" else f"{first:g} ± {second:g}"
        case None:
            return "diverged"
        case _:
            return cell(value)


def provenance(stated: JsonObject) -> str:
    """A table of where the objective comes from, without :data:`FITNESS`."""
    rows = [(plain(key), cell(value)) for key, value in stated.items() if key not in FITNESS]
    return _table(rows) if rows else "Its file does not say.\n"


def data(provenance: JsonObject) -> str:
    """Options of ``mpobench run`` for the data that it was found on, beside the clean ones."""
    env, corruption = (
        value if isinstance(value := provenance.get(key), str) and _SPEC.fullmatch(value) else default
        for key, default in (("env", ""), ("corruption", "noisy:0.3"))
    )
    corruptions = ",".join(dict.fromkeys(["base", corruption]))
    return (f"--envs {env} " if env else "") + f"--corruptions {corruptions}"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f"| {key} | {value} |\n" for key, value in [("", ""), ("---", "---"), *rows])


def cell(value: object) -> str:
    """A JSON value in a table of markdown: scalars and short lists of them as they are, the rest as JSON."""
    match value:
        case str():
            return plain(value)
        case [*parts] if len(parts) <= SHORT and not any(isinstance(part, list | dict) for part in parts):
            return ", ".join(map(cell, parts))
        case _:
            return plain(json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """Text as one line of markdown that shows it as it is."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return _MARKUP.sub(r"\\\1", " ".join(shown.split()))
