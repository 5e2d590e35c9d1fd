"""Failures of checks: one sentence each, as AssertionError."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from mpobench.errors import PluginError, one_line
from mpobench.files.keys import content_key


def expect(condition: object, sentence: str) -> None:
    """Requires a condition.

    Raises:
        AssertionError: With the sentence, if the condition is false.
    """
    if not condition:
        raise AssertionError(sentence)


@contextmanager
def no_exception(action: str, advice: str) -> Iterator[None]:
    """Requires that a component's code raises nothing.

    Args:
        action: Beginning of the sentence: ``objective 'dpo' under jax.jit``.
        advice: End of the sentence.

    Raises:
        AssertionError: If it raises.
    """
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{action} raised {one_line(error)}: {advice}") from error


def expect_json(label: str, value: object) -> str:
    """Requires a value of plain JSON, and returns its content key."""
    try:
        return content_key(value)
    except PluginError as error:
        advice = "return dicts with text keys, lists, texts, numbers and None"
        raise AssertionError(f"{label} is no plain JSON ({one_line(error)}): {advice}") from error


def expect_reason(label: str, reason: object) -> None:
    """Requires a skip reason: None, or one line for the reader of a table."""
    is_line = isinstance(reason, str) and bool(reason.strip()) and "\n" not in reason
    expect(reason is None or is_line, f"{label} returned {reason!r}: return None, or one line that says why")


def is_number(value: object) -> bool:
    """Whether a value is a finite int or float, as results keep them."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
