"""``mpobench doctor``: what of this machine and installation works, and what to do about the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mpobench.cli.messages import say
from mpobench.errors import one_line

if TYPE_CHECKING:
    from mpobench.doctor.finding import Finding

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

_Check: TypeAlias = "Callable[[], Iterable[Finding]]"


@app.command()
def doctor(
    *,
    results: Annotated[Path, typer.Option(help="Results folder to look at.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """Check this machine and installation, and say what to do.

    Versions against the tested set, the devices that jax and torch see, plugins, the folders that a run writes, whether
    workers start, and the hub. It takes some seconds, computes nothing and installs nothing.

    \b
    Examples:
      mpobench doctor
      mpobench doctor --results /shared/results
      mpobench doctor --json

    A line is ok, a note (it works, but you should know) or broken. Exit code 1 if something is broken.
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    found = []
    for finding in _findings(results):
        found.append(finding)
        if not as_json:
            advice = f"\n{'':29}→ {finding.advice}" if finding.advice else ""
            typer.echo(f"{finding.level:8}{finding.what:20} {' '.join(finding.found.split())}{advice}")
    broken = sum(each.level == "broken" for each in found)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=2, ensure_ascii=False))
    else:
        verdict = f"{broken} of {len(found)} are broken" if broken else "nothing is broken"
        say(verdict)
    raise typer.Exit(int(bool(broken)))


def _findings(results: Path) -> Iterator[Finding]:
    """All findings in order; the checks that wait for other processes do so at the same time."""
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    from mpobench.doctor import devices, places, versions
    from mpobench.registry.registry import get_registry

    registry = get_registry()
    checks: dict[str, _Check] = {
        "versions": versions.check_versions,
        "plugins": partial(places.check_plugins, registry),
        "machine": devices.check_machine,
        "jax": partial(devices.check_library, "jax"),
        "torch": partial(devices.check_library, "torch"),
        "cache": places.check_cache_folder,
        "results": partial(places.check_results_folder, results),
        "launchers": partial(places.check_launchers, registry),
        "hub": places.check_hub,
    }
    with ThreadPoolExecutor() as executor:
        running = [executor.submit(_all, name, check) for name, check in checks.items()]
        for each in running:
            yield from each.result()


def _all(name: str, check: _Check) -> list[Finding]:
    """The findings of a check, whatever happens to it."""
    from mpobench.doctor.finding import Finding

    try:
        return list(check())
    except Exception as error:  # noqa: BLE001  # a doctor who dies helps nobody
        return [Finding("broken", name, f"the check itself failed: {one_line(error)}", "please report this")]
