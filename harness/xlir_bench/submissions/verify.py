"""Whether the figures of a result follow from its ranks, and the ranks from the suite's judgements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xlir_bench.analysis import analysed
from xlir_bench.collection import SETTINGS, Collection
from xlir_bench.errors import InputError, XlirError
from xlir_bench.measures import parse
from xlir_bench.results import Result
from xlir_bench.results.exchange import Entry
from xlir_bench.results.exchange.table import spread
from xlir_bench.retrieval import RankTable, Unanswered
from xlir_bench.submissions.runs import contradictions, runs_of
from xlir_bench.submissions.tables import read_ranks
from xlir_bench.submissions.untrusted import File, printable
from xlir_bench.suites import find, load, shipped

_Key = tuple[str, str, str, str]
_TOLERANCE = 1e-9
"""Relative; figures are recomputed in the same arithmetic, perhaps by another release of numpy."""


@dataclass(frozen=True)
class Difference:
    """A figure that does not follow.

    Attributes:
        figure: which, e.g. `cross-lingual ar-de AP`.
        said: what the result says; None where it is silent.
        recomputed: what follows; None where nothing can.
    """

    figure: str
    said: float | str | None
    recomputed: float | str | None


@dataclass
class Verdict:
    """What was found of one result.

    Attributes:
        result: its file.
        figures: how many were recomputed.
        differences: those that do not follow.
        against: what the ranks themselves were compared with.
        notes: what could not be checked, and why.
    """

    result: str
    figures: int = 0
    differences: list[Difference] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every figure that was recomputed follows."""
        return not self.differences


def verify(entry: Entry, data: Path | None = None, files: Sequence[File] = ()) -> Verdict:
    """Recompute every figure of a result from the ranks beside it.

    Where the suite's files are at hand, the ranks must also be of the suite's judgements: the same queries, documents,
    gains, pool sizes, and data fingerprint. Else someone could leave out hard queries. Whether the encoder gives these
    ranks is a question for `rerun`.

    Args:
        entry: a result, by whomever.
        data: searched for the suite's files.
        files: of the submission; its runs of this suite must not contradict the ranks.
    """
    verdict = Verdict(entry.path.name)
    try:
        ranks = read_ranks(entry.path)
    except XlirError as error:
        verdict.differences.append(Difference("the table of ranks", "is there", printable(error)))
        return verdict
    try:
        for figure, said, recomputed in _figures(entry.result, ranks, verdict):
            verdict.figures += 1
            if not _same(said, recomputed):
                verdict.differences.append(Difference(printable(figure), said, recomputed))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        # The table passed every check of its form, and yet no figure follows: that is said, and stops nothing else.
        verdict.differences.append(Difference("all figures", "follow", f"cannot be computed ({printable(error)})"))
    for file in runs_of(files, entry.result.suite.name):
        _compare_run(file, ranks, verdict)
    try:
        collection = collection_of(entry.result, data)
    except XlirError as error:
        verdict.notes.append(f"the ranks were not compared with the suite's judgements: {printable(error)}")
        return verdict
    verdict.against.append(f"the judgements of {entry.result.suite.name}")
    verdict.differences += judged_otherwise(entry.result, ranks, collection)
    return verdict


def _compare_run(file: File, ranks: RankTable, verdict: Verdict) -> None:
    try:
        compared, wrong = contradictions(file, ranks)
    except InputError as error:
        verdict.differences.append(Difference(printable(file.name), "is a run of this result", printable(error)))
        return
    verdict.figures += compared
    verdict.differences += [Difference(printable(file.name), printable(line), None) for line in wrong]


def collection_of(result: Result, data: Path | None) -> Collection:
    """The collection that a result says it is of, if its suite is one of this release's.

    Raises:
        InputError: no such suite, or another version of it.
        MissingResourceError: its files are not here.
    """
    # Only a shipped name is looked up: a name in a stranger's file could be a path, or load a library.
    if result.suite.name not in shipped():
        raise InputError(f"the suite {result.suite.name!r} is not of this release")
    suite = find(result.suite.name)
    if suite.version != result.suite.version:
        raise InputError(f"this release has version {suite.version} of the suite, not {result.suite.version}")
    return load(suite, data, result.suite.languages)


def judged_otherwise(result: Result, ranks: RankTable, collection: Collection) -> Iterator[Difference]:
    """How a table of ranks differs from what the suite would have it be of."""
    if collection.fingerprint != result.suite.fingerprint:
        yield Difference("data fingerprint", result.suite.fingerprint, collection.fingerprint)
    sizes = collection.documents.sizes
    for code, size in zip(ranks.languages, ranks.pool_sizes, strict=True):
        if sizes.get(code) != size:
            yield Difference(f"documents in {printable(code)}", size, sizes.get(code))
    said = dict(zip(zip(ranks.query_id, ranks.document_id, strict=True), zip(*_said(ranks), strict=True), strict=True))
    expected = dict(_expected(collection, ranks.searched_everything))
    for kind, pairs in (
        ("judgements left out", expected.keys() - said.keys()),
        ("judgements that the suite has not", said.keys() - expected.keys()),
        ("judgements changed", {pair for pair in said.keys() & expected.keys() if said[pair] != expected[pair]}),
    ):
        if pairs:
            query, document = min(pairs)
            yield Difference(kind, f"{len(pairs):,}, e.g. {printable(query)} {printable(document)}", "0")
    without = {entry[1:5] for entry in ranks.unanswered.entries()} ^ {
        entry[1:5] for entry in Unanswered.of(collection).entries()
    }
    if without:
        yield Difference("queries without a relevant document", f"{len(without):,} others", "0")


