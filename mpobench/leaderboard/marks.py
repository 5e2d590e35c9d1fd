"""Marks of a leaderboard: headings, bold numbers and footnotes, in markdown or in plain text."""

from __future__ import annotations


class Markdown:
    """Marks of GitHub-flavoured markdown."""

    table_format = "pipe"

    def heading(self, level: int, text: str) -> str:
        """A heading of a level, from 1."""
        return f"{'#' * level} {text}"

    def code(self, text: str) -> str:
        """Text that is shown as it is."""
        return f"`{text.replace('`', chr(39))}`"

    def in_table(self, text: str) -> str:
        """Text of a table's cell."""
        return text.replace("|", "\\|")

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
