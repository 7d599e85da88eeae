"""Where a result is kept when several collections have one name, and what such collections are called."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from xlir_bench.errors import InputError, MissingResourceError
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


def claim(output: Path, model: str, suite: SuiteReference, *, distinct: bool = False, overwrite: bool = False) -> Path:
    """The path of a model's result on a suite, free of results on other data.

    `<output>/<model>/<suite>.json` belongs to the data that were measured last under the suite's name. A result on
    other data that is there is kept as `<suite>-<8 digits of its data's fingerprint>.json`, and comes back when its
    data are measured again.

    Args:
        output: the folder of results.
        model: the model's safe name.
        suite: what is to be measured on.
        distinct: whether to use the path with digits at once, for one of several collections of one name.
        overwrite: whether a file that this release cannot read may be replaced.

    Raises:
        InputError: there is a file at the path that this release cannot read, or a folder in the place of a file.
        MissingResourceError: a result cannot be moved.
    """
    plain = result_path(output, model, suite.name)
    with_digits = plain.with_name(f"{name_of_data(suite)}.json")
    wanted, other = (with_digits, plain) if distinct else (plain, with_digits)
    there = _at(wanted, overwrite)
    if there is not None and there.suite.fingerprint != suite.fingerprint:
        aside = plain.with_name(f"{name_of_data(there.suite)}.json")
        if aside == wanted:
            raise InputError(f"{wanted}: a result on other data is there: give another --output")
        _at(aside, overwrite)
        log.warning("%s is a result on other data (%s): it is kept as %s", wanted, _data(there), aside.name)
        _move(wanted, aside)
        there = None
    if there is None:
        elsewhere = _at(other, overwrite=True)
        if elsewhere is not None and elsewhere.suite.fingerprint == suite.fingerprint:
            _move(other, wanted)
    _refuse_folders(wanted)
    return wanted


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


def _data(result: Result) -> str:
    return f"{result.suite.fingerprint[:_DIGITS]}, {' '.join(result.suite.languages)}"


def _move(path: Path, target: Path) -> None:
    """Rename a result with all that lies beside it, the result itself last: it has its ranks wherever it is.

    Runs that are at the target already, of a result that was there before, are kept under another name.
    """
    runs = runs_path(target)
    try:
        for part in _FILES:
            if part(path).exists():
                part(path).replace(part(target))
            else:
                part(target).unlink(missing_ok=True)
        if os.path.lexists(runs):
            numbered = (runs.with_name(f"{runs.name}.{number}") for number in itertools.count(1))
            free = next(place for place in numbered if not os.path.lexists(place))
            runs.rename(free)
            log.warning("%s is of an earlier result: it is kept as %s", runs, free.name)
        if os.path.lexists(runs_path(path)):
            runs_path(path).rename(runs)
        path.replace(target)
    except OSError as error:
        raise MissingResourceError(f"{path}: cannot be moved to {target.name} ({error.strerror or error})") from None
