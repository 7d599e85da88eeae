"""Our suites as tasks of mteb: `mteb.evaluate(model, tasks=tasks(["xquad-r"]))`.

A task has a subset for each row of each setting: `de-de` (monolingual), `de-en` (queries in German, documents in
English), and `de-all` (documents in all languages). A model with mteb's `EncoderProtocol` encodes each text once, and
its scores follow from exact ranks over the whole pool; they are those of `xlir_bench.evaluate`. What mteb calls a
search model or a cross-encoder is evaluated by mteb itself, on the first `DEPTH` documents, and has no figures of bias.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import EncoderProtocol

from xlir_bench.analysis.bias import measure_bias
from xlir_bench.collection import SETTINGS, Collection
from xlir_bench.encoders.encode import encode_texts
from xlir_bench.encoders.identity import digest_of
from xlir_bench.encoders.mteb_protocol import MtebEncoder
from xlir_bench.encoders.protocol import ModelInfo
from xlir_bench.encoders.similarity import of_object
from xlir_bench.errors import InputError
from xlir_bench.languages import known
from xlir_bench.measures import Measure, parse
from xlir_bench.results.exchange.mteb_tasks import language_script, mteb_measures
from xlir_bench.retrieval import DenseScorer, RankTable, count_outranked
from xlir_bench.suites import Suite, expand, obtain
from xlir_bench.suites.load import chosen_languages

DEPTH = 1000
"""Documents of each ranking that mteb's own evaluation looks at."""

ALL = "all"
"""The second half of a subset's name whose pool is of all languages."""

_SPLIT = "test"
_MOST_NAMED = 6
"""Languages of a narrowed task that its name lists."""


def tasks(
    suites: Sequence[str] = ("xquad-r", "mlqa-r", "xlir-mini"),
    *,
    languages: Sequence[str] | None = None,
    data: str | Path | None = None,
) -> list[XlirTask]:
    """Tasks for `mteb.evaluate`, one per suite.

    Args:
        suites: names, YAML files or folders, as `xlir_bench.evaluate` takes them.
        languages: a part of their languages.
        data: folder searched first for their files.

    Raises:
        InputError: there is no such suite or language.
        MissingResourceError: there is no such file.

    Examples:
        >>> from xlir_bench.integrations.mteb import tasks
        >>> [task] = tasks(["xlir-mini"], languages=["de", "th"])
        >>> task.hf_subsets
        ['de-de', 'th-th', 'de-th', 'th-de', 'de-all', 'th-all']
    """
    if isinstance(suites, str):
        raise InputError(f"suites is a list of names, such as [{suites!r}]")
    folder = None if data is None else Path(data)
    found = []
    for suite in expand(suites):
        kept = None if languages is None else chosen_languages(suite, languages)
        revision = suite.expect.fingerprint or str(suite.version)
        if suite.expect.fingerprint is None and suite.place is not None:
            # Of files that may change.
            revision = obtain(suite, folder, languages).fingerprint[:16]
        found.append(_task_class(suite, kept, revision)(suite, kept, folder))
    return found


