"""A folder of small files, here or on storage that several machines share."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import replacing


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
        """See `Storage.read`."""
        try:
            return (self._path / name).read_bytes()
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
        (self._path / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """See `Storage.names`."""
        if not self._path.is_dir():
            return []
        return sorted(path.name for path in self._path.iterdir() if not path.name.startswith("."))

    def below(self, name: str) -> Folder:
        """See `Storage.below`."""
        return Folder(self._path / name)


class Bucket:
    """A folder of object storage, through fsspec: an object appears whole or not at all."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._files, self._root = _file_system(self._url)

    def read(self, name: str) -> bytes | None:
        """See `Storage.read`."""
        try:
            return bytes(self._files.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None
        except Exception as error:  # each storage has its own family of errors
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
        # Another process may have written since the listing was last asked for.
        self._files.invalidate_cache()
        try:
            return sorted(str(path).rsplit("/", 1)[-1] for path in self._files.ls(self._root, detail=False))
        except FileNotFoundError:
            return []
        except Exception as error:
            raise MissingResourceError(f"{self._url}: cannot be listed: {_line(error)}") from None

    def below(self, name: str) -> Bucket:
        """See `Storage.below`."""
        return Bucket(f"{self._url}/{name}")

    def __reduce__(self) -> tuple[type[Bucket], tuple[str]]:
        return Bucket, (self._url,)


def storage(place: str) -> Storage:
    """A folder by path, or by URL such as s3://bucket/folder, gs://bucket/folder, file:///folder.

    Raises:
        InputError: the URL is of a kind that fsspec does not know.
        MissingResourceError: fsspec, or the package that it needs for this kind, is not installed.
    """
    if place.startswith("file://"):
        return Folder(Path(place.removeprefix("file://")))
    return Bucket(place) if "://" in place else Folder(Path(place).expanduser())


def _file_system(url: str) -> tuple[Any, str]:
    try:
        core = importlib.import_module("fsspec.core")
        files, root = core.url_to_fs(url)
    except ImportError as error:
        raise MissingResourceError(f"{url}: {_line(error)}") from None
    except ValueError as error:
        raise InputError(f"{url}: {_line(error)}; use a path, or a URL with file, s3 or gs") from None
    return files, str(root).rstrip("/")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
