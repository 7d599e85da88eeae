"""Judged queries without a relevant document count as 0 where they are judged, as in trec_eval and ir_measures."""

from __future__ import annotations

from dataclasses import replace

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import GivenScores, trec_qrels, trec_run

from xlir_bench.analysis import analysed
from xlir_bench.analysis.bias import measure_bias
from xlir_bench.analysis.compare import Run, compare
from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import Model, ModelInfo
from xlir_bench.engines import Streaming, stream
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate
from xlir_bench.gating.figures import Pair
from xlir_bench.gating.verdict import Figure
from xlir_bench.measures import parse
from xlir_bench.results import load_ranks, load_result, ranks_path, save
from xlir_bench.results.exchange import Entry, write_trec
from xlir_bench.retrieval import Unanswered, count_outranked
from xlir_bench.submissions.tables import impossible
from xlir_bench.suites import find

from test_counting import collections  # isort: skip

NAMES = ["AP", "nDCG@10", "RR", "R@5", "P@2", "Success@1"]
TREC_EVAL = {"AP": "map", "nDCG@10": "ndcg_cut_10", "RR": "recip_rank", "R@5": "recall_5", "Success@1": "success_1"}


def texts(prefix: str, languages: list[str]) -> Texts:
    size = len(languages)
    return Texts([f"{prefix}{n}" for n in range(size)], [f"text {prefix} {n}" for n in range(size)], languages)


@st.composite
def one_file(draw) -> tuple[Collection, np.ndarray]:
    """One judgement file: queries in one language, documents in one, gains from -1, every query judged."""
    queries, documents = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    x, y = draw(st.sampled_from([("en", "en"), ("en", "zh")]))
    judged = {}
    for query in range(queries):
        some = draw(st.dictionaries(st.integers(0, documents - 1), st.integers(-1, 3), min_size=1, max_size=4))
        judged |= {(query, document): gain for document, gain in some.items()}
    judged[0, 0] = 1
    scores = draw(
        st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=queries * documents, max_size=queries * documents)
    )
    collection = Collection(
        texts("q", [x] * queries),
        texts("d", [y] * documents),
        Judgements.of((q, d, float(gain)) for (q, d), gain in judged.items()),
        [f"q{n}" for n in range(queries)],
    )
    return collection, np.array(scores, dtype=np.float32).reshape(queries, documents)


@settings(max_examples=200, deadline=None)
@given(one_file(), st.booleans())
def test_means_over_a_file_are_those_of_ir_measures_and_trec_eval(drawn, with_lines):
    """With lines of every query in the run, and with none of those without a relevant document (`trec_eval -c`)."""
    collection, scores = drawn
    table = count_outranked(GivenScores(scores), collection, across_languages=True)
    everything = range(len(collection.queries))
    searched = everything if with_lines else np.unique(table.query).tolist()
    qrels = trec_qrels(collection, everything, range(len(collection.documents)))
    run = trec_run(collection, scores, searched, range(len(collection.documents)))
    setting = "monolingual" if collection.languages == ("en",) else "cross-lingual"
    (row,) = table.rows(setting)
    assert row.queries.tolist() == list(everything)
    oracle = ir_measures.calc_aggregate([ir_measures.parse_measure(name) for name in NAMES], qrels, run)
    for name in NAMES:
        _, values = row.values(parse(name))
        assert values.mean() == pytest.approx(oracle[ir_measures.parse_measure(name)], abs=1e-9), name
    if with_lines:
        per_query = pytrec_eval.RelevanceEvaluator(qrels, {"map", "ndcg_cut", "recip_rank", "recall", "success"})
        found = per_query.evaluate(run)
        for name, theirs in TREC_EVAL.items():
            expected = [found[f"q{number}"][theirs] for number in everything]
            np.testing.assert_allclose(row.values(parse(name))[1], expected, atol=1e-6, err_msg=name)


@settings(max_examples=200, deadline=None)
@given(collections(), st.booleans())
def test_a_query_counts_where_it_has_a_relevant_document_or_was_judged_and_has_none_anywhere(drawn, across):
    collection, scores = drawn
    table = count_outranked(GivenScores(scores), collection, across_languages=across)
    left_out = set(zip(collection.excluded.query.tolist(), collection.excluded.document.tolist(), strict=True))
    judged, relevant = {}, {}
    j = collection.judgements
    for query, document, gain in zip(j.query.tolist(), j.document.tolist(), j.gain.tolist(), strict=True):
        judged.setdefault(query, set()).add(collection.documents.languages[document])
        if gain > 0 and (query, document) not in left_out:
            relevant.setdefault(query, set()).add(collection.documents.languages[document])
    expected = {}
    for query, pools in judged.items():
        for pool in relevant.get(query, pools):
            expected.setdefault((collection.queries.languages[query], pool), set()).add(query)
    for setting in ("monolingual", "cross-lingual") if across else ("monolingual",):
        for row in table.rows(setting):
            pair = row.query_language, row.document_language
            assert set(row.queries.tolist()) == expected.pop(pair)
            assert (row.judged.gains.sum(axis=1) > 0).tolist() == [q in relevant for q in row.queries.tolist()]
    assert not [pair for pair in expected if across or pair[0] == pair[1]]


