"""Progress in a notebook: one output of a cell, a bar a phase, which is written again as the work goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from html import escape
from typing import Any

SECONDS_BETWEEN_UPDATES = 0.2


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return type(get_ipython()).__name__ == "ZMQInteractiveShell"


class NotebookBars:
    """The output of a cell. It needs no widgets, and stays in the notebook as it was last written."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html: Any = HTML
        self._last = 0.0
        self._handle: Any = display(HTML(""), display_id=True)

    def show(self, phases: Iterable[tuple[str, float, str]], at_once: bool) -> None:
        """Writes the bars, unless that was done a moment ago.

        Args:
            phases: Name, share that is done, and time left of each phase.
            at_once: Whether they are written in any case.
        """
        now = time.monotonic()
        if at_once or now - self._last >= SECONDS_BETWEEN_UPDATES:
            self._last = now
            self._handle.update(self._html(bars_html(phases)))


def bars_html(phases: Iterable[tuple[str, float, str]]) -> str:
    """Bars as a table; arguments as of :meth:`NotebookBars.show`."""
    rows = "".join(
        f'<tr><td style="text-align:left">{escape(name)}</td>'
        f'<td><progress value="{fraction:.4f}" max="1" aria-label="{escape(name)}"></progress></td>'
        f"<td>{100 * fraction:.0f} %</td><td>{escape(left)}</td></tr>"
        for name, fraction, left in phases
    )
    return f"<table>{rows}</table>"
