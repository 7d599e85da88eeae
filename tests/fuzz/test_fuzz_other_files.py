"""What else is read from elsewhere: alignments beside results, vectors that were made elsewhere, records of fetches."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from guarded import fuzz
from hostile import as_json, content_of, documents, edited, edits, spoiled, spoilings
from hypothesis import strategies as st
from made_tables import changed, table_edits
from safetensors.numpy import save

from xlir_bench.encoders.precomputed import Precomputed
from xlir_bench.errors import XlirError
from xlir_bench.leaderboard import build, gather
from xlir_bench.results import leaders_path, ranks_path
from xlir_bench.suites import find
from xlir_bench.suites.fetch import forget, pins
from xlir_bench.suites.load import fetched_folder

ALIGNMENT = {
    "model": "bm25",
    "other": None,
    "suite": "xlir-mini",
    "role": "document",
    "texts": 72,
    "cka": 0.5,
    "baseline": 0.1,
    "pairs": [{"a": "de", "b": "en", "cka": 0.5, "baseline": 0.1, "alignment": 0.9}],
    "spaces": [{"language": "de", "uniformity": -3.6, "mean_cosine": 0.1, "isotropy": 0.5, "hubness": 1.1}],
    "layers": [],
    "between": [],
}


def test_fuzzed_alignments_on_pages(arena, measured):
    place, valid = arena.target / "r", {"": ALIGNMENT}
    place.mkdir()
    for one in (lambda path: path, ranks_path, leaders_path):
        shutil.copy(one(measured), place)

    def examine(drawn):
        arena.write("r/bm25.align.json", content_of(valid, drawn))
        found = arena.examine(lambda: gather([place], analysis=False))
        assert not isinstance(found, XlirError)
        arena.examine(lambda: build(found.entrants, arena.root / "work" / "site", alignments=found.alignments))

    fuzz(documents(valid, ("json",)), examine)


_VECTORS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(("parquet", "safetensors", "folder")),
        "table": table_edits,
        "ids": edits | st.just([]),
        "bytes": st.just([]) | spoilings,
        "dtype": st.sampled_from(("float32", "float16", "int8", "uint64", "bool", "complex64", "S4", "U4", "M8[s]")),
        "shape": st.sampled_from(((4, 3), (3, 3), (4,), (), (4, 3, 2), (0, 3), (4, 0))),
    }
)


def test_fuzzed_vectors_that_were_made_elsewhere(arena):
    ids = ["a", "b", "c", "d"]
    vectors = pa.array([[0.5, 1.0, 2.0]] * 4, pa.list_(pa.float32(), 3))
    table = pa.table({"role": ["query", "document"] * 2, "id": ids, "vector": vectors})

    def examine(drawn):
        array = np.zeros(drawn["shape"], drawn["dtype"])
        named = as_json(edited({"ids": ids}, drawn["ids"]))
        path = arena.target / f"vectors.{drawn['kind']}"
        if drawn["kind"] == "parquet":
            sink = io.BytesIO()
            pq.write_table(changed(table, drawn["table"]), sink)
            path.write_bytes(spoiled(sink.getvalue(), drawn["bytes"]))
        elif drawn["kind"] == "safetensors":
            plain = array if array.dtype.kind in "fiub" else np.zeros(drawn["shape"], np.float32)
            text = named.decode() if drawn["ids"] else json.dumps(ids)
            named = dict.fromkeys(("query", "document"), text)
            content = save(dict.fromkeys(named, plain), named)
            path.write_bytes(spoiled(content, drawn["bytes"]))
        else:
            sink = io.BytesIO()
            np.save(sink, array)
            for role in ("query", "document"):
                arena.write(f"vectors.folder/{role}.npy", spoiled(sink.getvalue(), drawn["bytes"]))
                arena.write(f"vectors.folder/{role}.ids.txt", spoiled("\n".join(ids).encode(), drawn["bytes"][:1]))
        found = arena.examine(lambda: Precomputed(path))
        if not isinstance(found, XlirError):
            arena.examine(lambda: found.lookup(["a", "c"], role="query"))

    fuzz(_VECTORS, examine)


def test_fuzzed_records_of_fetches(arena):
    suite = find("scifact")
    valid = {"": {"files": {"corpus.jsonl": {"url": "https://example.org/a", "sha256": "0" * 64}}}}
    place = fetched_folder(suite)
    place.mkdir(parents=True)

    def examine(drawn):
        (place / "fetched.json").write_bytes(content_of(valid, drawn))
        arena.examine(lambda: pins(suite))
        arena.examine(lambda: forget(suite))

    fuzz(documents(valid, ("json",)), examine)