class XlirTask(AbsTaskRetrieval):  # type: ignore[misc] # the library declares no types that this project reads
    """One suite as a task of mteb; made by `tasks`.

    Args:
        suite: the suite.
        languages: a part of its languages.
        data: see `tasks`.
        options: given by mteb.
    """

    k_values = (1, 3, 5, 10, 20, 100, DEPTH)
    hf_subsets: list[str]
    data_loaded: bool
    dataset: dict[str, dict[str, Any]]

    def __init__(
        self,
        suite: Suite | None = None,
        languages: Sequence[str] | None = None,
        data: Path | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**options)
        declared = _DECLARED[type(self).__name__]
        self.suite, self._languages, self._data = suite or declared[0], languages or declared[1], data

    @cached_property
    def collection(self) -> Collection:
        """The suite's collection in the chosen languages."""
        return obtain(self.suite, self._data, self._languages)

    def load_data(self, num_proc: int | None = None, **options: Any) -> None:  # noqa: ANN401
        """Load the collection, and give mteb a view of each subset that it can evaluate by itself."""
        if not self.data_loaded:
            self.dataset = {subset: _Splits(self, subset) for subset in self.hf_subsets}
            self.data_loaded = True

    def evaluate(
        self,
        model: Any,  # noqa: ANN401 (whatever mteb evaluates)
        split: str = _SPLIT,
        subsets_to_run: list[str] | None = None,
        *,
        encode_kwargs: Mapping[str, Any],
        **options: Any,  # noqa: ANN401
    ) -> Mapping[str, Mapping[str, float]]:
        """Subset -> scores, in mteb's names, with `ap`, and with figures of bias where the pool is of all languages.

        Raises:
            InputError: the model compares vectors in a way that cannot be measured, or gave something that is not a
                vector.
        """
        chosen = [one for one in self.hf_subsets if subsets_to_run is None or one in subsets_to_run]
        if not isinstance(model, EncoderProtocol):
            self.load_data()
            evaluated: Mapping[str, Mapping[str, float]] = super().evaluate(
                model, split, chosen, encode_kwargs=encode_kwargs, **options
            )
            return evaluated
        ranks = self.ranks(model, encode_kwargs)
        scores = _scores(ranks)
        bias = measure_bias(ranks) if any(subset.endswith(f"-{ALL}") for subset in chosen) else None
        shared = {} if bias is None else {f"bias_{name}": value for name, value in bias.summary.items()}
        found = {
            subset: {**scores[subset], **(shared if subset.endswith(f"-{ALL}") else {})}
            for subset in chosen
            if subset in scores
        }
        for one in found.values():
            self._add_main_score(one)
        return found

    def _add_main_score(self, scores: dict[str, float]) -> None:
        scores.setdefault("ap", scores[f"map_at_{DEPTH}"])
        super()._add_main_score(scores)

    def ranks(self, model: Any, options: Mapping[str, Any] | None = None) -> RankTable:  # noqa: ANN401
        """The ranks of all relevant documents, from which every score follows.

        Args:
            model: with mteb's `EncoderProtocol`.
            options: mteb's `encode_kwargs`.
        """
        who = str(getattr(getattr(model, "mteb_model_meta", None), "name", None) or type(model).__name__)
        encoder = MtebEncoder(model, self.metadata, options)
        info = ModelInfo(who, who, fingerprint="", similarity=of_object(model, who))
        collection = self.collection
        queries = encode_texts(encoder, info, collection.queries, "query").vectors
        documents = encode_texts(encoder, info, collection.documents, "document").vectors
        return count_outranked(DenseScorer(queries, documents, info.similarity), collection, across_languages=True)


class _Splits(dict[str, dict[str, Any]]):
    """Split -> a subset's data, made when mteb first asks for them: a model that encodes needs none."""

    def __init__(self, task: XlirTask, subset: str) -> None:
        super().__init__()
        self._task, self._subset = task, subset

    def __missing__(self, split: str) -> dict[str, Any]:
        if split != _SPLIT:
            raise KeyError(split)
        return self.setdefault(split, subset_data(self._task.collection, self._subset))


_DECLARED: dict[str, tuple[Suite, tuple[str, ...] | None, str]] = {}
_CLASSES: dict[str, type[XlirTask]] = {}


