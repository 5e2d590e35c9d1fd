"""Lines for the user on stderr, each after the program's name."""

from __future__ import annotations

import typer


def say(line: object) -> None:
    """Prints a line."""
    typer.echo(f"mpobench: {line}", err=True)


def warn(line: object) -> None:
    """Prints a warning."""
    say(f"warning: {line}")
