"""Counting where scores come in blocks, from an index that knows the whole pool: products that are the scores."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from xlir_bench.collection import Collection, Integers
from xlir_bench.cores import available_cores
from xlir_bench.errors import InputError
from xlir_bench.progress import Progress
from xlir_bench.retrieval.accounts import Accounts
from xlir_bench.retrieval.blocks import Queries
from xlir_bench.retrieval.counts import Counts
from xlir_bench.retrieval.kernel import count_documents, count_products
from xlir_bench.retrieval.pairs import Scores
from xlir_bench.retrieval.scorers import Scorer
from xlir_bench.retrieval.search import Heads, Part, Wanted

_NO_VECTORS = np.empty((0, 0), np.float32)
_NO_BITS = np.empty((0, 0), np.uint64)
_NO_SQUARES = np.empty(0, np.float32)


def count_given(
    scorer: Scorer, collection: Collection, wanted: Wanted, limits: tuple[Heads, int], progress: Progress
) -> Counts:
    """See `counting.count_outranked`; `limits` are the heads and the budget."""
    heads, budget = limits
    accounts = Accounts(wanted, heads, 0, collection.documents.ids)
    stage = Ranking(progress, len(wanted.queries), "queries")
    with ThreadPoolExecutor(available_cores()) as threads:
        for pool in _pools(collection, wanted):
            scores = scorer.over(pool.documents)
            queries = wanted.queries[pool.part.query]
            size = max(1, budget // (4 * len(pool.documents)))
            for start in range(0, len(queries), size):
                chosen = slice(start, min(start + size, len(queries)))
                block = _checked(scores(queries[chosen]), (len(queries[chosen]), len(pool.documents)))
                _count(block, chosen, pool, accounts, threads)
                stage.advance(len(block))
    return accounts.counts()


class Ranking:
    """The stage of counting, and before it, in a process that has not counted yet, that of compiling."""

    def __init__(self, progress: Progress, total: int, unit: str) -> None:
        cold = not (count_documents.signatures or count_products.signatures)
        self._compiling = progress.stage("compiling", 1, "step") if cold else None
        self._stage = progress.stage("ranking", total, unit)

    def advance(self, steps: int = 1) -> None:
        """So much more is counted; what counts it is compiled."""
        if self._compiling is not None:
            self._compiling.advance()
            self._compiling = None
        self._stage.advance(steps)


class _Pool:
    """Documents that the same queries search.

    Attributes:
        documents: positions, one language after the other, ascending in each: the columns of a block.
        languages: columns of the counts, in that order.
        bounds: where each language begins, and the end.
        part: who searches.
    """

    def __init__(self, collection: Collection, wanted: Wanted, languages: tuple[str, ...]) -> None:
        rows = [collection.documents.rows_by_language[code] for code in languages]
        self.documents: Integers = np.concatenate(rows)
        self.languages = [wanted.languages.index(code) for code in languages]
        self.bounds = np.cumsum([0, *(len(part) for part in rows)]).tolist()
        self.part: Part = wanted.part(languages[0])
        column = np.empty(len(collection.documents), np.int64)
        column[self.documents] = np.arange(len(self.documents))
        self.judged_at = column[wanted.document[self.part.judgement]]


def _pools(collection: Collection, wanted: Wanted) -> Iterator[_Pool]:
    groups = [wanted.languages] if wanted.across_languages else [(code,) for code in wanted.languages]
    for languages in groups:
        if len(wanted.part(languages[0]).query):
            yield _Pool(collection, wanted, languages)


def _count(block: Scores, chosen: slice, pool: _Pool, accounts: Accounts, threads: ThreadPoolExecutor) -> None:
    part = pool.part

    def count(rows: slice) -> None:
        chosen_rows = slice(chosen.start + rows.start, chosen.start + rows.stop)
        starts = part.starts[chosen_rows.start : chosen_rows.stop + 1]
        first, last = starts[0], starts[-1]
        at = np.repeat(np.arange(rows.start, rows.stop), np.diff(starts))
        own = block[at, pool.judged_at[first:last]]
        # The products are the scores: without vectors, and without an error.
        queries = Queries.without_vectors(rows.stop - rows.start)
        for column, (low, high) in zip(pool.languages, pairwise(pool.bounds), strict=True):
            account = accounts.account(part, chosen_rows, column, own, queries)
            there = pool.documents[low:high]
            products = np.ascontiguousarray(block[rows, low:high])  # else the kernel is compiled for views as well
            left_out = account.left_out(there)
            products[left_out.query, left_out.document] = -np.inf
            documents = account.documents(there, _NO_VECTORS, _NO_BITS, _NO_SQUARES)
            account.count_products(products, queries, documents)
            account.close()

    size = -(-len(block) // (4 * available_cores()))
    for _ in threads.map(count, [slice(at, min(at + size, len(block))) for at in range(0, len(block), size)]):
        pass


def _checked(block: Scores, shape: tuple[int, int]) -> Scores:
    if block.shape != shape or block.dtype != np.float32:
        raise InputError(
            f"the model gave scores of shape {block.shape}, {block.dtype}; expected {shape}, float32 "
            "(queries x documents)"
        )
    return np.ascontiguousarray(block)