@pytest.fixture
def part() -> Collection:
    """Four questions in de and en, each judged apart; de:q2 has no relevant document, en:q3 a negative gain."""
    rows = [("de", n) for n in range(4)] + [("en", n) for n in range(4)]
    gains = {(2, 2): 0.0, (7, 7): -1.0}
    return Collection(
        Texts([f"{x}:q{n}" for x, n in rows], [f"{x} asks {n}" for x, n in rows], [x for x, _ in rows]),
        Texts([f"{x}:d{n}" for x, n in rows], [f"{x} says {n}" for x, n in rows], [x for x, _ in rows]),
        Judgements.of((q, q, gains.get((q, q), 1.0)) for q in range(8)),
        [f"q{n}" for _, n in rows],
    )


SCORES = np.random.default_rng(4).random((8, 8))


def test_the_whole_pool_is_not_the_setting_of_files_of_one_language(part):
    table = count_outranked(GivenScores(SCORES), part, across_languages=True)
    assert {row.query_language: row.queries.tolist() for row in table.rows("monolingual")} == {
        "de": [0, 1, 2, 3],
        "en": [4, 5, 6, 7],
    }
    assert [row.queries.tolist() for row in table.rows("multilingual")] == [[0, 1, 3], [4, 5, 6]]


def test_where_one_file_judges_several_languages_the_whole_pool_is_its_setting(part):
    both = Judgements.of((q, d, 0.0 if q == 2 else 1.0) for q in range(8) for d in (q % 4, q % 4 + 4))
    table = count_outranked(GivenScores(SCORES), replace(part, judgements=both), across_languages=True)
    rows = {(row.query_language, row.document_language): row for row in table.rows("multilingual")}
    assert rows["de", "*"].queries.tolist() == [0, 1, 2, 3]
    numbers, values = rows["de", "*"].values(parse("rank_distance"))
    assert numbers.tolist() == [0, 1, 3]
    assert np.isfinite(values).all()
    assert [len(row.queries) for row in table.rows("cross-lingual")] == [4, 4]


def test_a_language_without_any_relevant_document_is_a_row_of_zeros(part):
    gains = np.where(part.judgements.query < 4, 0.0, 1.0)
    none_in_de = replace(part, judgements=replace(part.judgements, gain=gains))
    rows = list(count_outranked(GivenScores(SCORES), none_in_de, across_languages=False).rows("monolingual"))
    assert [(row.query_language, row.values(parse("AP"))[1].tolist() == [0.0] * 4) for row in rows] == [
        ("de", True),
        ("en", False),
    ]


def test_bias_is_measured_on_the_other_queries_alone(part):
    answered = part.judgements.gain > 0
    j = part.judgements
    fewer = replace(part, judgements=Judgements(j.query[answered], j.document[answered], j.gain[answered]))
    with_them = measure_bias(count_outranked(GivenScores(SCORES), part, across_languages=True))
    without = measure_bias(count_outranked(GivenScores(SCORES), fewer, across_languages=True))
    assert with_them == without


def test_a_query_whose_relevant_documents_are_in_a_language_that_was_not_chosen_is_not_taken_for_one_without(part):
    both = Judgements.of([(0, 0, 0.0), (0, 4, 1.0), (1, 1, 1.0), (2, 2, 0.0)])
    chosen = replace(part, judgements=both).select(["de"])
    assert chosen.unanswered.tolist() == [2]
    assert chosen.judgements.query.tolist() == [1, 2]


class Words:
    """Bags of letters."""

    def encode(self, texts, *, role, languages):
        vectors = np.zeros((len(texts), 128), np.float32)
        for row, text in enumerate(texts):
            for letter in text:
                vectors[row, ord(letter) % 128] += 1
        return vectors


def suite():
    return find("xlir-mini").model_copy(update={"settings": {"monolingual": ("AP", "R@1"), "multilingual": ("AP",)}})


def evaluated(collection: Collection, name: str = "words", encoder: object | None = None):
    return evaluate(Model(ModelInfo(name, name, name[0] * 64), encoder or Words()), suite(), collection)


def test_a_stored_result_keeps_them_and_its_figures_follow(part, tmp_path):
    found = evaluated(part)
    path = save(analysed(found.result, found.ranks), found.ranks, tmp_path)
    ranks, result = load_ranks(ranks_path(path)), load_result(path)
    assert ranks.unanswered.entries() == found.ranks.unanswered.entries() == [
        (2, "de:q2", "q2", "de", "de", "de:d2"),
        (7, "en:q3", "q3", "en", "en", "en:d3"),
    ]  # fmt: skip
    rows = {row.query_language: row for row in ranks.rows("monolingual")}
    for score in (score for score in result.scores if score.setting == "monolingual"):
        values = rows[score.query_language].values(parse(score.measure))[1]
        assert (score.value, score.queries) == (pytest.approx(values.mean(), abs=1e-12), 4)
    low, high = result.intervals["monolingual"]["AP"]
    assert low <= result.summary["monolingual"]["AP"] <= high
    assert [note for note in result.notes if "1 of 4 queries" in note and note.startswith("de:")]


