"""What follows from stored ranks: language bias, intervals, comparisons of encoders. Nothing here encodes a text."""

from xlir_bench.analysis.analyse import analysed
from xlir_bench.analysis.compare import Run, compare, load_run, standings, warn_of_similarities
from xlir_bench.analysis.comparison import Comparison, Difference, QueryDifference, Standing
from xlir_bench.analysis.scores import row_scores, summary_of
from xlir_bench.analysis.verified import Discrepancy, Recomputed, following, load_verified, recompute

__all__ = [
    "Comparison",
    "Difference",
    "Discrepancy",
    "QueryDifference",
    "Recomputed",
    "Run",
    "Standing",
    "analysed",
    "compare",
    "following",
    "load_run",
    "load_verified",
    "recompute",
    "row_scores",
    "standings",
    "summary_of",
    "warn_of_similarities",
]
