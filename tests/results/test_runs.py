"""TREC runs with the documents that were found: beside sorted rankings, ir_measures, and other ways to search."""

from __future__ import annotations

import json
from dataclasses import replace

import ir_measures
import numpy as np
import pytest
from oracles import ranking

from xlir_bench.encoders import Model, ModelInfo, resolve
from xlir_bench.engines import Streaming
from xlir_bench.errors import InputError
from xlir_bench.evaluation import Output, run
from xlir_bench.suites import find, load


class LetterEncoder:
    """How often each of 40 letters occurs: vectors that often tie."""

    def encode(self, texts, *, role, languages):
        vectors = np.zeros((len(texts), 40), np.float32)
        for row, text in enumerate(texts):
            for character in text:
                vectors[row, ord(character) % 40] += 1
        return vectors


def model(mark="a") -> Model:
    return Model(ModelInfo("letters", "letters", mark * 64), LetterEncoder())


@pytest.fixture(scope="module")
def mini():
    suite = find("xlir-mini")
    return suite, load(suite, None, ["de", "en", "fi"])


def files(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def runs_of(folder) -> dict[str, list[tuple[str, str, int, float]]]:
    """Path -> (query, document, rank, score) of each line."""
    found = {}
    for path in sorted(folder.rglob("*.run")):
        lines = [line.split(" ") for line in path.read_text().splitlines()]
        found[str(path.relative_to(folder))[: -len(".run")]] = [(q, d, int(n), float(s)) for q, _, d, n, s, _ in lines]
    return found


def test_runs_are_the_rankings_sorted_by_score_and_id(mini, tmp_path):
    suite, collection = mini
    kept = run(model(), suite, collection, Output(tmp_path, 7))
    texts, encoder = collection.queries, LetterEncoder()
    queries, documents = (
        encoder.encode(side.texts, role="", languages=[]).astype(np.float64)
        for side in (collection.queries, collection.documents)
    )
    queries, documents = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (queries, documents))
    # Vectors are float32 when they are multiplied.
    scores = (queries.astype(np.float32).astype(float) @ documents.astype(np.float32).astype(float).T).astype(
        np.float32
    )
    found = runs_of(kept.runs)
    assert len(found) == 3 + 6 + 3
    number = {name: at for at, name in enumerate(texts.ids)}
    for name, lines in found.items():
        pool = name.rpartition("-")[2]
        languages = set(collection.languages) if pool == "all" else {pool}
        by_query = {}
        for query, document, rank, score in lines:
            by_query.setdefault(query, []).append((document, rank, np.float32(score)))
        for query, head in by_query.items():
            expected = ranking(collection, scores, number[query], languages)[:7]
            assert [(d, n) for d, n, _ in head] == [(collection.documents.ids[d], n) for n, d in enumerate(expected, 1)]
            assert [s for _, _, s in head] == [scores[number[query], d] for d in expected]


def test_whole_runs_score_with_ir_measures_as_the_result_says(mini, tmp_path):
    suite, collection = mini
    kept = run(model(), suite, collection, Output(tmp_path, len(collection.documents)))
    index = json.loads((kept.runs / "runs.json").read_text())
    assert len(index["runs"]) == 12
    for row in index["runs"]:
        run_file = list(ir_measures.read_trec_run(str(kept.runs / row["run"])))
        qrels = list(ir_measures.read_trec_qrels(str(kept.runs / row["qrels"])))
        by_ir_measures = {name: value for name, value in row["scores"].items() if name[:2] in ("AP", "R@", "nD", "RR")}
        assert by_ir_measures
        found = ir_measures.calc_aggregate(
            [ir_measures.parse_measure(name) for name in by_ir_measures], qrels, run_file
        )
        assert {str(measure): value for measure, value in found.items()} == pytest.approx(by_ir_measures, abs=1e-9)


