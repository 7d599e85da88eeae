"""Whether the encoder gives the ranks that a result claims: a sample of queries is encoded and ranked again.

Counts are kept per language of the documents, so a part of the languages can be checked exactly: the sampled queries
are ranked in the whole pool of a few languages, and the counts must be those that the table has in the same columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import VectorCache, resolve
from xlir_bench.errors import InputError, printable
from xlir_bench.evaluation import evaluate
from xlir_bench.progress import SILENT, Progress
from xlir_bench.results.exchange import Entry
from xlir_bench.retrieval import RankTable
from xlir_bench.submissions.submission import Submission
from xlir_bench.submissions.tables import read_ranks
from xlir_bench.submissions.verify import collection_of
from xlir_bench.suites import find

MOST_DOCUMENTS = 5000
"""Documents that are encoded, unless one language alone has more."""

_ENOUGH = 0.95


@dataclass(frozen=True)
class Rerun:
    """What a sample showed.

    Attributes:
        result: the result's file.
        queries, documents: how many texts were ranked.
        languages: of the documents.
        ranks: how many ranks were compared.
        equal: the share that is exactly equal.
        agreeing: the share that differs by at most one place or two in a hundred, as another machine's rounding may.
        largest: the greatest difference in places.
    """

    result: str
    queries: int
    documents: int
    languages: tuple[str, ...]
    ranks: int
    equal: float
    agreeing: float
    largest: int

    @property
    def holds(self) -> bool:
        """Whether at least 95 % of the ranks agree."""
        return self.agreeing >= _ENOUGH


def rerun(
    submission: Submission,
    entry: Entry,
    queries: int,
    *,
    data: Path | None = None,
    device: str | None = None,
    progress: Progress = SILENT,
) -> Rerun:
    """Encode a sample of a suite's texts with the submission's encoder and compare ranks.

    The sample follows from the fingerprints of model and data, so that it is the same for everyone and not the
    submitter's choice.

    Args:
        submission: one without errors; its encoder is loaded. Weights are safetensors and run no code; an encoder that
            is a server, another package's or a file of vectors is not run.
        entry: one of its results.
        queries: how many to sample.
        data: searched for the suite's files.
        device: as `encoders.resolve` takes it.
        progress: called with the number of texts encoded.

    Raises:
        InputError: the encoder cannot be run here, or the result is of no suite of this release.
        MissingResourceError: files of the suite or weights are not here.
    """
    manifest = submission.manifest
    if manifest is None or (manifest.source.kind != "weights" and manifest.adapter != "bm25"):
        raise InputError(
            f"{printable(submission.name)}: only encoders with weights of their own are run again; "
            "this one is declared otherwise"
        )
    ranks = read_ranks(entry.path)
    collection = collection_of(entry.result, data)
    part = sample(collection, entry, queries)
    model = resolve(str(submission.folder.resolve()), device)
    suite = find(entry.result.suite.name)
    again = evaluate(model, suite, part, cache=VectorCache(), progress=progress).ranks
    return compare(entry.path.name, ranks, again)


def sample(collection: Collection, entry: Entry, queries: int) -> Collection:
    """Some queries, and all documents of as many languages as stay below `MOST_DOCUMENTS`."""
    seed = int(entry.result.model.fingerprint[:8] or "0", 16) ^ int(collection.fingerprint[:8], 16)
    random = np.random.default_rng(seed)
    sizes = collection.documents.sizes
    chosen: list[str] = []
    for code in random.permutation(sorted(sizes)).tolist():
        if not chosen or sum(sizes[one] for one in [*chosen, code]) <= MOST_DOCUMENTS:
            chosen.append(code)
    kept = {code: rows for code, rows in collection.documents.rows_by_language.items() if code in chosen}
    document_rows = np.concatenate([kept[code] for code in sorted(kept)])
    judgements = collection.judgements
    inside = np.isin(judgements.document, document_rows) & (judgements.gain > 0)
    monolingual_only = set(entry.result.summary) == {"monolingual"}
    if monolingual_only:
        same = [
            collection.queries.languages[q] == collection.documents.languages[d]
            for q, d in zip(judgements.query.tolist(), judgements.document.tolist(), strict=True)
        ]
        inside &= np.array(same, dtype=np.bool_)
    candidates = np.unique(judgements.query[inside])
    query_rows = np.sort(random.permutation(candidates)[:queries])
    return Collection(
        _texts(collection.queries, query_rows),
        _texts(collection.documents, document_rows),
        _renumbered(collection.judgements, query_rows, document_rows),
        [collection.questions[row] for row in query_rows.tolist()],
        _renumbered(collection.excluded, query_rows, document_rows),
    )


def compare(name: str, stored: RankTable, again: RankTable) -> Rerun:
    """The counts of a sample against the same cells of the stored table."""
    at = {pair: row for row, pair in enumerate(zip(stored.query_id, stored.document_id, strict=True))}
    pairs = list(zip(again.query_id, again.document_id, strict=True))
    rows = np.array([at.get(pair, -1) for pair in pairs], dtype=np.int64)
    if (rows < 0).any():
        missing = pairs[int(np.flatnonzero(rows < 0)[0])]
        raise InputError(f"{name}: the table of ranks lacks the judgement {printable(' '.join(missing))}")
    columns = np.array([stored.languages.index(code) for code in again.languages], dtype=np.int64)
    before, after = stored.outranked[np.ix_(rows, columns)], again.outranked
    searched = (after >= 0) & (before >= 0)
    claimed, found = before[searched].astype(np.int64) + 1, after[searched].astype(np.int64) + 1
    distance = np.abs(claimed - found)
    agreeing = distance <= np.maximum(1, 0.02 * np.maximum(claimed, found))
    return Rerun(
        name,
        len(np.unique(again.query)),
        sum(again.pool_sizes),
        again.languages,
        len(distance),
        float((distance == 0).mean()) if len(distance) else 0.0,
        float(agreeing.mean()) if len(distance) else 0.0,
        int(distance.max(initial=0)),
    )


def _texts(texts: Texts, rows: np.ndarray) -> Texts:
    chosen = rows.tolist()
    return Texts(*([column[row] for row in chosen] for column in (texts.ids, texts.texts, texts.languages)))


def _renumbered(pairs: Judgements, query_rows: np.ndarray, document_rows: np.ndarray) -> Judgements:
    query_at = {row: place for place, row in enumerate(query_rows.tolist())}
    document_at = {row: place for place, row in enumerate(document_rows.tolist())}
    triples = zip(pairs.query.tolist(), pairs.document.tolist(), pairs.gain.tolist(), strict=True)
    return Judgements.of(
        (query_at[q], document_at[d], gain) for q, d, gain in triples if q in query_at and d in document_at
    )
