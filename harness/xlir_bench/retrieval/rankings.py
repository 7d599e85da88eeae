"""The first documents of rankings, by name: what a run in TREC's format says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

import numpy as np

from xlir_bench.collection import Integers
from xlir_bench.retrieval.counts import Best, better
from xlir_bench.retrieval.search import Wanted

WHOLE_POOL: Final = "*"
"""What stands for a row's document language where every document is searched, whatever its language."""


@dataclass(frozen=True)
class Rankings:
    """The first documents of every ranking that a search kept.

    Attributes:
        queries: number of each query in the run, ascending; (queries,).
        pools: by language of documents, and "*" for all of them: the rankings of all queries, (queries, depth). In a
            search within one's own language, those of a language mean the queries of that language only.
    """

    queries: Integers
    pools: Mapping[str, Best]

    @staticmethod
    def of(wanted: Wanted, best: Best) -> Rankings:
        """What a whole collection's `Counts.best` says."""
        queries, languages = wanted.queries, wanted.languages
        if not wanted.across_languages:
            return Rankings(queries, dict.fromkeys(languages, best))
        if len(best.score) == len(queries):
            return Rankings(
                queries, {WHOLE_POOL: best} | (dict.fromkeys(languages, best) if len(languages) == 1 else {})
            )
        blocks = [slice(n * len(queries), (n + 1) * len(queries)) for n in range(len(languages))]
        parts = [replace(best, score=best.score[block], row=best.row[block]) for block in blocks]
        return Rankings(queries, dict(zip(languages, parts, strict=True)) | {WHOLE_POOL: reduce(better, parts)})

    def of_pool(self, document_language: str, queries: Integers, depth: int) -> Iterator[list[tuple[str, float]]]:
        """For each of some queries, by number, at most `depth` ids of documents with their scores, best first."""
        best = self.pools[document_language]
        at = np.searchsorted(self.queries, queries)
        place = np.searchsorted(best.rows, best.row[at, :depth])
        for rows, places, scores in zip(
            best.row[at, :depth].tolist(), place.tolist(), best.score[at, :depth], strict=True
        ):
            shown = zip(rows, places, scores.tolist(), strict=True)
            yield [(best.ids[there], score) for row, there, score in shown if row >= 0]
