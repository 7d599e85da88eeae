"""Names of measures: the vocabulary of ir_measures, and our own."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from xlir_bench.errors import InputError, unknown_name
from xlir_bench.measures.measure import Measure, definitions

if TYPE_CHECKING:
    import ir_measures

_LONGEST = 300
_MOST_PLACES = 999_999_999

_SUBTOPICS = "it needs judgements by subtopic, which a collection here does not hold"
_SET = "it takes what is returned as a set, and here every document of the pool is ranked"
NOT_COMPUTED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ERR_IA", "nERR_IA", "alpha_DCG", "alpha_nDCG", "NRBP", "nNRBP"), _SUBTOPICS),
    **dict.fromkeys(("AP_IA", "P_IA", "StRecall"), _SUBTOPICS),
    **dict.fromkeys(("SetP", "SetR", "SetF", "SetAP", "NumRet"), _SET),
}
"""Measures of ir_measures that have no figure here, and why."""

OWN: Final = ("rank_distance",)
"""Our own names. One that ir_measures has too would mean two things; `parse` refuses it."""


@lru_cache(maxsize=4096)
def parse(name: str) -> Measure:
    """The measure of a name as ir_measures writes it, e.g. `nDCG@10` or `AP(rel=2)@100`, or of one of our own.

    Aliases, the order of parameters and defaults do not matter: `MAP(rel=1)` is `AP`.

    Raises:
        InputError: no such measure, a parameter that it does not take, or one that it lacks; or the measure cannot be
            computed from ranks, and the message says why.
    """
    theirs = _theirs(name)
    if theirs is None:
        return Measure(name, definitions()[name], {})
    measure = of_ir_measures(theirs, name)
    if measure.definition.not_a_mean is not None:
        raise InputError(f"measure {name!r}: {measure.definition.not_a_mean}")
    return measure


def split(listed: str) -> tuple[str, ...]:
    """The names of a list separated by commas; those between parentheses separate parameters.

    Raises:
        InputError: there is none, or one is empty.
    """
    names, depth, name = [], 0, ""
    for sign in listed:
        depth += (sign in "({") - (sign in ")}")
        if sign == "," and depth == 0:
            names.append(name.strip())
            name = ""
        else:
            name += sign
    names.append(name.strip())
    if not all(names):
        raise InputError(f"measures {listed!r}: a name is empty; separate them by commas, e.g. nDCG@10,AP(rel=2)")
    return tuple(names)


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The canonical forms of some names.

    Raises:
        InputError: one is no measure, or two are the same.
    """
    found: dict[str, str] = {}
    for name in names:
        measure = str(parse(name))
        if measure in found:
            what = f"{name} is given twice" if name == found[measure] else f"{found[measure]} and {name} are the same"
            raise InputError(f"measure {measure!r}: {what}; give each once")
        found[measure] = name
    return tuple(found)


def of_ir_measures(theirs: ir_measures.Measure, name: str) -> Measure:
    """Our measure of a value of ir_measures.

    Args:
        theirs: the value.
        name: what to call it in a message.

    Raises:
        InputError: see `parse`.
    """
    kind, specification = str(theirs.NAME), theirs.SUPPORTED_PARAMS
    if kind in NOT_COMPUTED:
        raise InputError(f"measure {name!r}: {NOT_COMPUTED[kind]}")
    definition = definitions().get(kind)
    if definition is None:
        raise InputError(f"measure {name!r}: it is not computed here; those that are: {' '.join(definitions())}")
    given = {key: theirs.params[key] for key in specification if key in theirs.params}
    if unknown := [key for key in theirs.params if key not in specification]:
        takes = f"it takes {', '.join(specification)}" if specification else "it takes none"
        raise InputError(f"measure {name!r}: {kind} has no parameter {unknown[0]!r}; {takes}")
    for key, accepted in specification.items():
        if key not in given and accepted.required:
            raise InputError(f"measure {name!r} needs {_example(kind, key, theirs.AT_PARAM)}")
    for key, value in given.items():
        _check(name, key, value, specification[key])
    reason = definition.refuses(given)
    if reason is not None:
        raise InputError(f"measure {name!r}: {reason}")
    canonical = type(theirs)(**given)
    kept = {key: value for key, value in given.items() if value != specification[key].default}
    return Measure(str(canonical), definition, kept)


def known_names() -> list[str]:
    """Every name that means something, without parameters."""
    from ir_measures.measures import registry

    return sorted({*registry, *OWN})


def _theirs(name: str) -> ir_measures.Measure | None:
    """A name as ir_measures reads it; None for one of our own."""
    import ir_measures
    from ir_measures.measures import registry

    word = re.match(r"\s*(\w*)", name)
    base = word[1] if word is not None else ""
    if base in OWN:
        if base in registry:
            raise InputError(f"measure {base!r} is one of ir_measures {ir_measures.__version__} too: its name is taken")
        if name != base:
            raise InputError(f"measure {name!r}: {base} takes no cut-off and no parameter; write {base}")
        return None
    if base not in registry or len(name) > _LONGEST:
        raise unknown_name("measure", name[:_LONGEST], known_names(), f"known: {' '.join([*definitions()])}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ir_measures.parse_measure(name.strip())
    except (ValueError, NameError, TypeError, RecursionError, MemoryError):
        raise InputError(
            f"measure {name!r} is not written as ir_measures has it, e.g. nDCG@10, AP(rel=2) or nDCG(dcg='exp-log2')@10"
        ) from None


def _example(kind: str, key: str, at: str) -> str:
    if key != at:
        return f"{key}, e.g. {kind}({key}=1)"
    return f"a {key}, e.g. {kind}@0.1" if key == "recall" else f"a cut-off, e.g. {kind}@10"


def _check(name: str, key: str, value: Any, accepted: Any) -> None:  # noqa: ANN401
    """Refuse a value that is not of the parameter's type, or out of its range."""
    # True is an int to Python, and no cut-off.
    right = bool(accepted.validate(value)) and (accepted.dtype is bool) == isinstance(value, bool)
    if key == "cutoff" and not (right and 1 <= value <= _MOST_PLACES):
        raise InputError(f"measure {name!r}: the cut-off must be a whole number of at least 1")
    if not right:
        choices = getattr(accepted, "choices", None)
        wanted = " or ".join(map(repr, choices)) if isinstance(choices, list) else f"of type {accepted.dtype.__name__}"
        raise InputError(f"measure {name!r}: {key} must be {wanted}, and is {value!r}")
    if key == "rel" and not 1 <= value <= _MOST_PLACES:
        raise InputError(f"measure {name!r}: rel must be at least 1; a document of gain 0 is not relevant")
