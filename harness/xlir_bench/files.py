"""Files that are written whole or not at all, and the folder of what can be made again."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from xlir_bench.errors import InputError, MissingResourceError

CACHE_VARIABLE = "XLIR_BENCH_CACHE"

_UNFINISHED = re.compile(r"\.(.+)\.[0-9a-f]{16}")
"""How `replacing` calls a file that is not written yet."""


def cache_folder() -> Path:
    """`$XLIR_BENCH_CACHE`, else the user's cache folder of this platform."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("xlir-bench")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place if the block ends well; else nothing has changed.

    Raises:
        MissingResourceError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        yield temporary
        # A handle that may write: Windows, and some network file systems, flush no other.
        with temporary.open("r+b") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise MissingResourceError(
            f"cannot write {path}: {error.strerror or error}; make room, or choose another place"
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def within(folder: Path, name: str) -> Path:
    """The path of a file below a folder, proven to be there. Whatever names from elsewhere make is written through it.

    Args:
        folder: where files may be written. It may be a link itself, or lie behind one.
        name: below it, with slashes.

    Raises:
        InputError: the name leads out of the folder, or a link in it does.
    """
    path = folder / name
    try:
        inside = folder.resolve() in path.resolve().parents
    except (OSError, RuntimeError, ValueError):  # a circle of links, a character that no path has
        inside = False
    if not inside or ".." in Path(name).parts:
        raise InputError(f"{folder}: {name!r} leads out of this folder, by its name or by a link; nothing is written")
    return path


def _flush_folder(folder: Path) -> None:
    """Write a folder's list of names to disk, so that a file that was renamed is there after a power failure.

    Windows cannot open a folder, and some file systems cannot flush one; they order their own writes.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """While this is open, no other process is in such a block for the same folder; it waits until that is so.

    The lock is on the folder itself, leaves no file behind, and ends with the process. A folder that is not there, or a
    system or file system without locks, is not waited for. It cannot be entered twice.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def remove_unfinished(folder: Path, ours: Callable[[str], bool]) -> None:
    """Delete what `replacing` left of files that are `ours`, in a process that was killed; none may be at work there.

    Args:
        folder: where the files are.
        ours: of the name of a file that would have been replaced.
    """

    def unfinished(name: str) -> bool:
        found = _UNFINISHED.fullmatch(name)
        return found is not None and ours(found[1])

    remove_files(folder, unfinished)


def remove_files(folder: Path, wanted: Callable[[str], bool]) -> None:
    """Delete the files of a real folder whose names are `wanted`; links, folders and other files stay."""
    if folder.is_symlink():
        return
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if wanted(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108


def remove_folder(folder: Path) -> None:
    """Delete a folder that was made here, with all that is in it.

    Raises:
        InputError: a link or a file is in its place, which is somebody else's.
    """
    if folder.is_symlink() or folder.is_file():
        raise InputError(f"{folder}: a link or a file is in the place of a folder that is made here: move it away")
    shutil.rmtree(folder, ignore_errors=True)


def locked(file: IO[bytes]) -> bool:
    """Whether an open file is now ours alone; where the system has no locks, it is taken to be."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
