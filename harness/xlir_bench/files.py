"""Files that are written whole or not at all, and the folder of what can be made again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xlir_bench.errors import MissingResourceError

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
