"""Results on disk: `<output>/<model>/<suite>.json` beside a Parquet table of ranks. Written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from xlir_bench.errors import InputError, MissingResourceError, first_problem, one_line
from xlir_bench.files import remove_unfinished, replacing
from xlir_bench.parquet_files import TooLargeError, read_table
from xlir_bench.results.schema import SCHEMA_VERSION, Result, impossible
from xlir_bench.retrieval.ranks import Leaders, Names, RankTable, Unanswered

if TYPE_CHECKING:
    import pyarrow as pa

_TABLE_KEY = b"xlir-bench"


def result_path(output: Path, model: str, suite: str) -> Path:
    """Where the result of a model (its safe name) on a suite is kept."""
    return output / model / f"{suite}.json"


def ranks_path(result: Path) -> Path:
    """Where the ranks that a result was computed from are kept."""
    return result.with_suffix(".parquet")


def leaders_path(result: Path) -> Path:
    """Where the first documents of the multilingual rankings are kept, if the run searched every language at once."""
    return result.with_suffix(".leaders.parquet")


def judged_path(result: Path) -> Path:
    """Where the ranks of documents that are judged not relevant are kept, if a measure of the run needs them."""
    return result.with_suffix(".judged.parquet")


def runs_path(result: Path) -> Path:
    """The folder of the TREC runs of a result."""
    return result.with_suffix(".runs")


def sample_path(result: Path) -> Path:
    """Where vectors of a sample of texts are kept, by which a model that is code is recognised before the next run."""
    return result.with_suffix(".sample.npz")


def save(result: Result, ranks: RankTable, output: Path) -> Path:
    """`save_at` the path that follows from the names of model and suite, which is returned."""
    path = result_path(output, result.model.name, result.suite.name)
    save_at(path, result, ranks)
    return path


def save_at(path: Path, result: Result, ranks: RankTable, sample: bytes | None = None) -> None:
    """Write a result after its ranks: a result that is there has its ranks.

    Args:
        path: of the result.
        result: what was found.
        ranks: what its figures follow from.
        sample: content of the file of `sample_path`; an earlier one is removed where there is none.

    Raises:
        InputError: the result is one that `load_result` would refuse, or has no scores. Nothing is written.
        MissingResourceError: no room, or no right to write there.
    """
    text = _readable_again(result, path)
    with replacing(ranks_path(path)) as temporary:
        _write_ranks(ranks, temporary)
        # Leaders of an earlier run must at no instant stand beside the ranks of this one.
        leaders_path(path).unlink(missing_ok=True)
        judged_path(path).unlink(missing_ok=True)
    if ranks.not_relevant is not None:
        with replacing(judged_path(path)) as temporary:
            _write_ranks(ranks.not_relevant, temporary)
    if ranks.leaders is not None:
        with replacing(leaders_path(path)) as temporary:
            _write_leaders(ranks.leaders, temporary)
    sample_path(path).unlink(missing_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    if sample is not None:
        # Last: without it the result is measured again, and an earlier one's would be trusted.
        with replacing(sample_path(path)) as temporary:
            temporary.write_bytes(sample)


def remove_unfinished_at(path: Path) -> None:
    """Delete what a process that was killed while it wrote a result left beside it; none may be at work there."""
    names = {part(path).name for part in (Path, ranks_path, judged_path, leaders_path, sample_path)}
    remove_unfinished(path.parent, names.__contains__)


def _readable_again(result: Result, path: Path) -> str:
    """The result's JSON, if it can be read again."""
    try:
        text = result.model_dump_json(indent=1) + "\n"
        again = Result.model_validate_json(text)
        flaw = impossible(again)
    except ValidationError as error:
        flaw = first_problem(error)
    except ValueError as error:  # pydantic's own, of a text that is not Unicode
        flaw = one_line(error)
    if flaw is not None:
        raise InputError(f"{path}: not written, for no release could read it: {flaw}")
    if not again.scores:
        raise InputError(f"{path}: not written: no setting has a row, so there is no score")
    return text


