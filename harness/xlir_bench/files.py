"""Files that are written whole or not at all, and the folder of what can be made again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from xlir_bench.errors import InputError, MissingResourceError, at

if TYPE_CHECKING:
    from yaml import BaseLoader, SafeLoader

CACHE_VARIABLE = "XLIR_BENCH_CACHE"


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
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise MissingResourceError(
            f"cannot write {path}: {error.strerror or error}; make room, or choose another place"
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_yaml(path: Path, loader: type[SafeLoader | BaseLoader]) -> object:
    """What a YAML file says.

    Args:
        path: the file.
        loader: one of yaml's safe loaders, or a subclass that reads scalars in another way.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it cannot be read, or is not YAML; the message names the line.
    """
    import yaml

    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except FileNotFoundError:
        raise MissingResourceError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        raise InputError(f"{at(path, line)}: not YAML: {getattr(error, 'problem', error)}") from None


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
