"""A hook of mkdocs: pages that lie elsewhere in the repository, and links as they are written in the repository.

README.md is the home page, and leaderboards, CONTRIBUTING.md and CHANGELOG.md are pages too, so that nothing is
written twice. Every link is a path from the file that it stands in, which works where the repository is read; here it
becomes the place of its target in the site. A link to a file that the site lacks is left as it is, and fails a strict
build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "CITATION.cff",
} | {
    path.relative_to(ROOT).as_posix(): f"{folder.name}/{path.name}"
    for folder in (ROOT / "leaderboards", ROOT / "docs" / "pictures")
    for path in sorted(folder.glob("*.*"))
}
"""Files outside of docs/pages by their paths in the repository, and their places in the site."""

LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)(?=[)#])")
"""Target of a relative link or picture, without its anchor."""


def on_config(config: MkDocsConfig) -> None:
    """Puts every published leaderboard into the navigation."""
    boards = [
        {Path(place).stem: place} for place in OUTSIDE.values() if re.fullmatch(r"leaderboards/.+\.md", place)
    ]
    for section in config.nav or []:
        if "Published leaderboards" in section:
            section["Published leaderboards"] = boards
    config.watch.extend(str(ROOT / path) for path in OUTSIDE)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the files that lie outside of docs/pages."""
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text of a page, with links into the site, and with tables inside of ``<details>``."""
    return site_text(markdown, page.file.src_uri).replace("<details>", '<details markdown="1">')


def site_text(markdown: str, place: str) -> str:
    """The text of the page at ``place`` in the site, with links into the site."""
    written_in = {there: path for path, there in OUTSIDE.items()}.get(place, f"docs/pages/{place}")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(written_in), link["path"]))
        there = OUTSIDE.get(target, target.removeprefix("docs/pages/"))
        if target == there and target not in OUTSIDE:
            return link["path"]
        return posixpath.relpath(there, posixpath.dirname(place) or ".")

    return LINK.sub(moved, markdown)
