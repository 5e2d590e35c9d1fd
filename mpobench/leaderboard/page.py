"""Results → leaderboard: a pure function, so that a published page can be checked against its results.

The same results in any order give the same bytes; there are no dates in it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tabulate import tabulate

from mpobench.leaderboard.marks import Markdown, Terminal
from mpobench.leaderboard.standings import RESAMPLES, Aggregate, Entry, Row, Section, natural, standings
from mpobench.protocols import Origin
from mpobench.results.cell_result import CellResult

TITLE = "mpobench leaderboard"

_GROUPS: dict[Origin, str] = {"human": "Human-designed", "ours": "Ours", "discovered": "Discovered"}
_WORDS = {"skipped": "skipped", "diverged": "diverged", "error": "failed"}
_SCALES = {
    "quick": "*quick* scale: few pairs, few seeds. A first look, not numbers to cite.",
    "smoke": "*smoke* scale: shows that everything runs. The numbers mean nothing.",
}
_LEGEND = """\
Bold is the best of a column, underlined the best human-designed objective; the two best are marked where
their intervals (mean ± standard error) overlap. Where seeds were skipped, diverged or failed, the mean is
over those that finished, a footnote says so, and the cell competes for neither mark; nor does a single seed
where others have more. `–` was not run. Rows are grouped by who designed the objective, and ordered by their
mean rank over the columns, where a cell without a mean ranks last."""
_KEY = "**best**, _best human-designed_; two where their intervals (mean ± standard error) overlap."
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Leaderboard:
    """Results arranged as tables, to be shown as a page or on a terminal.

    Attributes:
        sections: Tables.
        provenance: Versions that computed the results, in words.
    """

    sections: tuple[Section, ...]
    provenance: str

    @classmethod
    def of(cls, results: Iterable[CellResult]) -> Leaderboard:
        """The leaderboard of results of any number of environments, evaluators and scales, in any order.

        Raises:
            RequestError: If results contradict each other (see :func:`mpobench.leaderboard.standings.standings`).
        """
        results = list(results)
        return cls(standings(results), _provenance(results))

    def markdown(self, title: str = TITLE, reproduce: str = "") -> str:
        """The leaderboard as a page of GitHub-flavoured markdown.

        Args:
            title: Heading of the page.
            reproduce: How to make these results again, markdown; placed below the heading.
        """
        page = _Page(Markdown())
        blocks = [f"# {_one_line(title)}", self.provenance, reproduce.strip()]
        for section in self.sections:
            blocks += [*page.section(section), *page.samples(section)]
        blocks += ["---", _LEGEND, *page.footnotes()]
        return "\n\n".join(block for block in blocks if block) + "\n"

    def terminal(self) -> str:
        """The same tables in plain text."""
        page = _Page(Terminal())
        blocks = [block for section in self.sections for block in page.section(section)]
        blocks += [*page.footnotes(), _KEY, self.provenance]
        return "\n\n".join(block for block in blocks if block) + "\n"


@dataclass
class _Page:
    """Sections formatted one after the other, with footnotes numbered through; equal footnotes share one."""

    style: Markdown
    notes: dict[str, int] = field(default_factory=dict)

    def section(self, section: Section) -> list[str]:
        """The blocks of one section: heading, what is shown, the table, and the aggregate."""
        scale = f"*{section.scale}*" if section.scale in _SCALES else section.scale
        heading = f"{self.style.code(section.env)}, {self.style.code(section.evaluator)}, {scale} scale"
        entries = [entry for row in section.rows for entry in row.entries.values()]
        return [
            self.style.heading(2, heading),
            _caption(section, entries),
            self._table(section, entries),
            *self._aggregate(section),
        ]

    def footnotes(self) -> list[str]:
        """All footnotes, as one block."""
        return (
            ["\n".join(self.style.footnote(n, text) for text, n in self.notes.items())] if self.notes else []
        )

    def _table(self, section: Section, entries: Collection[Entry]) -> str:
        decimals = _decimals(entries)
        best = {column: section.best(column) for column in section.columns}
        best_human = {column: section.best(column, ["human"]) for column in section.columns}
        state_n = not _same_n(entries)
        lines: list[list[str]] = []
        grouped = len({row.origin for row in section.rows}) > 1
        for i, row in enumerate(section.rows):
            if grouped and (i == 0 or section.rows[i - 1].origin != row.origin):
                lines.append([self.style.group(_GROUPS[row.origin]), *("" for _ in section.columns)])
            line = [self._label(row)]
            for column in section.columns:
                entry = row.entries.get(column)
                text = _number(entry, decimals, state_n)
                if any(row is winner for winner in best_human[column]):
                    text = self.style.best_human(text)
                if any(row is winner for winner in best[column]):
                    text = self.style.best(text)
                line.append(text + (self._note(entry) if entry and entry.unfinished else ""))
            lines.append(line)
        columns = [self.style.in_table(self.style.code(column)) for column in section.columns]
        return self._tabulate(["objective", *columns], lines)

    def _aggregate(self, section: Section) -> list[str]:
        if not section.aggregates:
            return []
        caption = (
            "Over all corruptions: interquartile mean of the normalised score (0 is the original agent, "
            "100 the target agent) with its 95 % bootstrap interval, over seeds × corruptions."
        )
        if section.resamples < RESAMPLES:
            caption += f" The table is large: its intervals are of {section.resamples} resamples."
        included = [aggregate.row for aggregate in section.aggregates]
        left_out = [row for row in section.rows if not any(row is other for other in included)]
        if left_out:
            caption += " Left out, because not all of their cells finished: "
            caption += ", ".join(self._label(row) for row in left_out) + "."
        lines = [
            [self._label(aggregate.row), f"{aggregate.iqm:z.1f}", _interval(aggregate), str(aggregate.n)]
            for aggregate in section.aggregates
        ]
        return [caption, self._tabulate(["objective", "IQM", "95 % interval", "n"], lines)]

    def samples(self, section: Section) -> list[str]:
        """Answers of the policies of the lowest seed, those of one prompt side by side."""
        shown = [
            (row, column, result)
            for row in section.rows
            for column in section.columns
            if column in row.entries
            for result in row.entries[column].finished
            if result.samples
        ]
        if not shown:
            return []
        seed = min(result.seed for _, _, result in shown)
        by_prompt: dict[str, list[list[str]]] = {}
        for row, column, result in shown:
            for sample in result.samples if result.seed == seed else ():
                answer = self.style.in_table(self.style.code(_one_line(sample.answer)))
                line = [self._label(row), self.style.in_table(self.style.code(column))]
                by_prompt.setdefault(_one_line(sample.prompt), []).append(
                    [*line, f"{sample.score:z.3g}", answer]
                )
        blocks = [self.style.heading(3, "Samples"), f"What policies of seed {seed} did."]
        for prompt, lines in by_prompt.items():
            table = tabulate(
                lines,
                headers=["objective", "corruption", section.metric, "answer"],
                tablefmt=self.style.table_format,
                colalign=("left", "left", "right", "left"),
                disable_numparse=True,
            )
            blocks += [self.style.code(prompt), table]
        return blocks

    def _label(self, row: Row) -> str:
        variant = f" ({self.style.code(row.variant)})" if row.variant else ""
        return self.style.in_table(self.style.code(row.objective) + variant)

    def _tabulate(self, headers: list[str], lines: list[list[str]]) -> str:
        alignment = ["left", *("right" for _ in headers[1:])]
        return tabulate(
            lines,
            headers=headers,
            tablefmt=self.style.table_format,
            colalign=alignment,
            disable_numparse=True,
        )

    def _note(self, entry: Entry) -> str:
        """The reference to the footnote that says what became of the unfinished seeds."""
        reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for result in entry.unfinished:
            reasons[result.status][_one_line(result.reason)[:_LONGEST_REASON]] += 1
        parts = []
        for status in (status for status in _WORDS if status in reasons):
            found = sorted(reasons[status].items(), key=lambda item: (-item[1], natural(item[0])))
            more = f" and {len(found) - 3} other reasons" if len(found) > 3 else ""
            listed = "; ".join(self.style.code(reason) for reason, _ in found[:3])
            parts.append(f"{reasons[status].total()} {_WORDS[status]}: {listed}{more}")
        total = len(entry.finished) + len(entry.unfinished)
        seeds = "seeds" if total > 1 else "seed"
        text = f"{len(entry.finished)} of {total} {seeds} finished; {'; '.join(parts)}"
        return self.style.reference(self.notes.setdefault(text, len(self.notes) + 1))


def _caption(section: Section, entries: Collection[Entry]) -> str:
    seeds = sorted({result.seed for entry in entries for result in (*entry.finished, *entry.unfinished)})
    plural = "seeds" if len(seeds) > 1 else "seed"
    over = f"{len(seeds)} {plural} ({_ranges(seeds)})" + ("" if _same_n(entries) else ", n where stated")
    if not section.metric:
        return f"No cell finished, of {over}."
    unit = f" ({section.unit})" if section.unit not in ("", section.metric) else ""
    direction = "higher" if section.higher_is_better else "lower"
    error = "mean ± standard error over" if len(seeds) > 1 else "no standard error from"
    caption = f"{section.metric}{unit}, {direction} is better; {error} {over}."
    return f"{caption} {_SCALES[section.scale]}" if section.scale in _SCALES else caption


def _same_n(entries: Iterable[Entry]) -> bool:
    """Whether one number of seeds holds for all cells; those with unfinished seeds say their own."""
    return len({len(entry.finished) for entry in entries if not entry.unfinished}) <= 1


def _number(entry: Entry | None, decimals: int, state_n: bool) -> str:
    if entry is None:
        return "–"
    if entry.estimate is None:
        words = {_WORDS[result.status] for result in entry.unfinished}
        return words.pop() if len(words) == 1 else "failed"
    text = f"{entry.estimate.mean:z.{decimals}f}"
    if entry.estimate.standard_error is not None:
        text += f" ± {entry.estimate.standard_error:.{decimals}f}"
    return f"{text} (n={entry.estimate.n})" if state_n and not entry.unfinished else text


def _decimals(entries: Iterable[Entry]) -> int:
    """Three significant digits of a table's largest mean, at least."""
    largest = max((abs(entry.estimate.mean) for entry in entries if entry.estimate), default=0.0)
    return max(0, 2 - math.floor(math.log10(largest))) if largest else 0


