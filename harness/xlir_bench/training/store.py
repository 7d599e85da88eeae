"""The pair store: question and passage, one pair per row of a Parquet file, in whichever languages the two are.

    query, document                       the texts
    query_language, document_language     codes as in `xlir_bench.languages`
    group                                 rows of one group answer one another: they never share a batch
    dataset                               where the pair comes from; batches choose one in proportion to its size
    negatives                             documents that do not answer the query; may be empty
    origin                                "" for what people wrote, else who made it, e.g.
                                          "machine-translated: facebook/m2m100_418M@<revision>"

A group's name holds within its dataset: two data sets may number their records alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xlir_bench.columns import ColumnDigest
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import replacing
from xlir_bench.parquet_files import read_table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

COLUMNS = (
    "query",
    "document",
    "query_language",
    "document_language",
    "group",
    "dataset",
    "negatives",
    "origin",
)
NEVER_EMPTY = ("query", "document", "query_language", "document_language", "group")
ROWS_AT_ONCE = 65_536
"""Rows of a row group: what is in memory while a store is written."""

_MAY_BE_EMPTY = frozenset(COLUMNS) - frozenset(NEVER_EMPTY)


@dataclass(frozen=True, slots=True)
class Pair:
    """One row; see the module for what the fields mean."""

    query: str
    document: str
    query_language: str
    document_language: str
    group: str
    dataset: str
    negatives: tuple[str, ...] = ()
    origin: str = ""


def schema() -> pa.Schema:
    """The columns and their types, in order."""
    import pyarrow as pa

    kinds = {"negatives": pa.list_(pa.string())}
    return pa.schema([pa.field(name, kinds.get(name, pa.string()), nullable=False) for name in COLUMNS])


def as_tables(pairs: Iterable[Pair], rows: int = ROWS_AT_ONCE) -> Iterator[pa.Table]:
    """Pairs as tables in the store's schema, of `rows` rows each but the last."""
    waiting: list[Pair] = []
    for pair in pairs:
        waiting.append(pair)
        if len(waiting) == rows:
            yield _table(waiting)
            waiting = []
    if waiting:
        yield _table(waiting)


def as_pairs(table: pa.Table) -> Iterator[Pair]:
    """The rows of a store's table."""
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        for values in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
            query, document, spoken, written, group, dataset, negatives, origin = values
            yield Pair(query, document, spoken, written, group, dataset, tuple(negatives), origin)


def write_pairs(path: Path, batches: Iterable[pa.Table | pa.RecordBatch]) -> int:
    """Write a store, row group by row group, whole or not at all.

    Args:
        path: the Parquet file; one that is there is replaced.
        batches: tables with the store's columns, in any order; each is written as it comes.

    Returns:
        How many rows were written.

    Raises:
        InputError: a batch is no part of a store; the message names the column.
        MissingResourceError: the file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    rows = 0
    with replacing(path) as temporary, parquet.ParquetWriter(temporary, schema(), compression="zstd") as writer:
        for batch in batches:
            table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
            checked = _checked(path, table)
            writer.write_table(checked, row_group_size=ROWS_AT_ONCE)
            rows += checked.num_rows
    return rows


def read_pairs(paths: Sequence[Path]) -> pa.Table:
    """The rows of some stores, one after another, in the store's schema.

    Raises:
        MissingResourceError: there is no such file.
        InputError: a file is not Parquet, lacks a column, or has one of another type, a null or an empty text; the
            message names file and column.
    """
    import pyarrow as pa

    tables = []
    for path in paths:
        if not path.is_file():
            raise MissingResourceError(f"{path}: no such pair store; `xlir-bench pairs build` makes one")
        tables.append(_checked(path, read_table(path, COLUMNS)))
    return pa.concat_tables(tables) if tables else schema().empty_table()


def fingerprint(table: pa.Table) -> str:
    """SHA-256 over the rows in their order, whatever files and row groups they come from. Hexadecimal."""
    import pyarrow.compute as pc

    digest = hashlib.sha256(",".join(COLUMNS).encode())
    for name in COLUMNS:
        column, counts = ColumnDigest(), hashlib.sha256()
        for chunk in table.column(name).chunks:
            texts = chunk
            if name == "negatives":
                counts.update(pc.list_value_length(chunk).to_numpy(zero_copy_only=False).astype("<u4").tobytes())
                texts = chunk.flatten()
            column.update(*_content(texts))
        digest.update(column.digest() + counts.digest())
    return digest.hexdigest()


def _content(texts: pa.StringArray) -> tuple[memoryview, NDArray[np.int32]]:
    """The bytes of some texts end to end, and the bytes of each."""
    import numpy as np

    buffers = texts.buffers()
    if not len(texts):
        return memoryview(b""), np.zeros(0, np.int32)
    bounds = np.frombuffer(buffers[1], np.int32, len(texts) + 1, 4 * texts.offset)
    return memoryview(buffers[2] or b"")[bounds[0] : bounds[-1]], np.diff(bounds)


def _table(pairs: Sequence[Pair]) -> pa.Table:
    import pyarrow as pa

    columns = {name: [getattr(pair, name) for pair in pairs] for name in COLUMNS}
    return pa.table(columns, schema=schema())


def _check_names(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise InputError(f"{path}: no pair store: it has no column {', '.join(missing)}; it has {', '.join(names)}")


def _checked(path: Path, table: pa.Table) -> pa.Table:
    """The table in the store's schema.

    Raises:
        InputError: see `read_pairs`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    _check_names(path, table.column_names)
    columns = []
    for field in schema():
        column = table.column(field.name)
        if not (_holds_texts(column.type) if field.name != "negatives" else _holds_lists(column.type)):
            raise InputError(f"{path}: column {field.name} has the type {column.type}, not {field.type}")
        column = column.cast(field.type)
        inner = sum(chunk.flatten().null_count for chunk in column.chunks) if field.name == "negatives" else 0
        if column.null_count or inner:
            raise InputError(f"{path}: column {field.name}: a value is missing{_row_of(pc.is_null(column))}")
        if field.name not in _MAY_BE_EMPTY:
            empty = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(column)), 0)
            if pc.any(empty).as_py():
                raise InputError(f"{path}: column {field.name}: a value is empty{_row_of(empty)}")
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema())


def _holds_texts(kind: pa.DataType) -> bool:
    """Whether a column's type is one of those that strings come in; null where there are no rows at all."""
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    known = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(is_kind(inner) for is_kind in known)


def _holds_lists(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _holds_texts(kind.value_type)


def _row_of(marks: pa.ChunkedArray) -> str:
    """Where the first mark is, as ` (row 17)`, counted from 0."""
    import pyarrow.compute as pc

    row = pc.index(marks, True).as_py()
    return f" (row {row})" if row >= 0 else ""
