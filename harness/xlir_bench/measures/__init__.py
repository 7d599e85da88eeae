"""Measures: values with a name, computed by pure functions on arrays of ranks.

`parse("nDCG@10")` gives a Measure; its printed form is its identity, its key in a file and its name on a page. Names
are those of ir_measures, parameters included, and a few of our own.
"""

from xlir_bench.measures.judged_ranks import UNJUDGED, JudgedRanks
from xlir_bench.measures.measure import Gains, Measure
from xlir_bench.measures.vocabulary import distinct, parse, split

__all__ = ["UNJUDGED", "Gains", "JudgedRanks", "Measure", "distinct", "parse", "split"]
