"""JSON lines: what pyarrow's parser gives is what Python's `json` gives, and every fault has its line."""

from __future__ import annotations

import gzip
import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlir_bench.errors import InputError
from xlir_bench.suites import records
from xlir_bench.suites.qrels import read_qrels
from xlir_bench.suites.records import Layout, batches

DOCUMENT = Layout(id="_id", text="text", title="title")
PLAIN = Layout(id="_id", text="text", title=None)

unicode_text = st.text(st.characters(exclude_categories=("Cs",)))
fields = st.fixed_dictionaries(
    {"_id": unicode_text, "text": unicode_text},
    optional={"title": st.none() | unicode_text, "metadata": st.dictionaries(unicode_text, st.integers() | st.none())},
)


def read(path, layout=DOCUMENT):
    return [
        (line, text_id, text)
        for batch in batches(path, layout)
        for line, text_id, text in zip(batch.lines, batch.ids.to_pylist(), batch.texts.to_pylist(), strict=True)
    ]


def joined(record):
    return f"{record.get('title') or ''} {record['text']}".strip()


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(fields, max_size=8), escaped=st.booleans(), blank=st.booleans(), ends=st.booleans(),
    crlf=st.booleans(), mark=st.booleans(), block=st.sampled_from([7, 64, 8 << 20]),
)  # fmt: skip
def test_records_are_what_json_says_however_the_lines_are_written(
    tmp_path_factory, rows, escaped, blank, ends, crlf, mark, block
):
    separator = ("\r\n" if crlf else "\n") * (2 if blank else 1)
    content = separator.join(json.dumps(row, ensure_ascii=escaped) for row in rows) + ("\n" if ends else "")
    path = tmp_path_factory.mktemp("lines") / "corpus.jsonl"
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", block)
        found = read(path)
    assert [(text_id, text) for _, text_id, text in found] == [(row["_id"], joined(row)) for row in rows]
    assert [line for line, _, _ in found] == [1 + number * (2 if blank else 1) for number in range(len(rows))]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b'{"_id": "a", "text": "b"}', b'{"_id":"a","text":"b","title":null}', b"\n", b"\r\n", b" ", b"{}", b"[]",
             b'{"_id": "c",', b'"text": "d"}', b"}", b"{", b'"', b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"null", b",",
             b'{"_id": "e", "text": "f", "x": {"y": {}}}', b'{"_id": 1, "text": "g"}',
             b'{"_id":"h","_id":"i","text":"j"}',
             b'{"_id": "k", "text": "\\u0000\\ud83d\\ude00"}', b'{"_id": "l", "text": "\\ud800"}', b"NaN", b"\x00",
             b'{"_id": "m", "text": "n", "z": NaN}', b'{"_id": "o", "text": "p", "title": 7}']
        ),
        max_size=12,
    ).map(b"".join)
)  # fmt: skip
def test_any_bytes_are_records_or_an_error_with_the_files_name(tmp_path_factory, content):
    """The oracle reads line by line with `json`; both must agree on every byte string."""
    path = tmp_path_factory.mktemp("fuzz") / "corpus.jsonl"
    path.write_bytes(content)
    try:
        expected = by_line(content)
    except ValueError:
        with pytest.raises(InputError, match=r"corpus\.jsonl:\d+: "):
            read(path)
        return
    assert [(text_id, text) for _, text_id, text in read(path)] == expected


def by_line(content: bytes):
    found = []
    for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if line.strip():
            row = json.loads(line.decode())
            if not isinstance(row, dict) or not isinstance(row.get("_id"), str) or not isinstance(row.get("text"), str):
                raise ValueError
            if not isinstance(row.get("title") or "", str) or isinstance(row.get("title"), int):
                raise ValueError
            (row["_id"] + row["text"]).encode()  # halves of surrogate pairs are no text
            found.append((row["_id"], joined(row)))
    return found


