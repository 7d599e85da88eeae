"""Hybrid batches: which pairs of texts a training step sees (arXiv 2408.10536, section 3).

Three strategies are declared by one number, alpha, the probability of a monolingual batch:

* X-X (alpha 1): query and document are in one language, and so is the whole batch; the language is drawn
  uniformly from those that have pairs;
* X-Y (alpha 0): in every row the languages of query and document differ. Rows of one batch mix language pairs,
  so that the documents of a batch hold the query's own language as negatives;
* hybrid (0 < alpha < 1): with probability alpha an X-X batch, otherwise an X-Y batch.

The module knows arrays of integers only, neither texts nor a training framework; `strategies` draws rows of a pair
store with it. In-batch negatives ask that no row answers another: within a batch no group (a record, a question) and no
text occurs twice, but for a row whose query and document are one and the same text, which the trainer is expected to
thin out differently on each side. A hard negative of one row is never the query or the document of another.
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
        cells: the language that an X-X row counts for, where that is not its own: rows lent to a language, or rows
            that are all to be drawn alike. None where every row counts for the language that it is in.
        negatives: identities of the texts of a row's hard negatives, -1 where there are fewer, shape (pairs, most);
            None without hard negatives.
    """

    queries: Ints
    documents: Ints
    groups: Ints
    weights: Floats
    cells: Ints | None = None
    negatives: Ints | None = None

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
class Shares:
    """How often languages and pairs of languages are drawn, where that is not as `BatchPlan` says.

    Attributes:
        languages: of X-X batches, by index of the language, shape (languages,).
        pairs: of X-Y rows, by the indices of the query's and of the document's language, shape
            (languages, languages).
    """

    languages: Floats | None = None
    pairs: Floats | None = None


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How batches are drawn.

    Attributes:
        alpha: probability of an X-X batch; 1 is the X-X strategy, 0 is X-Y.
        rows: pairs per batch.
        temper: a language pair is drawn with probability proportional to its weight to this power;
            1 keeps the proportions of the texts, 0 makes all language pairs equal.
        turned: whether the direction of an X-Y pair is drawn by a fair coin; else query and document stay what they
            are, and a pair of languages is another one than its reverse.
        exhaustive: whether a batch that random draws do not fill is filled with whatever rows are left.
        shares: of languages and pairs of languages; takes the place of uniform languages and of `temper`.
    """

    alpha: float = 0.5
    rows: int = 2048
    temper: float = 0.5
    turned: bool = True
    exhaustive: bool = False
    shares: Shares = Shares()

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
        pairs: positions in the `Pairs` that the rows come from, shape (rows,).
    """

    strategy: Strategy
    queries: Ints
    documents: Ints
    pairs: Ints


class _Cells:
    """Pairs sorted by cell (a language, or a pair of languages), drawn by weight inside a given cell."""

    def __init__(self, pairs: Pairs, cells: Ints) -> None:
        order = np.argsort(cells, kind="stable")
        self.positions: Ints = order.astype(np.int64)
        self.queries, self.documents = pairs.queries[order], pairs.documents[order]
        self.groups = pairs.groups[order]
        self.negatives = None if pairs.negatives is None else pairs.negatives[order]
        self.names, starts = np.unique(cells[order], return_index=True)
        self._starts = starts.astype(np.int64)
        self._ends = np.append(starts[1:], len(order)).astype(np.int64) - 1
        self._cumulative = np.concatenate([[0.0], np.cumsum(pairs.weights[order])])
        self._below = self._cumulative[starts]
        self.mass = self._cumulative[self._ends + 1] - self._below

    def draw(self, rng: np.random.Generator, cells: Ints) -> Ints:
        """Draw one pair from each of the given cells: positions, shape (len(cells),)."""
        points = self._below[cells] + rng.random(len(cells)) * self.mass[cells]
        found = np.searchsorted(self._cumulative, points, side="right") - 1
        return np.minimum(found, self._ends[cells]).astype(np.int64)

    def members(self, cells: Ints) -> Ints:
        """Every pair of the given cells, each cell being given once."""
        return np.concatenate([np.arange(self._starts[cell], self._ends[cell] + 1) for cell in cells])


