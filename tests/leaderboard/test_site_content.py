"""A site shows every figure of the results, in the tables, maps and histories where it belongs."""

from __future__ import annotations

import re

import pytest
from leaderboard.site_pages import encoder, heads_of, heat_cells, maps_of, pages, rows, suite, value


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
        assert set(rows(suite([result]))) == {"mine"}

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
