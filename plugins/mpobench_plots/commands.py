"""``mpobench plot``: pictures of objectives and of their results."""

from __future__ import annotations

import typer

from mpobench_plots.objective_commands import GRADIENT_EXAMPLES, LOSS_EXAMPLES, gradient, loss
from mpobench_plots.results_commands import (
    CURVES_EXAMPLES,
    PROFILES_EXAMPLES,
    SCORES_EXAMPLES,
    curves,
    profiles,
    scores,
)
from mpobench_plots.rollout_command import ROLLOUT_EXAMPLES, rollout
from mpobench_plots.tuning_command import TUNING_EXAMPLES, tuning

app = typer.Typer(
    help="Draw objectives (gradients, losses) and results (scores, profiles, curves, tuning, rollouts).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command(epilog=GRADIENT_EXAMPLES)(gradient)
app.command(epilog=LOSS_EXAMPLES)(loss)
app.command(epilog=PROFILES_EXAMPLES)(profiles)
app.command(epilog=TUNING_EXAMPLES)(tuning)
app.command(epilog=CURVES_EXAMPLES)(curves)
app.command(epilog=SCORES_EXAMPLES)(scores)
app.command(epilog=ROLLOUT_EXAMPLES)(rollout)