def _task_class(suite: Suite, languages: tuple[str, ...] | None, revision: str) -> type[XlirTask]:
    """The class of a suite's task: mteb keeps metadata in the class, and looks tasks up by its name.

    mteb also stores results under that name, and looks at no revision where it takes them again. So other files have
    another name, and so has part of the languages, since the pools are others.
    """
    parts = suite.name.replace(".", "-").replace("_", "-").split("-")
    name = "XlirBench" + "".join(part.capitalize() for part in parts)
    if languages is not None and set(languages) == set(suite.languages):
        languages = None
    if revision not in (suite.expect.fingerprint, str(suite.version)):
        name += f"-{revision[:8]}"
    if languages is not None:
        listed = "-".join(languages)
        name += f"-{listed if len(languages) <= _MOST_NAMED else digest_of(listed)[:8]}"
    declared = (suite, languages, revision)
    if _DECLARED.get(name) != declared:
        _DECLARED[name] = declared
        metadata = _metadata(suite, languages or suite.languages, name, revision)
        _CLASSES[name] = type(name, (XlirTask,), {"metadata": metadata, "__doc__": suite.description})
    return _CLASSES[name]


def _metadata(suite: Suite, languages: Sequence[str], name: str, revision: str) -> Any:  # noqa: ANN401 (mteb's)
    queries, documents = suite.source.sides(languages)
    pairs: list[tuple[str, str]] = []
    for setting in SETTINGS:
        if setting not in suite.settings:
            continue
        if setting == "multilingual":
            pairs += [(x, ALL) for x in queries]
        else:
            pairs += [(x, y) for x in queries for y in documents if (x == y) == (setting == "monolingual")]
    spoken = {code: language_script(code) for code in languages if known(code) is not None}
    return TaskMetadata(
        name=name,
        description=suite.description,
        dataset={"path": f"xlir-bench/{suite.name}", "revision": revision},
        type="Retrieval",
        category="t2t",
        eval_splits=[_SPLIT],
        eval_langs={
            f"{x}-{y}": [spoken[code] for code in dict.fromkeys((x, *(languages if y == ALL else (y,))))]
            for x, y in pairs
        },
        main_score="ap",
    )


def _scores(ranks: RankTable) -> dict[str, dict[str, float]]:
    """Subset -> key -> mean over queries."""
    measures: dict[str, Measure] = {key: parse(name) for key, name in mteb_measures().items()} | {"ap": parse("AP")}
    found: dict[str, dict[str, float]] = {}
    for setting in SETTINGS:
        for row in ranks.rows(setting):
            given = dict(measures)
            if setting == "multilingual":
                given["rank_distance"] = parse("rank_distance")
            values = {key: row.values(measure)[1] for key, measure in given.items()}
            pool = ALL if setting == "multilingual" else row.document_language
            found[f"{row.query_language}-{pool}"] = {
                key: float(np.mean(value)) for key, value in values.items() if len(value)
            }
    return found


def subset_data(whole: Collection, subset: str) -> dict[str, Any]:
    """A subset in mteb's form: `queries`, `corpus`, `relevant_docs`, `top_ranked`."""
    from datasets import Dataset

    x, y = subset.rsplit("-", 1)
    asked = whole.queries.rows_by_language[x]
    pool = np.arange(len(whole.documents)) if y == ALL else whole.documents.rows_by_language[y]
    inside = set(pool.tolist())
    relevant: dict[str, dict[str, int]] = {}
    judged = whole.judgements
    for query, document, gain in zip(judged.query.tolist(), judged.document.tolist(), judged.gain, strict=True):
        if whole.queries.languages[query] == x and document in inside:
            relevant.setdefault(whole.queries.ids[query], {})[whole.documents.ids[document]] = int(gain)
    queries = [row for row in asked.tolist() if whole.queries.ids[row] in relevant]
    return {
        "queries": Dataset.from_dict(_columns(whole.queries, queries)),
        "corpus": Dataset.from_dict(_columns(whole.documents, pool.tolist())),
        "relevant_docs": relevant,
        "top_ranked": None,
    }


def _columns(side: Any, rows: list[int]) -> dict[str, list[str]]:  # noqa: ANN401 (a `Texts`)
    return {"id": [side.ids[row] for row in rows], "text": [side.texts[row] for row in rows]}


__all__ = ["ALL", "DEPTH", "XlirTask", "tasks"]
