"""A collection that a program holds in memory, as the source of a suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, InstanceOf

from xlir_bench.collection import Collection
from xlir_bench.suites.library import LibrarySource


class MemorySource(LibrarySource):
    """What `xlir_bench.Collection.from_pandas` makes. No YAML file can declare it: it has no collection to give.

    Attributes:
        held: the collection, in all its languages.
    """

    reader: Literal["memory"]
    held: InstanceOf[Collection] = Field(repr=False)

    def sides(self, languages: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """See `Source.sides`: the languages that there are texts in."""
        queries, documents = self.held.queries.sizes, self.held.documents.sizes
        return tuple(code for code in languages if code in queries), tuple(c for c in languages if c in documents)

    def collection(self, languages: Sequence[str]) -> Collection:
        """See `LibrarySource.collection`."""
        return self.held if set(self.held.languages) <= set(languages) else self.held.select(languages)

    def __eq__(self, other: object) -> bool:
        """Two collections in memory are one if they are the same object; their arrays are not compared."""
        return isinstance(other, MemorySource) and other.held is self.held

    def __hash__(self) -> int:
        return id(self.held)
