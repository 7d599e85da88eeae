"""The site in a real browser: Chromium, driven by Playwright, from files on disk."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from leaderboard.measured_runs import make
from leaderboard.test_imported import published

from xlir_bench.leaderboard import build
from xlir_bench.leaderboard.entrant import imported, measured
from xlir_bench.results import load_result

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
AXE = find_spec("axe_playwright_python")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here; `apt-get install chromium`, or set CHROMIUM"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site of three measured encoders with ranks, and of twenty with imported figures."""
    runs = make(tmp_path_factory.mktemp("results"), {"good": 0.1, "twin": 0.1, "bad": 5.0})
    entrants = [measured(load_result(path), path, card="# Card\n\nSome *text*.") for path in runs]
    for n in range(20):
        licence = ("mit", "apache-2.0", None)[n % 3]
        parameters = (50e6, 300e6, 1e9, 7e9, None)[n % 5]
        model = published(
            f"org/model-{n:02}", value=0.3 + n / 50, licence=licence, parameters=parameters and int(parameters)
        )
        entrants += imported(model, f"model-{n}")
    folder = tmp_path_factory.mktemp("site")
    build(entrants, folder)
    return folder


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api", reason="install the extra `test` for playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, site):
    """Opens a page of the site; at the end nothing may have been logged or asked for off the site."""
    complaints, contexts = [], []

    def opened(name="index.html", **options):
        context = chromium.new_context(accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else 0
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith((site.as_uri(), "blob:")) else 0)
        page.goto(f"{site.as_uri()}/{name}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def names(page):
    return page.locator("#board tbody th a bdi").all_inner_texts()


def choose(page, label, option):
    page.get_by_label(label, exact=True).select_option(label=option)


def published_table(page):
    page.get_by_label("Suite", exact=True).select_option(index=1)


def every_page(site):
    kinds = ("suite-xlir-mini", "suite-xquad", "encoder-good", "encoder-org-model-00", "compare", "history")
    found = [next((site / "pages").glob(f"{kind}*.html")).relative_to(site) for kind in kinds]
    return ["index.html", *map(str, found)]


class TestIndex:
    def test_sorts_by_a_column_from_the_keyboard_alone(self, visit):
        page = visit()
        published_table(page)
        assert names(page)[:2] == ["org/model-19", "org/model-18"]
        page.get_by_role("button", name="nDCG@10").focus()
        page.keyboard.press("Enter")
        assert names(page)[:2] == ["org/model-00", "org/model-01"]
        assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
        assert page.evaluate("document.activeElement.textContent") == "nDCG@10", "the focus stays"

    def test_every_control_is_reached_with_the_tab_key(self, visit):
        page = visit()
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        controls = {
            "f-suite",
            "f-q",
            "f-language",
            "f-setting",
            "f-origin",
            "f-size",
            "f-licence",
            "f-zero",
            "csv",
            "json",
        }
        assert controls | {"Encoder", "AP"} <= reached

    def test_filters_and_search_leave_what_fits(self, visit):
        page = visit()
        published_table(page)
        choose(page, "Licence", "mit")
        assert len(names(page)) == 7
        choose(page, "Size", "over 2 B")
        assert sorted(names(page)) == ["org/model-03", "org/model-18"]
        page.get_by_label("Search").fill("18")
        assert names(page) == ["org/model-18"]
        page.get_by_role("button", name="Clear").click()
        assert len(names(page)) == 20

    def test_scores_of_a_language_or_family_are_the_means_over_its_rows(self, visit, site):
        page = visit()
        choose(page, "Queries in", "Indo-European")
        data = json.loads((site / "leaderboard.json").read_text())
        scores = [dict(zip(data["scores"]["columns"], row, strict=True)) for row in data["scores"]["data"]]
        encoders = [row[data["encoders"]["columns"].index("name")] for row in data["encoders"]["data"]]
        rows = {
            (encoders[s["encoder"]], s["query_language"]): s["value"]
            for s in scores
            if (s["setting"], s["measure"]) == ("multilingual", "AP")
        }
        heads = page.locator("#board thead tr").nth(1).locator("th").all()
        at = next(n for n, head in enumerate(heads) if head.get_attribute("data-key") == "multilingual/AP")
        for row in page.locator("#board tbody tr").all():
            name = row.locator("th a").inner_text()
            shown = float(row.locator("td").nth(at - 1).locator("data").get_attribute("value"))
            assert shown == pytest.approx((rows[name, "de"] + rows[name, "en"]) / 2, abs=2e-5)

    def test_the_address_restores_what_was_chosen(self, visit):
        page = visit()
        published_table(page)
        choose(page, "Licence", "apache-2.0")
        page.get_by_label("Search").fill("model-1")
        page.get_by_role("button", name="parameters").click()
        again = visit(f"index.html{page.evaluate('location.hash')}")
        assert names(again) == names(page) != []
        assert again.get_by_label("Licence").input_value() == "apache-2.0"
        assert again.get_by_label("Search").input_value() == "model-1"

    @pytest.mark.parametrize("format", ["CSV", "JSON"])
    def test_a_download_is_exactly_the_table(self, visit, format):
        page = visit()
        published_table(page)
        choose(page, "Licence", "mit")
        page.get_by_role("button", name="Encoder", exact=True).click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name=format).click()
        text = Path(waiting.value.path()).read_text("utf-8")
        taken = list(csv.DictReader(text.splitlines())) if format == "CSV" else json.loads(text)
        shown = [
            [cell.inner_text().split("\n")[0] for cell in row.locator("th, td").all()]
            for row in page.locator("#board tbody tr").all()
        ]
        assert [row["encoder"] for row in taken] == [cells[0] for cells in shown]
        for row, cells in zip(taken, shown, strict=True):
            assert f"{float(row['nDCG@10, monolingual']):.4f}" == cells[1]
            assert row["licence"] == "mit"

    def test_intervals_and_rank_groups_stand_beside_the_means(self, visit):
        page = visit()
        ranks = [row.locator("td").first.inner_text() for row in page.locator("#board tbody tr").all()]
        assert sorted(ranks) == ["1", "1", "3"], "twins share a rank"
        assert page.locator("#board small.interval").count() > 0


