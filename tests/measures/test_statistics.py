"""Intervals, tests and groups against simulation, enumeration and definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlir_bench.measures import statistics


def one_column(cluster, values, clusters):
    """Sums and counts of a single row, and the figure that is its mean."""
    sums = statistics.per_cluster(cluster, values, clusters)[:, None]
    counts = statistics.per_cluster(cluster, np.ones(len(values)), clusters)[:, None]
    return sums, counts, np.ones((1, 1))


def naive_bootstrap(cluster, row, values, drawn):
    """The macro mean over rows of one resample, by picking the observations one by one."""
    picked = [(r, v) for c in drawn for k, r, v in zip(cluster, row, values, strict=True) if k == c]
    means = [np.mean([v for r, v in picked if r == wanted]) for wanted in sorted({r for r, _ in picked})]
    return np.mean(means)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_a_resample_is_the_macro_mean_of_the_drawn_clusters_observations(seed, every_row_in_every_cluster):
    rng = np.random.default_rng(seed)
    clusters, rows = 5, 3
    if every_row_in_every_cluster:
        cluster, row = np.repeat(np.arange(clusters), rows), np.tile(np.arange(rows), clusters)
    else:
        cluster, row = rng.integers(0, clusters, 12), rng.integers(0, rows, 12)
    values = rng.random(len(cluster))
    sums, counts = np.zeros((clusters, rows)), np.zeros((clusters, rows))
    np.add.at(sums, (cluster, row), values)
    np.add.at(counts, (cluster, row), 1)
    found = statistics.bootstrap_macro(sums, counts, np.ones((rows, 1)), resamples=30, seed=seed)[:, 0]
    picks = np.random.default_rng(seed).integers(0, clusters, (30, clusters))
    for value, drawn in zip(found, picks, strict=True):
        if np.isin(cluster, drawn).any():
            assert value == pytest.approx(naive_bootstrap(cluster, row, values, drawn))
        else:
            assert np.isnan(value)


@pytest.mark.slow
def test_the_cluster_interval_covers_the_truth_and_the_plain_one_does_not(record_property):
    """400 studies of 60 questions in 11 languages, where a question's versions share most of what makes them hard."""
    rng = np.random.default_rng(11)
    studies, questions, languages = 400, 60, 11
    covered = {"questions": 0, "rows": 0}
    for study in range(studies):
        difficulty = rng.normal(0, 1, (questions, 1))
        values = (0.5 + 0.2 * difficulty + 0.1 * rng.normal(0, 1, (questions, languages))).ravel()
        question = np.repeat(np.arange(questions), languages)
        for unit, cluster, clusters in (
            ("questions", question, questions),
            ("rows", np.arange(len(values)), len(values)),
        ):
            samples = statistics.bootstrap_macro(*one_column(cluster, values, clusters), resamples=1000, seed=study)
            low, high = statistics.interval(samples)
            covered[unit] += low[0] <= 0.5 <= high[0]
    coverage = {unit: float(hits / studies) for unit, hits in covered.items()}
    record_property("coverage", coverage)
    print(f"coverage of 95 % intervals: {coverage}")
    # Within three standard errors (.011) of a simulation with 400 studies around .93 to .97.
    assert 0.92 <= coverage["questions"] <= 0.98
    assert coverage["rows"] < 0.6


def test_a_constant_has_an_interval_of_no_width():
    cluster = np.repeat(np.arange(4), 2)
    samples = statistics.bootstrap_macro(*one_column(cluster, np.full(8, 0.25), 4), resamples=50)
    low, high = statistics.interval(samples)
    assert low[0] == pytest.approx(0.25)
    assert high[0] == pytest.approx(0.25)


def test_one_cluster_has_an_interval_of_no_width_not_an_error():
    samples = statistics.bootstrap_macro(*one_column(np.zeros(3, int), np.array([0.1, 0.2, 0.6]), 1), resamples=20)
    assert np.allclose(samples, 0.3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_p_of_few_clusters_is_the_share_of_all_sign_patterns(differences):
    observed = abs(sum(differences))
    patterns = list(itertools.product([-1, 1], repeat=len(differences)))
    extreme = sum(abs(sum(s * d for s, d in zip(p, differences, strict=True))) >= observed for p in patterns)
    p = statistics.randomisation_test(np.array(differences, dtype=float)[:, None])
    assert p[0] == pytest.approx(extreme / len(patterns))


def test_p_by_drawing_agrees_with_scipys_permutation_test():
    from scipy.stats import permutation_test

    rng = np.random.default_rng(4)
    differences = rng.normal(0.25, 1, 40)
    ours = statistics.randomisation_test(differences[:, None], resamples=40_000)[0]
    theirs = permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=40_000, rng=np.random.default_rng(5)
    ).pvalue
    assert ours == pytest.approx(theirs, abs=0.015)  # four standard errors of the two draws


def test_equal_systems_have_p_one_and_the_smallest_p_is_never_zero():
    assert statistics.randomisation_test(np.zeros((30, 1)))[0] == 1
    assert statistics.randomisation_test(np.ones((3000, 1)), resamples=999)[0] == pytest.approx(1 / 1000)


def test_p_is_uniform_when_there_is_no_difference():
    from scipy.stats import kstest

    rng = np.random.default_rng(8)
    p = statistics.randomisation_test(rng.normal(0, 1, (50, 400)), resamples=1000)
    assert kstest(p, "uniform").pvalue > 0.01


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_rejects_what_the_step_down_procedure_rejects(p):
    adjusted = statistics.holm(p)
    for level in (0.01, 0.05, 0.3):
        expected, order = [False] * len(p), np.argsort(p, kind="stable")
        for step, at in enumerate(order):
            if p[at] * (len(p) - step) > level:
                break
            expected[at] = True
        assert (adjusted <= level).tolist() == expected


def test_holm_of_three_p_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])


def test_effect_size_is_the_paired_d_and_has_no_value_without_a_scale():
    differences = np.array([0.1, 0.3, 0.2, -0.1])
    assert statistics.effect_size(differences) == pytest.approx(0.125 / np.std(differences, ddof=1))
    assert statistics.effect_size(np.full(5, 0.2)) is None
    assert statistics.effect_size(np.zeros(5)) == 0
    assert statistics.effect_size(np.array([0.4])) is None


def test_encoders_that_cannot_be_told_apart_share_a_rank_and_a_group():
    """a > c and a > d are established, all else is not: b belongs to both sides."""
    different = np.zeros((4, 4), dtype=bool)
    for a, b in ((0, 2), (0, 3)):
        different[a, b] = different[b, a] = True
    assert statistics.shared_ranks([0.9, 0.8, 0.7, 0.6], different) == [1, 1, 2, 2]
    assert statistics.groups(different) == [(0, 1), (1, 2, 3)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10_000))
def test_groups_are_the_maximal_sets_without_a_difference(size, seed):
    upper = np.triu(np.random.default_rng(seed).random((size, size)) < 0.4, 1)
    different = upper | upper.T
    alike = [
        set(chosen)
        for length in range(1, size + 1)
        for chosen in itertools.combinations(range(size), length)
        if not any(different[a, b] for a, b in itertools.combinations(chosen, 2))
    ]
    expected = {tuple(sorted(s)) for s in alike if not any(s < other for other in alike)}
    assert set(statistics.groups(different)) == expected
