"""Training strategies by name, and the batches of a pair store's rows that they give.

Two papers call different things X-X, so LAReQA's names carry its own:

| name | a batch | source |
|---|---|---|
| `X-X` | query and document in one language, and the whole batch too; the language drawn uniformly | arXiv 2408.10536 |
| `X-Y` | in every row the languages of query and document differ; rows mix pairs of languages | arXiv 2408.10536 |
| `hybrid` | with probability alpha an `X-X` batch, else an `X-Y` batch | arXiv 2408.10536 |
| `lareqa:En-En` | English query, English document | arXiv 2004.05484, section 4 |
| `lareqa:X-X` | query and document in one language, another one from row to row | the same |
| `lareqa:X-X-mono` | the whole batch in one language: what `X-X` is above | the same |
| `lareqa:X-Y` | query and document in different languages: what `X-Y` is above | the same |
| `contrastive` | any rows, shuffled: in-batch negatives without regard to language | the usual baseline |

The data set of a batch is drawn in proportion to the rows that it has for it, then its languages: uniformly, or by an
`Augmentation`. Rows of a data set, language or pair of languages are drawn alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from xlir_bench.errors import InputError, unknown_name
from xlir_bench.training.augmentation import Augmentation, borrowed_rows, language_pair_shares, language_shares
from xlir_bench.training.batches import Batch, BatchPlan, Floats, HybridBatches, Ints, Pairs, Shares

if TYPE_CHECKING:
    import pyarrow as pa

StrategyName = Literal[
    "X-X", "X-Y", "hybrid", "lareqa:En-En", "lareqa:X-X", "lareqa:X-X-mono", "lareqa:X-Y", "contrastive"
]
STRATEGIES: tuple[StrategyName, ...] = get_args(StrategyName)
Kind = Literal["X-X", "X-Y", "En-En", "mixed X-X", "any"]
"""What one batch is: a hybrid run has batches of two kinds, every other strategy of one."""

_KINDS: dict[StrategyName, Kind] = {
    "X-X": "X-X",
    "X-Y": "X-Y",
    "lareqa:En-En": "En-En",
    "lareqa:X-X": "mixed X-X",
    "lareqa:X-X-mono": "X-X",
    "lareqa:X-Y": "X-Y",
    "contrastive": "any",
}
_ENGLISH = "en"


@dataclass(frozen=True)
class Rows:
    """The rows of a pair store as arrays.

    Attributes:
        texts: every text once per language that it is given in, shape (texts,).
        language_names: codes, sorted.
        languages: index into `language_names`, shape (texts,).
        identities: equal for texts that read the same, shape (texts,).
        queries, documents: index of the text, shape (rows,).
        groups: equal for rows of one group of one data set, shape (rows,).
        datasets: index into `dataset_names`, shape (rows,).
        dataset_names: sorted.
        negatives: identities of the hard negatives, shape (rows, n); None for n = 0.
    """

    texts: pa.StringArray
    language_names: list[str]
    languages: Ints
    identities: Ints
    queries: Ints
    documents: Ints
    groups: Ints
    datasets: Ints
    dataset_names: list[str]
    negatives: Ints | None = None

    def __len__(self) -> int:
        return len(self.queries)

    @classmethod
    def of_table(cls, table: pa.Table, negatives: int = 0) -> Rows:
        """The rows of a store.

        Args:
            table: from `store.read_pairs`.
            negatives: hard negatives used per row.

        Raises:
            InputError: there is no row, or a row has fewer negatives, or one that is its own document.
        """
        import pyarrow as pa

        rows = table.num_rows
        if not rows:
            raise InputError("the pair stores hold no row: there is nothing to train on")
        both = [*table.column("query").chunks, *table.column("document").chunks]
        listed = _negatives_of(table, negatives)
        encoded = pa.chunked_array([*both, listed], pa.string()).combine_chunks().dictionary_encode()
        identity = np.asarray(encoded.indices, dtype=np.int64)
        codes = [*table.column("query_language").chunks, *table.column("document_language").chunks]
        names, code_of = _numbered(pa.chunked_array(codes, pa.string()))
        distinct, text_of = np.unique(identity[: 2 * rows] * len(names) + code_of, return_inverse=True)
        dataset_names, dataset_of = _numbered(table.column("dataset"))
        _, group_of = _numbered(table.column("group"))
        found = None
        if negatives:
            found = identity[2 * rows :].reshape(rows, negatives)
            own = (found == identity[rows : 2 * rows, None]).any(axis=1)
            if own.any():
                raise InputError(f"row {int(own.argmax())}: a hard negative is the row's own document; remove it")
        return cls(
            texts=encoded.dictionary.take(pa.array(distinct // len(names))),
            language_names=names,
            languages=distinct % len(names),
            identities=distinct // len(names),
            queries=text_of[:rows].astype(np.int64),
            documents=text_of[rows:].astype(np.int64),
            groups=np.unique(dataset_of * (group_of.max() + 1) + group_of, return_inverse=True)[1].astype(np.int64),
            datasets=dataset_of,
            dataset_names=dataset_names,
            negatives=found,
        )


@dataclass(frozen=True)
class RowPlan:
    """How rows become batches.

    Attributes:
        strategy: see the module.
        alpha: probability of an X-X batch in `hybrid`; no other strategy looks at it.
        batch: rows per batch.
        temper: an X-Y row's pair of languages is drawn in proportion to its rows to this power; 0 makes all equal.
        augmentation: how languages are drawn instead; None draws them uniformly, and pairs by `temper`.
        languages: shares of the languages of X-X batches, by index in `Rows.language_names`, over what the
            augmentation says, shape (languages,).
        pairs: shares of the pairs of languages of X-Y rows, by query language and document language, shape
            (languages, languages).
    """

    strategy: StrategyName = "hybrid"
    alpha: float = 0.5
    batch: int = 100
    temper: float = 0.0
    augmentation: Augmentation | None = None
    languages: Floats | None = field(default=None, compare=False)
    pairs: Floats | None = field(default=None, compare=False)

    def kinds(self) -> dict[Kind, float]:
        """The kinds of batches that the strategy is made of, with their probabilities."""
        if self.strategy != "hybrid":
            return {_KINDS[self.strategy]: 1.0}
        kinds: dict[Kind, float] = {"X-X": self.alpha, "X-Y": 1 - self.alpha}
        return {kind: probability for kind, probability in kinds.items() if probability > 0}


@dataclass(frozen=True, slots=True)
class RowBatch:
    """The rows of one training step.

    Attributes:
        kind: what they are.
        rows: row numbers of the store, shape (rows,).
    """

    kind: Kind
    rows: Ints


class RowBatches:
    """Endless batches of a store's rows, each of which follows from the seed and its number alone.

    So batches may be asked for in any order, by any number of processes, and after any interruption.

    Args:
        rows: of the store.
        plan: strategy and what belongs to it.
        seed: the same seed gives the same batches.

    Raises:
        InputError: the strategy does not exist, has no rows, or asks for batches of fewer than two.
    """

    def __init__(self, rows: Rows, plan: RowPlan, seed: int) -> None:
        if plan.strategy not in STRATEGIES:
            raise unknown_name("strategy", plan.strategy, STRATEGIES, f"there are {', '.join(STRATEGIES)}")
        if not 0 <= plan.alpha <= 1 or plan.batch < 2:
            raise InputError("alpha is a probability, and in-batch negatives need at least two rows")
        self.rows, self.plan, self._seed = rows, plan, seed
        self._kinds = plan.kinds()
        self._stocks = {kind: _Stock(rows, plan, kind, seed) for kind in self._kinds}

    def batch(self, number: int) -> RowBatch:
        """Batch `number`, counted from 0."""
        rng = np.random.default_rng([self._seed, number])
        kind = self._draw_kind(rng)
        return RowBatch(kind, self._stocks[kind].draw(rng))

    def kind(self, number: int) -> Kind:
        """What batch `number` is, without drawing its rows."""
        return self._draw_kind(np.random.default_rng([self._seed, number]))

    def _draw_kind(self, rng: np.random.Generator) -> Kind:
        # Drawn whatever the number of kinds, so that one seed's X-X batches are alike for every alpha.
        point, kinds = rng.random(), list(self._kinds)
        return kinds[0] if point < self._kinds[kinds[0]] else kinds[-1]

    def pairs_of(self, batch: RowBatch) -> Batch:
        """The batch as text indices, for a trainer that knows texts by number."""
        strategy: Literal["X-X", "X-Y"] = "X-Y" if batch.kind == "X-Y" else "X-X"
        return Batch(strategy, self.rows.queries[batch.rows], self.rows.documents[batch.rows], batch.rows)


class _Stock:
    """The rows of one kind: a stream of batches per data set, chosen in proportion to its rows."""

    def __init__(self, rows: Rows, plan: RowPlan, kind: Kind, seed: int) -> None:
        chosen = _rows_of_kind(rows, kind)
        if not len(chosen):
            known = " ".join(rows.language_names)
            raise InputError(f"strategy {plan.strategy}: no row of the data is {kind} (languages: {known})")
        sizes = np.bincount(rows.datasets[chosen], minlength=len(rows.dataset_names))
        present = np.flatnonzero(sizes)
        self._shares = sizes[present] / sizes.sum()
        self._rows = [chosen[rows.datasets[chosen] == dataset] for dataset in present]
        self._streams = []
        for at, of_dataset in enumerate(self._rows):
            positions, stream = _stream(rows, of_dataset, plan, kind, seed)
            self._rows[at] = positions
            self._streams.append(stream)

    def draw(self, rng: np.random.Generator) -> Ints:
        """Row numbers of one batch."""
        at = int(rng.choice(len(self._shares), p=self._shares))
        return self._rows[at][self._streams[at].draw(rng).pairs]


def _stream(rows: Rows, chosen: Ints, plan: RowPlan, kind: Kind, seed: int) -> tuple[Ints, HybridBatches]:
    """The batches of one data set, and the rows that their positions stand for."""
    across = kind == "X-Y"
    cells = _cells(rows, chosen, kind)
    shares = _shares(rows, chosen, plan, kind)
    weights = np.ones(len(chosen))
    if kind == "X-X" and plan.augmentation is not None and plan.augmentation.fill:
        chosen, cells = _with_borrowed(rows, chosen, plan.augmentation, seed)
        weights = np.ones(len(chosen))
    elif kind == "mixed X-X":
        # One cell for all, in which a language weighs its share whatever its number of rows.
        spoken = rows.languages[rows.queries[chosen]]
        counts = np.bincount(spoken, minlength=len(rows.language_names))
        uniform = (counts > 0).astype(float)
        weights = ((uniform if shares.languages is None else shares.languages) / np.maximum(counts, 1))[spoken]
        chosen, weights = chosen[weights > 0], weights[weights > 0]
        cells, shares = np.zeros(len(chosen), dtype=np.int64), Shares()
    negatives = None if rows.negatives is None else rows.negatives[chosen]
    pairs = Pairs(rows.queries[chosen], rows.documents[chosen], rows.groups[chosen], weights, cells, negatives)
    none = Pairs(*(np.zeros(0, dtype=np.int64),) * 3, np.zeros(0))
    one = BatchPlan(0.0 if across else 1.0, plan.batch, plan.temper, turned=False, exhaustive=True, shares=shares)
    alone, together = (none, replace(pairs, cells=None)) if across else (pairs, none)
    return chosen, HybridBatches(alone, together, rows.languages, rows.identities, one, seed)


def _rows_of_kind(rows: Rows, kind: Kind) -> Ints:
    asked, given = rows.languages[rows.queries], rows.languages[rows.documents]
    if kind == "any":
        return np.arange(len(rows), dtype=np.int64)
    if kind == "X-Y":
        return np.flatnonzero(asked != given).astype(np.int64)
    alone = asked == given
    if kind == "En-En":
        if _ENGLISH not in rows.language_names:
            return np.zeros(0, dtype=np.int64)
        alone &= asked == rows.language_names.index(_ENGLISH)
    return np.flatnonzero(alone).astype(np.int64)


def _cells(rows: Rows, chosen: Ints, kind: Kind) -> Ints:
    """What a row counts for: its query's language where batches are in one language, else the same for all."""
    if kind == "X-X":
        return rows.languages[rows.queries[chosen]]
    return np.zeros(len(chosen), dtype=np.int64)


