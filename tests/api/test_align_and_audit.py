"""`align` and `audit` give what the commands print, and refuse what they do not take."""

from __future__ import annotations

import json

import numpy as np
import pytest
from commands import xlir_bench

import xlir_bench as xb
from xlir_bench.resources import folder
from xlir_bench.suites import find, load

STATIC = str(folder("submissions") / "xlir-hybrid-static")


def test_align_gives_the_figures_of_the_command():
    found = xb.align(STATIC, other="random", texts="queries", languages=["de", "en", "th"])
    printed = xlir_bench("align", STATIC, "random", "--texts", "queries", "--languages", "de,en,th", "--json")
    assert json.loads(json.dumps(found.as_dict())) == json.loads(printed.stdout)
    assert [(pair.a, pair.b) for pair in found.pairs] == [("de", "en"), ("de", "th"), ("en", "th")]


def test_align_takes_an_object_and_the_formula_of_cka_holds():
    """Kornblith et al. 2019, equation 3 with the unbiased estimator of Song et al. 2012, by another way of summing."""
    table = {}

    def encode(texts):
        for text in texts:
            table.setdefault(text, np.random.default_rng(len(table)).normal(size=8))
        return np.array([table[text] for text in texts])

    found = xb.align(encode, languages=["de", "en"], similarity="cosine")
    [pair] = found.pairs
    collection = load(find("xlir-mini"), None, ["de", "en"])
    assert found.texts <= len(collection.documents)
    assert abs(pair.cka) < 0.2  # vectors that have nothing in common
    same = xb.align(lambda texts: encode(["same"] * len(texts)), languages=["de", "en"], similarity="cosine")
    assert same.pairs[0].cka is None


def test_a_collection_of_ones_own_is_aligned():
    import pandas as pd

    texts = [("one", "eins"), ("two", "zwei"), ("three", "drei"), ("four", "vier"), ("five", "fünf")]
    rows = [
        (f"{code}{n}", pair[side], code, n) for n, pair in enumerate(texts) for side, code in enumerate(("en", "de"))
    ]
    queries = pd.DataFrame(rows, columns=["id", "text", "language", "question"])
    documents = queries.drop(columns="question").assign(text=queries["text"] + " here")
    judged = pd.DataFrame({"query_id": queries["id"], "document_id": documents["id"], "gain": 1})
    found = xb.align("random", xb.Collection.from_pandas(queries, documents, judged), texts="queries")
    assert found.texts == 5


def test_audit_gives_what_the_command_records(tmp_path):
    leaked = load(find("xlir-mini"), None, ["en"]).documents.texts[:5]
    (tmp_path / "train.txt").write_text("\n".join(leaked))
    found = xb.audit(tmp_path / "train.txt", languages=["en"], only="documents")
    printed = xlir_bench("audit", tmp_path / "train.txt", "--languages", "en", "--only", "documents", "--json")
    assert printed.returncode == 4
    said = json.loads(printed.stdout)
    assert found.contaminated
    assert [row.as_dict() for row in found.rows] == said.pop("rows")
    record = found.record.model_dump(mode="json")
    assert {name: value for name, value in said.items() if name != "created"} == {
        name: value for name, value in record.items() if name != "created"
    }
    assert not xb.audit([tmp_path / "train.txt"], languages=["de"]).contaminated


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: xb.align("random", texts="titles"), "unknown kind of texts 'titles'"),
        (lambda: xb.align("random", languages=["de"]), "alignment needs texts in two languages"),
        (lambda: xb.align("random", output="x"), "unknown option 'output'"),
        (lambda: xb.align("bm25"), "bm25 has no vectors"),
        (lambda: xb.audit("x", words=2), "a gram of 2 words"),
        (lambda: xb.audit("x", only="both"), "unknown kind of texts 'both'"),
        (lambda: xb.audit("x", wrods=8), "unknown option 'wrods'"),
        (lambda: xb.audit(3), "training data: a path was expected"),
        (lambda: xb.audit("nowhere.txt"), "nowhere.txt"),
    ],
)
def test_what_is_wrong_is_one_line(call, message):
    with pytest.raises(xb.XlirError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
