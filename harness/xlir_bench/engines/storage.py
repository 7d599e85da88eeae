"""A folder of small files, here or on storage that several machines share."""

from __future__ import annotations

import importlib
import logging
import os
from pathlib import Path
from typing import Any, Protocol

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import replacing
from xlir_bench.offline import is_offline

PATIENCE = 20
"""Seconds within which object storage must take a first object; what follows may be tried again for longer."""

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_FIRST = ".xlir-bench"


class Storage(Protocol):
    """Named contents, each written whole or not at all. Goes through pickle."""

    def read(self, name: str) -> bytes | None:
        """The content; None where there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Keep a content, in place of an earlier one.

        Raises:
            MissingResourceError: it cannot be written.
        """
        ...

    def delete(self, name: str) -> None:
        """Forget a content; it need not be there."""
        ...

    def names(self) -> list[str]:
        """What is there."""
        ...

    def below(self, name: str) -> Storage:
        """A folder in it."""
        ...


class Folder:
    """A folder of this machine, or one that is mounted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes | None:
        """See `Storage.read`. What another put there by a link is not ours, and is not read."""
        try:
            return None if (self._path / name).is_symlink() else (self._path / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MissingResourceError(f"{self._path / name}: cannot be read: {error.strerror or error}") from None

    def write(self, name: str, content: bytes) -> None:
        """See `Storage.write`."""
        with replacing(self._path / name) as temporary:
            temporary.write_bytes(content)

    def delete(self, name: str) -> None:
        """See `Storage.delete`."""
        path = self._path / name
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """See `Storage.names`."""
        if not self._path.is_dir():
            return []
        with os.scandir(self._path) as entries:
            return sorted(e.name for e in entries if e.is_file(follow_symlinks=False) and not e.name.startswith("."))

    def below(self, name: str) -> Folder:
        """See `Storage.below`.

        Raises:
            MissingResourceError: a link, or a file, is in its place.
        """
        path = self._path / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise MissingResourceError(f"{path}: a link or a file is in the place of a folder of xlir-bench: move it")
        return Folder(path)


class Bucket:
    """A folder of object storage, through fsspec: an object appears whole or not at all."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._files, self._root = _file_system(self._url)

    def check(self) -> None:
        """Write an object and delete it: what is wrong with a place should be known before hours of work.

        Raises:
            MissingResourceError: the bucket is not there, may not be written to, or does not answer within `PATIENCE`.
        """
        path = f"{self._root}/{_FIRST}"
        try:
            # Libraries of object storage try again for half a minute and more what cannot be connected to.
            self._in_time("pipe_file", path, b"")
            self._in_time("rm_file", path)
        except FileNotFoundError:
            raise MissingResourceError(f"{self._url}: there is no such bucket: make it, or mend the URL") from None
        except TimeoutError:
            raise MissingResourceError(
                f"{self._url}: no answer within {PATIENCE} s: are the network and the address of the storage right?"
            ) from None
        except Exception as error:  # each storage has its own family of errors
            raise MissingResourceError(f"{self._url}: cannot be written: {_line(error)}") from None

    def read(self, name: str) -> bytes | None:
        """See `Storage.read`."""
        try:
            return bytes(self._files.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise MissingResourceError(f"{self._url}/{name}: cannot be read: {_line(error)}") from None

    def write(self, name: str, content: bytes) -> None:
        """See `Storage.write`."""
        try:
            self._files.pipe_file(f"{self._root}/{name}", content)
        except Exception as error:
            raise MissingResourceError(f"{self._url}/{name}: cannot be written: {_line(error)}") from None

    def delete(self, name: str) -> None:
        """See `Storage.delete`."""
        try:
            self._files.rm_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return
        except Exception as error:
            raise MissingResourceError(f"{self._url}/{name}: cannot be deleted: {_line(error)}") from None

    def names(self) -> list[str]:
        """See `Storage.names`."""
        try:
            paths = [str(path).rstrip("/") for path in self._files.ls(self._root, detail=False)]
        except FileNotFoundError:
            return []
        except Exception as error:
            raise MissingResourceError(f"{self._url}: cannot be listed: {_line(error)}") from None
        # An object of the folder's own name is listed as if it were in it.
        inside = [path.rsplit("/", 1)[-1] for path in paths if path != self._root]
        return sorted(name for name in inside if not name.startswith("."))

    def below(self, name: str) -> Bucket:
        """See `Storage.below`."""
        return Bucket(f"{self._url}/{name}")

    def __reduce__(self) -> tuple[type[Bucket], tuple[str]]:
        return Bucket, (self._url,)

    def _in_time(self, method: str, *given: object) -> None:
        if not self._files.async_impl:
            getattr(self._files, method)(*given)
            return
        asyn = importlib.import_module("fsspec.asyn")
        asyn.sync(self._files.loop, getattr(self._files, f"_{method}"), *given, timeout=PATIENCE)


def check_installed(place: str) -> None:
    """Refuse a place that `storage` cannot reach from this installation, without asking it for anything.

    Raises:
        InputError, MissingResourceError: see `storage`.
    """
    if "://" in place and not place.startswith("file://"):
        _refuse_offline(place)
        _file_system(place)


def _refuse_offline(place: str) -> None:
    if place.partition("://")[0] in _EXTRAS and is_offline():
        raise MissingResourceError(f"{place}: is reached over the network, which --offline forbids: use a folder")


def storage(place: str) -> Storage:
    """A folder by path, or by URL such as s3://bucket/folder, gs://bucket/folder, file:///folder.

    Raises:
        InputError: the URL is of a kind that fsspec does not know.
        MissingResourceError: fsspec, or the package that it needs for this kind, is not installed; the network is
            needed and forbidden; or see `Bucket.check`.
    """
    if place.startswith("file://"):
        return Folder(Path(place.removeprefix("file://")))
    if "://" not in place:
        return Folder(Path(place).expanduser())
    _refuse_offline(place)
    bucket = Bucket(place)
    bucket.check()
    return bucket


def _file_system(url: str) -> tuple[Any, str]:
    try:
        core = importlib.import_module("fsspec.core")
        # Of a listing that is remembered, an object that another process wrote since is missing, or of another size.
        files, root = core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        extra = _EXTRAS.get(url.partition("://")[0])
        hint = f": pip install 'xlir-bench[{extra}]'" if extra else ""
        raise MissingResourceError(f"{url}: {_line(error)}{hint}") from None
    except ValueError as error:
        raise InputError(f"{url}: {_line(error)}; use a path, or a URL with file, s3 or gs") from None
    except Exception as error:
        raise MissingResourceError(f"{url}: cannot be reached: {_line(error)}") from None
    # It logs a traceback of what it raises, and a warning whenever it cannot tell one kind of bucket from another.
    # Whoever configures logging still gets them.
    log = logging.getLogger("gcsfs")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return files, str(root).rstrip("/")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
