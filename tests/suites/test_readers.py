"""Readers on the real files, and on files that are not what they should be."""

from __future__ import annotations

import json
import shutil

import pytest
from made_data import write_beir

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites import Suite, check, find, load
from xlir_bench.suites.schema import Expectation

# Published with LAReQA: https://github.com/google-research-datasets/lareqa
CANDIDATES = {
    "ar": 1222, "de": 1276, "el": 1234, "en": 1180, "es": 1215, "hi": 1244,
    "ru": 1219, "th": 852, "tr": 1167, "vi": 1209, "zh": 1196,
}  # fmt: skip


def unpinned(name: str) -> Suite:
    """A shipped suite that takes any files in its layout."""
    suite = find(name)
    source = suite.source.model_copy(update={"sha256": {}})
    return suite.model_copy(update={"source": source, "expect": Expectation()})


@pytest.fixture(scope="module")
def xquad_r(shared_data):
    return load(find("xquad-r"), shared_data)


def test_xquad_r_has_exactly_the_published_counts(xquad_r):
    rows = {row.language: row for row in check(find("xquad-r"), xquad_r)}
    assert {code: row.documents for code, row in rows.items()} == CANDIDATES
    assert {row.queries for row in rows.values()} == {1190}
    assert {row.judged for row in rows.values()} == {1190}
    assert len(xquad_r.documents) == 13014
    assert all(row.holds for row in rows.values())


def test_every_question_of_xquad_r_has_one_relevant_sentence_in_each_language(xquad_r):
    answers = {}
    for query, document in zip(xquad_r.judgements.query, xquad_r.judgements.document, strict=True):
        answers.setdefault(int(query), []).append(xquad_r.documents.languages[document])
    assert len(answers) == 13090
    assert all(sorted(codes) == sorted(CANDIDATES) for codes in answers.values())


def test_the_relevant_sentence_holds_the_beginning_of_the_answer(xquad_r, shared_data):
    """Found again without offsets: by the answer's first word, where it stands once in the paragraph."""
    texts = dict(zip(xquad_r.documents.ids, xquad_r.documents.texts, strict=True))
    relevant = {
        (xquad_r.queries.ids[q], xquad_r.documents.languages[d]): xquad_r.documents.ids[d]
        for q, d in zip(xquad_r.judgements.query, xquad_r.judgements.document, strict=True)
    }
    checked = 0
    for code in ("de", "en", "ru"):
        for article in json.loads((shared_data / "xquad-r" / f"{code}.json").read_text())["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    answer = question["answers"][0]["text"].replace("\ufeff", "")
                    first = answer.split()[0]
                    if paragraph["context"].count(first) == 1:
                        assert first in texts[relevant[f"{code}:{question['id']}", code]]
                        checked += 1
    assert checked > 1000


def test_no_byte_order_mark_reaches_an_encoder(xquad_r):
    assert not any("\ufeff" in text for text in [*xquad_r.documents.texts, *xquad_r.queries.texts])


def test_sentence_with_context_is_an_option_of_the_suite(parallel_suite):
    suite = parallel_suite
    wider = suite.model_copy(update={"source": suite.source.model_copy(update={"text": "sentence+context"})})
    plain, with_context = load(suite, languages=["en"]), load(wider, languages=["en"])
    for sentence, both in zip(plain.documents.texts, with_context.documents.texts, strict=True):
        assert both.startswith(f"{sentence} ")
        assert sentence in both[len(sentence) + 1 :]
    assert plain.fingerprint != with_context.fingerprint


def test_xquad_merges_equal_questions_and_paragraphs(shared_data):
    collection = load(find("xquad"), shared_data)
    for code in collection.languages:
        in_code = collection.queries.rows_by_language[code]
        texts = [collection.queries.texts[q] for q in in_code]
        assert len(set(texts)) == len(texts)
        pool = [collection.documents.texts[d] for d in collection.documents.rows_by_language[code]]
        assert len(set(pool)) == len(pool) == 240
        asked, paragraphs = set(), set()
        for article in json.loads((shared_data / "xquad" / f"xquad.{code}.json").read_text())["data"]:
            for paragraph in article["paragraphs"]:
                paragraphs.add(paragraph["context"])
                asked |= {question["question"] for question in paragraph["qas"]}
        assert set(texts) == asked
        assert set(pool) == paragraphs


def test_a_beir_folder_is_read_as_beir_reads_it(tmp_path):
    from beir.datasets.data_loader import GenericDataLoader

    corpus, queries, qrels = GenericDataLoader(str(write_beir(tmp_path / "en"))).load(split="test")
    collection = load(find(str(tmp_path / "en")))
    assert dict(zip(collection.queries.ids, collection.queries.texts, strict=True)) == queries
    expected = {name: f"{fields['title']} {fields['text']}".strip() for name, fields in corpus.items()}
    assert dict(zip(collection.documents.ids, collection.documents.texts, strict=True)) == expected
    judged = {}
    j = collection.judgements
    for q, d, gain in zip(j.query, j.document, j.gain, strict=True):
        judged.setdefault(collection.queries.ids[q], {})[collection.documents.ids[d]] = int(gain)
    assert judged == qrels


def test_only_the_files_of_the_chosen_languages_are_needed(parallel_folder, tmp_path):
    shutil.copy(parallel_folder / "de.json", tmp_path / "de.json")
    assert load(unpinned("xquad-r"), tmp_path, ["de"]).languages == ("de",)


def test_a_part_of_the_languages_has_another_fingerprint(parallel_suite):
    whole, part = load(parallel_suite), load(parallel_suite, languages=["de", "en"])
    assert part.fingerprint != whole.fingerprint
    assert part.fingerprint == whole.select(["de", "en"]).fingerprint


def test_files_that_are_nowhere_are_named_with_what_to_do(tmp_path):
    with pytest.raises(MissingResourceError, match=r"ar\.json, \.\.\..*published at .*--data DIR"):
        load(find("xquad-r"), tmp_path)


def test_one_missing_file_is_named(parallel_folder, tmp_path):
    shutil.copy(parallel_folder / "de.json", tmp_path / "de.json")
    with pytest.raises(MissingResourceError, match=r"en\.json: no such file"):
        load(unpinned("xquad-r"), tmp_path, ["de", "en"])


def test_a_file_that_was_cut_off_is_refused_by_its_hash(parallel_folder, tmp_path):
    content = (parallel_folder / "de.json").read_bytes()
    (tmp_path / "de.json").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"de\.json: SHA-256 is .* the file was changed or cut off"):
        load(find("xquad-r"), tmp_path, ["de"])


