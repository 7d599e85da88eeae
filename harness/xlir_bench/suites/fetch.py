"""`suites fetch`: a suite's files from where they are published into the cache, each checked.

    <cache>/suites/<name>-<digits>/      the files, named as in the declaration; the digits are of its source
                  fetched.json           for every file: where it came from and its SHA-256
    <cache>/downloads/                   archives, while their files are being taken out

A file with a published hash must match it. One without is taken as it comes the first time, if the suite can be read
from it; its hash is recorded, and whenever it is fetched again it must match that, until `forget` forgets it.
Every path that is written or removed comes from `files.within`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, MissingResourceError, XlirError, warn
from xlir_bench.files import cache_folder, replacing, within
from xlir_bench.offline import is_offline
from xlir_bench.progress import SILENT, Progress
from xlir_bench.suites.download import Patience, download
from xlir_bench.suites.load import chosen_languages, earlier_folder, fetched_folder, load, locate
from xlir_bench.suites.names import RECORD, UNFINISHED
from xlir_bench.suites.schema import Suite
from xlir_bench.suites.source import Archive, FileSource, Hash, check_hash
from xlir_bench.suites.stored import remember_hash
from xlir_bench.suites.unpack import unpack

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Fetched:
    """What was done for one suite.

    Attributes:
        suite: its name.
        folder: where its files are.
        new: names of the files that were fetched now.
        present: names of those that were there, and right.
        unpinned: names of those whose hash nobody published; checked against their first fetch only.
    """

    suite: str
    folder: Path
    new: tuple[str, ...]
    present: tuple[str, ...]
    unpinned: tuple[str, ...]


def fetch(suite: Suite, languages: Sequence[str] | None = None, *, progress: Progress = SILENT) -> Fetched:
    """Get the files that a suite needs for some languages. Those that are here and right are not fetched again.

    Args:
        suite: what to fetch.
        languages: a part of the suite's languages; all by default.
        progress: called with the number of bytes received.

    Raises:
        MissingResourceError: nothing says where the files are, or they cannot be had from there.
        InputError: a file is not the published one, not the one that was fetched the first time, or cannot be read.
    """
    codes = chosen_languages(suite, languages)
    source = suite.source
    if not isinstance(source, FileSource):
        raise MissingResourceError(f"suite {suite.name}: the library {source.reader} fetches its data itself, when run")
    if not source.fetchable:
        page = f"; see {source.url}" if source.url else ""
        raise MissingResourceError(
            f"suite {suite.name}: its files may not be passed on, so they cannot be fetched{page}. "
            f"Put them into DIR/{suite.name}/ and give --data DIR"
        )
    folder = fetched_folder(suite)
    record = first_hashes(suite)
    names = source.files(codes)
    _take_over(suite, source, names)
    present = [name for name in names if _is_here(folder / name, source.pinned(name), record.get(name))]
    missing = [name for name in names if name not in present]
    patience = Patience(most_bytes=source.max_bytes)
    single = [name for name in missing if source.address(name) is not None]
    for name in single:
        published, url = source.pinned(name), str(source.address(name))
        first_of = suite.argument if published is None else None
        expected = published or record.get(name)
        download(url, _target(folder, name), expected, first_of=first_of, patience=patience, progress=progress)
    packed = [name for name in missing if name not in single]
    if packed:
        if source.archive is None:
            raise MissingResourceError(f"suite {suite.name}: nothing says where {packed[0]} is")
        _from_archive(suite, source, packed, progress)
    unpinned = [name for name in names if not _has_published_hash(source, name)]
    _check_first(suite, codes, [name for name in unpinned if name not in record])
    _note(suite, source, [name for name in names if name in missing or name in unpinned])
    return Fetched(suite.name, folder, tuple(missing), tuple(present), tuple(unpinned))


def _target(folder: Path, name: str) -> Path:
    """Where a file is downloaded to; what arrives lies beside it until it is complete."""
    for ending in UNFINISHED:
        within(folder, name + ending)
    return within(folder, name)


def _take_over(suite: Suite, source: FileSource, names: Sequence[str]) -> None:
    """Move files that an earlier version fetched, where they have the published hash, and say which are left."""
    folder, earlier = fetched_folder(suite), earlier_folder(suite)
    left = [name for name in names if not (folder / name).is_file() and (earlier / name).is_file()]
    unproven = []
    for name in left:
        path, published = earlier / name, source.pinned(name)
        if published is None or path.is_symlink() or not _is_here(path, published, None):
            unproven.append(name)
            continue
        target = within(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    if unproven:
        warn(f"{earlier}: {unproven[0]} was fetched by an earlier version and matches no published hash: not read")


def _check_first(suite: Suite, codes: Sequence[str], first: Sequence[str]) -> None:
    """Read the suite before the hashes of files that were never fetched before are recorded.

    Raises:
        InputError: it cannot be read; what was fetched for the first time is removed.
    """
    source, folder = suite.source, fetched_folder(suite)
    if not first or not isinstance(source, FileSource):
        return
    try:
        collection = source.read(folder, codes)
        collection.validate(f"suite {suite.name}", empty_documents=source.empty_documents)
    except XlirError as error:
        # Judgements that point to no document may mean that the documents were cut off, so that each file is suspect.
        for name in first:
            within(folder, name).unlink(missing_ok=True)
        if any(source.address(name) is None for name in first):
            forget_archives([suite])
        raise InputError(
            f"suite {suite.name}: {', '.join(first)} cannot be read as fetched, and nothing of it was kept: see what "
            f"the server sends, or fetch it again. {error}"
        ) from None


def obtain(
    suite: Suite, data: Path | None, languages: Sequence[str] | None, *, progress: Progress = SILENT
) -> Collection:
    """`load`, after fetching what is nowhere, unless the network is forbidden or nothing says where the files are.

    Raises:
        MissingResourceError, InputError: see `load` and `fetch`.
    """
    source = suite.source
    if isinstance(source, FileSource) and source.fetchable and not is_offline():
        try:
            if locate(suite, data, chosen_languages(suite, languages)) == fetched_folder(suite):
                fetch(suite, languages, progress=progress)  # some languages may be missing
        except MissingResourceError as nowhere:
            try:
                fetch(suite, languages, progress=progress)
            except MissingResourceError as error:
                raise MissingResourceError(f"{nowhere}. Fetching them failed: {error}") from None
    return load(suite, data, languages)


def first_hashes(suite: Suite) -> dict[str, Hash]:
    """File name -> the hash that it had when it was first fetched, of a suite's files."""
    files = _read_record(suite)
    return {file: Hash(algorithm="sha256", value=entry["sha256"]) for file, entry in files.items()}


