"""Tables of ranks that someone else wrote: bounded before they are read, and possible before they are believed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xlir_bench.errors import InputError, printable
from xlir_bench.parquet_files import pieces, read_schema, size_in_memory
from xlir_bench.results import judged_path, leaders_path, load_ranks, ranks_path
from xlir_bench.retrieval import Leaders, RankTable, Unanswered
from xlir_bench.retrieval.rankings import WHOLE_POOL
from xlir_bench.submissions.untrusted import LIMITS

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_ROWS = 8_000_000
_MOST_BYTES = 4 << 30
_LONGEST_ID = 1024
_QUERIES_AT_ONCE = 4096
_TEXTS = {"query_id", "question", "query_language", "document_id", "document_language"}
_COLUMNS = (*sorted(_TEXTS), "query", "gain", "tied", "outranked")
_CODE = re.compile(r"[A-Za-z0-9-]{1,20}")


def read_ranks(result: Path) -> RankTable:
    """The table of ranks beside a result, if it is within bounds.

    Raises:
        InputError: it is too large, none, or says what no ranking can.
        MissingResourceError: it is not there.
    """
    for path in (ranks_path(result), leaders_path(result), judged_path(result)):
        if path.is_file():
            _check_bounds(path)
    try:
        ranks = load_ranks(ranks_path(result))
        reason = impossible(ranks)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # Columns of other types and shapes than ours, which a table may have that another hand wrote.
        raise InputError(f"{ranks_path(result).name}: not a table of ranks ({type(error).__name__})") from None
    if reason is not None:
        raise InputError(f"{ranks_path(result).name}: {reason}")
    return ranks


def _check_bounds(path: Path) -> None:
    """Go through a Parquet file in small pieces, so that one that swells is found before it is whole in memory."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if path.is_symlink() or path.stat().st_size > LIMITS[".parquet"]:
        raise InputError(f"{path.name}: a link, or larger than a table of ranks may be")
    try:
        odd = [field.name for field in read_schema(path) if not _as_expected(field.name, field.type)]
        if odd:
            raise InputError(f"{path.name}: the column {printable(odd[0])} is of another type than it has to be")
        rows = size = 0
        for batch in pieces(path):
            rows += batch.num_rows
            size += size_in_memory(batch)
            for column in batch.columns:
                if column.null_count:
                    raise InputError(f"{path.name}: a cell is empty")
                if pa.types.is_dictionary(column.type):
                    lengths = pc.binary_length(column.dictionary)
                    if (pc.max(lengths).as_py() or 0) > _LONGEST_ID:
                        raise InputError(f"{path.name}: an id of more than {_LONGEST_ID:,} bytes")
            if rows > _MOST_ROWS or size > _MOST_BYTES:
                raise InputError(f"{path.name}: more than {_MOST_ROWS:,} rows, or {_MOST_BYTES >> 30} GiB in memory")
    except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path.name}: not a table of ranks ({' '.join(str(error).split())[:200]})") from None


def _as_expected(name: str, kind: pa.DataType) -> bool:
    """Whether a column has the type that `results.store` gives it; one of a later release has to be a plain one."""
    from pyarrow import types

    if name in {"outranked", "place"}:
        return bool(types.is_fixed_size_list(kind) and types.is_integer(kind.value_type))
    if name in {"query", "rank_in_language", "ahead"}:
        return bool(types.is_integer(kind))
    if name in _TEXTS:
        return _is_text(kind)
    numbers = types.is_floating(kind) or types.is_boolean(kind)
    return bool(types.is_floating(kind) if name == "gain" else numbers or types.is_integer(kind) or _is_text(kind))


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    value = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(value) or types.is_large_string(value) or types.is_binary(value))


def impossible(ranks: RankTable) -> str | None:
    """Why no ranking has such counts, or None.

    Counts of one query belong to one order of the pool. So they lie between 0 and the pool's size; no two documents of
    a language have the same rank among that language; and going down the whole pool, no count falls, and the count of
    a document's own language grows behind it. Where the first documents of each ranking are kept, a relevant one among
    them is preceded by as many of each language as its counts say. The same holds of the documents that are judged not
    relevant, where their ranks are there.
    """
    return _no_ranking(ranks, 0) or _judged_are_off(ranks)


def _judged_are_off(ranks: RankTable) -> str | None:
    """Why the documents that are judged not relevant, and those that rankings leave out, cannot be; or None."""
    rows = [counts for counts in ranks.left_out.values() if np.any(np.greater(counts, ranks.pool_sizes))]
    if rows:
        return "a ranking leaves out more documents than there are"
    others = ranks.not_relevant
    if others is None or not len(others):
        return None
    columns: dict[str, Any] = {name: np.concatenate([getattr(ranks, name), getattr(others, name)]) for name in _COLUMNS}
    both = replace(
        ranks,
        **columns,
        ahead=None,
        leaders=None,
        unanswered=Unanswered.listed(()),
        not_relevant=None,
    )
    asked = {(number, name) for number, name, *_ in ranks.unanswered.entries()}
    asked |= set(zip(ranks.query.tolist(), ranks.query_id, strict=True))
    if not asked.issuperset(zip(others.query.tolist(), others.query_id, strict=True)):
        return "a document is judged not relevant for a query that is not in the table"
    if (others.gain > 0).any():
        return "a gain of a document that is judged not relevant is above 0"
    return _no_ranking(both, -np.inf)


