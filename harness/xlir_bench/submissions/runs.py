"""Runs of a submission, against its ranks: `runs/<suite>/<setting>/<query>-<document>.run`, as `export` names them.

A run may hold the real ids of all documents or made-up ones between the relevant; it may end early. Wherever it has a
relevant document, that must stand at the rank that the table of ranks gives it, in trec_eval's order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from xlir_bench.collection import SETTINGS
from xlir_bench.errors import InputError
from xlir_bench.results.exchange.trec import token
from xlir_bench.retrieval import RankTable
from xlir_bench.retrieval.rankings import WHOLE_POOL
from xlir_bench.submissions.submission import RUNS
from xlir_bench.submissions.untrusted import File

_LONGEST_LINE = 4096

Claimed = Mapping[str, Mapping[str, int]]
"""Query -> relevant document -> rank."""


def runs_of(files: Sequence[File], suite: str) -> list[File]:
    """The run files of a suite."""
    return [file for file in files if file.name.startswith(f"{RUNS}/{suite}/") and file.name.endswith(".run")]


def contradictions(file: File, ranks: RankTable) -> tuple[int, list[str]]:
    """How many relevant documents of a run were compared, and a line for each that stands elsewhere than ranked.

    Raises:
        InputError: the file is no run, or its name is that of no row.
    """
    claimed = _claimed(file, ranks)
    scores: dict[str, dict[str, float]] = {}
    lines: dict[str, int] = {}
    for query, document, score in _lines(file):
        lines[query] = lines.get(query, 0) + 1
        if document in claimed.get(query, {}):
            found = scores.setdefault(query, {})
            if document in found:
                raise InputError(f"{file.name}: {document} occurs twice for {query}")
            found[document] = score
    ahead = {query: dict.fromkeys(found, 0) for query, found in scores.items()}
    for query, document, score in _lines(file):
        for relevant, own in scores.get(query, {}).items():
            # The order of trec_eval: score, then id, both descending.
            if (score, document) > (own, relevant):
                ahead[query][relevant] += 1
    wrong = []
    for query, found_ahead in ahead.items():
        for document, count in found_ahead.items():
            if count + 1 != claimed[query][document]:
                wrong.append(f"{document} for {query}: at rank {count + 1:,}, ranked {claimed[query][document]:,}")
    for query, relevant_ranks in claimed.items():
        for document, rank in relevant_ranks.items():
            if rank <= lines.get(query, 0) and document not in scores.get(query, {}):
                wrong.append(f"{document} for {query}: missing, ranked {rank:,}")
    return sum(map(len, scores.values())), wrong


def _claimed(file: File, ranks: RankTable) -> Claimed:
    """The ranks of the row that a run is named after."""
    parts = file.name.removesuffix(".run").split("/")
    setting, (query_language, _, document_language) = parts[2] if len(parts) == 4 else "", parts[-1].partition("-")
    if setting not in SETTINGS:
        raise InputError(f"{file.name}: its place is {RUNS}/SUITE/SETTING/QUERY-DOCUMENT.run")
    inside = ranks.query_language == query_language
    if setting == "multilingual":
        rank = ranks.rank_in_pool
        document_language = WHOLE_POOL if document_language == "all" else document_language
    else:
        rank = ranks.rank_in_language
        inside &= ranks.document_language == document_language
    if not inside.any() or (setting == "multilingual") != (document_language == WHOLE_POOL):
        raise InputError(f"{file.name}: the result has no such row")
    claimed: dict[str, dict[str, int]] = {}
    for at in np.flatnonzero(inside).tolist():
        claimed.setdefault(token(ranks.query_id[at]), {})[token(ranks.document_id[at])] = int(rank[at])
    return claimed


def _lines(file: File) -> Iterator[tuple[str, str, float]]:
    """(query, document, score) of each line."""
    with file.path.open(encoding="utf-8", errors="replace") as text:
        number = 0
        while line := text.readline(_LONGEST_LINE):
            number += 1
            columns = line.split()
            try:
                query, _, document, _, score, _ = columns
                value = float(score)
            except ValueError:
                raise InputError(
                    f"{file.name}:{number}: not a line of a run: query Q0 document rank score tag"
                ) from None
            if not math.isfinite(value):
                raise InputError(f"{file.name}:{number}: the score is {value}")
            yield query, document, value
