"""How sure a figure is, and whether two differ, where observations come in clusters.

The versions of one question in several languages are not independent: whoever is good at one of them tends to be good
at the others. Everything here takes the question as the unit, not the row: resampling and swapping take all rows of a
question together. Inputs are sums per cluster, shape (clusters, columns), so that ten thousand resamples are one matrix
product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

RESAMPLES = 10_000
LEVEL = 0.95
SEED = 20_000_817

_CELLS_AT_ONCE = 4_000_000


def per_cluster(cluster: Integers, values: Floats, clusters: int) -> Floats:
    """The sum of the values of each cluster, shape (clusters,); `cluster` gives the number of each value's."""
    return np.bincount(cluster, weights=values, minlength=clusters).astype(np.float64)


def bootstrap_macro(
    sums: Floats, counts: Floats, membership: Floats, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Floats:
    """Macro-averages under the cluster bootstrap: means per row, then their weighted mean over rows.

    Clusters are drawn with replacement, as many as there are, each with all that it holds (Efron & Tibshirani 1993,
    chapter 8; Davison & Hinkley 1997, section 3.8). The value of a row in a resample is the mean over the queries
    drawn: its sum over its count.

    Args:
        sums: of the values of each row in each cluster; (clusters, rows).
        counts: how many values that sum has; (clusters, rows).
        membership: the weight of each row in each figure, at least 0; (rows, figures).
        resamples: how many.
        seed: makes it repeatable; the same seed draws the same clusters, so that figures stay paired.

    Returns:
        Shape (resamples, figures). NaN where no row of a figure was drawn.
    """
    clusters = len(sums)
    samples = np.empty((resamples, membership.shape[1]))
    constant = bool((counts == counts[:1]).all()) and bool((counts[0] > 0).all())
    if constant:
        # Every resample has the same counts, so the figure is linear in the clusters: one column per figure is enough.
        linear = (sums / (counts[0] * clusters)) @ (membership / membership.sum(axis=0))
    begin = 0
    for weights in _drawn(clusters, resamples, seed):
        end = begin + len(weights)
        if constant:
            samples[begin:end] = weights @ linear
        else:
            samples[begin:end] = _macro(weights @ sums, weights @ counts, membership)
        begin = end
    return samples


def bootstrap_totals(sums: Floats, *, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """Totals over the clusters drawn, for figures that are no means; the clusters are those of `bootstrap_macro`.

    Args:
        sums: (clusters, columns).
        resamples: how many.
        seed: the same seed draws the same clusters.

    Returns:
        Shape (resamples, columns).
    """
    return np.concatenate([weights @ sums for weights in _drawn(len(sums), resamples, seed)])


def macro(sums: Floats, counts: Floats, membership: Floats) -> Floats:
    """The figures that `bootstrap_macro` resamples, from all clusters once; shape (figures,)."""
    return _macro(sums.sum(axis=0)[None], counts.sum(axis=0)[None], membership)[0]


def interval(samples: Floats, level: float = LEVEL) -> tuple[Floats, Floats]:
    """The percentile interval of each column of `samples`: (low, high), shape (figures,) each.

    Source: Efron 1979. Resamples that have no value do not count.
    """
    tail = (1 - level) / 2
    low, high = np.nanquantile(samples, [tail, 1 - tail], axis=0)
    return low, high


def randomisation_test(contributions: Floats, *, resamples: int = RESAMPLES, seed: int = SEED) -> Floats:
    """Two-sided p of the paired randomisation test, clusters swapped whole.

    Under the hypothesis that two systems are alike, the sign of each cluster's difference is as good as a coin's. With
    at most `resamples` sign patterns all are taken, and p is exact; else p is (1 + those at least as extreme) / (1 +
    drawn), which is never 0 (Phipson & Smyth 2010). Source: Fisher 1935; Smucker, Allan & Carterette 2007 for
    retrieval.

    Args:
        contributions: what each cluster adds to the difference, which is their sum; (clusters, comparisons).
        resamples: sign patterns drawn.
        seed: makes it repeatable.

    Returns:
        Shape (comparisons,).
    """
    clusters = len(contributions)
    observed = np.abs(contributions.sum(axis=0))
    # Sums of the same numbers in another order may differ in their last digits: those count as equal.
    threshold = observed - 1e-12 * np.abs(contributions).sum(axis=0)
    exact = 2**clusters <= resamples
    extreme = np.zeros(contributions.shape[1])
    drawn = 0
    for signs in _every_sign(clusters) if exact else _drawn_signs(clusters, resamples, seed):
        extreme += (np.abs(signs @ contributions) >= threshold).sum(axis=0)
        drawn += len(signs)
    return extreme / drawn if exact else (1 + extreme) / (1 + drawn)


def exchange_test(
    first: Floats,
    second: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> float:
    """Two-sided p of the paired randomisation test for a statistic that is a function of several sums.

    As in `randomisation_test`, clusters are swapped whole between two systems; the statistic of both is computed again
    after each swap, and what is compared is its difference.

    Args:
        first: what each cluster adds to the sums of one system; (clusters, sums).
        second: to those of the other.
        statistic: from sums, shape (samples, sums), to values, shape (samples,).
        resamples: sign patterns drawn.
        seed: makes it repeatable.
    """
    clusters = len(first)
    total, apart = first.sum(axis=0) + second.sum(axis=0), second - first

    def differences(drawn: Floats) -> Floats:
        return statistic((total + drawn) / 2) - statistic((total - drawn) / 2)

    observed = abs(float(differences(apart.sum(axis=0)[None])[0]))
    threshold = observed - 1e-12 * max(1.0, observed)
    exact = 2**clusters <= resamples
    extreme = drawn = 0
    for signs in _every_sign(clusters) if exact else _drawn_signs(clusters, resamples, seed):
        extreme += int((np.abs(differences(signs @ apart)) >= threshold).sum())
        drawn += len(signs)
    return extreme / drawn if exact else (1 + extreme) / (1 + drawn)


def holm(p: Sequence[float] | Floats) -> Floats:
    """P adjusted for the number of comparisons in the family, in the order given (Holm 1979); at most 1."""
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def effect_size(differences: Floats) -> float | None:
    """Mean difference per cluster over its standard deviation (Cohen's d of paired differences, d_z).

    None with fewer than two clusters, or where all differ by the same amount, other than 0: there is no scale.
    """
    if len(differences) < 2:
        return None
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if deviation <= 1e-12 * max(1e-300, float(np.abs(differences).max())):
        return 0.0 if mean == 0 else None
    return mean / deviation


def shared_ranks(scores: Sequence[float], different: Booleans) -> list[int]:
    """The rank of each encoder: 1 + how many score higher and are told apart from it. Higher scores are better.

    Args:
        scores: of each encoder.
        different: whether two encoders are told apart, symmetric; (encoders, encoders).
    """
    values = np.asarray(scores)
    return [1 + int((different[row] & (values > values[row])).sum()) for row in range(len(values))]


def groups(different: Booleans) -> list[tuple[int, ...]]:
    """The largest sets of encoders of which no two can be told apart, each sorted, in order of their first member.

    An encoder can be in several: that a cannot be told from b, nor b from c, does not say that a cannot be told from c.
    Source: Piepho 2004, "An algorithm for a letter-based representation of all-pairwise comparisons" (insert and
    absorb).
    """
    found: list[frozenset[int]] = [frozenset(range(len(different)))]
    for a, b in zip(*np.nonzero(np.triu(different, 1)), strict=True):
        split: list[frozenset[int]] = []
        for group in found:
            split += [group - {int(a)}, group - {int(b)}] if a in group and b in group else [group]
        found = [g for g in dict.fromkeys(split) if not any(g < other for other in split)]
    return sorted(tuple(sorted(group)) for group in found)


def _macro(sums: Floats, counts: Floats, membership: Floats) -> Floats:
    present = counts > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=present)
    weight = present @ membership
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, means @ membership / weight, np.nan)


def _drawn(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is drawn in each resample, (some resamples, clusters) at a time."""
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS_AT_ONCE // clusters)
    for begin in range(0, resamples, step):
        size = min(step, resamples - begin)
        picks = generator.integers(0, clusters, (size, clusters))
        picks += np.arange(size)[:, None] * clusters
        yield np.bincount(picks.ravel(), minlength=size * clusters).reshape(size, clusters).astype(np.float64)


def _drawn_signs(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    step = max(1, _CELLS_AT_ONCE // clusters)
    for begin in range(0, resamples, step):
        size = min(step, resamples - begin)
        yield generator.integers(0, 2, (size, clusters), dtype=np.int8).astype(np.float64) * 2 - 1


def _every_sign(clusters: int) -> Iterator[Floats]:
    patterns = np.arange(2**clusters)[:, None] >> np.arange(clusters)
    yield (patterns & 1).astype(np.float64) * 2 - 1
