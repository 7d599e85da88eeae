"""PEER and its relatives against scipy's Kruskal-Wallis test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from rankings import LANGUAGES, leaders, rankings, relevant_ranks, tied_answers, tied_ranks
from scipy.stats import kruskal, rankdata

from xlir_bench.measures.equal_rank import kruskal_wallis, peer, peer_nonrelevant, pooled
from xlir_bench.measures.preference import RelevantRanks


def scipy_p(samples) -> float:
    """1 where there is nothing to test, as PEER defines it."""
    taking_part = [sample for sample in samples if len(sample)]
    if len(taking_part) < 2 or len(set(np.concatenate(taking_part))) < 2:
        return 1.0
    return float(kruskal(*taking_part).pvalue)


@settings(max_examples=200, deadline=None)
@given(rankings())
def test_peer_is_the_p_of_scipys_test_on_the_relevant_documents(lists):
    found = peer(relevant_ranks(lists))
    for q, ranking in enumerate(lists):
        samples = [[r for r, (y, flag) in enumerate(ranking) if flag and y == wanted] for wanted in range(LANGUAGES)]
        assert found[q] == pytest.approx(scipy_p(samples))


@settings(max_examples=200, deadline=None)
@given(tied_answers())
def test_relevant_documents_with_equal_scores_share_their_ranks(lists):
    relevant = tied_ranks(lists)
    found = peer(relevant)
    places = [[] for _ in range(LANGUAGES)]
    for q, answers in enumerate(lists):
        samples = [[-score for y, score in answers if y == wanted] for wanted in range(LANGUAGES)]
        assert found[q] == pytest.approx(scipy_p(samples))
        mean_places = rankdata([-score for _, score in answers])
        for (y, _), place in zip(answers, mean_places, strict=True):
            places[y].append((place - 0.5) / len(answers))
    assert pooled(relevant)[0] == pytest.approx(scipy_p(places))


@pytest.mark.parametrize(("languages", "expected"), [(11, 0.4405), (2, 0.3173), (7, 0.4232)])
def test_one_answer_per_language_gives_the_same_p_whatever_the_ranking(languages, expected):
    rng = np.random.default_rng(0)
    queries = 40
    relevant = RelevantRanks.of(
        np.repeat(np.arange(queries), languages),
        np.tile(np.arange(languages), queries),
        np.concatenate([rng.choice(5000, languages, replace=False) + 1 for _ in range(queries)]),
        np.ones(queries * languages),
        (queries, languages),
    )
    np.testing.assert_allclose(peer(relevant), expected, atol=5e-5)


def test_levels_of_gain_are_tested_apart_and_weigh_equally():
    rng = np.random.default_rng(3)
    language, gain, rank = rng.integers(0, 3, 24), rng.integers(1, 3, 24), rng.permutation(200)[:24] + 1
    relevant = RelevantRanks.of(np.zeros(24, int), language, rank, gain.astype(float), (1, 3))
    levels = [[rank[(language == y) & (gain == level)] for y in range(3)] for level in (1, 2)]
    assert peer(relevant)[0] == pytest.approx(np.mean([scipy_p(samples) for samples in levels]))


@settings(max_examples=200, deadline=None)
@given(rankings())
def test_peer_of_what_is_not_relevant_is_scipys_test_with_the_rest_tied(lists):
    depth = 4
    sizes = np.bincount([y for y, _ in lists[0]], minlength=LANGUAGES)
    found = peer_nonrelevant(leaders(lists, 6), relevant_ranks(lists), sizes, depth)
    for q, ranking in enumerate(lists):
        samples = [
            [min(rank, depth) for rank, (y, flag) in enumerate(ranking) if not flag and y == wanted]
            for wanted in range(LANGUAGES)
        ]
        assert found[q] == pytest.approx(scipy_p(samples))


@settings(max_examples=150, deadline=None)
@given(rankings())
def test_pooling_is_scipys_test_over_all_queries_places(lists):
    samples = [[] for _ in range(LANGUAGES)]
    for ranking in lists:
        answers = [y for y, flag in ranking if flag]
        for place, y in enumerate(answers):
            samples[y].append((place + 0.5) / len(answers))
    relevant = relevant_ranks(lists)
    p, effect, ranks = pooled(relevant)
    assert p == pytest.approx(scipy_p(samples))
    taking_part = [sample for sample in samples if sample]
    if len(taking_part) > 1 and len(set(np.concatenate(taking_part))) > 1:
        values = np.concatenate(taking_part)
        assert effect == pytest.approx(kruskal(*taking_part).statistic / (len(values) - 1))
        assert sorted(ranks) == pytest.approx(sorted(rankdata(values)))
    else:
        assert effect == 0


def test_a_fair_ordering_has_no_pooled_effect_and_a_fixed_one_has_all_of_it():
    rng = np.random.default_rng(5)
    queries, languages = 400, 6
    fixed = np.tile(np.arange(languages), queries)
    shuffled = np.concatenate([rng.permutation(languages) for _ in range(queries)])
    query = np.repeat(np.arange(queries), languages)

    def effect(language):
        rank = np.tile(np.arange(1, languages + 1), queries)
        return pooled(RelevantRanks.of(query, language, rank, np.ones(len(rank)), (queries, languages)))[1]

    assert effect(fixed) == pytest.approx(1)
    assert effect(shuffled) < 0.01


def test_all_ties_and_a_single_group_are_answered_with_p_one():
    statistic, p = kruskal_wallis(
        np.array([[4.0, 6.0], [6.0, 0.0]]), np.array([[2.0, 3.0], [3.0, 0.0]]), np.array([120.0, 0])
    )
    assert p.tolist() == [1, 1]
    assert statistic.tolist() == [0, 0]
    assert not math.isnan(statistic.sum())
