"""Language preference against slow re-implementations that build and sort the lists themselves."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rankings import LANGUAGES, leaders, rankings, relevant_ranks, tied_answers, tied_ranks
from scipy.spatial.distance import jensenshannon
from scipy.stats import skew, spearmanr

from xlir_bench.measures.preference import (
    attention_weighted_rank_fairness,
    exposure,
    language_advantage,
    language_share,
    limit_to_one_target,
    occurrence_skewness,
    rank_correlation,
    remove_one_target,
)


def average_precision(relevance: list[bool]) -> float:
    hits = [sum(relevance[:rank]) / rank for rank, flag in enumerate(relevance, 1) if flag]
    return sum(hits) / len(hits)


@settings(max_examples=200, deadline=None)
@given(rankings())
def test_limit_to_one_target_is_rr_once_other_languages_answers_are_gone(lists):
    found = limit_to_one_target(relevant_ranks(lists))
    for q, ranking in enumerate(lists):
        for y in range(LANGUAGES):
            left = [flag for language, flag in ranking if not flag or language == y]
            expected = 1 / (left.index(True) + 1) if True in left else math.nan
            assert found[q, y] == pytest.approx(expected, nan_ok=True)


@settings(max_examples=200, deadline=None)
@given(rankings())
def test_remove_one_target_is_the_loss_of_ap_once_a_languages_answers_are_gone(lists):
    found = remove_one_target(relevant_ranks(lists))
    for q, ranking in enumerate(lists):
        for y in range(LANGUAGES):
            left = [flag for language, flag in ranking if not (flag and language == y)]
            if (y, True) not in ranking or True not in left:
                assert math.isnan(found[q, y])
                continue
            loss = average_precision([flag for _, flag in ranking]) - average_precision(left)
            assert found[q, y] == pytest.approx(loss)


@settings(max_examples=200, deadline=None)
@given(rankings())
def test_language_advantage_compares_every_pair_of_answers_in_two_languages(lists):
    found = language_advantage(relevant_ranks(lists))
    for q, ranking in enumerate(lists):
        answers = [(rank, language) for rank, (language, flag) in enumerate(ranking) if flag]
        for y in range(LANGUAGES):
            signs = [
                1 if rank < other else -1
                for rank, language in answers
                if language == y
                for other, other_language in answers
                if other_language != y
            ]
            assert found[q, y] == pytest.approx(np.mean(signs) if signs else math.nan, nan_ok=True)


@settings(max_examples=200, deadline=None)
@given(tied_answers())
def test_equal_scores_give_no_language_an_advantage_whatever_their_ids(lists):
    found = language_advantage(tied_ranks(lists))
    for q, answers in enumerate(lists):
        for y in range(LANGUAGES):
            signs = [
                np.sign(score - other)
                for language, score in answers
                if language == y
                for other_language, other in answers
                if other_language != y
            ]
            assert found[q, y] == pytest.approx(np.mean(signs) if signs else math.nan, nan_ok=True)


def test_what_one_language_gains_another_loses_on_a_parallel_suite():
    rng = np.random.default_rng(1)
    lists = [[(int(y), True) for y in rng.permutation(3)] + [(0, False)] * 5 for _ in range(20)]
    assert np.allclose(language_advantage(relevant_ranks(lists)).sum(axis=1), 0)


def test_the_language_that_always_comes_first_has_advantage_one():
    lists = [[(2, True), (0, True), (1, True), (0, False)]]
    assert language_advantage(relevant_ranks(lists)).tolist() == [[0, -1, 1]]


@settings(max_examples=100, deadline=None)
@given(rankings(), st.integers(1, 15))
def test_shares_and_exposure_are_counted_place_by_place(lists, cutoff):
    top = leaders(lists, 14)
    shares, attention = language_share(top, LANGUAGES, cutoff), exposure(top, LANGUAGES, cutoff)
    for q, ranking in enumerate(lists):
        head = [language for language, _ in ranking[: min(cutoff, 14)]]
        weights = [1 / math.log2(rank + 1) for rank in range(1, len(head) + 1)]
        for y in range(LANGUAGES):
            assert shares[q, y] == pytest.approx(head.count(y) / len(head))
            seen = sum(w for w, language in zip(weights, head, strict=True) if language == y)
            assert attention[q, y] == pytest.approx(seen / sum(weights))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000))
def test_awrf_is_one_minus_scipys_jensen_shannon_divergence(seed):
    rng = np.random.default_rng(seed)
    exposures = rng.dirichlet(np.ones(4), 5)
    exposures[0] = [1, 0, 0, 0]
    target = rng.dirichlet(np.ones(4))
    expected = [1 - jensenshannon(row, target, base=2) ** 2 for row in exposures]
    np.testing.assert_allclose(attention_weighted_rank_fairness(exposures, target), expected, atol=1e-12)


def test_awrf_is_one_where_exposure_is_the_target_and_zero_where_nothing_of_it_is_seen():
    shares = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(attention_weighted_rank_fairness(shares, np.array([0.5, 0.5, 0.0])), [1, 0], atol=1e-12)


def spearman_over_the_union(a, b) -> float:
    union = sorted({*a, *b})
    ranks = [[version.index(d) + 1 if d in version else len(version) + 1 for d in union] for version in (a, b)]
    return float(spearmanr(*ranks).statistic)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.permutations(range(8)), min_size=2, max_size=4), st.integers(2, 6))
def test_rank_correlation_is_scipys_spearman_over_the_union_of_two_tops(orders, cutoff):
    versions = [list(order[:cutoff]) for order in orders]
    found = rank_correlation([np.array(version) for version in versions])
    pairs = {
        pair: spearman_over_the_union(*(versions[n] for n in pair)) for pair in combinations(range(len(orders)), 2)
    }
    for n in range(len(orders)):
        expected = [value for pair, value in pairs.items() if n in pair]
        assert found[n] == pytest.approx(np.mean(expected))


def test_rank_correlation_of_equal_lists_is_one_of_disjoint_ones_negative_and_of_one_version_undefined():
    same, other = np.arange(10), np.arange(10, 20)
    assert rank_correlation([same, same, same]) == pytest.approx(1)
    assert rank_correlation([same, other])[0] == pytest.approx(spearman_over_the_union([*same], [*other]))
    assert np.isnan(rank_correlation([same])).all()


def test_hubness_is_scipys_skewness_of_occurrences_and_undefined_where_all_are_equal():
    neighbours = np.random.default_rng(2).integers(0, 30, (200, 5))
    occurrences = np.bincount(neighbours.ravel(), minlength=40)
    assert occurrence_skewness(neighbours, 40) == pytest.approx(skew(occurrences))
    assert occurrence_skewness(np.array([[0], [1], [2]]), 3) is None
