"""Results of realistic size, made by hand: no encoder is run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from xlir_bench.results.schema import Result

XQUAD = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
SPREAD = {"AP": 1.0, "R@1": 0.85, "R@10": 1.1, "nDCG@10": 1.0, "R@100": 1.2}

MakeResult = Callable[..., Result]


def _scores(languages, measures, quality, seed):
    """Every row of every setting: monolingual ones are the easiest, the whole pool is the hardest."""
    rng = np.random.default_rng(seed)
    skill = {code: quality - 0.02 * i for i, code in enumerate(languages)}
    rows = []
    for setting, names in measures.items():
        pairs = {
            "monolingual": [(x, x) for x in languages],
            "cross-lingual": [(x, y) for x in languages for y in languages if x != y],
            "multilingual": [(x, "*") for x in languages],
        }[setting]
        for x, y in pairs:
            base = {"monolingual": 0.1, "multilingual": -0.1}.get(setting, 0.0)
            base += (skill[x] + skill.get(y, quality)) / 2 + float(rng.normal(0, 0.02))
            for measure in names:
                value = 900 * (1 - base) if measure == "rank_distance" else min(base * SPREAD[measure], 1.0)
                rows.append(
                    {"setting": setting, "query_language": x, "document_language": y, "measure": measure}
                    | {"value": max(value, 0.0), "queries": 1190, "documents": 13014 if y == "*" else 1200}
                )
    return rows


def _summary(rows):
    summary = {}
    for setting, measure in dict.fromkeys((row["setting"], row["measure"]) for row in rows):
        values = [row["value"] for row in rows if (row["setting"], row["measure"]) == (setting, measure)]
        summary.setdefault(setting, {})[measure] = sum(values) / len(values)
    return summary


def make(model_id="example/encoder", *, quality=0.7, suite=None, measures=None, model=None, **fields) -> Result:
    """A result; `suite` and `model` replace parts of their references, `fields` whole fields."""
    reference = {"name": "xquad-r", "version": 1, "fingerprint": "5c21f0ab" * 8, "languages": XQUAD} | (suite or {})
    measures = measures or {
        "monolingual": ["AP", "R@1"],
        "cross-lingual": ["AP", "R@1"],
        "multilingual": ["AP", "R@10", "rank_distance"],
    }
    rows = _scores(reference["languages"], measures, quality, seed=len(model_id))
    described = {
        "id": model_id,
        "name": model_id.replace("/", "--"),
        "revision": "3d2c1b0a",
        "fingerprint": hashlib.sha256(model_id.encode()).hexdigest(),
        "prompts": {"query": "Query: ", "document": "Passage: "},
        "details": {
            "adapter": "sentence-transformers",
            "dimensions": 384,
            "parameters": 118_000_000,
            "pooling": "mean",
        },
    }
    return Result.model_validate(
        {
            "suite": reference,
            "model": described | (model or {}),
            "harness": {"version": "0.1.0"},
            "environment": {"python": "3.13.1", "numpy": "2.3.0", "machine": "x86_64, 4 cores"},
            "created": "2026-01-15T12:00:00Z",
            "timing": {
                "encode_s": 61.2,
                "rank_s": 1.4,
                "measure_s": 0.3,
                "texts_per_s": 412.7,
                "texts_encoded": 25_260,
                "texts_from_cache": 0,
            },
            "summary": _summary(rows),
            "primary": {setting: names[0] for setting, names in measures.items()},
            "ties": 0.0012,
            "scores": rows,
        }
        | fields
    )


@pytest.fixture
def make_result() -> MakeResult:
    """The factory of results."""
    return make


@pytest.fixture
def five_encoders() -> list[Result]:
    """Five encoders on XQuAD-R."""
    return [make(f"example/encoder-{'abcde'[i]}", quality=0.75 - 0.08 * i) for i in range(5)]
