"""Hybrid batches: which pairs of texts a training step sees (arXiv 2408.10536, section 3).

Three strategies are declared by one number, alpha, the probability of a monolingual batch:

* X-X (alpha 1): query and document are in one language, and so is the whole batch; the language is drawn
  uniformly from those that have pairs;
* X-Y (alpha 0): in every row the languages of query and document differ. Rows of one batch mix language pairs,
  so that the documents of a batch hold the query's own language as negatives;
* hybrid (0 < alpha < 1): with probability alpha an X-X batch, otherwise an X-Y batch.

The module knows arrays of integers only, neither texts nor a training framework. In-batch negatives ask that no
row answers another: within a batch no group (a record, a question) and no text occurs twice, but for a row whose
query and document are one and the same text, which the trainer is expected to thin out differently on each side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Strategy = Literal["X-X", "X-Y"]

_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Pairs:
    """Candidate rows, all arrays of shape (pairs,).

    Attributes:
        queries: index of the query's text.
        documents: index of the document's text.
        groups: rows of one group answer one another, and never share a batch.
        weights: positive; rows of one language (X-X) or language pair (X-Y) are drawn in proportion.
    """

    queries: Ints
    documents: Ints
    groups: Ints
    weights: Floats

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            ValueError: the arrays differ in length, or a weight is not positive.
        """
        lengths = {len(self.queries), len(self.documents), len(self.groups), len(self.weights)}
        if len(lengths) != 1:
            raise ValueError(f"the arrays of pairs differ in length: {sorted(lengths)}")
        if len(self.weights) and self.weights.min() <= 0:
            raise ValueError("every pair needs a positive weight")


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How batches are drawn.

    Attributes:
        alpha: probability of an X-X batch; 1 is the X-X strategy, 0 is X-Y.
        rows: pairs per batch.
        temper: a language pair is drawn with probability proportional to its weight to this power;
            1 keeps the proportions of the texts, 0 makes all language pairs equal.
    """

    alpha: float = 0.5
    rows: int = 2048
    temper: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: alpha outside [0, 1], or fewer than two rows.
        """
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is a probability, not {self.alpha}")
        if self.rows < 2:
            raise ValueError("in-batch negatives need at least two rows")


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one training step.

    Attributes:
        strategy: how the batch was drawn.
        queries: text indices, shape (rows,).
        documents: text indices, shape (rows,); row i's document is relevant for query i and for no other.
    """

    strategy: Strategy
    queries: Ints
    documents: Ints


class _Cells:
    """Pairs sorted by cell (a language, or a pair of languages), drawn by weight inside a given cell."""

    def __init__(self, pairs: Pairs, cells: Ints) -> None:
        order = np.argsort(cells, kind="stable")
        self.queries, self.documents = pairs.queries[order], pairs.documents[order]
        self.groups = pairs.groups[order]
        _, starts = np.unique(cells[order], return_index=True)
        self._ends = np.append(starts[1:], len(order)).astype(np.int64) - 1
        self._cumulative = np.concatenate([[0.0], np.cumsum(pairs.weights[order])])
        self._below = self._cumulative[starts]
        self.mass = self._cumulative[self._ends + 1] - self._below

    def draw(self, rng: np.random.Generator, cells: Ints) -> Ints:
        """Draw one pair from each of the given cells: positions, shape (len(cells),)."""
        points = self._below[cells] + rng.random(len(cells)) * self.mass[cells]
        found = np.searchsorted(self._cumulative, points, side="right") - 1
        return np.minimum(found, self._ends[cells]).astype(np.int64)


class HybridBatches:
    """An endless, seeded stream of batches.

    Args:
        monolingual: X-X pairs; both texts of a pair are in one language.
        crosslingual: X-Y pairs, each given once; the direction is drawn by a fair coin.
        languages: language index of every text, shape (texts,).
        identities: equal for texts that read the same, shape (texts,).
        plan: alpha, rows per batch and temper, see `BatchPlan`.
        seed: the same seed gives the same batches.

    Raises:
        ValueError: a pair contradicts its strategy, or a strategy that alpha asks for has no pairs.
    """

    def __init__(
        self,
        monolingual: Pairs,
        crosslingual: Pairs,
        languages: Ints,
        identities: Ints,
        plan: BatchPlan,
        seed: int,
    ) -> None:
        same = languages[monolingual.queries] == languages[monolingual.documents]
        if not same.all():
            raise ValueError(f"{int((~same).sum())} X-X pairs join two languages")
        first, second = languages[crosslingual.queries], languages[crosslingual.documents]
        if (first == second).any():
            raise ValueError(f"{int((first == second).sum())} X-Y pairs are in one language")
        if (plan.alpha > 0 and not len(same)) or (plan.alpha < 1 and not len(first)):
            raise ValueError(f"alpha = {plan.alpha} asks for a strategy that has no pairs")
        self._plan, self._seed, self._identities = plan, seed, identities
        self._monolingual = _Cells(monolingual, languages[monolingual.queries])
        width = int(languages.max(initial=0)) + 1
        cells = np.minimum(first, second) * width + np.maximum(first, second)
        self._crosslingual = _Cells(crosslingual, cells)
        tempered = self._crosslingual.mass**plan.temper
        self._cell_shares = tempered / max(float(tempered.sum()), 1e-300)

    def __iter__(self) -> Iterator[Batch]:
        """Start the stream from its beginning."""
        rng = np.random.default_rng(self._seed)
        while True:
            if rng.random() < self._plan.alpha:
                yield self._monolingual_batch(rng)
            else:
                yield self._crosslingual_batch(rng)

    def _monolingual_batch(self, rng: np.random.Generator) -> Batch:
        language = int(rng.integers(len(self._monolingual.mass)))

        def draw(count: int) -> Ints:
            return self._monolingual.draw(rng, np.full(count, language, dtype=np.int64))

        rows = self._fill(draw, self._monolingual)
        return Batch("X-X", self._monolingual.queries[rows], self._monolingual.documents[rows])

    def _crosslingual_batch(self, rng: np.random.Generator) -> Batch:
        def draw(count: int) -> Ints:
            cells = rng.choice(len(self._cell_shares), size=count, p=self._cell_shares)
            return self._crosslingual.draw(rng, cells.astype(np.int64))

        rows = self._fill(draw, self._crosslingual)
        queries, documents = self._crosslingual.queries[rows], self._crosslingual.documents[rows]
        turned = rng.random(len(rows)) < 0.5
        return Batch("X-Y", np.where(turned, documents, queries), np.where(turned, queries, documents))

    def _fill(self, draw: Callable[[int], Ints], cells: _Cells) -> Ints:
        """Draw until the batch is full, or until a few attempts find nothing new (few pairs: a short batch)."""
        rows = np.zeros(0, dtype=np.int64)
        for _ in range(_ATTEMPTS):
            wanted = self._plan.rows - len(rows)
            candidates = np.concatenate([rows, draw(wanted + wanted // 4 + 1)])
            rows = self._without_answers_to_another(candidates, cells)[: self._plan.rows]
            if len(rows) == self._plan.rows:
                break
        return rows

    def _without_answers_to_another(self, rows: Ints, cells: _Cells) -> Ints:
        rows = rows[_first_occurrence(cells.groups[rows])]
        queries, documents = self._identities[cells.queries[rows]], self._identities[cells.documents[rows]]
        # Interleaved, a text counts as seen wherever it stood before, as query or as document.
        sides = np.stack([queries, documents], axis=1)
        _, first = np.unique(sides, return_index=True)
        fresh = np.zeros(sides.size, dtype=bool)
        fresh[first] = True
        fresh_sides = fresh.reshape(sides.shape)
        kept = fresh_sides[:, 0] & (fresh_sides[:, 1] | (queries == documents))
        return rows[kept]


def _first_occurrence(values: Ints) -> Ints:
    """Positions of the first occurrence of every value, in order."""
    _, first = np.unique(values, return_index=True)
    return np.sort(first).astype(np.int64)
