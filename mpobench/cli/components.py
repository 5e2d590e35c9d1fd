"""``mpobench objectives``, ``corruptions``, ``envs``, ``evaluators``, ``launchers``: list them, show one."""

from __future__ import annotations

import inspect
import json
from dataclasses import asdict
from typing import Annotated, Literal, TypeAlias

import typer

from mpobench.cli.plugins import row
from mpobench.cli.tables import print_table
from mpobench.fields import describe
from mpobench.registry import get_registry

_Kind: TypeAlias = Literal["env", "corruption", "objective", "evaluator", "launcher"]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
_Name = Annotated[str, typer.Argument(help="As the list has it.")]


def _app(kind: _Kind, plural: str, example: str) -> typer.Typer:
    examples = f"\b\nExamples:\n  mpobench {plural}\n  mpobench {plural} show {example}"
    app = typer.Typer(
        invoke_without_command=True,
        rich_markup_mode=None,
        add_completion=False,
        help=f"List {plural}, or show one with its options.",
        epilog=examples,
    )

    @app.callback()
    def default(ctx: typer.Context, as_json: _Json = False) -> None:
        if ctx.invoked_subcommand is None:
            _list(kind, as_json)

    @app.command("list", help=f"List all {plural}.", epilog=examples)
    def list_all(as_json: _Json = False) -> None:
        _list(kind, as_json)

    @app.command("show", help="Show one: its options, their defaults and ranges.", epilog=examples)
    def show(name: _Name, as_json: _Json = False) -> None:
        _show(kind, name, as_json)

    return app


def _list(kind: _Kind, as_json: bool) -> None:
    found = get_registry().cards(kind)
    if as_json:
        typer.echo(json.dumps([row(each) for each in found], indent=2, ensure_ascii=False))
        return
    print_table(
        ("name", "summary", "from"), [(each.card.name, each.card.summary, each.source) for each in found]
    )


def _show(kind: _Kind, name: str, as_json: bool) -> None:
    registered = get_registry().find(kind, name)
    model = get_registry().resolve(kind, name)
    fields = describe(model)
    text = inspect.getdoc(model) or ""
    if as_json:
        content = {**row(registered), "doc": text, "fields": [asdict(field) for field in fields]}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    card = registered.card
    typer.echo(f"{card.name}: {card.summary} ({registered.source})")
    if card.citation:
        typer.echo(f"Source: {card.citation}")
    typer.echo(f"\n{text}\n")
    if not fields:
        typer.echo("It has no options.")
        return
    print_table(
        ("option", "type", "default", "range", "description"),
        [(f.name, f.type, f.default or "(required)", f.range, f.description) for f in fields],
    )
    if card.positional:
        typer.echo(f"\n{card.name}:VALUE is short for {card.name}:{card.positional}=VALUE.")


envs = _app("env", "envs", "tla")
corruptions = _app("corruption", "corruptions", "noisy")
objectives = _app("objective", "objectives", "dpo")
evaluators = _app("evaluator", "evaluators", "return")
launchers = _app("launcher", "launchers", "local")