@pytest.mark.parametrize("settings", [["monolingual"], ["multilingual"], ["monolingual", "cross-lingual"]])
def test_a_streamed_search_writes_the_same_runs(mini, tmp_path, settings):
    suite, collection = mini
    suite = suite.narrowed(settings)
    at_once = run(model(), suite, collection, Output(tmp_path / "whole", 12))
    expected = files(at_once.runs)
    assert {name.split("/")[0] for name in expected} == {*settings, "runs.json"}
    for size in (50, 1000):
        how = Streaming(size, records=str(tmp_path / "records"))
        streamed = run(model(), suite, collection, Output(tmp_path / str(size), 12), cache=how)
        assert files(streamed.runs) == expected


def test_an_index_of_words_writes_runs_too(mini, tmp_path):
    suite, collection = mini
    kept = run(resolve("bm25", "cpu"), suite, collection, Output(tmp_path, 5))
    found = runs_of(kept.runs)
    for name, lines in found.items():
        queries = {query for query, *_ in lines}
        assert len(lines) == 5 * len(queries), name
    qrels = list(ir_measures.read_trec_qrels(str(kept.runs / "monolingual/en-en.qrels")))
    run_file = list(ir_measures.read_trec_run(str(kept.runs / "monolingual/en-en.run")))
    success = ir_measures.calc_aggregate([ir_measures.R @ 1], qrels, run_file)[ir_measures.R @ 1]
    english = [s for s in kept.result.scores if s.query_language == s.document_language == "en" and s.measure == "R@1"]
    assert success == pytest.approx(english[0].value)


def test_the_result_is_the_same_with_and_without_runs(mini, tmp_path):
    suite, collection = mini
    with_runs = run(model(), suite, collection, Output(tmp_path / "with", 3))
    without = run(model(), suite, collection, tmp_path / "without")
    said = [kept.result.model_dump(exclude={"created", "timing"}) for kept in (with_runs, without)]
    assert said[0] == said[1]
    assert without.runs is None
    assert not (tmp_path / "without/letters/xlir-mini.runs").exists()
    ranks = [(tmp_path / side / "letters").glob("*.parquet") for side in ("with", "without")]
    assert [path.read_bytes() for path in sorted(ranks[0])] == [path.read_bytes() for path in sorted(ranks[1])]


def test_a_finished_result_is_searched_again_only_where_its_runs_are_missing_or_others(mini, tmp_path):
    suite, collection = mini

    def measured(depth, mark="a"):
        return run(model(mark), suite, collection, Output(tmp_path, depth)).measured_now

    assert measured(None)
    assert [measured(None), measured(3), measured(3), measured(None)] == [False, True, False, False]
    (tmp_path / "letters/xlir-mini.runs/runs.json").unlink()  # as after a kill
    assert [measured(3), measured(4), measured(4)] == [True, True, False]
    assert [measured(4, "b"), measured(4, "b")] == [True, False]


def test_a_search_in_fewer_settings_takes_the_runs_of_a_fuller_one_and_removes_none(mini, tmp_path):
    suite, collection = mini
    full = run(model(), suite, collection, Output(tmp_path, 3))
    before = files(full.runs)
    kept = run(model(), suite.narrowed(["multilingual"]), collection, Output(tmp_path, 3))
    assert not kept.measured_now
    assert kept.runs == full.runs
    assert files(kept.runs) == before
    deeper = run(model(), suite.narrowed(["multilingual"]), collection, Output(tmp_path, 4))
    assert {name.split("/")[0] for name in files(deeper.runs)} == {"multilingual", "runs.json"}
    assert files(full.runs) == before


def test_more_names_than_memory_holds_are_refused_before_anything_is_encoded(mini, tmp_path, monkeypatch):
    suite, collection = mini
    monkeypatch.setattr("xlir_bench.evaluation.MOST_NAMED", 10_000)

    class Never:
        def encode(self, texts, *, role, languages):
            raise AssertionError

    never = replace(model(), retriever=Never())
    with pytest.raises(InputError, match=r"has [\d,]+ rankings.*ask for \d+ or fewer, or for --settings multilingual"):
        run(never, suite, collection, Output(tmp_path, 1000))
