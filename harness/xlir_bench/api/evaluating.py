"""`evaluate`: a model on suites or on a collection of one's own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, Unpack, overload

from xlir_bench.api.collection import Collection
from xlir_bench.api.options import EvaluateOptions
from xlir_bench.api.pages import page_of
from xlir_bench.api.result import Result, Results
from xlir_bench.api.session import Session, remarks
from xlir_bench.collection import SETTINGS
from xlir_bench.encoders.objects import in_evaluation_mode
from xlir_bench.errors import InputError, counted, unknown_name
from xlir_bench.suites import DEFAULT_SUITE, Suite, expand, refuse_namesakes, with_sides

log = logging.getLogger(__name__)

AnyModel: TypeAlias = Any
"""An id or a path, or an object of the caller's or of a library that declares no types; see `evaluate`."""

OneSuite: TypeAlias = str | Path | Collection
"""A suite's name, its YAML file, a folder, `mteb:TASK`, `ir_datasets:ID`, or a collection in memory."""


@overload
def evaluate(
    model: AnyModel,
    suite: OneSuite = DEFAULT_SUITE,
    *,
    languages: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
    **options: Unpack[EvaluateOptions],
) -> Result: ...


@overload
def evaluate(
    model: AnyModel,
    suite: list[OneSuite] | tuple[OneSuite, ...],
    *,
    languages: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
    **options: Unpack[EvaluateOptions],
) -> Results: ...


def evaluate(
    model: AnyModel,
    suite: OneSuite | list[OneSuite] | tuple[OneSuite, ...] = DEFAULT_SUITE,
    *,
    languages: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
    **options: Unpack[EvaluateOptions],
) -> Result | Results:
    """Measure a model, in the monolingual, cross-lingual and multilingual settings.

    Args:
        model: an id as for `xlir-bench run`; a `SentenceTransformer`; a model with mteb's or BEIR's interface; an
            object with `encode(texts, *, role, languages)`; or a function from a list of texts to an array.
        suite: one suite gives a `Result`; a list of suites and groups gives `Results`.
        languages: a part of the suite's languages.
        settings: a part of its settings, or its optional ones.
        measures: names as ir_measures writes them, instead of the suite's; the first is primary.
        options: see `EvaluateOptions`.

    Returns:
        What was measured. With `output` it is written there as well.

    Raises:
        InputError: something given is wrong: the model, a name, a collection, what the model returned. With several
            suites, those before it are finished, and in `output` if that was given.
        MissingResourceError: something is not on this machine: a package, a suite's files, room on the disk.

    Examples:
        >>> import xlir_bench as xb
        >>> result = xb.evaluate("random", "xlir-mini", languages=["de", "en", "th"])
        >>> float(result.summary.loc[("multilingual", "AP"), "value"]) < 0.1
        True
    """
    several = isinstance(suite, list | tuple)
    suites = suites_of(
        suite if isinstance(suite, list | tuple) else [suite],
        options.get("query_language"),
        options.get("document_language"),
    )
    if not several and len(suites) != 1:
        raise InputError(f"{suite} is a group of {counted(len(suites), 'suites')}: give it in a list, [{str(suite)!r}]")
    check_settings(settings)
    if languages is not None:
        languages = checked_languages(languages)
    chosen = [one.narrowed(settings).with_measures(measures) for one in suites]
    names = [one.name for one in chosen]
    found: list[Result] = []
    with in_evaluation_mode(model):
        session = Session.open(model, options)
        for one in chosen:
            collection = session.collection(one, languages)
            for remark in remarks(one, collection, asked=settings is not None):
                log.log(logging.WARNING if remark.fault else logging.INFO, "%s: %s", one.name, remark.text)
            found.append(session.measure(one, collection, distinct=names.count(one.name) > 1))
    if session.output is not None:
        for problem in page_of(session.output.folder).left_out:
            log.warning("left out of the page: %s", problem)
    return Results(found) if several else found[0]


def suites_of(
    asked: Sequence[OneSuite], query_language: str | None = None, document_language: str | Sequence[str] | None = None
) -> list[Suite]:
    """The suites of some names, folders and collections, groups replaced by what they name.

    Args:
        asked: what was given.
        query_language: of the queries; see `suites.with_sides`.
        document_language: of the documents.

    Raises:
        InputError, MissingResourceError: see `suites.find`.
    """
    if not asked:
        raise InputError("no suite was given")
    found: list[Suite] = []
    for one in asked:
        if isinstance(one, Collection):
            found += [one.suite] if one.suite not in found else []
        elif one == "":
            raise InputError("no suite was given")
        elif isinstance(one, str | Path):
            found += [suite for suite in expand([str(one)]) if suite not in found]
        else:
            raise InputError(f"a suite is a name, a path or a Collection, not {type(one).__name__}")
    refuse_namesakes(found)
    return with_sides(found, query_language, document_language)


def one_suite_of(asked: OneSuite) -> Suite:
    """The suite of a name, a path or a collection.

    Raises:
        InputError: it is a group of several; or see `suites_of`.
    """
    found = suites_of([asked])
    if len(found) != 1:
        raise InputError(f"{asked} is a group of {len(found)} suites: name one of {', '.join(s.name for s in found)}")
    return found[0]


def check_settings(settings: Sequence[str] | None) -> None:
    """Refuse settings that do not exist.

    Raises:
        InputError: there is one.
    """
    if isinstance(settings, str):
        raise InputError(f"settings is a list of names, such as [{settings!r}]")
    for name in settings or ():
        if name not in SETTINGS:
            raise unknown_name("setting", name, SETTINGS, f"known: {', '.join(SETTINGS)}")


def checked_languages(languages: Sequence[str]) -> list[str]:
    """A list of tags; whether a suite has such languages is seen there.

    Raises:
        InputError: it is something else.
    """
    if isinstance(languages, str) or not isinstance(languages, Iterable):
        raise InputError(f"languages is a list of tags, such as [{str(languages)!r}]")
    found = list(languages)
    if wrong := [tag for tag in found if not isinstance(tag, str)]:
        raise InputError(f"languages: a tag was expected, not {type(wrong[0]).__name__} {wrong[0]!r}")
    return found
