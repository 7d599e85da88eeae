"""Large columns: what is mapped from disk is what lists hold."""

from __future__ import annotations

import gzip
import json

import pytest

from xlir_bench.collection import Collection, Judgements, Texts, concatenate
from xlir_bench.columns import Constant, Joined, column_digest
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites import records, stored
from xlir_bench.suites.records import Layout
from xlir_bench.suites.stored import Records, positions, read_records, stored_texts

DOCUMENT = Layout(id="_id", text="text", title="title")
TEXTS = ["alpha", "", "βητα", "gamma 😀", "delta", "ε"] * 3000


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"_id": f"d{n}", "title": "", "text": text}) for n, text in enumerate(TEXTS)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def both(corpus, monkeypatch):
    """The same records as lists and as mapped columns, of several chunks."""
    monkeypatch.setattr(stored, "_ROWS_AT_ONCE", 1000)
    monkeypatch.setattr(records, "BLOCK_BYTES", 100_000)
    wanted = Records((corpus,), DOCUMENT, "el", "el:")
    return read_records(wanted), stored_texts(wanted)


def test_a_small_file_is_read_into_lists_and_a_large_or_compressed_one_is_mapped(corpus, tmp_path, monkeypatch):
    assert isinstance(read_records(Records((corpus,), DOCUMENT, "el")).texts, list)
    packed = tmp_path / "docs-0.jsonl.gz"
    packed.write_bytes(gzip.compress(corpus.read_bytes()))
    assert isinstance(read_records(Records((packed,), DOCUMENT, "el")).texts, stored.StoredColumn)
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 1000)
    assert isinstance(read_records(Records((corpus,), DOCUMENT, "el")).texts, stored.StoredColumn)


def test_mapped_columns_hold_the_same_texts_in_the_same_order(both):
    lists, mapped = both
    assert len(mapped.texts.values.chunks) > 1
    for name in ("ids", "texts", "languages"):
        ours, theirs = getattr(mapped, name), getattr(lists, name)
        assert len(ours) == len(theirs)
        assert list(ours) == theirs
        assert [ours[row] for row in (0, 1, -1, 9000)] == [theirs[row] for row in (0, 1, -1, 9000)]
        assert list(ours[5:4000]) == theirs[5:4000]


def test_a_digest_that_was_found_while_streaming_is_that_of_the_texts(both):
    lists, mapped = both
    for name in ("ids", "texts"):
        assert getattr(mapped, name).digest == column_digest(getattr(lists, name))


def test_a_fingerprint_does_not_depend_on_where_the_texts_are(both):
    lists, mapped = both

    def collection(documents):
        queries = Texts(["el:q"], ["?"], ["el"])
        return Collection(queries, documents, Judgements.of([(0, 3, 1.0)]), ["q"])

    other = Collection(
        Texts(["ar:q"], ["?"], ["ar"]), Texts(["ar:0"], ["x"], ["ar"]), Judgements.of([(0, 0, 1.0)]), ["q"]
    )
    assert collection(mapped).fingerprint == collection(lists).fingerprint
    assert concatenate([other, collection(mapped)]).fingerprint == concatenate([other, collection(lists)]).fingerprint
    whole = concatenate([other, collection(mapped)])
    assert isinstance(whole.documents.texts, Joined)
    assert whole.select(["el"]).fingerprint == collection(lists).fingerprint
    changed = Texts(mapped.ids, ["x", *lists.texts[1:]], mapped.languages)
    assert collection(changed).fingerprint != collection(lists).fingerprint


def test_two_texts_that_are_cut_elsewhere_have_another_digest():
    assert column_digest(["ab", "c"]) != column_digest(["a", "bc"])
    assert column_digest(["ab", "c"]) != column_digest(["abc"])
    assert column_digest(["", ""]) != column_digest([""])


