"""Every measure equals trec_eval's, through ir_measures and pytrec_eval, on random collections and on XQuAD-R."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from oracles import GivenScores, trec_qrels, trec_run

from xlir_bench.collection import Collection
from xlir_bench.encoders import encode_texts, resolve
from xlir_bench.measures import parse
from xlir_bench.retrieval import DenseScorer, count_outranked
from xlir_bench.suites import load

from test_counting import collections  # isort: skip

NAMES = ["AP", "AP@3", "RR", "nDCG", "nDCG@3", "nDCG@10", "R@1", "R@5", "P@1", "P@5", "Success@1", "Success@5"]
TREC_EVAL = {"AP": "map", "nDCG@10": "ndcg_cut_10", "R@5": "recall_5", "P@5": "P_5", "RR": "recip_rank"}


def rows_and_pools(collection: Collection, table):
    """Each row of each setting with the positions of its documents."""
    everything = collection.documents.rows_by_language
    for setting in ("monolingual", "cross-lingual", "multilingual"):
        for row in table.rows(setting):
            languages = everything if row.document_language == "*" else [row.document_language]
            yield row, np.concatenate([everything[code] for code in languages]).tolist()


@settings(max_examples=150, deadline=None)
@given(collections())
def test_measures_equal_ir_measures_on_any_collection(given_collection):
    collection, scores = given_collection
    if len(collection.excluded):
        return  # trec_eval knows no documents to leave out of one query's ranking
    table = count_outranked(GivenScores(scores), collection, across_languages=True)
    wanted = {name: ir_measures.parse_measure(name) for name in NAMES}
    for row, documents in rows_and_pools(collection, table):
        run = trec_run(collection, scores, row.queries, documents)
        qrels = trec_qrels(collection, row.queries, documents)
        oracle = {
            (m.measure, m.query_id): m.value for m in ir_measures.pytrec_eval.iter_calc(wanted.values(), qrels, run)
        }
        for name, measure in wanted.items():
            values = parse(name)(row.judged)
            expected = [oracle[measure, collection.queries.ids[q]] for q in row.queries]
            np.testing.assert_allclose(values, expected, atol=1e-6, err_msg=name)
        # ir_measures takes RR@k from a provider that breaks ties in another way: cut trec_eval's own RR instead.
        reciprocal = np.array([oracle[wanted["RR"], collection.queries.ids[q]] for q in row.queries])
        np.testing.assert_allclose(parse("RR@2")(row.judged), np.where(reciprocal >= 1 / 2, reciprocal, 0), atol=1e-6)


@pytest.mark.slow
def test_measures_equal_pytrec_eval_where_nothing_is_cut(parallel_suite):
    """Three languages of a parallel suite with a poor encoder: ranks over the whole range."""
    collection = load(parallel_suite, languages=["de", "th", "zh"])
    model = resolve("random")
    vectors = [
        encode_texts(model.retriever, model.info, side, role).vectors
        for side, role in ((collection.queries, "query"), (collection.documents, "document"))
    ]
    scorer = DenseScorer(*vectors, "cosine")
    everything = np.arange(len(collection.documents))
    scores = scorer.over(everything)(np.arange(len(collection.queries)))
    table = count_outranked(GivenScores(scores), collection, across_languages=True)
    rng = np.random.default_rng(0)
    compared = 0
    for row, documents in rows_and_pools(collection, table):
        sample = np.sort(rng.choice(len(row.queries), 60, replace=False))
        queries = row.queries[sample].tolist()
        qrels = trec_qrels(collection, queries, documents)
        judge = pytrec_eval.RelevanceEvaluator(qrels, {"map", "ndcg_cut", "recall", "P", "recip_rank"})
        oracle = judge.evaluate(trec_run(collection, scores, queries, documents))
        for name, trec_name in TREC_EVAL.items():
            expected = [oracle[collection.queries.ids[q]][trec_name] for q in queries]
            np.testing.assert_allclose(parse(name)(row.judged)[sample], expected, atol=1e-6, err_msg=name)
            compared += len(expected)
    assert compared == (3 + 6 + 3) * 60 * len(TREC_EVAL)
