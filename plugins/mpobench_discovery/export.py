"""An objective file as a package: installed by pip, it is an objective like any other."""

from __future__ import annotations

import importlib.util
import json
import keyword
import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template

from mpobench import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.registry.objective_files import StoredTensors, read_objective_file
from mpobench.registry.registry import Registry, get_registry
from mpobench_discovery import package_words as words
from mpobench_discovery.package import POINTS, SPAN, Package, prefers_chosen

_CARD, _TENSORS = "objective.json", "objective.safetensors"
_DISTRIBUTION = re.compile(r"[A-Za-z]([A-Za-z0-9._-]{0,78}[A-Za-z0-9])?")


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
    objective, falls = package.built.component, prefers_chosen(package)
    texts = {
        "package": package.name,
        "module": package.module,
        "name": card.name,
        "family": base.card.name,
        "source": base.source,
        "summary": words.plain(card.summary),
        "description": json.dumps(card.summary, ensure_ascii=False),
        "dependencies": json.dumps(sorted({"mpobench", base.distribution})),
        "networks": words.networks(objective),
        "training": words.training(objective),
        "behaviour": words.behaviour(falls),
        "citation": f"\nSource: {words.plain(card.citation)}\n" if card.citation else "",
        "fitness": words.fitness(card.provenance),
        "provenance": words.provenance(card.provenance),
        "data": words.data(card.provenance),
        "folder": shlex.quote(f"./{folder}"),
        "with_tests": shlex.quote(f"./{folder}[dev]"),
        "tests": shlex.quote(folder),
        "low": f"{SPAN[0]:g}",
        "high": f"{SPAN[1]:g}",
        "points": str(POINTS),
    }
    return {**texts, "direction": _filled("test_direction.py", texts) if falls else ""}
