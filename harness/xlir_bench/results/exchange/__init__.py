"""Results in the forms that other programs read: mteb, TREC, CSV, Parquet, LaTeX, JSON.

What a Result gains later travels along: a further field of a score is a further column, or a further key beside it.
"""

from xlir_bench.results.exchange.entry import Entry, read_entries
from xlir_bench.results.exchange.latex import Layout, Mark, as_latex, groups_of
from xlir_bench.results.exchange.mteb import write_mteb
from xlir_bench.results.exchange.table import as_csv, as_json, long_table, write_parquet
from xlir_bench.results.exchange.trec import run_lines, write_trec

__all__ = [
    "Entry",
    "Layout",
    "Mark",
    "as_csv",
    "as_json",
    "as_latex",
    "groups_of",
    "long_table",
    "read_entries",
    "run_lines",
    "write_mteb",
    "write_parquet",
    "write_trec",
]
