"""What the metadata say: Pythons that the dependencies allow, a complete tested set, citation and changelog."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from clean_environment import requirements_of
from packaging.specifiers import SpecifierSet

import mpobench
from mpobench.doctor.versions import read_constraints

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
TESTED = read_constraints((ROOT / "constraints.txt").read_text())


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_tested_set_has_everything_that_an_extra_brings(extra: str) -> None:
    brought = requirements_of(PROJECT, extra)
    assert len(brought) > 30
    assert brought - set(TESTED) <= {"setuptools"}, "which torch wants, in any version"


def pythons() -> list[str]:
    """Minor versions of Python that the classifiers name."""
    found = (
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each) for each in PROJECT["classifiers"]
    )
    return [match[1] for match in found if match]


def test_classifiers_are_the_pythons_that_are_required() -> None:
    minors = [int(version.partition(".")[2]) for version in pythons()]
    assert minors == list(range(minors[0], minors[-1] + 1))
    required = SpecifierSet(PROJECT["requires-python"])
    assert all(f"3.{minor}" in required for minor in minors)
    assert f"3.{minors[0] - 1}" not in required
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py3{minors[0]}"


def test_every_tested_dependency_allows_these_pythons() -> None:
    refused, seen = {}, 0
    for name in TESTED:
        try:
            allowed = SpecifierSet(metadata(name).get("Requires-Python") or "")
        except PackageNotFoundError:
            continue
        seen += 1
        refused |= {(name, version): str(allowed) for version in pythons() if f"{version}.9" not in allowed}
    assert seen > 100
    assert not refused


def test_citation_names_the_paper_and_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"]
    assert citation["type"] == "software"
    assert citation["version"] == mpobench.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert citation["authors"] == PROJECT["authors"]
    paper = citation["preferred-citation"]
    assert paper["type"] == "conference-paper"
    names = [f"{author['family-names']}, {author['given-names']}" for author in paper["authors"]]
    assert len(names) == 5
    readme = (ROOT / "README.md").read_text()
    assert f"author = {{{' and '.join(names)}}}" in readme
    for title in (citation["title"], paper["title"]):
        assert f"title = {{{title}}}" in readme


def test_changelog_has_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(.+?)\](.*)$", text, re.MULTILINE)
    assert versions
    assert mpobench.__version__ in " ".join(versions[0]), "the newest is on top"
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
