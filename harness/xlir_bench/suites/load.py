"""From a suite's declaration to its collection: find the folder, check the files, read them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, MissingResourceError, unknown_name
from xlir_bench.files import cache_folder
from xlir_bench.languages import UNKNOWN_LANGUAGE, normalise
from xlir_bench.resources import folder
from xlir_bench.suites.check import refuse_unexpected
from xlir_bench.suites.schema import Suite
from xlir_bench.suites.source import FileSource

log = logging.getLogger(__name__)

_DIGITS = 16


def load(
    suite: Suite, data: Path | None = None, languages: Sequence[str] | None = None, *, expected: bool = True
) -> Collection:
    """The suite's collection, validated, and compared with what its declaration expects.

    Args:
        suite: what to load.
        data: searched as `data/<suite name>/` and as `data/` itself, after the folder that the suite was named by, and
            before the folder named by the environment variable XLIR_BENCH_DATA, where `suites fetch` puts files, and
            the package. Nothing is downloaded.
        languages: a part of the suite's languages, as any tags that `languages.normalise` reads; all by default. Only
            their files are read. Where the language of a suite is not known (`und`), the one that is given here is it.
        expected: refuse a collection with other counts than the declaration's `expect`, or another fingerprint.

    Raises:
        MissingResourceError: the files are nowhere.
        InputError: a language is not the suite's, a file is damaged, or the collection cannot be scored or is not the
            expected one.
    """
    codes = chosen_languages(suite, languages)
    source = suite.source
    if isinstance(source, FileSource):
        place = locate(suite, data, codes)
        source.require(place, codes)
        collection, where = source.read(place, codes), f"suite {suite.name} in {place}"
    else:
        collection, where = source.collection(codes), f"suite {suite.name}"
    collection.validate(where, empty_documents=source.empty_documents)
    if expected:
        refuse_unexpected(suite, collection, codes, where)
    absent = [code for code in codes if code not in collection.languages]
    if absent:
        note = f"{' '.join(absent)}: there is no judged query and no document"
        return replace(collection, notes=(*collection.notes, note))
    return collection


def locate(suite: Suite, data: Path | None, languages: Sequence[str]) -> Path:
    """The folder that holds the suite's files.

    Raises:
        MissingResourceError: no searched folder holds any of them; the message lists the folders.
    """
    source = suite.source
    if not isinstance(source, FileSource):
        raise InputError(f"suite {suite.name}: {source.reader} keeps its files where it likes; there is no folder")
    roots = [Path(root) for root in (data, os.environ.get("XLIR_BENCH_DATA")) if root]
    candidates = [suite.place, suite.place / suite.name] if suite.place is not None else []
    candidates += [place for root in roots for place in (root / suite.name, root)]
    candidates.append(fetched_folder(suite))
    if suite.place is None:
        candidates.append(folder("suites") / suite.name)
    names = source.files(languages)
    for place in candidates:
        if any(source.present(place, name).is_file() for name in names):
            return place
    looked = ", ".join(str(place) for place in candidates)
    origin = f" They are published at {source.url}." if source.url else ""
    fetch = f"`xlir-bench suites fetch {suite.argument}` gets them; or put" if source.fetchable else "Put"
    earlier = ""
    if any((earlier_folder(suite) / name).is_file() for name in names):
        earlier = (
            f" What an earlier version put into {earlier_folder(suite)} is taken by `suites fetch` if it is right."
        )
    raise MissingResourceError(
        f"suite {suite.name}: its files ({names[0]}, ...) are in none of {looked}.{origin}{earlier} "
        f"{fetch} them into DIR/{suite.name}/ and give --data DIR"
    )


def fetched_folder(suite: Suite) -> Path:
    """Where `suites fetch` puts a suite's files: a folder for each declaration of where they are and how they are read.

    Two declarations of one name never share a file: what the one fetched says nothing of the other.
    """
    declared = suite.source.model_dump(mode="json", exclude_defaults=True, exclude={"max_bytes"})
    content = json.dumps(declared, sort_keys=True)
    return cache_folder() / "suites" / f"{suite.name}-{hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]}"


def earlier_folder(suite: Suite) -> Path:
    """Where earlier versions put a suite's files, whoever declared it: only what matches a published hash is taken."""
    return cache_folder() / "suites" / suite.name


def chosen_languages(suite: Suite, languages: Sequence[str] | None) -> tuple[str, ...]:
    """The suite's languages that are in `languages`, in the suite's order; None chooses all.

    Args:
        suite: a suite of one folder whose name is no language, or of a library that states none, is in `und`.
        languages: any tags of them.

    Raises:
        InputError: nothing was chosen, a language is not the suite's, or that of a folder is not stated.
    """
    if languages is None:
        if UNKNOWN_LANGUAGE in suite.languages:
            _say_unknown(suite)
        return suite.languages
    if not languages:
        raise InputError(f"suite {suite.name}: no language was chosen; it has {' '.join(suite.languages)}")
    if suite.languages == (UNKNOWN_LANGUAGE,):
        codes = dict.fromkeys(normalise(tag, unknown=True) for tag in languages)
        if len(codes) > 1:
            raise InputError(f"suite {suite.name} is in one language; {' '.join(languages)} are {len(codes)}")
        return tuple(codes)
    chosen = {tag if tag in suite.languages else _of_suite(tag, suite) for tag in languages}
    return tuple(code for code in suite.languages if code in chosen)


def _of_suite(tag: str, suite: Suite) -> str:
    """The code of a language that must be one of a suite's.

    Raises:
        InputError: it is not.
    """
    has = f"it has {' '.join(suite.languages)}"
    kind = f"language of suite {suite.name}"
    try:
        code = normalise(tag, unknown=True)
    except InputError:
        raise unknown_name(kind, tag, suite.languages, has) from None
    if code not in suite.languages:
        raise unknown_name(kind, tag, suite.languages, has)
    return code


def _say_unknown(suite: Suite) -> None:
    """Say that nobody stated a suite's language; of a folder, which has a name to tell it by, ask for it.

    Raises:
        InputError: the suite is a folder.
    """
    if isinstance(suite.source, FileSource):
        raise InputError(
            f"{suite.place}: the folder's name {suite.title!r} is no language that the table lists: say which language "
            "its texts are in with --languages CODE (`--languages und` if it is not known), or rename the folder"
        )
    log.warning(
        "suite %s: nobody states its language; it is measured as the unknown language und, unless --languages names it",
        suite.name,
    )
