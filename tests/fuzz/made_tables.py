"""Tables of ranks made hostile: edits of a Parquet table, and small files that swell when they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hostile import edited, edits, spoilings
from hypothesis import strategies as st

_KEY = b"xlir-bench"

TYPES: dict[str, Any] = {
    "text": pa.string(),
    "bytes": pa.binary(),
    "whole number": pa.int64(),
    "byte": pa.int8(),
    "unsigned": pa.uint64(),
    "number": pa.float64(),
    "half": pa.float16(),
    "truth": pa.bool_(),
    "date": pa.date32(),
    "time": pa.timestamp("ns"),
    "decimal": pa.decimal128(20, 2),
    "nothing": pa.null(),
    "list": pa.list_(pa.int32()),
    "struct": pa.struct([("a", pa.int32())]),
    "map": pa.map_(pa.string(), pa.int32()),
    "list of texts": pa.list_(pa.string(), 2),
    "dictionary of numbers": pa.dictionary(pa.int32(), pa.int64()),
}
NUMBERS = (0, -1, -2, 1, 2**31 - 1, -(2**31), 143, 288)
ACTIONS = (
    "drop", "rename", "double", "type", "nulls", "number", "nan", "shuffle", "repeat rows", "first rows", "no rows",
    "header", "no header", "header of no JSON", "width", "text", "one text", "reverse",
)  # fmt: skip

table_edits = st.lists(
    st.tuples(
        st.sampled_from(ACTIONS),
        st.integers(0, 999),
        st.sampled_from(sorted(TYPES)),
        st.sampled_from(NUMBERS),
        edits,
    ),
    max_size=3,
)
"""Edits of a table: what is done, a place, a type, a number, and edits of the header's JSON."""

tables = st.fixed_dictionaries({"edits": table_edits, "bytes": st.just([]) | spoilings})


def changed(table: pa.Table, changes: list[tuple[str, int, str, int, Any]]) -> pa.Table:
    """A table with some edits made; one that pyarrow itself refuses is left out."""
    for change in changes:
        try:
            table = _changed(table, *change)
        except (pa.ArrowException, NotImplementedError, OverflowError):
            continue
    return table


def _changed(table: pa.Table, action: str, at: int, kind: str, number: int, header: Any) -> pa.Table:
    names = table.column_names
    if not names:
        return table
    place = at % len(names)
    name, column, rows = names[place], table.column(place), table.num_rows
    long = "x" * 100_000 if at % 3 else "a?b"
    columns = {
        "type": lambda: _of_type(TYPES[kind], rows, number),
        "nulls": lambda: _with_nulls(column, every=bool(at % 2)),
        "text": lambda: pa.array([long, *["a"] * rows][:rows]).dictionary_encode(),
        "one text": lambda: pa.array([long] * rows).dictionary_encode(),
    }
    columns |= dict.fromkeys(("number", "nan", "width", "reverse"), lambda: _numbers(column, action, at, number))
    if action in columns:
        return table.set_column(place, name, columns[action]())
    other = names[(place + 1) % len(names)] + "x" * (at % 2)
    whole = {
        "drop": lambda: table.remove_column(place),
        "rename": lambda: table.rename_columns([*names[:place], other, *names[place + 1 :]]),
        "double": lambda: table.append_column(name, column),
        "shuffle": lambda: table.take(np.random.default_rng(at).permutation(rows)),
        "repeat rows": lambda: pa.concat_tables([table, table.slice(at % (rows + 1), 1 + at % 9)]),
        "first rows": lambda: table.slice(0, at % (rows + 1)),
        "no rows": lambda: table.slice(0, 0),
    }
    rest = table.replace_schema_metadata
    return whole[action]() if action in whole else rest(_header(table, action, header))


def _with_nulls(column: pa.ChunkedArray, *, every: bool) -> Any:
    if every:
        return pa.nulls(len(column), column.type)
    return pa.concat_arrays([pa.nulls(1, column.type), *column.chunks])[: len(column)]


