"""Runs rebuilt from ranks score, in trec_eval's own hands, what the result says."""

from __future__ import annotations

import json
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import GivenScores, trec_qrels, trec_run

from xlir_bench.analysis import row_scores, summary_of
from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.evaluation import reference
from xlir_bench.measures import parse
from xlir_bench.results import Result, save
from xlir_bench.results.exchange import Entry, read_entries, run_lines, write_trec
from xlir_bench.retrieval import count_outranked
from xlir_bench.suites import find

MEASURES = ["AP", "RR", "nDCG@10", "nDCG@3", "R@1", "R@5", "P@2", "Success@2"]


def stored(collection: Collection, scores, folder: Path, name: str = "encoder") -> Entry:
    """A result with its ranks on disk, of scores that are typed in."""
    ranks = count_outranked(GivenScores(scores), collection, across_languages=True)
    suite = find("xlir-mini").model_copy(
        update={"settings": dict.fromkeys(("monolingual", "cross-lingual", "multilingual"), tuple(MEASURES))}
    )
    rows = row_scores(ranks, suite.settings)
    result = Result.model_validate(
        {
            "suite": reference(suite, collection).model_dump(),
            "model": {"id": name, "name": name, "revision": None, "fingerprint": "cd" * 32}
            | {"prompts": {"query": "", "document": ""}, "details": {}},
            "harness": {"version": "0.1.0"},
            "environment": {},
            "created": "2026-01-15T12:00:00+00:00",
            "timing": {"encode_s": 1, "rank_s": 1, "measure_s": 1, "texts_per_s": None}
            | {"texts_encoded": 0, "texts_from_cache": 0},
            "summary": summary_of(rows),
            "primary": dict.fromkeys(suite.settings, "AP"),
            "ties": float(ranks.tied.mean()),
            "scores": [row.model_dump() for row in rows],
        }
    )
    return Entry(result, save(result, ranks, folder))


def scored(run: Path, names) -> dict[str, float]:
    """What ir_measures makes of a run and the judgements beside it."""
    measures = {ir_measures.parse_measure(name): name for name in names}
    qrels = list(ir_measures.read_trec_qrels(str(run.with_suffix(".qrels"))))
    found = ir_measures.calc_aggregate(list(measures), qrels, ir_measures.read_trec_run(str(run)))
    return {name: found[measure] for measure, name in measures.items()}


@st.composite
def collections(draw):
    """Up to two languages of queries and documents, graded judgements, and scores with ties."""
    queries, documents = draw(st.integers(1, 4)), draw(st.integers(2, 9))
    codes = st.sampled_from(["de", "ar"])
    query_codes, document_codes = (draw(st.lists(codes, min_size=n, max_size=n)) for n in (queries, documents))
    pairs = draw(
        st.dictionaries(
            st.tuples(st.integers(0, queries - 1), st.integers(0, documents - 1)), st.integers(1, 3), min_size=1
        )
    )
    collection = Collection(
        Texts([f"q{n}" for n in range(queries)], ["text"] * queries, query_codes),
        Texts([f"d{n}" for n in range(documents)], ["text"] * documents, document_codes),
        Judgements.of((q, d, float(gain)) for (q, d), gain in pairs.items()),
        [f"q{n}" for n in range(queries)],
    )
    values = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
    scores = draw(
        st.lists(st.lists(values, min_size=documents, max_size=documents), min_size=queries, max_size=queries)
    )
    return collection, np.array(scores, dtype=np.float32)


@given(collections())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_rebuilt_run_scores_what_the_run_of_true_scores_does(tmp_path_factory, drawn):
    collection, scores = drawn
    folder = tmp_path_factory.mktemp("trec")
    entry = stored(collection, scores, folder)
    write_trec(entry, folder / "out")
    place = folder / "out" / "encoder" / "xlir-mini"
    for row in json.loads((place / "scores.json").read_text()):
        query, _, document = Path(row["run"]).stem.partition("-")
        queries = [q for q, code in enumerate(collection.queries.languages) if code == query]
        pool = [d for d, code in enumerate(collection.documents.languages) if document in ("all", code)]
        true = ir_measures.calc_aggregate(
            [ir_measures.parse_measure(name) for name in MEASURES],
            trec_qrels(collection, queries, pool),
            trec_run(collection, scores, queries, pool),
        )
        ours = scored(place / row["run"], MEASURES)
        for measure, value in true.items():
            assert ours[str(measure)] == pytest.approx(value, abs=1e-9), (row["run"], measure)
        assert row["scores"] == pytest.approx({name: ours[name] for name in MEASURES}, abs=1e-9)


