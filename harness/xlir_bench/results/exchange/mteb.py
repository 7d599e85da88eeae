"""Results as mteb's TaskResult files: `<folder>/results/<model>/<revision>/<Task>.json` and `model_meta.json`.

`mteb.ResultCache(<folder>)` loads them. Where a suite has the texts and judgements of one of mteb's tasks, the file is
that task's, with its split and subsets; else each setting of the suite is a task of its own, `<suite>.<setting>`, whose
subsets are `query-document`. Figures that mteb has no name for stand beside its own under keys that begin with `xlir_`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from xlir_bench.errors import InputError
from xlir_bench.files import replacing
from xlir_bench.languages import known
from xlir_bench.measures import parse
from xlir_bench.results.exchange.entry import Entry, safe_name
from xlir_bench.results.exchange.mteb_tasks import (
    MTEB_TASK_OF_SUITE,
    MtebTask,
    language_script,
    mteb_key,
    mteb_measures,
)
from xlir_bench.results.exchange.table import spread
from xlir_bench.results.schema import Result, Score
from xlir_bench.retrieval.rankings import WHOLE_POOL

PREFIX = "xlir_"
_OWN_SPLIT = "test"
_CORE = ("setting", "query_language", "document_language", "measure", "value", "queries", "documents")
_DESCRIBED = ("suite", "model", "harness", "environment", "timing", "summary", "scores", "schema_version", "created")

_MTEB_SIMILARITIES = ("cosine", "dot")
"""Of ours, those that mteb's `ModelMeta` takes as a text; a file with another one is not loaded."""

Place = tuple[str, str, str]
"""Setting, query language, document language: a row."""


def write_mteb(entries: Sequence[Entry], folder: Path) -> list[Path]:
    """Write a TaskResult file per result (and per setting, where mteb has no such task). Gives the files' paths.

    Raises:
        InputError: a result does not say when it was made. Nothing of it is written.
        MissingResourceError: a file cannot be written.
    """
    written = []
    for entry in entries:
        results = list(task_results(entry))
        place = folder / "results" / entry.model_name.replace("/", "__") / entry.revision
        _write_json(_model_meta(entry), place / "model_meta.json")
        for name, content in results:
            path = place / f"{name}.json"
            _write_json(content, path)
            written.append(path)
    return written


def task_results(entry: Entry) -> Iterator[tuple[str, dict[str, Any]]]:
    """The content of each TaskResult file of a result, by the task's name."""
    result = entry.result
    rows = _rows(entry)
    task = MTEB_TASK_OF_SUITE.get(entry.suite)
    subset_of = {pair: subset for subset, pair in task.subsets.items()} if task else {}
    if task and all(place[0] != "multilingual" and place[1:] in subset_of for place in rows):
        scores = [
            _subset(subset_of[place[1:]], place, values, _main(values, ("ndcg_at_10",)), task)
            for place, values in rows.items()
        ]
        yield task.name, _task_result(result, task.name, task.splits[0], scores)
        return
    for setting in dict.fromkeys(place[0] for place in rows):
        name = f"{safe_name(entry.suite)}.{safe_name(setting)}"
        primary = result.primary.get(setting, "")
        preferred = (mteb_key(primary) or PREFIX + primary, "ndcg_at_10")
        scores = [
            _subset(_own_subset(place), place, values, _main(values, preferred), None)
            for place, values in rows.items()
            if place[0] == setting
        ]
        yield name, _task_result(result, name, _OWN_SPLIT, scores)


def _rows(entry: Entry) -> dict[Place, dict[str, float]]:
    """Row -> key -> value: everything that the result says of the row, and all that mteb would, from the ranks."""
    rows: dict[Place, dict[str, float]] = {}
    for score in entry.result.scores:
        place = (score.setting, score.query_language, score.document_language)
        rows.setdefault(place, {}).update(_said(score))
    for place, figures in _bias(entry.result).items():
        if place in rows:
            rows[place] |= figures
    if entry.has_ranks:
        measures = {key: parse(name) for key, name in mteb_measures().items()}
        ranks = entry.ranks()
        for setting in ("monolingual", "cross-lingual", "multilingual"):
            for row in ranks.rows(setting):
                place = (setting, row.query_language, row.document_language)
                if place in rows:
                    computed = {key: float(row.values(measure)[1].mean()) for key, measure in measures.items()}
                    rows[place] = computed | rows[place]
    return rows


