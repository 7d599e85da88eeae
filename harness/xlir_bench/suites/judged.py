"""Judgement files, and the collection of one language that they make of queries and documents."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.columns import Constant
from xlir_bench.errors import InputError, at
from xlir_bench.suites.stored import positions


@dataclass(frozen=True)
class Qrel:
    """One line of a judgement file: its number, a query's id, a document's id, the gain."""

    line: int
    query: str
    document: str
    gain: float


def beir_qrels(path: Path) -> Iterator[Qrel]:
    """The judgements of a BEIR file: query id, document id and gain, separated by tabs; the first line is a header.

    Raises:
        InputError: a line is not like that; the message names it.
    """
    for number, row in _rows(path):
        if number == 1 or not row:
            continue
        yield _qrel(path, number, row, "query id, document id and a number, separated by tabs")


def trec_qrels(path: Path) -> Iterator[Qrel]:
    """The judgements of a TREC file: query id, a column without meaning, document id and gain, separated by tabs.

    Raises:
        InputError: a line is not like that; the message names it.
    """
    for number, row in _rows(path):
        if row:
            fields = row if len(row) > 1 else row[0].split()
            called = "query id, Q0, document id and a number"
            yield _qrel(path, number, [*fields[:1], *fields[2:]] if len(fields) == 4 else [], called)


def table(path: Path) -> dict[str, str]:
    """Query id -> text of a file with an id, a tab and a text on each line.

    Raises:
        InputError: a line is not like that, or an id occurs twice; the message names it.
    """
    found: dict[str, str] = {}
    for number, row in _rows(path):
        if not row:
            continue
        if len(row) < 2 or not row[0]:
            raise InputError(f"{at(path, number)}: expected an id, a tab and a text")
        if row[0] in found:
            raise InputError(f"{at(path, number)}: id {row[0]!r} occurs twice; ids must be unique")
        found[row[0]] = "\t".join(row[1:])
    return found


def judged_collection(
    path: Path | str, qrels: Iterator[Qrel], asked: Mapping[str, str], documents: Texts, language: str, prefix: str
) -> Collection:
    """The collection of one language: the queries that are judged, in the order of the judgements, and every document.

    Of two judgements of one pair the later holds.

    Args:
        path: the judgement file, or the name of what is no file; for messages.
        qrels: its lines.
        asked: query id -> text.
        documents: the pool; its ids have `prefix` in front.
        language: code of everything.
        prefix: put before the queries' ids.

    Raises:
        InputError: a judgement points to a query or a document that does not exist; the message names the line.
    """
    lines = list(qrels)
    document_at = positions(documents.ids, {prefix + qrel.document for qrel in lines})
    query_at: dict[str, int] = {}
    gains: dict[tuple[int, int], float] = {}
    for qrel in lines:
        for kind, name, known in (
            ("query", qrel.query, qrel.query in asked),
            ("document", qrel.document, prefix + qrel.document in document_at),
        ):
            if not known:
                place = at(path, qrel.line)
                raise InputError(f"{place}: the judgement points to {kind} {name!r}, which does not exist")
        row = query_at.setdefault(qrel.query, len(query_at))
        gains[row, document_at[prefix + qrel.document]] = qrel.gain
    ids = [prefix + name for name in query_at]
    return Collection(
        Texts(ids, [asked[name] for name in query_at], Constant(language, len(ids))),
        documents,
        Judgements.of((query, document, gain) for (query, document), gain in gains.items()),
        list(ids),
    )


def without_self_matches(collection: Collection) -> Collection:
    """The collection in which a document that has a query's id is left out of that query's ranking.

    That is BEIR's rule, for collections whose queries are documents of the pool (ArguAna, Quora). Not a rule for all:
    MIRACL names a Yoruba question by the passage that it was asked about, which answers it.
    """
    document_at = positions(collection.documents.ids, collection.queries.ids)
    itself = ((row, document_at[name], 0.0) for row, name in enumerate(collection.queries.ids) if name in document_at)
    return replace(collection, excluded=Judgements.of(itself))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of every line."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
                yield number, row
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 near line {number + 1}: {error.reason}") from None
    except csv.Error as error:
        raise InputError(f"{at(path, number + 1)}: not a table: {error}") from None


def _qrel(path: Path, number: int, fields: list[str], expected: str) -> Qrel:
    try:
        query, document, gain = fields
        value = float(gain)
        if not math.isfinite(value):
            raise ValueError
    except ValueError:
        raise InputError(f"{at(path, number)}: expected {expected}") from None
    return Qrel(number, query, document, value)
