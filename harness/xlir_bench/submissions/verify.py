"""Whether the figures of a result follow from its ranks, and the ranks from the suite's judgements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xlir_bench.analysis import Discrepancy, recompute
from xlir_bench.collection import Collection
from xlir_bench.errors import InputError, XlirError, printable
from xlir_bench.results import Result
from xlir_bench.results.exchange import Entry
from xlir_bench.retrieval import RankTable, Unanswered
from xlir_bench.retrieval.ranks import left_out
from xlir_bench.submissions.runs import contradictions, runs_of
from xlir_bench.submissions.tables import read_ranks
from xlir_bench.submissions.untrusted import File
from xlir_bench.suites import find, load, shipped


@dataclass
class Verdict:
    """What was found of one result.

    Attributes:
        result: its file.
        figures: how many were recomputed.
        differences: those that do not follow.
        against: what the ranks themselves were compared with.
        notes: what could not be checked, and why.
    """

    result: str
    figures: int = 0
    differences: list[Discrepancy] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every figure that was recomputed follows."""
        return not self.differences


def verify(entry: Entry, data: Path | None = None, files: Sequence[File] = ()) -> Verdict:
    """Recompute every figure of a result from the ranks beside it.

    Where the suite's files are at hand, the ranks must also be of the suite's judgements: the same queries, documents,
    gains, pool sizes, and data fingerprint. Else someone could leave out hard queries. Whether the encoder gives these
    ranks is a question for `rerun`.

    Args:
        entry: a result, by whomever.
        data: searched for the suite's files.
        files: of the submission; its runs of this suite must not contradict the ranks.
    """
    verdict = Verdict(entry.path.name)
    try:
        ranks = read_ranks(entry.path)
    except XlirError as error:
        verdict.differences.append(Discrepancy("the table of ranks", "is there", printable(error)))
        return verdict
    found = recompute(entry.result, ranks)
    verdict.figures += found.figures
    verdict.notes += [printable(note) for note in found.notes]
    verdict.differences += [_safe(one) for one in found.discrepancies]
    for file in runs_of(files, entry.result.suite.name):
        _compare_run(file, ranks, verdict)
    try:
        collection = collection_of(entry.result, data)
    except XlirError as error:
        verdict.notes.append(f"the ranks were not compared with the suite's judgements: {printable(error)}")
        return verdict
    verdict.against.append(f"the judgements of {entry.result.suite.name}")
    verdict.differences += judged_otherwise(entry.result, ranks, collection)
    return verdict


def _safe(one: Discrepancy) -> Discrepancy:
    """The same, with text of the submission in one printable line."""
    said, follows = (printable(value) if isinstance(value, str) else value for value in (one.said, one.recomputed))
    return Discrepancy(printable(one.figure), said, follows)


def _compare_run(file: File, ranks: RankTable, verdict: Verdict) -> None:
    try:
        compared, wrong = contradictions(file, ranks)
    except InputError as error:
        verdict.differences.append(Discrepancy(printable(file.name), "is a run of this result", printable(error)))
        return
    verdict.figures += compared
    verdict.differences += [Discrepancy(printable(file.name), printable(line), None) for line in wrong]


def collection_of(result: Result, data: Path | None) -> Collection:
    """The collection that a result says it is of, if its suite is one of this release's.

    Raises:
        InputError: no such suite, or another version of it.
        MissingResourceError: its files are not here.
    """
    # Only a shipped name is looked up: a name in a stranger's file could be a path, or load a library.
    if result.suite.name not in shipped():
        raise InputError(f"the suite {result.suite.name!r} is not of this release")
    suite = find(result.suite.name)
    if suite.version != result.suite.version:
        raise InputError(f"this release has version {suite.version} of the suite, not {result.suite.version}")
    return load(suite, data, result.suite.languages)


def judged_otherwise(result: Result, ranks: RankTable, collection: Collection) -> Iterator[Discrepancy]:
    """How a table of ranks differs from what the suite would have it be of."""
    if collection.fingerprint != result.suite.fingerprint:
        yield Discrepancy("data fingerprint", result.suite.fingerprint, collection.fingerprint)
    sizes = collection.documents.sizes
    for code, size in zip(ranks.languages, ranks.pool_sizes, strict=True):
        if sizes.get(code) != size:
            yield Discrepancy(f"documents in {printable(code)}", size, sizes.get(code))
    others = ranks.not_relevant
    said = _said(ranks) | (_said(others) if others is not None else {})
    expected = dict(_expected(collection, ranks.searched_everything, judged=others is not None))
    for kind, pairs in (
        ("judgements left out", expected.keys() - said.keys()),
        ("judgements that the suite has not", said.keys() - expected.keys()),
        ("judgements changed", {pair for pair in said.keys() & expected.keys() if said[pair] != expected[pair]}),
    ):
        if pairs:
            query, document = min(pairs)
            yield Discrepancy(kind, f"{len(pairs):,}, e.g. {printable(query)} {printable(document)}", "0")
    without = {entry[1:5] for entry in ranks.unanswered.entries()} ^ {
        entry[1:5] for entry in Unanswered.of(collection).entries()
    }
    if without:
        yield Discrepancy("queries without a relevant document", f"{len(without):,} others", "0")
    if (ranks.left_out or others is not None) and ranks.left_out != left_out(collection):
        yield Discrepancy("documents that rankings leave out", "others", "those of the suite")


def _said(ranks: RankTable) -> dict[tuple[str, str], tuple[Any, ...]]:
    pairs = zip(ranks.query_id, ranks.document_id, strict=True)
    values = zip(ranks.gain.tolist(), ranks.question, ranks.query_language, ranks.document_language, strict=True)
    return dict(zip(pairs, values, strict=True))


def _expected(
    collection: Collection, across: bool, *, judged: bool
) -> Iterator[tuple[tuple[str, str], tuple[Any, ...]]]:
    """(query id, document id) -> gain, question and languages of each judgement that a run ranks.

    Args:
        collection: the suite's.
        across: whether every query searches all documents.
        judged: whether the run ranks documents that are judged not relevant too.
    """
    queries, documents, judgements = collection.queries, collection.documents, collection.judgements
    excluded = set(zip(collection.excluded.query.tolist(), collection.excluded.document.tolist(), strict=True))
    triples = zip(judgements.query.tolist(), judgements.document.tolist(), judgements.gain.tolist(), strict=True)
    for query, document, gain in triples:
        x, y = queries.languages[query], documents.languages[document]
        if (gain > 0 or judged) and (across or x == y) and (query, document) not in excluded:
            yield (queries.ids[query], documents.ids[document]), (gain, collection.questions[query], x, y)