def _bias(result: Result) -> dict[Place, dict[str, float]]:
    """Row -> key -> value of the bias figures that belong to a row: by query language, and by pair of languages.

    The others, by document language or group, are of no row; they stand in the file's block `xlir_bench`.
    """
    found: dict[Place, dict[str, float]] = {}
    if result.bias is None:
        return found
    for measure, by_query in result.bias.query_languages.items():
        for query, value in by_query.items():
            found.setdefault(("multilingual", query, WHOLE_POOL), {})[PREFIX + measure] = value
    for measure, table in result.bias.maps.items():
        for query, by_document in table.items():
            for document, value in by_document.items():
                setting = "monolingual" if query == document else "cross-lingual"
                found.setdefault((setting, query, document), {})[PREFIX + measure] = value
    return found


def _said(score: Score) -> dict[str, float]:
    """A score under mteb's key or our own, with whatever else it carries (an interval, a group) under ours."""
    key = mteb_key(score.measure)
    more = spread({name: value for name, value in score.model_dump(mode="json").items() if name not in _CORE})
    own = {f"{PREFIX}{score.measure}_{name}": value for name, value in more.items() if value is not None}
    return {key or PREFIX + score.measure: score.value, f"{PREFIX}queries": score.queries} | own


def _main(values: dict[str, float], preferred: Sequence[str]) -> float:
    return next(values[key] for key in (*preferred, *values) if key in values)


def _own_subset(place: Place) -> str:
    _, query, document = place
    return query if document in (query, WHOLE_POOL) else f"{query}-{document}"


def _subset(subset: str, place: Place, values: dict[str, float], main: float, task: MtebTask | None) -> dict[str, Any]:
    _, query, document = place
    codes = [query] if document in (query, WHOLE_POOL) else [query, document]
    if task is not None and len(codes) == 2:
        codes = [document, query]  # mteb's order: corpus first
    return values | {
        "main_score": main,
        "hf_subset": subset,
        "languages": [language_script(code, task) for code in codes],
    }


def _task_result(result: Result, name: str, split: str, scores: list[dict[str, Any]]) -> dict[str, Any]:
    """A TaskResult. Its last key is ours: mteb passes over it, and it says where the figures come from.

    The dataset's revision names our suite and data, since the files were not read from mteb's dataset; there is no
    mteb version, since mteb did not compute them.
    """
    suite, timing = result.suite, result.timing
    dump = result.model_dump(mode="json")
    return {
        "dataset_revision": f"xlir-bench/{suite.name}@{suite.version}+{suite.fingerprint[:16]}",
        "task_name": name,
        "mteb_version": None,
        "scores": {split: scores},
        "evaluation_time": timing.encode_s + timing.rank_s + timing.measure_s,
        "kg_co2_emissions": None,
        "date": _seconds(result.created),
        "xlir_bench": {
            "suite": dump["suite"],
            "model": dump["model"],
            "harness": dump["harness"],
            "summary": dump["summary"],
            **{name: value for name, value in dump.items() if name not in _DESCRIBED},
        },
    }


def _seconds(created: str) -> float:
    """When a run ended, in seconds since 1970.

    Raises:
        InputError: the result does not say it as ISO 8601 does.
    """
    try:
        return datetime.fromisoformat(created).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InputError(f"the result says that it was created at {created!r}, which is no date of ISO 8601") from None


def _model_meta(entry: Entry) -> dict[str, Any]:
    """What mteb's ModelMeta needs, from what the result knows; what it does not know is null."""
    model = entry.result.model
    details = model.details
    supported = details.get("languages")
    codes = supported.get("supported") if isinstance(supported, dict) else None
    listed = [code for code in codes if known(code) is not None] if isinstance(codes, list) else None
    return {
        "name": entry.model_name,
        "revision": entry.revision,
        "release_date": None,
        "languages": [language_script(code) for code in listed] if listed else None,
        "n_parameters": details.get("parameters"),
        "memory_usage_mb": None,
        "max_tokens": details.get("max_length"),
        "embed_dim": details.get("dimensions"),
        "license": None,
        "open_weights": None,
        "public_training_code": None,
        "public_training_data": None,
        "framework": [],
        "reference": f"https://huggingface.co/{model.id}" if entry.model_name == model.id else None,
        "similarity_fn_name": model.similarity if model.similarity in _MTEB_SIMILARITIES else None,
        "use_instructions": any(model.prompts.values()),
        "training_datasets": None,
        "adapted_from": None,
        "superseded_by": None,
        "modalities": ["text"],
        "model_type": ["dense"],
        "loader": None,
        "xlir_bench": {"id": model.id, "fingerprint": model.fingerprint, "prompts": model.prompts, "details": details}
        | {"similarity": model.similarity},
    }


def _write_json(content: dict[str, Any], path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
