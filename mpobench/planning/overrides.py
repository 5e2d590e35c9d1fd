"""Options that override single fields of a configuration: ``--training epochs=6``."""

from __future__ import annotations

from mpobench.errors import RequestError
from mpobench.registry.specs import parse, read_value


def overrides(pairs: list[str] | None) -> dict[str, object] | None:
    """The fields that ``--training epochs=6`` sets, given any number of times; None if it was not given.

    Raises:
        RequestError: For what is not of that form.
    """
    if not pairs:
        return None
    given = {}
    for pair in pairs:
        arguments = parse(f"training:{pair}").args
        key, value = arguments[0] if len(arguments) == 1 else (None, "")
        if key is None:
            raise RequestError(f"--training {pair!r} is not of the form field=value: try epochs=6")
        given[key] = read_value(value)
    return given
