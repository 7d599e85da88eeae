"""Alignment of vectors against slow formulas, other libraries and values known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from xlir_bench.measures import alignment


def noise(rows: int, dimensions: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, dimensions))


def naive_hsic(k: np.ndarray, other: np.ndarray) -> float:
    """Song et al. 2012 as an average over all pairs, triples and quadruples of different indices."""
    n = len(k)
    total = 0.0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q])
    return total / (n * (n - 1) * (n - 2) * (n - 3))


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 8), st.integers(1, 5), st.integers(0, 1000))
def test_debiased_cka_is_the_ratio_of_averages_over_quadruples_of_texts(rows, dimensions, seed):
    x, y = noise(rows, dimensions, seed), noise(rows, 3, seed + 1)
    k, other = x @ x.T, y @ y.T
    own = naive_hsic(k, k) * naive_hsic(other, other)
    if own > 1e-12:
        expected = naive_hsic(k, other) / np.sqrt(own)
        assert alignment.centred_kernel_alignment(x, y) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_cka_is_one_under_rotation_scaling_and_shift():
    x = noise(150, 32, 0)
    rotation = np.linalg.qr(noise(32, 32, 1))[0]
    assert alignment.centred_kernel_alignment(x, 3 * x @ rotation + 5) == pytest.approx(1.0)


def test_cka_of_independent_noise_is_about_zero_where_the_biased_form_says_079():
    values = [
        (
            alignment.centred_kernel_alignment(noise(200, 768, seed), noise(200, 768, seed + 100)),
            alignment.biased_kernel_alignment(noise(200, 768, seed), noise(200, 768, seed + 100)),
        )
        for seed in range(5)
    ]
    debiased, biased = np.mean(values, axis=0)
    assert debiased == pytest.approx(0, abs=0.01)
    assert biased == pytest.approx(0.79, abs=0.01)


def test_a_shuffled_baseline_is_about_zero_for_vectors_that_are_perfectly_aligned():
    x = noise(300, 16, 2)
    assert alignment.centred_kernel_alignment(x, x) == pytest.approx(1)
    assert alignment.shuffled_baseline(x, x) == pytest.approx(0, abs=0.02)


def test_batches_average_the_terms_before_the_ratio():
    x, shared = noise(90, 8, 3), noise(90, 8, 4)
    y = x + shared
    parts = [slice(0, 30), slice(30, 60), slice(60, 90)]

    def kernel(v):
        return v @ v.T

    terms = np.zeros(3)
    for rows in parts:
        k, other = kernel(x[rows]), kernel(y[rows])
        np.fill_diagonal(k, 0)
        np.fill_diagonal(other, 0)
        terms += [alignment._hsic(a, b) for a, b in ((k, other), (k, k), (other, other))]
    expected = terms[0] / np.sqrt(terms[1] * terms[2])
    assert alignment.centred_kernel_alignment(x, y, batch=30) == pytest.approx(expected)
    assert alignment.centred_kernel_alignment(x[:62], y[:62], batch=30) is not None  # a rest of 2 joins the last batch


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_too_few_texts_have_no_cka(rows):
    assert alignment.centred_kernel_alignment(noise(rows, 3, 0), noise(rows, 3, 1)) is None


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-20, 1e6])
def test_constant_vectors_have_no_cka(value):
    constant = np.full((20, 5), value)
    assert alignment.centred_kernel_alignment(constant, noise(20, 5, 1)) is None
    assert alignment.biased_kernel_alignment(constant, noise(20, 5, 1)) is None
    assert alignment.shuffled_baseline(constant, noise(20, 5, 1)) is None


def test_uniformity_and_alignment_are_their_papers_formulas_pair_by_pair():
    x, y = noise(12, 4, 0), noise(12, 4, 1)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))
    kernel = [np.exp(-2 * ((a[i] - a[j]) ** 2).sum()) for i in range(12) for j in range(i)]
    assert alignment.uniformity(x) == pytest.approx(np.log(np.mean(kernel)))
    assert alignment.alignment(x, y) == pytest.approx(np.mean([((a[i] - b[i]) ** 2).sum() for i in range(12)]))


def test_uniformity_and_alignment_at_their_ends():
    point, wide = np.ones((30, 6)), noise(2000, 500, 5)
    assert alignment.uniformity(point) == pytest.approx(0)
    assert alignment.uniformity(wide) == pytest.approx(-4, abs=0.05)
    assert alignment.alignment(wide, wide) == 0
    assert alignment.alignment(wide, -wide) == pytest.approx(4)
    assert alignment.uniformity(point[:1]) is None


def test_mean_cosine_is_over_pairs_of_different_rows():
    x = noise(9, 3, 7) + 1
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = [unit[i] @ unit[j] for i in range(9) for j in range(9) if i != j]
    assert alignment.mean_cosine(x) == pytest.approx(np.mean(cosines))
    assert alignment.mean_cosine(x[:1]) is None


def test_isotropy_is_one_for_an_even_cross_and_small_in_a_cone():
    cross = np.vstack([np.eye(5), -np.eye(5)])
    assert alignment.isotropy(cross) == pytest.approx(1)
    assert alignment.isotropy(noise(200, 8, 3) * 0.05 + 1) < 0.2
    assert alignment.isotropy(np.zeros((4, 3))) is None


@pytest.mark.parametrize("same", [True, False])
def test_neighbours_are_scikit_learns(same):
    items = noise(400, 6, 1)
    queries = items if same else noise(50, 6, 2)
    found = alignment.nearest(queries, items, 7, same="rows" if same else "none")
    search = NearestNeighbors(n_neighbors=7, metric="cosine", algorithm="brute").fit(items)
    expected = search.kneighbors(None if same else queries, return_distance=False)
    assert [set(row) for row in found] == [set(row) for row in expected]


def test_a_single_item_has_no_neighbour():
    assert alignment.nearest(np.ones((1, 2)), np.ones((1, 2)), 10, same="rows").shape == (1, 0)
