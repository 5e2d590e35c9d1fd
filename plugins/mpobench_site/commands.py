"""``mpobench site``: leaderboards as pages that open from disk."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from mpobench.files.cache import cache_folder, in_use

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(
    epilog="\b\nExamples:\n"
    "  mpobench site leaderboards/ --output site/\n"
    "  mpobench site results --output site/ --no-rollouts\n"
    "  rsync -a --delete site/ HOST:/var/www/mpobench/     (or any other host of static files)"
)
def site(
    leaderboards: Annotated[
        list[Path],
        typer.Argument(
            help="Folder of published .jsonl files, with their suites, tuned.toml and budget.json files beside them; a "
            "results folder; or single .jsonl files."
        ),
    ],
    *,
    output: Annotated[Path, typer.Option(help="Folder of the site.")] = Path("site"),
    title: Annotated[str, typer.Option(help="Name of the site.")] = "mpobench",
    rollouts: Annotated[
        bool,
        typer.Option(
            "--rollouts/--no-rollouts",
            help="Show episodes of the agents and of a trained policy. The policy is trained the first time, which "
            "takes a minute or two for each environment; films are kept for later sites.",
        ),
    ] = True,
) -> None:
    """Make a static site of leaderboards: one page each, and an index.

    Open site/index.html in a browser: no server is needed, and nothing is loaded from elsewhere. Tables can be sorted
    and filtered; every number leads to its cells, and to the command that makes them again.

    The same results give the same files. To publish them, copy the folder to any host of static files.
    """
    from mpobench_site.build import build
    from mpobench_site.vendored import require_libraries

    require_libraries()
    with in_use(cache_folder()) if rollouts else nullcontext() as cache:
        made = build(
            leaderboards,
            output,
            title=title,
            cache=cache,
            note=lambda line: typer.echo(f"mpobench: {line}", err=True),
        )
    for page, size in made:
        typer.echo(f"{page}  {size / 1e6:.1f} MB with its data" if size else page)
