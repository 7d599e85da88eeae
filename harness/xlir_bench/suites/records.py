"""JSON lines read in blocks: columns of ids and texts at the speed of the disk, in the memory of one block.

A block of whole lines goes to pyarrow's parser. Where that parser would decide otherwise than Python's `json`, or finds
a fault, the block is read again line by line, which says what is wrong and where.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from xlir_bench.errors import InputError, at
from xlir_bench.languages import is_listed, normalise
from xlir_bench.suites.unpack import BOUNDS

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 4 << 20
"""Bytes of lines that are parsed at once."""

_AHEAD = 3  # blocks that are parsed while the one before is used
_LONGEST_LINE = 256 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Layout:
    """Which fields of a line are what.

    The title may be missing or null; all else must be strings.

    Attributes:
        id: the field with the id.
        text: the field with the text.
        title: the field that stands before the text, with a space between; None where there is none and the text is
            taken as it is, white space around it included.
        language: the field with the text's language; None where all texts of a file are in one language.
    """

    id: str
    text: str
    title: str | None
    language: str | None = None


@dataclass(frozen=True)
class Batch:
    """Some records of one file.

    Attributes:
        path: the file, or the name of what is no file.
        lines: the number of each record's line, from 1.
        ids, texts: pyarrow arrays of strings, without nulls.
        languages: pyarrow array of strings, without nulls; None where the layout has no field for it.
    """

    path: Path | str
    lines: Sequence[int]
    ids: pa.StringArray
    texts: pa.StringArray
    languages: pa.StringArray | None = None

    def in_language(self, code: str, known: Sequence[str]) -> Batch:
        """The records in one language.

        Args:
            code: the language.
            known: the codes of every language that a record may be in; a record may have any tag of it (`zh-CN`).

        Raises:
            InputError: a record is in another; the message names its line.
        """
        import numpy as np

        tags = self.languages.to_pylist() if self.languages is not None else []
        codes = {tag: normalise(tag) if is_listed(tag) else tag for tag in set(tags)}
        found = np.array([codes[tag] for tag in tags], dtype=object)
        for row in np.flatnonzero(~np.isin(found, list(known))).tolist():
            raise InputError(
                f"{at(self.path, self.lines[row])}: the record's language is {tags[row]!r}; declared are "
                f"{' '.join(known)}"
            )
        rows = np.flatnonzero(found == code)
        lines = [self.lines[row] for row in rows.tolist()]
        return Batch(self.path, lines, self.ids.take(rows), self.texts.take(rows))


def batches(path: Path, layout: Layout) -> Iterator[Batch]:
    """The records of a file of JSON lines, plain or compressed by gzip (`.gz`). Blank lines are passed over.

    Raises:
        InputError: a line is not a record in the layout, or the file is not UTF-8; the message names file and line.
    """
    waiting: deque[Future[Batch]] = deque()
    line = 1
    with ThreadPoolExecutor(_AHEAD) as threads:
        for block in _blocks(path):
            lines = block.count(b"\n")
            waiting.append(threads.submit(_batch, path, range(line, line + lines), block, layout))
            line += lines
            if len(waiting) > _AHEAD:
                yield from _unless_empty(waiting.popleft().result())
        while waiting:
            yield from _unless_empty(waiting.popleft().result())


def _batch(path: Path, lines: range, block: bytes, layout: Layout) -> Batch:
    return _parsed(path, lines, block, layout) or _read_by_line(path, lines.start, block, layout)


def _unless_empty(batch: Batch) -> Iterator[Batch]:
    if len(batch.ids):
        yield batch


def open_file(path: Path) -> BinaryIO:
    """A file's bytes, unpacked where its name ends in `.gz`; reading raises `InputError` where they are too many."""
    return cast(BinaryIO, _Unpacked(path) if path.suffix == ".gz" else path.open("rb"))


