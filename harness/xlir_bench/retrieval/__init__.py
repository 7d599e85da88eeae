"""Exact ranks: scores of queries against a pool, and how many documents of each language outrank each relevant one."""

from xlir_bench.retrieval.counting import count_outranked, default_heads
from xlir_bench.retrieval.counts import Counts, merge
from xlir_bench.retrieval.rankings import Rankings
from xlir_bench.retrieval.ranks import Leaders, RankTable, Row, Unanswered, rank_table
from xlir_bench.retrieval.scorers import DenseScorer, LexicalScorer, Scorer
from xlir_bench.retrieval.search import DEPTH, Heads, Search, Wanted
from xlir_bench.retrieval.shards import Shard, count_shard, enter_shard, open_accounts, plan_shards, texts_of

__all__ = [
    "DEPTH",
    "Counts",
    "DenseScorer",
    "Heads",
    "Leaders",
    "LexicalScorer",
    "RankTable",
    "Rankings",
    "Row",
    "Scorer",
    "Search",
    "Shard",
    "Unanswered",
    "Wanted",
    "count_outranked",
    "count_shard",
    "default_heads",
    "enter_shard",
    "merge",
    "open_accounts",
    "plan_shards",
    "rank_table",
    "texts_of",
]
