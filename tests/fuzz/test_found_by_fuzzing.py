"""Inputs that the fuzz tests of this folder found, each by itself."""

from __future__ import annotations

import io
import json
import math
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_fuzz_declarations import RECIPES, SUITES
from test_fuzz_submissions import TASK

from xlir_bench.encoders.verification import unpacked_sample
from xlir_bench.errors import InputError, MissingResourceError, XlirError, warn
from xlir_bench.results import leaders_path, load_ranks, ranks_path
from xlir_bench.submissions.mteb_import import import_mteb
from xlir_bench.suites.schema import read_declaration
from xlir_bench.training.recipe import read_recipe
from xlir_bench.yaml_files import parse_yaml


@pytest.mark.parametrize("languages", [[["en"]], [{"a": 1}], [None], [["en"], "de"]])
def test_a_suite_whose_languages_are_no_texts(tmp_path, languages):
    (tmp_path / "s.yaml").write_text(json.dumps({**SUITES["lareqa"], "languages": languages}))
    with pytest.raises(InputError, match=r"s\.yaml: not a suite: languages"):
        read_declaration(tmp_path / "s.yaml")


@pytest.mark.parametrize("kind", [XlirError, InputError, MissingResourceError])
def test_an_error_is_one_line_of_printable_characters_whatever_it_quotes(kind):
    found = str(kind("a\x1b[2J\u202eb\nc\ud800 " + "x" * 10**6))
    assert found.startswith("a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b c\N{REPLACEMENT CHARACTER} xxx")
    assert found.isprintable()
    assert len(found) == 4000


def test_a_warning_is_such_a_line_too(capsys):
    warn("a\x1b[2J\u202eb " + "x" * 10**6)
    line = capsys.readouterr().err
    assert line.startswith("xlir-bench: warning: a\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}b xxx")
    assert len(line) < 4100


def test_a_number_larger_than_any_is_text_in_yaml():
    assert parse_yaml("[1e999, -1e999, 1e308]", "x", numbers=True) == ["1e999", "-1e999", 1e308]


@pytest.mark.parametrize("epochs", ["1.0e+308", "1e999", "1000001"])
def test_a_recipe_of_more_epochs_than_can_be_counted(tmp_path, epochs):
    text = json.dumps(RECIPES["transformer"]).replace("1.5", epochs)
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(InputError, match="epochs"):
        read_recipe(tmp_path / "r.yaml")


def _sample(method: int, vectors: np.ndarray) -> bytes:
    sink = io.BytesIO()
    arrays = {f"{role}_keys": np.zeros(16, np.uint8) for role in ("query", "document")}
    np.savez(sink, **arrays, query_vectors=vectors, document_vectors=vectors)
    content = bytearray(sink.getvalue())
    with zipfile.ZipFile(sink) as archive:
        at = archive.infolist()[-1].header_offset
    directory = content.rindex(b"PK\x01\x02")
    content[at + 8], content[directory + 10] = method, method
    return bytes(content)


def test_a_sample_that_is_compressed_in_an_unknown_way_or_of_complex_numbers_is_none():
    assert unpacked_sample(_sample(0, np.ones((1, 4), np.float32))) is not None
    assert unpacked_sample(_sample(99, np.ones((1, 4), np.float32))) is None
    assert unpacked_sample(_sample(0, np.ones((1, 4), np.complex64))) is None


@pytest.mark.parametrize("column", ["query", "ahead"])
@pytest.mark.parametrize("number", [math.nan, 0.5])
def test_a_table_of_ranks_whose_numbers_are_not_whole(measured, tmp_path, column, number):
    table = pq.read_table(ranks_path(measured))
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array([number] * len(table))), tmp_path / "r.parquet")
    with pytest.raises(InputError, match="not of whole numbers"):
        load_ranks(tmp_path / "r.parquet")


def test_first_documents_whose_numbers_are_not_whole(measured, tmp_path):
    table = pq.read_table(leaders_path(measured))
    pq.write_table(pq.read_table(ranks_path(measured)), tmp_path / "r.parquet")
    queries = pa.array(np.asarray(table["query"], float))
    pq.write_table(table.set_column(0, "query", queries), tmp_path / "r.leaders.parquet")
    with pytest.raises(InputError, match="not of whole numbers"):
        load_ranks(tmp_path / "r.parquet")


def _packed(kind: str) -> bytes:
    sink = io.BytesIO()
    content = json.dumps(TASK).encode() + bytes(np.random.default_rng(0).integers(0, 256, 50_000, np.uint8))
    with tarfile.open(fileobj=sink, mode=f"w:{kind}") as archive:
        info = tarfile.TarInfo("results/org__Model/1234/XQuADRetrieval.json")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2"])
@pytest.mark.parametrize("place", [0.05, 0.3, 0.6, 0.9])
def test_an_archive_of_mteb_with_a_changed_byte(tmp_path, kind, place):
    content = bytearray(_packed(kind))
    for at in range(int(place * len(content)), int(place * len(content)) + 40):
        content[at] ^= 0xFF
    (tmp_path / "results.tar").write_bytes(content)
    with pytest.raises(InputError):
        import_mteb(tmp_path / "results.tar", tmp_path / "s")


def test_a_folder_of_mteb_whose_name_is_no_text(tmp_path):
    place = tmp_path / "results" / "\udcff__x" / "1234"
    place.mkdir(parents=True)
    (place / "XQuADRetrieval.json").write_text(json.dumps(TASK))
    report = import_mteb(tmp_path / "results", tmp_path / "s")
    assert len(report.submissions) == 1
