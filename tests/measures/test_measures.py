"""Measures on rows that are typed by hand, and how they are named."""

from __future__ import annotations

import math
import subprocess
import sys

import ir_measures
import numpy as np
import pytest

from xlir_bench.errors import InputError
from xlir_bench.measures import JudgedRanks, distinct, parse, split
from xlir_bench.measures.measure import definitions

THREE = JudgedRanks.of(
    query=np.array([7, 7, 8, 9, 9, 9]),
    rank=np.array([3, 1, 4, 10, 2, 5]),
    gain=np.array([1.0, 3.0, 1.0, 1.0, 1.0, 2.0]),
)


def test_ranks_are_sorted_in_a_row_per_query_and_padded():
    assert THREE.ranks.tolist() == [[1, 3, math.inf], [4, math.inf, math.inf], [2, 5, 10]]
    assert THREE.gains.tolist() == [[3, 1, 0], [1, 0, 0], [1, 2, 1]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AP", [(1 + 2 / 3) / 2, 1 / 4, (1 / 2 + 2 / 5 + 3 / 10) / 3]),
        ("AP@5", [(1 + 2 / 3) / 2, 1 / 4, (1 / 2 + 2 / 5) / 3]),
        ("RR", [1, 1 / 4, 1 / 2]),
        ("RR@3", [1, 0, 1 / 2]),
        ("R@3", [1, 0, 1 / 3]),
        ("P@5", [2 / 5, 1 / 5, 2 / 5]),
        ("Success@2", [1, 0, 1]),
        ("rank_distance", [2, 0, 8]),
        (
            "nDCG@4",
            [
                3.5 / (3 + 1 / math.log2(3)),
                1 / math.log2(5),
                (1 / math.log2(3)) / (2 + 1 / math.log2(3) + 1 / math.log2(4)),
            ],
        ),
    ],
)
def test_values_of_three_queries(name, expected):
    np.testing.assert_allclose(parse(name)(THREE), expected)


def test_a_random_ranking_has_the_rank_distance_that_theory_gives():
    rng = np.random.default_rng(3)
    pool, relevant, queries = 1000, 11, 4000
    ranks = np.concatenate([rng.choice(pool, relevant, replace=False) + 1 for _ in range(queries)])
    judged = JudgedRanks.of(np.repeat(np.arange(queries), relevant), ranks, np.ones(len(ranks)))
    expected = (pool + 1) * (relevant - 1) / (relevant + 1)
    assert parse("rank_distance")(judged).mean() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    "name", ["AP", "AP@100", "nDCG", "nDCG@10", "RR@10", "R@100", "P@1", "Success@5", "rank_distance"]
)
def test_a_name_is_what_is_printed(name):
    assert str(parse(name)) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nDGC@10", "did you mean nDCG"),
        ("R", "needs a cut-off, e.g. R@10"),
        ("P@0", "whole number of at least 1"),
        ("P@True", "whole number of at least 1"),
        ("P@1000000000", "whole number of at least 1"),
        ("P@ten", "not written as ir_measures has it"),
        ("rank_distance@5", "takes no cut-off"),
        ("rank_distance(rel=2)", "takes no cut-off and no parameter"),
        ("", "unknown measure ''"),
        ("AP@5@5", "not written as ir_measures has it"),
        ("AP" + "(" * 200, "not written as ir_measures has it"),
        ("AP" + "(" * 4000, "unknown measure"),
        ("R(foo=1)@3", "R has no parameter 'foo'; it takes cutoff, rel, judged_only"),
        ("AP(rel=0)", "rel must be at least 1"),
        ("AP(rel=1.5)", "rel must be of type int, and is 1.5"),
        ("nDCG(dcg='ln')@5", "dcg must be 'log2' or 'exp-log2', and is 'ln'"),
        ("nDCG(gains={0: 1})@5", "a weight to documents that are judged not relevant"),
        ("nDCG(gains={1: .5})@5", "gains are whole numbers"),
        ("IPrec", "needs a recall, e.g. IPrec@0.1"),
        ("IPrec@0.125", "at most two decimals"),
        ("IPrec@1.5", "a number from 0 to 1"),
        ("RBP(p=1.0)", "p lies between 0 and 1"),
        ("INST", r"needs max_rel, e.g. INST\(max_rel=1\)"),
        ("INST(max_rel=1,min_rel=1)", "min_rel is at least 0 and less than max_rel"),
        ("NumRel", "it counts the data"),
        ("SetP", "here every document of the pool is ranked"),
        ("alpha_nDCG@20", "judgements by subtopic"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_what_would(name, message):
    with pytest.raises(InputError, match=message):
        parse(name)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("MAP", "AP"),
        ("AP(rel=1,judged_only=False)", "AP"),
        ("NDCG @ 10", "nDCG@10"),
        ("nDCG(judged_only=True, dcg='exp-log2')@10", "nDCG(dcg='exp-log2',judged_only=True)@10"),
        ("Recall@5", "R@5"),
        ("RBP(p=.8)", "RBP"),
        ("RBP(rel=1, p=.5)@10", "RBP(p=0.5,rel=1)@10"),
        ("nDCG(gains={2: 5, 1: 2})@10", "nDCG(gains={1:2,2:5})@10"),
    ],
)
def test_names_of_one_measure_have_one_form_which_ir_measures_prints_too(written, canonical):
    assert str(parse(written)) == canonical
    assert str(ir_measures.parse_measure(canonical)) == canonical
    assert parse(written) == parse(canonical)
    assert hash(parse(written)) == hash(parse(canonical))


def test_one_measure_is_not_asked_for_twice():
    assert distinct(["RR@10", "MAP"]) == ("RR@10", "AP")
    with pytest.raises(InputError, match="MAP and AP are the same"):
        distinct(["MAP", "RR@10", "AP"])


def test_commas_between_parentheses_belong_to_a_measure():
    listed = "nDCG(dcg='exp-log2',gains={1:2,2:5})@10, AP(rel=2) ,RR"
    assert split(listed) == ("nDCG(dcg='exp-log2',gains={1:2,2:5})@10", "AP(rel=2)", "RR")
    with pytest.raises(InputError, match="a name is empty"):
        split("AP,,RR")


def test_a_name_of_ours_that_ir_measures_takes_is_refused(monkeypatch):
    monkeypatch.setitem(ir_measures.measures.registry, "rank_distance", ir_measures.AP)
    parse.cache_clear()
    try:
        with pytest.raises(InputError, match="its name is taken"):
            parse("rank_distance")
    finally:
        monkeypatch.undo()
        parse.cache_clear()


def test_every_measure_has_a_summary():
    for definition in definitions().values():
        assert definition.summary


def test_ir_measures_is_loaded_with_the_first_name_only():
    code = (
        "import sys, xlir_bench, xlir_bench.measures, xlir_bench.suites.schema, xlir_bench.cli.run;"
        "assert 'ir_measures' not in sys.modules;"
        "xlir_bench.measures.parse('AP');"
        "assert 'ir_measures' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
