"""Runs and judgements that trec_eval reads, rebuilt from the stored ranks.

A result keeps the exact rank of every relevant document and not the ids of the documents between them. A measure of
trec_eval sees nothing else of a ranking than at which ranks relevant documents stand, so a run with the relevant
documents at their ranks and made-up ids at all others gives the same scores: of AP, RR, nDCG, P, R and Success to the
last digit, on the full pool, however deep. It is no substitute for a run where the other documents matter: pooling,
fusion, re-ranking, or `bpref`, which looks at documents judged not relevant and is left out of `scores.json`. For
these, `xlir-bench run --top-k` writes runs while it still knows the documents: see `runs`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import SETTINGS, Integers, Setting
from xlir_bench.errors import InputError
from xlir_bench.files import replacing
from xlir_bench.measures import parse
from xlir_bench.progress import SILENT, Progress
from xlir_bench.results.exchange.entry import Entry, safe_name
from xlir_bench.retrieval import RankTable, Row
from xlir_bench.retrieval.rankings import WHOLE_POOL

FILLER = "unjudged"
"""What the made-up ids begin with; a number follows."""

MOST_LINES = 20_000_000
"""Lines of a run that are written without being asked twice; some 800 MB."""


@dataclass(frozen=True)
class Pool:
    """The relevant documents of the queries of one row: entries of the table of ranks, by query, then rank.

    Attributes:
        setting: which setting the row is of.
        row: its languages.
        at: places in the table of ranks, (judgements,).
        rank: ranks in this row's pool, in the same order.
        starts: where each query's entries begin, (queries with a relevant document,).
        without: entries of `RankTable.unanswered`: the row's queries without a relevant document.
        others: entries of `RankTable.not_relevant`: documents that are judged not relevant, where they were counted.
    """

    setting: Setting
    row: Row
    at: Integers
    rank: Integers
    starts: Integers
    without: Integers
    others: Integers

    @property
    def name(self) -> str:
        """Of its files."""
        document = "all" if self.row.document_language == WHOLE_POOL else self.row.document_language
        return safe_name(f"{self.row.query_language}-{document}")

    def lines(self, depth: int | None) -> Integers:
        """Lines of each query's ranking: down to its last relevant document; at least one, so that it is counted."""
        kept = self.rank if depth is None else np.where(self.rank <= depth, self.rank, 1)
        return np.maximum.reduceat(kept, self.starts) if len(self.starts) else self.starts


