"""Parquet files, which can be much larger in memory than on disk: counted in pieces before they are read.

The sizes that a file states of itself are checked first, and not relied on: a text that a million rows repeat is stored
once, and neither the number of rows nor the uncompressed size in the footer says how long it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlir_bench.errors import InputError, MissingResourceError

if TYPE_CHECKING:
    import pyarrow as pa

ALWAYS_READ = 512 << 20
"""Bytes in memory that a file of any size may have."""

RATIO = 100
"""Bytes in memory for each byte of a larger file. Tables of numbers and texts have 2 to 30."""

_PIECE = 64 << 20
_ROWS = 16_384
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 4}


class TooLargeError(InputError):
    """A file would be larger in memory than it may be."""


def read_table(path: Path, columns: Sequence[str] | None = None, most: int | None = None) -> pa.Table:
    """A whole file, if it is within bounds.

    Args:
        path: the file.
        columns: names of the columns that are read; all by default. One that the file lacks is left out.
        most: bytes that it may have in memory; by default `ALWAYS_READ`, or `RATIO` times its size if that is more.

    Raises:
        MissingResourceError: there is no such file.
        TooLargeError: it would be larger than that.
        InputError: it is no Parquet file.
    """
    check_size(path, columns, most)
    with _opened(path) as file:
        return file.read(columns=_present(file, columns))


def check_size(path: Path, columns: Sequence[str] | None = None, most: int | None = None) -> None:
    """Raise if a file is larger in memory than it may be; it is never in memory as a whole.

    Args:
        path: see `read_table`.
        columns: see there.
        most: see there.

    Raises:
        MissingResourceError, InputError: see there.
    """
    with _opened(path) as file:
        bound = most or max(ALWAYS_READ, RATIO * path.stat().st_size)
        stated = _stated_size(file, _present(file, columns))
    size = 0
    for batch in () if stated > bound else pieces(path, columns):
        size += size_in_memory(batch)
        if size > bound:
            break
    if max(size, stated) > bound:
        raise TooLargeError(
            f"{path}: would take more than {bound / 2**30:.3g} GiB of memory, {bound // max(path.stat().st_size, 1):,} "
            "times its size on disk; not read"
        )


def read_schema(path: Path) -> pa.Schema:
    """Names and types of a file's columns.

    Raises:
        MissingResourceError, InputError: see `read_table`.
    """
    with _opened(path) as file:
        return file.schema_arrow


def pieces(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a file in order, in batches that are small in memory however long a row's texts are.

    Texts, and lists of texts, are encoded as dictionaries.

    Args:
        path: the file.
        columns: see `read_table`.

    Raises:
        MissingResourceError, InputError: see `read_table`; its bounds do not apply.
    """
    with _opened(path) as file:
        chosen = _present(file, columns)
        widest = _stated_size(file, chosen) // max(file.metadata.num_rows, 1)
        rows = max(1, min(_ROWS, _PIECE // max(widest, 1)))
        texts = _text_leaves(file, chosen)
    with _opened(path, read_dictionary=texts) as file:
        # Lists of texts can be read this way only where a batch is of one group of rows, which has one dictionary.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=chosen):
                yield from _split(batch)


def size_in_memory(batch: pa.RecordBatch) -> int:
    """Bytes of a batch if none of its columns were encoded as a dictionary."""
    return sum(_size(column) for column in batch.columns)


@contextmanager
def _opened(path: Path, **options: Any) -> Iterator[Any]:  # noqa: ANN401
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, **options) as file:
            yield file
    except FileNotFoundError:
        raise MissingResourceError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        # pyarrow reports what a damaged file holds by either of the three.
        raise InputError(f"{path}: cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from None


def _present(file: Any, columns: Sequence[str] | None) -> list[str]:  # noqa: ANN401
    names = list(file.schema_arrow.names)
    return names if columns is None else [name for name in columns if name in names]


def _stated_size(file: Any, columns: Sequence[str]) -> int:  # noqa: ANN401
    """Bytes of the columns by the file's own account, which does not count how often a text is repeated."""
    leaves = [at for at in range(len(file.schema)) if _belongs(file.schema.column(at).path, columns)]
    metadata = file.metadata
    decoded = encoded = 0
    for group in range(metadata.num_row_groups):
        chunks = metadata.row_group(group)
        for at in leaves:
            chunk, leaf = chunks.column(at), file.schema.column(at)
            decoded += max(chunk.num_values, 0) * _WIDTHS.get(leaf.physical_type, max(leaf.length, 1))
            encoded += max(chunk.total_uncompressed_size, 0)
    return max(decoded, encoded)


def _text_leaves(file: Any, columns: Sequence[str]) -> list[str]:  # noqa: ANN401
    fields = [field.name for field in file.schema_arrow if field.name in columns and _is_text(field.type)]
    leaves = (file.schema.column(at) for at in range(len(file.schema)))
    return [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and _belongs(leaf.path, fields)]


def _belongs(leaf: str, columns: Sequence[str]) -> bool:
    return any(leaf == name or leaf.startswith(f"{name}.") for name in columns)


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_text(kind.value_type)
    value = kind.value_type if types.is_dictionary(kind) else kind
    plain = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(fits(value) for fits in plain)


def _split(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if batch.num_rows <= 1 or size_in_memory(batch) <= _PIECE:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _split(batch.slice(0, half))
    yield from _split(batch.slice(half))


def _size(column: pa.Array) -> int:
    import pyarrow.compute as pc
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind) and _is_text(kind):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return 4 * len(column) + int(pc.sum(lengths.cast("int64")).as_py() or 0)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return 4 * len(column) + _size(column.flatten())
    return int(column.nbytes)