def _shares(rows: Rows, chosen: Ints, plan: RowPlan, kind: Kind) -> Shares:
    """How often languages are drawn within one data set."""
    names, size = rows.language_names, len(rows.language_names)
    asked, given = rows.languages[rows.queries[chosen]], rows.languages[rows.documents[chosen]]
    if kind in ("X-X", "mixed X-X"):
        if plan.languages is not None or plan.augmentation is None:
            return Shares(languages=plan.languages)
        return Shares(languages=language_shares(names, np.bincount(asked, minlength=size), plan.augmentation))
    if kind != "X-Y" or plan.pairs is not None or plan.augmentation is None:
        return Shares(pairs=plan.pairs if kind == "X-Y" else None)
    masses = np.bincount(asked * size + given, minlength=size * size)
    present = np.flatnonzero(masses)
    pairs = [(names[cell // size], names[cell % size]) for cell in present]
    shares = np.zeros(size * size)
    shares[present] = language_pair_shares(pairs, masses[present], plan.augmentation)
    return Shares(pairs=shares.reshape(size, size))


def _with_borrowed(rows: Rows, chosen: Ints, augmentation: Augmentation, seed: int) -> tuple[Ints, Ints]:
    """The rows with those that languages with few are lent, and the language that each counts for."""
    own = rows.languages[rows.queries[chosen]]
    lent = borrowed_rows([rows.language_names[code] for code in own], augmentation, seed)
    positions = [np.arange(len(chosen)), *lent.values()]
    cells = [own, *(np.full(len(taken), rows.language_names.index(code)) for code, taken in lent.items())]
    return chosen[np.concatenate(positions)], np.concatenate(cells).astype(np.int64)


def _numbered(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """The distinct values, sorted, and the number of each row's."""
    encoded = column.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    order = np.argsort(np.array(names, dtype=object), kind="stable") if names else np.zeros(0, dtype=np.int64)
    place = np.empty(len(names), dtype=np.int64)
    place[order] = np.arange(len(names))
    return [names[at] for at in order], place[np.asarray(encoded.indices, dtype=np.int64)]


def _negatives_of(table: pa.Table, count: int) -> pa.StringArray:
    """The first `count` hard negatives of all rows, end to end.

    Raises:
        InputError: a row has fewer.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not count:
        return pa.array([], pa.string())
    column = table.column("negatives")
    lengths = np.asarray(pc.list_value_length(column))
    if lengths.min() < count:
        short = int((lengths < count).sum())
        raise InputError(
            f"negatives: {count} hard negatives per row are asked for, and {short:,} of {len(lengths):,} rows have "
            f"fewer (the first is row {int((lengths < count).argmax())})"
        )
    chunks = [pc.list_flatten(pc.list_slice(chunk, 0, count)) for chunk in column.chunks]
    return pa.chunked_array(chunks, pa.string()).combine_chunks()


def hard_negative_columns(table: pa.Table, count: int) -> Sequence[pa.StringArray]:
    """The hard negatives as columns, the first of every row in the first; see `_negatives_of`."""
    flat = _negatives_of(table, count)
    return [flat.take(np.arange(at, len(flat), count)) for at in range(count)]
