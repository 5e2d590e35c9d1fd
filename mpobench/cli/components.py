"""``mpobench objectives``, ``envs``, ``trackers`` and so on, a command for each kind: list them, show one."""

from __future__ import annotations

import contextlib
import inspect
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from mpobench.cli.plugins import row
from mpobench.display.tables import print_table
from mpobench.errors import RequestError, SpecError
from mpobench.protocols import Objective, Tensors
from mpobench.registry.build import Configured
from mpobench.registry.fields import FieldDoc, describe
from mpobench.registry.loading import Registered
from mpobench.registry.objective_files import ObjectiveFile, ObjectiveFileCard, read_objective_file
from mpobench.registry.registry import get_registry
from mpobench.registry.specs import format_value, is_file, parse

_Kind: TypeAlias = Literal["env", "corruption", "objective", "evaluator", "launcher", "tracker"]
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
    components = get_registry().cards(kind)
    if as_json:
        typer.echo(json.dumps([_about(component) for component in components], indent=2, ensure_ascii=False))
        return
    if kind == "objective":
        print_table(
            ("name", "origin", "stages", "reference", "summary"),
            [(one.card.name, *_traits(_about(one)), one.card.summary) for one in components],
        )
        return
    print_table(
        ("name", "summary", "from"), [(one.card.name, one.card.summary, one.source) for one in components]
    )


def _about(registered: Registered) -> dict[str, Any]:
    """A component as JSON; of an objective also how it trains by default, null where its class cannot be had."""
    if registered.card.kind != "objective":
        return row(registered)
    needs: dict[str, bool | None] = {"two_stage": None, "needs_reference": None}
    # A broken plugin, or a field that has no default, is listed all the same.
    with contextlib.suppress(RequestError):
        objective = get_registry().without_tensors(registered.card.name)
        needs = {"two_stage": objective.two_stage, "needs_reference": objective.needs_reference}
    return {**row(registered), **needs}


def _traits(about: dict[str, Any]) -> tuple[str, str, str]:
    """Origin, stages and reference of an objective, in words."""
    stages = {True: "two", False: "one", None: "?"}[about["two_stage"]]
    return about["origin"], stages, {True: "yes", False: "no", None: "?"}[about["needs_reference"]]


def _show_file(built: Configured[Objective], file: ObjectiveFile, as_json: bool) -> None:
    """Card, provenance and values of an objective file, or of what a spec makes of it."""
    card, base = file.card, get_registry().find("objective", file.card.objective)
    if as_json:
        fields = built.component.model_dump(mode="json")
        content = {**card.model_dump(mode="json"), "path": str(file.path), "fields": fields}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{built.text}: {card.summary} ({file.path})")
    typer.echo(f"Source: {card.citation}" if card.citation else f"Origin: {card.origin}")
    typer.echo(f"A {base.card.name!r} of {base.source}; see 'mpobench objectives show {base.card.name}'")
    _show_provenance(card)
    typer.echo()
    print_table(
        ("option", "value", "range", "search", "description"),
        [
            (
                f.name,
                _value(getattr(built.component, f.name)),
                f.range,
                str(f.search or ""),
                f.description,
            )
            for f in describe(type(built.component))
        ],
    )


def _show_provenance(card: ObjectiveFileCard) -> None:
    if card.provenance:
        typer.echo()
        print_table(
            ("provenance", ""), [(key, format_value(value)) for key, value in card.provenance.items()]
        )


def _value(value: object) -> str:
    return f"tensors {value.sha256[:12]}…" if isinstance(value, Tensors) else format_value(value)


def _show(kind: _Kind, name: str, as_json: bool) -> None:
    spec = parse(name)
    if kind == "objective" and is_file(spec.name):
        built = get_registry().build("objective", name)
        _show_file(built, built.file or read_objective_file(Path(spec.name)), as_json)
        return
    if spec.args:
        raise SpecError(f"{name!r} has options: show takes a name alone, {spec.name!r}")
    registered = get_registry().find(kind, name)
    model, file = get_registry().resolve(kind, name), get_registry().file(registered)
    fields = describe(model) if file is None else _described(registered)
    text = inspect.getdoc(model) or ""
    if as_json:
        content = {**_about(registered), "doc": text, "fields": [asdict(field) for field in fields]}
        if file is not None:
            content |= {"objective": file.card.objective, "provenance": file.card.provenance}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    card = registered.card
    typer.echo(f"{card.name}: {card.summary} ({registered.source})")
    if card.citation:
        typer.echo(f"Source: {card.citation}")
    if kind == "objective":
        origin, stages, reference = _traits(_about(registered))
        typer.echo(f"Origin: {origin}. Stages: {stages}. Reference policy: {reference}.")
    if file is not None:
        base = get_registry().base(registered)
        typer.echo(f"A {base.card.name!r} of {base.source} with the numbers of {file.path}.")
        _show_provenance(file.card)
    typer.echo(f"\n{text}\n")
    if not fields:
        typer.echo("It has no options.")
        return
    print_table(
        ("option", "type", "default", "range", "search", "description"),
        [
            (f.name, f.type, f.default or "(required)", f.range, str(f.search or ""), f.description)
            for f in fields
        ],
    )
    if card.positional:
        typer.echo(f"\n{card.name}:VALUE is short for {card.name}:{card.positional}=VALUE.")


def _described(registered: Registered) -> list[FieldDoc]:
    """The fields of a registered objective file, whose defaults are the file's values."""
    component = get_registry().build("objective", registered.card.name).component
    return [
        replace(field, default=_value(getattr(component, field.name))) for field in describe(type(component))
    ]


envs = _app("env", "envs", "tla")
corruptions = _app("corruption", "corruptions", "noisy")
objectives = _app("objective", "objectives", "dpo")
evaluators = _app("evaluator", "evaluators", "return")
launchers = _app("launcher", "launchers", "local")
trackers = _app("tracker", "trackers", "tensorboard")