_ONE: dict[str, Any] = {
    "bytes": b"\xff\xfe",
    "struct": {"a": 1},
    "map": [("a", 1)],
    "list": [1, 2],
    "list of texts": ["a", "b"],
    "nothing": None,
}
"""A cell of a type that no text can be cast to."""


def _of_type(kind: pa.DataType, rows: int, number: int) -> pa.Array:
    name = next(name for name, known in TYPES.items() if known == kind)
    if name in _ONE:
        return pa.array([_ONE[name]] * rows, kind)
    if name == "dictionary of numbers":
        return pa.array([number] * rows, pa.int64()).dictionary_encode()
    if name == "half":
        return pa.array(np.full(rows, 1, np.float16))
    return pa.array([str(abs(number) % 100)] * rows, pa.string()).cast(kind, safe=False)


def _numbers(column: pa.ChunkedArray, action: str, at: int, number: int) -> Any:
    kind = column.type
    if pa.types.is_fixed_size_list(kind):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False).copy()
        if action == "width":
            width = kind.list_size + at % 5 - 2
            flat = flat[: len(flat) // max(width, 1) * max(width, 1)]
            return pa.FixedSizeListArray.from_arrays(pa.array(flat[: len(column) * width]), width)
        flat[at % max(len(flat), 1) :: 1 + at % 50] = number
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), kind.list_size)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return column
    values = column.to_numpy().copy()
    if not len(values):
        return column
    if action == "nan":
        values = values.astype(float)
        values[at % len(values) :: 1 + at % 7] = (np.nan, np.inf, -np.inf, -0.0)[at % 4]
    elif action == "reverse":
        values = values[::-1]
    else:
        values[at % len(values) :: 1 + at % 50] = number
    return pa.array(values)


def _header(table: pa.Table, action: str, header: Any) -> dict[bytes, bytes] | None:
    if action == "no header":
        return None
    given = (table.schema.metadata or {}).get(_KEY)
    if action == "header of no JSON" or given is None:
        return {_KEY: b'{"languages": ["de", "en"'}
    try:
        return {_KEY: json.dumps(edited(json.loads(given), header)).encode()}
    except ValueError:
        return {_KEY: b"[]"}


SWELLING = ("a long id", "many rows", "wide lists", "a long id, as a dictionary", "many texts")


def write_swelling(path: Path, kind: str, like: pa.Table) -> None:
    """A table of the right columns in a file of some MB that takes more than 1 GiB when it is read at once.

    Args:
        path: the file.
        kind: one of `SWELLING`.
        like: a table of ranks.
    """
    rows = {"a long id": 3000, "a long id, as a dictionary": 3000, "many rows": 12_000_000, "wide lists": 20_000}
    count = rows.get(kind, 200_000)
    one = like.slice(0, 1)
    columns: dict[str, Any] = {}
    for name in like.column_names:
        column = one[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
        columns[name] = column
    step = min(count, 1000 if kind == "wide lists" else 1_000_000)
    block: dict[str, Any] = {}
    for name, column in columns.items():
        if name == "outranked" and kind == "wide lists":
            block[name] = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(step * 20_000, np.int32)), 20_000)
        elif name == "document_id" and kind.startswith("a long id"):
            long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(step, np.int32)), pa.array(["x" * 500_000]))
            block[name] = long
        elif name == "document_id" and kind == "many texts":
            texts = pa.array([f"{number:06}" + "x" * 6000 for number in range(500)])
            block[name] = pa.DictionaryArray.from_arrays(pa.array(np.arange(step) % 500, pa.int32()), texts)
        else:
            block[name] = column.take(pa.array(np.zeros(step, np.int64)))
    table = pa.table(block).replace_schema_metadata(like.schema.metadata)
    store = kind not in {"a long id", "many texts"}
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=store) as writer:
        for _ in range(count // step):
            writer.write_table(table)
