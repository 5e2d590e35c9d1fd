"""``mpobench plot tuning``: score against budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpobench import RequestError
from mpobench.display.pictures import picture_file, require_matplotlib
from mpobench_plots.options import write

TUNING_EXAMPLES = (
    "\b\nExamples:\n"
    "  mpobench plot tuning tunings/tla-quick\n"
    "  mpobench plot tuning tunings/tla-quick/budget.json --output budget.svg"
)


def tuning(
    tuned: Annotated[Path, typer.Argument(help="Folder of a tuning, or the budget.json in it.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(help="Picture to write, .png or .svg. Default: tuning-budget.png here."),
    ] = None,
) -> None:
    """Draw score against budget: what the best of the first 1, 2, 4, … trials is worth on held-out seeds.

    A panel for each dataset, with means and their 95 % intervals. A loss whose curve still rises at the end wants more
    trials than it got; one that falls was fitted to the tuning seeds.
    """
    file = picture_file(output, "tuning-budget")
    require_matplotlib()
    from mpobench.tuning.budget_file import BudgetFile
    from mpobench_plots.tuning import tuning_figure

    curves = BudgetFile.read(tuned / "budget.json" if tuned.is_dir() else tuned).curves
    if not curves:
        raise RequestError(f"{tuned} has no curve: nothing has been tuned yet")
    write(tuning_figure(curves), file)
