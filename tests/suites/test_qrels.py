"""Judgement files in every layout that is accepted, and what is refused."""

from __future__ import annotations

import gzip
import math

import ir_measures
import pytest
from folders import ASKED, BIRDS, write_folder, write_suite
from hypothesis import given, settings
from hypothesis import strategies as st

from xlir_bench.errors import InputError
from xlir_bench.suites import find, load
from xlir_bench.suites.judged import table
from xlir_bench.suites.qrels import Qrel, distinct, read_qrels

PAIRS = [("q0", "d0", 1.0), ("q1", "d1", 2.0), ("q1", "d0", 0.0)]
BEIR = "q0\td0\t1\nq1\td1\t2\nq1\td0\t0\n"
TREC = "q0 0 d0 1\nq1 0 d1 2\nq1 0 d0 0\n"
LAYOUTS = {
    "BEIR": "query-id\tcorpus-id\tscore\n" + BEIR,
    "BEIR without header": BEIR,
    "three columns by spaces": BEIR.replace("\t", "  "),
    "TREC": TREC,
    "TREC by tabs": TREC.replace(" ", "\t"),
    "TREC with Q0": TREC.replace(" 0 d", " Q0 d"),
    "TREC with a header": "qid iter docno rel\n" + TREC,
    "TREC's rounds in the second column": TREC.replace("q1 0 d1", "q1 4.5 d1"),
    "gains as floats": BEIR.replace("\t1\n", "\t1.0\n").replace("\t2\n", "\t2e0\n"),
    "CRLF": BEIR.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + BEIR,
    "a byte order mark before a header": "\ufeffquery-id\tcorpus-id\tscore\r\n" + BEIR,
    "blank lines": "\n\n" + BEIR.replace("\n", "\n\n"),
    "no line feed at the end": BEIR.rstrip("\n"),
    "spaces after the gain": BEIR.replace("\n", " \n"),
    "another header": "query_id\tdoc_id\trelevance\n" + BEIR,
    "a quoted header": '"query-id"\t"corpus-id"\t"score"\n' + BEIR,
}


def pairs(path):
    return [(qrel.query, qrel.document, qrel.gain) for qrel in read_qrels(path)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_judgements(tmp_path, layout, packed):
    path = tmp_path / ("test.tsv.gz" if packed else "test.tsv")
    content = LAYOUTS[layout].encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    assert pairs(path) == PAIRS


def test_trecs_layout_is_read_as_ir_measures_reads_it(tmp_path):
    path = tmp_path / "test.qrels"
    path.write_text(TREC)
    assert pairs(path) == [(q.query_id, q.doc_id, q.relevance) for q in ir_measures.read_trec_qrels(str(path))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q0\td0\n", r"test\.tsv:1: expected query id, document id and a number.*2 columns"),
        ("q0\td0\t1\t0\t1\n", r":1: expected .*5 columns"),
        ("q0,d0,1\n", r":1: expected .*1 column$"),
        ("q0\td0\tmuch\n", r":1: expected .*or a header such as query-id"),
        ("corpus-id\tquery-id\tscore\nd0\tq0\t1\n", r":1: expected .*'score' is not a finite number"),
        ("query-id\tcorpus-id\tscore\tsplit\n", r":1: expected"),
        ("q0\td0\t1\nquery-id\tcorpus-id\tscore\n", r":2: expected .*'score' is not"),
        ("q0\td0\t1\nq1\td1\tmuch\n", r":2: expected .*'much' is not a finite number"),
        ("q0\td0\t1\nq1\t0\td1\t1\n", r":2: expected 3 columns as in the lines before.*4 columns"),
        ("q0 0 d0 1\nq1 0 d 1 1\n", r":2: expected 4 columns"),
        ("query-id\tcorpus-id\tscore\nq0\td0\tnan\n", r":2: .*'nan' is not a finite number"),
        ("q0\td0\tinf\n", r":1: .*'inf'"),
        ("q0\td0\t1e400\n", r":1: .*'1e400'"),
        ("q0\td0\t1_0\n", r":1: .*'1_0'"),
        ("q0\td0\t１\n", r":1: expected"),
        ("q0\t\t1\n", r":1: .*an id is empty"),
        ("q0\td0\t\n", r":1: expected"),
    ],
)
def test_anything_else_is_refused_with_file_and_line(tmp_path, content, message):
    path = tmp_path / "test.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        list(read_qrels(path))