def write_trec(
    entry: Entry,
    folder: Path,
    settings: Sequence[str] = SETTINGS,
    depth: int | None = None,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write `<model>/<suite>/<setting>/<query>-<document>.run` and `.qrels` for each row, and `scores.json`.

    `scores.json` lists what the result says that each run scores.

    Args:
        entry: a result with its ranks.
        folder: where to.
        settings: which settings.
        depth: leave out relevant documents that are ranked below it; measures with a cut-off up to it do not change.
            None leaves out nothing.
        progress: called with the number of rows written.

    Returns:
        The runs' paths.

    Raises:
        InputError: a gain is no whole number, which judgements of TREC cannot say.
        MissingResourceError: there are no ranks, or a file cannot be written.
    """
    ranks = entry.ranks()
    place = folder / safe_name(entry.result.model.name) / safe_name(entry.suite)
    rows = list(pools(entry, ranks, settings))
    names = (_free_prefix(ranks), safe_name(entry.result.model.name))
    stage = progress.stage(f"writing runs of {entry.result.model.name}", len(rows), "rows")
    written = []
    for pool in rows:
        base = place / pool.setting / pool.name
        write(base.with_name(f"{base.name}.qrels"), judgements(ranks, pool))
        write(base.with_name(f"{base.name}.run"), _rankings(ranks, pool, names, depth))
        written.append(base.with_name(f"{base.name}.run"))
        stage.advance()
    index = json.dumps(expected(entry, rows, made_up=True), indent=1, ensure_ascii=False, allow_nan=False)
    write(place / "scores.json", [index, "\n"])
    return written


def run_lines(entry: Entry, settings: Sequence[str] = SETTINGS, depth: int | None = None) -> int:
    """How many lines the runs of these settings take.

    Raises:
        MissingResourceError: there are no ranks.
    """
    return sum(int(pool.lines(depth).sum()) + len(pool.without) for pool in pools(entry, entry.ranks(), settings))


def pools(entry: Entry, ranks: RankTable, settings: Sequence[str]) -> Iterator[Pool]:
    """The rows of the settings that are both asked for and in the result.

    Raises:
        InputError: a gain is no whole number, which judgements of TREC cannot say.
    """
    others = ranks.not_relevant
    gains = ranks.gain if others is None else np.append(ranks.gain, others.gain)
    if first_fraction(gains) is not None:
        raise InputError(f"{entry.path}: a gain is not a whole number; TREC's judgements know whole numbers only")
    measured = {score.setting for score in entry.result.scores}
    for setting in SETTINGS:
        if setting not in settings or setting not in measured:
            continue
        rank = ranks.rank_in_pool if setting == "multilingual" else ranks.rank_in_language
        for row in ranks.rows(setting):
            inside = np.isin(ranks.query, row.queries)
            if row.document_language != WHOLE_POOL:
                inside &= ranks.document_language == row.document_language
            at = np.flatnonzero(inside)
            at = at[np.lexsort((rank[at], ranks.query[at]))]
            starts = np.unique(ranks.query[at], return_index=True)[1].astype(np.int64)
            without = ranks.unanswered.in_pool(row.query_language, row.document_language)
            yield Pool(setting, row, at, rank[at], starts, without, _others(ranks, row))


def _others(ranks: RankTable, row: Row) -> Integers:
    others = ranks.not_relevant
    if others is None:
        return np.empty(0, dtype=np.int64)
    inside = np.isin(others.query, row.queries)
    if row.document_language != WHOLE_POOL:
        inside &= others.document_language == row.document_language
    return np.flatnonzero(inside)


def first_fraction(gain: npt.NDArray[np.float64]) -> float | None:
    """The first gain that is no whole number; None where all are."""
    wrong = gain[gain != np.rint(gain)]
    return float(wrong[0]) if len(wrong) else None


def judgements(ranks: RankTable, pool: Pool) -> Iterator[str]:
    """The lines of a row's judgements.

    Of documents that are judged not relevant all are there where the run counted them; else one for each query without
    a relevant document.
    """
    listed = set()
    for table, places in ((ranks, pool.at), (ranks if ranks.not_relevant is None else ranks.not_relevant, pool.others)):
        for at in places.tolist():
            listed.add(table.query_id[at])
            yield f"{token(table.query_id[at])} 0 {token(table.document_id[at])} {int(table.gain[at])}\n"
    for at in pool.without.tolist():
        if ranks.unanswered.query_id[at] in listed:
            continue
        yield f"{token(ranks.unanswered.query_id[at])} 0 {token(ranks.unanswered.document_id[at])} 0\n"


def _rankings(ranks: RankTable, pool: Pool, names: tuple[str, str], depth: int | None) -> Iterator[str]:
    """The lines of each query's ranking. Scores fall by one from rank to rank, so that no reader meets a tie."""
    prefix, tag = names
    sizes = pool.lines(depth).tolist()
    fillers = [f"{prefix}-{rank}" for rank in range(1, max(sizes, default=1) + 1)]
    ends = [*pool.starts[1:].tolist(), len(pool.at)]
    for start, end, size in zip(pool.starts.tolist(), ends, sizes, strict=True):
        documents = fillers[:size]
        for at, rank in zip(pool.at[start:end].tolist(), pool.rank[start:end].tolist(), strict=True):
            if rank <= size and (depth is None or rank <= depth):
                documents[rank - 1] = token(ranks.document_id[at])
        query = token(ranks.query_id[pool.at[start]])
        yield "".join(
            f"{query} Q0 {document} {rank} {size - rank + 1} {tag}\n" for rank, document in enumerate(documents, 1)
        )
    for at in pool.without.tolist():
        # One line, so that trec_eval counts the query.
        yield f"{token(ranks.unanswered.query_id[at])} Q0 {fillers[0]} 1 1 {tag}\n"


def _free_prefix(ranks: RankTable) -> str:
    """A beginning that no id of a judged document has."""
    prefix = FILLER
    judged = {*ranks.document_id, *(() if ranks.not_relevant is None else ranks.not_relevant.document_id)}
    while any(document.startswith(prefix) for document in judged):
        prefix = f"_{prefix}"
    return prefix


def token(name: str) -> str:
    """An id without white space, which separates TREC's columns: it and `%` become `%` and hexadecimal digits."""
    return re.sub(r"[%\s]", lambda sign: "".join(f"%{byte:02X}" for byte in sign[0].encode()), name)


def expected(entry: Entry, rows: Sequence[Pool], *, made_up: bool) -> list[dict[str, object]]:
    """What the result says of each row.

    Args:
        entry: the result.
        rows: its rows.
        made_up: whether the runs have made-up ids, from which only figures of relevant documents follow.
    """
    said: dict[tuple[str, str, str], dict[str, float]] = {}
    for score in entry.result.scores:
        if made_up and parse(score.measure).needs != "relevant":
            continue
        place = (score.setting, score.query_language, score.document_language)
        said.setdefault(place, {})[score.measure] = score.value
    return [
        {
            "run": f"{pool.setting}/{pool.name}.run",
            "qrels": f"{pool.setting}/{pool.name}.qrels",
            "queries": len(pool.row.queries),
            "documents": pool.row.documents,
            "scores": said.get((pool.setting, pool.row.query_language, pool.row.document_language), {}),
        }
        for pool in rows
    ]


def write(path: Path, texts: Iterable[str]) -> None:
    """A file of texts, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        out.writelines(texts)
