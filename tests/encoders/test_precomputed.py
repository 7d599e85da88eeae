"""Vectors that were made elsewhere: the three forms, found by id, and what is said where they do not fit."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from xlir_bench.collection import Texts
from xlir_bench.encoders import encode_texts, resolve
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate
from xlir_bench.suites import find

QUERIES = ["ar:q1", "ar:q2", "de:q1", "de:q2"]
DOCUMENTS = ["ar:0", "ar:1", "ar:2", "de:0", "de:1", "de:2"]


def axis(which):
    return np.eye(4, dtype=np.float32)[which]


# Question 1 lies where its answers lie, in both languages; so does question 2.
VECTORS = {
    "query": (QUERIES, axis([1, 2, 1, 2])),
    "document": (DOCUMENTS, axis([0, 1, 2, 0, 1, 2])),
}


def write(form, folder, vectors=VECTORS):
    if form == "parquet":
        rows = [
            (role, i, v.tolist()) for role, (ids, matrix) in vectors.items() for i, v in zip(ids, matrix, strict=True)
        ]
        columns = dict(zip(("role", "id", "vector"), zip(*rows, strict=True), strict=True))
        pq.write_table(pa.table({name: list(column) for name, column in columns.items()}), folder / "v.parquet")
        return folder / "v.parquet"
    if form == "safetensors":
        metadata = {role: json.dumps(ids) for role, (ids, _) in vectors.items()}
        save_file({role: matrix for role, (_, matrix) in vectors.items()}, folder / "v.safetensors", metadata)
        return folder / "v.safetensors"
    for role, (ids, matrix) in vectors.items():
        np.save(folder / f"{role}.npy", matrix)
        (folder / f"{role}.ids.txt").write_text("\n".join(ids), "utf-8")
    (folder / "submission.yaml").write_text(
        "{name: v, adapter: precomputed, licence: MIT, similarity: dot, source: {embeddings: .}}"
    )
    return folder


@pytest.mark.parametrize("form", ["parquet", "safetensors", "npy"])
def test_vectors_are_found_by_id_whatever_their_order_and_form(form, tmp_path, two_languages):
    model = resolve(str(write(form, tmp_path)))
    texts = Texts(["de:2", "ar:0", "de:2"], ["x", "y", "z"], ["de", "ar", "de"])
    encoded = encode_texts(model.retriever, model.info, texts, "document")
    np.testing.assert_array_equal(encoded.vectors, axis([2, 0, 2]))
    assert encoded.encoded == 0
    assert model.info.similarity == ("dot" if form == "npy" else "cosine")
    result = evaluate(model, find("xquad-r").narrowed(("monolingual",)), two_languages).result
    assert result.summary["monolingual"]["AP"] == 1.0


def test_an_id_without_a_vector_is_named_with_the_number_of_others(tmp_path):
    model = resolve(str(write("parquet", tmp_path)))
    texts = Texts(["de:2", "de:7", "de:8"], ["x", "y", "z"], ["de"] * 3)
    with pytest.raises(InputError, match=r"v\.parquet: no vector for document 'de:7' and 1 more"):
        encode_texts(model.retriever, model.info, texts, "document")


@pytest.mark.parametrize("form", ["parquet", "safetensors", "npy"])
def test_an_id_that_occurs_twice_is_refused(form, tmp_path):
    twice = {**VECTORS, "query": (["a", "b", "a", "c"], VECTORS["query"][1])}
    with pytest.raises(InputError, match="query id 'a' occurs twice"):
        resolve(str(write(form, tmp_path, twice)))


def test_queries_and_documents_need_one_width(tmp_path):
    with pytest.raises(InputError, match=r"one width, not \[2, 4\]"):
        resolve(str(write("safetensors", tmp_path, {**VECTORS, "query": (QUERIES, np.ones((4, 2), np.float32))})))


def test_other_vectors_are_another_model(tmp_path):
    first = resolve(str(write("parquet", tmp_path))).info
    again = resolve(str(write("parquet", tmp_path))).info
    other = resolve(str(write("parquet", tmp_path, {**VECTORS, "query": (QUERIES, axis([1, 2, 1, 3]))}))).info
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.name != other.name


@pytest.mark.parametrize("name", ["v.parquet", "v.safetensors"])
def test_a_file_that_is_something_else_is_one_line(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"no precomputed embeddings|cannot be read as Parquet") as raised:
        resolve(str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_pickled_arrays_are_not_read(tmp_path):
    folder = write("npy", tmp_path)
    np.save(folder / "query.npy", np.array([{}, {}, {}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no precomputed embeddings"):
        resolve(str(folder))
