"""Score against tuning budget: the curves of the tunings that lie beside a leaderboard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mpobench.leaderboard.standings import Section
from mpobench.tuning.budget_file import BudgetCurve
from mpobench_site.digits import short


def budget_data(section: Section, curves: Iterable[BudgetCurve]) -> list[dict[str, Any]]:
    """The points of each curve of a table's environment and metric.

    Trials may have been scored by a cheaper evaluator of the same metric, which is then named beside their scale.
    """
    return [
        {
            "objective": curve.objective,
            "corruption": curve.corruption,
            "scale": curve.scale
            if curve.evaluator == section.evaluator
            else f"{curve.scale}, {curve.evaluator}",
            "metric": curve.metric,
            "points": [
                [point.trials, short(point.mean), short(point.low), short(point.high)]
                for point in curve.points
            ],
        }
        for curve in curves
        if (curve.env, curve.metric) == (section.env, section.metric)
    ]
