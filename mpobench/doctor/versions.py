"""Installed packages against what mpobench requires, and against the set of versions that it is tested with."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mpobench
from mpobench.doctor.finding import Finding

_DISTRIBUTION = "mpobench"
_NOT_FOR_USERS = {"dev", "docs"}


def constraints_file() -> Path | None:
    """The tested set: in the installed package, or at the top of a checkout."""
    package = Path(mpobench.__file__).parent
    places = package / "constraints.txt", package.parent / "constraints.txt"
    return next((place for place in places if place.is_file()), None)


def read_constraints(text: str) -> dict[str, str]:
    """Tested version of each package, by canonical name.

    Args:
        text: Content of a constraints file: ``name==version`` a line, and comments.
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    pairs = (line.partition("==") for line in lines if "==" in line)
    return {canonicalize_name(name.strip()): number.strip() for name, _, number in pairs}


def check_versions() -> Iterator[Finding]:
    """The interpreter, mpobench, and every package that it or one of its extras requires."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform()}")
    try:
        own, required = version(_DISTRIBUTION), [Requirement(line) for line in requires(_DISTRIBUTION) or ()]
    except PackageNotFoundError:
        yield Finding("broken", _DISTRIBUTION, "is not installed", "pip install -c constraints.txt .")
        return
    yield Finding("ok", _DISTRIBUTION, own)
    file = constraints_file()
    tested = {} if file is None else read_constraints(file.read_text(encoding="utf-8"))
    if not tested:
        yield Finding("note", "tested set", "there is no list of tested versions in this installation")
    offered = set(metadata(_DISTRIBUTION).get_all("Provides-Extra") or ())
    extras = {each: _extras(each, offered) for each in required}
    for extra in ("", *sorted(set().union(*extras.values()) - {""} - _NOT_FOR_USERS)):
        yield from _check_group(extra, [each for each in required if extra in extras[each]], tested, file)


def _extras(requirement: Requirement, offered: Iterable[str]) -> set[str]:
    """The extras that want a requirement here; "" for a requirement of mpobench itself."""
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return {""}
    return {extra for extra in offered if marker.evaluate({"extra": extra})}


def _check_group(
    extra: str, required: list[Requirement], tested: dict[str, str], file: Path | None
) -> Iterator[Finding]:
    """The packages of an extra: those that do not fit one by one, the others in one line."""
    group = f"extra {extra}" if extra else "libraries"
    name = f"'mpobench[{extra}]'" if extra else "mpobench"
    with_file = f" -c {file}" if file else ""
    installed = {each.name: _version(each.name) for each in required if each.name != _DISTRIBUTION}
    missing = sorted(package for package, number in installed.items() if number is None)
    if extra and missing:
        lacks = "is not installed" if len(missing) == len(installed) else f"lacks {', '.join(missing)}"
        yield Finding("note", group, lacks, f"where it is wanted: pip install{with_file} {name}")
    other = []
    for each in required:
        number = installed.get(each.name)
        if number is None:
            if not extra:
                yield Finding("broken", each.name, "is not installed", f"pip install{with_file} {name}")
            continue
        if not each.specifier.contains(number, prereleases=True):
            found = f"{number} is installed, and {each.specifier} is needed"
            yield Finding("broken", each.name, found, f"pip install{with_file} '{each.name}{each.specifier}'")
        elif (wanted := tested.get(canonicalize_name(each.name))) and _public(number) != _public(wanted):
            other.append(f"{each.name} {number} (tested: {wanted})")
    if other:
        advice = f"if results differ from published ones: pip install{with_file} {name}"
        yield Finding("note", group, f"other versions than the tested ones: {', '.join(other)}", advice)
    elif not missing:
        versions = f"in the tested version{'s' * (len(installed) > 1)}" if tested else "as required"
        yield Finding("ok", group, f"{', '.join(sorted(installed))}: {versions}")


def _public(number: str) -> str:
    """A version without its local part: ``2.13.0`` of ``2.13.0+cpu``."""
    return number.partition("+")[0]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
