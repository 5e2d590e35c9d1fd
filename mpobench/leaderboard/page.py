"""Results → leaderboard: a pure function, so that a published page can be checked against its results.

The same results in any order give the same bytes; there are no dates in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from mpobench.leaderboard.best_sets import BestRule
from mpobench.leaderboard.marks import Html, Markdown, Terminal
from mpobench.leaderboard.numbers import by_version, on_one_line
from mpobench.leaderboard.overall import Overall, overall
from mpobench.leaderboard.record_tables import (
    dataset_blocks,
    other_metric_blocks,
    revision_blocks,
    training_blocks,
)
from mpobench.leaderboard.section_page import SectionPage
from mpobench.leaderboard.standings import Section, standings
from mpobench.leaderboard.statistics_tables import behind_blocks, kept_blocks, overall_blocks
from mpobench.leaderboard.tuned_line import Tuning, tuned_blocks
from mpobench.results.cell_result import CellResult

TITLE = "mpobench leaderboard"

_MARKED: dict[BestRule, str] = {
    "significance": """\
Bold are the best of a column: the best mean, and all objectives that are not significantly worse (t test paired by
seed, two-sided, at 5 % with Holm's correction for their number). Underlined are the best of the human-designed, by the
same rule. Few seeds tell few objectives apart: of three, nearly all are bold, and a single one marks none.""",
    "overlap": """\
Bold is the best of a column, underlined the best human-designed objective; the two best are marked where their
intervals (mean ± standard error) overlap.""",
}
_LEGEND = """\
Where seeds were skipped, diverged or failed, the mean is over those that finished, a footnote says so, and the cell
competes for neither mark and enters no other table; nor does a single seed compete where others have more. `–` was
not run, or cannot be told. Rows are grouped by who designed the objective, and ordered by their mean rank over the
columns, where a cell without a mean ranks last."""
_INTERVALS = """\
Intervals come from one bootstrap of the seeds, the same draw for all objectives, columns and statistics: percentiles,
expanded for few seeds (Hesterberg 2015)."""
_KEYS: dict[BestRule, str] = {
    "significance": "**best**, _best human-designed_: all that are not significantly worse than the best mean.",
    "overlap": "**best**, _best human-designed_; two where their intervals (mean ± standard error) overlap.",
}


@dataclass(frozen=True)
class Leaderboard:
    """Results arranged as tables, to be shown as a page or on a terminal.

    Attributes:
        sections: Tables.
        provenance: Versions that computed the results, in words.
        tunings: Entries of tuned files; a table whose cells have their values says so.
    """

    sections: tuple[Section, ...]
    provenance: str
    tunings: tuple[Tuning, ...] = ()

    @classmethod
    def of(cls, results: Iterable[CellResult], tunings: Iterable[Tuning] = ()) -> Leaderboard:
        """The leaderboard of results of any number of environments, evaluators and scales, in any order.

        Args:
            results: Records.
            tunings: Entries of the tuned files that they may have been trained with: records do not say.

        Raises:
            RequestError: If results contradict each other (see :func:`mpobench.leaderboard.standings.standings`).
        """
        results = list(results)
        return cls(standings(results), _provenance(results), tuple(tunings))

    @property
    def tuned(self) -> bool:
        """Whether some cell was trained with given tuned values."""
        return any(tuned_blocks(section, self.tunings, str) for section in self.sections)

    @cached_property
    def overall(self) -> tuple[tuple[Overall, ...], ...]:
        """The rows of each table over all its corruptions."""
        return tuple(map(overall, self.sections))

    def markdown(self, title: str = TITLE, reproduce: str = "", best: BestRule = "significance") -> str:
        """The leaderboard as a page of GitHub-flavoured markdown.

        Args:
            title: Heading of the page.
            reproduce: How to make these results again, markdown; placed below the heading.
            best: Rule for the best of a column.
        """
        style = Markdown()
        page = SectionPage(style, best)
        blocks = [f"# {on_one_line(title)}", self.provenance, reproduce.strip()]
        for section, over_all in zip(self.sections, self.overall, strict=True):
            blocks += [
                *self._main(page, section),
                *dataset_blocks(section, style),
                *training_blocks(section, style),
                *revision_blocks(section, style),
            ]
            blocks += [*overall_blocks(section, over_all, style), *behind_blocks(section, style)]
            blocks += [*kept_blocks(section, style), *other_metric_blocks(section, style)]
            blocks += page.samples(section)
        blocks += ["---", _MARKED[best], _LEGEND, _INTERVALS, *page.footnotes()]
        return "\n\n".join(block for block in blocks if block) + "\n"

    def terminal(self, best: BestRule = "significance") -> str:
        """The main tables, and those over all corruptions, in plain text."""
        style = Terminal()
        page = SectionPage(style, best)
        blocks = []
        for section, over_all in zip(self.sections, self.overall, strict=True):
            blocks += [
                *self._main(page, section),
                *dataset_blocks(section, style),
                *revision_blocks(section, style),
            ]
            blocks += overall_blocks(section, over_all, style)
        blocks += [*page.footnotes(), _KEYS[best], self.provenance]
        return "\n\n".join(block for block in blocks if block) + "\n"

    def html(self, best: BestRule = "significance") -> str:
        """The main tables as HTML, for a notebook."""
        style = Html()
        page = SectionPage(style, best)
        blocks = []
        for section in self.sections:
            heading, caption, table = page.section(section)
            captions = [
                caption,
                *tuned_blocks(section, self.tunings, str),
            ]  # plain: a paragraph is escaped
            blocks += [heading, *map(style.paragraph, captions), table]
        return "\n".join([*blocks, *page.footnotes(), style.paragraph(self.provenance)])

    def _main(self, page: SectionPage, section: Section) -> list[str]:
        """Heading, caption, the line on tuned values if there are any, and the main table."""
        heading, caption, table = page.section(section)
        return [heading, caption, *tuned_blocks(section, self.tunings, page.style.code), table]


def _provenance(results: Collection[CellResult]) -> str:
    """The versions that computed the results: all of them, where there are several."""
    pairs = {pair for result in results for pair in result.versions.items()}
    plugins = {on_one_line(plugin) for plugin in {result.plugin for result in results}}
    versions = defaultdict(set)
    for package, version in pairs:
        versions[package].add(version)
    packages = sorted(versions, key=lambda package: (package != "mpobench", package))
    listed = "; ".join(f"{package} {', '.join(by_version(versions[package]))}" for package in packages)
    made = f"Computed with {listed}. " if listed else ""
    return f"{made}Objectives from {', '.join(by_version(plugins))}." if plugins else made.strip()