class HybridBatches:
    """An endless, seeded stream of batches.

    Args:
        monolingual: X-X pairs; both texts of a pair are in one language, unless `Pairs.cells` says what it counts for.
        crosslingual: X-Y pairs, each given once; the direction is drawn by a fair coin unless the plan says otherwise.
        languages: language index of every text, shape (texts,).
        identities: equal for texts that read the same, shape (texts,).
        plan: alpha, rows per batch and temper, see `BatchPlan`.
        seed: the same seed gives the same batches.

    Raises:
        ValueError: a pair contradicts its strategy, a strategy that alpha asks for has no pairs, or shares leave
            nothing to draw.
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
        if monolingual.cells is None and not same.all():
            raise ValueError(f"{int((~same).sum())} X-X pairs join two languages")
        first, second = languages[crosslingual.queries], languages[crosslingual.documents]
        if (first == second).any():
            raise ValueError(f"{int((first == second).sum())} X-Y pairs are in one language")
        if (plan.alpha > 0 and not len(same)) or (plan.alpha < 1 and not len(first)):
            raise ValueError(f"alpha = {plan.alpha} asks for a strategy that has no pairs")
        self._plan, self._seed, self._identities = plan, seed, identities
        alone = languages[monolingual.queries] if monolingual.cells is None else monolingual.cells
        self._monolingual = _Cells(monolingual, alone)
        self._language_shares = _shares_of(self._monolingual, plan.shares.languages)
        width = int(languages.max(initial=0)) + 1
        if plan.turned:
            first, second = np.minimum(first, second), np.maximum(first, second)
        self._crosslingual = _Cells(crosslingual, first * width + second)
        given = _cell_shares(plan, width)
        tempered = self._crosslingual.mass**plan.temper
        uniform = tempered / max(float(tempered.sum()), 1e-300)
        found = _shares_of(self._crosslingual, given)
        self._pair_shares = uniform if found is None else found

    def __iter__(self) -> Iterator[Batch]:
        """Start the stream from its beginning."""
        rng = np.random.default_rng(self._seed)
        while True:
            yield self.draw(rng)

    def draw(self, rng: np.random.Generator) -> Batch:
        """Draw one batch with another's source of chance."""
        if rng.random() < self._plan.alpha:
            return self._monolingual_batch(rng)
        return self._crosslingual_batch(rng)

    def _monolingual_batch(self, rng: np.random.Generator) -> Batch:
        cells, shares = self._monolingual, self._language_shares
        language = int(rng.integers(len(cells.mass)) if shares is None else rng.choice(len(shares), p=shares))

        def draw(count: int) -> Ints:
            return cells.draw(rng, np.full(count, language, dtype=np.int64))

        rows = self._fill(draw, cells)
        if len(rows) < self._plan.rows and self._plan.exhaustive:
            rows = self._fill_up(rows, cells, np.array([language]), rng)
        return Batch("X-X", cells.queries[rows], cells.documents[rows], cells.positions[rows])

    def _crosslingual_batch(self, rng: np.random.Generator) -> Batch:
        cells, shares = self._crosslingual, self._pair_shares

        def draw(count: int) -> Ints:
            return cells.draw(rng, rng.choice(len(shares), size=count, p=shares).astype(np.int64))

        rows = self._fill(draw, cells)
        if len(rows) < self._plan.rows and self._plan.exhaustive:
            rows = self._fill_up(rows, cells, np.flatnonzero(shares), rng)
        queries, documents = cells.queries[rows], cells.documents[rows]
        if self._plan.turned:
            turned = rng.random(len(rows)) < 0.5
            queries, documents = np.where(turned, documents, queries), np.where(turned, queries, documents)
        return Batch("X-Y", queries, documents, cells.positions[rows])

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

    def _fill_up(self, rows: Ints, cells: _Cells, among: Ints, rng: np.random.Generator) -> Ints:
        """Add the pairs of some cells in random order, as far as they answer no other row."""
        candidates = np.concatenate([rows, rng.permutation(cells.members(among))])
        return self._without_answers_to_another(candidates, cells)[: self._plan.rows]

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
        if cells.negatives is not None:
            kept[kept] = ~np.isin(cells.negatives[rows[kept]], sides[kept]).any(axis=1)
        return rows[kept]


def _cell_shares(plan: BatchPlan, width: int) -> Floats | None:
    """The plan's shares of pairs of languages by number of the cell; both directions in one where pairs are turned."""
    if plan.shares.pairs is None:
        return None
    given = np.zeros((width, width))
    size = min(width, len(plan.shares.pairs))
    given[:size, :size] = plan.shares.pairs[:size, :size]
    return (given + given.T if plan.turned else given).ravel()


def _shares_of(cells: _Cells, given: Floats | None) -> Floats | None:
    """The shares of the cells that have pairs, summing to 1.

    Raises:
        ValueError: all of them are 0, or one is negative.
    """
    if given is None or not len(cells.names):
        return None
    shares = np.asarray(given, dtype=np.float64)[cells.names]
    if shares.min() < 0 or not shares.sum() > 0:
        raise ValueError("the shares leave no language to draw, or are negative")
    return shares / shares.sum()


def _first_occurrence(values: Ints) -> Ints:
    """Positions of the first occurrence of every value, in order."""
    _, first = np.unique(values, return_index=True)
    return np.sort(first).astype(np.int64)
