"""Which of several results on one suite are compared, exported and shown, and what is said of the others."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from selections import ALL, WHOLE, asked, figures, model

import xlir_bench as xb
from xlir_bench.api.pages import report
from xlir_bench.api.result import Result
from xlir_bench.collection import Judgements
from xlir_bench.errors import InputError
from xlir_bench.evaluation import measured, run
from xlir_bench.results import find_results, load_result
from xlir_bench.results.exchange import read_entries

POLICY = "rules:\n  - {setting: monolingual, measure: AP, budget: 0.01}\n"


def other_model():
    """The same vectors under another name, so that only the choice of results decides what is compared."""
    plain = model()
    return replace(plain, info=replace(plain.info, id="others", name="others", fingerprint=f"{2:064x}"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`letters` in full, on two languages and in one setting; `others` on the two languages alone."""
    place = tmp_path_factory.mktemp("selection")
    for selection in ("full", "languages", "monolingual"):
        run(model(), *asked(selection), place)
    run(other_model(), *asked("languages"), place)
    return place


def test_compare_takes_the_most_languages_that_all_models_have_and_says_what_it_leaves_out(folder, caplog):
    found = xb.compare(folder)
    assert found.languages == ("de", "en")
    assert {standing.encoder for standing in found.standings} == {"letters", "others"}
    [line] = [record.message for record in caplog.records if "left out" in record.message]
    left = {path for path in find_results([folder / "letters"]) if str(path) in line}
    assert {load_result(path).suite.languages for path in left} == {tuple(ALL)}
    assert len(left) == 2


def test_compare_takes_the_fullest_of_each_model_where_all_have_it(folder, tmp_path):
    run(model(), *asked("full"), tmp_path)
    run(other_model(), *asked("full"), tmp_path)
    run(other_model(), *asked("languages"), tmp_path)
    run(other_model(), *asked("monolingual"), tmp_path)
    found = xb.compare(tmp_path)
    assert found.languages == tuple(ALL)
    assert {standing.setting for standing in found.standings} == {"monolingual", "cross-lingual", "multilingual"}
    with pytest.raises(InputError, match="letters has no result on de en alone; it has results on de en fi"):
        xb.compare(tmp_path, languages=["de", "en"])


def test_the_gate_asks_of_a_candidate_what_the_baseline_was_measured_on(folder, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    assert xb.gate(folder / "letters", folder / "others", policy).passed
    # The baseline is fuller: that both were also measured on two languages does not hide what the candidate lacks.
    lacking = xb.gate(folder / "others", folder / "letters", policy)
    assert not lacking.passed
    assert {check.verdict for check in lacking.checks} == {"missing"}
    assert xb.gate(folder / "others", folder / "letters", policy, languages=["en", "de"]).passed


def test_an_export_has_each_figure_once_and_other_languages_where_they_are_asked_for(folder):
    assert [entry.result.suite.languages for entry in read_entries([folder])] == [tuple(ALL), ("de", "en")]
    assert [entry.result.suite.languages for entry in read_entries([folder], ["de", "en"])] == [("de", "en")] * 2
    one = read_entries([folder / "letters"])
    assert [set(entry.result.summary) for entry in one] == [{"monolingual", "cross-lingual", "multilingual"}]


def test_pages_name_the_languages_of_two_tables_of_one_suite_and_show_one_row_for_one_set_of_data(folder, tmp_path):
    site = report(folder, tmp_path)
    [line] = site.left_out
    assert "monolingual" in line
    assert "letters" in line
    index = site.index.read_text()
    payload = json.loads(re.search(r'<script type="application/json" id="payload">(.*?)</script>', index, re.S)[1])
    assert sorted(suite["edition"] for suite in payload["suites"]) == ["version 1, de en", "version 1, de en fi"]
    assert sorted(len(suite["rows"]) for suite in payload["suites"]) == [1, 2]
    for text in (index, (tmp_path / "feed.atom").read_text()):
        assert "version 1, de en fi" in text
    pages = "".join(path.read_text() for path in (tmp_path / "pages").glob("encoder-letters-*.html"))
    assert "xlir-bench run letters --suite xlir-mini --languages de,en<" in pages
    assert "xlir-bench run letters --suite xlir-mini --languages de,en,fi<" in pages
    [whole] = [suite for suite in payload["suites"] if suite["edition"].endswith("fi")]
    assert {group[0] for group in whole["groups"]} >= {"monolingual", "cross-lingual", "multilingual"}


@pytest.mark.parametrize("first", ["full", "languages"])
def test_saving_from_a_program_replaces_no_fuller_result(tmp_path, first):
    order = [first, "languages" if first == "full" else "full", "monolingual"]
    made = {}
    for selection in order:
        evaluation = measured(model(), *asked(selection))
        made[selection] = figures(evaluation.result)
        path = Result(evaluation.result, evaluation.ranks).save(tmp_path)
        assert figures(load_result(path)) == made[selection]
    assert figures(load_result(tmp_path / "letters" / "xlir-mini.json")) == made["full"]
    kept = [figures(load_result(path)) for path in (tmp_path / "letters").glob("*.json")]
    assert sorted(map(str, kept)) == sorted(map(str, made.values()))


def test_a_sample_of_a_collection_replaces_no_result_on_all_of_it(tmp_path):
    suite, _ = asked("multilingual")
    full = run(model(), suite, WHOLE, tmp_path)
    pairs = WHOLE.judgements
    kept = pairs.query % 3 == 0
    sample = replace(WHOLE, judgements=Judgements(pairs.query[kept], pairs.document[kept], pairs.gain[kept]))
    saved = run(model(), suite, sample, tmp_path)
    assert saved.measured_now
    assert saved.path != full.path
    assert load_result(full.path).suite == full.result.suite
