"""Exact ranks by counting: nothing is sorted, and nothing is cut at a depth.

For every relevant document of every query, count how many documents of each language come before it in the query's
ranking. One pass gives every language setting: the rank among the documents of language y is 1 + outranked[y], and in
the whole pool 1 + the sum. The order is trec_eval's: score descending in float32, ties by document id, descending.
"""

from __future__ import annotations

from xlir_bench.collection import Collection
from xlir_bench.progress import SILENT, Progress
from xlir_bench.retrieval.ranks import RankTable, rank_table
from xlir_bench.retrieval.scorers import DenseScorer, Scorer
from xlir_bench.retrieval.search import DEPTH, Heads, Search, Wanted
from xlir_bench.retrieval.shards import Shard, count_shard

DEFAULT_BUDGET = 512 * 2**20
"""Bytes that one block of given scores may take."""


def default_heads(across_languages: bool) -> Heads:
    """What the measures of bias need: the first `DEPTH` documents of each ranking of all languages."""
    return Heads(DEPTH if across_languages else 0)


def count_outranked(
    scorer: Scorer,
    collection: Collection,
    *,
    across_languages: bool,
    heads: Heads | None = None,
    budget: int = DEFAULT_BUDGET,
    progress: Progress = SILENT,
) -> RankTable:
    """Ranks of all relevant documents and, where every language is searched, the first `DEPTH` of each ranking.

    Args:
        scorer: where scores come from.
        collection: what is searched.
        across_languages: search every query in all documents; else only in those of its own language, which is all
            that the monolingual setting needs.
        heads: what is kept beside the ranks of relevant documents; by default `default_heads`.
        budget: bytes for one block of scores, where it is the scorer that makes them; a block has at least one query.
        progress: called with the number of documents ranked, or of queries where the scores are given.

    Raises:
        InputError: a score is not a finite number.
    """
    from xlir_bench.retrieval.given import Ranking, count_given

    heads = heads or default_heads(across_languages)
    wanted = Wanted.of(collection, across_languages=across_languages, judged=heads.judged)
    if isinstance(scorer, DenseScorer):
        stage = Ranking(progress, len(collection.documents), "documents")
        judged = scorer.documents[wanted.judged]
        search = Search.of(wanted, scorer.queries[wanted.queries], judged, scorer.similarity, heads)
        everything = Shard(0, 0, len(collection.documents))
        counts = count_shard(search, everything, collection.documents, scorer.documents, done=stage.advance)
    else:
        counts = count_given(scorer, collection, wanted, (heads, budget), progress)
    return rank_table(wanted, collection, counts)