def _interval(aggregate: Aggregate) -> str:
    if aggregate.interval is None:
        return "–"
    return f"{aggregate.interval.low:z.1f} to {aggregate.interval.high:z.1f}"


def _provenance(results: Collection[CellResult]) -> str:
    """The versions that computed the results: all of them, where there are several."""
    pairs = {pair for result in results for pair in result.versions.items()}
    plugins = {_one_line(plugin) for plugin in {result.plugin for result in results}}
    versions = defaultdict(set)
    for package, version in pairs:
        versions[package].add(version)
    packages = sorted(versions, key=lambda package: (package != "mpobench", package))
    listed = "; ".join(f"{package} {', '.join(_by_version(versions[package]))}" for package in packages)
    made = f"Computed with {listed}. " if listed else ""
    return f"{made}Objectives from {', '.join(_by_version(plugins))}." if plugins else made.strip()


def _by_version(texts: Iterable[str]) -> list[str]:
    """Sorted so that 0.9 precedes 0.10."""
    return sorted(texts, key=lambda text: ([int(n) for n in re.findall(r"\d+", text)], text))


def _ranges(numbers: list[int]) -> str:
    """``[0, 1, 2, 5]`` → ``0–2, 5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def _one_line(text: str) -> str:
    """Printable text on one line: a reason may be any exception's message."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
