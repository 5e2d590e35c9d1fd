"""The launcher keeps its promises."""

from mpobench.testing import check_launcher


def test_promises() -> None:
    check_launcher("here")
