"""The sections of a page, one after the other, with footnotes numbered through."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from mpobench.leaderboard.answers import answers
from mpobench.leaderboard.best_sets import BestRule, best
from mpobench.leaderboard.marks import Markdown
from mpobench.leaderboard.numbers import decimals_for, on_one_line, ranges, with_error
from mpobench.leaderboard.standings import Entry, Row, Section, natural
from mpobench.protocols import Origin

_GROUPS: dict[Origin, str] = {"human": "Human-designed", "ours": "Ours", "discovered": "Discovered"}
_WORDS = {"skipped": "skipped", "diverged": "diverged", "error": "failed"}
_SCALES = {
    "quick": "*quick* scale: few pairs, few seeds. A first look, not numbers to cite.",
    "smoke": "*smoke* scale: shows that everything runs. The numbers mean nothing.",
}
_LONGEST_REASON = 200


@dataclass
class SectionPage:
    """Sections formatted one after the other; equal footnotes share a number.

    Attributes:
        style: Marks.
        rule: Rule for the best of a column.
        notes: Footnotes, with their numbers.
    """

    style: Markdown
    rule: BestRule
    notes: dict[str, int] = field(default_factory=dict)

    def section(self, section: Section) -> list[str]:
        """The blocks of one section: heading, what is shown, and the main table."""
        scale = f"*{section.scale}*" if section.scale in _SCALES else section.scale
        heading = f"{self.style.code(section.env)}, {self.style.code(section.evaluator)}, {scale} scale"
        entries = [entry for row in section.rows for entry in row.entries.values()]
        return [self.style.heading(2, heading), _caption(section, entries), self._table(section, entries)]

    def footnotes(self) -> list[str]:
        """All footnotes, as one block."""
        return (
            ["\n".join(self.style.footnote(n, text) for text, n in self.notes.items())] if self.notes else []
        )

    def _table(self, section: Section, entries: Collection[Entry]) -> str:
        decimals = decimals_for(entry.estimate.mean for entry in entries if entry.estimate)
        winners = {column: best(section, column, rule=self.rule) for column in section.columns}
        human = {column: best(section, column, ["human"], self.rule) for column in section.columns}
        state_n = not _same_n(entries)
        lines: list[list[str]] = []
        grouped = len({row.origin for row in section.rows}) > 1
        for i, row in enumerate(section.rows):
            if grouped and (i == 0 or section.rows[i - 1].origin != row.origin):
                lines.append([self.style.group(_GROUPS[row.origin]), *("" for _ in section.columns)])
            line = [self.style.objective(row.objective, row.variant) + self._update_note(section, row)]
            for column in section.columns:
                entry = row.entries.get(column)
                text = _number(entry, decimals, state_n)
                if any(row is winner for winner in human[column]):
                    text = self.style.best_human(text)
                if any(row is winner for winner in winners[column]):
                    text = self.style.best(text)
                line.append(text + (self._note(entry) if entry and entry.unfinished else ""))
            lines.append(line)
        return self.style.table(["objective", *map(self.style.spec, section.columns)], lines)

    def samples(self, section: Section) -> list[str]:
        """Answers of the policies of the lowest seed, those of one prompt side by side."""
        shown = answers(section)
        if shown is None:
            return []
        blocks = [self.style.heading(3, "Samples"), f"What policies of seed {shown.seed} did."]
        headers = ["objective", "corruption", section.metric, "answer"]
        for prompt, given in shown.by_prompt.items():
            lines = [
                [
                    self.style.objective(section.rows[each.row].objective, section.rows[each.row].variant),
                    self.style.spec(section.columns[each.column]),
                    f"{each.sample.score:z.3g}",
                    self.style.spec(on_one_line(each.sample.answer)),
                ]
                for each in given
            ]
            blocks += [self.style.code(on_one_line(prompt)), self.style.table(headers, lines, "llrl")]
        return blocks

    def _update_note(self, section: Section, row: Row) -> str:
        """The reference to the footnote of a row whose updates have another number of pairs than most."""
        found = {result.pairs_per_update for entry in row.entries.values() for result in entry.finished}
        other = sorted(pairs for pairs in found - {section.usual_update} if pairs is not None)
        if not other:
            return ""
        usual = "" if section.usual_update is None else f", where most rows have {section.usual_update}"
        text = f"updates of {' or '.join(map(str, other))} pairs{usual}: see `min_pairs` of the objective"
        return self.style.reference(self.notes.setdefault(text, len(self.notes) + 1))

    def _note(self, entry: Entry) -> str:
        """The reference to the footnote that says what became of the unfinished seeds."""
        reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for result in entry.unfinished:
            reasons[result.status][on_one_line(result.reason)[:_LONGEST_REASON]] += 1
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
    seeds = sorted({result.seed for entry in entries for result in entry.results})
    plural = "seeds" if len(seeds) > 1 else "seed"
    over = f"{len(seeds)} {plural} ({ranges(seeds)})" + ("" if _same_n(entries) else ", n where stated")
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
    text = with_error(entry.estimate, decimals)
    return f"{text} (n={entry.estimate.n})" if state_n and not entry.unfinished else text
