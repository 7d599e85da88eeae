"""Results whose figures were computed again from their ranks: what `gate`, `compare`, `report` and `export` read.

A result file is plain JSON beside a table of ranks. Every figure in it follows from that table, so a figure that was
edited, or was written by another run than the ranks, is found by computing it again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlir_bench.analysis.analyse import analysed
from xlir_bench.analysis.scores import row_scores, summary_of
from xlir_bench.collection import SETTINGS, Setting
from xlir_bench.errors import InputError, XlirError, counted, printable
from xlir_bench.measures import parse
from xlir_bench.results import Result, judged_path, leaders_path, load_ranks, load_result, ranks_path
from xlir_bench.results.exchange.table import spread
from xlir_bench.retrieval import RankTable
from xlir_bench.version import __version__

_ROUNDING = 1e-9
"""Relative and absolute; scores are recomputed in the same arithmetic, perhaps by another release of numpy."""

_ROUNDING_OF_ANALYSIS = 2e-6
"""Intervals and bias are stored with six decimals, the last of which may be rounded otherwise on another machine."""

_FROM_SCORES = ("scores", "summary", "primary", "ties")
_OF_THE_RELEASE = ("bias groups_", "bias notes_")
"""Depend on the release's table of languages and on its wording: computed again, and not compared."""

_UNCOMPUTABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


@dataclass(frozen=True)
class Discrepancy:
    """A figure that does not follow.

    Attributes:
        figure: which, e.g. `cross-lingual ar-de AP`.
        said: what the result says; None where it is silent.
        recomputed: what follows; None where nothing can.
    """

    figure: str
    said: float | str | None
    recomputed: float | str | None

    def __str__(self) -> str:
        said = "nothing" if self.said is None else _shown(self.said)
        recomputed = "nothing" if self.recomputed is None else _shown(self.recomputed)
        return f"{self.figure}: the result says {said}, and from its ranks follows {recomputed}"


@dataclass(frozen=True)
class Recomputed:
    """A result held against its ranks.

    Attributes:
        result: the result, with intervals and bias as they follow where they were recomputed.
        figures: how many figures were recomputed.
        discrepancies: those that do not follow.
        notes: what could not be checked, and why.
    """

    result: Result
    figures: int
    discrepancies: tuple[Discrepancy, ...]
    notes: tuple[str, ...] = ()


def load_verified(path: Path, *, analysis: bool = False) -> tuple[Result, RankTable]:
    """A result and its ranks, after its figures were computed again from the ranks.

    Args:
        path: a result file; the ranks lie beside it.
        analysis: recompute intervals and bias too, which takes more than ten times as long as the scores. What is
            returned then has the recomputed ones.

    Raises:
        MissingResourceError: one of the files is not there.
        InputError: one of them is not what it should be, or a figure does not follow from the ranks.
    """
    result, ranks = load_result(path), load_ranks(ranks_path(path))
    key = (_content(path), analysis)
    if key not in _verified:
        _verified[key] = following(result, ranks, str(path), analysis=analysis)
    return _verified[key], ranks


_verified: dict[tuple[str, bool], Result] = {}
"""Results that follow from their ranks, by the content of their files."""


def following(result: Result, ranks: RankTable, place: str, *, analysis: bool = False) -> Result:
    """The result, if its figures follow from its ranks.

    Args:
        result: the result.
        ranks: what lies beside it.
        place: its file, for the message.
        analysis: see `load_verified`.

    Raises:
        InputError: a figure does not follow.
    """
    found = recompute(result, ranks, analysis=analysis)
    if found.discrepancies:
        others = len(found.discrepancies) - 1
        more = f" (and {others:,} more figures)" if others else ""
        raise InputError(
            f"{place}: {printable(found.discrepancies[0], 300)}{more}; the file was edited, or is of another run than "
            f"{ranks_path(Path(place)).name}: run the model again"
        )
    return found.result


def recompute(result: Result, ranks: RankTable, *, analysis: bool = True) -> Recomputed:
    """Compute every figure of a result again from its ranks.

    Scores, means, numbers of queries and documents, and the share of ties must be those that follow. So must every
    interval and figure of bias that the result states. Where it was written by this release it must state all of them.

    Args:
        result: the result.
        ranks: what lies beside it.
        analysis: recompute intervals and bias too.
    """
    notes: list[str] = []
    figures, wrong = 0, []
    try:
        for figure, said, follows in _of_scores(result, ranks):
            figures += 1
            if not _same(said, follows, _ROUNDING):
                wrong.append(Discrepancy(figure, said, follows))
    except (*_UNCOMPUTABLE, InputError) as error:
        # The table has the right form, and yet no figure follows from it.
        reason = " ".join(str(error).split())
        wrong.append(Discrepancy("all figures", "follow", f"cannot be computed ({reason})"))
    again = _analysed(result, ranks, notes) if analysis else None
    if again is not None:
        for figure, said, follows in _of_analysis(result, again, ranks, notes):
            figures += 1
            if not _same(said, follows, _ROUNDING_OF_ANALYSIS):
                wrong.append(Discrepancy(figure, said, follows))
        stated = {name for name in type(result).model_fields if getattr(result, name) is not None}
        result = result.model_copy(update={name: getattr(again, name) for name in _fields(result, again) & stated})
    return Recomputed(result, figures, tuple(wrong), tuple(notes))


