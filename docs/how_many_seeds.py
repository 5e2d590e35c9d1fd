"""The page leaderboards/how-many-seeds.md: how far a first look of a few seeds can be trusted.

A look draws some of the 25 seeds of the quick scale. Its order of five losses, and which of them it prints in bold,
are set beside what the other seeds say at the paper scale.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from tabulate import tabulate

import mpobench
from mpobench.leaderboard.significance import not_worse

ROOT = Path(__file__).resolve().parents[1]
OBJECTIVES = ("sft", "cpo", "orpo", "dpo", "tampo")
COLUMNS = ("noisy:0.1", "mixed")
SEEDS, LOOKS, DRAWS = 25, (3, 5, 10), 500


def scores(results: mpobench.Results, corruption: str) -> NDArray[np.float64]:
    """``(objectives, seeds)``: returns."""
    cells = {
        (cell.objective, cell.seed): cell.metrics["return"]
        for cell in results
        if (cell.corruption, cell.evaluator) == (corruption, "return")
    }
    return np.array([[cells[objective, seed] for seed in range(SEEDS)] for objective in OBJECTIVES])


def best(returns: NDArray[np.float64]) -> set[int]:
    """The objectives that a leaderboard prints in bold."""
    first, *others = (int(place) for place in np.argsort(-returns.mean(axis=1)))
    by_seed = [dict(enumerate(row)) for row in returns.tolist()]
    return {
        first,
        *itertools.compress(others, not_worse(by_seed[first], [by_seed[other] for other in others])),
    }


def looks(
    quick: NDArray[np.float64], paper: NDArray[np.float64], seeds: int
) -> tuple[NDArray[np.float64], float]:
    """Looks of a number of seeds.

    Returns:
        ``(draws,)`` Spearman correlations with the other seeds at the paper scale, and the share of looks in which the
        best loss of those is not bold.
    """
    rng = np.random.default_rng(0)
    correlations, missed = np.empty(DRAWS), 0
    for draw in range(DRAWS):
        order = rng.permutation(SEEDS)
        look, rest = quick[:, order[:seeds]], paper[:, order[seeds:]].mean(axis=1)
        correlations[draw] = spearmanr(look.mean(axis=1), rest).statistic
        missed += int(np.argmax(rest)) not in best(look)
    return correlations, missed / DRAWS


def page() -> str:
    """The page."""
    quick, paper = (mpobench.load(ROOT / "leaderboards" / f"{name}.jsonl") for name in ("first-look", "tla"))
    rows = []
    for column in COLUMNS:
        short, long = scores(quick, column), scores(paper, column)
        means = long.mean(axis=1)
        order = ", ".join(f"`{OBJECTIVES[place]}` {means[place]:.0f}" for place in np.argsort(-means))
        for seeds in LOOKS:
            correlations, missed = looks(short, long, seeds)
            enough = np.mean(correlations > 0.8 - 1e-9)
            rows.append(
                [
                    f"`{column}`",
                    order,
                    seeds,
                    f"{np.median(correlations):.1f}",
                    f"{100 * enough:.0f} %",
                    f"{100 * missed:.1f} %",
                ]
            )
    headers = ["column", "paper scale, 25 seeds", "seeds", "median ρ", "ρ ≥ 0.8", "best not bold"]
    table = tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)
    return f"""# How many seeds a first look needs

How far a look of a few seeds at the quick scale can be trusted. {DRAWS} looks of each size are drawn from
[the quick scale's seeds](first-look.jsonl), and set beside [the paper scale](tla.md) on the other seeds. ρ is
Spearman's correlation of the order of {len(OBJECTIVES)} losses; the last column is the share of looks that do
not print in bold what is best at the paper scale. Made by `python docs/how_many_seeds.py`.

{table}
"""


if __name__ == "__main__":
    (ROOT / "leaderboards" / "how-many-seeds.md").write_text(page(), encoding="utf-8")
