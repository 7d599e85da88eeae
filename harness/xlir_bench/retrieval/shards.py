"""A corpus in shards: the unit of work, what it gives, and how an engine drives it.

An engine does this, in any order and on any number of machines, and gets the same counts to the last bit:

    wanted = Wanted.of(collection, across_languages=...)
    search = Search.of(wanted, query_vectors, judged_vectors, similarity, heads)   # once
    for shard in plan_shards(len(documents), size):      # contiguous, in the order of the collection
        texts = texts_of(shard, documents)
        counts = count_shard(search, shard, texts, vectors_of(texts))
    total = merge(..., merge(counts, counts))            # in any tree: associative and commutative
    ranks = rank_table(wanted, collection, total)

`Search`, `Shard`, the `Texts` of a shard and `Counts` are plain arrays and strings and go through pickle.
`count_shard` depends on nothing else and changes nothing, so that a shard may be counted again where a worker was lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Integers, Texts
from xlir_bench.cores import available_cores
from xlir_bench.encoders.protocol import Similarity, Vectors
from xlir_bench.errors import InputError
from xlir_bench.retrieval.blas import one_thread_per_product
from xlir_bench.retrieval.blocks import Queries
from xlir_bench.retrieval.counts import Counts
from xlir_bench.retrieval.pairs import KIND_OF, Bits, Scores, occupied, scaled, score_error
from xlir_bench.retrieval.search import Part, Search, Side

if TYPE_CHECKING:
    from xlir_bench.retrieval.accounts import Accounts

_STEP = 16_384
"""Documents that are scaled before the queries meet them: 25 MB with 384 dimensions, twice."""

_ROWS = 512
_COLUMNS = 1024
"""A product of 512 queries and 1,024 documents: 2 MiB, which stay in the cache of a core until they are counted."""

_LEAST_ROWS = 32


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
    search: Search,
    shard: Shard,
    texts: Texts,
    vectors: npt.NDArray[np.floating],
    threads: int | None = None,
    done: Callable[[int], None] = lambda documents: None,
) -> Counts:
    """What the documents of one shard are to every judged document, and the best of them.

    Args:
        search: what is asked.
        shard: which documents of the collection these are.
        texts: their ids and languages.
        vectors: as encoded, float32 or float16, (documents, dimensions).
        threads: how many work; by default one per core.
        done: called with the number of documents that are counted, as they are; of all documents in the end.

    Raises:
        InputError: a score is not a finite number; the message names query and document.
    """
    accounts = open_accounts(search, shard, texts)
    enter_shard(accounts, search, texts, vectors, threads, done)
    return accounts.counts()


def open_accounts(search: Search, shard: Shard, texts: Texts) -> Accounts:
    """The first part of `count_shard`, on one core: ids and languages are put in order.

    The last part, also on one core, is `Accounts.counts`.

    An engine that calls the parts one by one may do the first and the last for other shards while one is counted.
    """
    from xlir_bench.retrieval.accounts import Accounts

    _ = texts.rows_by_language  # is kept: all cores would wait for it
    return Accounts(search.wanted, search.heads, shard.start, texts.ids)


def enter_shard(
    accounts: Accounts,
    search: Search,
    texts: Texts,
    vectors: npt.NDArray[np.floating],
    threads: int | None = None,
    done: Callable[[int], None] = lambda documents: None,
) -> None:
    """The part of `count_shard` that is on all cores.

    Documents of a language come a step at a time. A block of queries goes on to the next step without waiting for
    other blocks, so that no core is idle at the end of a step; two steps are in memory.

    Raises:
        InputError: see `count_shard`.
    """
    threads = threads or available_cores()
    with ThreadPoolExecutor(threads) as pool, one_thread_per_product():
        # Tasks only wait for tasks that were submitted before them, and these are begun first: nothing stands still.
        begun: deque[tuple[list[Future[None]], int]] = deque()

        def finish_first() -> None:
            counting, documents = begun.popleft()
            _finish(counting)
            done(documents)

        before: tuple[str | None, list[Future[None]]] = None, []
        for language, rows in texts.rows_by_language.items():
            side = _Side.of(search, accounts, language)
            blocks = _blocks(len(side.part.query), threads)
            if not blocks:
                done(len(rows))
            for begin in range(0, len(rows) if blocks else 0, _STEP):
                step = _Step.of(rows[begin : begin + _STEP], vectors, side.queries, search.similarity, pool)
                # The blocks of another part have other queries, and nothing in common with these.
                key = search.wanted.key(language)
                earlier = before[1] if before[0] == key else [None] * len(blocks)
                counting = [
                    pool.submit(side.count, block, step, one) for block, one in zip(blocks, earlier, strict=True)
                ]
                before = key, counting
                begun.append((counting, len(step.rows)))
                if len(begun) > 1:
                    finish_first()
        while begun:
            finish_first()


def _blocks(queries: int, threads: int) -> list[slice]:
    """Queries that are counted together: as many as a product gains by, and no fewer blocks than threads."""
    size = min(_ROWS, max(_LEAST_ROWS, -(-queries // threads)))
    return [slice(begin, min(begin + size, queries)) for begin in range(0, queries, size)]


def _finish(tasks: Sequence[Future[None]]) -> None:
    for task in tasks:
        task.result()


@dataclass(frozen=True)
class _Step:
    """Documents of one language, as counting takes them, once the pieces are there.

    Attributes:
        rows: places in the shard; (documents,).
        vectors: scaled; (documents, dimensions).
        bits: see `blocks.Documents`; (words, documents).
        squares: squared lengths; (documents,).
        lengths: of each piece, the greatest length of a vector.
    """

    rows: Integers
    vectors: Vectors
    bits: Bits
    squares: Scores
    lengths: Sequence[Future[float]]

    @staticmethod
    def of(
        rows: Integers,
        vectors: npt.NDArray[np.floating],
        side: Side,
        similarity: Similarity,
        pool: ThreadPoolExecutor,
    ) -> _Step:
        step = np.empty((len(rows), vectors.shape[1]), np.float32)
        words = side.bits.shape[1]
        bits = np.empty((words, len(rows)), np.uint64)
        squares = np.empty(len(rows), np.float32)
        # Documents of one language mostly stand together, and then nothing is copied but what is scaled.
        together = int(rows[-1] - rows[0]) == len(rows) - 1

        def scale(at: int) -> float:
            part = rows[at : at + _COLUMNS]
            piece = slice(at, at + len(part))
            chosen = vectors[part[0] : part[-1] + 1] if together else vectors[part]
            step[piece], lengths = scaled(chosen, similarity)
            with np.errstate(over="ignore"):  # a score of such a length is computed by itself, or refused by name
                squares[piece] = lengths**2
            if words:
                bits[:, piece] = occupied(step[piece]).T
            return float(lengths.max())

        return _Step(rows, step, bits, squares, [pool.submit(scale, at) for at in range(0, len(rows), _COLUMNS)])


@dataclass(frozen=True)
class _Side:
    """The queries that search documents of one language, and where what they find is entered."""

    search: Search
    accounts: Accounts
    part: Part
    queries: Side
    column: int

    @staticmethod
    def of(search: Search, accounts: Accounts, language: str) -> _Side:
        column = search.wanted.languages.index(language)
        return _Side(search, accounts, search.wanted.part(language), search.side(language), column)

    @np.errstate(over="ignore", invalid="ignore")  # what is too large for float32 is refused by name
    def count(self, block: slice, step: _Step, before: Future[None] | None) -> None:
        """Count some documents for some queries, once what these queries met `before` is counted."""
        if before is not None:
            before.result()
        longest = max(length.result() for length in step.lengths)
        side = self.queries
        lengths, kind = side.lengths[block], KIND_OF[self.search.similarity]
        error = score_error(side.terms[block], lengths, longest, kind)
        squares = np.square(lengths).astype(np.float32)
        queries = Queries(side.vectors[block], side.bits[block], error, squares, kind)
        own = self.search.own[self.part.judged(block)]
        account = self.accounts.account(self.part, block, self.column, own, queries)
        account.count(
            queries,
            account.documents(step.rows, step.vectors, step.bits, step.squares),
            account.left_out(step.rows),
            _COLUMNS,
        )
        account.close()
