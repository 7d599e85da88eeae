"""The main job: a model on a suite. Load, encode, count, measure, keep."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from xlir_bench.analysis import analysed, row_scores, summary_of
from xlir_bench.analysis.intact import fault_of
from xlir_bench.collection import Collection
from xlir_bench.described import described, environment, reference, zero_shot_statement
from xlir_bench.encoders import Encoder, Model, VectorCache
from xlir_bench.encoders.encode import keeping_vectors
from xlir_bench.encoders.identity import with_kept_documents
from xlir_bench.encoders.verification import StoredCheck, packed_sample
from xlir_bench.engines import Streaming
from xlir_bench.engines.ranked import cache_of_texts, ranked
from xlir_bench.engines.records import Records
from xlir_bench.errors import InputError
from xlir_bench.files import alone_in
from xlir_bench.measures import parse
from xlir_bench.progress import SILENT, Progress, step
from xlir_bench.results import (
    Question,
    Result,
    Timing,
    check_places,
    claim,
    sample_path,
    save_at,
    selected,
    stored_results,
)
from xlir_bench.results.exchange.runs import has_runs, write_runs
from xlir_bench.results.exchange.trec import first_fraction
from xlir_bench.results.store import remove_unfinished_at, runs_path
from xlir_bench.retrieval import Heads, RankTable, default_heads
from xlir_bench.suites import Suite, findings, measurable
from xlir_bench.version import __version__

log = logging.getLogger(__name__)

MOST_NAMED = 100_000_000
"""Documents of rankings that are kept by name: some 4 GB."""


@dataclass(frozen=True)
class Evaluation:
    """What a run gives: the result, and the ranks that every figure in it follows from.

    Attributes:
        result: the figures.
        ranks: what they follow from.
        records: counts of shards that a run which is cut off before the result is written goes on from.
        check: of a model that is code, with a sample of what it gave.
    """

    result: Result
    ranks: RankTable
    records: Records
    check: StoredCheck | None = None

    def sample(self) -> bytes | None:
        """Content of the file by which a model that is code is recognised; None for other models.

        None as well for one that does not give the same vectors twice.
        """
        return packed_sample(self.check.sample()) if self.check is not None and self.check.repeats() else None


@dataclass(frozen=True)
class Output:
    """Where results go.

    Attributes:
        folder: of results.
        top_k: documents of each ranking that are written beside the result as TREC runs; None writes no runs.
        distinct: whether the file's name carries the first digits of the data's fingerprint, for one of several
            collections of one name; see `results.claim`, which says where narrower results go.
        overwrite: whether a file at the result's path that this release cannot read is replaced.
    """

    folder: Path
    top_k: int | None = None
    distinct: bool = False
    overwrite: bool = False

    def of(self, model: Model) -> AbstractContextManager[None]:
        """While this is open, no other run changes what is kept of the model."""
        return alone_in(self.folder / model.info.name)

    def check(self, model: Model, question: Question) -> None:
        """Refuse what is in the way of the model's result; see `results.check_places`."""
        check_places(self.folder, model.info.name, question, distinct=self.distinct, overwrite=self.overwrite)

    def claim(self, result: Result) -> Path:
        """The path to write a result to, free of others; see `results.claim`."""
        return claim(self.folder, result, distinct=self.distinct, overwrite=self.overwrite)


@dataclass(frozen=True)
class SavedResult:
    """A result on disk.

    Attributes:
        result: what it says.
        path: where it is.
        measured_now: whether it was measured just now, or found finished.
        runs: the folder of its TREC runs; None where none were asked for.
    """

    result: Result
    path: Path
    measured_now: bool
    runs: Path | None = None