@dataclass(frozen=True)
class Pins:
    """What a suite's files are checked against.

    Attributes:
        published: how many files have a published hash, by themselves or as part of an archive that has one.
        unpublished: names of the files without; the first fetch decides.
        first: of these, the hash at the first fetch, where there was one.
    """

    published: int
    unpublished: tuple[str, ...]
    first: dict[str, str]


def pins(suite: Suite) -> Pins | None:
    """What the files of a suite in all its languages are checked against; None where a library keeps them."""
    source = suite.source
    if not isinstance(source, FileSource):
        return None
    names = source.files(suite.languages)
    without = tuple(name for name in names if not _has_published_hash(source, name))
    first = {name: found.value for name, found in first_hashes(suite).items() if name in without}
    return Pins(len(names) - len(without), without, first)


def _from_archive(suite: Suite, source: FileSource, names: Sequence[str], progress: Progress) -> None:
    archive = source.archive
    assert archive is not None
    path = _downloaded(archive, source.max_bytes, progress)
    folder = fetched_folder(suite)
    root = PurePosixPath(archive.root)
    record = first_hashes(suite)
    try:
        unpack(path, folder, {(root / name).as_posix(): name for name in names})
        for name in names:
            if (published := source.pinned(name)) is not None:
                _checked_or_removed(within(folder, name), published)
            if (first := record.get(name)) is not None:
                _checked_or_removed(within(folder, name), first, suite.argument)
    except InputError:
        path.unlink(missing_ok=True)  # else the next fetch would find it here, and the server is never asked again
        raise


