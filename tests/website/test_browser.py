"""Pages in Chromium: they open from disk, sort, filter, explain their numbers; what they are told stays text."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from website_samples import HOSTILE, PUBLISHED, until, wait_on

from mpobench.leaderboard.standings import standings
from mpobench.results.store import read_results

Watch = Callable[..., Any]


def texts(page: Any, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


@pytest.mark.parametrize("board", ["tla", "smollm-style"])
def test_a_published_page_draws_everything_without_an_error(
    published: Path, watched: Watch, board: str
) -> None:
    seen = watched()
    page = seen.open(published / f"{board}.html")
    seen.scroll_through()
    charts = page.locator("figure[data-chart]:not([hidden])")
    assert charts.count() >= 4
    for at in range(charts.count()):
        assert charts.nth(at).locator("svg.marks path").count() > 3
    fields = page.locator(".field .plot")
    assert fields.count() == page.locator("tbody tr[data-row]").count()
    for at in range(fields.count()):
        image = fields.nth(at).locator("svg.marks image").get_attribute("href")
        assert (image or "").startswith("data:image/png")
    assert page.locator(".samples .answers dd").count() == (21 if board == "smollm-style" else 0)
    assert not seen.wrong


def test_the_index_leads_to_every_page(site: Path, watched: Watch) -> None:
    seen = watched()
    page = seen.open(site / "index.html")
    links = [link.get_attribute("href") for link in page.locator(".card h2 a").all()]
    assert links == ["good.html", "hostile.html"]
    page.click("text=good")
    page.wait_for_selector("html[data-ready]")
    assert page.url.endswith("/good.html")
    assert not seen.wrong


def test_headings_sort_both_ways_and_what_is_missing_stays_last(site: Path, watched: Watch) -> None:
    page = watched().open(site / "good.html")
    table = "#table-0"
    heading = page.locator(f"{table} thead th").nth(2)
    values = f"{table} tbody td[data-column='0']"

    def column() -> list[float]:
        return [float(cell.get_attribute("data-value")) for cell in page.locator(values).all()]

    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert column() == sorted(column(), reverse=True)
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(column())
    name = page.locator(f"{table} thead th").nth(0)
    name.locator("button").click()
    assert texts(page, f"{table} tbody th") == ["dpo", "sft", "tampo"]
    assert heading.get_attribute("aria-sort") is None, "one heading at a time"
    iqm = page.locator(f"{table} thead th", has_text="IQM")
    for _ in range(2):
        iqm.locator("button").click()
        assert texts(page, f"{table} tbody th")[-1] == "tampo", "it did not finish, and has none"


def test_filters_leave_what_is_asked_for(site: Path, watched: Watch) -> None:
    page = watched().open(site / "good.html")
    shown = "section.table:not([hidden]) tbody tr:not([hidden])"
    assert page.locator(shown).count() == 6
    page.select_option("select[name=origin]", "ours")
    assert texts(page, f"{shown} th") == ["tampo", "tampo"]
    assert page.inner_text("#count") == "2 of 6 rows"
    page.select_option("select[name=environment]", "hopper")
    assert page.locator("section.table:visible").count() == 1
    assert page.inner_text("#count") == "1 of 6 rows"
    page.select_option("select[name=origin]", "")
    page.select_option("select[name=corruption]", "noisy:0.3")
    assert texts(page, "section.table:visible thead th[data-column]:not([hidden])") == ["noisy:0.3"]
    page.fill("input[name=objective]", "DP")
    assert texts(page, f"{shown} th") == ["dpo"]
    assert page.locator("select[name=evaluator]").is_disabled(), "there is nothing to choose"


def test_plots_follow_the_filters_and_their_legend(site: Path, watched: Watch) -> None:
    seen = watched()
    page = seen.open(site / "good.html")
    seen.scroll_through()
    marks = "#table-1 figure[data-chart=scores] .mark-symbol.role-mark path"
    until(page, f"document.querySelectorAll({marks!r}).length === 12")
    page.select_option("select[name=corruption]", "base")
    page.locator("#table-1 .chip", has_text="dpo").click()
    until(page, f"document.querySelectorAll({marks!r}).length === 2")
    page.locator("#table-1 .plain", has_text="none").click()
    page.wait_for_selector("#table-1 figure[data-chart=scores] .plot >> text=Nothing to draw")
    assert not seen.wrong


def test_numbers_of_a_plot_can_be_read(site: Path, watched: Watch) -> None:
    seen = watched()
    page = seen.open(site / "good.html")
    seen.scroll_through()
    page.locator("#table-1 figure[data-chart=budget] summary").click()
    page.wait_for_selector("#table-1 figure[data-chart=budget] .numbers tbody tr")
    rows = page.locator("#table-1 figure[data-chart=budget] .numbers tbody tr")
    assert texts(page, "#table-1 figure[data-chart=budget] .numbers thead th") == [
        "objective",
        "trials",
        "mean",
        "low",
        "high",
    ]
    assert rows.count() == 8
    assert page.locator("#table-0 figure[data-chart=budget]").count() == 0, "hopper was not tuned"
    assert not seen.wrong


def test_means_of_survivors_have_a_dagger_in_the_plots(site: Path, watched: Watch) -> None:
    seen = watched()
    page = seen.open(site / "good.html")
    seen.scroll_through()
    for kind, count in (("scores", 4), ("noise", 3)):
        figure = f"#table-1 figure[data-chart={kind}]"
        until(
            page,
            f"[...document.querySelectorAll('{figure} text')].filter(t => t.textContent === '†').length === {count}",
        )
        page.locator(f"{figure} summary").click()
        page.wait_for_selector(f"{figure} .numbers >> text=2 of 3 seeds finished")
    assert not seen.wrong


def test_a_number_leads_to_its_cells_and_back(site: Path, watched: Watch) -> None:
    seen = watched()
    page = seen.open(site / "good.html")
    link = page.locator("#table-1 tbody tr[data-row='2'] td[data-column='0'] a")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    assert texts(page, "dialog tbody th") == ["0", "1", "2"]
    assert "diverged: loss is inf" in page.inner_text("dialog")
    assert "1.75" in page.inner_text("dialog"), "seconds"
    assert "tla__tampo" in page.inner_text("dialog") or "tla-tampo" in page.inner_text("dialog").replace(
        "_", "-"
    )
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:not([open])", state="attached")
    assert page.evaluate("document.activeElement.textContent") == link.inner_text()
    assert "#" not in page.url
    assert not seen.wrong


def test_an_address_opens_the_cells_of_a_number_with_their_command(published: Path, watched: Watch) -> None:
    seen = watched()
    page = seen.open(published / "tla.html", "#cells-0-0-0")
    records = read_results(PUBLISHED / "tla.jsonl")
    first = standings(records)[0].rows[0].objective
    count = [(r.objective, r.corruption) for r in records].count((first, "base"))
    assert page.locator("dialog[open] tbody tr").count() == count
    command = page.inner_text("dialog pre code >> nth=0")
    assert command == f"mpobench run leaderboards/tla.toml --objectives {first} --corruptions base"
    assert "makes the same ones" in page.inner_text("dialog")
    page = seen.open(published / "quick.html", "#cells-0-0-0")  # it has no suite
    assert "Made from the records: it was not planned." in page.inner_text("dialog")
    assert "makes the same ones" not in page.inner_text("dialog")
    assert not seen.wrong


def test_a_keyboard_reaches_all_controls(site: Path, watched: Watch) -> None:
    page = watched().open(site / "good.html")
    reached = set()
    for _ in range(140):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.matches('.sort') ? 'sort' : e.matches('td a') ? 'number' : e.matches('.chip') ? 'chip'"
                " : e.matches('[data-choice]') ? 'choice' : e.matches('summary') ? 'numbers'"
                " : e.matches('[data-film-load]') ? 'rollouts' : e.matches('.skip') ? 'skip'"
                " : e.matches('.scroll') ? 'table' : e.getAttribute('name') || e.tagName)(document.activeElement)"
            )
        )
    wanted = {
        "skip",
        "environment",
        "corruption",
        "origin",
        "objective",
        "sort",
        "number",
        "table",
        "chip",
        "choice",
    }
    assert wanted | {"numbers", "rollouts"} <= reached
    heading = page.locator("#table-0 thead th").nth(2)
    heading.locator("button").focus()
    outline = heading.locator("button").evaluate("e => getComputedStyle(e).outlineStyle")
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert outline == "solid", "the focus can be seen"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page_name", ["index", "good", "hostile"])
def test_a_phone_has_nothing_beside_its_screen(
    site: Path, watched: Watch, page_name: str, scheme: str
) -> None:
    seen = watched(width=360, height=740, color_scheme=scheme, is_mobile=True, has_touch=True)
    page = seen.open(site / f"{page_name}.html")
    if page_name != "index":
        seen.scroll_through()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("visualViewport.scale") == 1
    small = page.evaluate(
        "[...document.querySelectorAll('button, select, input')]"
        ".filter((e) => e.offsetParent && e.getBoundingClientRect().height < 30).length"
    )
    assert small == 0, "fingers are wide"
    assert not seen.wrong


def luminance(color: str) -> float:
    channels = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_dark_mode_is_dark_legible_and_follows_the_system(site: Path, watched: Watch) -> None:
    seen = watched(color_scheme="dark")
    page = seen.open(site / "good.html")
    seen.scroll_through()

    def contrast(selector: str) -> float:
        style = f"getComputedStyle(document.querySelector({selector!r}))"
        back = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        text = luminance(page.evaluate(f"{style}.color"))
        return (max(back, text) + 0.05) / (min(back, text) + 0.05)

    label = (
        "document.querySelector('#table-0 [data-chart=scores] .role-axis-label text').getAttribute('fill')"
    )
    assert luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) < 0.02
    for selector in ("body", ".fine", "td.best", "a[href]", "figcaption p"):
        assert contrast(selector) >= 4.5, selector
    dark = page.evaluate(label)
    page.emulate_media(color_scheme="light")
    until(page, f"{label} !== {dark!r}")
    assert luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.9
    for selector in ("body", ".fine", "td.best", "a[href]", "figcaption p"):
        assert contrast(selector) >= 4.5, selector
    assert not seen.wrong


def test_hostile_text_is_only_text(site: Path, watched: Watch) -> None:
    seen = watched()
    page = seen.open(site / "hostile.html")
    seen.scroll_through()
    shown = page.inner_text("main")
    for text in HOSTILE:
        assert text in shown
    page.locator("summary").first.click()
    for link in page.locator("td.number a").all()[:8]:
        link.evaluate("e => e.click()")
        page.wait_for_selector("dialog[open]")
        page.locator("dialog summary").click()
        page.keyboard.press("Escape")
    for select in page.locator("select[data-choice]").all():
        for option in select.locator("option").all():
            select.select_option(option.get_attribute("value"))
    page.hover("section.table figure[data-chart=scores] svg.marks .mark-symbol path >> nth=0")
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("({}).polluted") is None
    assert page.locator("main img").count() == 0
    assert page.locator("script:not([src])").count() == 0
    assert page.locator("[onload], [onerror], [href^='javascript:']").count() == 0
    assert not seen.wrong


def test_a_strict_policy_keeps_inline_scripts_and_other_places_out(site: Path, watched: Watch) -> None:
    seen = watched()
    page = seen.open(site / "good.html")
    for tag, field, value in (
        ("script", "textContent", "window.hacked = 1"),
        ("img", "src", "https://example.org/x.png"),
    ):
        page.evaluate(
            "([tag, field, value]) =>"
            " { const e = document.createElement(tag); e[field] = value; document.body.append(e); }",
            [tag, field, value],
        )

    def refusals() -> int:
        return len([line for line in seen.wrong if "Content Security Policy" in line])

    wait_on(page, lambda: refusals() >= 2)
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert refusals() == 2


def test_rollouts_play_in_braxs_viewer(site: Path, watched: Watch) -> None:
    seen = watched(width=700, height=700, reduced_motion="reduce")
    page = seen.open(site / "good.html")
    assert page.locator("script[src*=three]").count() == 0, "loaded when it is asked for"
    page.click("[data-film-load]")
    page.wait_for_selector("[data-film-play]:not([hidden])")
    assert page.locator(".viewer canvas").count() == 3
    assert page.inner_text("[data-film-clock]") == "0.0 s of 3.9 s"
    page.locator("[data-film-time]").focus()
    page.keyboard.press("End")
    assert page.inner_text("[data-film-clock]") == "3.9 s of 3.9 s"
    assert texts(page, "[data-earned]") == [f"return so far {last}, and it fell" for last in (19, 39, 29)]
    sizes = page.evaluate(
        "[...document.querySelectorAll('.viewer canvas')].map((canvas) => [canvas.width, canvas.height])"
    )
    assert all(min(size) > 100 for size in sizes)

    def red_ball_is_drawn() -> bool:
        shot = page.locator("[data-viewer='1']").screenshot()
        with Image.open(io.BytesIO(shot)) as picture:
            colors = picture.convert("RGB").getcolors(1 << 20) or []
        return any(red > 150 and green < 90 for _, (red, green, _) in colors)

    wait_on(page, red_ball_is_drawn)
    page.click("[data-film-play]")
    assert page.get_attribute("[data-film-play]", "aria-pressed") == "true"
    assert not [line for line in seen.wrong if "GPU stall" not in line and "GL Driver" not in line]


def test_without_javascript_the_tables_are_there(site: Path, watched: Watch) -> None:
    seen = watched(java_script_enabled=False)
    seen.page.goto(f"file://{site / 'good.html'}")
    assert texts(seen.page, "#table-0 tbody tr >> nth=0 >> td.number")[0] == "1050 ± 6"
    assert "Without JavaScript" in seen.page.inner_text("main")
