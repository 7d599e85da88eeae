"""How numbers, measures and languages are written on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from xlir_bench.errors import InputError
from xlir_bench.languages import known
from xlir_bench.measures import parse
from xlir_bench.measures.measure import Definition

MISSING = "–"
BIAS_FIGURES = (
    ("language_advantage.spread", "advantage spread", "lower is fairer", 3),
    ("limit_to_one_target.gap", "same-language gap", "lower is fairer", 3),
)
"""Key in a result's bias, label, direction, decimals: the figures that a table shows beside effectiveness."""
_MEASURES = {"rank_distance": "rank distance"}


def measure_name(measure: str) -> str:
    """A measure as a column is headed; names of `ir_measures` stand as they are."""
    return _MEASURES.get(measure, measure)


def _definition(measure: str) -> Definition | None:
    """What the harness knows of a measure; None for a name that another release or a stranger wrote."""
    try:
        return parse(measure).definition
    except InputError:
        return None


def lower_is_better(measure: str) -> bool:
    """The direction of a measure; an unknown one is taken to grow with quality."""
    definition = _definition(measure)
    return definition is not None and not definition.higher_is_better


def decimals(measure: str) -> int:
    """How many decimals a measure's values get: four for shares, as papers print them, one for all else."""
    definition = _definition(measure)
    return 4 if definition is None or definition.bounded else 1


def number(value: float | None, places: int) -> str:
    """A value with a fixed number of decimals, thousands separated, or a dash where there is none."""
    return MISSING if value is None else f"{value:,.{places}f}"


def span(interval: tuple[float, float], places: int) -> str:
    """An interval for a narrow cell, a decimal less than the value: .666–.699."""
    ends = [f"{end:,.{max(places - 1, 0)}f}" for end in interval]
    ends = [end.replace("0.", ".", 1) if end.lstrip("-").startswith("0.") else end for end in ends]
    return (" to " if any(end.startswith("-") for end in ends) else "–").join(ends)


def short_share(value: float | None) -> str:
    """Two decimals without the leading zero (.79, 1.00), for the narrow cells of a heat map."""
    if value is None:
        return MISSING
    return f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:,.2f}"


def magnitude(value: float) -> str:
    """A count for the eye: 950, 118 k, 560 M, 7.1 B."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            scaled = value / size
            return f"{scaled:.0f} {unit}" if scaled >= 100 else f"{scaled:.3g} {unit}"
    return f"{value:,.0f}"


@dataclass(frozen=True, slots=True)
class Label:
    """A language as a heading.

    Attributes:
        code: as in the result.
        name: in English; the code itself where the table of languages lacks it.
        description: name, family, genus and script, for a tooltip.
        opens_family: whether it is the first of its family in an ordered list, where a line is drawn.
    """

    code: str
    name: str
    description: str
    opens_family: bool


def ordered_labels(codes: Iterable[str]) -> tuple[Label, ...]:
    """Languages in an order that shows structure: relatives, then shared scripts, stand side by side.

    The family with most languages comes first, inside it Latin script before others; unknown codes come last.
    """
    distinct = set(codes)
    rows = {code: known(code) for code in distinct}
    family = {code: (row.family if row is not None else None) or "" for code, row in rows.items()}
    sizes = Counter(family.values())

    def key(code: str) -> tuple[bool, int, str, bool, str, str, str]:
        row = rows[code]
        if row is None or row.family is None:
            return True, 0, "", True, "", "", code
        return False, -sizes[row.family], row.family, row.script != "Latn", row.script, row.genus or "", code

    labels: list[Label] = []
    for code in sorted(distinct, key=key):
        opens = bool(labels) and family[code] != family[labels[-1].code]
        row = rows[code]
        if row is None:
            labels.append(Label(code, code, code, opens))
            continue
        kin = ", ".join(dict.fromkeys(name for name in (row.family, row.genus) if name))
        told = f"{kin}; script {row.script}" if kin else f"script {row.script}"
        labels.append(Label(code, row.name, f"{row.name} ({told})", opens))
    return tuple(labels)
