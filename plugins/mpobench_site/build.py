"""From results to the files of a site. The same results give the same files: there is no date in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpobench.files.atomic import write_atomically
from mpobench.leaderboard.numbers import by_version, ranges
from mpobench.leaderboard.standings import Section, standings
from mpobench.leaderboard.tuned_line import tuned_blocks
from mpobench.registry.registry import Registry, get_registry
from mpobench_site import vendored
from mpobench_site.again import Commands
from mpobench_site.boards import Board, find_boards
from mpobench_site.budget_data import budget_data
from mpobench_site.curve_data import curve_data
from mpobench_site.field_data import field_data
from mpobench_site.film_data import film_data
from mpobench_site.index_data import card_of
from mpobench_site.sample_data import sample_data
from mpobench_site.section_data import section_data

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent
ASSETS = (
    "site.css",
    "theme.js",
    "table.js",
    "cells.js",
    "charts.js",
    "fields.js",
    "samples.js",
    "films.js",
    "page.js",
)
"""Files of this package that every site has, scripts in the order in which a page loads them."""

Note = Callable[[str], None]


def build(
    places: Sequence[Path], output: Path, *, title: str, cache: Path | None, note: Note
) -> Iterator[tuple[Path, int]]:
    """Writes a site.

    Args:
        places: Folders or files of results, see :func:`mpobench_site.boards.find_boards`.
        output: Folder of the site.
        title: Name of the site.
        cache: Folder where films are kept, and what they need is made; None for a site without rollouts.
        note: Function that is called with lines for the user.

    Yields:
        Each page, and its size in bytes with the data of its own; the index comes last, with 0.

    Raises:
        RequestError: If there are no results, or the site cannot be written.
    """
    boards, registry = find_boards(places), get_registry()
    templates = _templates()
    _write_assets(output)
    cards = []
    for board in boards:
        for line in board.damaged:
            note(f"warning: {line}")
        sections = standings(board.results)
        data = _data(board, sections, registry)
        films = [] if cache is None else film_data(sections, registry, cache, note)
        page = templates.get_template("board.html").render(
            site=title, board=board, data=data, films=films, sections=sections,
            others=[other.name for other in boards], filters=_filters(sections),
            provenance=_provenance(board), ranges=ranges, scripts=[name for name in ASSETS if name.endswith(".js")],
        )  # fmt: skip
        contents = {
            f"{board.name}.html": page,
            f"data/{board.name}.js": _script("mpobenchData", data),
        }
        if films:
            contents[f"data/{board.name}.films.js"] = _script("mpobenchFilms", films)
        for name, content in contents.items():
            write_atomically(output / name, content)
        cards.append(card_of(board, sections))
        yield output / f"{board.name}.html", sum(len(content.encode()) for content in contents.values())
    index = templates.get_template("index.html").render(site=title, cards=cards)
    write_atomically(output / "index.html", index)
    yield output / "index.html", 0


def _data(board: Board, sections: Sequence[Section], registry: Registry) -> dict[str, Any]:
    commands = Commands(board.suite, registry)
    return {
        "name": board.name,
        "sections": [
            {
                **section_data(section, commands),
                "curves": curve_data(section),
                "fields": field_data(section, registry),
                "samples": sample_data(section),
                "budget": budget_data(section, board.budgets),
                "tuned": tuned_blocks(section, board.tunings, str),
            }
            for section in sections
        ],
    }


def _filters(sections: Sequence[Section]) -> dict[str, list[str]]:
    """The choices of each filter, in the order of their first appearance."""
    return {
        "environment": list(dict.fromkeys(section.env for section in sections)),
        "evaluator": list(dict.fromkeys(section.evaluator for section in sections)),
        "scale": list(dict.fromkeys(section.scale for section in sections)),
        "corruption": list(dict.fromkeys(column for section in sections for column in section.columns)),
        "origin": list(dict.fromkeys(row.origin for section in sections for row in section.rows)),
    }


def _provenance(board: Board) -> dict[str, list[str]]:
    """Versions that computed the results, by package."""
    versions: dict[str, set[str]] = {}
    for result in board.results:
        for package, version in result.versions.items():
            versions.setdefault(package, set()).add(version)
    return {package: by_version(found) for package, found in sorted(versions.items())}


def _script(name: str, value: Any) -> str:
    """A script that sets a global variable; ASCII, and JSON inside a string, so that no key or text is code."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("\\", "\\\\").replace("'", "\\'")
    return f"window.{name} = JSON.parse('{text}');\n"


def _templates() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _write_assets(output: Path) -> None:
    """Styles, scripts and libraries, which all pages share."""
    for name in ASSETS:
        write_atomically(output / "assets" / name, (HERE / "assets" / name).read_bytes())
    made = {"vega.js": vendored.vega, "three.js": vendored.three, "brax.js": vendored.brax_viewer}
    for name, make in made.items():
        write_atomically(output / "assets" / name, make())
    write_atomically(output / "LICENCES.txt", vendored.LICENCES)
