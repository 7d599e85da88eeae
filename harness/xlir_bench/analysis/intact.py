"""Whether the files beside a stored result are whole and its own, so that the result may be taken for finished."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from xlir_bench.analysis.bias import measure_bias
from xlir_bench.analysis.verified import recompute
from xlir_bench.collection import Collection, Integers
from xlir_bench.errors import XlirError
from xlir_bench.files import cache_folder
from xlir_bench.results import Result, judged_path, leaders_path, load_ranks, ranks_path
from xlir_bench.retrieval import RankTable, Unanswered, Wanted
from xlir_bench.retrieval.ranks import left_out
from xlir_bench.version import __version__

_BIAS_FOLLOWS = 2e-6
"""Figures of bias are stated with six digits."""


def fault_of(result: Result, path: Path, collection: Collection) -> str | None:
    """What is wrong with the ranks and leaders beside a result, in one line; None where nothing is.

    Files that were found intact once are known again by their content, and no figure is computed anew.

    Args:
        result: as it was read.
        path: its file.
        collection: that it is of, by its fingerprint.
    """
    known = cache_folder() / "intact" / _content(path, collection)
    if known.is_file():
        return None
    fault = _fault_of(result, path, collection)
    if fault is None and _content(path, collection) == known.name:
        with suppress(OSError):
            known.parent.mkdir(parents=True, exist_ok=True)
            known.touch()
    return fault


def _content(path: Path, collection: Collection) -> str:
    """SHA-256 over the files of a result, the collection and this release, hexadecimal."""
    digest = hashlib.sha256(f"{__version__} {collection.fingerprint}".encode())
    for file in (path, ranks_path(path), leaders_path(path), judged_path(path)):
        try:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError:
            digest.update(b"absent")
    return digest.hexdigest()


def _fault_of(result: Result, path: Path, collection: Collection) -> str | None:
    try:
        ranks = load_ranks(ranks_path(path))
    except XlirError as error:
        return str(error)
    name = ranks_path(path).name
    if fault := _fault_of_tables(
        ranks, path, collection, any(score.setting != "monolingual" for score in result.scores)
    ):
        return fault
    try:
        if recompute(result, ranks, analysis=False).discrepancies:
            return f"other figures than it states follow from {name} beside it"
        bias = measure_bias(ranks)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return f"no figures follow from {name} beside it ({' '.join(str(error).split())})"
    stated = None if result.bias is None else result.bias.summary
    follows = None if bias is None else bias.summary
    if (stated is None) != (follows is None) or not _same(stated or {}, follows or {}, _BIAS_FOLLOWS):
        return f"other figures of bias than it states follow from {name} and its leaders"
    return None


def _fault_of_tables(ranks: RankTable, path: Path, collection: Collection, across: bool) -> str | None:
    """What is wrong with the tables before a figure is computed from them; None where nothing is."""
    if across and ranks.leaders is None:
        return f"{leaders_path(path).name} beside it is missing"
    for file, is_of in ((ranks_path(path), _is_of), (judged_path(path), _has_others)):
        if not is_of(ranks, across, collection):
            return f"{file.name} beside it is of other queries or judgements"
    return None


def _is_of(ranks: RankTable, across: bool, collection: Collection) -> bool:
    wanted = Wanted.of(collection, across_languages=across)
    return (
        tuple(ranks.languages) == wanted.languages
        and tuple(ranks.pool_sizes) == tuple(collection.documents.sizes.values())
        and _has(ranks, wanted, np.arange(len(wanted)), collection)
        and ranks.unanswered.entries() == Unanswered.of(collection).entries()
        and ranks.left_out == left_out(collection)
    )


def _has_others(ranks: RankTable, across: bool, collection: Collection) -> bool:
    """Whether documents that are judged not relevant, where there are ranks of them, are those of the collection."""
    if ranks.not_relevant is None:
        return True
    wanted = Wanted.of(collection, across_languages=across, judged=True)
    return _has(ranks.not_relevant, wanted, np.flatnonzero(wanted.gain <= 0), collection)


def _has(ranks: RankTable, wanted: Wanted, at: Integers, collection: Collection) -> bool:
    """Whether the rows of a table are those judgements."""
    queries, documents = collection.queries, collection.documents
    return (
        len(ranks) == len(at)
        and np.array_equal(ranks.query, wanted.queries[wanted.query[at]])
        and np.array_equal(ranks.gain, wanted.gain[at])
        and list(ranks.query_id) == [queries.ids[row] for row in ranks.query.tolist()]
        and list(ranks.document_id) == [documents.ids[row] for row in wanted.document[at].tolist()]
    )


def _same(stated: dict[Any, float], follows: dict[Any, float], bound: float) -> bool:
    return stated.keys() == follows.keys() and all(
        abs(follows[key] - value) <= bound * max(1.0, abs(value)) for key, value in stated.items()
    )