def test_white_space_around_a_text_goes_as_python_strips_it(tmp_path):
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    near = ["\u200b", "﻿", "⁠", "\x00"]
    path = tmp_path / "corpus.jsonl"
    rows = [{"_id": str(n), "title": "", "text": f"{c}a{c}"} for n, c in enumerate([*spaces, *near])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [text for _, _, text in read(path)] == [row["text"].strip() for row in rows]


def test_a_querys_text_is_taken_as_it_is(tmp_path):
    path = tmp_path / "queries.jsonl"
    path.write_text('{"_id": "q", "title": "no", "text": " why? "}\n')
    assert read(path, PLAIN) == [(1, "q", " why? ")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"_id": "x", "text": ', r":4: not JSON"),
        (b'{"text": "x"}', r":4: '_id' is missing or not a string"),
        (b'{"_id": 5, "text": "x"}', r":4: '_id' is missing or not a string"),
        (b'{"_id": "x", "text": null}', r":4: 'text' is missing or not a string"),
        (b'{"_id": "x", "text": ["a"]}', r":4: 'text' is missing or not a string"),
        (b'{"_id": "x", "text": "a", "title": 1}', r":4: 'title' is not a string"),
        (b'{"_id": "x", "text": "\xff"}', r":4: not UTF-8: invalid start byte at byte 23"),
        (b'{"_id": "x", "text": "\\ud800"}', r":4: 'text' has half of a surrogate pair"),
        (b'{"_id": "x", "text": "a"}{"_id": "y", "text": "b"}', r":4: not JSON: Extra data"),
        (b'"x"', r':4: expected an object with "_id" and "text"'),
        (b"[" * 100_000, r":4: not JSON"),
    ],
)
def test_a_fault_is_reported_with_file_and_line_after_good_blocks(tmp_path, monkeypatch, line, message):
    monkeypatch.setattr(records, "BLOCK_BYTES", 64)
    path = tmp_path / "corpus.jsonl"
    good = b'{"_id": "%d", "text": "something of a length that fills a block"}\n'
    path.write_bytes(good % 1 + good % 2 + good % 3 + line + b"\n" + good % 5)
    with pytest.raises(InputError, match=rf"corpus\.jsonl{message}"):
        read(path)


def test_a_compressed_file_is_read_and_one_cut_off_is_refused(tmp_path):
    path = tmp_path / "docs-0.jsonl.gz"
    content = gzip.compress(b"".join(b'{"_id": "%d", "text": "text %d"}\n' % (n, n * n) for n in range(5000)))
    path.write_bytes(content)
    assert read(path)[4999] == (5000, "4999", "text 24990001")
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"docs-0\.jsonl\.gz: not a whole gzip file: .* get it again"):
        read(path)


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "corpus.jsonl").write_bytes(b"")
    assert read(tmp_path / "corpus.jsonl") == []


def bomb(megabytes: int) -> bytes:
    """A gzip file of records that are all alike, some 1,000 times as large as it is."""
    line = json.dumps({"_id": "a", "text": "b" * 1000}).encode() + b"\n"
    return gzip.compress(line * (megabytes * 1000), 9)


def test_a_gzip_file_that_unpacks_to_more_than_an_archive_may_is_refused_while_it_is_read(tmp_path):
    path = tmp_path / "corpus.jsonl.gz"
    path.write_bytes(bomb(150))
    assert path.stat().st_size < 1 << 20
    counted = []

    def count():
        counted.extend(len(batch.ids) for batch in batches(path, PLAIN))

    with pytest.raises(InputError, match=r"corpus\.jsonl\.gz: unpacks to more than 100 times its size"):
        count()
    assert 0 < sum(counted) < 110_000
    path.write_bytes(bomb(50))
    assert sum(len(batch.ids) for batch in batches(path, PLAIN)) == 50_000


def test_judgements_in_a_gzip_file_have_the_same_bound(tmp_path):
    path = tmp_path / "test.tsv.gz"
    path.write_bytes(gzip.compress(b"query-id\tcorpus-id\tscore\n" + (b"q" * 100_000 + b"\td\t1\n") * 1500))
    with pytest.raises(InputError, match=r"test\.tsv\.gz: unpacks to more than 100 times its size"):
        list(read_qrels(path))


def test_a_title_with_half_a_pair_is_named(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"_id": "a", "title": "\\ud800", "text": "b"}\n')
    with pytest.raises(InputError, match=r"corpus\.jsonl:1: 'title' has half of a surrogate pair"):
        read(path)
