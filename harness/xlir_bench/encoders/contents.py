"""What the cache of vectors holds, and how to make room in it.

Only files that this package wrote are counted or removed: those that are called as it calls them, in folders that it
made. Links are never followed. Everything else below the folder of vectors is left, and `unrecognised` lists it.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from xlir_bench.encoders.cache import StoredAs, VectorCache
from xlir_bench.encoders.display import display_id
from xlir_bench.encoders.protocol import Role
from xlir_bench.encoders.vector_files import (
    FINGERPRINT,
    METADATA,
    OLD_SEGMENT,
    UNFINISHED,
    FilePair,
    is_pair_file,
    read_metadata,
    write_metadata,
)
from xlir_bench.errors import InputError

log = logging.getLogger(__name__)

_DAY_S = 24 * 3600.0
_STORES = {
    role if stored_as == "float32" else f"{role}-{stored_as}"
    for role in get_args(Role)
    for stored_as in get_args(StoredAs)
}


@dataclass(frozen=True)
class StoredModel:
    """The vectors of one model.

    Attributes:
        fingerprint: the folder's name.
        id: what it was called when it was first used; empty where that is not known.
        name: its safe name.
        revision: the hub's commit, where there is one.
        vectors: how many there are, over both roles.
        bytes: of the files of this model, those of earlier versions included.
        outdated_bytes: of files that an earlier version wrote and that are no longer read.
        last_used: seconds since the epoch.
    """

    fingerprint: str
    id: str
    name: str
    revision: str | None
    vectors: int
    bytes: int
    outdated_bytes: int
    last_used: float


@dataclass(frozen=True)
class Unrecognised:
    """Something below the folder of vectors that this package did not write.

    Attributes:
        path: where it is.
        reason: what it is, or what it lacks.
    """

    path: str
    reason: str


def stored_models(cache: VectorCache) -> list[StoredModel]:
    """Every model in the cache, the most recently used first."""
    found = (_described(folder) for folder in _entries(cache.models) if _why_foreign(folder) is None)
    return sorted(found, key=lambda model: -model.last_used)


def unrecognised(cache: VectorCache) -> list[Unrecognised]:
    """What lies below the folder of vectors and is neither listed by `stored_models` nor removed by `prune`."""
    found: list[Unrecognised] = []
    for folder in _entries(cache.models):
        reason = _why_foreign(folder)
        if reason is not None:
            found.append(Unrecognised(str(folder), reason))
            continue
        for path in _entries(folder):
            if _is_store(path):
                found += [_named(inner) for inner in _entries(path) if not _is_ours(inner)]
            elif not _is_about_the_model(path):
                found.append(_named(path))
    return found


def prune(
    cache: VectorCache, models: Sequence[str] = (), unused_days: float | None = None, outdated: bool = False
) -> list[StoredModel]:
    """Remove the vectors of models. A run that uses them at this moment goes on, and encodes again what is gone.

    Args:
        cache: the cache.
        models: ids, names or beginnings of fingerprints (8 digits or more); all models if there are none.
        unused_days: only models that no run has used for so many days.
        outdated: only files that an earlier version wrote and that are no longer read.

    Returns:
        The models of which something was removed, as they were before.

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
    if outdated:
        chosen = [model for model in chosen if model.outdated_bytes]
    return [model for model in chosen if _remove(cache.models / model.fingerprint, outdated)]


def _entries(folder: Path) -> list[Path]:
    """What a real folder holds, by name; nothing if it cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _why_foreign(path: Path) -> str | None:
    """Why an entry of the folder of vectors is not a model's folder; None if it is one."""
    if path.is_symlink():
        return "a link, which is not followed"
    if not path.is_dir():
        return "not a folder"
    if not FINGERPRINT.fullmatch(path.name):
        return "not named by a fingerprint"
    return None if read_metadata(path) is not None else f"a folder without a {METADATA} of this program"


def _named(path: Path) -> Unrecognised:
    return Unrecognised(str(path), "a link, which is not followed" if path.is_symlink() else "of another program")


def _is_store(path: Path) -> bool:
    """Whether an entry of a model's folder holds vectors of one role."""
    return path.name in _STORES and path.is_dir() and not path.is_symlink()


def _is_about_the_model(path: Path) -> bool:
    return _is_file(path) and (path.name == METADATA or UNFINISHED.fullmatch(path.name) is not None)


def _is_ours(path: Path) -> bool:
    """Whether an entry of a store is a file that this version or an earlier one wrote."""
    return _is_file(path) and (is_pair_file(path.name) or _is_outdated(path))


def _is_outdated(path: Path) -> bool:
    return _is_file(path) and bool(OLD_SEGMENT.fullmatch(path.name) or UNFINISHED.fullmatch(path.name))


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _files(folder: Path) -> Iterator[Path]:
    """The files of a model's folder that this package wrote."""
    for path in _entries(folder):
        if _is_store(path):
            yield from (inner for inner in _entries(path) if _is_ours(inner))
        elif _is_about_the_model(path):
            yield path


def _described(folder: Path) -> StoredModel:
    metadata = read_metadata(folder) or {}
    size, outdated, last_used = 0, 0, 0.0
    for path in _files(folder):
        with contextlib.suppress(OSError):  # another process may be writing or pruning
            status = path.stat()
            size += status.st_size
            outdated += status.st_size if _is_outdated(path) and path.parent != folder else 0
            last_used = max(last_used, status.st_mtime)
    stores = [path for path in _entries(folder) if _is_store(path)]
    return StoredModel(
        fingerprint=folder.name,
        id=str(metadata.get("id") or ""),
        name=str(metadata.get("name") or ""),
        revision=metadata.get("revision"),
        vectors=sum(pair.count() for store in stores for pair in FilePair.all_of(store)),
        bytes=size,
        outdated_bytes=outdated,
        last_used=last_used,
    )


def _is_called(model: StoredModel, wanted: str) -> bool:
    called = {model.id, model.name} & {wanted, display_id(wanted)}
    return bool(called) or (len(wanted) >= 8 and model.fingerprint.startswith(wanted))


def _remove(folder: Path, outdated: bool) -> bool:
    """Delete the files of one model that this package wrote, then the folders that are empty.

    The metadata go last. Where another process added vectors meanwhile they are kept, so that these stay listed.

    Returns:
        Whether anything was deleted; what could not be is named in a warning.
    """
    metadata = read_metadata(folder)
    chosen = [path for path in _files(folder) if path.name != METADATA and (_is_outdated(path) or not outdated)]
    removed = [_removed(path) for path in chosen]
    for path in _entries(folder):
        if _is_store(path):
            _remove_if_empty(path)
    if not outdated and metadata is not None and all(path.name == METADATA for path in _files(folder)):
        removed.append(_removed(folder / METADATA))
        _remove_if_empty(folder)
        if any(path.name != METADATA for path in _files(folder)):
            with contextlib.suppress(OSError):
                write_metadata(folder, metadata)
    return any(removed)


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:  # another process was faster
        return False
    except OSError as error:
        log.warning("%s cannot be removed: %s", path, error.strerror or error)
        return False
    return True


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
