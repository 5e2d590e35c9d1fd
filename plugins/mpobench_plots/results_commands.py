"""``mpobench plot profiles``, ``curves`` and ``scores``: pictures of results."""

from __future__ import annotations

from typing import Annotated

import typer

from mpobench import RequestError
from mpobench.display.pictures import picture_file, require_matplotlib
from mpobench.registry.specs import split_list
from mpobench_plots.options import Output, Results, Rows, write

PROFILES_EXAMPLES = (
    "\b\nExamples:\n"
    "  mpobench plot profiles results\n"
    "  mpobench plot profiles leaderboards/tla.jsonl --objectives sft,cpo,dpo --output tla-profiles.svg"
)


def profiles(
    results: Results,
    *,
    objectives: Rows = None,
    output: Output = None,
) -> None:
    """Draw performance profiles: the share of runs whose normalised score exceeds τ, over τ.

    One panel per table of the leaderboard (environment, evaluator, scale), over all its corruptions and seeds, with
    95 % bootstrap bands for up to six objectives. The higher curve is the better one; a curve that crosses another is
    better in some runs only. An objective of which some cell did not finish is left out.
    """
    file = picture_file(output, f"profiles-{results.resolve().stem}")
    require_matplotlib()
    from mpobench_plots.profile_tables import tables_to_draw
    from mpobench_plots.profiles import profiles_figure

    sections, left_out = tables_to_draw(results, split_list(objectives) if objectives else None)
    for line in left_out:
        typer.echo(f"mpobench: warning: {line}", err=True)
    write(profiles_figure(sections), file)


CURVES_EXAMPLES = (
    "\b\nExamples:\n"
    "  mpobench plot curves results\n"
    "  mpobench plot curves leaderboards/tla.jsonl --corruption noisy:0.3 --objectives sft,dpo,simpo --output tla.svg"
)


def curves(
    results: Results,
    *,
    corruption: Annotated[
        str | None, typer.Option(help="Corruption to draw. Default: the first of each table.")
    ] = None,
    objectives: Rows = None,
    output: Output = None,
) -> None:
    """Draw over-optimization: how far policies go from their reference policy, and what they earn.

    Over the epochs, means over the seeds: log π/π_ref of the chosen and the rejected side, the share of pairs whose
    chosen side became less probable than under the reference, and KL(π ‖ π_ref) on what the policy does itself. Then
    the true reward at the end, and the same over KL. The reference policy is that of the SFT stage, or the one that a
    training of one stage begins with. Results that were made before these were recorded show log π instead.
    """
    file = picture_file(output, f"curves-{results.resolve().stem}")
    require_matplotlib()
    from mpobench_plots.curve_tables import curve_tables
    from mpobench_plots.curves import curves_figure

    write(
        curves_figure(curve_tables(results, corruption, split_list(objectives) if objectives else None)), file
    )


SCORES_EXAMPLES = (
    "\b\nExamples:\n"
    "  mpobench plot scores results\n"
    "  mpobench plot scores leaderboards/tla.jsonl --output tla.svg"
)


def scores(
    results: Results,
    *,
    output: Output = None,
) -> None:
    """Draw a leaderboard: the mean of every objective on every corruption, with its 95 % bootstrap interval.

    One panel per table (environment, evaluator, scale), the best mean over its corruptions at the top.
    """
    file = picture_file(output, f"scores-{results.resolve().stem}")
    require_matplotlib()
    from mpobench.leaderboard.standings import standings
    from mpobench.results.store import read_results
    from mpobench_plots.scores import scores_figure

    sections = [section for section in standings(read_results(results)) if section.metric]
    if not sections:
        raise RequestError(f"{results} has no finished cell: there is nothing to draw")
    write(scores_figure(sections), file)
