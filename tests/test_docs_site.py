"""The documentation as a site: built without a warning, fetching nothing, with every public name; links of pages."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from test_docs import PAGES, ROOT

import mpobench
import mpobench.protocols
import mpobench.testing
from mpobench.registry.registry import get_registry

LINK = re.compile(r"\]\(([^)\s]+)\)")


def outside_of_code(page: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings: in lower case, spaces as hyphens, other marks gone."""
    headings = re.findall(r"^#+ (.+)$", outside_of_code(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    dead = []
    for link in LINK.findall(outside_of_code(page)):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            dead.append(link)
    return dead


def script(name: str) -> ModuleType:
    """A module of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml", "-d", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_something(page: str) -> None:
    assert dead_links(ROOT / page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One `idea`, a page\n```bash\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](other.md) [b](other.md#one-idea-a-page) [c](#here) [d](https://example.org/x)\n"
        "[e](absent.md) [f](other.md#no-heading) [g](#there)\n```python\nx[0](absent)\n```\n"
    )
    assert dead_links(page) == ["absent.md", "other.md#no-heading", "#there"]


def test_a_page_is_reached_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(outside_of_code(page)) if "://" not in link)
        targets = {(page.parent / link).resolve() for link in links if link.endswith(".md")}
        ahead += targets - reached - set(ahead)
    unreached = {ROOT / page for page in PAGES} - reached
    assert {page.parent.name for page in unreached} <= {"reference"}, (
        "the reference has a navigation of its own"
    )


def test_site_has_every_page_and_fetches_nothing(site: Path) -> None:
    text = (site / "index.html").read_text()
    for page in PAGES:
        place = page.removeprefix("docs/pages/").lower().replace("readme", "index").replace(".md", ".html")
        assert (site / place).exists()
        assert place == "index.html" or f'href="{place}"' in text
    for board in (ROOT / "leaderboards").glob("*.md"):
        assert f'href="leaderboards/{board.stem}.html"' in text
    for results in (ROOT / "leaderboards").glob("*.jsonl"):
        assert (site / "leaderboards" / results.name).exists()
    for file in site.rglob("*.html"):
        page = file.read_text()
        fetched = re.findall(
            r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"?((?:https?:)?//[^\s\">]+)", page
        )
        assert not fetched, file
        assert "<p>|" not in page, f"{file}: a table that is not one"
    for file in site.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(?:https?:)?//", file.read_text()), file


def test_reference_has_every_public_name(site: Path) -> None:
    text = "".join(page.read_text() for page in (site / "reference").glob("*.html"))
    documented = {name.rpartition(".")[2] for name in re.findall(r'id="(mpobench[\w.]+)"', text)}
    public = {*mpobench.__all__, *mpobench.protocols.__all__, *mpobench.testing.__all__} - {"__version__"}
    assert public <= documented
    targets = [
        each.card.target for kind in ("objective", "corruption") for each in get_registry().cards(kind)
    ]
    classes = {target.replace(":", ".") for target in targets if target.startswith("mpobench_")}
    assert len(classes) > 30
    assert {name for name in classes if f'id="{name}"' not in text} == set()


def test_docstrings_become_markdown(site: Path) -> None:
    as_markdown = script("docstrings").as_markdown
    assert as_markdown("See :class:`~mpobench.Env` and :meth:`train`.") == "See `mpobench.Env` and `train`."
    told = as_markdown(
        "A hook.\n\nExample:\n    .. code-block:: python\n\n        import a\n\n        a.b()\n\nMore."
    )
    assert told == "A hook.\n\nExamples:\n    ```python\n    import a\n\n    a.b()\n    ```\nMore."
    for page in (site / "reference").glob("*.html"):
        assert not re.search(r":(?:class|meth|func|mod|data|attr|exc):|code-block::", page.read_text()), (
            page.name
        )


def test_links_of_the_repository_become_links_of_the_site() -> None:
    site_text = script("repository").site_text
    home = "[a](docs/pages/matrix.md#x) ![b](docs/pictures/scores.png) [c](leaderboards/tla.md) [d](CONTRIBUTING.md)"
    assert site_text(home, "index.md") == (
        "[a](matrix.md#x) ![b](pictures/scores.png) [c](leaderboards/tla.md) [d](contributing.md)"
    )
    deep = "[a](protocols.md) [b](../../../README.md#read-it) [c](../matrix.md) [d](#here) [e](https://x.org/y.md)"
    assert site_text(deep, "reference/mpobench.md") == deep.replace("../../../README.md", "../index.md")
    assert site_text("[a](../../plugins/x.py)", "speed.md") == "[a](../../plugins/x.py)", (
        "fails a strict build"
    )
