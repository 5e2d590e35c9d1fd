"""Every registered corruption keeps the promises of the protocol, alone and added to others."""

from __future__ import annotations

import pytest

from mpobench.registry.registry import get_registry
from mpobench.testing import check_corruption

NAMES = [registered.card.name for registered in get_registry().cards("corruption")]


@pytest.mark.parametrize("corruption", [*NAMES, "mixed+noisy:0.1", "bad-judge:500+mixed+noisy:0.3"])
def test_keeps_what_the_protocol_promises(corruption):
    check_corruption(corruption)
