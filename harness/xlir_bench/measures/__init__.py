"""Measures: values with a name, computed by pure functions on arrays of ranks.

`parse("nDCG@10")` gives a Measure; its printed form is its identity, its key in a file and its name on a page.
"""

from xlir_bench.measures.measure import UNJUDGED, JudgedRanks, Measure, known, parse

__all__ = ["UNJUDGED", "JudgedRanks", "Measure", "known", "parse"]
