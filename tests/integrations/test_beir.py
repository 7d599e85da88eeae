"""BEIR's measures on runs of ours, against their definitions computed otherwise."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

import xlir_bench as xb
from xlir_bench.integrations.beir import custom_measures


def hashed_words(texts):
    out = np.zeros((len(texts), 32), np.float32)
    for row, text in enumerate(texts):
        out[row, 0] = 0.01
        for word in text.lower().split():
            out[row, int(hashlib.md5(word.encode()).hexdigest(), 16) % 32] += 1
    return out


@pytest.fixture(scope="module")
def collection() -> xb.Collection:
    """40 queries with one to four relevant documents each; some documents are judged not relevant, many not at all."""
    rng = np.random.default_rng(4)
    words = [f"w{number}" for number in range(60)]
    texts = [" ".join(rng.choice(words, 8)) for _ in range(90)]
    documents = pd.DataFrame({"id": [f"d{n}" for n in range(90)], "text": texts, "language": ["de", "en", "th"] * 30})
    queries, judged = [], []
    for number in range(40):
        chosen = rng.choice(90, 6, replace=False)
        queries.append((f"q{number}", " ".join(texts[chosen[0]].split()[:4]), ["de", "en"][number % 2]))
        judged += [(f"q{number}", f"d{row}", int(at < 1 + number % 4)) for at, row in enumerate(chosen)]
    return xb.Collection.from_pandas(
        pd.DataFrame(queries, columns=["id", "text", "language"]),
        documents,
        pd.DataFrame(judged, columns=["query_id", "document_id", "gain"]),
    )


@pytest.fixture(scope="module")
def result(collection, tmp_path_factory):
    output = tmp_path_factory.mktemp("results")
    return xb.evaluate(hashed_words, collection, similarity="cosine", output=output, top_k=20)


def test_beirs_measures_have_their_definitions(result, collection):
    table = custom_measures(result, collection, k_values=(1, 5, 20)).set_index(
        ["setting", "query_language", "document_language", "measure"]
    )["value"]
    held = collection.suite.source.held
    vectors = [hashed_words(list(side.texts)) for side in (held.queries, held.documents)]
    a, b = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in vectors)
    judged = set(held.judgements.document.tolist())
    for x in ("de", "en"):
        capped, holes, hits = [], [], []
        for query in held.queries.rows_by_language[x]:
            relevant = set(
                held.judgements.document[(held.judgements.query == query) & (held.judgements.gain > 0)].tolist()
            )
            scores = b @ a[query]
            top = sorted(range(len(b)), key=lambda row: -scores[row])[:5]
            capped.append(len(relevant & set(top)) / min(5, len(relevant)))
            hits.append(bool(relevant & set(top)))
            of_x = set(
                held.judgements.document[np.isin(held.judgements.query, held.queries.rows_by_language[x])].tolist()
            )
            holes.append(sum(row not in of_x for row in top) / 5)
        # Documents with equal scores may stand in another order; few do.
        assert table["multilingual", x, "*", "R_cap@5"] == pytest.approx(np.mean(capped), abs=0.03)
        assert table["multilingual", x, "*", "Accuracy@5"] == pytest.approx(np.mean(hits), abs=0.06)
        assert table["multilingual", x, "*", "Hole@5"] == pytest.approx(np.mean(holes), abs=0.03)
    assert judged


def test_accuracy_is_success_of_ir_measures(result, collection):
    theirs = custom_measures(result, collection, measures=["Accuracy"], k_values=(5,))
    ours = xb.evaluate(hashed_words, collection, similarity="cosine", measures=["Success@5"]).to_pandas()
    keys = ["setting", "query_language", "document_language"]
    both = theirs.merge(ours, on=keys)
    assert len(both) == len(theirs) == len(ours)
    assert np.allclose(both["value_x"], both["value_y"], atol=1e-5)


def test_what_is_missing_is_said(result, collection, tmp_path):
    bare = xb.evaluate(hashed_words, collection, similarity="cosine")
    with pytest.raises(xb.InputError, match=r"has no runs: evaluate with output= and top_k=100"):
        custom_measures(bare, collection)
    with pytest.raises(xb.InputError, match=r"100 deep, are not there"):
        custom_measures(result, collection)
    with pytest.raises(xb.InputError, match="BEIR has no measure 'nope'"):
        custom_measures(result, collection, measures=["nope"], k_values=(1,))
