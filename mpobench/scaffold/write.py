"""An installable plugin, written from the example: the files of one kind, under new names."""

from __future__ import annotations

import io
import re
import tokenize
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from mpobench.errors import RequestError
from mpobench.files.atomic import write_atomically
from mpobench.registry.cards import NAME
from mpobench.registry.loading import HOOKS
from mpobench.registry.registry import Registry
from mpobench.scaffold.parts import EXAMPLE_MODULE, NewPlugin

_COMMANDS = {
    "objective": "mpobench run --objectives sft,{name} --scale smoke",
    "corruption": "mpobench run --objectives sft --corruptions base,{name}:0.2 --scale smoke",
    "env": "mpobench run --envs {name} --objectives sft,dpo --scale smoke",
    "evaluator": "mpobench run --envs {name}-task --evaluators {name} --objectives sft --scale smoke",
    "launcher": "mpobench run --objectives sft --scale smoke --launcher {name}",
}
"""A first run with the component."""


def new_plugin(plugin: NewPlugin, folder: Path, registry: Registry) -> list[Path]:
    """Writes a plugin.

    Args:
        plugin: Plugin.
        folder: Folder to make.
        registry: Installed components, whose names are taken.

    Returns:
        The files.

    Raises:
        RequestError: If a name is not allowed or taken, or the folder holds something.
    """
    for kind, name in plugin.names.items():
        _check_name(kind, name, registry)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"{folder} is there already: name another folder with --output")
    texts = _texts(plugin)
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / path, text)
    return [folder / path for path in texts]


def next_steps(plugin: NewPlugin, folder: Path) -> list[str]:
    """Commands that install the plugin, check it and use it."""
    first_run = _COMMANDS[plugin.kind].format(name=plugin.name)
    return [f"pip install -e {folder}", f"mpobench check {plugin.distribution}", first_run]


def _check_name(kind: str, name: str, registry: Registry) -> None:
    if not re.fullmatch(NAME, name) or len(name) > 40:
        raise RequestError(
            f"{name!r} is no name: at most 40 of a-z, 0-9, '.', '_' and '-', the first one a letter or a digit"
        )
    for taken in registry.cards(kind):  # type: ignore[arg-type]
        if taken.card.name == name:
            raise RequestError(f"{taken.source} has a {kind} {name!r} already: choose another name")


def _texts(plugin: NewPlugin) -> dict[str, str]:
    """The content of each file, by its path in the folder of the plugin."""
    example = resources.files("mpobench.scaffold") / "example"
    package = example / EXAMPLE_MODULE
    texts = {
        "pyproject.toml": _pyproject(_read(example / "pyproject.toml"), plugin),
        "README.md": _readme(plugin),
        f"{plugin.module}/__init__.py": _hooks(_read(package / "__init__.py"), plugin),
        f"{plugin.module}/py.typed": "",
    }
    for kind in plugin.names:
        module, test = _read(package / f"{kind}.py"), _read(example / "tests" / f"test_{kind}.py")
        _check_classes(plugin, module + test)
        texts[f"{plugin.module}/{kind}.py"] = plugin.renamed(module)
        texts[f"tests/test_{kind}.py"] = plugin.renamed(test)
    return texts


def _check_classes(plugin: NewPlugin, code: str) -> None:
    """Refuses a class that would hide what code of the example calls by its name: ``class Field(Objective)``."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    used = {token.string for token in tokens if token.type == tokenize.NAME} - plugin.classes.keys()
    if hidden := used.intersection(plugin.classes.values()):
        raise RequestError(
            f"the class of {plugin.name!r} would be {min(hidden)}, a name that its file uses already: choose another"
        )


def _read(file: Traversable) -> str:
    return file.read_text("utf-8")


def _pyproject(example: str, plugin: NewPlugin) -> str:
    described = re.sub(r'description = ".*"', f'description = "{_title(plugin)}"', example)
    return plugin.renamed(re.sub(r"^example = ", f"{plugin.module} = ", described, flags=re.M))


def _hooks(example: str, plugin: NewPlugin) -> str:
    """The example's module with the hooks of the plugin's kinds alone."""
    _, *hooks = example.split("@hookimpl\n")
    names = {f"mpobench_{kind}s": kind for kind in plugin.names}
    kept = {hook: text.rstrip() for text in hooks for hook in names if text.startswith(f"def {hook}(")}
    cards = ", ".join(sorted(HOOKS[hook].__name__ for hook in kept))
    head = (
        f'"""{_title(plugin)}."""\n\nfrom __future__ import annotations\n\n'
        f"from collections.abc import Iterable\n\nfrom mpobench import {cards}, hookimpl\n"
    )
    return plugin.renamed("\n\n".join([head, *(f"@hookimpl\n{text}\n" for text in kept.values())]))


def _title(plugin: NewPlugin) -> str:
    article = "An" if plugin.kind[0] in "aeiou" else "A"
    kind = {"env": "environment"}.get(plugin.kind, plugin.kind)
    return f"{article} {kind} of mpobench: {plugin.name}"


def _readme(plugin: NewPlugin) -> str:
    commands = "\n".join(
        f"    {line}" for line in ["pip install -e .", *next_steps(plugin, Path())[1:], "pytest"]
    )
    return (
        f"# {plugin.distribution}\n\n{_title(plugin)}.\n\n{commands}\n\n"
        f"What it does is in `{plugin.module}/{plugin.kind}.py`: put your own there, and its numbers into "
        f"`tests/test_{plugin.kind}.py`. Raise the card's `version` in `{plugin.module}/__init__.py` when results "
        "change.\n"
    )