def test_ids_may_hold_spaces_where_columns_are_separated_by_tabs(tmp_path):
    path = tmp_path / "test.tsv"
    path.write_text("who is it\tQ0\tDoc 7, part 2\t1\n")
    assert list(read_qrels(path)) == [Qrel(1, "who is it", "Doc 7, part 2", 1.0, "Q0")]


def test_gains_are_numbers_and_negative_ones_are_not_relevant(tmp_path):
    judged = [("0", "0", "2.5"), ("0", "1", "-2"), ("1", "1", "1")]
    collection = load(find(str(write_folder(tmp_path / "en", BIRDS, ASKED, judged))))
    assert collection.judgements.gain.tolist() == [2.5, -2.0, 1.0]
    assert collection.relevant.tolist() == [True, False, True]


def test_a_file_that_is_cut_off_or_not_gzip_is_refused(tmp_path):
    path = tmp_path / "test.tsv.gz"
    path.write_bytes(gzip.compress(BEIR.encode() * 500)[:40])
    with pytest.raises(InputError, match=r"test\.tsv\.gz: not a whole gzip file"):
        list(read_qrels(path))
    path.write_text(BEIR)
    with pytest.raises(InputError, match="not a whole gzip file"):
        list(read_qrels(path))


def test_a_first_line_that_is_a_judgement_is_measured(tmp_path):
    headless = "".join(f"{n}\t{n}\t1\n" for n in BIRDS)
    collection = load(find(str(write_folder(tmp_path / "en", BIRDS, ASKED, headless))))
    assert collection.queries.ids == list(ASKED)
    assert len(collection.judgements) == 3


def test_two_gains_of_one_pair_are_refused_with_both_lines(tmp_path):
    place = write_folder(tmp_path / "en", BIRDS, ASKED, [("0", "0", 1), ("1", "1", 1), ("0", "0", 2)])
    with pytest.raises(InputError, match=r"test\.tsv:4: query '0' and document '0' have gain 2 here and 1 in line 2"):
        load(find(str(place)))


def test_a_repeated_line_counts_once_and_is_noted(tmp_path):
    place = write_folder(tmp_path / "en", BIRDS, ASKED, [("0", "0", 1), ("1", "1", 1), ("0", "0", 1), ("0", "0", 1.0)])
    collection = load(find(str(place)))
    assert len(collection.judgements) == 2
    assert len(collection.notes) == 1
    assert "test.tsv:4: 2 lines repeat an earlier judgement" in collection.notes[0]
    kept, notes = distinct("x", [Qrel(1, "a", "b", 1.0), Qrel(2, "a", "c", 1.0)])
    assert (len(kept), notes) == (2, ())


def test_a_second_column_of_document_ids_is_not_ignored(tmp_path):
    """`query document gain timestamp` would be read as `query Q0 document gain` where ids are numbers."""
    lines = "0\t0\t1\t1700\n1\t1\t1\t1701\n2\t2\t0\t1702\n"
    place = write_folder(tmp_path / "en", BIRDS, ASKED, lines)
    with pytest.raises(InputError, match=r"test\.tsv:1: the second column of four is ignored.*id of a document"):
        load(find(str(place)))


