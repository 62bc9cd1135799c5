"""The page in a real browser: nothing is asked of the network, nothing goes wrong, nothing sticks out."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import made_up
from bertwright.report import write_report

pytestmark = pytest.mark.slow

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@contextlib.contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[tuple[Any, list[str]]]:
    """The page, and what went wrong with it so far."""
    context = browser.new_context(**options)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("request", lambda request: request.url == path.as_uri() or wrong.append(f"request: {request.url}"))
    page.goto(path.as_uri())
    page.wait_for_selector(".chart svg.main-svg")
    yield page, wrong
    context.close()


@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("look", ["light", "dark"])
def test_the_page_works_at_every_width_in_both_looks(browser: Any, demo_page: Path, width: int, look: str) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": look, "has_touch": width < 500}
    with opened(browser, demo_page, **options) as (page, wrong):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for summary in page.locator("details.fold > summary").all():
            summary.click()
        page.wait_for_function(
            "document.querySelectorAll('.chart').length == document.querySelectorAll('.js-plotly-plot').length"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert wrong == []


def test_texts_cannot_become_markup_in_charts_either(browser: Any, tmp_path: Path) -> None:
    folder = made_up.demo(tmp_path / "demo", steps=10, epochs=2)
    made_up.analyses(folder)
    made_up.plant_everywhere(folder)
    with opened(browser, write_report([folder], tmp_path / "report.html")) as (page, wrong):
        # Plotly draws a heat map as a picture of its own.
        pictures = "[...document.querySelectorAll('img, svg image')].map(each => each.href?.baseVal ?? each.src)"
        assert [each for each in page.evaluate(pictures) if not each.startswith("data:image/png")] == []
        assert [line for line in wrong if not line.startswith("request: data:image/png")] == []


def test_the_toggle_changes_page_and_charts(browser: Any, demo_page: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    chart = "document.querySelector('.chart .main-svg').style.background"
    with opened(browser, demo_page, color_scheme="light") as (page, wrong):
        before = page.evaluate(paper), page.evaluate(chart)
        page.click("#look")
        page.wait_for_function(f"{chart} != '{before[1]}'")
        assert page.evaluate(paper) != before[0]
        page.click("#look")
        page.wait_for_function(f"{chart} == '{before[1]}'")
        assert page.evaluate(paper) == before[0]
        assert wrong == []


def test_a_chart_can_be_saved_and_nothing_else(browser: Any, demo_page: Path) -> None:
    with opened(browser, demo_page) as (page, wrong):
        page.hover("#comparison .chart")
        assert page.locator("#comparison .chart").first.locator(".modebar-btn").count() == 1
        with page.expect_download() as download:
            page.locator("#comparison .chart").first.locator(".modebar-btn").click()
        assert download.value.suggested_filename == "comparison.png"
        assert [line for line in wrong if not line.startswith(("request: blob:", "request: data:"))] == []


@pytest.mark.parametrize("width", [1280, 380])
def test_the_slider_goes_through_the_layers(browser: Any, tmp_path: Path, width: int) -> None:
    made_up.similarity(tmp_path)
    page_file = write_report([tmp_path], tmp_path / "report.html")
    paper = "document.querySelector('#similarity-1 figure:has(.slider) .chart').paper"
    shown = f"{paper}.data[0].z[0][1]"
    with opened(browser, page_file, viewport={"width": width, "height": 800}) as (page, wrong):
        assert page.evaluate(shown) == 0.9  # the last layer has the largest gap
        slider = page.locator("#similarity-1 .slider input").first
        slider.fill("0")
        assert page.evaluate(shown) == 0.5
        assert "0: within" in page.locator("#similarity-1 .slider output").first.inner_text()
        labels = page.evaluate(f"{paper}.layout.yaxis.ticktext")
        assert (labels[0] == "1") == (width < 500)  # on a phone, numbers in place of sentences
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert wrong == []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [1280, 380])
def test_the_pages_of_analyses(browser: Any, tmp_path: Path, width: int, language: str) -> None:
    made_up.analyses(tmp_path)
    page_file = write_report([tmp_path], tmp_path / "report.html", language=language)
    with opened(browser, page_file, viewport={"width": width, "height": 800}) as (page, wrong):
        for summary in page.locator("details.fold:not([open]) > summary").all():
            summary.click()
        page.wait_for_function(
            "document.querySelectorAll('.chart').length == document.querySelectorAll('.js-plotly-plot').length"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for name in ("similarity-1", "embeddings-1", "context-1", "probes-1", "sizes-1"):
            page.locator(f"nav a[href='#{name}']").click()
            assert page.evaluate("location.hash") == f"#{name}"
            top = f"document.getElementById('{name}').getBoundingClientRect().top"
            page.wait_for_function(f"() => {top} > -10 && {top} < 800")  # it is in sight, after scrolling there
        assert wrong == []


def test_layers_can_be_compared(browser: Any, tmp_path: Path) -> None:
    """The scale of a map and of a heat map's colours stays the same at every layer."""
    made_up.analyses(tmp_path)
    page_file = write_report([tmp_path], tmp_path / "report.html")
    shown = {
        "embeddings-1": "[chart._fullLayout.xaxis.range, chart._fullLayout.yaxis.range]",
        "similarity-1": "[chart._fullData[0].zmin, chart._fullData[0].zmax]",
        "context-1": "[chart._fullData[0].zmin, chart._fullData[0].zmax]",
    }
    with opened(browser, page_file, viewport={"width": 1280, "height": 800}) as (page, wrong):
        for section, values in shown.items():
            chart = f"(chart => {values})(document.querySelector('#{section} figure:has(.slider) .chart').paper)"
            slider = page.locator(f"#{section} .slider input").first
            found = []
            for place in ("0", "1"):
                slider.fill(place)
                found.append(page.evaluate(chart))
            assert found[0] == found[1], section
        lengths = "[chart.xaxis, chart.yaxis].map(axis => axis._length / (axis.range[1] - axis.range[0]))"
        paper = "document.querySelector('#embeddings-1 figure:has(.slider) .chart').paper"
        across, up = page.evaluate(f"(chart => {lengths})({paper}._fullLayout)")
        assert across == pytest.approx(up, rel=0.01)  # one scale in both directions
        assert wrong == []
