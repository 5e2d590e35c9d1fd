"""A distilled objective for people: its file, with how it was made, and the rows of its table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mpobench import Objective, ObjectiveCard, RequestError, __version__, save_objective
from mpobench.files.keys import content_key
from mpobench.planning.cells import Training
from mpobench.protocols import JsonObject
from mpobench.registry.build import Configured
from mpobench.registry.fields import validated
from mpobench.registry.objective_files import ObjectiveFileCard
from mpobench.registry.registry import get_registry

if TYPE_CHECKING:
    from mpobench_discovery.distil import Distilled

POLYNOMIAL = "mpo-polynomial"
"""The registered objective whose numbers are fitted."""


def reduction_of(objective: Objective) -> str:
    """Whether log π(τ) is a sum or a mean: the objective's choice, and the mean where it has none."""
    return getattr(objective, "reduction", "mean")


def save(
    file: Path,
    name: str,
    training: Training,
    source: Configured[Objective],
    fit: Distilled,
    circumstances: dict[str, str | float | None],
) -> None:
    """Writes the polynomial, and how it was made."""
    cell = training.cells[0]
    model = get_registry().resolve("objective", POLYNOMIAL)
    fields = {**fit.polynomial.fields, "reduction": reduction_of(source.component)}
    polynomial = validated(model, fields, f"{source.text}, distilled", RequestError)
    assert isinstance(polynomial, Objective)
    card = source.registered.card if source.file is None else source.file.card
    provenance: JsonObject = {
        "distilled_from": source.text,
        "digest": content_key(source.identity),
        "env": cell.env,
        "corruption": cell.corruption,
        "seed": cell.seed,
        "scale": cell.scale,
        **{key: value for key, value in circumstances.items() if value is not None},
        "degree": fit.degree,
        **{key: float(f"{value:.4g}") for key, value in asdict(fit.accuracy).items()},
        "increasing": fit.polynomial.increasing,
        "versions": {"mpobench": __version__},
    }
    save_objective(
        file,
        polynomial,
        POLYNOMIAL,
        name=name,
        summary=f"{source.text:.60}, distilled: degree {fit.degree}, gradient error {fit.accuracy.error:.1%}",
        citation=card.citation,
        origin=card.origin if isinstance(card, ObjectiveCard | ObjectiveFileCard) else "discovered",
        provenance=provenance,
    )


def rows(fit: Distilled, where: str) -> list[tuple[str, str]]:
    """The rows of a table that describes a fit to points."""
    from mpobench_discovery.polynomial import stated

    accuracy, polynomial = fit.accuracy, fit.polynomial
    return [
        ("fitted to", where),
        ("margins d", f"{stated(polynomial.low)} to {stated(polynomial.high)} ({fit.points} points)"),
        ("degree", str(fit.degree)),
        ("error of gradients", f"{accuracy.error:.2%} (root mean square)"),
        ("  by degree", ", ".join(f"{degree}: {error:.2%}" for degree, error in fit.errors.items())),
        ("explained (R²)", f"{accuracy.explained:.2%}"),
        ("cosine of directions", f"{accuracy.cosine:.4f}"),
        ("largest error", f"{accuracy.largest:.3g} (median gradient: {accuracy.median:.3g})"),
        ("P increases", "yes" if polynomial.increasing else "not everywhere"),
    ]
