"""What the cache of vectors holds, and how to make room in it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xlir_bench.encoders.cache import CARD, Shelf, VectorCache
from xlir_bench.errors import InputError

_DAY_S = 24 * 3600.0


@dataclass(frozen=True)
class StoredModel:
    """The vectors of one model.

    Attributes:
        fingerprint: the folder's name.
        id: what it was called when it was first used; empty where no card says so.
        name: its safe name.
        revision: the hub's commit, where there is one.
        vectors: how many there are, over both roles.
        bytes: of the folder.
        last_used: seconds since the epoch.
    """

    fingerprint: str
    id: str
    name: str
    revision: str | None
    vectors: int
    bytes: int
    last_used: float


def stored_models(cache: VectorCache) -> list[StoredModel]:
    """Every model in the cache, the most recently used first."""
    root = cache.folder / "vectors"
    folders = [folder for folder in root.iterdir() if folder.is_dir()] if root.is_dir() else []
    return sorted((_described(cache, folder) for folder in folders), key=lambda model: -model.last_used)


def prune(cache: VectorCache, models: Sequence[str] = (), unused_days: float | None = None) -> list[StoredModel]:
    """Remove the vectors of models; runs that use them at this moment keep what they have opened.

    Args:
        cache: the cache.
        models: ids, names or beginnings of fingerprints (8 digits or more); all models if there are none.
        unused_days: only models that no run has used for so many days.

    Returns:
        What was removed.

    Raises:
        InputError: nothing in the cache is called so.
    """
    found = stored_models(cache)
    for wanted in models:
        if not any(_is_called(model, wanted) for model in found):
            raise InputError(f"the cache at {cache.folder} has no model {wanted!r}; see `xlir-bench cache info`")
    chosen = [model for model in found if not models or any(_is_called(model, wanted) for wanted in models)]
    if unused_days is not None:
        oldest = time.time() - unused_days * _DAY_S
        chosen = [model for model in chosen if model.last_used < oldest]
    for model in chosen:
        _remove(cache.folder / "vectors" / model.fingerprint)
    return chosen


def _described(cache: VectorCache, folder: Path) -> StoredModel:
    card = {}
    with contextlib.suppress(OSError, ValueError):
        card = json.loads((folder / CARD).read_text("utf-8"))
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes, times = [], [0.0]
    for path in files:
        with contextlib.suppress(FileNotFoundError):  # another process may be writing or pruning
            sizes.append(path.stat().st_size)
            times.append(path.stat().st_mtime)
    vectors = sum(len(Shelf(cache, shelf)) for shelf in folder.iterdir() if shelf.is_dir())
    name = str(card.get("name", ""))
    return StoredModel(
        folder.name, str(card.get("id", "")), name, card.get("revision"), vectors, sum(sizes), max(times)
    )


def _is_called(model: StoredModel, wanted: str) -> bool:
    return wanted in {model.id, model.name} or (len(wanted) >= 8 and model.fingerprint.startswith(wanted))


def _remove(folder: Path) -> None:
    """File by file: what another process adds meanwhile stays, and so does the folder that it is in."""
    for path in sorted(folder.rglob("*"), key=lambda path: -len(path.parts)):
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()
