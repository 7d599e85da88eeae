"""Tables of ranks, the first documents beside them, and samples of vectors."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from guarded import fuzz
from hostile import spoiled, spoilings
from hypothesis import strategies as st
from made_tables import SWELLING, changed, tables, write_swelling

from xlir_bench.encoders.verification import SampleVectors, packed_sample, unpacked_sample
from xlir_bench.errors import XlirError
from xlir_bench.results import leaders_path, load_ranks, ranks_path
from xlir_bench.submissions.tables import impossible, read_ranks


def _content(table, drawn):
    sink = io.BytesIO()
    pq.write_table(changed(table, drawn["edits"]), sink, compression="zstd")
    return spoiled(sink.getvalue(), drawn["bytes"])


def _readers(arena, result):
    """Both readers of a table, and what is asked of one that they accept."""
    arena.examine(lambda: read_ranks(result))
    ranks = arena.examine(lambda: load_ranks(ranks_path(result)))
    return None if isinstance(ranks, XlirError) else ranks


def test_fuzzed_tables_of_ranks(arena, measured):
    table, result = pq.read_table(ranks_path(measured)), arena.target / "xlir-mini.json"

    def examine(drawn):
        ranks_path(result).write_bytes(_content(table, drawn))
        _readers(arena, result)

    fuzz(tables, examine, share=0.08)


def test_fuzzed_tables_of_first_documents(arena, measured):
    table, result = pq.read_table(leaders_path(measured)), arena.target / "xlir-mini.json"
    shutil.copy(ranks_path(measured), ranks_path(result))

    def examine(drawn):
        leaders_path(result).write_bytes(_content(table, drawn))
        _readers(arena, result)

    fuzz(tables, examine, share=0.05)


@pytest.mark.parametrize("kind", SWELLING)
def test_a_small_table_that_swells_is_refused_within_memory(arena, measured, kind):
    result = arena.target / "xlir-mini.json"
    write_swelling(ranks_path(result), kind, pq.read_table(ranks_path(measured)))
    assert ranks_path(result).stat().st_size < 64 << 20
    assert isinstance(arena.examine(lambda: read_ranks(result)), XlirError)
    arena.examine(lambda: load_ranks(ranks_path(result)))


_ARRAYS = st.fixed_dictionaries(
    {
        "keys": st.sampled_from(("uint8", "float64", "object", "str", "none", "short", "0-d")),
        "vectors": st.sampled_from(("float32", "float64", "int64", "complex128", "str", "nan", "none", "1-d", "empty")),
        "bytes": st.just([]) | spoilings,
    }
)


def _sample(drawn):
    """A file of a sample whose arrays are of other types and shapes."""
    arrays = {}
    for role in ("query", "document"):
        keys = np.zeros(48, np.uint8)
        vectors = np.ones((3, 4), np.float32)
        odd = {
            "short": keys[:47], "0-d": np.array(3), "str": np.array(["a"] * 3), "float64": keys.astype(float),
            "object": np.zeros(48, np.int64),
        }  # fmt: skip
        if drawn["keys"] != "none":
            arrays[f"{role}_keys"] = odd.get(drawn["keys"], keys)
        other = {
            "nan": vectors * np.nan, "1-d": vectors[0], "empty": vectors[:0], "str": np.array(["a"] * 3),
        }  # fmt: skip
        if drawn["vectors"] != "none":
            kind = drawn["vectors"]
            arrays[f"{role}_vectors"] = other[kind] if kind in other else vectors.astype(kind)
    sink = io.BytesIO()
    np.savez_compressed(sink, **arrays)
    return spoiled(sink.getvalue(), drawn["bytes"])


def test_fuzzed_samples_of_vectors(arena):
    valid = packed_sample(
        SampleVectors(
            {role: np.array([b"k"], "S16") for role in ("query", "document")},
            {role: np.ones((1, 4), np.float32) for role in ("query", "document")},
        )
    )
    assert unpacked_sample(valid) is not None
    fuzz(_ARRAYS, lambda drawn: arena.examine(lambda: unpacked_sample(_sample(drawn))), share=0.02)


def test_a_small_sample_that_swells_is_no_sample(arena):
    sink = io.BytesIO()
    zeros = np.broadcast_to(np.zeros(1, np.uint8), 3 << 29)
    np.savez_compressed(sink, query_keys=zeros[:16], document_keys=zeros)
    assert len(sink.getvalue()) < 4 << 20
    assert arena.examine(lambda: unpacked_sample(sink.getvalue())) is None


def test_what_makes_the_tables_is_not_what_refuses_them(arena, measured):
    """Without edits a table is read, so that refusals are of the edits."""
    result = arena.target / "xlir-mini.json"
    ranks_path(result).write_bytes(_content(pq.read_table(ranks_path(measured)), {"edits": [], "bytes": []}))
    assert impossible(load_ranks(ranks_path(result))) is None
