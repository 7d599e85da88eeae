"""Large columns on disk: written once from their source in bounded memory, then memory-mapped.

    <cache>/converted/<key>/texts.arrow     ids and texts, Arrow's file format, uncompressed
                            about.json      rows, digests, how many are empty

The key is the SHA-256 of what was asked for and of every source file's path, size and time of change. Arrow's format is
used rather than Parquet because an encoder reads texts longest first: a mapped text is there at once, while Parquet
unpacks the 100,000 rows around it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np

from xlir_bench.collection import Texts
from xlir_bench.columns import ColumnDigest, Constant
from xlir_bench.errors import InputError, MissingResourceError, at
from xlir_bench.files import cache_folder
from xlir_bench.suites.records import Batch, Layout, batches

if TYPE_CHECKING:
    import pyarrow as pa

IN_MEMORY_BYTES = 64 << 20
"""Sources up to this size are read into lists; larger ones, and compressed ones, are converted and mapped."""

_FORMAT = 1
_ROWS_AT_ONCE = 8192
_HASHES_AT_ONCE = 2_000_000


class StoredColumn(Sequence[str]):
    """A memory-mapped column of strings.

    Attributes:
        values: the column, mapped.
        file: where it is stored, with the ids first and the texts second.
        digest: see `collection.column_digest`; found when it was written.
        unique: whether no value occurs twice.
        empty: how many values are empty.
    """

    def __init__(
        self, values: pa.ChunkedArray, file: Path, digest: bytes, *, unique: bool = False, empty: int = 0
    ) -> None:
        self.values, self.file, self.digest, self.unique, self.empty = values, file, digest, unique, empty

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if (start, stop, step) == (0, len(self), 1):
                return self
            return self.values.slice(start, max(stop - start, 0)).to_pylist()[::step] if step > 0 else list(self)[at]
        return self.values[int(at)].as_py()

    def __iter__(self) -> Iterator[str]:
        for begin in range(0, len(self), _ROWS_AT_ONCE):
            yield from self.values.slice(begin, _ROWS_AT_ONCE).to_pylist()


class RecordStream(Protocol):
    """Records of one language that can be read more than once.

    Attributes:
        language: code of all of them.
        prefix: what is put before every id; "" for nothing.
    """

    @property
    def language(self) -> str:
        """See the class."""
        ...

    @property
    def prefix(self) -> str:
        """See the class."""
        ...

    def batches(self) -> Iterator[Batch]:
        """All records, ids without the prefix."""
        ...

    def small(self) -> bool:
        """Whether they fit in memory without a thought."""
        ...

    def state(self) -> object:
        """What changes whenever the records do; plain JSON."""
        ...


@dataclass(frozen=True)
class Records:
    """Files whose records are texts of one language: a `RecordStream`.

    Attributes:
        paths: JSON lines, in order.
        layout: their fields.
        language: code of all of them.
        prefix: what is put before every id; "" for nothing.
        among: the languages that records may be in, where the layout has a field for the language; those in `language`
            are read.
    """

    paths: tuple[Path, ...]
    layout: Layout
    language: str
    prefix: str = ""
    among: tuple[str, ...] = ()

    def batches(self) -> Iterator[Batch]:
        """See `RecordStream.batches`."""
        for path in self.paths:
            for batch in batches(path, self.layout):
                yield batch.in_language(self.language, self.among) if self.layout.language is not None else batch

    def small(self) -> bool:
        """See `RecordStream.small`."""
        sizes = [path.stat().st_size for path in self.paths]
        return sum(sizes) <= IN_MEMORY_BYTES and not any(path.suffix == ".gz" for path in self.paths)

    def state(self) -> object:
        """See `RecordStream.state`."""
        files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in self.paths]
        chosen = [] if self.layout.language is None else [self.layout.language, self.language, self.among]
        return [self.layout.id, self.layout.text, self.layout.title, *chosen, files]


def read_records(records: RecordStream) -> Texts:
    """The texts of some records, in lists where they are few, else converted once and memory-mapped.

    Raises:
        InputError: a line is not a record, or an id occurs twice; the message names file and line.
        MissingResourceError: the cache cannot be written.
    """
    return _in_memory(records) if records.small() else stored_texts(records)


def stored_texts(records: RecordStream) -> Texts:
    """The texts of some records, memory-mapped; converted now unless that was done before. See `read_records`."""
    target = cache_folder() / "converted" / _key(records)
    if not (target / "about.json").is_file():
        _convert(records, target)
    return _opened(target, records.language)


def positions(ids: Sequence[str], wanted: Iterable[str]) -> dict[str, int]:
    """Where each of `wanted` stands in a column; those that are not there are left out."""
    chosen = set(wanted)
    if not isinstance(ids, StoredColumn):
        return {text_id: row for row, text_id in enumerate(ids) if text_id in chosen}
    import pyarrow as pa
    import pyarrow.compute as pc

    names = sorted(chosen)
    found: dict[str, int] = {}
    first = 0
    for chunk in _stored_ids(ids.file):
        place = pc.index_in(chunk, value_set=pa.array(names, pa.string()))
        rows = pc.indices_nonzero(pc.is_valid(place)).to_numpy()
        for row, name in zip(rows.tolist(), place.take(pa.array(rows)).to_pylist(), strict=True):
            found[names[name]] = first + row
        first += len(chunk)
    return found


def positions_of(side: Texts, wanted: Iterable[str]) -> dict[str, int]:
    """Where ids stand in a side whose columns may be several end to end."""
    chosen = set(wanted)
    found: dict[str, int] = {}
    for run in side.spans:
        part = positions(side.ids[run.start : run.stop], chosen)
        found.update({name: run.start + row for name, row in part.items()})
    return found


def _stored_ids(file: Path) -> Iterator[pa.StringArray]:
    """The ids of a stored file, batch by batch, read and not mapped: pages that are touched once need not stay."""
    import pyarrow as pa

    only_ids = pa.ipc.IpcReadOptions(included_fields=[0])
    with pa.OSFile(str(file)) as source, pa.ipc.open_file(source, options=only_ids) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number).column(0)


def _in_memory(records: RecordStream) -> Texts:
    ids: list[str] = []
    texts: list[str] = []
    seen: set[str] = set()
    for batch in _batches(records):
        for line, text_id in zip(batch.lines, batch.ids.to_pylist(), strict=True):
            if text_id in seen:
                raise _twice(batch.path, line, text_id, records)
            seen.add(text_id)
            ids.append(text_id)
        texts += batch.texts.to_pylist()
    return Texts(ids, texts, [records.language] * len(ids))


def _batches(records: RecordStream) -> Iterator[Batch]:
    """The batches with the prefix before every id."""
    import pyarrow.compute as pc

    for batch in records.batches():
        if records.prefix:
            yield replace(batch, ids=pc.binary_join_element_wise(records.prefix, batch.ids, ""))
        else:
            yield batch


def _twice(path: Path | str, line: int, text_id: str, records: RecordStream) -> InputError:
    name = text_id.removeprefix(records.prefix)
    return InputError(f"{at(path, line)}: id {name!r} occurs twice; ids must be unique")


def _key(records: RecordStream) -> str:
    return hashlib.sha256(json.dumps([_FORMAT, records.prefix, records.state()]).encode()).hexdigest()


def _convert(records: RecordStream, target: Path) -> None:
    """Write the columns beside `target`, then rename: a conversion that is cut off leaves nothing that is read."""
    import pyarrow as pa

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
        try:
            about = _written(records, folder)
            (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")
            if not target.exists():
                folder.rename(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except (OSError, pa.ArrowIOError) as error:
        if not (target / "about.json").is_file():  # else another process was faster
            raise MissingResourceError(
                f"cannot write {target.parent}: {error}; make room, or name another folder in XLIR_BENCH_CACHE"
            ) from None


def _written(records: RecordStream, folder: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = pa.schema([("id", pa.string()), ("text", pa.string())])
    ids, texts = ColumnDigest(), ColumnDigest()
    rows = empty = 0
    with (
        pa.OSFile(str(folder / "texts.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
        _Repetitions(folder) as repetitions,
    ):
        for batch in _batches(records):
            writer.write_batch(pa.record_batch([batch.ids, batch.texts], schema=schema))
            ids.update(*_content(batch.ids))
            texts.update(*_content(batch.texts))
            repetitions.add(batch.ids)
            rows += len(batch.ids)
            empty += pc.sum(pc.equal(pc.binary_length(batch.texts), 0)).as_py() or 0
        suspects = repetitions.suspects()
    if len(suspects):
        _refuse_repetition(records, suspects)
    return {"rows": rows, "ids": ids.digest().hex(), "texts": texts.digest().hex(), "empty": empty}


def _content(values: pa.StringArray) -> tuple[memoryview, np.ndarray[Any, np.dtype[np.int32]]]:
    """The bytes of an array of strings end to end, and the bytes of each."""
    buffers = values.buffers()
    if not len(values):
        return memoryview(b""), np.zeros(0, np.int32)
    offsets = np.frombuffer(buffers[1], np.int32, len(values) + 1, 4 * values.offset)
    content = memoryview(buffers[2])[offsets[0] : offsets[-1]] if buffers[2] is not None else memoryview(b"")
    return content, np.diff(offsets)


def _opened(folder: Path, language: str) -> Texts:
    import pyarrow as pa

    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        file = folder / "texts.arrow"
        table = pa.ipc.open_file(pa.memory_map(str(file))).read_all()
        if table.num_rows != about["rows"]:
            raise ValueError(f"{table.num_rows} rows, not {about['rows']}")
        ids = StoredColumn(table.column("id"), file, bytes.fromhex(about["ids"]), unique=True)
        texts = StoredColumn(table.column("text"), file, bytes.fromhex(about["texts"]), empty=about["empty"])
    except (OSError, ValueError, KeyError, pa.ArrowInvalid) as error:
        raise InputError(f"{folder}: a converted collection that is damaged ({error}); delete the folder") from None
    return Texts(ids, texts, Constant(language, len(ids)))


class _Repetitions:
    """Finds ids that occur twice, in bounded memory: 64-bit hashes go to a file and are sorted range by range."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "hashes"
        self._size = 0

    def __enter__(self) -> _Repetitions:
        self._file = self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink()

    def add(self, ids: pa.StringArray) -> None:
        for begin in range(0, len(ids), _ROWS_AT_ONCE):
            names = ids.slice(begin, _ROWS_AT_ONCE).to_pylist()
            np.fromiter(map(hash, names), np.int64, len(names)).tofile(self._file)
            self._size += len(names)

    def suspects(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Hashes that occur more than once: those of repeated ids, and by rare chance of two others."""
        self._file.flush()
        ranges = -(-self._size // _HASHES_AT_ONCE)
        bounds = np.linspace(-(2.0**63), 2.0**63, ranges + 1)
        return np.concatenate([np.zeros(0, np.int64)] + [self._repeated(low, high) for low, high in pairwise(bounds)])

    def _repeated(self, low: float, high: float) -> np.ndarray[Any, np.dtype[np.int64]]:
        within = []
        with self._path.open("rb") as file:
            while len(piece := np.fromfile(file, np.int64, 1 << 20)):
                # A bound is a float: a hash beside it may fall into both ranges, never into none.
                within.append(piece[(piece >= low) & (piece <= high)])
        values = np.sort(np.concatenate(within))
        return np.unique(values[1:][values[1:] == values[:-1]])


def _refuse_repetition(records: RecordStream, suspects: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    wanted = set(suspects.tolist())
    seen: set[str] = set()
    for batch in _batches(records):
        for line, text_id in zip(batch.lines, batch.ids.to_pylist(), strict=True):
            if hash(text_id) in wanted:
                if text_id in seen:
                    raise _twice(batch.path, line, text_id, records)
                seen.add(text_id)


def remember_hash(path: Path, algorithm: str) -> str:
    """The hash of a file; that of a large one is kept in the cache until the file changes. Hexadecimal."""
    state = path.stat()
    asked = json.dumps([algorithm, str(path.resolve()), state.st_size, state.st_mtime_ns])
    note = cache_folder() / "hashes" / hashlib.sha256(asked.encode()).hexdigest()
    large = state.st_size > IN_MEMORY_BYTES
    if large and note.is_file():
        return note.read_text(encoding="ascii")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if large:
        note.parent.mkdir(parents=True, exist_ok=True)
        unfinished = note.with_name(f".{note.name}.{os.getpid()}")
        unfinished.write_text(found, encoding="ascii")
        unfinished.replace(note)
    return found
