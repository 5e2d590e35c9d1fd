"""A browser, and pages in it that note what goes wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import PATIENCE
from website_samples import until

FLAGS = ("--no-sandbox", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium. CI installs it (.ci/run); elsewhere its tests are skipped where it is missing."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("there is no chromium, which .ci/run installs: apt-get install chromium")
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium, args=list(FLAGS), timeout=1000 * PATIENCE
        )
        yield launched
        launched.close()


class Watched:
    """A page that notes errors and every request that leaves the disk."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("requestfailed", lambda request: self.wrong.append(f"failed: {request.url}"))
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", self._outside)

    def _outside(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.wrong.append(f"outside: {request.url}")

    def open(self, file: Path, fragment: str = "") -> Any:
        self.page.goto(f"file://{file}{fragment}")
        if file.name != "index.html":
            self.page.wait_for_selector("html[data-ready]")
        return self.page

    def scroll_through(self) -> None:
        """Comes near everything that is drawn only when somebody could see it, and waits until it is."""
        until(
            self.page,
            """(() => {
              const plots = "figure[data-chart]:not([hidden]) .plot, .field:not([hidden]):not(:has(> .fine)) .plot";
              const left = [...document.querySelectorAll(plots)].find((plot) => !plot.childElementCount);
              if (left) left.scrollIntoView();
              return !left;
            })()""",
        )


@pytest.fixture
def watched(browser: Any) -> Iterator[Callable[..., Watched]]:
    """Opens watched pages, each in a context of its own: ``watched(width=360, color_scheme="dark")``."""
    contexts = []

    def make(width: int = 1280, height: int = 900, **options: Any) -> Watched:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(1000 * PATIENCE)
        contexts.append(context)
        return Watched(context.new_page())

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the sample leaderboards, one of them hostile, with a rollout that costs nothing."""
    from website_samples import board_folder, make_site, rolling_ball

    import mpobench_site.build
    from mpobench_site.film_data import viewer_system

    films = [
        {
            "env": "tla",
            "trained": "sft on base, seed 0",
            "films": [
                {"name": name, "film": viewer_system(rolling_ball(frames))}
                for name, frames in (("original agent", 20), ("target agent", 40), ("sft", 30))
            ],
        }
    ]
    folder = tmp_path_factory.mktemp("website")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mpobench_site.build, "film_data", lambda *_: films)
        make_site([board_folder(folder / "boards")], folder / "site", cache=folder)
    return folder / "site"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of what the repository publishes, without rollouts."""
    from website_samples import PUBLISHED, make_site

    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PUBLISHED.parent)
        make_site([Path(PUBLISHED.name)], folder)
    return folder
