"""The paper's tables as reference data, and the names that its objectives have there."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mpobench.errors import SpecError
from mpobench.registry.specs import parse


@dataclass(frozen=True)
class Published:
    """A published mean.

    Attributes:
        mean: Mean return.
        standard_error: Standard error of the mean.
    """

    mean: float
    standard_error: float


@dataclass(frozen=True)
class Reference:
    """The paper's tables.

    Attributes:
        title: Authors and title.
        tables: Published means by environment, then by objective and corruption.
        targets: Return of the target agent by environment.
        variants: By objective, its fields that make it another objective of the paper, with their defaults.
        discovered: Names of shipped discovered objectives, and the paper's names for what was discovered there.
        evaluation_protocols: Evaluators of the same policies: at the noise that they learned, and at the agents'.
    """

    title: str
    tables: Mapping[str, Mapping[tuple[str, str], Published]]
    targets: Mapping[str, float]
    variants: Mapping[str, Mapping[str, str]]
    discovered: Mapping[str, str]
    evaluation_protocols: tuple[str, str]

    def env_of(self, spec: str) -> str | None:
        """The paper's environment that a spec belongs to, by its name: ``tla:std=learned`` to ``tla``."""
        name = spec.partition(":")[0]
        return name if name in self.tables else None

    def objective_of(self, spec: str, fields: Mapping[str, object] | None = None) -> str:
        """The paper's name of an objective: ``tampo:beta=0.1`` is ``tampo[schedule=quadratic]``.

        Args:
            spec: Spec.
            fields: Fields that the objective had in a training, where they are known; the spec need not state them.
        """
        name, stated, variants = self._parsed(spec)
        if not variants:
            return self.discovered.get(name, name)
        known: dict[str, object] = {**variants, **stated, **(fields or {})}
        return f"{name}[{','.join(f'{field}={known[field]}' for field in variants)}]"

    def states_hyperparameters(self, spec: str) -> bool:
        """Whether a spec has fields beyond those that make it an objective of its own in the paper."""
        _, stated, variants = self._parsed(spec)
        return not stated.keys() <= variants.keys()

    def _parsed(self, spec: str) -> tuple[str, dict[str, str], Mapping[str, str]]:
        """Name, stated fields ("" for a bare value) and variants of a spec; one that cannot be parsed is a name."""
        try:
            parsed = parse(spec)
        except SpecError:
            return spec, {}, {}
        stated = {key or "": value for key, value in parsed.args}
        return parsed.name, stated, self.variants.get(parsed.name, {})


@cache
def reference() -> Reference:
    """The paper's tables, from the package's data."""
    folder = resources.files("mpobench.comparison") / "paper"
    about = tomllib.loads((folder / "paper.toml").read_text("utf-8"))
    tables: dict[str, dict[tuple[str, str], Published]] = {}
    for line in csv.DictReader((folder / "tables.csv").read_text("utf-8").splitlines()):
        published = Published(float(line["mean"]), float(line["stderr"]))
        tables.setdefault(line["env"], {})[line["objective"], line["corruption"]] = published
    return Reference(
        title=about["title"],
        tables=tables,
        targets=about["target"],
        variants=about["variants"],
        discovered=about["discovered"],
        evaluation_protocols=(about["evaluation_protocols"]["own"], about["evaluation_protocols"]["agents"]),
    )
