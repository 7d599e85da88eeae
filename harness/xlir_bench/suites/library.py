"""What the sources share that another library reads: records that are no file, and the library itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.external_code import external_code
from xlir_bench.suites.records import Batch
from xlir_bench.suites.source import Source

_IN_MEMORY = 500_000
_AT_ONCE = 8192


class LibrarySource(Source):
    """Base of the sources that a library reads, wherever it keeps its files."""

    @abstractmethod
    def collection(self, languages: Sequence[str]) -> Collection:
        """The collection in these languages.

        Raises:
            MissingResourceError: the library is not installed, or has no data here and cannot fetch them.
            InputError: what it gives is no collection.
        """


@dataclass(frozen=True)
class LibraryRecords:
    """Records that a library gives: a `stored.RecordStream`.

    Attributes:
        name: for messages, and with `identity` the key under which they are stored.
        identity: what changes whenever they do, such as the library's version and a revision.
        size: how many there are.
        rows: gives all (id, text), as often as it is called.
        language: code of all of them.
        prefix: put before every id.
    """

    name: str
    identity: tuple[str, ...]
    size: int
    rows: Callable[[], Iterator[tuple[str, str]]] = field(compare=False)
    language: str
    prefix: str = ""

    def batches(self) -> Iterator[Batch]:
        """See `RecordStream.batches`."""
        first = 1
        ids: list[str] = []
        texts: list[str] = []
        for text_id, text in self.rows():
            ids.append(text_id)
            texts.append(text)
            if len(ids) == _AT_ONCE:
                yield self._batch(first, ids, texts)
                first += len(ids)
                ids, texts = [], []
        if ids:
            yield self._batch(first, ids, texts)

    def _batch(self, first: int, ids: list[str], texts: list[str]) -> Batch:
        import pyarrow as pa

        try:
            columns = pa.array(ids, pa.string()), pa.array(texts, pa.string())
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
            raise InputError(f"{self.name}: among records {first} to {first + len(ids) - 1}: {error}") from None
        if columns[0].null_count or columns[1].null_count:
            raise InputError(f"{self.name}: among records {first} to {first + len(ids) - 1} one lacks its id or text")
        return Batch(self.name, range(first, first + len(ids)), *columns)

    def small(self) -> bool:
        """See `RecordStream.small`."""
        return self.size <= _IN_MEMORY

    def state(self) -> object:
        """See `RecordStream.state`."""
        return [self.name, *self.identity]


def library(package: str, wanted: str) -> ModuleType:
    """An optional package.

    Raises:
        MissingResourceError: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        extra = package.partition(".")[0]
        raise MissingResourceError(f"{wanted} needs the package {extra} ({error}): pip install {extra}") from None


@contextmanager
def library_data(name: str) -> Iterator[None]:
    """Around calls of a library that load a suite's data, or declare it.

    Loaders raise whatever they run into: no network, no such revision, an agreement that was not accepted, a damaged
    file. Some call `sys.exit`, or ask questions on standard output.

    Args:
        name: as typed, `mteb:TASK` or `ir_datasets:ID`.

    Raises:
        MissingResourceError: the library raised something.
    """
    with external_code(f"{name}: its data cannot be loaded", kind=MissingResourceError):
        yield


def library_version(package: str) -> str:
    """The version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