_Figure = tuple[str, Any, Any]
"""Which figure, what the result says, what follows."""


def _of_scores(result: Result, ranks: RankTable) -> Iterator[_Figure]:
    said = {(s.setting, s.query_language, s.document_language, s.measure): s for s in result.scores}
    if len(said) != len(result.scores):
        yield "scores", counted(len(result.scores), "rows"), f"{len(said)} different ones"
    recomputed = row_scores(ranks, _measured(result))
    follows = {(s.setting, s.query_language, s.document_language, s.measure): s for s in recomputed}
    for key in sorted(said.keys() | follows.keys()):
        one, other = said.get(key), follows.get(key)
        name = f"{key[0]} {key[1]}-{key[2]} {key[3]}"
        yield name, one and one.value, other and other.value
        if one is not None and other is not None:
            yield f"{name}, queries", one.queries, other.queries
            yield f"{name}, documents", one.documents, other.documents
    means = {(s, m): value for s, names in summary_of(recomputed).items() for m, value in names.items()}
    stated = {(s, m): value for s, names in result.summary.items() for m, value in names.items()}
    for setting, measure in sorted(means.keys() | stated.keys()):
        yield f"summary {setting} {measure}", stated.get((setting, measure)), means.get((setting, measure))
    for setting, measure in result.primary.items():
        if measure not in result.summary.get(setting, {}):
            yield f"primary {setting}", measure, None
    yield "ties", result.ties, float(ranks.tied.mean()) if len(ranks) else 0.0


def _measured(result: Result) -> dict[Setting, list[str]]:
    """The settings and measures that a result names. Of others than ours nothing follows."""
    found: dict[Setting, list[str]] = {}
    for setting in SETTINGS:
        for name in dict.fromkeys(score.measure for score in result.scores if score.setting == setting):
            try:
                found.setdefault(setting, []).append(str(parse(name)))
            except InputError:
                continue
    return found


def _analysed(result: Result, ranks: RankTable, notes: list[str]) -> Result | None:
    try:
        return analysed(result, ranks)
    except (*_UNCOMPUTABLE, XlirError) as error:
        notes.append(f"intervals and bias could not be recomputed ({' '.join(str(error).split())})")
        return None


def _fields(result: Result, again: Result) -> set[str]:
    """What the analysis of ranks adds to a result: intervals, bias, whatever it will be."""
    changed = {name for name in type(result).model_fields if getattr(result, name) is not getattr(again, name)}
    return changed.difference(_FROM_SCORES)


def _of_analysis(result: Result, again: Result, ranks: RankTable, notes: list[str]) -> Iterator[_Figure]:
    # A later release may compute more, so that an older result is silent about some figures.
    complete = result.harness.get("version") == __version__
    for name in sorted(_fields(result, again)):
        before, after = getattr(result, name), getattr(again, name)
        if before is None:
            continue
        if name == "bias" and ranks.leaders is None:
            notes.append("shares of the first documents were not checked: SUITE.leaders.parquet is not there")
        said = spread(_plain(before), f"{name} ")
        follows = spread(_plain(after), f"{name} ") if after is not None else {}
        for figure in sorted(said.keys() | follows.keys()):
            unknowable = ranks.leaders is None and figure not in follows
            if unknowable or figure.startswith(_OF_THE_RELEASE) or not (complete or figure in said):
                continue
            yield figure, said.get(figure), follows.get(figure)


def _plain(value: Any) -> dict[str, Any]:  # noqa: ANN401 (any field of a result)
    dumped = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    return dumped if isinstance(dumped, dict) else {"": dumped}


def _same(said: object, follows: object, rounding: float) -> bool:
    if isinstance(said, (int, float)) and isinstance(follows, (int, float)):
        return math.isclose(said, follows, rel_tol=rounding, abs_tol=rounding)
    return said == follows


def _shown(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _content(path: Path) -> str:
    """SHA-256 over a result file and the tables beside it."""
    digest = hashlib.sha256()
    for file in (path, ranks_path(path), leaders_path(path), judged_path(path)):
        content = file.read_bytes() if file.is_file() else b""
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