@pytest.fixture
def entry(two_languages, tmp_path) -> Entry:
    return stored(two_languages, np.random.default_rng(3).random((4, 6)), tmp_path / "results")


def test_every_row_of_every_setting_has_a_run_and_judgements(entry, tmp_path):
    written = write_trec(entry, tmp_path / "out")
    names = sorted(path.relative_to(tmp_path / "out" / "encoder" / "xlir-mini").as_posix() for path in written)
    assert names == [
        "cross-lingual/ar-de.run",
        "cross-lingual/de-ar.run",
        "monolingual/ar-ar.run",
        "monolingual/de-de.run",
        "multilingual/ar-all.run",
        "multilingual/de-all.run",
    ]
    assert all(path.with_suffix(".qrels").is_file() for path in written)


def test_the_announced_number_of_lines_is_that_of_the_runs(entry, tmp_path):
    for depth in (None, 1, 3):
        written = write_trec(entry, tmp_path / str(depth), depth=depth)
        assert run_lines(entry, depth=depth) == sum(len(path.read_text().splitlines()) for path in written)


def test_a_depth_leaves_measures_with_a_cut_off_up_to_it_as_they_were(entry, tmp_path):
    for path in write_trec(entry, tmp_path / "cut", depth=3):
        whole = write_trec(entry, tmp_path / "whole")
        same = next(other for other in whole if other.name == path.name and other.parent.name == path.parent.name)
        names = ["nDCG@3", "R@1", "P@2", "Success@2"]
        assert scored(path, names) == pytest.approx(scored(same, names))


def test_ids_with_white_space_stay_one_column(two_languages, tmp_path):
    spaced = Collection(
        Texts([f"{name} ?\t100%" for name in two_languages.queries.ids], two_languages.queries.texts, ["ar"] * 4),
        Texts(
            [f"unjudged-{name} x" for name in two_languages.documents.ids], two_languages.documents.texts, ["ar"] * 6
        ),
        two_languages.judgements,
        two_languages.questions,
    )
    entry = stored(spaced, np.random.default_rng(3).random((4, 6)), tmp_path)
    (run, _) = write_trec(entry, tmp_path / "out")
    assert {len(line.split()) for line in run.read_text().splitlines()} == {6}
    assert scored(run, MEASURES) == pytest.approx(
        {score.measure: score.value for score in entry.result.scores if score.setting == "monolingual"}
    )


def test_gains_that_trec_cannot_say_are_refused(two_languages, tmp_path):
    half = Collection(
        two_languages.queries, two_languages.documents, Judgements.of([(0, 0, 0.5)]), two_languages.questions
    )
    entry = stored(half, np.ones((4, 6)), tmp_path)
    with pytest.raises(InputError, match="not a whole number"):
        write_trec(entry, tmp_path / "out")


def test_without_ranks_there_is_no_run(entry, tmp_path):
    entry.path.with_suffix(".parquet").unlink()
    with pytest.raises(MissingResourceError, match="are not beside it"):
        write_trec(entry, tmp_path / "out")


def test_ranks_of_bm25_score_the_same_in_trec_eval(tmp_path):
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import run
    from xlir_bench.suites import load

    suite = find("xlir-mini").narrowed(["monolingual", "multilingual"])
    run(resolve("bm25"), suite, load(suite, languages=["de", "th"]), tmp_path / "results")
    (entry,) = read_entries([tmp_path / "results"])
    write_trec(entry, tmp_path)
    place = tmp_path / "bm25" / "xlir-mini"
    rows = json.loads((place / "scores.json").read_text())
    assert [row["run"] for row in rows][:2] == ["monolingual/de-de.run", "monolingual/th-th.run"]
    for row in rows:
        said = {name: value for name, value in row["scores"].items() if parse(name).definition.bounded}
        assert scored(place / row["run"], said) == pytest.approx(said, abs=1e-9)
