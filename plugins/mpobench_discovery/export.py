"""An objective file as a package: installed by pip, it is an objective like any other."""

from __future__ import annotations

import importlib.util
import json
import keyword
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from mpobench import Objective, PreferenceBatch, RequestError, SequenceLogps, Tensors
from mpobench.errors import PluginError, one_line
from mpobench.files.atomic import write_atomically
from mpobench.protocols import JsonObject
from mpobench.registry.build import Configured
from mpobench.registry.objective_files import ObjectiveFile, StoredTensors, read_objective_file
from mpobench.registry.registry import Registry, get_registry
from mpobench_discovery import PAPER_SPAN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPAN, POINTS = PAPER_SPAN, 25
"""Range and number of the log-probabilities per step at which a package tests its losses."""

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

_CARD, _TENSORS = "objective.json", "objective.safetensors"
_DISTRIBUTION = re.compile(r"[A-Za-z]([A-Za-z0-9._-]{0,78}[A-Za-z0-9])?")
_SPEC = re.compile(r"[\w.,:=+-]+")
_MARKUP = re.compile(r"([\\`*_\[\]<>|#])")


@dataclass(frozen=True)
class Package:
    """A package to write, with its names.

    Attributes:
        name: Name of the distribution.
        folder: Folder of the project.
        file: Objective file.
        built: Objective.
    """

    name: str
    folder: Path
    file: ObjectiveFile
    built: Configured[Objective]

    @property
    def module(self) -> str:
        """Name of the Python module."""
        return re.sub(r"[-.]+", "_", self.name).lower()

    @property
    def objective(self) -> str:
        """Name of the objective in specs."""
        return self.file.card.name


def export(path: Path, folder: Path | None = None, name: str | None = None) -> Package:
    """Writes a package that pip can install, with an objective file in it.

    Args:
        path: Path of the objective file.
        folder: Folder to write, new or empty; None for one in the working folder with the package's name.
        name: Name of the package; None for ``mpobench-`` and the objective's name.

    Raises:
        ObjectiveFileError: If the objective file is missing, damaged, or named like another objective.
        RequestError: If a name is not allowed or taken, or the folder is not empty or cannot be written.
    """
    if path.suffix != ".json":
        raise RequestError(f"{path} is no objective file: its name has to end in .json")
    registry = get_registry()
    built = registry.build("objective", str(path))
    file = read_objective_file(path)
    name = f"mpobench-{file.card.name}" if name is None else name
    package = Package(name, Path(name) if folder is None else folder, file, built)
    _check_names(package, registry)
    _check_folder(package.folder)
    _write(package, _texts(package, registry))
    return package


def _check_names(package: Package, registry: Registry) -> None:
    """Refuses names that are not allowed, or that others have; the same package may be installed.

    Raises:
        RequestError: Saying which, and who has it.
    """
    if not _DISTRIBUTION.fullmatch(package.name) or keyword.iskeyword(package.module):
        raise RequestError(
            f"{package.name!r} is no name for a package: choose a --package of letters, digits and '-', which begins "
            "with a letter"
        )
    claims = [claim for claim in registry.cards("objective") if claim.card.name == package.objective]
    others = [claim for claim in claims if claim.file is None or claim.file.parent.name != package.module]
    if others:
        raise RequestError(
            f"{package.file}: {others[0].source} has an objective named {package.objective!r} already: "
            "give the file another name"
        )
    if not claims and importlib.util.find_spec(package.module) is not None:
        raise RequestError(f"there is a Python module {package.module!r} already: choose another --package")


