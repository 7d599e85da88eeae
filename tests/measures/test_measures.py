"""Measures on rows that are typed by hand, and how they are named."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xlir_bench.errors import InputError
from xlir_bench.measures import JudgedRanks, known, parse

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
        ("P@ten", "whole number of at least 1"),
        ("rank_distance@5", "takes no cut-off"),
        ("", "unknown measure ''"),
        ("AP@5@5", "whole number"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_what_would(name, message):
    with pytest.raises(InputError, match=message):
        parse(name)


def test_every_measure_has_a_direction_and_a_summary():
    for definition in known().values():
        assert definition.summary
        assert definition.whole or definition.at
