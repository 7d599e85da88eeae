"""Data that mteb and ir_datasets load: from a hub and a web server on loopback, by the installed command."""

from __future__ import annotations

import io
import json
import zipfile

import hub_server
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import one_line, xlir_bench
from hub_server import Refusal

from xlir_bench.errors import MissingResourceError
from xlir_bench.suites.library import library_data

DOCUMENTS = {"d1": "the first text", "d2": "another one", "d3": "a third"}
QUERIES = {"q1": "first", "q2": "third text"}
JUDGED = [("q1", "d1", 1), ("q2", "d3", 1)]
FRONT = {
    "configs": [
        {"config_name": name, "data_files": [{"split": split, "path": path}]}
        for name, split, path in (
            ("default", "test", "qrels/test.parquet"),
            ("corpus", "corpus", "corpus.parquet"),
            ("queries", "queries", "queries.parquet"),
        )
    ]
}


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows):
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), written)
    return written.getvalue()


def files():
    """A data set of mteb's layout."""
    return {
        "README.md": f"---\n{json.dumps(FRONT)}\n---\n".encode(),
        "corpus.parquet": parquet([{"_id": name, "title": "", "text": text} for name, text in DOCUMENTS.items()]),
        "queries.parquet": parquet([{"_id": name, "text": text} for name, text in QUERIES.items()]),
        "qrels/test.parquet": parquet([{"query-id": q, "corpus-id": d, "score": gain} for q, d, gain in JUDGED]),
    }


@pytest.fixture
def hub():
    with hub_server.running() as server:
        yield server


@pytest.fixture
def run(tmp_path):
    def run(suite, *arguments, **environment):
        options = ("--json", "--output", tmp_path / "results")
        return xlir_bench("run", "bm25", "--suite", suite, *options, *arguments, env=environment)

    return run


@pytest.fixture
def revision():
    """The commit that mteb names of the data of SciFact."""
    mteb = pytest.importorskip("mteb")
    return mteb.get_task("SciFact").metadata.dataset["revision"]


def test_a_task_of_mteb_is_fetched_from_the_hub_and_found_again_offline(hub, run, revision, tmp_path):
    hub.push("datasets/mteb/scifact", files(), commit=revision)
    found = run("mteb:SciFact", **hub.environment(tmp_path))
    assert found.returncode == 0, found.stderr[-3000:]
    result = json.loads(found.stdout)
    assert {row["queries"] for row in result["scores"]} == {2}
    before = len(hub.asked)
    again = run("mteb:SciFact", "--offline", **hub.environment(tmp_path))
    assert again.returncode == 0, again.stderr[-3000:]
    assert json.loads(again.stdout)["scores"] == result["scores"]
    assert len(hub.asked) == before


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [
        ([], "mteb:SciFact: its data cannot be loaded"),
        ([Refusal("scifact", 403, {"X-Error-Code": "GatedRepo"})], "gated"),
        ([Refusal("/storage/", 404)], "404"),
    ],
    ids=["not there", "gated", "a file is not there"],
)
def test_data_that_the_hub_refuses_are_one_line(hub, run, revision, tmp_path, refusals, expected):
    if refusals:
        hub.push("datasets/mteb/scifact", files(), commit=revision)
    hub.refusals = [Refusal(**vars(refusal)) for refusal in refusals]
    line = one_line(run("mteb:SciFact", **hub.environment(tmp_path)), 3)
    assert line.startswith("xlir-bench: error: mteb:SciFact: its data cannot be loaded")
    assert expected in line


def test_data_of_another_layout_are_one_line(hub, run, revision, tmp_path):
    broken = {**files(), "corpus.parquet": parquet([{"number": 1, "body": "x"}])}
    hub.push("datasets/mteb/scifact", broken, commit=revision)
    assert "mteb:SciFact: its data cannot be loaded" in one_line(run("mteb:SciFact", **hub.environment(tmp_path)), 3)


def packed():
    """The data set in BEIR's layout, as `scifact.zip`."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        rows = [{"_id": name, "title": "", "text": text} for name, text in DOCUMENTS.items()]
        archive.writestr("scifact/corpus.jsonl", lines(rows))
        archive.writestr("scifact/queries.jsonl", lines({"_id": n, "text": text} for n, text in QUERIES.items()))
        rows = "".join(f"{q}\t{d}\t{gain}\n" for q, d, gain in JUDGED)
        archive.writestr("scifact/qrels/test.tsv", "query-id\tcorpus-id\tscore\n" + rows)
    return written.getvalue()


@pytest.fixture
def home(tmp_path):
    pytest.importorskip("ir_datasets")
    return {"IR_DATASETS_HOME": str(tmp_path / "ir"), "XLIR_BENCH_CACHE": str(tmp_path / "cache")}


def test_what_ir_datasets_has_in_its_own_folder_is_measured_offline(run, home, tmp_path):
    place = tmp_path / "ir" / "beir" / "scifact" / "source.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes(packed())
    found = run("ir_datasets:beir/scifact/test", "--offline", "--languages", "en", **home)
    assert found.returncode == 0, found.stderr[-3000:]
    assert {row["queries"] for row in json.loads(found.stdout)["scores"]} == {2}


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, "All download sources failed"), (None, "md5")],
    ids=["not there", "another file than was published"],
)
def test_what_ir_datasets_cannot_fetch_is_one_line(run, home, server, status, expected):
    address = "http://ir.dcs.gla.ac.uk/resources/test_collections/npl/npl.tar.gz"
    server.files = {} if status else {address: b"another file"}  # a proxy is asked for the whole address
    nowhere = "http://127.0.0.1:9"  # for the library's second source, which is https
    line = one_line(run("ir_datasets:vaswani", http_proxy=server.url, https_proxy=nowhere, no_proxy="", **home), 3)
    assert line.startswith("xlir-bench: error: ir_datasets:vaswani: its data cannot be loaded")
    assert expected in line
    assert server.requests[0][0] == address


@pytest.mark.parametrize("ends", [SystemExit(0), SystemExit("no"), EOFError(), ImportError("x"), RuntimeError("a\nb")])
def test_a_loader_that_ends_the_process_or_raises_anything_is_a_missing_resource(ends):
    @library_data("mteb:X")
    def load():
        raise ends

    with pytest.raises(MissingResourceError, match=r"mteb:X: its data cannot be loaded \(.+\)") as error:
        load()
    assert "\n" not in str(error.value)


def test_an_interrupt_of_a_loader_stays_one():
    with pytest.raises(KeyboardInterrupt), library_data("mteb:X"):
        raise KeyboardInterrupt
