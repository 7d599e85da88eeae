"""One model with where its vectors and results are kept: what `evaluate` and `xlir-bench run` measure suites with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlir_bench.api.options import EvaluateOptions, as_path, check, encoder_options, storage_of_vectors
from xlir_bench.api.result import Result
from xlir_bench.collection import Collection as TestCollection
from xlir_bench.encoders import Model, VectorCache
from xlir_bench.encoders.objects import model_of
from xlir_bench.engines import Streaming
from xlir_bench.engines.stream import streamable
from xlir_bench.errors import InputError
from xlir_bench.evaluation import Output, measured, run
from xlir_bench.progress import SILENT, Progress, bar, step
from xlir_bench.results.store import check_writable
from xlir_bench.suites import Finding, Suite, findings, is_official, measurable, obtain


@dataclass(frozen=True)
class Session:
    """A model that was loaded, and what was decided about measuring it.

    Attributes:
        model: the model.
        vectors: where vectors are kept, and how a corpus is streamed; None keeps nothing.
        output: where results are written; None writes nothing.
        data: folder searched first for a suite's files.
        draw: whether progress is drawn.
    """

    model: Model
    vectors: VectorCache | Streaming | None = None
    output: Output | None = None
    data: Path | None = None
    draw: bool = False

    @staticmethod
    def open(model: Any, options: EvaluateOptions) -> Session:  # noqa: ANN401 (whatever people hold)
        """Load the model, after what can be refused without it was.

        Args:
            model: see `encoders.objects.model_of`.
            options: see `EvaluateOptions`.

        Raises:
            InputError: an option or the model is wrong.
            MissingResourceError: the model is not here, or results cannot be written.
        """
        check(options)
        folder, top_k = options.get("output"), options.get("top_k")
        if folder is None and top_k is not None:
            raise InputError("top_k writes files beside a result: give output as well")
        output = None
        if folder is not None:
            output = Output(as_path(folder, "output"), top_k, overwrite=options.get("overwrite", False))
            check_writable(output.folder)
        data = options.get("data")
        model_id = str(model) if isinstance(model, str | Path) else None
        vectors = storage_of_vectors(options, model_id)
        draw = options.get("progress", False)
        with _shown(draw) as progress, step(progress, f"loading {_called(model_id)}"):
            loaded = model_of(model, options.get("device"), encoder_options(options), options.get("name"))
        if isinstance(vectors, Streaming):
            streamable(loaded)
        return Session(
            loaded,
            vectors,
            output,
            None if data is None else as_path(data, "data"),
            draw,
        )

    def collection(self, suite: Suite, languages: Sequence[str] | None) -> TestCollection:
        """A suite's collection, fetched where need be; see `suites.obtain`."""
        with self._progress() as progress:
            return obtain(suite, self.data, languages, progress=progress)

    def measure(self, suite: Suite, collection: TestCollection, *, distinct: bool = False) -> Result:
        """The model on a suite; taken from `output` where an earlier run finished it.

        Args:
            suite: names settings and measures.
            collection: from `collection`.
            distinct: whether another collection of the same name is measured beside it; see `evaluation.Output`.

        Raises:
            InputError, MissingResourceError: see `evaluation.run`.
        """
        with self._progress() as progress:
            if self.output is None:
                found = measured(self.model, suite, collection, cache=self.vectors, progress=progress)
                found.records.clear()
                return Result(found.result, found.ranks, sample=found.sample())
            distinct = distinct or not is_official(suite)
            where = Output(self.output.folder, self.output.top_k, distinct, self.output.overwrite)
            saved = run(self.model, suite, collection, where, cache=self.vectors, progress=progress)
        return Result(saved.result, path=saved.path, runs=saved.runs, measured_now=saved.measured_now)

    def _progress(self) -> AbstractContextManager[Progress]:
        return _shown(self.draw)


def _called(model_id: str | None) -> str:
    """A model, for whoever waits for it."""
    if model_id is None:
        return "the model"
    return Path(model_id).name if Path(model_id).exists() else model_id


def _shown(draw: bool) -> AbstractContextManager[Progress]:
    return bar() if draw else nullcontext(SILENT)


def remarks(suite: Suite, collection: TestCollection, *, asked: bool) -> list[Finding]:
    """What is remarkable in a collection, found before anything is encoded.

    Args:
        suite: with the settings that are to be measured.
        collection: of it.
        asked: whether its settings were asked for by name.

    Raises:
        InputError: there is no row of any setting, or of one that was asked for by name.
    """
    kept = measurable(suite, collection)
    if asked and len(kept.settings) < len(suite.settings):
        lacking = {name: measures for name, measures in suite.settings.items() if name not in kept.settings}
        measurable(suite.model_copy(update={"settings": lacking}), collection)
    return findings(kept, collection)