def check_writable(output: Path) -> None:
    """Refuse a folder that results cannot be written to, before hours are spent on them.

    Raises:
        MissingResourceError: no room, or no right to write there.
    """
    with replacing(output / ".writable") as temporary:
        temporary.write_bytes(b"x")
    (output / ".writable").unlink(missing_ok=True)


def load_result(path: Path) -> Result:
    """Read a result.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not a result, or one of another schema.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise MissingResourceError(f"{path}: no such result") from None
    except RecursionError:
        raise InputError(f"{path}: not a result: nested too deep") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a result: {error}") from None
    if not isinstance(content, dict) or "schema_version" not in content:
        raise InputError(f"{path}: not a result: it has no schema_version")
    if content["schema_version"] != SCHEMA_VERSION:
        raise InputError(
            f"{path}: a result of schema {content['schema_version']!r}; this release reads {SCHEMA_VERSION}: "
            "run the model again, or read it with the release that wrote it"
        )
    try:
        result = Result.model_validate(content)
        flaw = impossible(result)
    except ValidationError as error:
        raise InputError(f"{path}: not a result: {first_problem(error)}") from None
    except RecursionError:
        raise InputError(f"{path}: not a result: nested too deep") from None
    if flaw is not None:
        raise InputError(f"{path}: not a result: it holds {flaw}")
    return result


def find_results(places: Sequence[Path], *, need_ranks: bool = True) -> list[Path]:
    """The result files that are given or lie below the given folders, in order.

    A folder may hold other JSON: files with a table of ranks beside them are taken from it, and those that are results
    by their content.

    Args:
        places: files and folders.
        need_ranks: refuse a folder's result whose table of ranks is missing. It is never passed over, which would
            silently leave it out of a page or a comparison.

    Raises:
        MissingResourceError: a place does not exist, there is no result in any, or a table of ranks is missing.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            for path in sorted(place.rglob("*.json")):
                has_ranks = ranks_path(path).is_file()
                if has_ranks or _is_result(path):
                    found.append(path)
                if need_ranks and not has_ranks and found[-1:] == [path]:
                    raise MissingResourceError(
                        f"{path} has no table of ranks ({ranks_path(path).name} is missing): run the model again, or "
                        "give the file itself to a command that needs no ranks"
                    )
        elif place.is_file():
            found.append(place)
        else:
            raise MissingResourceError(f"{place}: no such file or folder")
    if not found:
        listed = ", ".join(str(place) for place in places)
        raise MissingResourceError(f"no result in {listed}; make one with `xlir-bench run MODEL_ID --output DIR`")
    return found