def test_positions_are_found_in_lists_and_in_mapped_columns_alike(both):
    lists, mapped = both
    wanted = ["el:d0", "el:d17999", "el:d777", "el:none"]
    assert (
        positions(mapped.ids, wanted)
        == positions(lists.ids, wanted)
        == {"el:d0": 0, "el:d17999": 17999, "el:d777": 777}
    )


def test_what_was_converted_is_not_read_again_until_the_file_changes(corpus, monkeypatch):
    wanted = Records((corpus,), DOCUMENT, "el")
    first = stored_texts(wanted)
    monkeypatch.setattr(stored, "_written", lambda *_: pytest.fail("read again"))
    assert list(stored_texts(wanted).texts) == list(first.texts)
    monkeypatch.undo()
    corpus.write_text('{"_id": "new", "text": "new"}\n')
    assert list(stored_texts(wanted).texts) == ["new"]


def test_a_repeated_id_far_away_is_reported_with_its_line(corpus):
    with corpus.open("a") as file:
        file.write('\n{"_id": "d5", "text": "again"}\n')
    with pytest.raises(InputError, match=r"corpus\.jsonl:18001: id 'd5' occurs twice"):
        stored_texts(Records((corpus,), DOCUMENT, "el", "el:"))


def test_two_ids_whose_hashes_meet_are_no_repetition(corpus, monkeypatch):
    monkeypatch.setattr(stored, "hash", lambda name: len(name), raising=False)
    assert len(stored_texts(Records((corpus,), DOCUMENT, "el"))) == len(TEXTS)


def test_repetitions_are_found_range_by_range(corpus, monkeypatch):
    monkeypatch.setattr(stored, "_HASHES_AT_ONCE", 500)
    assert len(stored_texts(Records((corpus,), DOCUMENT, "el"))) == len(TEXTS)
    with corpus.open("a") as file:
        file.write('\n{"_id": "d9000", "text": "again"}\n')
    with pytest.raises(InputError, match="'d9000' occurs twice"):
        stored_texts(Records((corpus,), DOCUMENT, "el"))


def test_a_conversion_that_fails_leaves_nothing_behind(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path / "cache"))
    with corpus.open("ab") as file:
        file.write(b'\n{"_id": "\xff"}\n')
    with pytest.raises(InputError, match=r":18001: not UTF-8"):
        stored_texts(Records((corpus,), DOCUMENT, "el"))
    assert list((tmp_path / "cache" / "converted").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_a_missing_resource(corpus, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(MissingResourceError, match=r"cannot write .* XLIR_BENCH_CACHE"):
        stored_texts(Records((corpus,), DOCUMENT, "el"))


def test_a_damaged_conversion_is_named(corpus):
    wanted = Records((corpus,), DOCUMENT, "el")
    stored_texts(wanted)
    place = next((stored.cache_folder() / "converted").iterdir())
    (place / "texts.arrow").write_bytes(b"ARROW1 not really")
    with pytest.raises(InputError, match="a converted collection that is damaged"):
        stored_texts(wanted)


def test_joined_columns_behave_as_their_lists_do():
    joined = Joined([["a", "b"], [], Constant("c", 3), ["d"]])
    plain = ["a", "b", "c", "c", "c", "d"]
    assert list(joined) == [joined[row] for row in range(6)] == plain
    assert [joined[-1], list(joined[1:4]), list(joined[::2])] == ["d", plain[1:4], plain[::2]]
    assert "c" in joined
    with pytest.raises(IndexError):
        joined[6]


def test_rows_by_language_of_joined_parts_are_those_of_the_list():
    columns = Joined([Constant("de", 2), Constant("ar", 1), Constant("de", 1)]), ["de", "de", "ar", "de"]
    found = [Texts(list("abcd"), list("abcd"), column).rows_by_language for column in columns]
    assert [{code: rows.tolist() for code, rows in one.items()} for one in found] == [{"ar": [2], "de": [0, 1, 3]}] * 2
    assert list(found[0]) == ["ar", "de"]
