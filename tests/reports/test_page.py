"""The HTML page: right numbers, offline, whole, legible, and honest about what is missing."""

import json
import re
import shutil
import sqlite3
from importlib.resources import files

import numpy as np
import pytest
from bench.reports import figures
from bench.reports.svg import DARK, LIGHT
from bench.reports.write import write_reports

from bench.errors import UsageError
from bench.metrics.histogram import Histogram
from bench.stats.censoring import Times
from bench.units import format_ms
from tests.reports.reading import Page
from tests.results.synthetic import (
    BROKEN,
    PASSED,
    REGIONS,
    as_format_1,
    manifest,
    survival_percentile,
    write_empty,
    write_run,
)

PROGRAM_WORDS = re.compile(r"\b(nan|NaN|None|null|inf|undefined|Traceback|Markup|Cell)\b")
MEASURED = ("ramp", "spike", "after")
SECONDS = 25


def make(path, **options):
    raw = write_run(path, **options)
    html, _, _ = write_reports(path)
    return raw, html.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sale(tmp_path_factory):
    raw, html = make(tmp_path_factory.mktemp("runs") / "sale")
    return raw, html, Page(html)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "broken"
    _, html = make(path, findings=(PASSED, BROKEN), dropped=3, stall_ms=300.0)
    return html, Page(html)


def milliseconds(text):
    value, unit = text.removeprefix("≥ ").split()
    return float(value) * {"ms": 1, "s": 1000}[unit]


def pooled(raw, which, keep):
    values = getattr(raw, which)
    return sorted(v for key, part in values.items() if key[0] in MEASURED and keep(*key[1:]) for v in part)


def number(text):
    return float(text.replace(",", "").removesuffix("%"))


def test_numbers_of_transactions_equal_the_samples(sale):
    raw, _, page = sale
    rows = {row["transaction"]: row for row in page.table("Transactions, all regions")}
    assert list(rows) == ["browse", "checkout", "all transactions"]
    for name, row in rows.items():
        of_name = [name] if name != "all transactions" else ["browse", "checkout"]
        answered = {
            which: pooled(raw, which, lambda _, n, outcome, names=of_name: n in names and outcome in ("ok", "sold out"))
            for which in ("response", "service")
        }
        given_up = {
            which: pooled(
                raw, which, lambda _, n, outcome, names=of_name: n in names and outcome == "retries exhausted"
            )
            for which in answered
        }
        committed = len(pooled(raw, "response", lambda _, n, outcome, names=of_name: n in names and outcome == "ok"))
        assert number(row["answered"]) == len(answered["response"])
        assert number(row["committed/s"]) == pytest.approx(committed / SECONDS, rel=0.005)
        for which, values in answered.items():
            for column, percent in (("p50", 50), ("p99", 99)):
                shown = milliseconds(row[f"{which} {column}"])
                wanted = survival_percentile(values, given_up[which], percent) / 1e6
                assert shown == pytest.approx(wanted, rel=0.006), (name, which, column)
        longest = max(answered["response"] + given_up["response"])
        sign = "≥ " if longest > answered["response"][-1] else ""
        assert row["response max"] == f"{sign}{format_ms(longest / 1e6)}"


def test_numbers_of_regions_equal_the_samples(sale):
    raw, _, page = sale
    rows = page.table("Response time by transaction and region")
    assert len(rows) == 8
    for row in rows:
        key = (row["region"], row["transaction"])
        answered = pooled(raw, "response", lambda r, n, o, key=key: (r, n) == key and o != "retries exhausted")
        given_up = pooled(raw, "response", lambda r, n, o, key=key: (r, n) == key and o == "retries exhausted")
        assert number(row["answered"]) == len(answered)
        for percent in ("50", "95", "99", "99.9"):
            assert milliseconds(row[f"p{percent}"]) == pytest.approx(
                survival_percentile(answered, given_up, float(percent)) / 1e6, rel=0.006
            )


def test_numbers_of_arrivals_and_retries_equal_the_store(sale):
    raw, _, page = sale
    rows = {row["region"]: row for row in page.table("Sessions offered")}
    for region in REGIONS:
        offered = sum(n for (phase, where), n in raw.offered.items() if phase in MEASURED and where == region)
        assert number(rows[region]["offered"]) == offered
        assert number(rows[region]["offered/s"]) == pytest.approx(offered / SECONDS, rel=0.005)
    for row in page.table("By reason"):
        count = sum(n for (_, _, reason), n in raw.aborts.items() if reason == row["reason"])
        assert number(row["aborted attempts"]) == count
        assert milliseconds(row["cost"]) == pytest.approx(count * 21, rel=0.005)