def _is_result(path: Path) -> bool:
    """Whether a JSON file says that it is a result; of another schema too."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"schema_version", "suite", "model", "scores"} <= content.keys()


_COLUMNS = ("query_id", "question", "query_language", "document_id", "document_language")
_NUMBERS = ("query", "gain", "tied", "rank_in_language", "ahead", "outranked")


def _write_ranks(ranks: RankTable, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, pa.Array] = {"query": pa.array(ranks.query, pa.int32())}
    for name in _COLUMNS:
        columns[name] = pa.array(getattr(ranks, name), pa.string()).dictionary_encode()
    columns["gain"] = pa.array(ranks.gain)
    columns["tied"] = pa.array(ranks.tied)
    columns["rank_in_language"] = pa.array(ranks.rank_in_language, pa.int32())
    if ranks.ahead is not None:
        columns["ahead"] = pa.array(ranks.ahead)
    flat = pa.array(ranks.outranked.ravel())
    columns["outranked"] = pa.FixedSizeListArray.from_arrays(flat, len(ranks.languages))
    header = {
        "languages": ranks.languages,
        "pool_sizes": ranks.pool_sizes,
        "unanswered": ranks.unanswered.entries(),
        "left_out": [[query, *counts] for query, counts in ranks.left_out.items()],
    }
    table = pa.table(columns).replace_schema_metadata({_TABLE_KEY: json.dumps(header).encode()})
    pq.write_table(table, path, compression="zstd")


def load_ranks(path: Path) -> RankTable:
    """Read a table of ranks, with what lies beside it, if any: leaders, and documents that are judged not relevant.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not a table of ranks, or what lies beside it is of another.
    """
    ranks = _load_table(path)
    judged = judged_path(path)
    if not judged.is_file():
        return ranks
    others = _load_table(judged)
    if (others.languages, others.pool_sizes) != (ranks.languages, ranks.pool_sizes):
        raise InputError(f"{judged}: not of the documents of {path.name} beside it")
    return replace(ranks, not_relevant=others)


def _load_table(path: Path) -> RankTable:
    if not path.is_file():
        raise MissingResourceError(f"{path}: no such table of ranks")
    try:
        table = read_table(path, [*_COLUMNS, *_NUMBERS])
        header = json.loads(table.schema.metadata[_TABLE_KEY])
        languages = tuple(header["languages"])
        outranked = _whole_numbers(table["outranked"].combine_chunks().flatten())
        names: dict[str, Any] = {name: _objects(table[name]) for name in _COLUMNS}
        return RankTable(
            query=_whole_numbers(table["query"]).astype(np.int64),
            **names,
            gain=table["gain"].to_numpy(),
            tied=table["tied"].to_numpy(),
            languages=languages,
            pool_sizes=tuple(header["pool_sizes"]),
            outranked=outranked.reshape(-1, len(languages)),
            ahead=_whole_numbers(table["ahead"]) if "ahead" in table.column_names else None,
            leaders=_load_leaders(leaders_path(path), table["query"].to_numpy()),
            rankings=None,
            unanswered=_unanswered(header.get("unanswered", [])),
            left_out=_left_out(header.get("left_out", []), len(languages)),
        )
    except TooLargeError:
        raise
    except Exception as error:  # readers of damaged files raise whatever they run into
        raise InputError(f"{path}: not a table of ranks: {error}") from None


def _unanswered(entries: object) -> Unanswered:
    """The queries without a relevant document, as `Unanswered.entries` lists them.

    Raises:
        ValueError: they are not in that form.
    """
    listed = [tuple(entry) for entry in entries] if isinstance(entries, list) else None
    if listed is None or not all(
        len(entry) == 6 and type(entry[0]) is int and all(isinstance(name, str) for name in entry[1:])
        for entry in listed
    ):
        raise ValueError("its list of queries without a relevant document is damaged")
    return Unanswered.listed(listed)


def _left_out(entries: object, languages: int) -> dict[int, tuple[int, ...]]:
    """`RankTable.left_out` as it is written.

    Raises:
        ValueError: the entries are not in that form.
    """
    if not isinstance(entries, list) or not all(
        isinstance(entry, list) and len(entry) == languages + 1 and all(type(n) is int and n >= 0 for n in entry)
        for entry in entries
    ):
        raise ValueError("its list of documents that rankings leave out is damaged")
    return {entry[0]: tuple(entry[1:]) for entry in entries}


def _write_leaders(leaders: Leaders, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = pa.FixedSizeListArray.from_arrays(pa.array(leaders.place.ravel()), leaders.depth)
    table = pa.table({"query": pa.array(leaders.query, pa.int32()), "place": place})
    pq.write_table(table, path, compression="zstd")


def _load_leaders(path: Path, query: npt.NDArray[np.int32]) -> Leaders | None:
    if not path.is_file():
        return None
    table = read_table(path, ["query", "place"])
    of = _whole_numbers(table["query"]).astype(np.int64)
    if not np.array_equal(of, np.unique(query)):
        raise ValueError(f"{path.name} beside it is of other queries")
    place = _whole_numbers(table["place"].combine_chunks().flatten())
    return Leaders(of, place.reshape(len(of), -1))


def _whole_numbers(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """A column of integers.

    Raises:
        ValueError: it is of another type, or a cell is empty.
    """
    import pyarrow as pa

    if not pa.types.is_integer(column.type) or column.null_count:
        raise ValueError("a column is not of whole numbers")
    found: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def _objects(column: pa.ChunkedArray) -> Names:
    # Stored as a dictionary: each distinct name becomes one Python string, however many rows hold it.
    encoded = column.combine_chunks()
    if not hasattr(encoded, "dictionary"):
        encoded = encoded.dictionary_encode()
    names = np.array(encoded.dictionary.to_pylist(), dtype=object)
    return names[encoded.indices.to_numpy(zero_copy_only=False)]
