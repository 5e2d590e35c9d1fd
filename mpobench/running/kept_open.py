"""Workers that stay for several runs in a row, with what they have imported and compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pydantic import PrivateAttr

from mpobench.protocols import Launcher, Listener, Report, Workers


class _KeptOpen(Launcher):
    """A launcher that opens another one the first time that workers are wanted, and offers the same ones after that."""

    _launcher: Launcher = PrivateAttr()
    _stack: ExitStack = PrivateAttr()
    _opened: Workers | None = PrivateAttr(None)
    _report: Listener | None = PrivateAttr(None)

    @contextmanager
    def open(self, workers: int | None, report: Listener) -> Iterator[Workers]:
        """The workers; see :meth:`mpobench.Launcher.open`. Reports of the run before are over."""
        self._report = report
        if self._opened is None:
            self._opened = self._stack.enter_context(self._launcher.open(workers, self._forward))
        yield self._opened

    def _forward(self, report: Report) -> None:
        if self._report is not None:
            self._report(report)


@contextmanager
def kept_open(launcher: Launcher) -> Iterator[Launcher]:
    """A launcher for several runs, one after the other, whose workers end with the context.

    Args:
        launcher: Place of the workers. It is opened by the first run that needs workers, so by none if all is done.
    """
    with ExitStack() as stack:
        kept = _KeptOpen()
        kept._launcher, kept._stack = launcher, stack
        yield kept