def test_streaming_gives_the_same(part):
    model = Model(ModelInfo("words", "words", "b" * 64), Words())
    streamed = stream(model, part, Streaming(shard_size=3), across_languages=True).ranks
    held = evaluated(part).ranks
    assert streamed.unanswered.entries() == held.unanswered.entries()
    for setting in ("monolingual", "multilingual"):
        for one, other in zip(streamed.rows(setting), held.rows(setting), strict=True):
            np.testing.assert_array_equal(one.judged.ranks, other.judged.ranks)
            assert one.queries.tolist() == other.queries.tolist()


class Lengths(Words):
    def encode(self, texts, *, role, languages):
        return np.array([[len(text), 1.0, ord(text[-1])] for text in texts], np.float32)


def test_comparisons_and_the_gate_take_them_as_zeros_on_both_sides(part):
    runs = []
    for name, encoder in (("words", Words()), ("lengths", Lengths())):
        found = evaluated(part, name, encoder)
        runs.append(Run(name, analysed(found.result, found.ranks), found.ranks))
    difference = next(d for d in compare(runs).settings if (d.setting, d.measure) == ("monolingual", "AP"))
    per_query = []
    for run in runs:
        ap = dict.fromkeys(range(8), 0.0)
        for row in run.ranks.rows("monolingual"):
            ap |= dict(zip(row.queries.tolist(), row.values(parse("AP"))[1].tolist(), strict=True))
        per_query.append(np.array([ap[q] for q in range(8)]))
    assert difference.difference == pytest.approx((per_query[1] - per_query[0]).mean())
    pair = Pair.of("xlir-mini", runs[1], runs[0])
    losses = pair.losses(Figure("xlir-mini", "monolingual", "AP", "*", "*"))
    assert sum(len(column.rows) for column in losses) == 8
    assert -np.mean([column.values.mean() for column in losses]) == pytest.approx(difference.difference)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one_file())
def test_exported_runs_score_in_ir_measures_what_the_result_says(tmp_path_factory, drawn):
    collection, scores = drawn
    setting = "monolingual" if collection.languages == ("en",) else "cross-lingual"
    ranks = count_outranked(GivenScores(scores), collection, across_languages=True)
    (row,) = ranks.rows(setting)
    base = evaluated(two_answered()).result
    said = {name: float(row.values(parse(name))[1].mean()) for name in NAMES}
    one = base.scores[0]
    rows = tuple(one.model_copy(update={"setting": setting, "measure": n, "value": v}) for n, v in said.items())
    folder = tmp_path_factory.mktemp("runs")
    entry = Entry(base.model_copy(update={"scores": rows}), folder / "words" / "xlir-mini.json")
    save(entry.result, ranks, folder)
    (run,) = write_trec(entry, folder / "out", [setting])
    qrels = list(ir_measures.read_trec_qrels(str(run.with_suffix(".qrels"))))
    assert {qrel.query_id for qrel in qrels} == set(collection.queries.ids)
    parsed = {ir_measures.parse_measure(name): name for name in NAMES}
    found = ir_measures.calc_aggregate(parsed, qrels, ir_measures.read_trec_run(str(run)))
    assert {parsed[measure]: value for measure, value in found.items()} == pytest.approx(said, abs=1e-9)


def two_answered() -> Collection:
    return Collection(texts("q", ["en"]), texts("d", ["en"]), Judgements.of([(0, 0, 1.0)]), ["q0"])


@pytest.mark.parametrize(
    "entry",
    [
        (0, "de:q0", "q0", "de", "de", "de:d0"),  # has ranks
        (2, "de:q0", "q2", "de", "de", "de:d2"),  # an id that has ranks
        (2, "de:q2", "q2", "de", "fr", "de:d2"),  # a pool that there is not
        (2, "de:q2", "q2", "<b>", "de", "de:d2"),
        (-1, "de:q2", "q2", "de", "de", "de:d2"),
        (2, "x" * 2000, "q2", "de", "de", "de:d2"),
    ],
)
def test_a_strangers_list_that_contradicts_the_table_is_refused(part, entry):
    ranks = count_outranked(GivenScores(SCORES), part, across_languages=True)
    assert impossible(ranks) is None
    assert "without a relevant document" in str(impossible(replace(ranks, unanswered=Unanswered.listed([entry]))))


def test_a_damaged_list_in_a_stored_table_is_refused(part, tmp_path):
    import json

    import pyarrow.parquet as pq

    found = evaluated(part)
    path = ranks_path(save(found.result, found.ranks, tmp_path))
    stored = pq.read_table(path)
    header = json.loads(stored.schema.metadata[b"xlir-bench"])
    for damage in ("no list", [[1, 2]], [["0", "a", "b", "c", "d", "e"]], 7):
        metadata = {b"xlir-bench": json.dumps({**header, "unanswered": damage}).encode()}
        pq.write_table(stored.replace_schema_metadata(metadata), path)
        with pytest.raises(InputError, match="not a table of ranks"):
            load_ranks(path)