@pytest.mark.parametrize("name", ["test.tsv", "test.txt", "test.qrels", "test.tsv.gz", "test.qrels.gz", "dev.txt.gz"])
def test_a_folders_only_judgements_are_found_whatever_their_ending(tmp_path, name):
    place = write_folder(tmp_path / "en", BIRDS, ASKED, "")
    (place / "qrels" / "test.tsv").unlink()
    content = b"0 0 0 1\n1 0 1 1\n"
    (place / "qrels" / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    suite = find(str(place))
    assert suite.source.split == name.partition(".")[0]
    assert load(suite).queries.ids == ["0", "1"]


def test_two_files_of_one_split_are_refused(tmp_path):
    place = write_folder(tmp_path / "en", BIRDS, ASKED, [("0", "0", 1)])
    (place / "qrels" / "test.txt").write_text("1 0 1 1\n")
    with pytest.raises(InputError, match=r"test\.tsv and test\.txt are both there"):
        load(find(str(place)))


def test_compressed_texts_are_read_and_may_be_declared_with_their_hash(tmp_path):
    import hashlib

    place = write_folder(tmp_path / "en", BIRDS, ASKED, [("0", "0", 1)])
    plain = load(find(str(place)))
    for name in ("corpus.jsonl", "queries.jsonl"):
        (place / f"{name}.gz").write_bytes(gzip.compress((place / name).read_bytes()))
        (place / name).unlink()
    assert load(find(str(place))).fingerprint == plain.fingerprint
    assert load(find(str(tmp_path))).documents.ids[:1] == ["en:0"]
    pinned = {"en/corpus.jsonl.gz": hashlib.sha256((place / "corpus.jsonl.gz").read_bytes()).hexdigest()}
    source = {"reader": "beir", "folder": "en", "corpus": "corpus.jsonl.gz", "queries": "queries.jsonl.gz"}
    suite = find(str(write_suite(tmp_path / "packed.yaml", source={**source, "sha256": pinned})))
    assert suite.source.files(["en"]) == ["en/corpus.jsonl.gz", "en/queries.jsonl.gz", "en/qrels/test.tsv"]
    assert load(suite).fingerprint == plain.fingerprint
    (place / "corpus.jsonl.gz").write_bytes(gzip.compress(b'{"_id": "0", "text": "another"}\n'))
    with pytest.raises(InputError, match="SHA-256"):
        load(suite)


def test_a_hash_of_the_plain_file_does_not_pass_a_compressed_one(tmp_path):
    place = write_folder(tmp_path / "en", BIRDS, ASKED, [("0", "0", 1)])
    packed = gzip.compress((place / "corpus.jsonl").read_bytes())
    (place / "corpus.jsonl").unlink()
    (place / "corpus.jsonl.gz").write_bytes(packed)
    source = {"reader": "beir", "folder": "en", "sha256": {"en/corpus.jsonl": "0" * 64}}
    with pytest.raises(InputError, match=r"the published hash is that of en/corpus\.jsonl"):
        load(find(str(write_suite(tmp_path / "pinned.yaml", source=source))))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ('{"_id": 7, "text": "x"}', 'write "7" in quotes'),
        ('{"id": "a", "text": "x"}', "rename 'id'"),
        ('{"_id": null, "text": "x"}', "'_id' is missing or not a string$"),
    ],
)
def test_an_id_that_is_no_string_is_refused_with_how_to_mend_it(tmp_path, record, message):
    place = write_folder(tmp_path / "en", BIRDS, ASKED, [("0", "0", 1)])
    (place / "queries.jsonl").write_text(record + "\n")
    with pytest.raises(InputError, match=message):
        load(find(str(place)))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"q1", b"q2", b"d1", b"d2", b"Q0", b"\t", b"\t", b"\t", b"\n", b"\n", b"\r\n", b"1", b"0", b"-1", b"1e400",
             b"nan", b" ", b'"', b"\x00", b"\xff", b"\xef\xbb\xbf", b"query-id\tcorpus-id\tscore\n", b"q1\td1\t1\n",
             b"q1\tQ0\td1\t1\n"]
        ),
        max_size=14,
    ).map(b"".join)
)  # fmt: skip
def test_any_bytes_are_judgements_or_an_error_with_the_files_name(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("qrels") / "test.tsv"
    path.write_bytes(content)
    for read in (lambda: list(read_qrels(path)), lambda: list(table(path).items())):
        found, refusal = attempted(read)
        assert refusal is None or refusal.startswith(str(path))
    found, _ = attempted(lambda: list(read_qrels(path)))
    assert all(math.isfinite(qrel.gain) and qrel.line > 0 for qrel in found or ())


numbers = st.integers(-3, 4) | st.floats(-5, 5, allow_nan=False)
plain_ids = st.text("abcdeXYZ0123456789-_.#:é", min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.tuples(plain_ids, plain_ids), numbers, min_size=1, max_size=10),
    st.sampled_from(["", "query-id\tcorpus-id\tscore", "qid docid label"]),
    st.sampled_from(["\t", " "]),
    st.sampled_from(["", "Q0", "0"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_is_written_in_a_layout_is_read_back(tmp_path_factory, gains, header, gap, iteration, end):
    lines = [gap.join(filter(None, (q, iteration, d, repr(gain)))) for (q, d), gain in gains.items()]
    if header and iteration:
        header = header.replace("corpus-id", "Q0\tcorpus-id").replace("docid", "iter docid")
    path = tmp_path_factory.mktemp("written") / "test.tsv"
    path.write_text(end.join([*filter(None, [header]), *lines]) + end, encoding="utf-8", newline="")
    assert {(qrel.query, qrel.document): qrel.gain for qrel in read_qrels(path)} == gains


def attempted(read):
    """What was read, and the refusal; one of the two is None."""
    try:
        return read(), None
    except InputError as error:
        return None, str(error)
