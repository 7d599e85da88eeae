"""Results: what a run found, and where it is kept."""

from xlir_bench.results.schema import Bias, Interval, ModelReference, Result, Score, SuiteReference, Timing
from xlir_bench.results.store import find_results, leaders_path, load_ranks, load_result, ranks_path, result_path, save

__all__ = [
    "Bias",
    "Interval",
    "ModelReference",
    "Result",
    "Score",
    "SuiteReference",
    "Timing",
    "find_results",
    "leaders_path",
    "load_ranks",
    "load_result",
    "ranks_path",
    "result_path",
    "save",
]
