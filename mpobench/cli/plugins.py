"""``mpobench plugins``: what is installed, where it comes from, and what does not work."""

from __future__ import annotations

import json
from typing import Annotated, Any, get_args

import typer

from mpobench.cli.lazy import BUILTIN
from mpobench.display.tables import print_table
from mpobench.registry.cards import Kind
from mpobench.registry.loading import Registered
from mpobench.registry.registry import Registry, get_registry


def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """List every component with its distribution and version, then broken plugins and clashing names.

    \b
    Examples:
      mpobench plugins
      mpobench plugins --json
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    registry = get_registry()
    found = [registered for kind in get_args(Kind) for registered in registry.cards(kind)]
    if as_json:
        content = {
            "components": [row(registered) for registered in found],
            "broken": [vars(broken) for broken in registry.broken],
            "conflicts": conflicts(registry),
        }
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    print_table(
        ("kind", "name", "summary", "distribution", "version"),
        [
            (offer.card.kind, offer.card.name, offer.card.summary, offer.distribution, offer.version)
            for offer in found
        ],
    )
    for title, lines in (("Broken", map(str, registry.broken)), ("Conflicts", conflicts(registry))):
        for number, line in enumerate(lines):
            typer.echo(f"\n{title}:\n  {line}" if number == 0 else f"  {line}")


def conflicts(registry: Registry) -> list[str]:
    """One line per name that cannot be used."""
    return [
        *map(str, registry.conflicts),
        *(
            f"command {command.card.name!r} of {command.source} is hidden by the built-in one"
            for command in registry.cards("command")
            if command.card.name in BUILTIN
        ),
    ]


def row(registered: Registered) -> dict[str, Any]:
    """A component as JSON."""
    card = registered.card
    return {
        "kind": card.kind,
        **card.model_dump(mode="json", exclude={"version"}),
        "behaviour_version": card.version,
        "distribution": registered.distribution,
        "version": registered.version,
    }
