"""Where a result is kept when there are several of one suite's name, and what collections of one name are called."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.results.question import Question, is_as_full
from xlir_bench.results.schema import Result, SuiteReference
from xlir_bench.results.store import (
    judged_path,
    leaders_path,
    load_result,
    ranks_path,
    result_path,
    runs_path,
    sample_path,
)

log = logging.getLogger(__name__)

_DIGITS = 8
_FILES = (ranks_path, leaders_path, judged_path, sample_path)


def name_of_data(suite: SuiteReference) -> str:
    """A suite's name with the first digits of its data's fingerprint, e.g. `en-3f2a91c0`."""
    return f"{suite.name}-{suite.fingerprint[:_DIGITS]}"


def distinct_names(suites: Sequence[SuiteReference]) -> list[str]:
    """A name for each of some references, the same for the same data: the suite's, where no other data has it too."""
    data: dict[str, set[str]] = {}
    for suite in suites:
        data.setdefault(suite.name, set()).add(suite.fingerprint)
    return [suite.name if len(data[suite.name]) == 1 else name_of_data(suite) for suite in suites]


def stored_results(output: Path, model: str, suite: str) -> Iterator[tuple[Path, Result]]:
    """The results of a model on data of a suite's name that can be read, with their paths; the plain one first."""
    folder = output / model
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    wanted = [name for name in names if name.endswith(".json") and name.startswith(suite)]
    for name in sorted(wanted, key=lambda name: (len(name), name)):
        with suppress(InputError, MissingResourceError):
            found = load_result(folder / name)
            if found.suite.name == suite:
                yield folder / name, found


def check_places(output: Path, model: str, question: Question, *, distinct: bool, overwrite: bool) -> None:
    """Refuse what is in the way of a result, before hours are spent on it; see `claim`.

    Raises:
        InputError: there is a file at a path that this release cannot read, or a folder in the place of a file.
    """
    plain = result_path(output, model, question.suite.name)
    front = plain.with_name(f"{name_of_data(question.suite)}.json") if distinct else plain
    own = plain.with_name(f"{question.file_name()}.json")
    _at(front, overwrite)
    _refuse_another(own, question, overwrite)
    for path in (front, own):
        _refuse_folders(path)


def claim(output: Path, result: Result, *, distinct: bool = False, overwrite: bool = False) -> Path:
    """The path to write a result to, free of results that answer something else.

    `<output>/<model>/<suite>.json` belongs to the fullest result of the suite's name (`is_as_full`), of equally full
    ones to that which was measured last. The others lie beside it, each under `Question.file_name`: a fuller result
    moves a narrower one there, and a narrower one goes there itself.

    Args:
        output: the folder of results.
        result: what is to be written.
        distinct: whether `<suite>-<8 digits of the data's fingerprint>.json` takes the place of `<suite>.json`, for one
            of several collections of one name.
        overwrite: whether a file that this release cannot read may be replaced.

    Raises:
        InputError: there is a file at the path that this release cannot read, or a folder in the place of a file.
        MissingResourceError: a result cannot be moved.
    """
    question = Question.of(result)
    check_places(output, result.model.name, question, distinct=distinct, overwrite=overwrite)
    plain = result_path(output, result.model.name, result.suite.name)
    with_digits = plain.with_name(f"{name_of_data(result.suite)}.json")
    own = plain.with_name(f"{question.file_name()}.json")
    wanted = with_digits if distinct else plain
    there = _at(wanted, overwrite)
    if there is not None and Question.of(there) != question:
        if is_as_full(result, there):
            _set_aside(wanted, there, result, overwrite)
        else:
            log.warning("%s is fuller (%s) and is kept: this result is %s", wanted, _extent_of(there), own.name)
            wanted = own
    for other in (plain, with_digits, own):
        earlier = None if other == wanted else _at(other, overwrite=True)
        if earlier is not None and Question.of(earlier) == question:
            _move(other, wanted)
    return wanted


def _set_aside(path: Path, result: Result, new: Result, overwrite: bool) -> None:
    """Move a result to the place of its own, for a new one."""
    aside = path.with_name(f"{Question.of(result).file_name()}.json")
    _refuse_another(aside, Question.of(result), overwrite)
    what = "on other data" if result.suite != new.suite else "in other settings or measures"
    log.warning("%s is a result %s (%s): it is kept as %s", path, what, _extent_of(result), aside.name)
    _move(path, aside)


def _refuse_another(path: Path, question: Question, overwrite: bool) -> None:
    """Refuse a place of its own for a result where somebody put another one."""
    there = _at(path, overwrite)
    if there is not None and Question.of(there) != question:
        raise InputError(f"{path}: another result is there ({_extent_of(there)}): move it, or give another --output")


def _refuse_folders(path: Path) -> None:
    """Refuse a place where a file of the result could not be written, before hours are spent on it."""
    for part in (*_FILES, Path):
        if part(path).is_dir():
            raise InputError(
                f"{part(path)}: a folder is where a file of the result goes: move it, or give another --output"
            )


def _at(path: Path, overwrite: bool) -> Result | None:
    """The result at a path; None where there is nothing, or nothing that is to be kept."""
    try:
        return load_result(path)
    except MissingResourceError:
        return None
    except InputError as error:
        if overwrite:
            return None
        raise InputError(f"{error}. It is not overwritten: give another --output, or --overwrite") from None


def _extent_of(result: Result) -> str:
    return f"data {result.suite.fingerprint[:_DIGITS]}, {Question.of(result).in_words()}"


def _move(path: Path, target: Path) -> None:
    """Rename a result with all that lies beside it. At every instant it is whole, with its ranks, at one of the places.

    Runs that are at the target already, of a result that was there before, are kept under another name.
    """
    runs = runs_path(target)
    try:
        target.unlink(missing_ok=True)
        for part in _FILES:
            if part(path).exists():
                _duplicate(part(path), part(target))
            else:
                part(target).unlink(missing_ok=True)
        _duplicate(path, target)
        if os.path.lexists(runs_path(path)):
            if os.path.lexists(runs):
                numbered = (runs.with_name(f"{runs.name}.{number}") for number in itertools.count(1))
                free = next(place for place in numbered if not os.path.lexists(place))
                runs.rename(free)
                log.warning("%s is of an earlier result: it is kept as %s", runs, free.name)
            runs_path(path).rename(runs)
        for file in (path, *(part(path) for part in _FILES)):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise MissingResourceError(f"{path}: cannot be moved to {target.name} ({error.strerror or error})") from None


def _duplicate(file: Path, target: Path) -> None:
    """Put a file at a second place, whole or not at all; without a copy of its content where links can be made."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        try:
            os.link(file, temporary)
        except OSError:  # a file system without links
            shutil.copyfile(file, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # two links of one file are not renamed onto each other
