"""Files that are small on disk and would be large in memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oracles import GivenScores

from xlir_bench import parquet_files
from xlir_bench.encoders.precomputed import Precomputed
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.results import load_ranks
from xlir_bench.results.store import _write_ranks
from xlir_bench.retrieval import count_outranked
from xlir_bench.training.audit.rows import texts_of, training_files
from xlir_bench.training.store import Pair, as_tables, read_pairs, write_pairs


def repeated(text, rows, name="text"):
    """A table of one text, stored once."""
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))
    return pa.table({name: column})


def write(table, path, **options):
    pq.write_table(table, path, compression="zstd", store_schema=False, **options)
    return path


@pytest.fixture
def lists(tmp_path):
    """150 rows of 4,000 texts of 1,000 bytes: 600 MB."""
    inner = repeated("x" * 1000, 600_000)["text"].combine_chunks()
    offsets = pa.array(np.arange(151, dtype=np.int32) * 4000)
    return write(pa.table({"text": pa.ListArray.from_arrays(offsets, inner)}), tmp_path / "lists.parquet")


@pytest.fixture
def texts(tmp_path):
    """600,000 rows of 1,000 bytes: 600 MB."""
    return write(repeated("x" * 1000, 600_000), tmp_path / "texts.parquet")


@pytest.fixture
def zeros(tmp_path):
    """75 million numbers: 600 MB in memory."""
    path = tmp_path / "zeros.parquet"
    part = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(5_000_000)), 5_000)
    table = pa.table({"vector": part})
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(15):
            writer.write_table(table)
    return path


@pytest.mark.parametrize("made", ["texts", "lists", "zeros"])
def test_a_small_file_is_refused_in_less_memory_than_it_would_take(made, request):
    path = request.getfixturevalue(made)
    assert path.stat().st_size < 1 << 20
    script = (
        "import resource, sys; from pathlib import Path; from xlir_bench.parquet_files import read_table\n"
        "import pyarrow.compute, pyarrow.parquet; from xlir_bench.errors import InputError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_table(Path(sys.argv[1]), most=400_000_000)\n"
        "except InputError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    line, kilobytes = done.stdout.splitlines()
    assert line.startswith(f"{path}: would take more than 0.373 GiB of memory")
    assert int(kilobytes) < 250_000


def test_what_the_footer_says_of_the_rows_is_not_relied_on(tmp_path, monkeypatch):
    path = write(repeated("x" * 1000, 100_000), tmp_path / "texts.parquet")
    with pq.ParquetFile(path) as file:
        stated = file.metadata.row_group(0).column(0).total_uncompressed_size
    assert stated < 20_000
    monkeypatch.setattr(parquet_files, "ALWAYS_READ", 100_000_000)
    with pytest.raises(InputError, match="not read"):
        parquet_files.read_table(path)
    monkeypatch.setattr(parquet_files, "ALWAYS_READ", 101_000_000)
    assert parquet_files.read_table(path).num_rows == 100_000
    with pytest.raises(InputError, match="not read"):
        parquet_files.read_table(path, most=1_000_000)


def test_pieces_are_small_and_hold_every_row(tmp_path, monkeypatch):
    rows = [f"{row}" * (1 + row % 7) for row in range(5000)]
    path = write(pa.table({"a": rows, "b": [[row, row] for row in rows], "c": range(5000)}), tmp_path / "x.parquet")
    monkeypatch.setattr(parquet_files, "_PIECE", 4096)
    found = list(parquet_files.pieces(path, ["a", "b", "none"]))
    assert [value for piece in found for value in piece["a"].to_pylist()] == rows
    assert [value for piece in found for value in piece["b"].to_pylist()] == [[row, row] for row in rows]
    assert max(piece.num_rows * 8 + sum(map(len, piece["a"].to_pylist())) for piece in found) < 4096
    assert {name for piece in found for name in piece.schema.names} == {"a", "b"}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_a_table_is_read_as_pyarrow_reads_it(tmp_path, kind):
    values = ["a", None, "ccc"] if kind != pa.binary() else [b"a", None, b"\xff"]
    column = pa.array(values).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(values, kind)
    table = pa.table(
        {
            "t": column,
            "n": [1, None, 3],
            "l": [[1.5], None, []],
            "m": [{"k": "v"}, None, {"k": None}],
            "x.y": ["", "", ""],
        }
    )
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    assert parquet_files.read_table(path).equals(pq.read_table(path))
    assert parquet_files.read_table(path, ["n", "absent"]).equals(pq.read_table(path, columns=["n"]))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"text\n" * 100])
def test_what_is_no_parquet_file_is_one_line(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    for reads in (parquet_files.read_table, lambda path: list(parquet_files.pieces(path))):
        with pytest.raises(InputError, match=r"x\.parquet: cannot be read as Parquet: .+") as error:
            reads(path)
        assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_missing(tmp_path):
    with pytest.raises(MissingResourceError, match="no such file"):
        parquet_files.read_table(tmp_path / "x.parquet")


def copied(table, **columns):
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def same(text, rows):
    return repeated(text, rows)["text"]


def test_every_reader_of_the_package_has_the_bound(tmp_path, monkeypatch, two_languages):
    ranks = count_outranked(GivenScores(np.random.default_rng(0).random((4, 6))), two_languages, across_languages=True)
    _write_ranks(ranks, tmp_path / "whole.parquet")
    table = pq.read_table(tmp_path / "whole.parquet")
    long = write(copied(table, document_id=same("x" * 300_000, table.num_rows)), tmp_path / "ranks.parquet")
    pairs = [{"role": "query", "id": "x" * 900_000, "vector": [1.0]}, {"role": "document", "id": "y", "vector": [1.0]}]
    vectors = write(pa.Table.from_pylist(pairs), tmp_path / "vectors.parquet")
    write_pairs(tmp_path / "store.parquet", as_tables([Pair("q", "x" * 900_000, "de", "en", "1", "set")]))
    monkeypatch.setattr(parquet_files, "ALWAYS_READ", 800_000)
    monkeypatch.setattr(parquet_files, "RATIO", 1)
    readers = {
        long: load_ranks,
        vectors: Precomputed,
        tmp_path / "store.parquet": lambda path: read_pairs([path]),
    }
    for path, reads in readers.items():
        with pytest.raises(InputError, match="of memory") as error:
            reads(path)
        assert str(error.value).startswith(str(path))
    assert load_ranks(tmp_path / "whole.parquet").languages == ranks.languages


def test_training_data_are_gone_through_in_pieces(tmp_path):
    path = write(repeated("x" * 100_000, 40_000), tmp_path / "texts.parquet")  # 4 GB
    found = texts_of(training_files([path])[0], 0)
    tracemalloc.start()
    for _ in range(1000):
        assert len(next(found)) == 1
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()
