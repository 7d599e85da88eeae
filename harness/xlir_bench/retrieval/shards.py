"""A corpus in shards: the unit of work, what it gives, and how an engine drives it.

An engine does this, in any order and on any number of machines, and gets the same counts to the last bit:

    wanted = Wanted.of(collection, across_languages=...)
    search = Search.of(wanted, query_vectors, judged_vectors, similarity, depth)   # once
    for shard in plan_shards(len(documents), size):      # contiguous, in the order of the collection
        texts = texts_of(shard, documents)
        counts = count_shard(search, shard, texts, vectors_of(texts))
    total = merge(..., merge(counts, counts))            # in any tree: associative and commutative
    ranks = rank_table(wanted, collection, total)

`Search`, `Shard`, the `Texts` of a shard and `Counts` are plain arrays and strings and go through pickle.
`count_shard` depends on nothing else and changes nothing, so that a shard may be counted again where a worker was lost.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Integers, Texts
from xlir_bench.encoders.protocol import Vectors
from xlir_bench.errors import InputError
from xlir_bench.retrieval.blas import one_thread_per_product
from xlir_bench.retrieval.counts import Counts
from xlir_bench.retrieval.pairs import occupied, product_error, scaled
from xlir_bench.retrieval.search import Search

if TYPE_CHECKING:
    from xlir_bench.retrieval.accounts import Accounts

_STEP = 16_384
"""Documents that are scaled before the queries meet them: 25 MB with 384 dimensions."""

_ROWS = 512
_COLUMNS = 1024
"""A product of 512 queries and 1,024 documents: 2 MiB, which stay in the cache of a core until they are counted."""

_LEAST_ROWS = 32
_LEAST = np.finfo(np.float32).min
_NO_BITS = np.empty((0, 0), np.uint64)


@dataclass(frozen=True)
class Shard:
    """The documents from `start` to `stop`, exclusive, of a collection; `number` counts from 0."""

    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __str__(self) -> str:
        return f"shard {self.number} (documents {self.start:,} to {self.stop - 1:,})"


def plan_shards(documents: int, size: int) -> tuple[Shard, ...]:
    """Shards of `size` documents, in order; the last may be smaller.

    Raises:
        InputError: `size` is less than 1.
    """
    if size < 1:
        raise InputError(f"a shard of {size} documents: give 1 or more")
    starts = range(0, documents, size)
    return tuple(Shard(number, start, min(start + size, documents)) for number, start in enumerate(starts))


def texts_of(shard: Shard, documents: Texts) -> Texts:
    """The texts of a shard, in lists: what is sent to a worker."""
    part = slice(shard.start, shard.stop)
    return Texts(list(documents.ids[part]), list(documents.texts[part]), list(documents.languages[part]))


def count_shard(
    search: Search, shard: Shard, texts: Texts, vectors: npt.NDArray[np.floating], threads: int | None = None
) -> Counts:
    """What the documents of one shard are to every judged document, and the best of them.

    Args:
        search: what is asked.
        shard: which documents of the collection these are.
        texts: their ids and languages.
        vectors: as encoded, float32 or float16, (documents, dimensions).
        threads: how many work; by default one per core.

    Raises:
        InputError: a score is not a finite number; the message names query and document.
    """
    from xlir_bench.retrieval.accounts import Accounts

    threads = threads or os.cpu_count() or 1
    accounts = Accounts(search.wanted, search.depth, shard.start, texts.ids)
    with ThreadPoolExecutor(threads) as pool, one_thread_per_product():
        for language, rows in texts.rows_by_language.items():
            step = _Step(search, accounts, language)
            queries = len(search.wanted.part(language).query)
            size = min(_ROWS, max(_LEAST_ROWS, -(-queries // (2 * threads))))
            blocks = [slice(begin, min(begin + size, queries)) for begin in range(0, queries, size)]
            for begin in range(0, len(rows) if blocks else 0, _STEP):
                step.take(rows[begin : begin + _STEP], vectors, pool)
                for _ in pool.map(step.count, blocks):
                    pass
    return accounts.counts()


class _Step:
    """Documents of one language, a step's worth at a time, against the queries that search them."""

    def __init__(self, search: Search, accounts: Accounts, language: str) -> None:
        self._search, self._accounts = search, accounts
        self._part = search.wanted.part(language)
        self._column = search.wanted.languages.index(language)
        self._side = search.side(language)
        self._documents: Sequence[tuple[Integers, Vectors, npt.NDArray[np.uint64]]] = ()
        self._error = self._side.lengths

    def take(self, rows: Integers, vectors: npt.NDArray[np.floating], pool: ThreadPoolExecutor) -> None:
        """Scale the vectors of the documents at these places of the shard."""
        # Documents of one language mostly stand together, and then nothing is copied.
        together = int(rows[-1] - rows[0]) == len(rows) - 1
        chosen = vectors[rows[0] : rows[-1] + 1] if together else vectors[rows]
        begins = range(0, len(rows), _COLUMNS)
        pieces = list(pool.map(lambda at: scaled(chosen[at : at + _COLUMNS], self._search.similarity), begins))
        sparse = self._side.bits.shape[1] > 0
        self._documents = [
            (rows[at : at + _COLUMNS], piece, occupied(piece) if sparse else _NO_BITS)
            for at, (piece, _) in zip(begins, pieces, strict=True)
        ]
        longest = max(length for _, length in pieces)
        self._error = product_error(vectors.shape[1], self._side.lengths, longest)

    @np.errstate(over="ignore", invalid="ignore")  # what is too large for float32 is refused by name
    def count(self, block: slice) -> None:
        """Count the documents that were taken, for some queries."""
        from xlir_bench.retrieval.accounts import Sources
        from xlir_bench.retrieval.kernel import Judged

        account = self._accounts.account(self._part, block, self._column)
        queries, error = self._side.vectors[block], self._error[block]
        own = self._search.own[account.judgement]
        margin = np.repeat(error, np.diff(account.starts))
        # An excluded document has minus infinity: no band may reach so far down.
        low = np.maximum(np.nextafter((own - margin).astype(np.float32), _LEAST), _LEAST)
        high = np.nextafter((own + margin).astype(np.float32), np.float32(np.inf))
        judged = Judged(account.starts, own, low, high, account.greater_ids)
        buffer = np.empty(len(queries) * _COLUMNS, np.float32)
        for rows, vectors, document_bits in self._documents:
            products = buffer[: len(queries) * len(rows)].reshape(len(queries), len(rows))
            np.matmul(queries, vectors.T, out=products)
            query_bits = self._side.bits[block] if document_bits.shape[1] else _NO_BITS
            sources = Sources(queries, vectors, query_bits, document_bits)
            account.add(account.tile(products, rows, sources), judged, error)
        account.close()