def test_stock_and_winners(sale):
    _, _, page = sale
    rows = page.table("Stock, in units")
    assert [(row["warehouse region"], row["sold"], row["left"]) for row in rows][2] == ("eu-west", "430", "70")
    assert rows[0]["item"] == "Trail shoe <blue>"
    assert [row["sold out after"] for row in rows] == ["4.25 s", "6.5 s", "not sold out", "not sold out"]
    wins = page.table("Who won?")
    assert [(row["shoppers of"], row["orders"], row["units won"], row["share of units won"]) for row in wins] == [
        (region, "27", "27", "25 %") for region in REGIONS
    ]


def test_the_page_is_one_offline_file_without_script(sale, broken):
    for html, page in ((sale[1], sale[2]), broken):
        assert len(html.encode()) < 3_000_000
        assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
        assert all(reference.startswith("#") for reference in page.references)
        outside = set(re.findall(r"https?://[^\s\"'<]+", html))
        assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert not re.search(r"@import|url\((?!#)", html)


def test_the_page_is_well_formed(sale, broken):
    for page in (sale[2], broken[1]):
        assert page.unclosed == []
        assert len(set(page.ids)) == len(page.ids)
        assert {reference[1:] for reference in page.references} <= set(page.ids)
        assert all(table.caption for table in page.tables)
        for table in page.tables:
            assert table.scopes.count("row") == len(table.rows)
            assert table.scopes.count("col") == len(table.head)


def test_sections_come_in_the_order_of_need(sale):
    titles = [text for tag, text in sale[2].headings if tag == "h2"]
    order = [
        "valid?",
        "What ran?",
        "over time?",
        "each transaction?",
        "tail",
        "regions",
        "retries",
        "sale",
        "statements",
    ]
    positions = [next(i for i, title in enumerate(titles) if word in title) for word in order]
    assert positions == sorted(positions)
    assert all(title.endswith("?") for title in titles)


def test_emulated_distance_is_named_with_every_figure_of_regions(sale):
    _, html, page = sale
    figures = [text for text in page.figures if "us-west" in text]
    assert len(figures) == 7
    for text in figures[:6]:  # the last is stock, which no distance touches
        assert "us-west, 62 ms emulated distance" in text
        assert "us-east, 0 ms" not in text
    assert html.count("Times include the emulated distance") >= 5


def test_without_distance_nobody_speaks_of_it(tmp_path):
    path = tmp_path / "r"
    write_run(path, last=12)
    (path / "manifest.json").write_text(manifest(distance_ms=None).model_dump_json())
    page = Page(write_reports(path)[0].read_text())
    assert not any("emulated distance" in text for text in page.figures)
    assert "Times include" not in page.text


def test_a_colour_is_a_region_in_every_figure(sale):
    _, html, _ = sale
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        far = {"1", "2", "3"}  # nobody is far from the server in us-east
        assert set(re.findall(r"--region-(\d)", svg)) == (far if 'id="distance-' in svg else {"0", *far})
        assert not re.search(r"#0[12]0[12][0-9a-f]{2}", svg)
        assert not re.search(r"(?:fill|stroke): (?:#000000|black|#ffffff|white)", svg)


def test_the_spectrum_claims_no_rarer_event_than_its_samples():
    x, y = figures._spectrum(Times(Histogram.of(np.array([1, 2, 3, 4]) * 1_000_000)))
    assert x.tolist() == pytest.approx([1, 4 / 3, 2, 4])
    assert y == pytest.approx([1, 2, 3, 4], rel=1e-3)


@pytest.mark.parametrize("number", range(4))
def test_a_region_has_the_same_colour_in_figures_and_tables(sale, number):
    region = REGIONS[number]
    sample = Times(Histogram.of(np.array([1, 2, 3]) * 1_000_000))
    svg = figures.tail({region: (sample, sample)}, figures.Look(REGIONS), "")
    assert set(re.findall(r"--region-(\d)", svg)) == {str(number)}
    assert set(re.findall(rf'region-(\w+)"></span>{region}', sale[1])) == {str(number)}


def test_an_invalid_run_says_so_first(broken):
    html, page = broken
    assert page.headings[0] == ("h1", "INVALID · DATA WRONG")
    assert page.text.index("arrivals were dropped") < page.text.index("sessions/s offered")
    assert html.index('class="verdict bad"') < html.index("<nav")


def test_the_audit_shows_its_witness_and_how_to_look(broken):
    html, page = broken
    assert page.table("Witness of 'no_oversell'") == [BROKEN.witness[0]]
    assert BROKEN.look.replace("'", "&#39;") in html
    assert [row["result"] for row in page.table("Rules")] == ["BROKEN", "holds"]


