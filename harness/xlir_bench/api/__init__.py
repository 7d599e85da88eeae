"""The functions and classes of `xlir_bench` itself; see there."""

from xlir_bench.api.collection import Collection
from xlir_bench.api.evaluating import evaluate
from xlir_bench.api.options import EvaluateOptions, ModelOptions
from xlir_bench.api.pages import Site, report
from xlir_bench.api.reports import compare, gate
from xlir_bench.api.result import Result, Results, load

__all__ = [
    "Collection",
    "EvaluateOptions",
    "ModelOptions",
    "Result",
    "Results",
    "Site",
    "compare",
    "evaluate",
    "gate",
    "load",
    "report",
]