def _check_folder(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise RequestError(f"{folder} is there already, and not empty: choose another --output")


def _write(package: Package, texts: Mapping[str, str]) -> None:
    file, module = package.file, package.folder / package.module
    fields = package.built.component.model_dump(mode="json")
    stored = file.card.tensors
    card = file.card.model_copy(
        update={
            "fields": {field: fields[field] for field in file.card.fields},
            "tensors": stored and StoredTensors(file=_TENSORS, sha256=stored.sha256),
        }
    )
    if stored is not None:
        write_atomically(module / _TENSORS, (file.path.parent / stored.file).read_bytes())
    write_atomically(module / _CARD, card.model_dump_json(indent=2) + "\n")
    write_atomically(module / "py.typed", "")
    write_atomically(module / "__init__.py", _filled("__init__.py", texts))
    write_atomically(package.folder / "tests" / "test_objective.py", _filled("test_objective.py", texts))
    write_atomically(package.folder / "README.md", _filled("README.md", texts))
    write_atomically(package.folder / "pyproject.toml", _filled("pyproject.toml", texts))


def _filled(name: str, texts: Mapping[str, str]) -> str:
    """A template with the texts in place of its ``$names``."""
    template = resources.files("mpobench_discovery") / "template" / f"{name}.in"
    return Template(template.read_text(encoding="utf-8")).substitute(texts).rstrip() + "\n"


def _texts(package: Package, registry: Registry) -> dict[str, str]:
    card = package.file.card
    base = registry.find("objective", card.objective)
    folder = package.folder.resolve().name
    objective, prefers_chosen = package.built.component, _prefers_chosen(package)
    texts = {
        "package": package.name,
        "module": package.module,
        "name": card.name,
        "family": base.card.name,
        "source": base.source,
        "summary": plain(card.summary),
        "description": json.dumps(card.summary, ensure_ascii=False),
        "dependencies": json.dumps(sorted({"mpobench", base.distribution})),
        "networks": _networks(objective),
        "training": _training(objective),
        "behaviour": _behaviour(prefers_chosen),
        "citation": f"\nSource: {plain(card.citation)}\n" if card.citation else "",
        "fitness": _fitness(card.provenance),
        "provenance": _provenance(card.provenance),
        "data": _data(card.provenance),
        "folder": shlex.quote(f"./{folder}"),
        "with_tests": shlex.quote(f"./{folder}[dev]"),
        "tests": shlex.quote(folder),
        "low": f"{SPAN[0]:g}",
        "high": f"{SPAN[1]:g}",
        "points": str(POINTS),
    }
    return {**texts, "direction": _filled("test_direction.py", texts) if prefers_chosen else ""}


def _networks(objective: Objective) -> str:
    networks = [f"`{field}`" for field, value in objective if isinstance(value, Tensors)]
    return f", and the weights of {_listed(networks)} beside it" if networks else ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _training(objective: Objective) -> str:
    stages = "It follows a stage of cloning" if objective.two_stage else "It trains in one stage"
    return f"{stages}, and needs {'a' if objective.needs_reference else 'no'} reference policy."


def _behaviour(prefers_chosen: bool) -> str:
    where = f"where both lie between {SPAN[0]:g} and {SPAN[1]:g} nats per step"
    if prefers_chosen:
        return f"Its loss falls with log π(τ_w) and rises with log π(τ_l), or stays level, {where}."
    return f"Its loss does not everywhere fall with log π(τ_w) and rise with log π(τ_l), {where}."


def _fitness(provenance: JsonObject) -> str:
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


def _provenance(provenance: JsonObject) -> str:
    rows = [(plain(key), cell(value)) for key, value in provenance.items() if key not in FITNESS]
    return _table(rows) if rows else "Its file does not say.\n"


def _data(provenance: JsonObject) -> str:
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


def _prefers_chosen(package: Package) -> bool:
    """Whether the loss never rises with log π(τ_w), and never falls with log π(τ_l), as tests of packages see it.

    Raises:
        RequestError: If a loss is not finite.
        PluginError: If it cannot be computed.
    """
    import numpy as np

    logps = np.linspace(*SPAN, POINTS)
    losses = [_losses(package, logps, progress) for progress in (0.0, 0.5, 1.0)]
    if not np.isfinite(losses).all():
        raise RequestError(
            f"{package.file}: its losses are not all finite where log π(τ) lies between {SPAN[0]:g} and {SPAN[1]:g}"
        )
    rounding = [1e-9 * np.abs(loss).max() for loss in losses]
    return all(
        (np.diff(loss, axis=0) <= slack).all() and (np.diff(loss, axis=1) >= -slack).all()
        for loss, slack in zip(losses, rounding, strict=True)
    )


def _losses(package: Package, logps: NDArray[np.float64], progress: float) -> NDArray[np.float64]:
    """``(points, points)``: the loss by log π(τ_w) and log π(τ_l), of pairs of one step."""
    import numpy as np

    chosen, rejected = (side.ravel() for side in np.meshgrid(logps, logps, indexing="ij"))
    ones = np.ones_like(chosen)
    reference = SequenceLogps(ones * logps.mean(), ones)
    batch = PreferenceBatch(
        SequenceLogps(chosen, ones), SequenceLogps(rejected, ones), reference, reference, progress=progress
    )
    try:
        with np.errstate(all="ignore"):  # what is not finite will be noticed
            return np.asarray(package.built.component.loss(batch)).reshape(len(logps), -1)
    except Exception as error:
        line = f"{package.file}: a {package.file.card.objective!r} cannot compute its losses: "
        raise PluginError(line + one_line(error)) from error
