"""The pages in a real Chromium: as wide as a desktop and as a phone, by day, by night and on paper."""

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from bench.reports.capacity import write_capacity
from bench.reports.write import write_reports

from tests.reports.browser import browser, find_browser
from tests.reports.searched import LADDER, MADE, answered
from tests.results.synthetic import BROKEN, PASSED, write_run

WIDTHS = {"desktop": 1280, "phone": 390}
SCHEMES = ("light", "dark")
NAMES = ("report", "capacity")

# Texts of the page, HTML and SVG, against the nearest opaque ground behind them; WCAG 2.2, contrast.
CONTRAST = """(() => {
  const parse = text => { const n = (text.match(/[\\d.]+/g) || []).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 4 && c[3] > 0) return c;
    }
    return [255, 255, 255, 1];
  };
  const low = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), isSvg = element.closest('svg');
    const ink = parse(isSvg ? style.fill : style.color), back = ground(element);
    const [a, b] = [light(ink), light(back)].sort((x, y) => x - y);
    const ratio = (b + 0.05) / (a + 0.05);
    seen += 1;
    if (!(ratio >= 4.5)) low.push([node.data.trim().slice(0, 40), style.color, back.join(), ratio]);
  }
  return {seen, low};
})()"""

OUTSIDE = """[...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !e.closest('.scroll') && !e.closest('pre');
}).map(e => e.outerHTML.slice(0, 80))"""

HEADINGS = "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(e => Number(e.tagName[1]))"

TABLES = """[...document.querySelectorAll('table')].filter(t =>
  !t.caption || !t.caption.textContent.trim()
  || ![...t.tHead.rows[0].cells].every(c => c.tagName === 'TH' && c.scope === 'col')
  || ![...t.tBodies[0].rows].every(r => r.cells[0].tagName === 'TH' && r.cells[0].scope === 'row')
).map(t => t.outerHTML.slice(0, 120))"""

DRAWINGS = """[...document.querySelectorAll('svg')].filter(s =>
  s.getAttribute('role') !== 'img' || !(s.getAttribute('aria-label') || '').trim()).length"""

CROPPED = """[...document.querySelectorAll('.scroll')].filter(e =>
  e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'auto').map(e => e.getAttribute('aria-label'))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "sale"
    write_run(folder, findings=(PASSED, BROKEN), dropped=3)
    return write_reports(folder)[0]


@pytest.fixture(scope="module")
def capacity(tmp_path_factory):
    """The answer of a search, with runs' names as long as they are and a report that the first of them leads to."""
    runs = tmp_path_factory.mktemp("searched")
    probes = [replace(each, run_id=f"20261101-0000{each.number:02}-checkout-ab{each.number:02}") for each in LADDER]
    (runs / probes[0].run_id).mkdir()
    (runs / probes[0].run_id / "report.html").write_text("<title>report</title>")
    folder = runs / MADE.capacity_id
    folder.mkdir()
    return write_capacity(folder, answered(probes, orders=1800.0), MADE)[0]


@pytest.fixture(scope="module")
def pages(page, capacity):
    """Each page with what it has at least: texts, tables, drawings, and bytes of a picture."""
    return {"report": (page, 1000, 30, 7, 50_000), "capacity": (capacity, 150, 3, 2, 20_000)}


@pytest.fixture(scope="module")
def chromium():
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium here (chromium, chromium-browser, google-chrome)")
    with browser(path) as running:
        yield running


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    """Where the pictures go: BENCH_SCREENSHOTS, which CI keeps, or a folder of the test."""
    folder = Path(os.environ.get("BENCH_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_the_page_as_it_is_seen(chromium, pages, screenshots, name, width):
    page, texts, _, _, size = pages[name]
    with chromium.page(page.as_uri(), width=WIDTHS[width]) as tab:
        assert tab.run("document.querySelectorAll('details').forEach(d => d.open = true); true")
        assert tab.run("document.scrollingElement.scrollWidth") <= WIDTHS[width]
        assert tab.run("innerWidth") == WIDTHS[width]
        assert tab.run(OUTSIDE) == []
        assert tab.run(CROPPED) == []
        for scheme in SCHEMES:
            tab.media(scheme)
            found = tab.run(CONTRAST)
            assert found["seen"] > texts
            assert found["low"] == []
            picture = screenshots / f"{name}-{width}-{scheme}.png"
            tab.screenshot(picture)
            assert picture.stat().st_size > size
        assert_quiet(tab, page)


def assert_quiet(tab, page):
    """Nothing was said on the console, nothing went wrong, and nothing but the page itself was asked for."""
    assert tab.seen("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    asked = {event["request"]["url"] for event in tab.seen("Network.requestWillBeSent")}
    assert asked == {page.as_uri()}


def test_the_colours_follow_the_scheme(chromium, page):
    with chromium.page(page.as_uri(), width=1280, scheme="dark") as tab:
        grounds = []
        for scheme in SCHEMES:
            tab.media(scheme)
            grounds.append(tab.run("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(255, 255, 255)", "rgb(20, 24, 28)"]


@pytest.mark.parametrize("name", NAMES)
def test_structure_for_those_who_do_not_see_it(chromium, pages, name):
    page, _, tables, drawings, _ = pages[name]
    with chromium.page(page.as_uri(), width=1280) as tab:
        levels = tab.run(HEADINGS)
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        assert tab.run("document.querySelectorAll('table').length") > tables
        assert tab.run(TABLES) == []
        assert tab.run("document.querySelectorAll('svg').length") >= drawings
        assert tab.run(DRAWINGS) == 0
        assert tab.run("document.documentElement.lang") == "en"


def test_a_probe_leads_to_its_report(chromium, capacity):
    with chromium.page(capacity.as_uri(), width=1280) as tab:
        [link] = tab.run("[...document.querySelectorAll('td a')].map(e => e.href)")
    with chromium.page(link, width=1280) as tab:
        assert tab.run("document.title") == "report"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_on_paper(chromium, pages, screenshots, name):
    """Dark ink on white, whatever the screen's scheme; nothing is cut off at the width of a sheet (A4, 190 mm)."""
    with chromium.page(pages[name][0].as_uri(), width=718) as tab:
        tab.media("dark", "print")
        assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert tab.run(CONTRAST)["low"] == []
        assert tab.run("document.scrollingElement.scrollWidth") <= 718
        assert tab.run("getComputedStyle(document.querySelector('nav')).display") == "none"
        tab.screenshot(screenshots / f"{name}-print.png")
