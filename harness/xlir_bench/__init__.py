"""Cross-lingual retrieval, measured: any text encoder in the monolingual, cross-lingual and multilingual settings.

>>> import xlir_bench as xb
>>> result = xb.evaluate("random", "xlir-mini", languages=["de", "en", "th"])
>>> sorted(result.summary.loc["multilingual"].index)
['AP', 'R@10', 'rank_distance']

Names are imported when they are used: `import xlir_bench` by itself loads neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xlir_bench.version import __version__ as __version__

if TYPE_CHECKING:
    from xlir_bench.alignment import AlignmentReport
    from xlir_bench.analysis import Comparison, Difference, QueryDifference, Standing
    from xlir_bench.api.alignment import AlignOptions, align
    from xlir_bench.api.auditing import AuditOptions, audit
    from xlir_bench.api.collection import Collection
    from xlir_bench.api.evaluating import evaluate
    from xlir_bench.api.options import EvaluateOptions
    from xlir_bench.api.pages import Site, report
    from xlir_bench.api.reports import compare, gate
    from xlir_bench.api.result import Result, Results, load
    from xlir_bench.errors import InputError, InternalError, MissingResourceError, XlirError
    from xlir_bench.gating import GateReport
    from xlir_bench.results import Bias
    from xlir_bench.training.audit import Audit

__all__ = [
    "AlignOptions",
    "AlignmentReport",
    "Audit",
    "AuditOptions",
    "Bias",
    "Collection",
    "Comparison",
    "Difference",
    "EvaluateOptions",
    "GateReport",
    "InputError",
    "InternalError",
    "MissingResourceError",
    "QueryDifference",
    "Result",
    "Results",
    "Site",
    "Standing",
    "XlirError",
    "align",
    "audit",
    "compare",
    "evaluate",
    "gate",
    "load",
    "report",
]

_MODULES = {
    "alignment": ("AlignmentReport",),
    "api.alignment": ("AlignOptions", "align"),
    "api.auditing": ("AuditOptions", "audit"),
    "api.collection": ("Collection",),
    "api.evaluating": ("evaluate",),
    "api.options": ("EvaluateOptions",),
    "api.pages": ("Site", "report"),
    "api.reports": ("compare", "gate"),
    "api.result": ("Result", "Results", "load"),
    "analysis": ("Comparison", "Difference", "QueryDifference", "Standing"),
    "errors": ("InputError", "InternalError", "MissingResourceError", "XlirError"),
    "gating": ("GateReport",),
    "results": ("Bias",),
    "training.audit": ("Audit",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a class or a function)
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'xlir_bench' has no attribute {name!r}")
    found = getattr(import_module(f"xlir_bench.{_MODULE_OF[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
