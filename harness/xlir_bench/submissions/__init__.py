"""Submissions: folders of strangers that hold an encoder's manifest, card and results, read without trusting them."""

from xlir_bench.results.zero_shot import ZeroShot, zero_shot
from xlir_bench.submissions.imported import Imported, ImportedModel, ImportedResult, ImportedRow
from xlir_bench.submissions.skeleton import new
from xlir_bench.submissions.submission import Finding, Kind, Submission, find, load
from xlir_bench.submissions.validate import validate
from xlir_bench.submissions.verify import Verdict, verify

__all__ = [
    "Finding",
    "Imported",
    "ImportedModel",
    "ImportedResult",
    "ImportedRow",
    "Kind",
    "Submission",
    "Verdict",
    "ZeroShot",
    "find",
    "load",
    "new",
    "validate",
    "verify",
    "zero_shot",
]