@pytest.mark.parametrize(
    ("options", "title", "says"),
    [
        ({"last": 17, "status": None, "findings": (), "stock": ()}, "KILLED", "the run was killed after 17 s"),
        ({"last": 17, "status": "interrupted"}, "INTERRUPTED", "the run was interrupted after 17 s"),
        ({"last": 3, "status": "target_lost"}, "TARGET LOST · NOTHING MEASURED", "no transaction of a measured phase"),
        ({"last": 1, "status": None}, "KILLED · NOTHING MEASURED", "killed after 1 s"),
    ],
)
def test_a_run_cut_short_says_so_in_words(tmp_path, options, title, says):
    _, html = make(tmp_path / "r", **options)
    page = Page(html)
    assert page.headings[0] == ("h1", title)
    assert says in page.text
    assert not PROGRAM_WORDS.findall(page.text)


def test_what_was_announced_for_later_is_not_an_event(tmp_path):
    write_run(tmp_path / "r", last=7, status=None)
    db = sqlite3.connect(tmp_path / "r" / "run.sqlite")
    db.execute("INSERT INTO events VALUES (0, 10.0, 'sale_opens', 'spike', NULL), (0, 6.0, 'note', 'seen', NULL)")
    db.commit()
    db.close()
    page = Page(write_reports(tmp_path / "r")[0].read_text())
    assert [row["event"] for row in page.table("Events")] == ["note"]


@pytest.mark.parametrize("status", [None, "crashed"])
def test_an_empty_run_has_a_page(tmp_path, status):
    write_empty(tmp_path / "r", status)
    html, markdown, summary = write_reports(tmp_path / "r")
    page = Page(html.read_text())
    assert "NOTHING MEASURED" in page.headings[0][1]
    assert "the run ended before its first second was stored" in page.text
    assert "The audit did not run" in page.text
    assert not PROGRAM_WORDS.findall(page.text)
    assert not PROGRAM_WORDS.findall(markdown.read_text())
    assert "NaN" not in summary.read_text()


def test_whole_runs_have_no_words_of_the_program(sale, broken):
    assert not PROGRAM_WORDS.findall(sale[2].text)
    assert not PROGRAM_WORDS.findall(broken[1].text)


def test_texts_of_a_run_are_escaped(tmp_path):
    path = tmp_path / "r"
    write_run(path, last=8)
    evil = "<script>alert(1)</script>"
    scenario = manifest().scenario | {"name": evil, "question": evil}
    (path / "manifest.json").write_text(manifest(scenario=scenario, command=f"bench run '{evil}'").model_dump_json())
    html, markdown, _ = write_reports(path)
    assert "script" not in Page(html.read_text()).tags
    assert "<script>" not in re.sub(r"`[^`]*`", "", markdown.read_text())


@pytest.mark.slow
def test_the_same_run_gives_the_same_page(tmp_path, sale):
    write_run(tmp_path / "r")
    first = [path.read_bytes() for path in write_reports(tmp_path / "r")]
    again = [path.read_bytes() for path in write_reports(tmp_path / "r")]
    assert first == again
    assert first[0].decode() == sale[1]