def _downloaded(archive: Archive, most_bytes: int | None, progress: Progress) -> Path:
    """The archive in the cache; it stays for other suites that it serves, until `forget_archives`."""
    place = _archive_place(archive)
    if not _is_here(place, archive.pinned, None):
        download(archive.url, place, archive.pinned, patience=Patience(most_bytes=most_bytes), progress=progress)
    return place


def forget_archives(suites: Sequence[Suite]) -> None:
    """Delete the archives that suites were unpacked from."""
    for suite in suites:
        archive = suite.source.archive if isinstance(suite.source, FileSource) else None
        if archive is not None:
            _archive_place(archive).unlink(missing_ok=True)


def _archive_place(archive: Archive) -> Path:
    name = archive.url.partition("?")[0].rpartition("/")[2]
    name = name if _PLAIN.fullmatch(name) else "archive"
    return _target(cache_folder() / "downloads", f"{hashlib.sha256(archive.url.encode()).hexdigest()[:32]}/{name}")


def _has_published_hash(source: FileSource, name: str) -> bool:
    if source.pinned(name) is not None:
        return True
    return source.address(name) is None and source.archive is not None and source.archive.pinned is not None


def _is_here(path: Path, pinned: Hash | None, first: Hash | None) -> bool:
    """Whether a file is there and right. One that is there and wrong is fetched again."""
    expected = pinned or first
    if not path.is_file():
        return False
    try:
        if expected is not None:
            check_hash(path, expected)
    except InputError:
        return False
    return True


def _checked_or_removed(path: Path, expected: Hash, first_of: str | None = None) -> None:
    try:
        check_hash(path, expected, first_of)
    except InputError:
        path.unlink(missing_ok=True)
        raise


def _read_record(suite: Suite) -> dict[str, Any]:
    path = fetched_folder(suite) / RECORD
    if not path.is_file():
        return {}
    try:
        files = dict(json.loads(path.read_bytes())["files"])
        if not all(_SHA256.fullmatch(str(entry["sha256"])) for entry in files.values()):
            raise ValueError
        return files
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: damaged; delete it, and the files' first hashes are recorded anew") from None


def _note(suite: Suite, source: FileSource, names: Sequence[str]) -> None:
    """Record files that are here; what was recorded first stays."""
    known, folder = _read_record(suite), fetched_folder(suite)
    files: dict[str, dict[str, str]] = {}
    for name in names:
        url = source.address(name) or (source.archive.url if source.archive is not None else "")
        if name not in known:
            files[name] = {"url": url, "sha256": remember_hash(folder / name, "sha256")}
    if files:
        with replacing(within(folder, RECORD)) as path:
            path.write_text(json.dumps({"files": {**files, **known}}, indent=1, sort_keys=True), encoding="utf-8")


def forget(suite: Suite) -> tuple[str, ...]:
    """Forget the first fetch of a suite's files that have no published hash, so that the next fetch is the first.

    The files are removed from the cache, with the archive that they came from.

    Returns:
        The names of the files.

    Raises:
        MissingResourceError: a file cannot be removed.
    """
    source, folder = suite.source, fetched_folder(suite)
    if not isinstance(source, FileSource):
        return ()
    names = [name for name in source.files(suite.languages) if not _has_published_hash(source, name)]
    try:
        known = _read_record(suite)
    except InputError:
        known = {}  # damaged; it is written anew
    forgotten = tuple(name for name in names if name in known or (folder / name).is_file())
    try:
        for name in forgotten:
            within(folder, name).unlink(missing_ok=True)
        if names and source.archive is not None and source.archive.pinned is None:
            forget_archives([suite])
        if (folder / RECORD).is_file():
            kept = {name: entry for name, entry in known.items() if name not in names}
            with replacing(within(folder, RECORD)) as path:
                path.write_text(json.dumps({"files": kept}, indent=1, sort_keys=True), encoding="utf-8")
    except OSError as error:
        raise MissingResourceError(f"{folder}: cannot be changed: {error.strerror or error}") from None
    return forgotten
