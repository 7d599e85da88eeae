"""The audit as a person meets it: files of every kind, the record, the command, what a result then states."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xlir_bench.cli.audit import command
from xlir_bench.cli.main import cli
from xlir_bench.encoders.audited import read_audit
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites import find, load
from xlir_bench.training.audit import audit, keep
from xlir_bench.training.audit.rows import file_digest, texts_of, training_files

LEAK = "The capital of the province lies on the left bank of the river, below the old castle"
SUITE = {
    "name": "little",
    "version": 1,
    "title": "Little",
    "description": "Two documents.",
    "licence": "CC0-1.0",
    "citation": "none",
    "languages": ["en"],
    "source": {"reader": "lareqa"},
    "settings": {"monolingual": ["AP"]},
}


@pytest.fixture
def suite(tmp_path):
    """A suite of one question and two documents, one of which is `LEAK`."""
    folder = tmp_path / "little"
    folder.mkdir()
    context = f"{LEAK}. Nothing else is known of it."
    paragraph = {
        "context": context,
        "qas": [
            {"id": "q", "question": "Where does the capital lie?", "answers": [{"text": "left", "answer_start": 40}]}
        ],
        "sentence_breaks": [[0, len(LEAK) + 1], [len(LEAK) + 2, len(context)]],
    }
    (folder / "en.json").write_text(json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}))
    (folder / "little.yaml").write_text(json.dumps(SUITE))
    return find(str(folder / "little.yaml"))


@pytest.fixture
def collection(suite):
    return load(suite)


def write_parquet(path):
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "query": ["a", "b"],
        "document": ["nothing", LEAK],
        "query_language": ["de", "de"],
        "document_language": ["en", "en"],
        "negatives": [[], ["c"]],
        "weight": [1.0, 2.0],
    }
    parquet.write_table(pa.table(columns), path)


def lines(*values):
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


KINDS = {
    "aligned.jsonl": (lines({"de": "x", "en": "y"}, {"de": "z", "en": LEAK}), (2, "en", "en")),
    "qa.jsonl": (lines({"language": "en", "question": "q", "passage": f"Well. {LEAK}. Yes."}), (1, "passage", "en")),
    "pairs.jsonl": (lines({"query": "q", "document": "d", "negatives": ["n", LEAK]}), (1, "negatives.1", "")),
    "squad.json": (
        json.dumps({"data": [{"paragraphs": [{"context": LEAK, "qas": [{"id": "1", "question": "q"}]}]}]}),
        (0, "data.0.paragraphs.0.context", ""),
    ),
    "plain.txt": (f"one\n\n{LEAK}\n", (3, "", "")),
    "table.tsv": (f"1\tone\n2\t{LEAK}\n", (2, "", "")),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_a_leak_is_found_in_a_file_of_every_kind_with_its_place(tmp_path, suite, collection, name, zipped):
    text, (row, field, language) = KINDS[name]
    path = tmp_path / (f"{name}.gz" if zipped else name)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if zipped else text.encode())
    found = audit([path], suite, collection)
    assert found.contaminated
    leaks = [one.finding for one in found.rows if one.finding.leak]
    assert [(one.id, one.file, one.row, one.field) for one in leaks] == [("en:0.0.0", path.name, row, field)]
    places = {
        (place.row, place.field): place.language for r in texts_of(training_files([path])[0], 0) for place, _ in r
    }
    assert places[row, field] == language


def test_a_leak_is_found_in_a_pair_store_with_its_row_column_and_language(tmp_path, suite, collection):
    write_parquet(tmp_path / "store.parquet")
    found = audit([tmp_path / "store.parquet"], suite, collection)
    assert [(one.finding.row, one.finding.field) for one in found.rows] == [(2, "document")]
    texts = [one for row in texts_of(training_files([tmp_path / "store.parquet"])[0], 0) for one in row]
    assert {place.language for place, text in texts if text == LEAK} == {"en"}
    assert {place.language for place, text in texts if text == "b"} == {"de"}


def test_a_folder_is_searched_at_any_depth_and_other_files_are_left_alone(tmp_path, suite, collection):
    place = tmp_path / "train"
    (place / "deep").mkdir(parents=True)
    (place / "deep" / "a.txt").write_text(LEAK)
    (place / "licence.pdf").write_bytes(b"%PDF")
    found = audit([place], suite, collection)
    assert [file.name for file in found.record.training.files] == ["deep/a.txt"]
    assert found.contaminated


def test_the_fingerprint_of_training_data_is_of_what_they_say(tmp_path, suite, collection):
    (tmp_path / "a.txt").write_text("first\n")
    (tmp_path / "b.txt").write_text("second\n")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"first\n", mtime=0))
    one, same, other = (
        audit([tmp_path / name for name in names], suite, collection).record.training.fingerprint
        for names in (("a.txt", "b.txt"), ("b.txt", "c.txt.gz"), ("a.txt",))
    )
    assert one == same != other
    assert file_digest(tmp_path / "a.txt") == file_digest(tmp_path / "c.txt.gz")


def test_the_record_has_counts_hashes_and_ids_and_no_text(tmp_path, suite, collection):
    (tmp_path / "a.txt").write_text(f"{LEAK} indeed\n" * 3)
    record, rows = keep(audit([tmp_path / "a.txt"], suite, collection), tmp_path / "out")
    kept = read_audit(record)
    assert kept.verdict == "contaminated"
    assert kept.leaked() == {"en": 1}
    assert kept.suite.fingerprint == collection.fingerprint
    assert kept.languages["en"]["document"].model_dump() == {
        "texts": 2, "touched": 1, "leaked": 1, "too_short": 0, "longest": 17
    }  # fmt: skip
    assert not any(part in record.read_text() for part in ("capital", "castle", "Nothing"))
    (row,) = (json.loads(line) for line in rows.read_text().splitlines())
    assert row["training_text"] == f"{LEAK} indeed"
    assert row["places"] == [["a.txt", 1, ""], ["a.txt", 2, ""], ["a.txt", 3, ""]]
    assert row["copies"] == 3


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("nothing.txt", None, MissingResourceError, "nothing.txt: no such file or folder"),
        ("model.bin", b"x", InputError, r"model.bin: not a kind of file that can be read; known are .jsonl"),
        ("bad.jsonl", b'{"en": "a"}\n{"en": \n', InputError, r"bad.jsonl:2: not JSON, perhaps cut off"),
        ("bad.json", b"[1, 2", InputError, "bad.json: not JSON, perhaps cut off"),
        ("latin.txt", "é".encode("latin-1"), InputError, "latin.txt: not UTF-8 text"),
        ("cut.txt.gz", gzip.compress(b"text" * 999, mtime=0)[:-9], InputError, r"cut.txt.gz: not gzip, or cut off"),
        ("plain.txt.gz", b"plain", InputError, r"plain.txt.gz: not gzip"),
        ("bad.parquet", b"PAR1", InputError, "bad.parquet: cannot be read as Parquet"),
    ],
)
def test_bad_training_data_are_named_in_one_line(tmp_path, suite, collection, name, content, error, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message) as raised:
        audit([tmp_path / name], suite, collection)
    assert "\n" not in str(raised.value)


def test_parquet_without_texts_and_an_empty_folder_are_refused(tmp_path, suite, collection):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"n": [1]}), tmp_path / "n.parquet")
    with pytest.raises(InputError, match="no column of texts; there are n"):
        audit([tmp_path / "n.parquet"], suite, collection)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no training data in it"):
        audit([tmp_path / "empty"], suite, collection)


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_exit_code_says_clean_or_contaminated(tmp_path, suite):
    (tmp_path / "clean.txt").write_text("nothing of the kind is written here\n")
    (tmp_path / "leak.txt").write_text(f"{LEAK}\n")
    declaration = suite.place / "little.yaml"
    clean, leak = (run(tmp_path / name, "--suite", declaration) for name in ("clean.txt", "leak.txt"))
    assert (clean.exit_code, leak.exit_code) == (0, 4)
    assert clean.stdout.startswith("clean: of 3 texts of little 0 have leaked into 1 training texts")
    assert "leak.txt:1" in leak.stdout
    assert LEAK in leak.stdout


def test_bad_input_has_exit_code_two(tmp_path, suite):
    (tmp_path / "bad.jsonl").write_text("no json\n")
    result = CliRunner().invoke(
        cli, ["audit", str(tmp_path / "bad.jsonl"), "--suite", str(suite.place / "little.yaml")]
    )
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_code == 2


def test_json_on_stdout_is_the_record_with_the_rows(tmp_path, suite):
    (tmp_path / "leak.txt").write_text(f"{LEAK}\n")
    found = json.loads(run(tmp_path / "leak.txt", "--suite", suite.place / "little.yaml", "--json").stdout)
    assert found["verdict"] == "contaminated"
    assert [row["suite_text"] for row in found["rows"]] == [f"{LEAK}."]


def test_only_queries_leaves_documents_out(tmp_path, suite):
    (tmp_path / "leak.txt").write_text(f"{LEAK}\n")
    result = run(tmp_path / "leak.txt", "--suite", suite.place / "little.yaml", "--only", "queries", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["suite"]["sides"] == ["query"]


def test_training_data_outside_the_suite_s_languages_are_read_too(tmp_path, suite, collection):
    (tmp_path / "a.jsonl").write_text(lines({"sr": "нешто", "xx-unknown": LEAK}))
    assert audit([tmp_path / "a.jsonl"], suite, collection).contaminated


@pytest.mark.slow
def test_of_the_shared_training_data_ten_records_share_stock_phrases_with_xquad(shared_data):
    """The figure that the data's README gives, found there by overlap of 8 words."""
    suite = find("xquad")
    found = audit([shared_data / "train"], suite, load(suite, shared_data))
    assert not found.contaminated
    by_words = [row for row in found.rows if row.finding.overlap == 8]
    records = {(file, number) for row in by_words for file, number, _ in row.places}
    assert len(records) == 10
    assert len(by_words) == len(found.rows)


def test_memory_does_not_grow_with_the_training_data(tmp_path, suite, collection):
    import tracemalloc

    generator = np.random.default_rng(1)
    words = np.array([f"w{n}" for n in range(5000)])
    peaks = []
    audit_of = tmp_path / "a.txt"
    for size in (20_000, 60_000):
        with Path(audit_of).open("w") as file:
            for _ in range(size):
                file.write(" ".join(generator.choice(words, 20)) + "\n")
        tracemalloc.start()
        audit([audit_of], suite, collection)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_texts_of_a_parquet_file_are_found_whatever_type_holds_them(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    pairs = pa.array([{"de": "ein Satz", "en": "a sentence"}])
    columns = {"coded": pa.array(["coded"]).dictionary_encode(), "viewed": pa.array(["viewed"], pa.string_view())}
    parquet.write_table(pa.table({**columns, "translation": pairs, "n": [1]}), tmp_path / "x.parquet")
    rows = texts_of(training_files([tmp_path / "x.parquet"])[0], 0)
    assert {text for row in rows for _, text in row} == {"coded", "viewed", "ein Satz", "a sentence"}
