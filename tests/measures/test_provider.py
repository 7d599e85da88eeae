"""Our measures as a provider of ir_measures, and which of its providers we equal where they disagree."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, ERR, RBP, RR, Compat, Judged, NumQ, NumRel, P, Rprec, Success, nDCG

from xlir_bench.errors import InputError
from xlir_bench.measures.provider import provider

PAGE = Path(__file__).resolve().parents[2] / "docs" / "measures.md"
QRELS = {"1": {"a": 1, "c": 2, "z": 1, "n": 0}}
TIED = {"1": dict.fromkeys("abcn", 1.0)}
SHORT = {"1": {"a": 4.0, "b": 3.0, "c": 2.0}}


def value(of, measure, run=TIED, qrels=QRELS) -> float:
    (metric,) = of.iter_calc([measure], qrels, run)
    return float(metric.value)


@st.composite
def judged_runs(draw):
    """Judgements and runs of a few queries: graded, unjudged, not retrieved, tied, and queries that a run lacks."""
    documents = [f"d{n}" for n in range(8)]
    gains = st.dictionaries(st.sampled_from(documents), st.integers(0, 3), min_size=1)
    scores = st.dictionaries(st.sampled_from(documents), st.sampled_from([0.5, 0.25, 0.1, -1.0]), min_size=1)
    qrels = draw(st.dictionaries(st.sampled_from("123"), gains, min_size=1))
    return qrels, draw(st.dictionaries(st.sampled_from("1234"), scores, min_size=1))


NAMES = ["AP", "AP(rel=2)@3", "RR", "nDCG@3", "nDCG(gains={1:3})", "P@5", "R(rel=2)@2", "Rprec", "Success@1", "Bpref"]
NAMES += ["infAP", "IPrec@0.5", "AP(judged_only=True)", "RR(judged_only=True,rel=2)", "NumQ", "NumRel"]


@settings(max_examples=40, deadline=None)
@given(judged_runs())
def test_runs_with_ties_and_without_some_documents_have_the_figures_of_trec_eval(drawn):
    qrels, run = drawn
    for name in NAMES:
        measure = ir_measures.parse_measure(name)
        theirs = {one.query_id: one.value for one in ir_measures.pytrec_eval.iter_calc([measure], qrels, run)}
        theirs = {query: 0.0 if np.isnan(said) else said for query, said in theirs.items()}
        ours = {one.query_id: one.value for one in provider.iter_calc([measure], qrels, run)}
        assert ours == pytest.approx(theirs, abs=1e-6), name
        if "judged_only" not in name and "infAP" not in name and name != "IPrec@0.5":
            assert provider.calc_aggregate([measure], qrels, run)[measure] == pytest.approx(
                ir_measures.pytrec_eval.calc_aggregate([measure], qrels, run)[measure], abs=1e-6
            )


@pytest.mark.parametrize(
    ("measure", "equal", "others"),
    [
        # Equal scores: trec_eval and gdeval put the greater id first, the others the smaller.
        (RR, ["pytrec_eval"], ["msmarco"]),
        (RR @ 2, [], ["msmarco"]),
        (AP, ["pytrec_eval"], []),
        (AP @ 2, ["pytrec_eval"], []),
        (nDCG @ 2, ["pytrec_eval"], []),
        (nDCG(dcg="exp-log2") @ 2, ["gdeval"], []),
        (ERR @ 2, ["gdeval"], []),
        (Success @ 1, ["pytrec_eval"], []),
        (Rprec, ["pytrec_eval"], []),
        (P @ 2, ["pytrec_eval"], []),
        (Judged @ 2, [], ["judged"]),
        (Compat, [], ["compat"]),
    ],
    ids=str,
)
def test_where_scores_tie_we_are_trec_eval(measure, equal, others):
    registry = ir_measures.providers.registry
    for name in equal:
        assert value(provider, measure) == pytest.approx(value(registry[name], measure), abs=1e-5), name
    for name in others:
        assert value(provider, measure) != pytest.approx(value(registry[name], measure), abs=1e-3), name


def test_precision_counts_places_that_a_short_ranking_lacks_and_the_judgement_rate_does_not():
    assert value(provider, P @ 10, SHORT) == value(ir_measures.pytrec_eval, P @ 10, SHORT) == pytest.approx(0.2)
    assert value(provider, Judged @ 10, SHORT) == value(ir_measures.judged, Judged @ 10, SHORT) == pytest.approx(2 / 3)


def test_average_precision_at_a_cutoff_is_over_all_relevant_documents():
    assert value(provider, AP @ 1, SHORT) == value(ir_measures.pytrec_eval, AP @ 1, SHORT) == pytest.approx(1 / 3)
    assert value(provider, AP, SHORT) == pytest.approx((1 + 2 / 3) / 3)
    assert value(ir_measures.pytrec_eval, AP, SHORT) == pytest.approx((1 + 2 / 3) / 3)


def test_rbp_is_not_rescaled_to_a_thousand_places():
    p = 0.999
    assert value(provider, RBP(p=p, rel=1), SHORT) == pytest.approx((1 - p) * (1 + p**2))
    assert value(provider, RBP(p=p, rel=1) @ 2, SHORT) == pytest.approx(1 - p)


@pytest.mark.skipif(importlib.util.find_spec("cwl") is None, reason="needs the extra `test`: cwl-eval")
def test_cwl_eval_rescales_rbp_orders_ties_by_ascending_id_and_divides_by_what_is_retrieved():
    cwl = ir_measures.cwl_eval
    measure = RBP(p=0.999, rel=1)
    assert value(cwl, measure, SHORT) == pytest.approx(value(provider, measure, SHORT) / (1 - 0.999**1000))
    assert value(cwl, RBP(p=0.98, rel=1), SHORT) == pytest.approx(value(provider, RBP(p=0.98, rel=1), SHORT), abs=1e-6)
    assert value(cwl, RR) == 1.0 != value(provider, RR)
    assert value(cwl, AP, SHORT) == pytest.approx((1 + 2 / 3) / 2)


def test_err_without_a_cutoff_reads_the_whole_ranking():
    assert value(provider, ERR, SHORT) == pytest.approx(1 / 16 + (15 / 16) * (3 / 16) / 3)


def test_graded_gains_need_to_be_told_what_is_relevant_and_gains_above_4_have_no_err():
    with pytest.raises(InputError, match=r"gains are graded.*write RBP\(p=0.5,rel=1\)@3"):
        provider.calc_aggregate([RBP(p=0.5) @ 3], QRELS, SHORT)
    with pytest.raises(InputError, match="defined for gains up to 4, and the greatest is 5"):
        provider.calc_aggregate([ERR @ 3], {"1": {"a": 5}}, SHORT)
    assert value(provider, RBP @ 2, SHORT, {"1": {"a": 1}}) == pytest.approx(0.2)


def test_counts_are_summed_as_ir_measures_sums_them():
    found = provider.calc_aggregate([NumRel, NumQ], {"1": {"a": 1, "b": 2}, "2": {"a": 1}}, {"1": {"a": 1.0}})
    assert (
        found[NumRel]
        == ir_measures.pytrec_eval.calc_aggregate([NumRel], {"1": {"a": 1, "b": 2}, "2": {"a": 1}}, {"1": {"a": 1.0}})[
            NumRel
        ]
    )


def test_the_example_of_the_page_runs_as_it_is_written():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = [block for block in blocks if "provider" in block]
    names: dict[str, object] = {}
    exec(example, names)
    stated = [float(number) for number in re.findall(r"# ([\d.]+)$", example, re.MULTILINE)]
    assert len(stated) == 2
    assert [round(names["found"], 4), round(names["default"], 4)] == stated
