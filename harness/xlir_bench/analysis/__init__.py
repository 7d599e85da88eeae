"""What follows from stored ranks: language bias, intervals, comparisons of encoders. Nothing here encodes a text."""

from xlir_bench.analysis.analyse import analysed
from xlir_bench.analysis.compare import Run, compare, load_run, warn_of_similarities
from xlir_bench.analysis.comparison import Comparison, Difference, QueryDifference, Standing

__all__ = [
    "Comparison",
    "Difference",
    "QueryDifference",
    "Run",
    "Standing",
    "analysed",
    "compare",
    "load_run",
    "warn_of_similarities",
]
