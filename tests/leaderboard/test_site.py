"""What `build` writes: everything of the results, nothing from elsewhere, and nothing that a result could run."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
from leaderboard.reading import read

from xlir_bench.errors import MissingResourceError
from xlir_bench.leaderboard import build
from xlir_bench.leaderboard.page import render

BUILT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}",
    "-->]]></title></table><a href='javascript:alert(1)'>",
)


def tree(results):
    return read(render(results, BUILT))


def rows(root, section=0):
    """Cells of the overview: encoder -> column key -> cell."""
    table = root.all("table", class_="overview")[section]
    keys = [head.attributes["data-key"] for head in table.all("th") if "data-key" in head.attributes]
    body = table.all("tbody")[0].all("tr")
    return {row.all("th")[0].text: dict(zip(keys[1:], row.all("td"), strict=True)) for row in body}


def value(cell):
    return float(cell.all("data")[0].attributes["value"])


def heat_cells(root):
    """Every tile of the first heat map: (query language, heading) -> cell."""
    table = root.all("table", class_="heat")[0]
    heads = [head.text for head in table.all("thead")[0].all("th")]
    cells = {}
    for row in table.all("tbody")[0].all("tr"):
        name = (row.all("abbr") or row.all("th"))[0].text
        cells |= {(name, head): cell for head, cell in zip(heads, row.all("td"), strict=True)}
    return cells


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
        root = tree([hostile])
        assert len(root.all("script")) == len(root.all("style")) == 1
        assert not root.all("img", "iframe", "object", "embed", "form", "base")
        handlers = [n for element in root.all() for n in element.attributes if n.startswith("on") or n == "style"]
        assert handlers == []
        for text in HOSTILE:
            assert " ".join(text.split()) in root.text

    def test_is_escaped_in_the_names_of_settings_and_measures_too(self, make_result):
        result = make_result().model_dump()
        for score in result["scores"]:
            score["measure"] = HOSTILE[1] if score["measure"] == "AP" else HOSTILE[0]
        result["summary"] = {HOSTILE[2]: {HOSTILE[1]: 0.5}, "monolingual": {HOSTILE[0]: 0.5}}
        result["primary"] = {"cross-lingual": HOSTILE[1], "monolingual": HOSTILE[1]}
        root = tree([make_result().model_validate(result)])
        assert len(root.all("script")) == 1
        assert not root.all("img")
        assert all(not name.startswith("on") for element in root.all() for name in element.attributes)

    def test_is_quoted_in_the_command_so_that_pasting_it_runs_one_program(self, make_result):
        result = make_result("x; rm -rf ~ #`id`", suite={"name": "a && b"})
        command = tree([result]).all("p", class_="command")[0].text
        assert shlex.split(command) == ["xlir-bench", "run", "x; rm -rf ~ #`id`", "--suite", "a && b"]

    def test_ids_on_the_page_are_unique_and_every_inner_link_has_its_target(self, hostile, five_encoders):
        root = tree([hostile, *five_encoders])
        ids = [element.attributes["id"] for element in root.all() if "id" in element.attributes]
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"[a-z0-9-]+", identifier) for identifier in ids)
        assert {a.attributes["href"] for a in root.all("a")} <= {f"#{identifier}" for identifier in ids}
        labelled = [e.attributes["aria-labelledby"] for e in root.all() if "aria-labelledby" in e.attributes]
        assert {identifier for names in labelled for identifier in names.split()} <= set(ids)


class TestSelfContained:
    def test_the_policy_names_exactly_the_inlined_style_and_script(self, five_encoders):
        root = tree(five_encoders)
        policy = next(m for m in root.all("meta") if "http-equiv" in m.attributes).attributes["content"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        for tag, directive in (("style", "style-src"), ("script", "script-src")):
            digest = hashlib.sha256(root.all(tag)[0].raw.encode()).digest()
            assert directives[directive] == f"'sha256-{base64.b64encode(digest).decode()}'"
        assert directives["default-src"] == "'none'"
        assert directives["img-src"] == "data:"

    def test_nothing_is_loaded_from_anywhere(self, five_encoders):
        html = render(five_encoders, BUILT)
        root = read(html)
        for element in root.all():
            for name in ("src", "href", "srcset", "action", "poster", "data"):
                assert (element.attributes.get(name) or "#").startswith(("#", "data:"))
        style = root.all("style")[0].raw
        assert "@import" not in style
        assert "url(" not in style

    def test_the_policy_comes_before_anything_that_it_governs(self, five_encoders):
        html = render(five_encoders, BUILT)
        assert html.index("Content-Security-Policy") < min(
            html.index("<style"), html.index("<script"), html.index("<link")
        )

    def test_the_document_type_is_the_first_thing_on_the_page(self, five_encoders):
        assert render(five_encoders, BUILT).lower().startswith("<!doctype html>")


class TestOverview:
    def test_has_every_encoder_and_every_mean(self, five_encoders):
        shown = rows(tree(five_encoders))
        assert set(shown) == {result.model.id for result in five_encoders}
        for result in five_encoders:
            for setting, means in result.summary.items():
                for measure, mean in means.items():
                    assert value(shown[result.model.id][f"{setting}/{measure}"]) == mean

    def test_marks_the_best_of_each_measure_in_its_own_direction(self, five_encoders):
        shown = rows(tree(five_encoders))
        for key in ("monolingual/AP", "cross-lingual/AP", "multilingual/AP", "multilingual/rank_distance"):
            best = min if key.endswith("rank_distance") else max
            expected = best(value(cells[key]) for cells in shown.values())
            assert {value(c[key]) for c in shown.values() if c[key].all("strong")} == {expected}

    def test_marks_all_that_look_equally_good(self, make_result):
        means = [{"monolingual": {"AP": 0.70001}}, {"monolingual": {"AP": 0.70004}}, {"monolingual": {"AP": 0.6}}]
        results = [make_result(name, summary=mean) for name, mean in zip("abc", means, strict=True)]
        marked = {name for name, cells in rows(tree(results)).items() if cells["monolingual/AP"].all("strong")}
        assert marked == {"a", "b"}

    def test_says_which_direction_is_better_only_where_it_is_unusual(self, five_encoders):
        heads = [h for h in tree(five_encoders).all("th", scope="col") if "data-key" in h.attributes]
        lower = [head.attributes["data-key"] for head in heads if "lower is better" in head.text]
        assert lower == ["multilingual/rank_distance"]

    def test_puts_the_primary_measure_first_and_groups_by_setting(self, five_encoders):
        heads = [h.attributes["data-key"] for h in tree(five_encoders).all("th") if "data-key" in h.attributes]
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
        root = tree(five_encoders[::-1])
        (sorted_head,) = [head for head in root.all("th") if "aria-sort" in head.attributes]
        assert sorted_head.attributes["aria-sort"] == "descending"
        values = [value(cells[sorted_head.attributes["data-key"]]) for cells in rows(root).values()]
        assert values == sorted(values, reverse=True)
        heads = [head for head in root.all("th", scope="col") if "data-key" in head.attributes]
        assert all(len(head.all("button", type="button")) == 1 for head in heads)

    def test_shows_a_dash_for_what_was_not_measured(self, make_result):
        partial = make_result("partial", measures={"monolingual": ["AP"]})
        shown = rows(tree([make_result("whole"), partial]))
        assert shown["partial"]["multilingual/rank_distance"].text == "–"
        assert value(shown["partial"]["monolingual/AP"]) == partial.summary["monolingual"]["AP"]

    def test_calls_a_folder_of_somebodys_disk_by_its_short_name(self, make_result):
        result = make_result("/home/somebody/models/mine", model={"name": "mine-0123abcd"})
        assert set(rows(tree([result]))) == {"mine-0123abcd"}

    def test_tells_two_models_of_one_id_apart_by_their_names(self, make_result):
        twins = [make_result("same/id", model={"name": f"twin-{n}", "fingerprint": n * 64}) for n in "ab"]
        assert set(rows(tree(twins))) == {"same/id twin-a", "same/id twin-b"}


class TestHeatMap:
    def test_shows_exactly_the_scores_of_the_result(self, make_result):
        result = make_result()
        cells = heat_cells(tree([result]))
        scores = [score for score in result.scores if score.measure == "AP"]
        assert len(scores) == 11 + 110 + 11
        for score in scores:
            head = "all" if score.document_language == "*" else score.document_language
            assert value(cells[score.query_language, head]) == score.value

    def test_has_the_cross_lingual_mean_in_its_corner_and_leaves_the_diagonal_out_of_means(self, make_result):
        result = make_result()
        cells = heat_cells(tree([result]))
        assert value(cells["mean", "mean"]) == pytest.approx(result.summary["cross-lingual"]["AP"])
        from_german = [
            s.value for s in result.scores if (s.setting, s.query_language, s.measure) == ("cross-lingual", "de", "AP")
        ]
        assert value(cells["de", "mean"]) == pytest.approx(sum(from_german) / len(from_german))

    def test_shows_rank_distance_by_query_language(self, make_result):
        result = make_result()
        cells = heat_cells(tree([result]))
        for score in result.scores:
            if score.measure == "rank_distance":
                assert value(cells[score.query_language, "rank dist."]) == score.value

    def test_outlines_the_diagonal_alone(self, make_result):
        marked = {
            at
            for at, cell in heat_cells(tree([make_result()])).items()
            if "same" in (cell.attributes["class"] or "").split()
        }
        assert marked == {(code, code) for code in make_result().suite.languages}

    def test_leaves_a_gap_where_a_pair_was_not_measured(self, make_result):
        result = make_result()
        kept = [s for s in result.scores if (s.query_language, s.document_language) != ("ar", "de")]
        cells = heat_cells(tree([result.model_copy(update={"scores": tuple(kept)})]))
        assert cells["ar", "de"].text == "–"
        assert cells["de", "ar"].text != "–"

    def test_gives_the_same_value_the_same_colour_for_every_encoder(self, five_encoders):
        by_value = {}
        for table in tree(five_encoders).all("table", class_="heat"):
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
        suite = {"name": "miracl", "languages": languages}
        results = [make_result(name, suite=suite, measures=measures, quality=q) for name, q in (("a", 0.5), ("b", 0.7))]
        (table,) = tree(results).all("table", class_="heat")
        strips = {row.all("th")[0].text: row.all("td") for row in table.all("tbody")[0].all("tr")}
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
        root = tree([make_result("one"), make_result("two", suite=change)])
        sections = root.all("section", class_="suite")
        assert [len(section.all("table", class_="overview")) for section in sections] == [1, 1]
        assert sorted(name for i in range(2) for name in rows(root, i)) == ["one", "two"]
        assert all(len(rows(root, i)) == 1 for i in range(2))
        assert all(reason in section.all("p", class_="apart")[0].text for section in sections)

    def test_an_older_run_of_the_same_encoder_gives_way_and_the_page_says_so(self, make_result):
        old = make_result("a", quality=0.9, created="2025-01-01T00:00:00Z")
        new = make_result("a", quality=0.5, created="2026-01-01T00:00:00Z")
        root = tree([new, old])
        assert value(rows(root)["a"]["monolingual/AP"]) == new.summary["monolingual"]["AP"]
        assert "1 older run was left out" in root.text

    def test_each_encoder_states_prompts_environment_timing_and_command(self, make_result):
        (article,) = tree([make_result("org/model", suite={"languages": ("de", "en")})]).all("article")
        details = article.all("details")[0].text
        for expected in ("Query:", "Passage:", "3d2c1b0a", "x86_64, 4 cores", "412.7 texts per second", "0.12%", "384"):
            assert expected in details
        assert "xlir-bench run org/model --suite xquad-r" in article.text

    def test_the_header_states_date_and_harness_versions(self, make_result):
        root = tree([make_result("a"), make_result("b", harness={"version": "0.2.0"})])
        header = root.all("header")[0].text
        assert "2026-01-15 12:00 UTC" in header
        assert "0.1.0 , 0.2.0" in header


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
        assert list(rows(tree([result]))) == ["example/encoder"]

    def test_a_single_encoder_has_no_best(self, make_result):
        assert not tree([make_result()]).all("strong")

    def test_no_results_give_a_page_that_says_so(self):
        assert "There are no results yet." in tree([]).text

    def test_a_result_without_scores_or_texts_encoded_is_shown(self, make_result):
        empty = make_result(scores=[], summary={}, primary={}, model={"details": {}, "revision": None})
        timing = empty.timing.model_copy(update={"texts_per_s": None})
        assert list(rows(tree([empty.model_copy(update={"timing": timing})]))) == ["example/encoder"]

    def test_a_mean_that_is_not_finite_is_shown_as_missing(self, make_result):
        result = make_result(summary={"monolingual": {"AP": float("nan")}})
        assert rows(tree([result]))["example/encoder"]["monolingual/AP"].text == "–"


class TestWriting:
    def test_makes_the_folder_and_returns_the_page(self, make_result, tmp_path):
        path = build([make_result()], tmp_path / "new" / "site")
        assert path == tmp_path / "new" / "site" / "index.html"
        assert read(path.read_text("utf-8")).all("main")
        assert os.listdir(path.parent) == ["index.html"]  # noqa: PTH208

    def test_is_readable_by_a_web_server_like_any_new_file(self, make_result, tmp_path):
        plain = tmp_path / "plain"
        plain.touch()
        assert build([make_result()], tmp_path).stat().st_mode == plain.stat().st_mode

    def test_a_failure_while_writing_leaves_the_old_page_and_nothing_else(self, make_result, tmp_path, monkeypatch):
        (tmp_path / "index.html").write_text("old")

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(MissingResourceError, match="No space"):
            build([make_result()], tmp_path)
        assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"index.html": "old"}

    def test_the_page_is_never_seen_half_written(self, make_result, tmp_path, monkeypatch):
        seen = []
        replace = Path.replace
        monkeypatch.setattr(
            Path, "replace", lambda s, t: (seen.append((t.exists(), s.read_text("utf-8"))), replace(s, t))
        )
        build([make_result()], tmp_path)
        ((existed, draft),) = seen
        assert not existed
        assert draft.rstrip().endswith("</html>")

    def test_the_same_results_on_the_same_date_give_the_same_bytes(self, five_encoders, tmp_path, monkeypatch):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1768478400")
        first = build(five_encoders, tmp_path / "a").read_bytes()
        second = build(five_encoders[::-1], tmp_path / "b").read_bytes()
        assert first == second
        assert b"2026-01-15 12:00 UTC" in first