def _no_ranking(ranks: RankTable, least: float) -> str | None:
    columns = {code: place for place, code in enumerate(ranks.languages)}
    if not len(ranks):
        return "it has no row"
    names = (ranks.query_id, ranks.question, ranks.query_language, ranks.document_id, ranks.document_language)
    if not all(isinstance(name, str) for column in names for name in column):
        return "an id or a language is missing"
    codes = {*ranks.languages, *ranks.query_language}
    if not all(isinstance(code, str) and _CODE.fullmatch(code) for code in codes):
        return "a language is no code"
    if len(columns) != len(ranks.languages) or not set(ranks.document_language) <= set(columns):
        return "its languages are not those of its documents"
    own_column = np.array([columns[code] for code in ranks.document_language], dtype=np.int64)
    counts = ranks.outranked.astype(np.int64)
    sizes = np.asarray(ranks.pool_sizes, dtype=np.int64)
    own = counts[np.arange(len(ranks)), own_column]
    reasons = (
        ((ranks.gain <= least) | ~np.isfinite(ranks.gain)).any() and "a gain is not above 0",
        ((counts < -1) | (counts > sizes)).any() and "a count is outside its pool",
        ((own < 0) | (own >= sizes[own_column])).any() and "a document's rank is outside its pool",
        _repeated(ranks.query, own_column, own) and "two documents of one language have the same rank",
        _repeated(ranks.query, ranks.document_id) and "a document is listed twice for one query",
        ranks.searched_everything and _falls(ranks.query, own_column, counts) and "its counts belong to no order",
        _unanswered_are_off(ranks) and "its queries without a relevant document are no such queries",
        _ahead_is_off(ranks) and "more documents score higher than come before",
        ranks.leaders is not None and _leaders_are_off(ranks, ranks.leaders) and "the first documents are others",
    )
    return next((str(reason) for reason in reasons if reason), None)


def _unanswered_are_off(ranks: RankTable) -> bool:
    """Whether the list of queries without a relevant document is out of bounds or contradicts the table."""
    without = ranks.unanswered
    entries = without.entries()
    names = {name for entry in entries for name in entry[1:]}
    return bool(
        len(entries) > _MOST_ROWS
        or any(len(name.encode("utf-8", "replace")) > _LONGEST_ID for name in names)
        or not all(_CODE.fullmatch(code) for code in without.query_language)
        or not set(without.document_language) <= {*ranks.languages, WHOLE_POOL}
        or np.isin(without.query, ranks.query).any()
        or {*without.query_id} & {*ranks.query_id}
        or (without.query < 0).any()
        or (without.query[1:] < without.query[:-1]).any()
        or len({(entry[1], entry[4]) for entry in entries}) < len(entries)
        or len({(entry[0], *entry[1:4]) for entry in entries}) > len(np.unique(without.query))
    )


def _repeated(*columns: np.ndarray) -> bool:
    """Whether two rows agree in all columns."""
    numbers = [np.unique(column, return_inverse=True)[1] for column in columns]
    order = np.lexsort(numbers)
    same = np.logical_and.reduce([number[order][1:] == number[order][:-1] for number in numbers])
    return bool(same.any())


def _falls(query: np.ndarray, own_column: np.ndarray, counts: np.ndarray) -> bool:
    order = np.lexsort((counts.sum(axis=1), query))
    query, own_column, counts = query[order], own_column[order], counts[order]
    within = np.flatnonzero(query[1:] == query[:-1])
    steps = counts[within + 1] - counts[within]
    behind = steps[np.arange(len(within)), own_column[within]]
    return bool((steps < 0).any() or (behind < 1).any())


def _ahead_is_off(ranks: RankTable) -> bool:
    """Documents with a greater score come before; those that tie may."""
    if ranks.ahead is None or not ranks.searched_everything:
        return False
    return bool((ranks.ahead < 0).any() or (ranks.ahead >= ranks.rank_in_pool).any())


def _leaders_are_off(ranks: RankTable, leaders: Leaders) -> bool:
    """Whether the languages of the first documents contradict the counts of the relevant ones among them."""
    ends = np.cumsum(ranks.pool_sizes)
    if leaders.place.min(initial=0) < -1 or leaders.place.max(initial=0) >= ends[-1]:
        return True
    for begin in range(0, len(leaders.query), _QUERIES_AT_ONCE):
        place = leaders.place[begin : begin + _QUERIES_AT_ONCE]
        language = np.where(place >= 0, np.searchsorted(ends, place, side="right"), -1)
        before = np.zeros((len(place), leaders.depth + 1, len(ends)), dtype=np.int32)
        np.cumsum(language[:, :, None] == np.arange(len(ends)), axis=1, out=before[:, 1:])
        row = np.searchsorted(leaders.query, ranks.query) - begin
        at = np.flatnonzero((row >= 0) & (row < len(place)) & (ranks.rank_in_pool <= leaders.depth))
        if not np.array_equal(before[row[at], ranks.rank_in_pool[at] - 1], ranks.outranked[at]):
            return True
    return False
