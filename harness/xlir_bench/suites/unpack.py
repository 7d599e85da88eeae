"""Archives from elsewhere, unpacked without trust: nothing outside the target, no links, no bombs."""

from __future__ import annotations

import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import within

_CHUNK = 1 << 20
_EXTENSIONS = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)
_MOST_EXTENSION = 1 << 20
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class Bounds:
    """What an archive may hold at most; counted while unpacking, since its own figures may lie.

    Attributes:
        members: entries.
        bytes: of all wanted files together, unpacked.
        ratio: unpacked bytes for each byte of the archive. Text compresses 3 to 20 times.
    """

    members: int = 100_000
    bytes: int = 64 << 30
    ratio: int = 100

    def left(self, archive: Path) -> int:
        """Bytes that may come out of a file."""
        return min(self.bytes, self.ratio * max(archive.stat().st_size, _CHUNK))

    def __str__(self) -> str:
        return f"unpacks to more than {self.ratio} times its size or {self.bytes >> 30} GiB, as a zip bomb does"


BOUNDS = Bounds()


@dataclass(frozen=True)
class _Member:
    name: str
    kind: str  # "file", "folder", or what is refused
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, target: Path, wanted: dict[str, str], bounds: Bounds = BOUNDS) -> None:
    """Take some files out of a zip or tar file.

    Every entry's name and kind is checked, also of those that are not wanted: an archive with one foul entry is not
    trusted at all. Files appear in `target` one rename each, after all of them were unpacked.

    Args:
        archive: a zip file, or a tar file plain or compressed by gzip, bzip2 or xz.
        target: a folder; it is made.
        wanted: name in the archive -> name below `target`.
        bounds: see there.

    Raises:
        InputError: not an archive, damaged, an entry that leads out of the target or is a link or a device, too large,
            or a wanted file is not in it.
        MissingResourceError: the disk is full or cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target) as folder, _members(archive) as members:
            found = _taken(archive, members, wanted, Path(folder), bounds)
            lacking = sorted(set(wanted) - found)
            if lacking:
                raise InputError(f"{archive}: holds no {lacking[0]}; the archive is not the one that was declared")
            for name in wanted.values():
                path = within(target, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / name).replace(path)
    except InputError:
        raise
    except _UntrustedError as error:
        raise InputError(f"{archive}: {error}; the archive is not trusted") from None
    except (*_DAMAGED, ValueError, struct.error, RecursionError) as error:
        raise InputError(f"{archive}: damaged, or no archive: {' '.join(str(error).split())}; get it again") from None
    except OSError as error:
        raise MissingResourceError(f"{target}: cannot be written: {error.strerror or error}; make room") from None


def _taken(archive: Path, members: Iterator[_Member], wanted: dict[str, str], folder: Path, bounds: Bounds) -> set[str]:
    left = bounds.left(archive)
    found: set[str] = set()
    for number, member in enumerate(members, start=1):
        if number > bounds.members:
            raise InputError(f"{archive}: more than {bounds.members:,} entries; not unpacked")
        _check(archive, member)
        name = PurePosixPath(member.name).as_posix()
        if member.kind != "file" or name not in wanted:
            continue
        if name in found:
            raise InputError(f"{archive}: {name} is in it twice; not unpacked")
        found.add(name)
        destination = within(folder, wanted[name])
        destination.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, destination.open("wb") as sink:
            while piece := source.read(_CHUNK):
                left -= len(piece)
                if left < 0:
                    raise InputError(f"{archive}: {bounds}; not unpacked")
                sink.write(piece)
    return found


def _check(archive: Path, member: _Member) -> None:
    name = member.name
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name.partition("/")[0] or "\0" in name
    if outside or (not path.parts and member.kind == "file"):
        raise InputError(f"{archive}: entry {name!r} leads out of the folder; the archive is not trusted")
    if member.kind not in {"file", "folder"}:
        raise InputError(f"{archive}: entry {name!r} is a {member.kind}; the archive is not trusted")


class _UntrustedError(Exception):
    """No error of tarfile, which takes those for a sign of another compression and goes on."""


class _Header(tarfile.TarInfo):
    """A header of a tar file; extensions, which are read into memory whole, are bounded, and sparse files refused."""

    def _proc_member(self, opened: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENSIONS and self.size > _MOST_EXTENSION:
            raise _UntrustedError(f"a header of {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise _UntrustedError(f"entry {self.name!r} is a sparse file")
        found: tarfile.TarInfo = super()._proc_member(opened)  # type: ignore[misc]
        return found

    def _sparse(self, *_: object) -> None:
        raise _UntrustedError(f"entry {self.name!r} is a sparse file")

    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _sparse


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield (_of_zip(opened, info) for info in opened.infolist())
    else:
        with tarfile.open(archive, "r:*", tarinfo=_Header) as opened_tar:
            yield (_of_tar(opened_tar, info) for info in opened_tar)


def _of_zip(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        kind = "link"
    elif info.flag_bits & 0x1:
        kind = "secret: it is encrypted"
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "device"
    else:
        kind = "folder" if info.is_dir() else "file"
    # `orig_filename` is what is written in the archive, before zipfile changes separators.
    return _Member(info.orig_filename, kind, lambda: opened.open(info))


def _of_tar(opened: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    link = info.issym() or info.islnk()
    kind = "file" if info.isreg() else "folder" if info.isdir() else "link" if link else "device"

    def open_member() -> IO[bytes]:
        content = opened.extractfile(info)
        if content is None:
            raise tarfile.ReadError(f"{info.name} has no content")
        return content

    return _Member(info.name, kind, open_member)