@pytest.fixture
def own_suite(tmp_path):
    """A suite of one's own in LAReQA's layout, with a writer for its only file."""
    suite = Suite.model_validate(
        {
            "name": "own", "version": 1, "title": "Own", "description": "d", "licence": "CC0-1.0", "citation": "none",
            "languages": ["de"], "source": {"reader": "lareqa"}, "settings": {"monolingual": ["AP"]},
        }
    )  # fmt: skip

    def read(content: bytes | dict):
        (tmp_path / "de.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return load(suite, tmp_path)

    return read


def paragraph(**changes):
    """A file with one paragraph of two sentences and one question, with some fields changed."""
    fields = {
        "context": "Erster Satz. Zweiter Satz.",
        "sentence_breaks": [[0, 12], [13, 26]],
        "qas": [{"id": "q1", "question": "Welcher?", "answers": [{"text": "Zweiter", "answer_start": 13}]}],
    }
    return {"data": [{"title": "t", "paragraphs": [{**fields, **changes}]}]}


def question(**changes):
    return [{"id": "q1", "question": "Welcher?", "answers": [{"text": "x", "answer_start": 13}], **changes}]


def test_a_small_file_in_the_layout_is_read(own_suite):
    collection = own_suite(paragraph())
    assert collection.documents.texts == ["Erster Satz.", "Zweiter Satz."]
    assert collection.documents.ids == ["de:0.0.0", "de:0.0.1"]
    assert (collection.judgements.query.tolist(), collection.judgements.document.tolist()) == ([0], [1])


def test_an_answer_that_crosses_a_break_belongs_to_the_sentence_where_it_begins(own_suite):
    content = paragraph(qas=question(answers=[{"text": "Satz. Zweiter", "answer_start": 7}]))
    assert own_suite(content).judgements.document.tolist() == [0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"de\.json: not JSON"),
        (b'{"data": [', r"de\.json: not JSON, perhaps cut off"),
        (b'{"data": "\xff"}', r"de\.json: not JSON"),
        (b"[]", r"de\.json: not in LAReQA's layout"),
        ({"data": [{"paragraphs": [{"context": "x"}]}]}, r"data\.0\.paragraphs\.0\.qas: Field required"),
        (paragraph(qas=question(answers=[])), r"qas\.0\.answers: List should have at least 1 item"),
        (paragraph(qas=question(answers=[{"answer_start": 12}])), r"question 'q1': its answer starts at 12, where no"),
        (paragraph(qas=question(question=" ")), r"query 'de:q1' has an empty text"),
        (paragraph(sentence_breaks=[[0, 0], [13, 26]]), r"document 'de:0\.0\.0' has an empty text"),
        (paragraph(qas=question() * 2), r"query id 'de:q1' occurs twice"),
        (paragraph(qas=[]), r"there are no queries"),
        ({"data": []}, r"the pool is empty"),
    ],
)
def test_a_file_that_is_not_in_the_layout_is_refused_with_its_place(own_suite, content, message):
    with pytest.raises(InputError, match=message):
        own_suite(content)


