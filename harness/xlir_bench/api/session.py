"""One model with where its vectors and results are kept: what `evaluate` and `xlir-bench run` measure suites with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xlir_bench.api.options import EvaluateOptions, as_path, check, encoder_options, storage_of_vectors
from xlir_bench.api.result import Result
from xlir_bench.collection import Collection as TestCollection
from xlir_bench.encoders import Model, ModelInfo, VectorCache, identify
from xlir_bench.encoders.objects import model_of
from xlir_bench.engines import Streaming
from xlir_bench.engines.stream import streamable
from xlir_bench.errors import InputError
from xlir_bench.evaluation import Output, finished, measured, run
from xlir_bench.progress import SILENT, Progress, bar, step
from xlir_bench.results.store import check_writable
from xlir_bench.suites import Finding, Suite, findings, is_official, measurable, obtain


@dataclass(frozen=True)
class Session:
    """A model, and what was decided about measuring it.

    Attributes:
        load: gives the model, which is loaded when it is first needed.
        known: the model without its weights in memory, where its identity is known from an earlier start: enough to
            recognise a finished result.
        vectors: where vectors are kept, and how a corpus is streamed; None keeps nothing.
        output: where results are written; None writes nothing.
        data: folder searched first for a suite's files.
        draw: whether progress is drawn.
    """

    load: Callable[[], Model]
    known: Model | None = None
    vectors: VectorCache | Streaming | None = None
    output: Output | None = None
    data: Path | None = None
    draw: bool = False

    @cached_property
    def model(self) -> Model:
        """The model, in memory."""
        loaded = self.load()
        if isinstance(self.vectors, Streaming):
            streamable(loaded)
        return loaded

    @property
    def info(self) -> ModelInfo:
        """What the model is."""
        return (self.known or self.model).info

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
        device, name, of_model = options.get("device"), options.get("name"), encoder_options(options)
        known = None
        if model_id is not None and name is None and output is not None and output.folder.is_dir():
            known = identify(model_id, device, of_model)
        draw = options.get("progress", False)

        def load() -> Model:
            with _shown(draw) as progress, step(progress, f"loading {_called(model_id)}"):
                return model_of(model, device, of_model, name)

        session = Session(load, known, vectors, output, None if data is None else as_path(data, "data"), draw)
        if known is None:
            _ = session.model  # what is wrong with it is said before a suite is fetched
        return session

    def collection(self, suite: Suite, languages: Sequence[str] | None) -> TestCollection:
        """A suite's collection, fetched where need be; see `suites.obtain`."""
        with self.progress() as progress:
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
        if self.output is None:
            model = self.model
            with self.progress() as progress:
                found = measured(model, suite, collection, cache=self.vectors, progress=progress)
            found.records.clear()
            return Result(found.result, found.ranks, sample=found.sample())
        distinct = distinct or not is_official(suite)
        where = Output(self.output.folder, self.output.top_k, distinct, self.output.overwrite)
        saved = None if self.known is None else finished(self.known, suite, collection, where, cache=self.vectors)
        if saved is None:
            model = self.model
            with self.progress() as progress:
                saved = run(model, suite, collection, where, cache=self.vectors, progress=progress)
        return Result(saved.result, path=saved.path, runs=saved.runs, measured_now=saved.measured_now)

    def progress(self) -> AbstractContextManager[Progress]:
        """Where progress is reported: a bar on standard error, or nowhere."""
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
