"""Every measure of ir_measures' registry is computed as ir_measures computes it, or refused with the reason."""

from __future__ import annotations

import importlib.util
import math
from collections import defaultdict
from dataclasses import replace

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures.measures import registry
from oracles import GivenScores, ranking

from xlir_bench.collection import SETTINGS, Judgements
from xlir_bench.errors import InputError
from xlir_bench.measures import parse
from xlir_bench.measures.vocabulary import NOT_COMPUTED, OWN
from xlir_bench.retrieval import Heads, count_outranked

from test_counting import collections  # isort: skip

COMPUTED = {
    "AP": ["AP", "AP@3", "AP(rel=2)", "AP(rel=3)@2", "AP(judged_only=True)", "AP(rel=2,judged_only=True)@2"],
    "MAP": ["MAP@1000"],
    "RR": ["RR", "RR@2", "RR(rel=2)", "RR(rel=2)@3", "RR(rel=2,judged_only=True)"],
    "MRR": ["MRR@10"],
    "nDCG": [
        "nDCG",
        "nDCG@3",
        "nDCG(dcg='exp-log2')@3",
        "nDCG(dcg='exp-log2')@20",
        "nDCG(gains={1:2,2:5})@5",
        "nDCG(gains={1:0,3:1,0:0})",
        "nDCG(judged_only=True)@2",
    ],
    "NDCG": ["NDCG@1"],
    "R": ["R@1", "R(rel=2)@5", "R(judged_only=True)@2"],
    "Recall": ["Recall@3"],
    "P": ["P@1", "P(rel=2)@5", "P(judged_only=True)@3", "P@50"],
    "Precision": ["Precision@2"],
    "Success": ["Success@1", "Success(rel=3)@2", "Success(judged_only=True)@1"],
    "Rprec": ["Rprec", "Rprec(rel=2)", "Rprec(judged_only=True)"],
    "RPrec": ["RPrec"],
    "IPrec": ["IPrec@0.0", "IPrec@0.1", "IPrec@0.55", "IPrec@1.0", "IPrec(judged_only=True)@0.5"],
    "ERR": ["ERR@3", "ERR@20"],
    "Judged": ["Judged@1", "Judged@5", "Judged@50", "Judged"],
    "Bpref": ["Bpref", "Bpref(rel=2)"],
    "BPref": ["BPref"],
    "infAP": ["infAP", "infAP(rel=2)"],
    "Accuracy": ["Accuracy", "Accuracy(rel=2)"],
    "Compat": ["Compat", "Compat(p=0.5)", "Compat(normalize=False)", "Compat(p=0.99,normalize=False)"],
}
USER_MODELS = {
    "RBP": ["RBP(rel=1)", "RBP(p=0.5,rel=2)", "RBP(p=0.95,rel=1)"],
    "SDCG": ["SDCG(max_rel=3)@4", "SDCG(max_rel=2,min_rel=1)@10"],
    "BPM": ["BPM(max_rel=3)@4", "BPM(max_rel=2,T=0.5)@10", "BPM(max_rel=3,T=2.0,min_rel=1)@3"],
    "INSQ": ["INSQ(max_rel=3)", "INSQ(max_rel=1,T=2.5)"],
    "INST": ["INST(max_rel=3)", "INST(max_rel=2,T=0.5)", "INST(max_rel=3,min_rel=1)"],
    "NERR8": ["NERR8(max_rel=3)@4", "NERR8(max_rel=4)@30"],
    "NERR9": ["NERR9(max_rel=3)@4", "NERR9(max_rel=4,min_rel=1)@30"],
    "NERR10": ["NERR10(max_rel=3)", "NERR10(max_rel=4,p=0.5)"],
    "NERR11": ["NERR11(max_rel=3)", "NERR11(max_rel=4,T=3.0)"],
}
REFUSED = {
    "ERR_IA": "subtopic",
    "nERR_IA": "subtopic",
    "alpha_DCG": "subtopic",
    "α_DCG": "subtopic",
    "alpha_nDCG": "subtopic",
    "α_nDCG": "subtopic",
    "NRBP": "subtopic",
    "nNRBP": "subtopic",
    "AP_IA": "subtopic",
    "MAP_IA": "subtopic",
    "P_IA": "subtopic",
    "StRecall": "subtopic",
    "SetP": "every document of the pool is ranked",
    "SetRelP": "every document of the pool is ranked",
    "SetR": "every document of the pool is ranked",
    "SetF": "every document of the pool is ranked",
    "SetAP": "every document of the pool is ranked",
    "NumRet": "every document of the pool is ranked",
    "NumRelRet": "every document of the pool is ranked",
    "NumRel": "summed over queries",
    "NumQ": "summed over queries",
}