def luminance(colour):
    full = colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])
    parts = [int(full[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("scheme", "regions"), [(0, LIGHT), (1, DARK)])
def test_contrast(scheme, regions):
    css = (files("bench.reports") / "templates" / "report.css").read_text()
    block = re.findall(r":root\{(--[^}]*)\}", css)[scheme]
    colours = dict(item.strip().split(":") for item in block.replace("\n", "").split(";") if item)
    for text in ("--ink", "--muted", "--link", "--good", "--caution", "--bad"):
        for back in ("--paper", "--panel", "--shade", "--shade-strong"):
            if (text, back) not in (
                ("--good", "--shade-strong"),
                ("--caution", "--shade-strong"),
                ("--link", "--shade-strong"),
            ):
                assert contrast(colours[text], colours[back]) >= 4.5, (text, back)
    for level in ("good", "caution", "bad"):
        assert contrast(colours[f"--{level}"], colours[f"--{level}-back"]) >= 4.5, level
        assert contrast(colours["--ink"], colours[f"--{level}-back"]) >= 4.5, level
    for colour in regions:
        assert contrast(colour, colours["--paper"]) >= 4.5, colour
        assert contrast(colour, colours["--shade-strong"]) >= 3, colour


def test_reports_of_a_missing_run_are_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        write_reports(tmp_path)


def test_no_partial_file_is_left(tmp_path):
    write_run(tmp_path / "r", last=6)
    write_reports(tmp_path / "r")
    names = sorted(path.name for path in (tmp_path / "r").iterdir())
    assert names == ["manifest.json", "report.html", "report.md", "run.sqlite", "summary.json"]
    shutil.rmtree(tmp_path / "r")


def test_planned_and_realised(sale):
    _, _, page = sale
    phases = page.table("Phases, as planned and as executed")
    assert [(row["phase"], row["sessions planned"], row["sessions offered"]) for row in phases] == [
        ("warm-up", "800", "800"),
        ("ramp", "800", "800"),
        ("spike", "7,200", "7,200"),
        ("after", "800", "800"),
    ]
    assert (phases[2]["offered from"], phases[2]["offered until"]) == ("10 s", "25 s")
    mix = page.table("Mix of sessions")
    assert [(row["session"], row["planned"], row["offered"]) for row in mix] == [("buy", "8,800", "8,800")]


def test_who_got_what_was_scarce(sale):
    _, _, page = sale
    rows = {row["region"]: row for row in page.table("Who got what was scarce")}
    assert [rows[region]["served"] for region in REGIONS] == ["75", "60", "45", "30"]
    assert rows["all regions"]["buyers"] == "300"
    assert rows["us-east"]["inversions"] == "–"
    assert rows["asia-pac"]["attempts p99"] == "5"
    assert "Regions were not treated alike" in page.text


def test_what_the_server_counted(sale):
    _, _, page = sale
    row = page.table("Statements as the server counted them")[0]
    assert (row["statement"], row["calls, server"], row["mean"]) == ("reserve_stock", "290", "2.5 ms")
    assert number(row["sent, client"]) == 40 * 4 * (15 + 3 * 15)
    spike = page.text[page.text.index("counted in 'spike'") :]
    assert "reserve_stock" in spike[:400]
    indexes = [table for table in page.tables if table.caption.startswith("Indexes, in")]
    assert [table.rows[0][1] for table in indexes] == ["28", "35", "105", "35"]


def test_audits_during_the_run(sale):
    _, _, page = sale
    rows = page.table("Checks during the run")
    assert [(row["at"], row["result"]) for row in rows] == [
        ("20.5 s", "BROKEN"), ("0.5 s", "holds"), ("10.5 s", "holds"),
    ]  # fmt: skip
    assert "3 snapshots of the data were looked at: 1 check did not hold" in page.text


def test_the_tail_is_taken_apart(sale):
    _, _, page = sale
    parts = page.table("Where the slowest hundredth spends its time")
    assert parts[0]["part"] in ("emulated distance", "the client itself")
    assert sum(number(row["share of the time"]) for row in parts) == pytest.approx(100, abs=0.5)
    assert "SKU-1" in page.text
    slowest = page.table("The slowest transactions")
    assert (slowest[0]["response"], slowest[0]["key"], slowest[0]["back-off"]) == ("429 ms", "SKU-1", "20 ms")


def test_without_unconcerned_sessions_nothing_is_said_of_them(sale):
    _, _, page = sale
    assert "Did the others feel the sale?" in [text for _, text in page.headings]
    assert "Too few sessions ended before or during the sale to compare them." in page.text


@pytest.mark.slow
def test_workers_are_listed_and_a_lost_one_is_named(tmp_path):
    path = tmp_path / "r"
    write_run(path, last=12, status=None)
    db = sqlite3.connect(path / "run.sqlite")
    db.execute("INSERT INTO workers VALUES ('w1', 'here', 'us-east', -2500000, 400000, 50, NULL, '')")
    db.execute("INSERT INTO workers VALUES ('w2', 'there', 'us-west', 900000, 300000, 50, 7.5, 'no word for 5 s')")
    db.commit()
    db.close()
    page = Page(write_reports(path)[0].read_text())
    rows = page.table("Workers")
    assert [(row["worker"], row["clock offset"], row["fate"]) for row in rows] == [
        ("w1", "−2.5 ms", "stayed"),
        ("w2", "0.9 ms", "lost at 7.5 s"),
    ]
    assert "worker w2 was lost" in page.text
    assert page.headings[0][1].startswith("INVALID")


def test_a_run_of_the_first_format_has_its_page(tmp_path):
    path = tmp_path / "r"
    write_run(path, last=20)
    as_format_1(path / "run.sqlite")
    document = json.loads((path / "manifest.json").read_text())
    for name in ("hot_sessions", "planned"):
        del document[name]
    (path / "manifest.json").write_text(json.dumps(document))
    html = write_reports(path)[0].read_text()
    page = Page(html)
    assert page.headings[0][1] == "VALID"
    assert not {"Did the others feel the sale?", "Was it fair between regions and arrivals?"} & {
        text for _, text in page.headings
    }
    assert not PROGRAM_WORDS.search(page.text)
