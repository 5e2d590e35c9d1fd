"""``mpobench check``: whether the components of a plugin keep the promises of their protocols."""

from __future__ import annotations

from typing import Annotated

import typer

from mpobench.registry.registry import get_registry
from mpobench.testing.plugins import check_plugin, offered_by


def check(
    package: Annotated[
        str, typer.Argument(help="Installed plugin, by pip's name or by the folder of its pyproject.toml.")
    ],
) -> None:
    """Check everything that a plugin offers by mpobench.testing: each failure in one sentence, with what to do.

    Exit code 1 if a promise is not kept. An environment is trained at the scale smoke.

    \b
    Examples:
      mpobench check mpobench-my-loss
      mpobench check ./my-loss
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    registry = get_registry()
    components = offered_by(package, registry)
    failed = 0
    for done in check_plugin(components, registry):
        failed += done.failure is not None
        typer.echo(f"{'FAILED' if done.failure else 'ok':6}  {done.label}  ({done.seconds:.1f} s)")
        for line in (*([done.failure] if done.failure else []), *done.notes):
            typer.echo(f"        {line}")
    typer.echo(f"{len(components) - failed} of {len(components)} keep their promises")
    raise typer.Exit(int(failed > 0))
