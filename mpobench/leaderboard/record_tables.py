"""Tables of what else the records hold: properties of the data, and the metrics beside the primary one."""

from __future__ import annotations

from collections import defaultdict

from mpobench.leaderboard.marks import Markdown
from mpobench.leaderboard.numbers import decimals_for, on_one_line, with_error
from mpobench.leaderboard.standings import Row, Section
from mpobench.leaderboard.statistics import Estimate, mean_and_standard_error
from mpobench.protocols import NORMALISED_SCORE
from mpobench.results.differences import as_text


def dataset_blocks(section: Section, style: Markdown) -> list[str]:
    """Measured properties of the data of each column: means over the datasets, one for each seed."""
    values: defaultdict[str, defaultdict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in section.rows:
        for column, entry in row.entries.items():
            for result in entry.finished:
                for name, value in result.dataset.items():
                    values[name][column][result.dataset_key] = value
    if not values:
        return []
    lines = [
        [
            style.in_table(on_one_line(name)),
            *(
                _mean(list(by_dataset[column].values())) if column in by_dataset else "–"
                for column in section.columns
            ),
        ]
        for name, by_dataset in values.items()
    ]
    caption = "The data, means over the seeds."
    return [caption, style.table(["dataset", *map(style.spec, section.columns)], lines)]


def _mean(values: list[float]) -> str:
    """Three digits, or all before the point: counts of pairs are whole."""
    mean = mean_and_standard_error(sorted(values)).mean
    return f"{mean:z.3g}" if abs(mean) < 1000 else f"{mean:.0f}"


def training_blocks(section: Section, style: Markdown) -> list[str]:
    """A line with what the trainings have in common, by the rows that it holds for.

    A field of the training configuration is left out where its value differs between trainings that read it: a tuned
    one is told with the tuned values, and one that sets cells of a row apart with the row's variant.
    """
    values: defaultdict[str, defaultdict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    trained = [
        [
            result
            for entry in row.entries.values()
            for result in entry.results
            if result.config.get("training")
        ]
        for row in section.rows
    ]
    for at, results in enumerate(trained):
        for result in results:
            for name, value in result.config["training"].items():
                values[name][at].append(as_text(value))
    by_rows: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, readers in sorted(values.items()):
        found = {value for given in readers.values() for value in given}
        if len(found) == 1 and all(len(given) == len(trained[at]) for at, given in readers.items()):
            by_rows[tuple(sorted(readers))].append(style.code(f"{name}={on_one_line(found.pop())}"))
    everywhere = tuple(at for at, results in enumerate(trained) if results)
    parts = []
    for rows, fields in sorted(by_rows.items(), key=lambda item: (-len(item[0]), item[0])):
        labels = [style.objective(section.rows[at].objective, section.rows[at].variant) for at in rows]
        parts.append(f"{'all rows' if rows == everywhere else ', '.join(labels)}: {', '.join(fields)}")
    return [f"Training configuration of {'; '.join(parts)}."] if parts else []


def revision_blocks(section: Section, style: Markdown) -> list[str]:
    """A line with the revision of each model and dataset that came from a hub.

    They are in the part ``dataset`` of the configurations, as objects of ``name`` and ``revision``.
    """
    found: dict[tuple[str, str, str], None] = {}
    for row in section.rows:
        for entry in row.entries.values():
            for result in entry.finished:
                for part, place in result.config.get("dataset", {}).items():
                    if isinstance(place, dict) and place.keys() == {"name", "revision"}:
                        found[part, str(place["name"]), str(place["revision"])] = None
    named = [
        f"{on_one_line(part)} {style.code(on_one_line(name))} at {style.code(on_one_line(revision))}"
        for part, name, revision in sorted(found)
    ]
    return [f"Revisions on the hub: {'; '.join(named)}."] if named else []


def other_metric_blocks(section: Section, style: Markdown) -> list[str]:
    """A table, folded, for each metric beside the primary and the normalised one, unless it is the same everywhere.

    As in the other tables below the main one, a cell with unfinished seeds has no number.
    """
    found = {
        name: None
        for row in section.rows
        for entry in row.entries.values()
        for result in entry.finished
        for name in result.metrics
        if name not in (result.primary, NORMALISED_SCORE)
    }
    blocks = []
    for name in found:
        estimates = {
            (row.objective, row.variant, column): estimate
            for row in section.rows
            for column in row.entries
            if (estimate := _estimate(row, column, name))
        }
        if len({estimate.mean for estimate in estimates.values()}) < 2:
            continue
        decimals = decimals_for(estimate.mean for estimate in estimates.values())
        lines = [
            [
                style.objective(row.objective, row.variant),
                *(
                    _number(estimates.get((row.objective, row.variant, column)), decimals)
                    for column in section.columns
                ),
            ]
            for row in section.rows
        ]
        table = style.table(["objective", *map(style.spec, section.columns)], lines)
        blocks += [f"<details><summary>{style.html(name)}</summary>", table, "</details>"]
    return blocks


def _estimate(row: Row, column: str, metric: str) -> Estimate | None:
    entry = row.finished(column)
    values = (
        [result.metrics[metric] for result in entry.finished if metric in result.metrics] if entry else []
    )
    return mean_and_standard_error(values) if values else None


def _number(estimate: Estimate | None, decimals: int) -> str:
    return "–" if estimate is None else with_error(estimate, decimals)
