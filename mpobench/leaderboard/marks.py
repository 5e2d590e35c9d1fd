"""Marks of a leaderboard: headings, bold numbers and footnotes, in markdown or in plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from tabulate import tabulate


class Markdown:
    """Marks of GitHub-flavoured markdown."""

    table_format = "pipe"

    def heading(self, level: int, text: str) -> str:
        """A heading of a level, from 1."""
        return f"{'#' * level} {text}"

    def code(self, text: str) -> str:
        """Text that is shown as it is."""
        return f"`{text.replace('`', chr(39))}`"

    def html(self, text: str) -> str:
        """Text within HTML."""
        return escape(text)

    def in_table(self, text: str) -> str:
        """Text of a table's cell."""
        return text.replace("|", "\\|")

    def spec(self, text: str) -> str:
        """A spec as a heading or a label of a table."""
        return self.in_table(self.code(text))

    def objective(self, spec: str, variant: str) -> str:
        """Label of a row: an objective, and what tells this configuration from its others."""
        return self.spec(spec) + (f" ({self.spec(variant)})" if variant else "")

    def table(self, headers: Sequence[str], lines: Sequence[Sequence[str]], aligned: str = "l") -> str:
        """A table.

        Args:
            headers: Headings of the columns.
            lines: Rows.
            aligned: ``l`` or ``r`` for each column, text or numbers; further columns are numbers.
        """
        return tabulate(
            lines,
            headers=headers,
            tablefmt=self.table_format,
            colalign=["left" if side == "l" else "right" for side in aligned.ljust(len(headers), "r")],
            disable_numparse=True,
        )

    def group(self, text: str) -> str:
        """Title of a group of rows."""
        return f"*{text}*"

    def best(self, text: str) -> str:
        """The best number of a column."""
        return f"**{text}**"

    def best_human(self, text: str) -> str:
        """The best number of a human-designed objective."""
        return f"<u>{text}</u>"

    def reference(self, number: int) -> str:
        """Reference to a footnote."""
        return f"[^{number}]"

    def footnote(self, number: int, text: str) -> str:
        """A footnote."""
        return f"[^{number}]: {text}"


class Html(Markdown):
    """Marks of HTML, for notebooks; all text of users and plugins is escaped."""

    table_format = "unsafehtml"  # cells are escaped already, and have marks of their own

    def heading(self, level: int, text: str) -> str:
        """A heading of a level, from 1; ``*words*`` are in italics."""
        return f"<h{level}>{_italics(text)}</h{level}>"

    def paragraph(self, text: str) -> str:
        """A paragraph; ``*words*`` are in italics."""
        return f"<p>{_italics(escape(text))}</p>"

    def code(self, text: str) -> str:
        """Text that is shown as it is."""
        return f"<code>{escape(text)}</code>"

    def in_table(self, text: str) -> str:
        """Text of a table's cell."""
        return escape(text)

    def spec(self, text: str) -> str:
        """A spec as a heading or a label of a table."""
        return self.code(text)

    def group(self, text: str) -> str:
        """Title of a group of rows."""
        return f"<i>{text}</i>"

    def best(self, text: str) -> str:
        """The best number of a column."""
        return f"<b>{text}</b>"

    def reference(self, number: int) -> str:
        """Reference to a footnote."""
        return f"<sup>[{number}]</sup>"

    def footnote(self, number: int, text: str) -> str:
        """A footnote."""
        return f"<sup>[{number}]</sup> {text}<br>"


def _italics(text: str) -> str:
    """HTML in which ``*words*`` are in italics."""
    return re.sub(r"[*]([a-z]+)[*]", r"<i>\1</i>", text)


class Terminal(Markdown):
    """Plain-text marks for the terminal."""

    table_format = "simple"

    def heading(self, level: int, text: str) -> str:
        """A heading of a level, from 1."""
        return text

    def code(self, text: str) -> str:
        """Text that is shown as it is."""
        return text

    def in_table(self, text: str) -> str:
        """Text of a table's cell."""
        return text

    def group(self, text: str) -> str:
        """Title of a group of rows."""
        return f"{text}:"

    def best_human(self, text: str) -> str:
        """The best number of a human-designed objective."""
        return f"_{text}_"

    def reference(self, number: int) -> str:
        """Reference to a footnote."""
        return f" [{number}]"

    def footnote(self, number: int, text: str) -> str:
        """A footnote."""
        return f"[{number}] {text}"
