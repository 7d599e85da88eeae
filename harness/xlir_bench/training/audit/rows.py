"""The texts of training data, wherever they stand: JSON lines, JSON, plain text, Parquet; plain or gzipped.

Nothing is asked of a layout. Every string of a JSON document or a Parquet row is a text, so that aligned texts,
questions with passages, pairs with negatives and SQuAD's files need no reader of their own; a field or column tells its
language where it can. Names and numbers are texts too, and far too short to match anything.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from xlir_bench.errors import InputError, MissingResourceError, at
from xlir_bench.languages import is_listed
from xlir_bench.parquet_files import pieces, read_schema

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".jsonl", ".json", ".txt", ".tsv", ".parquet")
"""What is read; all but Parquet with `.gz` behind it too."""

_TAG = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]+)*")
_LANGUAGE_FIELDS = ("language", "lang")
_BYTES_AT_ONCE = 1 << 20


class Place(NamedTuple):
    """Where a training text stands.

    Attributes:
        file: its number among the files.
        row: line of a text file, row of a Parquet file, counted from 1; 0 in a JSON file, which is one document.
        field: the way to it inside the row, e.g. `zh`, `passage` or `data.3.paragraphs.0.context`.
        language: as the row says; "" where it does not.
    """

    file: int
    row: int
    field: str
    language: str


Row = list[tuple[Place, str]]
"""The texts of one row of training data, each with its place."""


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """One file of training data.

    Attributes:
        path: where it is.
        name: what it is called in a record: its path below the folder that was named, or its own name.
        size: in bytes.
    """

    path: Path
    name: str
    size: int


def training_files(places: Sequence[Path]) -> list[TrainingFile]:
    """The files that are named, and those of a known kind at any depth in folders that are.

    Raises:
        MissingResourceError: a place does not exist.
        InputError: a file is of no known kind, or a folder holds none that is; nothing was named.
    """
    found: dict[Path, TrainingFile] = {}
    for place in places:
        if place.is_dir():
            inside = sorted(path for path in place.rglob("*") if path.is_file() and _kind(path))
            if not inside:
                raise InputError(f"{place}: no training data in it; known are {_known()}")
        elif place.is_file():
            if not _kind(place):
                raise InputError(f"{place}: not a kind of file that can be read; known are {_known()}")
            inside = [place]
        else:
            raise MissingResourceError(f"{place}: no such file or folder")
        for path in inside:
            name = path.relative_to(place).as_posix() if place.is_dir() else path.name
            found.setdefault(path.resolve(), TrainingFile(path, name, path.stat().st_size))
    if not found:
        raise InputError("no training data were named; give files or folders")
    return list(found.values())


def file_digest(path: Path) -> str:
    """SHA-256 of what a file says: of a gzipped one, of what was compressed. Hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    with _reading(path), _open(path) as file:
        while block := file.read(_BYTES_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def texts_of(file: TrainingFile, number: int) -> Iterator[Row]:
    """The texts of each row of a file, without blank ones.

    Args:
        file: which.
        number: what to call it in the places.

    Raises:
        InputError: it is not what its name says; the message names the line.
    """
    kind = _kind(file.path)
    with _reading(file.path):
        if kind == ".parquet":
            yield from _of_parquet(file.path, number)
        elif kind == ".json":
            yield from _of_json(file.path, number)
        else:
            yield from _of_lines(file.path, number, as_json=kind == ".jsonl")


def _known() -> str:
    return f"{', '.join(SUFFIXES)}, also with .gz"


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    plain = name.removesuffix(".gz")
    suffix = Path(plain).suffix
    return suffix if suffix in SUFFIXES and not (suffix == ".parquet" and plain != name) else None


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not gzip, or cut off ({error}); get it again") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None


def _of_lines(path: Path, number: int, *, as_json: bool) -> Iterator[Row]:
    with _open(path) as lines:
        for row, raw in enumerate(lines, start=1):
            line = raw.decode("utf-8").strip()
            if not line:
                continue
            if as_json:
                yield _strings(_parsed(line, at(path, row)), number, row)
            else:
                yield [(Place(number, row, "", ""), line)]


def _of_json(path: Path, number: int) -> Iterator[Row]:
    with _open(path) as file:
        content = _parsed(file.read().decode("utf-8"), str(path))
    yield _strings(content, number, 0)


def _parsed(text: str, place: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not JSON, perhaps cut off: {error}") from None


def _strings(content: object, number: int, row: int) -> Row:
    """Every string of a row, with the way to it and its language: what is said nearest to it counts."""
    found: Row = []
    _collect(content, found, (number, row, "", ""))
    return found


def _collect(value: object, found: Row, place: tuple[int, int, str, str]) -> None:
    number, row, field, language = place
    if isinstance(value, str):
        if value and not value.isspace():
            found.append((Place(number, row, field, language), value))
    elif isinstance(value, dict):
        stated = next((value[name] for name in _LANGUAGE_FIELDS if isinstance(value.get(name), str)), language)
        for name, inner in value.items():
            if name.endswith(_LANGUAGE_FIELDS):
                continue
            own = name if _is_tag(name) else value.get(f"{name}_language", stated)
            way = f"{field}.{name}" if field else name
            _collect(inner, found, (number, row, way, own if isinstance(own, str) else stated))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            _collect(inner, found, (number, row, f"{field}.{position}" if field else str(position), language))


@lru_cache(maxsize=4096)
def _is_tag(name: str) -> bool:
    return _TAG.fullmatch(name) is not None and is_listed(re.split("[-_]", name, maxsplit=1)[0])


def _of_parquet(path: Path, number: int) -> Iterator[Row]:
    schema = read_schema(path)
    names = [field.name for field in schema if _is_text(field.type)]
    if not names:
        raise InputError(f"{path}: no column of texts; there are {', '.join(schema.names) or 'none'}")
    row = 0
    for batch in pieces(path, names):
        for record in batch.to_pylist():
            row += 1
            yield _strings(record, number, row)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(_is_text(field.type) for field in kind)
    inner = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_dictionary)
    if any(is_kind(kind) for is_kind in inner):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
