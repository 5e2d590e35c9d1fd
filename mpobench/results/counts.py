"""How many cells of each column ended how, and how long the missing ones take."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mpobench.results.cell_result import CellResult

STATUSES = ("ok", "diverged", "error", "skipped", "missing")


@dataclass
class Counts:
    """Cells by environment and corruption.

    Attributes:
        columns: Number of cells of each status, by environment and corruption.
        failures: A line for each cell that failed or diverged, with its key and reason.
        seconds: Seconds that one worker needs for the missing cells, by the mean of those of their environment that are
            there; None if there are none to go by.
    """

    columns: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float | None = None

    @property
    def total(self) -> Counter[str]:
        """Number of cells of each status."""
        return sum(self.columns.values(), Counter())


def counts(results: Iterable[CellResult], planned: Mapping[str, tuple[str, str]] | None = None) -> Counts:
    """Counts results.

    Args:
        results: Results of a folder.
        planned: Environment and corruption of every cell that was asked for, by key; other results do not count. None:
            all results count, and none is missing.
    """
    found, seconds = Counts(), defaultdict(list)
    there = {each.key: each for each in results if planned is None or each.key in planned}
    for result in there.values():
        place = result.env, result.corruption
        found.columns.setdefault(place, Counter())[result.status] += 1
        if result.status in ("error", "diverged"):
            found.failures.append(
                f"{result.key}: {result.objective} on {result.env} {result.corruption}, seed {result.seed}: "
                f"{result.status}: {result.reason}"
            )
        if result.status == "ok" and result.seconds:
            seconds[result.env].append(sum(result.seconds.values()))
    missing = Counter(place for key, place in (planned or {}).items() if key not in there)
    for place, count in missing.items():
        found.columns.setdefault(place, Counter())["missing"] += count
    if missing and all(seconds[env] for env, _ in missing):
        found.seconds = sum(
            count * sum(seconds[env]) / len(seconds[env]) for (env, _), count in missing.items()
        )
    return found
