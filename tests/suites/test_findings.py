"""What is wrong or remarkable in a collection is said by `run`, kept in the result, and a fault of `suites check`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from folders import ASKED, BIRDS, CHINESE, write_folder, write_suite

from xlir_bench.cli.main import cli
from xlir_bench.errors import InputError, XlirError
from xlir_bench.suites import find, findings, load

OWN = [(name, name, 1) for name in BIRDS]


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def faults(place, *options) -> str:
    """What `suites check` fails with, "" where it passes."""
    ran = invoke("suites", "check", place, *options)
    assert ran.exception is None or isinstance(ran.exception, (XlirError, SystemExit)), ran.exception
    assert (ran.exit_code == 0) == (not isinstance(ran.exception, XlirError))
    return str(ran.exception) if isinstance(ran.exception, XlirError) else ""


def measured(place, tmp_path, *options):
    ran = invoke("run", "bm25", "--suite", place, "--output", tmp_path / "results", "--json", *options)
    assert ran.exit_code == 0, ran.output + repr(ran.exception)
    return json.loads(ran.stdout), ran.stderr


def test_a_query_and_a_document_that_share_a_number_are_judged_as_the_file_says(tmp_path):
    """Questions and answers that are numbered apart: the same data with other ids has the same figures."""
    judged = [*OWN, ("0", "2", 1)]
    shared = write_folder(tmp_path / "shared" / "en", BIRDS, ASKED, judged)
    other = {f"d{name}": text for name, text in BIRDS.items()}
    apart = write_folder(tmp_path / "apart" / "en", other, ASKED, [(q, f"d{d}", gain) for q, d, gain in judged])
    assert faults(shared) == ""
    values = []
    for place in (shared, apart):
        result, said = measured(place, tmp_path / place.parent.name)
        values.append([(score["measure"], score["value"], score["queries"]) for score in result["scores"]])
        assert "warning" not in said
    assert values[0] == values[1]
    assert values[0][0][2] == 3


def test_a_judgement_of_a_querys_own_text_counts_and_is_noted(tmp_path):
    place = write_folder(tmp_path / "en", {"q": "a bird"}, {"q": "a bird"}, [("q", "q", 1)])
    result, said = measured(place, tmp_path)
    assert result["summary"]["monolingual"]["nDCG@10"] == 1.0
    assert "1 of 1 queries are documents of the pool, with the same id and text" in said
    assert "self_matches: removed" in result["notes"][0]
    assert faults(place) == ""


def test_a_suite_that_leaves_out_its_only_answers_is_refused_before_anything_is_encoded(tmp_path):
    write_folder(tmp_path / "en", {"q": "a bird"}, {"q": "a bird"}, [("q", "q", 1)])
    suite = write_suite(tmp_path / "own.yaml", source={"reader": "beir", "folder": "en", "self_matches": "removed"})
    ran = invoke("run", "bm25", "--suite", suite, "--output", tmp_path / "results")
    assert isinstance(ran.exception, InputError)
    assert "no query has a relevant document: every judged relevant document is left out" in str(ran.exception)
    assert not list((tmp_path / "results").rglob("*.json"))
    assert "no query has a relevant document" in faults(suite)


def test_relevant_documents_that_a_declared_exclusion_leaves_out_are_counted(tmp_path):
    write_folder(tmp_path / "en", BIRDS, ASKED, [*OWN, ("0", "1", 1)])
    suite = write_suite(tmp_path / "own.yaml", source={"reader": "beir", "folder": "en", "self_matches": "removed"})
    assert "3 judged relevant documents are left out of their query's ranking" in faults(suite)
    result, said = measured(suite, tmp_path)
    assert "warning: 3 judged relevant documents are left out" in said
    assert result["scores"][0]["queries"] == 3  # two of them as 0


@pytest.mark.parametrize(("name", "expected"), [("arguana", "removed"), ("quora", "removed"), ("fiqa", "kept")])
def test_beirs_suites_declare_whether_self_matches_are_removed(name, expected):
    assert find(name).source.self_matches == expected


def test_of_beirs_suites_those_whose_queries_are_documents_remove_self_matches():
    """mteb's rule is the wider one: it also sets it for collections whose ids only look alike."""
    mteb = pytest.importorskip("mteb")
    from xlir_bench.results.exchange.mteb_tasks import MTEB_TASKS
    from xlir_bench.suites.beir import BeirSource

    removed = set()
    for task in MTEB_TASKS.values():
        source = find(task.suite).source if task.suite else None
        if isinstance(source, BeirSource) and source.self_matches == "removed":
            assert mteb.get_task(task.name).ignore_identical_ids
            removed.add(task.name)
    assert removed == {"ArguAna", "QuoraRetrieval"}