def evaluate(
    model: Model,
    suite: Suite,
    collection: Collection,
    *,
    cache: VectorCache | Streaming | None = None,
    top_k: int | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure a model on a suite, in every setting that the suite declares.

    Args:
        model: from `encoders.resolve`.
        suite: names the settings and measures.
        collection: from `suites.load`; all of the suite's languages or a part of them.
        cache: where vectors are kept from one run to the next; None keeps nothing. A `Streaming` says that the corpus
            is not to be held in memory; one of more than `STREAMED_ABOVE` documents never is.
        top_k: how many documents of each ranking are to be in `RankTable.rankings`; None leaves it at what the measures
            need.
        progress: called with the number of texts encoded and queries ranked.

    Raises:
        InputError: the model does not know a language of the collection, or gave something that is not a vector, or a
            score that is not a number; the judgements are not usable, or the collection has no row of any setting; or
            `top_k` is too large.
    """
    collection.validate_judgements(f"suite {suite.name}")
    suite = measurable(suite, collection)
    model.language_support.check(collection.languages, model.info.id)
    clock = _Clock()
    across = any(setting != "monolingual" for setting in suite.settings)
    heads = _heads(suite, collection, across, top_k)._replace(judged=_needs_judged(suite))
    found = ranked(model, collection, cache, across_languages=across, heads=heads, progress=progress)
    ranks = found.ranks
    clock.split("encode_s", "rank_s", found.encode_s)
    scores = row_scores(ranks, suite.settings)
    clock.lap("measure_s")
    encode_s = clock.laps["encode_s"]
    result = Result(
        suite=reference(suite, collection),
        model=described(_as_measured(model, cache), collection),
        zero_shot=zero_shot_statement(model, suite, collection),
        harness={"version": __version__},
        environment=environment(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        timing=Timing(
            **clock.laps,
            texts_per_s=found.encoded / encode_s if found.encoded else None,
            texts_encoded=found.encoded,
            texts_from_cache=found.from_cache,
        ),
        summary=summary_of(scores),
        primary={setting: names[0] for setting, names in suite.settings.items()},
        ties=float(ranks.tied.mean()) if len(ranks) else 0.0,
        scores=scores,
        notes=tuple(finding.text for finding in findings(suite, collection)),
    )
    return Evaluation(result, ranks, found.records, found.check)


def measured(
    model: Model,
    suite: Suite,
    collection: Collection,
    *,
    cache: VectorCache | Streaming | None = None,
    top_k: int | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """`evaluate`, with intervals and bias in the result; see there for arguments and errors."""
    evaluation = evaluate(model, suite, collection, cache=cache, top_k=top_k, progress=progress)
    since = perf_counter()
    with step(progress, "intervals and bias"), keeping_vectors(cache_of_texts(cache, model), model.info):
        result = analysed(evaluation.result, evaluation.ranks)
    timing = result.timing.model_copy(update={"analyse_s": round(perf_counter() - since, 4)})
    return replace(evaluation, result=result.model_copy(update={"timing": timing}))


def run(
    model: Model,
    suite: Suite,
    collection: Collection,
    output: Path | Output,
    *,
    cache: VectorCache | Streaming | None = None,
    progress: Progress = SILENT,
) -> SavedResult:
    """`measured`, kept in `output`; of what an earlier run finished there, the result or the part that is asked for.

    A result is finished if it answers the question, or more of the same data, and the ranks beside it are whole and
    its own. That of a model that is code must also have vectors of a sample of texts beside it, and the model must
    still give them.

    Args:
        model: see `evaluate`.
        suite: names the settings and measures.
        collection: see `evaluate`.
        output: the folder of results, and what is kept beside them.
        cache: see `evaluate`.
        progress: called with the number of texts encoded and queries ranked.

    Raises:
        InputError: see `evaluate`; or a file is at the result's path that this release cannot read.
        MissingResourceError: the result cannot be written.
    """
    where = output if isinstance(output, Output) else Output(output)
    suite = measurable(suite, collection)
    earlier = finished(model, suite, collection, where, cache=cache)
    if earlier is not None:
        return earlier
    evaluation = measured(model, suite, collection, cache=cache, top_k=where.top_k, progress=progress)
    with suppress(OSError):
        (where.folder / model.info.name).mkdir(parents=True, exist_ok=True)
    with where.of(model):
        # Only now: a run beside this one may have written a result meanwhile.
        path = where.claim(evaluation.result)
        remove_unfinished_at(path)
        save_at(path, evaluation.result, evaluation.ranks, evaluation.sample())
        if where.top_k is not None:
            write_runs(evaluation.result, evaluation.ranks, path, where.top_k, progress)
    evaluation.records.clear()
    runs = None if where.top_k is None else runs_path(path)
    return SavedResult(evaluation.result, path, measured_now=True, runs=runs)


def finished(
    model: Model, suite: Suite, collection: Collection, where: Output, *, cache: VectorCache | Streaming | None = None
) -> SavedResult | None:
    """What an earlier run finished, or the part of it that is asked for; None where there is nothing. See `run`.

    The model need not be loaded, unless it is code.
    """
    suite = measurable(suite, collection)
    with where.of(model):
        where.check(model, Question.asked(reference(suite, collection), suite.settings))
    for path, earlier in _finished(where, _as_measured(model, cache), suite, collection):
        if where.top_k is None or has_runs(earlier, path, where.top_k):
            runs = None if where.top_k is None else runs_path(path)
            return SavedResult(_part_of(earlier, suite, collection), path, measured_now=False, runs=runs)
    return None


def _as_measured(model: Model, cache: VectorCache | Streaming | None) -> Model:
    """The model as a result identifies it: `--keep-embeddings` rounds documents."""
    if not isinstance(cache, Streaming) or cache.keep is None or not isinstance(model.retriever, Encoder):
        return model
    return replace(model, info=with_kept_documents(model.info))


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = perf_counter()

    def lap(self, name: str) -> None:
        now = perf_counter()
        self.laps[name] = round(now - self._since, 4)
        self._since = now

    def split(self, first: str, second: str, seconds: float) -> None:
        """The lap that ends now as two, the first of which took `seconds`."""
        self.lap(second)
        self.laps[first] = round(seconds, 4)
        self.laps[second] = round(max(self.laps[second] - seconds, 0.0), 4)


def _needs_judged(suite: Suite) -> bool:
    """Whether a measure needs the ranks of documents that are judged not relevant."""
    return any(parse(name).needs == "judged" for names in suite.settings.values() for name in names)


def _heads(suite: Suite, collection: Collection, across: bool, top_k: int | None) -> Heads:
    """What is to be kept of the tops of rankings, for the measures and for who asked."""
    needed = default_heads(across)
    if top_k is None:
        return needed
    if (fraction := first_fraction(collection.judgements.gain)) is not None:
        raise InputError(
            f"--top-k {top_k}: {suite.name} has a gain of {fraction:g}, and TREC's judgements know whole numbers only: "
            "run without --top-k"
        )
    by_language = across and any(setting != "multilingual" for setting in suite.settings)
    depth = max(min(top_k, len(collection.documents)), needed.depth)
    rankings = len(collection.queries) * (len(collection.documents.sizes) if by_language else 1)
    if rankings * depth > MOST_NAMED:
        instead = ", or for --settings multilingual" if by_language and "multilingual" in suite.settings else ""
        raise InputError(
            f"--top-k {top_k}: {suite.name} has {rankings:,} rankings, and {MOST_NAMED:,} documents by name fit into "
            f"memory: ask for {MOST_NAMED // rankings:,} or fewer{instead}"
        )
    return Heads(depth, by_language)


def _finished(where: Output, model: Model, suite: Suite, collection: Collection) -> Iterator[tuple[Path, Result]]:
    """The whole results in the folder that answer the question, and have its ranks, with their paths; the fullest last.

    One that answers more is among them if its ranks are those that the question needs: if both search documents of
    other languages than the query's, or neither does.
    """
    question = Question.asked(reference(suite, collection), suite.settings)
    stored = stored_results(where.folder, model.info.name, suite.name)
    fitting = [(path, result) for path, result in stored if Question.of(result).covers(question)]
    for path, earlier in sorted(fitting, key=lambda found: Question.of(found[1]).figures):
        answered = Question.of(earlier)
        same = (
            answered.across_languages == question.across_languages
            and earlier.model.fingerprint == model.info.fingerprint
            and earlier.model.similarity == described(model).similarity
            and earlier.harness == {"version": __version__}
            and earlier.intervals is not None
            and earlier.zero_shot == zero_shot_statement(model, suite, collection)
        )
        if not same:
            continue
        if fault := fault_of(earlier, path, collection):
            log.warning("%s is not finished%s: %s", path, " and is measured again" * (answered == question), fault)
            continue
        check = StoredCheck.of(model, collection)
        sample = None
        with suppress(OSError):
            sample = sample_path(path).read_bytes()
        if check is None or check.confirms(sample, f"the result {path} and all vectors"):
            yield path, earlier


def _part_of(earlier: Result, suite: Suite, collection: Collection) -> Result:
    """What a finished result says of the settings and measures of a suite; itself where it has no more than those."""
    if Question.of(earlier) == Question.asked(earlier.suite, suite.settings):
        return earlier
    notes = tuple(finding.text for finding in findings(suite, collection))
    return selected(earlier, suite.settings).model_copy(update={"notes": notes})