@pytest.fixture
def beir_folder(tmp_path):
    """A BEIR folder with its three files, to be spoilt."""
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "d1", "title": "Title", "text": "one"}\n{"_id": "q2", "title": "", "text": "two"}\n'
    )
    (tmp_path / "queries.jsonl").write_text(
        '{"_id": "q1", "text": "first?"}\n{"_id": "q2", "text": "second?"}\n{"_id": "q3", "text": "unjudged"}\n'
    )
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td1\t0\n")
    return tmp_path


@pytest.fixture
def beir_suite():
    return unpinned("scifact")


def test_a_beir_folder_is_read_with_its_gains(beir_suite, beir_folder):
    collection = load(beir_suite, beir_folder)
    assert collection.documents.texts == ["Title one", "two"]
    assert collection.queries.ids == ["q1", "q2"]
    assert collection.judgements.gain.tolist() == [2.0, 0.0]
    assert len(collection.excluded) == 0


def test_self_matches_are_left_out_where_the_suite_declares_it(beir_suite, beir_folder):
    source = beir_suite.source.model_copy(update={"self_matches": "removed"})
    collection = load(beir_suite.model_copy(update={"source": source}), beir_folder)
    assert (collection.excluded.query.tolist(), collection.excluded.document.tolist()) == ([1], [1])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("corpus.jsonl", '{"_id": "d1", "text": "one"}\n{"_id": \n', r"corpus\.jsonl:2: not JSON"),
        ("corpus.jsonl", '{"_id": "d1", "text": "a"}\n{"_id": "d1", "text": "b"}\n', r":2: id 'd1' occurs twice"),
        ("corpus.jsonl", '{"_id": 7, "text": "one"}\n', r"corpus\.jsonl:1: '_id' is missing or not a string"),
        ("corpus.jsonl", '["d1"]\n', r"corpus\.jsonl:1: expected an object"),
        ("queries.jsonl", '{"_id": "q1"}\n', r"queries\.jsonl:1: 'text' is missing"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td9\t1\n", r":2: the judgement points to document 'd9'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq9\td1\t1\n", r":2: the judgement points to query 'q9'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\n", r"test\.tsv:2: expected 3 columns"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\tmuch\n", r"test\.tsv:2: expected"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", r"there are no queries"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t0\n", r"no query has a relevant document"),
        ("corpus.jsonl", "", r"the judgement points to document 'd1'"),
    ],
)  # fmt: skip
def test_a_spoilt_beir_folder_is_refused_with_file_and_line(beir_suite, beir_folder, file, content, message):
    (beir_folder / file).write_text(content)
    with pytest.raises(InputError, match=message):
        load(beir_suite, beir_folder)


def test_bytes_that_are_not_utf8_are_refused_with_their_line(beir_suite, beir_folder):
    with (beir_folder / "corpus.jsonl").open("ab") as file:
        file.write(b'{"_id": "d3", "text": "\xff\xfe"}\n')
    with pytest.raises(InputError, match=r"corpus\.jsonl:3: not UTF-8"):
        load(beir_suite, beir_folder)


def test_a_byte_order_mark_and_crlf_are_accepted(beir_suite, beir_folder):
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        lines = (beir_folder / name).read_text().splitlines()
        (beir_folder / name).write_bytes("\ufeff".encode() + "\r\n".join(lines).encode())
    assert load(beir_suite, beir_folder).documents.texts == ["Title one", "two"]