def test_the_registry_of_ir_measures_is_known_to_the_last_name():
    assert sorted(registry) == sorted([*COMPUTED, *USER_MODELS, *REFUSED])


def test_no_name_of_ours_is_one_of_theirs():
    ours = {*OWN, "PEER", "MRC", "AWRF", "hubness", "exposure", "language_share", "same_language_lift"}
    ours |= {"limit_to_one_target", "remove_one_target", "language_advantage", "epsilon_squared", "PEER_pooled"}
    assert not ours & set(registry)


@pytest.mark.parametrize("name", sorted(registry))
def test_a_name_of_the_registry_is_computed_or_refused_in_one_line(name):
    if name not in REFUSED:
        for example in (COMPUTED | USER_MODELS)[name]:
            assert str(parse(example)) == str(ir_measures.parse_measure(str(parse(example))))
        return
    cutoff = "@5" if registry[name].SUPPORTED_PARAMS.get("cutoff") else ""
    with pytest.raises(InputError, match=REFUSED[name]) as refusal:
        parse(name + cutoff)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(f"measure '{name}")


def test_what_a_later_release_adds_is_refused_by_name(monkeypatch):
    class _Novel(ir_measures.Measure):
        __name__ = NAME = "Novel"

    monkeypatch.setitem(registry, "Novel", _Novel())
    with pytest.raises(InputError, match=r"measure 'Novel': it is not computed here; those that are: AP RR"):
        parse("Novel")
    assert "Novel" not in NOT_COMPUTED


def ir_measures_says(names, qrels, run) -> dict[ir_measures.Measure, dict[str, float]]:
    """Measure -> query -> value.

    Each nDCG is asked for alone: in one call, pytrec_eval's provider may give nDCG the gains of another nDCG.
    """
    found = defaultdict(dict)
    wanted = [ir_measures.parse_measure(name) for name in names]
    calls = [[one] for one in wanted if one.NAME == "nDCG"]
    calls.append([one for one in wanted if one.NAME not in {"nDCG", "Accuracy"}])
    for metric in (metric for call in calls if call for metric in ir_measures.iter_calc(call, qrels, run)):
        # trec_eval's interpolated precision of a ranking without documents is 0/0.
        found[metric.measure][metric.query_id] = 0.0 if math.isnan(metric.value) else metric.value
    return found | {one: accuracy_says(one, qrels, run) for one in wanted if one.NAME == "Accuracy"}


def accuracy_says(measure, qrels, run) -> dict[str, float]:
    """Query by query, as ir_measures divides by zero where a ranking has relevant documents only."""
    found = {}
    for query in {qrel.query_id for qrel in qrels}:
        try:
            mine = [[row for row in rows if row.query_id == query] for rows in (qrels, run)]
            found.update((metric.query_id, metric.value) for metric in measure.iter_calc(*mine))
        except ZeroDivisionError:
            continue
    return found


