"""Numbers of a page in words and digits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from mpobench.leaderboard.statistics import Estimate, Quantity


def decimals_for(values: Iterable[float]) -> int:
    """Decimals that give the largest of some numbers three significant digits, at least."""
    largest = max(map(abs, values), default=0.0)
    return max(0, 2 - math.floor(math.log10(largest))) if largest else 0


def with_error(estimate: Estimate, decimals: int) -> str:
    """``2727 ± 29``; the mean alone where its standard error is unknown."""
    text = f"{estimate.mean:z.{decimals}f}"
    return text if estimate.standard_error is None else f"{text} ± {estimate.standard_error:.{decimals}f}"


def with_interval(quantity: Quantity | None, decimals: int, unit: str = "") -> str:
    """``32.5 (26.8 to 38.0)``; a dash for what there is not."""
    if quantity is None:
        return "–"
    text = f"{quantity.value:z.{decimals}f}{unit}"
    if quantity.interval is None:
        return text
    return f"{text} ({quantity.interval.low:z.{decimals}f} to {quantity.interval.high:z.{decimals}f})"


def ranges(numbers: list[int]) -> str:
    """``[0, 1, 2, 5]`` → ``0–2, 5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def on_one_line(text: str) -> str:
    """Printable text on one line: a reason may be any exception's message."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def by_version(texts: Iterable[str]) -> list[str]:
    """Sorted so that 0.9 precedes 0.10."""
    return sorted(texts, key=lambda text: ([int(n) for n in re.findall(r"\d+", text)], text))
