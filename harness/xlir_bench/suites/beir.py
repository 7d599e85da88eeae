"""BEIR's folder: corpus.jsonl, queries.jsonl, qrels/<split>.tsv (Thakur et al. 2021, arXiv 2104.08663)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.errors import InputError, at
from xlir_bench.suites.source import FileSource


class BeirSource(FileSource):
    """A BEIR folder in one language.

    A document's text is its title, a space, and its text. Only queries that are judged in the split are kept. A query
    is never an answer to itself: where a document has the query's id, it is left out of that query's ranking.

    Attributes:
        split: which judgements.
    """

    reader: Literal["beir"]
    split: str = "test"

    def files(self, languages: Sequence[str]) -> list[str]:
        """See `FileSource.files`."""
        return ["corpus.jsonl", "queries.jsonl", f"qrels/{self.split}.tsv"]

    def read(self, folder: Path, languages: Sequence[str]) -> Collection:
        """See `FileSource.read`."""
        if len(languages) != 1:
            raise InputError(f"{folder}: a BEIR folder has one language; the suite names {len(languages)}")
        documents = dict(_records(folder / "corpus.jsonl"))
        asked = dict(_records(folder / "queries.jsonl"))
        document_at = {document_id: row for row, document_id in enumerate(documents)}
        query_at: dict[str, int] = {}
        triples = []
        for line, query_id, document_id, gain in _judgements(path := folder / "qrels" / f"{self.split}.tsv"):
            for kind, name, known in (("query", query_id, asked), ("document", document_id, documents)):
                if name not in known:
                    raise InputError(f"{at(path, line)}: the judgement points to {kind} {name!r}, which does not exist")
            query_at.setdefault(query_id, len(query_at))
            triples.append((query_at[query_id], document_at[document_id], gain))
        itself = [(row, document_at[name], 0.0) for name, row in query_at.items() if name in document_at]
        code = languages[0]
        return Collection(
            Texts(list(query_at), [asked[name] for name in query_at], [code] * len(query_at)),
            Texts(list(documents), list(documents.values()), [code] * len(documents)),
            Judgements.of(triples),
            list(query_at),
            Judgements.of(itself),
        )


def _records(path: Path) -> Iterator[tuple[str, str]]:
    """(id, text) of every line of corpus.jsonl or queries.jsonl."""
    seen: set[str] = set()
    with path.open(encoding="utf-8-sig", errors="strict") as lines:
        for number, line in enumerate(_decoded(lines, path), start=1):
            if not line.strip():
                continue
            record = _record(line, at(path, number))
            if record["_id"] in seen:
                raise InputError(f"{at(path, number)}: id {record['_id']!r} occurs twice; ids must be unique")
            seen.add(record["_id"])
            yield record["_id"], f"{record.get('title') or ''} {record['text']}".strip()


def _record(line: str, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON: {error.msg}") from None
    if not isinstance(record, dict):
        raise InputError(f'{place}: expected an object with "_id" and "text"')
    for name in ("_id", "text"):
        if not isinstance(record.get(name), str):
            raise InputError(f"{place}: {name!r} is missing or not a string")
    return record


def _judgements(path: Path) -> Iterator[tuple[int, str, str, float]]:
    """(line, query id, document id, gain) of a judgement file; its first line is a header."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(_decoded(lines, path), delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows, None)
        for number, row in enumerate(rows, start=2):
            if not row:
                continue
            try:
                query_id, document_id, gain = row
                yield number, query_id, document_id, float(gain)
            except ValueError:
                place = at(path, number)
                raise InputError(f"{place}: expected query id, document id and a number, separated by tabs") from None


def _decoded(lines: Iterator[str], path: Path) -> Iterator[str]:
    """The lines, with a refusal in one line where they are not UTF-8."""
    number = 0
    try:
        for number, line in enumerate(lines, start=1):  # noqa: B007  (the message needs the last number)
            yield line
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 near line {number + 1}: {error.reason}") from None
