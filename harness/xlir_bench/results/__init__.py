"""Results: what a run found, and where it is kept."""

from xlir_bench.results.places import check_places, claim, distinct_names, name_of_data, stored_results
from xlir_bench.results.question import Question, is_as_full, selected
from xlir_bench.results.schema import (
    Bias,
    Interval,
    ModelReference,
    Result,
    Score,
    SuiteReference,
    Timing,
    ZeroShotStatement,
    impossible,
)
from xlir_bench.results.selection import choose
from xlir_bench.results.store import (
    find_results,
    judged_path,
    leaders_path,
    load_ranks,
    load_result,
    ranks_path,
    result_path,
    sample_path,
    save,
    save_at,
)
from xlir_bench.results.zero_shot import ZeroShot, names_in, zero_shot, zero_shot_on

__all__ = [
    "Bias",
    "Interval",
    "ModelReference",
    "Question",
    "Result",
    "Score",
    "SuiteReference",
    "Timing",
    "ZeroShot",
    "ZeroShotStatement",
    "check_places",
    "choose",
    "claim",
    "distinct_names",
    "find_results",
    "impossible",
    "is_as_full",
    "judged_path",
    "leaders_path",
    "load_ranks",
    "load_result",
    "name_of_data",
    "names_in",
    "ranks_path",
    "result_path",
    "sample_path",
    "save",
    "save_at",
    "selected",
    "stored_results",
    "zero_shot",
    "zero_shot_on",
]
