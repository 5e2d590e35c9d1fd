"""Commands that are imported when they are invoked: ``--help`` reads names and one-line helps only."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from mpobench.errors import MpobenchError, PluginError, one_line
from mpobench.registry.registry import get_registry, import_target
from mpobench.registry.suggestions import suggest

BUILTIN: dict[str, tuple[str, str]] = {
    "run": ("mpobench.cli.run:app", "Run a suite and print its leaderboard."),
    "tune": ("mpobench.cli.tune:app", "Tune objectives per environment and corruption."),
    "leaderboard": ("mpobench.cli.leaderboard:app", "Rebuild the leaderboard from results."),
    "compare": ("mpobench.cli.compare:app", "Compare results with the paper's, and decide its claims."),
    "status": ("mpobench.cli.status:app", "Show what is done, what runs, and how long it takes."),
    "show": ("mpobench.cli.show:app", "Show one cell: numbers, curves, configuration."),
    "diff": ("mpobench.cli.diff:app", "Show what two sets of results disagree on."),
    "export": ("mpobench.cli.export:app", "Write results as CSV or Parquet."),
    "verify": ("mpobench.cli.verify:app", "Check published results, and make some of their cells again."),
    "clean": ("mpobench.cli.clean:app", "Remove old files from the cache."),
    "doctor": ("mpobench.cli.doctor:app", "Check this machine and installation."),
    "new": ("mpobench.cli.new:new", "Write a plugin to begin with."),
    "check": ("mpobench.cli.check:check", "Check that a plugin keeps its promises."),
    "plugins": ("mpobench.cli.plugins:plugins", "List every component, its plugin, and what is broken."),
    "envs": ("mpobench.cli.components:envs", "List environments, or show one with its options."),
    "corruptions": ("mpobench.cli.components:corruptions", "List dataset corruptions, or show one."),
    "objectives": ("mpobench.cli.components:objectives", "List objectives, or show one with its options."),
    "evaluators": ("mpobench.cli.components:evaluators", "List evaluators, or show one with its options."),
    "launchers": ("mpobench.cli.components:launchers", "List launchers, or show one with its options."),
    "trackers": ("mpobench.cli.components:trackers", "List trackers, or show one with its options."),
}
"""The commands of the core: where each is, and its line in ``--help``."""

_COMPLETION = {"install_completion", "show_completion"}


class LazyGroup(TyperGroup):
    """The built-in commands, then those of plugins; a built-in name cannot be taken."""

    # The type of a context is typer's own or click's, depending on the version of typer: hence Any.

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order in which ``--help`` shows them."""
        return [*BUILTIN, *sorted(self._offered())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The name and the help of a command, for ``--help`` and completion."""
        if cmd_name in BUILTIN:
            return TyperCommand(cmd_name, help=BUILTIN[cmd_name][1])
        summary = self._offered().get(cmd_name)
        return None if summary is None else TyperCommand(cmd_name, help=summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is about to run: now it is imported.

        Raises:
            MpobenchError: If it cannot be.
        """
        name = args[0]
        if name not in self.list_commands(ctx):
            ctx.fail(f"no such command {name!r}: {suggest(name, self.list_commands(ctx))}")
        if name not in BUILTIN:
            return name, _as_command(import_target(get_registry().find("command", name)), name), args[1:]
        module, _, attribute = BUILTIN[name][0].partition(":")
        try:
            target = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise MpobenchError(f"command {name!r} cannot be loaded: {one_line(error)}") from error
        return name, _as_command(target, name), args[1:]

    def _offered(self) -> dict[str, str]:
        cards = [registered.card for registered in get_registry().cards("command")]
        return {card.name: card.summary for card in cards if card.name not in BUILTIN}


def _as_command(target: object, name: str) -> Any:
    """A typer app, or a function with typer's annotations, as a command."""
    if not isinstance(target, typer.Typer):
        if not callable(target):
            raise PluginError(f"command {name!r} is a {type(target).__name__}, not a typer.Typer app")
        app = typer.Typer(rich_markup_mode=None)
        app.command(name)(target)
        target = app
    command = get_command(target)
    # Completion belongs to the program, not to each of its commands.
    command.params = [param for param in command.params if param.name not in _COMPLETION]
    return command
