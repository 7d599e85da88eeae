"""Tables of topics, and the collection that judgements make of queries and documents."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.columns import Constant
from xlir_bench.errors import InputError, at
from xlir_bench.suites.qrels import Qrel, distinct
from xlir_bench.suites.stored import positions_of


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
    path: Path | str, qrels: Iterable[Qrel], asked: Mapping[str, str], documents: Texts, language: str, prefix: str
) -> Collection:
    """The collection of one judgement file: the judged queries, in the order of the judgements, and every document.

    A line that repeats an earlier one counts once and is named in the collection's notes.

    Args:
        path: the judgement file, or the name of what is no file; for messages.
        qrels: its lines.
        asked: query id -> text.
        documents: the pool; its ids have `prefix` in front.
        language: code of the queries.
        prefix: put before the queries' ids.

    Raises:
        InputError: a judgement points to a query or a document that does not exist, two give one pair different gains,
            or the second of four columns holds document ids too; the message names the line.
    """
    lines, notes = distinct(path, qrels)
    iterations = {qrel.iteration for qrel in lines}
    named = {qrel.document for qrel in lines} | (iterations if len(iterations) > 1 else set())
    document_at = positions_of(documents, {prefix + name for name in named})
    if len(iterations) > 1 and all(prefix + name in document_at for name in iterations):
        raise InputError(
            f"{at(path, lines[0].line)}: the second column of four is ignored, as TREC has it, and here every value of "
            "it is the id of a document; write query id, document id and gain alone"
        )
    query_at: dict[str, int] = {}
    triples: list[tuple[int, int, float]] = []
    for qrel in lines:
        for kind, name, known in (
            ("query", qrel.query, qrel.query in asked),
            ("document", qrel.document, prefix + qrel.document in document_at),
        ):
            if not known:
                place = at(path, qrel.line)
                raise InputError(f"{place}: the judgement points to {kind} {name!r}, which does not exist")
        triples.append((query_at.setdefault(qrel.query, len(query_at)), document_at[prefix + qrel.document], qrel.gain))
    ids = [prefix + name for name in query_at]
    return Collection(
        Texts(ids, [asked[name] for name in query_at], Constant(language, len(ids))),
        documents,
        Judgements.of(triples),
        list(ids),
        notes=notes,
    )


def without_self_matches(collection: Collection) -> Collection:
    """The collection in which a document that has a query's id is left out of that query's ranking.

    For collections whose queries are documents of the pool (ArguAna, Quora): each declares it. Elsewhere an id that a
    query and a document share means nothing, or names the answer, as in MIRACL's Yoruba questions.
    """
    document_at = positions_of(collection.documents, collection.queries.ids)
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
