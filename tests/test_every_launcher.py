"""Every registered launcher keeps the promises of the protocol."""

from __future__ import annotations

import pytest

from mpobench.registry.registry import get_registry
from mpobench.testing import check_launcher

NAMES = [registered.card.name for registered in get_registry().cards("launcher")]


@pytest.mark.parametrize("name", NAMES)
def test_keeps_what_the_protocol_promises(name: str) -> None:
    check_launcher(name)