def rows_with_runs(collection, scores):
    """Each row of each setting, with its judgements and rankings by distinct scores as ir_measures takes them.

    Ids of queries are numbers: gdeval, which ir_measures takes ERR from, knows no others. They differ between rows.
    """
    table = count_outranked(GivenScores(scores), collection, across_languages=True, heads=Heads(0, judged=True))
    j, excluded = collection.judgements, collection.excluded
    left_out = set(zip(excluded.query.tolist(), excluded.document.tolist(), strict=True))
    triples = list(zip(j.query.tolist(), j.document.tolist(), j.gain.tolist(), strict=True))
    languages, ids = collection.documents.languages, collection.documents.ids
    rows = [row for setting in SETTINGS for row in table.rows(setting)]
    for number, row in enumerate(rows, 1):
        pool = set(languages) if row.document_language == "*" else {row.document_language}
        names = {q: str(1000 * number + q) for q in row.queries.tolist()}
        qrels = [
            ir_measures.Qrel(names[q], ids[d], int(gain))
            for q, d, gain in triples
            if q in names and languages[d] in pool and (q, d) not in left_out
        ]
        # A query of which every judgement is left out is judged all the same, and has found nothing.
        qrels += [ir_measures.Qrel(name, "elsewhere", 0) for name in set(names.values()) - {q.query_id for q in qrels}]
        run = [
            ir_measures.ScoredDoc(name, ids[d], 1000.0 - place)
            for q, name in names.items()
            for place, d in enumerate(ranking(collection, scores, q, pool))
        ]
        yield row, names, qrels, run


def assert_equal(names, collection, scores, coarse=()):
    """Coarse are those that gdeval computes, which prints five decimals."""
    rows = list(rows_with_runs(collection, scores))
    said = ir_measures_says(
        names, [qrel for _, _, qrels, _ in rows for qrel in qrels], [scored for *_, run in rows for scored in run]
    )
    for name in names:
        ours = {}
        for row, name_of, _, _ in rows:
            numbers, values = row.values(parse(name))
            ours.update(zip([name_of[q] for q in numbers.tolist()], values.tolist(), strict=True))
        assert ours == pytest.approx(said[ir_measures.parse_measure(name)], abs=1e-5 if name in coarse else 1e-6), name


def test_pytrec_eval_gives_one_ndcg_the_gains_of_another_so_each_is_asked_for_alone():
    plain, graded = ir_measures.nDCG @ 10, ir_measures.parse_measure("nDCG(gains={1:2,2:5})@10")
    qrels, run = {"q": {"a": 2, "b": 1}}, {"q": {"a": 1.0, "b": 2.0}}
    linear, weighted = (1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)), (2 + 5 / math.log2(3)) / (5 + 2 / math.log2(3))
    together = ir_measures.pytrec_eval.calc_aggregate([graded, plain], qrels, run)
    assert together[plain] == pytest.approx(weighted)  # where this fails, pytrec_eval's provider was mended
    both = [str(graded), str(plain)]
    for measure, value in ((plain, linear), (graded, weighted)):
        assert ir_measures_says(both, qrels, run)[measure]["q"] == pytest.approx(value)


@settings(max_examples=25, deadline=None)
@given(collections(), st.lists(st.sampled_from([-1.0, 0.0]), min_size=21, max_size=21))
def test_values_equal_those_of_ir_measures(given_collection, signs):
    collection, scores = given_collection
    j = collection.judgements
    gain = np.where(j.gain > 0, j.gain, signs[: len(j)])
    collection = replace(collection, judgements=Judgements(j.query, j.document, gain))
    names = [name for examples in COMPUTED.values() for name in examples]
    coarse = [name for name in names if name.startswith("ERR") or "exp-log2" in name]
    assert_equal(names, collection, scores, coarse)


@pytest.mark.skipif(importlib.util.find_spec("cwl") is None, reason="needs the extra `test`: cwl-eval")
@settings(max_examples=6, deadline=None)
@given(collections())
def test_values_of_user_models_equal_those_of_cwl_eval(given_collection):
    names = [name for examples in USER_MODELS.values() for name in examples]
    assert_equal(names, *given_collection)
