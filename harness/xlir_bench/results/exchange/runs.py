"""Runs in TREC's format with the documents that were found, while a search still knows them.

`trec.write_trec` makes runs from stored ranks, with made-up ids between the relevant documents. Here every document has
its id and its score: for pooling, fusion, re-ranking, error analysis. They are written where they were asked for before
the search.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from xlir_bench.collection import SETTINGS
from xlir_bench.files import remove_files, remove_unfinished
from xlir_bench.progress import SILENT, Progress
from xlir_bench.results.exchange.entry import Entry, safe_name
from xlir_bench.results.exchange.trec import Pool, expected, judgements, pools, token, write
from xlir_bench.results.schema import Result
from xlir_bench.results.store import runs_path
from xlir_bench.retrieval import Rankings, RankTable

INDEX = "runs.json"
"""Written last, with what the other files hold: where these are as it says, the runs are whole."""

_KINDS = (".run", ".qrels")


def write_runs(result: Result, ranks: RankTable, path: Path, depth: int, progress: Progress = SILENT) -> Path:
    """Write `<setting>/<query>-<document>.run` and `.qrels` for each row, and `runs.json`, beside a result.

    Scores are float32 to the last bit, and documents of one score stand by id, descending, as trec_eval puts them.
    `runs.json` says whose runs these are, how deep, and what the result says of each: equal to what trec_eval computes
    from the run for measures with a cut-off up to `depth`, and for all where a pool has no more documents. A query
    without a relevant document was not searched, unless a measure needs documents that are judged not relevant, and has
    no line then; `trec_eval -c` counts it as 0 by its judgement.

    Runs of an earlier search that these do not replace are removed; no other file is.

    Args:
        result: whose runs they are.
        ranks: fresh from the search, with `rankings` at least `depth` deep.
        path: of the result.
        depth: documents of each ranking.
        progress: called with the number of rows written.

    Returns:
        The folder.

    Raises:
        InputError: a gain is no whole number, which judgements of TREC cannot say.
        MissingResourceError: a file cannot be written.
    """
    assert ranks.rankings is not None
    folder = runs_path(path)
    (folder / INDEX).unlink(missing_ok=True)
    remove_unfinished(folder, INDEX.__eq__)
    entry = Entry(result, path)
    rows = list(pools(entry, ranks, [str(score.setting) for score in result.scores]))
    new = {f"{pool.setting}/{pool.name}{kind}" for pool in rows for kind in _KINDS}
    for setting in SETTINGS:  # of an earlier search, perhaps in other settings
        _remove_others(folder / setting, new)
    stage = progress.stage(f"writing runs of {result.model.name}", len(rows), "rows")
    for pool in rows:
        base = folder / pool.setting / pool.name
        write(base.with_name(f"{base.name}.qrels"), judgements(ranks, pool))
        write(
            base.with_name(f"{base.name}.run"), _lines(ranks, ranks.rankings, pool, depth, safe_name(result.model.name))
        )
        stage.advance()
    index = {
        **_whose(result, depth),
        "runs": expected(entry, rows, made_up=False),
        "sha256": _digests(folder, rows),
    }
    write(folder / INDEX, [json.dumps(index, indent=1, ensure_ascii=False, allow_nan=False), "\n"])
    return folder


def has_runs(result: Result, path: Path, depth: int) -> bool:
    """Whether the runs beside a result are its own, whole, and as deep as is asked."""
    try:
        found = json.loads((runs_path(path) / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    whose = _whose(result, depth)
    if not isinstance(found, dict) or {name: found.get(name) for name in whose} != whose:
        return False
    digests = found.get("sha256")
    return isinstance(digests, dict) and all(
        _digest(runs_path(path) / name) == digest for name, digest in digests.items()
    )


def _remove_others(folder: Path, new: set[str]) -> None:
    """Remove the runs of a setting that are not `new`, and unfinished ones."""
    remove_unfinished(folder, lambda name: name.endswith(_KINDS))
    remove_files(folder, lambda name: name.endswith(_KINDS) and f"{folder.name}/{name}" not in new)


def _digests(folder: Path, rows: Sequence[Pool]) -> dict[str, str | None]:
    """The content of every file of some rows, by its name below the folder."""
    names = [f"{pool.setting}/{pool.name}{kind}" for pool in rows for kind in _KINDS]
    return {name: _digest(folder / name) for name in names}


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _whose(result: Result, depth: int) -> dict[str, object]:
    return {
        "depth": depth,
        "model": result.model.fingerprint,
        "suite": result.suite.model_dump(mode="json"),
        "harness": result.harness,
        "settings": sorted({score.setting for score in result.scores}),
    }


def _lines(ranks: RankTable, rankings: Rankings, pool: Pool, depth: int, tag: str) -> Iterator[str]:
    without = ranks.unanswered
    names = dict(zip(ranks.query[pool.at].tolist(), ranks.query_id[pool.at], strict=True))
    names |= dict(zip(without.query[pool.without].tolist(), without.query_id[pool.without], strict=True))
    searched = np.intersect1d(np.array(sorted(names), dtype=np.int64), rankings.queries)
    heads = rankings.of_pool(pool.row.document_language, searched, depth)
    for number, head in zip(searched.tolist(), heads, strict=True):
        query = token(names[number])
        # Nine digits are enough to tell any two float32 apart.
        yield "".join(
            f"{query} Q0 {token(document)} {rank} {score:.9g} {tag}\n" for rank, (document, score) in enumerate(head, 1)
        )