def _said(ranks: RankTable) -> tuple[Any, ...]:
    return ranks.gain.tolist(), ranks.question, ranks.query_language, ranks.document_language


def _expected(collection: Collection, across: bool) -> Iterator[tuple[tuple[str, str], tuple[Any, ...]]]:
    """(query id, document id) -> gain, question and languages of each relevant judgement that a run ranks."""
    queries, documents, judgements = collection.queries, collection.documents, collection.judgements
    excluded = set(zip(collection.excluded.query.tolist(), collection.excluded.document.tolist(), strict=True))
    triples = zip(judgements.query.tolist(), judgements.document.tolist(), judgements.gain.tolist(), strict=True)
    for query, document, gain in triples:
        x, y = queries.languages[query], documents.languages[document]
        if gain > 0 and (across or x == y) and (query, document) not in excluded:
            yield (queries.ids[query], documents.ids[document]), (gain, collection.questions[query], x, y)


def _figures(result: Result, ranks: RankTable, verdict: Verdict) -> Iterator[tuple[str, Any, Any]]:
    """(figure, said, recomputed) of everything that follows from ranks."""
    said: dict[_Key, tuple[float, int, int]] = {
        (s.setting, s.query_language, s.document_language, s.measure): (s.value, s.queries, s.documents)
        for s in result.scores
    }
    if len(said) != len(result.scores):
        yield "scores", f"{len(result.scores)} rows", f"{len(said)} different ones"
    recomputed = dict(_scores(result, ranks))
    for key in sorted(said.keys() | recomputed.keys()):
        one, other = said.get(key, (None,) * 3), recomputed.get(key, (None,) * 3)
        name = f"{key[0]} {key[1]}-{key[2]} {key[3]}"
        yield name, one[0], other[0]
        if None not in (*one, *other):
            yield f"{name}, queries", one[1], other[1]
            yield f"{name}, documents", one[2], other[2]
    summary: dict[str, list[float]] = {}
    for (setting, _, _, measure), (value, _, _) in recomputed.items():
        summary.setdefault(f"summary {setting} {measure}", []).append(value)
    stated = {f"summary {s} {m}": value for s, names in result.summary.items() for m, value in names.items()}
    for name in sorted(summary.keys() | stated.keys()):
        yield name, stated.get(name), float(np.mean(summary[name])) if name in summary else None
    yield "ties", result.ties, float(ranks.tied.mean()) if len(ranks) else 0.0
    yield from _analysis(result, ranks, verdict)


def _scores(result: Result, ranks: RankTable) -> Iterator[tuple[_Key, tuple[float, int, int]]]:
    """The rows that the ranks have, of the settings and measures that the result names."""
    for setting in SETTINGS:
        names = dict.fromkeys(score.measure for score in result.scores if score.setting == setting)
        measures = {}
        for name in names:
            try:
                measures[name] = parse(name)
            except InputError:
                continue  # it stays among what is said, and nothing follows
        for row in ranks.rows(setting) if measures else ():
            for name, measure in measures.items():
                numbers, values = row.values(measure)
                if len(numbers):
                    key = (setting, row.query_language, row.document_language, name)
                    yield key, (float(values.mean()), len(numbers), row.documents)


def _analysis(result: Result, ranks: RankTable, verdict: Verdict) -> Iterator[tuple[str, Any, Any]]:
    """What the analysis of ranks adds to a result: intervals, bias, whatever it will be."""
    try:
        again = analysed(result, ranks)
    except (ArithmeticError, LookupError, TypeError, ValueError, XlirError) as error:
        verdict.notes.append(f"intervals and bias could not be recomputed ({printable(error)})")
        return
    for name in type(result).model_fields:
        if name in {"scores", "summary", "ties"}:
            continue
        before, after = getattr(result, name), getattr(again, name)
        if before is None or before is after:
            continue
        if name == "bias" and ranks.leaders is None:
            verdict.notes.append("shares of the first documents were not checked: SUITE.leaders.parquet is not there")
        said = spread(_plain(before), f"{name} ")
        follows = spread(_plain(after), f"{name} ") if after is not None else {}
        for figure in sorted(said.keys() | follows.keys()):
            if ranks.leaders is None and figure not in follows:
                continue
            yield figure, said.get(figure), follows.get(figure)


def _plain(value: Any) -> dict[str, Any]:  # noqa: ANN401 (any field of a result)
    dumped = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    return dumped if isinstance(dumped, dict) else {"": dumped}


def _same(said: object, recomputed: object) -> bool:
    if isinstance(said, (int, float)) and isinstance(recomputed, (int, float)):
        return math.isclose(said, recomputed, rel_tol=_TOLERANCE, abs_tol=1e-9)
    return said == recomputed
