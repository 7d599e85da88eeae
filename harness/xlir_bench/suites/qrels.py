"""Judgement files: BEIR's three columns or TREC's four, plain or compressed by gzip.

    query-id    corpus-id   score          BEIR: separated by tabs or white space, with a header or without
    301         Q0          FT911-3 1      TREC: the second column has no meaning, no header needed

A byte order mark, CRLF and blank lines are accepted. The number of columns is that of the first line that is not blank.
A line with a tab is separated by tabs alone, so that ids may hold spaces; any other line by white space.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from gzip import BadGzipFile
from io import TextIOWrapper
from pathlib import Path

from xlir_bench.errors import InputError, at
from xlir_bench.suites.records import open_file

EXPECTED = "query id, document id and a number, or query id, Q0, document id and a number"

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_HEADER = (
    re.compile(r"#?(query|question|topic|q)(id|no|num|number)?"),
    re.compile(r"(corpus|document|doc|passage|pas|p|d|text|answer)(id|no|num|number)?"),
    re.compile(
        r"(relevance|rel|relevancy|score|gain|label|grade|judge?ment|rating|qrel|value)(score|label|grade|level)?"
    ),
)
"""Names of the columns of a header, in lower case and without signs: query, document, gain."""


@dataclass(frozen=True)
class Qrel:
    """One line of a judgement file.

    Attributes:
        line: its number, from 1.
        query, document: ids.
        gain: above 0 is relevant; finite.
        iteration: TREC's second column; "" where there are three columns.
    """

    line: int
    query: str
    document: str
    gain: float
    iteration: str = ""


def read_qrels(path: Path) -> Iterator[Qrel]:
    """The judgements of a file, in its order.

    The first line is a judgement if its last column is a number, and a header if its columns are named like those of
    judgements (`query-id corpus-id score`, `qid iter docno rel`).

    Raises:
        InputError: a line is neither; the message names it. Or the file is not UTF-8, or not a whole gzip file.
    """
    columns = 0
    for number, fields in _fields(path):
        first = not columns
        columns = columns or len(fields)
        place = at(path, number)
        if columns not in (3, 4):
            raise InputError(f"{place}: expected {EXPECTED}; this line has {_counted(len(fields))}")
        if len(fields) != columns:
            raise InputError(
                f"{place}: expected {columns} columns as in the lines before, {EXPECTED}; this line has "
                f"{_counted(len(fields))}"
            )
        query, document, gain = fields[0], fields[-2], fields[-1]
        if _NUMBER.fullmatch(gain) and math.isfinite(float(gain)):
            if not query or not document:
                raise InputError(f"{place}: expected {EXPECTED}; an id is empty")
            yield Qrel(number, query, document, float(gain), fields[1] if columns == 4 else "")
        elif first and _is_header(query, document, gain):
            continue
        else:
            also = ", or a header such as query-id, corpus-id, score" if first else ""
            raise InputError(f"{place}: expected {EXPECTED}{also}; {gain!r} is not a finite number")


def distinct(path: Path | str, qrels: Iterable[Qrel]) -> tuple[list[Qrel], tuple[str, ...]]:
    """The judgements without lines that repeat an earlier one, and a note where there are any.

    Args:
        path: the file, or the name of what is no file; for messages.
        qrels: its lines.

    Raises:
        InputError: two lines give one pair different gains; the message names both.
    """
    found: dict[tuple[str, str], Qrel] = {}
    repeated: list[int] = []
    for qrel in qrels:
        before = found.setdefault((qrel.query, qrel.document), qrel)
        if before is qrel:
            continue
        if before.gain != qrel.gain:
            raise InputError(
                f"{at(path, qrel.line)}: query {qrel.query!r} and document {qrel.document!r} have gain {qrel.gain:g} "
                f"here and {before.gain:g} in line {before.line}; a pair is judged once"
            )
        repeated.append(qrel.line)
    if not repeated:
        return list(found.values()), ()
    lines = "1 line repeats" if len(repeated) == 1 else f"{len(repeated):,} lines repeat"
    return list(found.values()), (f"{at(path, repeated[0])}: {lines} an earlier judgement; each counts once",)


def _fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and columns of every line that is not blank."""
    number = 0
    try:
        with open_file(path) as file, TextIOWrapper(file, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _columns(line.rstrip("\n"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 near line {number + 1}: {error.reason}") from None
    except (BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: not a whole gzip file: {error}; get it again") from None


def _columns(line: str) -> list[str]:
    if "\t" in line:
        *ids, gain = line.split("\t")
        return [*ids, gain.strip()]
    return [part for part in line.split(" ") if part]


def _is_header(*names: str) -> bool:
    plain = (re.sub(r"[^a-z#]", "", name.lower()) for name in names)
    return all(pattern.fullmatch(name) for pattern, name in zip(_HEADER, plain, strict=True))


def _counted(columns: int) -> str:
    return f"{columns} column" + ("" if columns == 1 else "s")
