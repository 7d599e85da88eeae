"""Collections from data frames: what they may hold, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import xlir_bench as xb


def frames():
    queries = pd.DataFrame({"id": ["q1", "q2"], "text": ["a b", "c d"], "language": ["de", "en"]})
    documents = pd.DataFrame(
        {"id": ["d1", "d2", "d3"], "text": ["a b c", "c d e", "x y"], "language": ["de", "en", "en"]}
    )
    judgements = pd.DataFrame({"query_id": ["q1", "q2"], "document_id": ["d1", "d2"], "gain": [1, 2]})
    return queries, documents, judgements


def test_the_order_of_rows_does_not_make_another_collection():
    given = frames()
    first = xb.Collection.from_pandas(*given).load()
    second = xb.Collection.from_pandas(*(frame[::-1] for frame in given)).load()
    assert first.fingerprint == second.fingerprint
    other = given[1].assign(text=["a b c", "x y", "c d e"])
    assert xb.Collection.from_pandas(given[0], other, given[2]).load().fingerprint != first.fingerprint


@pytest.mark.parametrize("dtype", ["str", "string", "object", "category"])
def test_types_of_columns_do_not_make_another_collection(dtype):
    given = frames()
    first = xb.Collection.from_pandas(*given).load()
    queries, documents = (frame.astype(dtype) for frame in given[:2])
    assert xb.Collection.from_pandas(queries, documents, given[2]).load().fingerprint == first.fingerprint


def test_whole_numbers_are_ids_also_where_they_became_floats():
    queries, documents, judgements = frames()
    judged = judgements.assign(document_id=[1.0, 2.0])
    held = xb.Collection.from_pandas(queries, documents.assign(id=[1, 2, 3]), judged).load()
    assert sorted(held.documents.ids) == ["1", "2", "3"]


@pytest.mark.parametrize("missing", [None, np.nan, ""])
def test_a_title_stands_before_the_text_as_in_beir(missing):
    queries, documents, judgements = frames()
    titled = documents.assign(title=pd.Series(["T one", missing, missing], dtype=object))
    held = xb.Collection.from_pandas(queries, titled, judgements).load()
    assert dict(zip(held.documents.ids, held.documents.texts, strict=True)) == {
        "d1": "T one a b c",
        "d2": "c d e",
        "d3": "x y",
    }
    again = documents.assign(text=["T one a b c", "c d e", "x y"])
    assert xb.Collection.from_pandas(queries, again, judgements).load().fingerprint == held.fingerprint


@pytest.mark.parametrize(
    ("table", "changed", "message"),
    [
        (1, {"title": [1, "b", "c"]}, "documents: row 0: a title was expected, not int 1"),
        (0, {"text": [["a"], ["b"]]}, "queries: row 0: a text was expected, not list"),
        (0, {"text": [b"a", b"b"]}, "queries: row 0: a text was expected, not bytes"),
        (1, {"text": [1, 2, 3]}, "documents: row 0: a text was expected, not int 1"),
        (0, {"id": [True, False]}, "queries: row 0: True is no id"),
        (0, {"id": [("a", 1), "b"]}, "queries: row 0: .* is no id"),
        (0, {"id": [float(2**60), 1.0]}, "is no id"),
        (2, {"gain": [10**400, 1]}, "is not a number"),
        (2, {"gain": [np.inf, 1]}, "gain inf is not a number"),
    ],
)
def test_values_that_are_neither_texts_nor_ids_are_refused(table, changed, message):
    given = list(frames())
    given[table] = given[table].assign(**{name: pd.Series(values, dtype=object) for name, values in changed.items()})
    with pytest.raises(xb.InputError, match=message):
        xb.Collection.from_pandas(*given)


@pytest.mark.parametrize("name", ["id", "text", "language"])
def test_a_column_that_is_there_twice_is_refused(name):
    queries, documents, judgements = frames()
    with pytest.raises(xb.InputError, match=f"there are 2 columns `{name}`: keep one"):
        xb.Collection.from_pandas(pd.concat([queries, queries[[name]]], axis=1), documents, judgements)


def test_figures_are_those_of_ir_measures_in_every_row():
    """Graded gains, judgements of 0 and below, queries without judgements; ranks by numpy."""
    import ir_measures

    rng = np.random.default_rng(5)
    languages = ["de", "en", "th"]
    table = rng.standard_normal((40, 16))
    words = [f"w{number}" for number in range(40)]

    def encode(texts):
        return np.array([table[[int(word[1:]) for word in text.split()]].sum(axis=0) for text in texts])

    def side(letter, size, length):
        texts = [" ".join(rng.choice(words, length)) for _ in range(size)]
        names = [f"{letter}{number}" for number in range(size)]
        return pd.DataFrame({"id": names, "text": texts, "language": rng.choice(languages, size)})

    queries, documents = side("q", 30, 3), side("d", 90, 6)
    gains = {
        (f"q{query}", f"d{row}"): int(rng.integers(-1, 4))
        for query in range(26)
        for row in rng.choice(90, 8, replace=False)
    } | {("q27", "d3"): 0}
    judged = pd.DataFrame([(*pair, gain) for pair, gain in gains.items()], columns=["qid", "docno", "relevance"])
    result = xb.evaluate(
        encode,
        xb.Collection.from_pandas(queries, documents, judged),
        similarity="cosine",
        measures=["nDCG@10", "AP", "R@5", "RR@10"],
    )
    a, b = (encode(frame["text"]) for frame in (queries, documents))
    scores = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T
    answered = {query for (query, _), gain in gains.items() if gain > 0}
    language_of = dict(zip(documents["id"], documents["language"], strict=True))
    for row in result.to_pandas().itertuples():
        pool = {name for name, code in language_of.items() if row.document_language in ("*", code)}
        inside = {pair: gain for pair, gain in gains.items() if pair[1] in pool}
        asked = []
        for at, (name, code) in enumerate(zip(queries["id"], queries["language"], strict=True)):
            of_query = [gain for (query, _), gain in inside.items() if query == name]
            if code == row.query_language and (max(of_query, default=0) > 0 or (of_query and name not in answered)):
                asked.append((at, name))
        names = {name for _, name in asked}
        qrels = [ir_measures.Qrel(q, d, max(gain, 0)) for (q, d), gain in inside.items() if q in names]
        run = [
            ir_measures.ScoredDoc(name, document, float(scores[at, place]))
            for at, name in asked
            for place, document in enumerate(documents["id"])
            if document in pool
        ]
        values = ir_measures.iter_calc([ir_measures.parse_measure(row.measure)], qrels, run)
        assert row.queries == len(asked)
        assert row.value == pytest.approx(sum(one.value for one in values) / len(asked), abs=1e-6)
