"""The worked example of docs/measures.md is what the code gives."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from oracles import GivenScores

from xlir_bench.analysis.bias import measure_bias
from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.measures import parse
from xlir_bench.retrieval import count_outranked

PAGE = Path(__file__).resolve().parents[1] / "docs" / "measures.md"
CODES = ["de", "en", "th"]


@pytest.fixture(scope="module")
def ranks():
    """The three rankings as the page writes them."""
    page = PAGE.read_text(encoding="utf-8")
    rankings = {m[1]: m[2].split() for m in re.finditer(r"^query in (\w+): +(.+)$", page, re.MULTILINE)}
    documents = sorted(rankings["de"])
    scores = np.array([[-rankings[code].index(d) for d in documents] for code in CODES], dtype=np.float32)
    collection = Collection(
        Texts(CODES, ["?"] * 3, CODES),
        Texts(documents, ["."] * 9, [d[:2] for d in documents]),
        Judgements.of((q, documents.index(f"{code}1"), 1.0) for q in range(3) for code in CODES),
        ["q"] * 3,
    )
    return count_outranked(GivenScores(scores), collection, across_languages=True)


@pytest.fixture(scope="module")
def stated() -> dict[str, list[float]]:
    """Measure -> the numbers of its row in the page's example tables."""
    page = PAGE.read_text(encoding="utf-8")
    rows = re.finditer(r"^\| `([^`]+)` \|((?: *[-+.\d]+ *\|)+)$", page, re.MULTILINE)
    return {row[1]: [float(cell) for cell in row[2].strip("|").split("|")] for row in rows}


def test_measures_of_effectiveness_are_as_stated(ranks, stated):
    names = ["AP", "RR", "nDCG@5", "R@3", "P@3", "Success@1", "rank_distance"]
    rows = list(ranks.rows("multilingual"))
    for name in names:
        values = [parse(name)(row.judged)[0] for row in rows]
        assert stated[name] == pytest.approx([*values, np.mean(values)], abs=5e-4), name


def test_measures_of_bias_are_as_stated(ranks, stated):
    bias = measure_bias(ranks)
    for name in (
        "AWRF@100",
        "same_language_lift@10",
        "PEER_nonrelevant@100",
        "MRC@10",
        "PEER_pooled",
        "epsilon_squared",
    ):
        values = [bias.query_languages[name][code] for code in CODES]
        assert stated[name] == pytest.approx([*values, np.mean(values)], abs=5e-4), name
    for name in ("limit_to_one_target", "remove_one_target", "language_advantage", "exposure@100"):
        for x in CODES:
            expected = [bias.maps[name][x][y] for y in CODES]
            assert stated[f"{name} {x}"] == pytest.approx(expected, abs=5e-4), (name, x)
