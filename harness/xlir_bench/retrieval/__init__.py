"""Exact ranks: scores of queries against a pool, and how many documents of each language outrank each relevant one."""

from xlir_bench.retrieval.counting import count_outranked
from xlir_bench.retrieval.ranks import Leaders, RankTable, Row
from xlir_bench.retrieval.scorers import DenseScorer, LexicalScorer, Scorer

__all__ = ["DenseScorer", "Leaders", "LexicalScorer", "RankTable", "Row", "Scorer", "count_outranked"]