def test_queries_without_a_relevant_document_are_counted_per_language(tmp_path):
    write_folder(tmp_path / "own" / "en", BIRDS, ASKED, [("0", "0", 1), ("1", "1", 0), ("2", "2", -1)])
    write_folder(tmp_path / "own" / "sw", BIRDS, ASKED, OWN)
    result, said = measured(tmp_path / "own", tmp_path)
    assert "en: 2 of 3 queries are judged and have no relevant document; they count as 0" in said
    scores = {(s["query_language"], s["measure"]): s for s in result["scores"] if s["setting"] == "monolingual"}
    assert (scores["en", "R@100"]["value"], scores["en", "R@100"]["queries"]) == (pytest.approx(1 / 3), 3)
    assert any(note.startswith("en: 2 of 3") for note in result["notes"])
    checked = json.loads(invoke("suites", "check", tmp_path / "own", "--json").stdout)
    assert {row["language"]: row["unanswered"] for row in checked["languages"]} == {"en": 2, "sw": 0}
    assert checked["holds"]
    assert "2 of 3 queries" in invoke("suites", "check", tmp_path / "own").stdout


def test_a_language_whose_queries_all_drop_out_is_named_and_a_fault(tmp_path):
    write_folder(tmp_path / "own" / "en", BIRDS, ASKED, OWN)
    write_folder(tmp_path / "own" / "sw", BIRDS, ASKED, [("0", "0", 0), ("1", "1", 0)])
    write_folder(tmp_path / "own" / "fi", BIRDS, ASKED, "query-id\tcorpus-id\tscore\n")
    result, said = measured(tmp_path / "own", tmp_path)
    assert "warning: sw: none of the 2 judged queries has a relevant document; all count as 0" in said
    assert "warning: fi: there is no judged query" in said
    rows = {s["query_language"]: s["value"] for s in result["scores"] if s["measure"] == "R@100"}
    assert rows["sw"] == 0.0
    mono = {s["query_language"] for s in result["scores"] if s["setting"] == "monolingual"}
    assert mono == {"en", "sw"}
    refusal = faults(tmp_path / "own")
    assert "sw: none of the 2" in refusal
    assert "fi: there is no judged query" in refusal


def test_a_language_without_any_text_is_a_fault(tmp_path):
    write_folder(tmp_path / "own" / "en", BIRDS, ASKED, OWN)
    write_folder(tmp_path / "own" / "sw", {}, {}, "query-id\tcorpus-id\tscore\n")
    assert "sw: there is no judged query and no document" in faults(tmp_path / "own")
    assert "sw: there is no judged query and no document" in measured(tmp_path / "own", tmp_path)[1]


def test_repeated_judgements_are_a_fault(tmp_path):
    place = write_folder(tmp_path / "en", BIRDS, ASKED, [*OWN, ("0", "0", 1)])
    assert "test.tsv:5: 1 line repeats an earlier judgement" in faults(place)
    assert "warning: " in measured(place, tmp_path)[1]


@pytest.mark.parametrize(
    ("queries", "documents", "said"),
    [
        (dict(zip(CHINESE, CHINESE.values(), strict=True)), BIRDS, ["queries"]),
        (ASKED, dict(zip(BIRDS, CHINESE.values(), strict=True)), ["documents"]),
        (dict(zip(ASKED, CHINESE.values(), strict=True)), dict(zip(BIRDS, CHINESE.values(), strict=True)),
         ["queries", "documents"]),
        (ASKED, BIRDS, []),
    ],
)  # fmt: skip
def test_the_script_of_queries_and_of_documents_is_judged_apart(tmp_path, queries, documents, said):
    judged = [(q, d, 1) for q, d in zip(queries, documents, strict=True)]
    place = write_folder(tmp_path / "en", documents, queries, judged)
    refusal, warned = faults(place), measured(place, tmp_path)[1]
    for side in ("queries", "documents"):
        assert (f"of the letters of its {side} are Latn" in refusal) == (side in said)
        assert (f"of the letters of its {side} are Latn" in warned) == (side in said)


