"""What `build` writes: everything of the results, nothing from elsewhere, and nothing that a result could run."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import posixpath
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from leaderboard.reading import read

from xlir_bench.errors import MissingResourceError
from xlir_bench.leaderboard import build
from xlir_bench.leaderboard.entrant import Entrant, measured
from xlir_bench.leaderboard.site import Site

BUILT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}",
    "-->]]></title></table><a href='javascript:alert(1)'>",
)


def files(results, **options):
    """Every file of the site of these results."""
    entrants = [one if isinstance(one, Entrant) else measured(one) for one in results]
    return dict(Site(entrants, BUILT, **options).files())


def pages(results, kind=""):
    """The trees of the pages of one kind, or of all, in order."""
    return [
        read(content.decode())
        for name, content in files(results).items()
        if name.endswith(".html") and name.rpartition("/")[2].startswith(kind)
    ]


def suite(results):
    """The page of the only suite."""
    (page,) = pages(results, "suite-")
    return page


def encoder(result):
    """The page of the only encoder."""
    (page,) = pages([result], "encoder-")
    return page


def rows(root):
    """Cells of the overview: encoder -> column key -> cell."""
    table = root.all("table", class_="overview")[0]
    keys = [head.attributes["data-key"] for head in table.all("th") if "data-key" in head.attributes]
    body = table.all("tbody")[0].all("tr")
    return {row.all("th")[0].text: dict(zip(keys[1:], row.all("td"), strict=True)) for row in body}


def heads_of(root):
    """The sortable heads of the overview."""
    table = root.all("table", class_="overview")[0]
    return [head for head in table.all("th", scope="col") if "data-key" in head.attributes]


def value(cell):
    return float(cell.all("data")[0].attributes["value"])


def maps_of(root):
    """The maps of query by document language."""
    return [t for t in root.all("table", class_="heat") if "strips" not in t.attributes["class"].split()]


def heat_cells(root):
    """Every tile of the first heat map: (query language, heading) -> cell."""
    table = maps_of(root)[0]
    heads = [head.text for head in table.all("thead")[0].all("th")]
    cells = {}
    for row in table.all("tbody")[0].all("tr"):
        name = (row.all("abbr") or row.all("th"))[0].text
        cells |= {(name, head): cell for head, cell in zip(heads, row.all("td"), strict=True)}
    return cells


def scripts(root):
    """The scripts that run; data beside them do not."""
    return [script for script in root.all("script") if "type" not in script.attributes]


class TestUntrustedText:
    @pytest.fixture
    def hostile(self, make_result):
        a, b, c, d, e, f = HOSTILE
        return make_result(
            a,
            suite={"name": b, "fingerprint": c + "0" * 64, "languages": ("en", d)},
            model={"name": e, "revision": f, "prompts": {a: b}, "details": {c: [d, e], "dimensions": f}},
            harness={"version": a, b: c},
            environment={d: e},
            created=f,
        )

    def test_is_shown_and_never_becomes_an_element_or_an_attribute(self, hostile):
        expected = {"index": 2, "suite": 2, "encoder": 2, "compare": 2, "history": 1}
        for name, content in files([hostile]).items():
            if not name.endswith(".html"):
                continue
            root = read(content.decode())
            kind = re.match(r"[a-z]+", name.rpartition("/")[2])[0]
            assert (len(scripts(root)), len(root.all("style"))) == (expected[kind], 1)
            assert not root.all("img", "iframe", "object", "embed", "base")
            handlers = [n for element in root.all() for n in element.attributes if n.startswith("on") or n == "style"]
            assert handlers == []
        shown = encoder(hostile).text
        for text in HOSTILE:
            assert " ".join(text.split()) in shown

    def test_does_not_end_the_element_that_holds_the_data(self, hostile):
        for kind in ("index", "compare"):
            (root,) = pages([hostile], kind)
            (data,) = [script for script in root.all("script") if script.attributes.get("type") == "application/json"]
            assert HOSTILE[0] in json.dumps(json.loads(data.raw), ensure_ascii=False)
            assert "<" not in data.raw

    def test_is_escaped_in_the_names_of_settings_and_measures_too(self, make_result):
        result = make_result().model_dump()
        for score in result["scores"]:
            score["measure"] = HOSTILE[1] if score["measure"] == "AP" else HOSTILE[0]
        result["summary"] = {HOSTILE[2]: {HOSTILE[1]: 0.5}, "monolingual": {HOSTILE[0]: 0.5}}
        result["primary"] = {"cross-lingual": HOSTILE[1], "monolingual": HOSTILE[1]}
        for root in pages([make_result().model_validate(result)]):
            assert not root.all("img")
            assert all(not name.startswith("on") for element in root.all() for name in element.attributes)

    def test_is_text_in_charts(self, make_result):
        results = [make_result(f"{HOSTILE[0]}{n}", quality=0.5 + n / 10, model={"fingerprint": str(n)}) for n in (1, 2)]
        root = suite(results)
        assert root.all("figure")
        assert all(not drawing.all("script", "image", "foreignObject") for drawing in root.all("svg"))
        assert any(HOSTILE[0] in title.text for title in root.all("title"))

    def test_of_a_card_is_no_html_and_links_to_the_web_alone(self, make_result):
        card = "# Title\n\n<b onclick=x>bold</b> [a](javascript:alert(1)) [b](https://example.org) ![p](https://x.y/z.png)\n\n|a|\n|-:|\n|1|"
        (page,) = (
            read(content.decode())
            for name, content in files([measured(make_result(), card=card)]).items()
            if "encoder-" in name
        )
        (prose,) = page.all("div", class_="prose")
        assert [link.attributes["href"] for link in prose.all("a")] == ["https://example.org", "https://x.y/z.png"]
        assert prose.all("h3")[0].text == "Title"
        assert not prose.all("b", "img", "h1")
        assert all("style" not in element.attributes for element in prose.all())

    def test_is_quoted_in_the_command_so_that_pasting_it_runs_one_program(self, make_result):
        root = encoder(make_result("x; rm -rf ~ #`id`", suite={"name": "a && b"}))
        (command,) = root.all("clipboard-copy")
        assert shlex.split(command.attributes["value"]) == [
            "xlir-bench",
            "run",
            "x; rm -rf ~ #`id`",
            "--suite",
            "a && b",
        ]
        assert command.attributes["value"] == root.all("div", class_="command")[0].all("code")[0].text

    def test_ids_on_a_page_are_unique_and_every_link_on_the_site_has_its_target(self, hostile, five_encoders):
        everything = files([hostile, *five_encoders])
        ids = {}
        for name, content in everything.items():
            if name.endswith(".html"):
                root = read(content.decode())
                found = [element.attributes["id"] for element in root.all() if "id" in element.attributes]
                assert len(found) == len(set(found)), name
                ids[name] = set(found)
                labelled = [e.attributes["aria-labelledby"] for e in root.all() if "aria-labelledby" in e.attributes]
                assert {identifier for names in labelled for identifier in names.split()} <= set(found)
        for name in ids:
            for link in read(everything[name].decode()).all("a"):
                page, _, fragment = link.attributes["href"].partition("#")
                target = posixpath.normpath(posixpath.join(posixpath.dirname(name), page)) if page else name
                assert target in everything
                assert not fragment or "=" in fragment or fragment in ids[target], (name, link.attributes["href"])


class TestSelfContained:
    def test_the_policy_names_exactly_the_inlined_style_and_scripts(self, five_encoders):
        for root in pages(five_encoders):
            policy = next(m for m in root.all("meta") if "http-equiv" in m.attributes).attributes["content"]
            directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
            for elements, directive in ((root.all("style"), "style-src"), (scripts(root), "script-src")):
                digests = [hashlib.sha256(element.raw.encode()).digest() for element in elements]
                expected = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
                assert directives[directive] == expected
            assert directives["default-src"] == "'none'"
            assert directives["img-src"] == "data:"

    def test_nothing_is_loaded_from_anywhere(self, five_encoders):
        for root in pages(five_encoders):
            for element in root.all():
                for name in ("src", "srcset", "action", "poster", "data"):
                    assert name not in element.attributes
                address = element.attributes.get("href") or "#"
                assert (
                    element.tag in ("a", "link")[: 1 if address.startswith("..") else 2]
                    or address.startswith("#")
                    or not address.startswith(("http", "//"))
                )
                if element.tag == "link":
                    assert element.attributes["rel"] in ("icon", "alternate")
                    assert element.attributes["rel"] == "alternate" or address.startswith("data:")
            style = root.all("style")[0].raw
            assert "@import" not in style
            assert "url(" not in style

    def test_the_policy_comes_before_anything_that_it_governs(self, five_encoders):
        for name, content in files(five_encoders).items():
            html = content.decode()
            if name.endswith(".html"):
                governed = (html.index("<style"), html.index("<script"), html.index("<link"))
                assert html.index("Content-Security-Policy") < min(governed)
                assert html.lower().startswith("<!doctype html>")


class TestOverview:
    def test_has_every_encoder_and_every_mean(self, five_encoders):
        shown = rows(suite(five_encoders))
        assert set(shown) == {result.model.id for result in five_encoders}
        for result in five_encoders:
            for setting, means in result.summary.items():
                for measure, mean in means.items():
                    assert value(shown[result.model.id][f"{setting}/{measure}"]) == mean

    def test_marks_the_best_of_each_measure_in_its_own_direction(self, five_encoders):
        shown = rows(suite(five_encoders))
        for key in ("monolingual/AP", "cross-lingual/AP", "multilingual/AP", "multilingual/rank_distance"):
            best = min if key.endswith("rank_distance") else max
            expected = best(value(cells[key]) for cells in shown.values())
            assert {value(c[key]) for c in shown.values() if c[key].all("strong")} == {expected}

    def test_marks_all_that_look_equally_good(self, make_result):
        means = [{"monolingual": {"AP": 0.70001}}, {"monolingual": {"AP": 0.70004}}, {"monolingual": {"AP": 0.6}}]
        results = [make_result(name, summary=mean) for name, mean in zip("abc", means, strict=True)]
        marked = {name for name, cells in rows(suite(results)).items() if cells["monolingual/AP"].all("strong")}
        assert marked == {"a", "b"}

    def test_says_which_direction_is_better_only_where_it_is_unusual(self, five_encoders):
        heads = heads_of(suite(five_encoders))
        lower = [head.attributes["data-key"] for head in heads if "lower is better" in head.text]
        assert lower == ["multilingual/rank_distance"]

    def test_puts_the_primary_measure_first_and_groups_by_setting(self, five_encoders):
        heads = [head.attributes["data-key"] for head in heads_of(suite(five_encoders))]
        assert heads[1:8] == [
            "monolingual/AP",
            "monolingual/R@1",
            "cross-lingual/AP",
            "cross-lingual/R@1",
            "multilingual/AP",
            "multilingual/R@10",
            "multilingual/rank_distance",
        ]

    def test_arrives_sorted_as_its_header_says_with_a_button_in_each_header(self, five_encoders):
        root = suite(five_encoders[::-1])
        (sorted_head,) = [head for head in heads_of(root) if "aria-sort" in head.attributes]
        assert sorted_head.attributes["aria-sort"] == "descending"
        values = [value(cells[sorted_head.attributes["data-key"]]) for cells in rows(root).values()]
        assert values == sorted(values, reverse=True)
        assert all(len(head.all("button", type="button")) == 1 for head in heads_of(root))

    def test_shows_a_dash_for_what_was_not_measured(self, make_result):
        partial = make_result("partial", measures={"monolingual": ["AP"]})
        shown = rows(suite([make_result("whole"), partial]))
        assert shown["partial"]["multilingual/rank_distance"].text == "–"
        assert value(shown["partial"]["monolingual/AP"]) == partial.summary["monolingual"]["AP"]

    def test_calls_a_folder_of_somebodys_disk_by_its_short_name(self, make_result):
        result = make_result("/home/somebody/models/mine", model={"name": "mine-0123abcd"})
        assert set(rows(suite([result]))) == {"mine-0123abcd"}

    def test_tells_two_models_of_one_id_apart_by_their_names(self, make_result):
        twins = [make_result("same/id", model={"name": f"twin-{n}", "fingerprint": n * 64}) for n in "ab"]
        assert set(rows(suite(twins))) == {"same/id twin-a", "same/id twin-b"}


class TestHeatMap:
    def test_shows_exactly_the_scores_of_the_result(self, make_result):
        result = make_result()
        cells = heat_cells(suite([result]))
        scores = [score for score in result.scores if score.measure == "AP"]
        assert len(scores) == 11 + 110 + 11
        for score in scores:
            head = "all" if score.document_language == "*" else score.document_language
            assert value(cells[score.query_language, head]) == score.value

    def test_has_the_cross_lingual_mean_in_its_corner_and_leaves_the_diagonal_out_of_means(self, make_result):
        result = make_result()
        cells = heat_cells(suite([result]))
        assert value(cells["mean", "mean"]) == pytest.approx(result.summary["cross-lingual"]["AP"])
        from_german = [
            s.value for s in result.scores if (s.setting, s.query_language, s.measure) == ("cross-lingual", "de", "AP")
        ]
        assert value(cells["de", "mean"]) == pytest.approx(sum(from_german) / len(from_german))

    def test_shows_rank_distance_by_query_language(self, make_result):
        result = make_result()
        cells = heat_cells(suite([result]))
        for score in result.scores:
            if score.measure == "rank_distance":
                assert value(cells[score.query_language, "rank dist."]) == score.value

    def test_outlines_the_diagonal_alone(self, make_result):
        marked = {
            at
            for at, cell in heat_cells(suite([make_result()])).items()
            if "same" in (cell.attributes["class"] or "").split()
        }
        assert marked == {(code, code) for code in make_result().suite.languages}

    def test_leaves_a_gap_where_a_pair_was_not_measured(self, make_result):
        result = make_result()
        kept = [s for s in result.scores if (s.query_language, s.document_language) != ("ar", "de")]
        cells = heat_cells(suite([result.model_copy(update={"scores": tuple(kept)})]))
        assert cells["ar", "de"].text == "–"
        assert cells["de", "ar"].text != "–"

    def test_gives_the_same_value_the_same_colour_for_every_encoder(self, five_encoders):
        by_value = {}
        for table in maps_of(suite(five_encoders)):
            for cell in table.all("td"):
                classes = (cell.attributes.get("class") or "").split()
                step = next((int(name[1:]) for name in classes if re.fullmatch(r"h\d+", name)), None)
                if step is not None:
                    by_value[value(cell)] = step
        steps = [by_value[v] for v in sorted(by_value)]
        assert steps == sorted(steps)

    def test_is_replaced_by_one_strip_per_encoder_where_nothing_is_cross_lingual(self, make_result):
        languages = ("ar", "bn", "en", "es", "fa", "fi", "fr", "hi", "id", "ja", "ko", "ru")
        measures = {"monolingual": ["nDCG@10", "R@100"]}
        reference = {"name": "miracl", "languages": languages}
        results = [
            make_result(name, suite=reference, measures=measures, quality=q) for name, q in (("a", 0.5), ("b", 0.7))
        ]
        (table,) = suite(results).all("table", class_="heat")
        strips = {row.all("th")[0].text: row.all("td") for row in table.all("tbody")[0].all("tr")}
        assert list(strips) == ["b", "a"], "the best first"
        heads = [head.text for head in table.all("thead")[0].all("th")]
        for result in results:
            shown = dict(zip(heads, strips[result.model.id], strict=True))
            for score in result.scores:
                if score.measure == "nDCG@10":
                    assert value(shown[score.query_language]) == score.value


class TestSections:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"fingerprint": "ee" * 32}, "the fingerprint of the data differs"),
            ({"version": 2}, "the suite's version differs"),
            ({"languages": ("ar", "de", "en")}, "the languages differ"),
        ],
    )
    def test_results_on_different_data_never_share_a_table(self, make_result, change, reason):
        both = pages([make_result("one"), make_result("two", suite=change)], "suite-")
        assert sorted(name for root in both for name in rows(root)) == ["one", "two"]
        assert all(len(rows(root)) == 1 for root in both)
        assert all(reason in root.all("header")[0].text for root in both)

    def test_an_older_run_of_the_same_encoder_gives_way_and_the_page_says_so(self, make_result):
        old = make_result("a", quality=0.9, created="2025-01-01T00:00:00Z")
        new = make_result("a", quality=0.5, created="2026-01-01T00:00:00Z")
        root = suite([new, old])
        assert value(rows(root)["a"]["monolingual/AP"]) == new.summary["monolingual"]["AP"]
        assert "1 older run is in the history" in root.text
        (line,) = pages([new, old], "history")[0].all("tbody")
        shown = [run.all("data")[0].attributes["value"] for run in line.all("tr")]
        assert shown == [repr(result.summary["multilingual"]["AP"]) for result in (old, new)]
        assert "worse" in line.all("tr")[1].text

    def test_runs_on_other_data_are_in_the_history_without_a_difference(self, make_result):
        one = make_result("a", created="2025-01-01T00:00:00Z")
        two = make_result("a", suite={"version": 2}, created="2026-01-01T00:00:00Z")
        runs = pages([one, two], "history")[0].all("tbody")[0].all("tr")
        assert [run.all("td")[-1].text for run in runs] == ["–", "–"]

    def test_the_page_of_an_encoder_states_prompts_environment_timing_and_command(self, make_result):
        shown = encoder(make_result("org/model", suite={"languages": ("de", "en")})).text
        for expected in ("Query:", "Passage:", "3d2c1b0a", "x86_64, 4 cores", "412.7 texts per second", "0.12%", "384"):
            assert expected in shown
        assert "xlir-bench run org/model --suite xquad-r" in shown

    def test_the_page_of_an_encoder_has_every_score(self, make_result):
        result = make_result()
        tables = [t for t in encoder(result).all("table") if (t.attributes.get("data-table") or "").startswith("rows-")]
        shown = {float(data.attributes["value"]) for data in tables[0].all("data")}
        assert shown == {score.value for score in result.scores}

    def test_every_page_states_date_and_harness_versions(self, make_result):
        for root in pages([make_result("a"), make_result("b", harness={"version": "0.2.0"})]):
            footer = root.all("footer")[0].text
            assert "2026-01-15 12:00 UTC" in footer
            assert "0.1.0 , 0.2.0" in footer


class TestSmallInputs:
    @pytest.mark.parametrize("languages", [("en",), ("en", "xx"), ("de", "en")])
    @pytest.mark.parametrize(
        "measures",
        [
            {"monolingual": ["nDCG@10"]},
            {"cross-lingual": ["AP"]},
            {"multilingual": ["rank_distance"]},
            {"monolingual": ["R@1"], "cross-lingual": ["AP"]},
            {"monolingual": ["AP"], "multilingual": ["AP", "rank_distance"]},
        ],
    )
    def test_any_combination_of_settings_and_few_languages_gives_a_page(self, make_result, languages, measures):
        result = make_result(suite={"languages": languages}, measures=measures)
        assert list(rows(suite([result]))) == ["example/encoder"]

    def test_a_single_encoder_has_no_best(self, make_result):
        assert not suite([make_result()]).all("strong")

    def test_no_results_give_a_page_that_says_so(self):
        assert "There are no results yet." in pages([], "index")[0].text

    def test_a_result_without_scores_or_texts_encoded_is_shown(self, make_result):
        empty = make_result(scores=[], summary={}, primary={}, model={"details": {}, "revision": None})
        timing = empty.timing.model_copy(update={"texts_per_s": None})
        assert list(rows(suite([empty.model_copy(update={"timing": timing})]))) == ["example/encoder"]

    def test_a_mean_that_is_not_finite_is_shown_as_missing(self, make_result):
        result = make_result(summary={"monolingual": {"AP": float("nan")}})
        assert rows(suite([result]))["example/encoder"]["monolingual/AP"].text == "–"


class TestWriting:
    def test_makes_the_folder_and_returns_the_index(self, make_result, tmp_path):
        path = build([make_result()], tmp_path / "new" / "site")
        assert path == tmp_path / "new" / "site" / "index.html"
        assert read(path.read_text("utf-8")).all("main")
        assert sorted(p.name for p in path.parent.iterdir()) == ["feed.atom", "index.html", "leaderboard.json", "pages"]

    def test_is_readable_by_a_web_server_like_any_new_file(self, make_result, tmp_path):
        plain = tmp_path / "plain"
        plain.touch()
        assert build([make_result()], tmp_path).stat().st_mode == plain.stat().st_mode

    def test_a_failure_while_writing_leaves_the_old_index(self, make_result, tmp_path, monkeypatch):
        (tmp_path / "index.html").write_text("old")

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(MissingResourceError, match="No space"):
            build([make_result()], tmp_path)
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"index.html": "old"}

    def test_the_index_comes_last_and_no_page_is_ever_seen_half_written(self, make_result, tmp_path, monkeypatch):
        seen = []
        replace = Path.replace
        monkeypatch.setattr(Path, "replace", lambda s, t: (seen.append((t.name, s.read_text("utf-8"))), replace(s, t)))
        build([make_result()], tmp_path)
        assert seen[-1][0] == "index.html"
        assert all(draft.rstrip().endswith("</html>") for name, draft in seen if name.endswith(".html"))

    def test_removes_pages_of_encoders_that_are_gone_and_nothing_else(self, make_result, tmp_path):
        build([make_result("one"), make_result("two")], tmp_path)
        before = {p.name for p in (tmp_path / "pages").iterdir()}
        (tmp_path / "pages" / "mine.html").write_text("kept")
        build([make_result("one")], tmp_path)
        after = {p.name for p in (tmp_path / "pages").iterdir()}
        assert {name.rpartition("-")[0] for name in before - after} == {"encoder-two"}
        assert after - before == {"mine.html"}

    def test_the_same_results_on_the_same_date_give_the_same_bytes(self, five_encoders, tmp_path, monkeypatch):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1768478400")
        first, second = tmp_path / "a", tmp_path / "b"
        build(five_encoders, first)
        build(five_encoders[::-1], second)
        written = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
        assert len(written) == 3 + 1 + 5 + 2
        assert all((first / name).read_bytes() == (second / name).read_bytes() for name in written)
        assert b"2026-01-15 12:00 UTC" in (first / "index.html").read_bytes()