class _Unpacked(gzip.GzipFile):
    """A file compressed by gzip, which may hold as much as an archive."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._place = path
        self._left = BOUNDS.left(path)

    def read(self, size: int | None = -1) -> bytes:
        """See `gzip.GzipFile`."""
        return self._counted(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        """See `gzip.GzipFile`."""
        return self._counted(super().read1(size))

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise InputError(f"{self._place}: {BOUNDS}; not read")
        return piece


def _blocks(path: Path) -> Iterator[bytes]:
    """Whole lines, each ended by a line feed, about `BLOCK_BYTES` together."""
    rest = b""
    first = True
    try:
        with open_file(path) as file:
            while piece := file.read(BLOCK_BYTES):
                if first and piece.startswith(_BYTE_ORDER_MARK):
                    piece = piece[len(_BYTE_ORDER_MARK) :]
                first = False
                cut = piece.rfind(b"\n") + 1
                if not cut:
                    rest += piece
                    if len(rest) > _LONGEST_LINE:
                        raise InputError(f"{path}: a line is longer than {_LONGEST_LINE >> 20} MiB: not JSON lines")
                    continue
                yield rest + piece[:cut] if rest else piece[:cut]
                rest = piece[cut:]
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path}: not a whole gzip file: {error}; get it again") from None
    if rest:
        yield rest + b"\n"


def _parsed(path: Path, lines: range, block: bytes, layout: Layout) -> Batch | None:
    """The records of a block by pyarrow's parser; None where it might differ from `json` or refuses the block."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import json as arrow_json

    if b"\r\n" in block:
        block = block.replace(b"\r\n", b"\n")
    # One object per line and nothing else: pyarrow would also take two on a line, or one over two lines.
    if not block.startswith(b"{") or not block.endswith(b"}\n") or block.count(b"}\n{") != len(lines) - 1:
        return None
    names = [name for name in (layout.id, layout.text, layout.title, layout.language) if name is not None]
    try:
        if not block.isascii():
            block.decode()
        table = arrow_json.read_json(
            pa.BufferReader(block),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=pa.schema([(name, pa.string()) for name in names]), unexpected_field_behavior="ignore"
            ),
        ).combine_chunks()
        table.validate(full=True)
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    if table.num_rows != len(lines):
        return None
    ids, texts = (_single(table.column(name)) for name in (layout.id, layout.text))
    if ids.null_count or texts.null_count:
        return None
    if layout.title is not None:
        titles = pc.fill_null(_single(table.column(layout.title)), "")
        texts = pc.utf8_trim_whitespace(pc.binary_join_element_wise(titles, texts, " "))
    if layout.language is None:
        return Batch(path, lines, ids, texts)
    languages = _single(table.column(layout.language))
    return None if languages.null_count else Batch(path, lines, ids, texts, languages)


def _single(column: Any) -> Any:  # noqa: ANN401  (pyarrow has no types)
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks else pa.array([], pa.string())


def _read_by_line(path: Path, first: int, block: bytes, layout: Layout) -> Batch:
    import pyarrow as pa

    numbers, ids, texts, languages = [], [], [], []
    for number, raw in enumerate(block.split(b"\n")[:-1], start=first):
        if not raw.strip():
            continue
        place = at(path, number)
        record_id, text, language = _record(raw, place, layout)
        for name, value in ((layout.id, record_id), (layout.text, text)):
            _check_unicode(place, name, value)
        numbers.append(number)
        ids.append(record_id)
        texts.append(text)
        languages.append(language)
    columns = [pa.array(values, pa.string()) for values in (ids, texts, languages)]
    return Batch(path, numbers, *(columns if layout.language is not None else columns[:2]))


def _check_unicode(place: str, name: str, value: str) -> None:
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InputError(f"{place}: {name!r} has half of a surrogate pair, which is no Unicode text")


def _record(raw: bytes, place: str, layout: Layout) -> tuple[str, str, str]:
    """Id, text and language of a line; "" for the latter where the layout has no field for it."""
    try:
        record = json.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: not UTF-8: {error.reason} at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON: {error.msg}") from None
    except RecursionError:
        raise InputError(f"{place}: not JSON: nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{place}: not JSON: {error}") from None
    if not isinstance(record, dict):
        raise InputError(f'{place}: expected an object with "{layout.id}" and "{layout.text}"')
    for name in (layout.id, layout.text, layout.language):
        if name is not None and not isinstance(record.get(name), str):
            raise InputError(f"{place}: {name!r} is missing or not a string{_instead(record, name, layout)}")
    language = record[layout.language] if layout.language is not None else ""
    if layout.title is None:
        return record[layout.id], record[layout.text], language
    title = record.get(layout.title)
    if title is not None and not isinstance(title, str):
        raise InputError(f"{place}: {layout.title!r} is not a string")
    _check_unicode(place, layout.title, title or "")
    return record[layout.id], f"{title or ''} {record[layout.text]}".strip(), language


def _instead(record: dict[str, Any], name: str, layout: Layout) -> str:
    """What a missing id may be called instead, or how one that is a number is to be written."""
    if name != layout.id:
        return ""
    if name in record:
        return f': write "{record[name]}" in quotes' if type(record[name]) is int else ""
    other = next((one for one in ("_id", "id", "docid", "doc_id") if one in record), None)
    return f"; rename {other!r}" if other else ""
