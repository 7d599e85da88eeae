"""A result with the way to its ranks, and the names that it gets in other programs' folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xlir_bench.errors import MissingResourceError
from xlir_bench.results.places import distinct_names
from xlir_bench.results.schema import Result
from xlir_bench.results.selection import choose
from xlir_bench.results.store import find_results, load_ranks, load_result, ranks_path
from xlir_bench.retrieval import RankTable

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class Entry:
    """One result to export. Ranks are read when they are needed, and not kept: they are the large part.

    Attributes:
        result: what was found.
        path: its file; the table of ranks lies beside it.
        suite_name: what to call the suite: with digits of its data where other data of that name are exported too; the
            suite's name if it is empty.
    """

    result: Result
    path: Path
    suite_name: str = ""

    @property
    def suite(self) -> str:
        """What the suite is called in the names of files."""
        return self.suite_name or self.result.suite.name

    @property
    def has_ranks(self) -> bool:
        """Whether there is a table of ranks beside the result."""
        return ranks_path(self.path).is_file()

    def ranks(self) -> RankTable:
        """The ranks that every figure follows from.

        Raises:
            MissingResourceError: they are not there.
        """
        if not self.has_ranks:
            raise MissingResourceError(
                f"{ranks_path(self.path)}: the ranks of {self.path.name} are not beside it; copy them there, "
                "or run the model again"
            )
        return load_ranks(ranks_path(self.path))

    @property
    def model_name(self) -> str:
        """ORGANISATION/NAME, as a hub and mteb name models; models of this machine belong to `xlir-bench`."""
        model = self.result.model
        return model.id if _HUB_ID.fullmatch(model.id) else f"xlir-bench/{safe_name(model.name)}"

    @property
    def revision(self) -> str:
        """The hub's commit, else the first 16 digits of the model's fingerprint."""
        model = self.result.model
        return safe_name(model.revision or model.fingerprint[:16] or "none")


def read_entries(places: Sequence[Path], languages: Sequence[str] | None = None) -> list[Entry]:
    """The results in files and folders, in order, of each model and suite the fullest; see `results.choose`.

    Args:
        places: files and folders.
        languages: only results on exactly these.

    Raises:
        MissingResourceError: there is none.
        InputError: a file is no result; or a model has none on these languages.
    """
    paths = find_results(places)
    read = [load_result(path) for path in paths]
    models: dict[str, list[int]] = {}
    for at, result in enumerate(read):
        models.setdefault(result.model.name, []).append(at)
    kept = (
        side[place]
        for side in models.values()
        for place in choose([[(str(paths[at]), read[at]) for at in side]], languages)[0]
    )
    chosen = sorted(kept)
    names = distinct_names([read[at].suite for at in chosen])
    return [Entry(read[at], paths[at], name) for at, name in zip(chosen, names, strict=True)]


def safe_name(name: str) -> str:
    """A name that is one part of a path on every system: letters, digits, `.`, `_` and `-`, never `..` or hidden."""
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).lstrip(".-")[:120] or "unnamed"