def test_a_setting_without_rows_is_refused_before_encoding(tmp_path):
    results = tmp_path / "results"
    asked = ("run", "bm25", "--output", results, "--languages", "en", "--settings")
    for settings in ("cross-lingual", "monolingual,cross-lingual"):
        ran = invoke(*asked, settings)
        assert isinstance(ran.exception, InputError)
        assert "suite xlir-mini has no cross-lingual row in en: judged are en-en" in str(ran.exception)
        assert not list(results.rglob("*.json"))
    ran = invoke("run", "bm25", "--output", results, "--languages", "en", "--json")
    assert set(json.loads(ran.stdout)["summary"]) == {"monolingual", "multilingual"}
    assert "xlir-mini: there is no cross-lingual row" not in ran.stderr
    again = invoke("run", "bm25", "--output", results, "--languages", "en")
    assert "finished by an earlier run" in again.stderr


def test_the_python_function_refuses_a_setting_without_rows_too(tmp_path):
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import evaluate

    suite = find("xlir-mini").narrowed(["cross-lingual"])
    with pytest.raises(InputError, match="no cross-lingual row in en"):
        evaluate(resolve("random"), suite, load(suite, languages=["en"]))


def test_a_declared_setting_that_nothing_is_judged_for_is_a_fault(tmp_path):
    for code in ("en", "sw"):
        write_folder(tmp_path / code, BIRDS, ASKED, OWN)
    suite = write_suite(
        tmp_path / "own.yaml",
        languages=["en", "sw"],
        source={"reader": "beir", "folder": "{language}"},
        settings={"monolingual": ["AP"], "cross-lingual": ["AP"]},
    )
    assert "there is no cross-lingual row: judged are en-en, sw-sw" in faults(suite)
    assert findings(find(str(suite)), load(find(str(suite)), languages=["en"]))[0].fault is False


def test_a_result_that_could_not_be_read_again_is_not_written(tmp_path):
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import evaluate
    from xlir_bench.results import save

    suite = find("xlir-mini").narrowed(["monolingual"])
    found = evaluate(resolve("random"), suite, load(suite, languages=["en"]))
    for change, message in (({"ties": np.nan}, "ties"), ({"scores": ()}, "no score")):
        with pytest.raises(InputError, match=f"not written.*{message}"):
            save(found.result.model_copy(update=change), found.ranks, tmp_path)
    assert not list(tmp_path.rglob("*"))


def test_the_bundled_suite_has_no_fault():
    assert faults("xlir-mini") == ""
    assert findings(find("xlir-mini"), load(find("xlir-mini"))) == []


def test_runs_of_a_search_and_their_judgements_have_the_queries_that_count_as_0(tmp_path):
    import ir_measures

    place = write_folder(tmp_path / "en", BIRDS, ASKED, [("0", "0", 1), ("1", "1", 1), ("2", "0", 0)])
    result, _ = measured(place, tmp_path, "--top-k", "3")
    (run,) = (tmp_path / "results").rglob("monolingual/*.run")
    qrels = list(ir_measures.read_trec_qrels(str(run.with_suffix(".qrels"))))
    assert {(qrel.query_id, qrel.doc_id, qrel.relevance) for qrel in qrels} == {
        ("0", "0", 1),
        ("1", "1", 1),
        ("2", "0", 0),
    }
    found = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, ir_measures.read_trec_run(str(run)))
    assert result["summary"]["monolingual"]["nDCG@10"] == pytest.approx(found[ir_measures.nDCG @ 10])
    assert found[ir_measures.nDCG @ 10] == pytest.approx(2 / 3)  # bm25 has both answers first