class TestSuite:
    def test_tabs_are_worked_with_arrow_keys_and_kept_in_the_address(self, visit, site):
        name = next(name for name in every_page(site) if "suite-xlir-mini" in name)
        page = visit(name)
        page.get_by_role("tab", name="Overview").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.get_by_role("tab", selected=True).inner_text().lower() == "cross-lingual"
        assert page.get_by_role("tabpanel").locator("table.heat").first.is_visible()
        again = visit(f"{name}{page.evaluate('location.hash')}")
        assert again.get_by_role("tab", selected=True).inner_text().lower() == "cross-lingual"

    def test_a_table_is_taken_along_as_it_is_sorted(self, visit, site):
        page = visit(next(name for name in every_page(site) if "suite-xquad" in name))
        page.locator("table.overview").get_by_role("button", name="Encoder").click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name="CSV").first.click()
        taken = list(csv.DictReader(Path(waiting.value.path()).read_text("utf-8").splitlines()))
        assert [row["encoder"] for row in taken] == page.locator("table.overview tbody th a").all_inner_texts()


class TestEncoder:
    def test_the_command_is_copied(self, visit, site):
        page = visit(
            next(name for name in every_page(site) if "encoder-good" in name),
            permissions=["clipboard-read", "clipboard-write"],
        )
        page.locator("clipboard-copy").focus()
        page.keyboard.press("Enter")
        page.get_by_text("Copied").wait_for()
        command = "xlir-bench run good --suite xlir-mini --languages de,en,tr"
        assert page.evaluate("navigator.clipboard.readText()") == command


class TestComparison:
    def test_shows_differences_intervals_and_p_of_a_tested_pair_and_turns_them_round(self, visit):
        page = visit("pages/compare.html")
        page.get_by_label("A", exact=True).fill("bad")
        page.get_by_label("B", exact=True).fill("good")
        page.keyboard.press("Tab")
        row = page.locator("tr", has_text="multilingual").filter(has_text="AP").first
        cells = row.locator("td").all_inner_texts()
        difference, interval, p, better = cells[4:8]
        assert float(difference) == pytest.approx(float(cells[3]) - float(cells[2]), abs=1.1e-4)
        low, high = (float(end) for end in interval.split(" to "))
        assert low <= float(difference) <= high
        assert p
        assert better == "B"
        again = visit(f"pages/compare.html{page.evaluate('location.hash')}")
        again.get_by_role("button", name="Swap").click()
        turned = (
            again.locator("tr", has_text="multilingual").filter(has_text="AP").first.locator("td").all_inner_texts()
        )
        assert turned[4] == difference.replace("+", "−")
        assert (turned[6], turned[7]) == (p, "A")


class TestEveryPage:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_fits_a_phone_of_375_pixels(self, visit, site, scheme):
        for name in every_page(site):
            page = visit(name, viewport={"width": 375, "height": 800}, color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= 375, name

    def test_follows_the_dark_scheme(self, visit, site):
        for name in every_page(site):
            page = visit(name, color_scheme="dark")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 27)", name

    @pytest.mark.skipif(AXE is None, reason="install the extra `test` for axe-core")
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_has_no_serious_violation_of_accessibility(self, visit, site, scheme):
        for name in every_page(site):
            page = visit(name, color_scheme=scheme)
            page.evaluate((Path(AXE.origin).parent / "axe.min.js").read_text("utf-8"))
            tags = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]
            found = page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", tags)
            serious = [
                (violation["id"], [node["html"][:200] for node in violation["nodes"]][:3])
                for violation in found["violations"]
                if violation["impact"] in ("serious", "critical")
            ]
            assert serious == [], name


@pytest.mark.slow
def test_several_hundred_imported_encoders_are_a_small_index_that_sorts(shared_data, chromium, tmp_path):
    from xlir_bench.leaderboard import gather
    from xlir_bench.submissions.mteb_import import import_mteb

    archive = shared_data / "mteb-results" / "results.tar.xz"
    if not archive.is_file():
        pytest.skip(f"the published MTEB results are not at {archive}")
    import_mteb(archive, tmp_path / "submissions")
    index = build(gather([tmp_path / "submissions"]).entrants, tmp_path / "site")
    assert len(gzip.compress(index.read_bytes())) < 1_000_000
    page = chromium.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(index.as_uri(), wait_until="domcontentloaded")
    page.locator("#board thead").get_by_role("button", name="Encoder").click()
    page.locator("#board th[aria-sort][data-key=name]").wait_for()
    for path in sorted((index.parent / "pages").glob("*.html"))[::25]:
        page.goto(path.as_uri())
    assert complaints == []
    page.close()
