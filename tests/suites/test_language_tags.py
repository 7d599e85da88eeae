"""Which language the texts of a suite are in: by the names of folders and files, by declarations, by what was asked."""

from __future__ import annotations

import json
import logging

import pytest

from xlir_bench.errors import InputError
from xlir_bench.suites import check, find, load
from xlir_bench.suites.load import chosen_languages
from xlir_bench.suites.schema import declare
from xlir_bench.suites.source import FileSource

SUITE = {"name": "own", "version": 1, "title": "t", "description": "d", "licence": "l", "citation": "c"}


def collection(place, word="text"):
    """A BEIR folder of two queries and two documents."""
    (place / "qrels").mkdir(parents=True)
    for name, kind in (("corpus.jsonl", "d"), ("queries.jsonl", "q")):
        rows = [{"_id": f"{kind}{n}", "title": "", "text": f"{word} {kind} {n}"} for n in range(2)]
        (place / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (place / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t1\n")
    return place


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("zho", "zh"), ("zh-CN", "zh"), ("cmn", "zh"), ("zh_Hant", "zh-Hant"), ("EN", "en"), ("eng_Latn", "en"),
        ("bg", "bg"), ("pt-BR", "pt"), ("nb", "no"), ("nn", "nn"), ("iw", "he"), ("ur", "ur"), ("kk-Cyrl", "kk"),
    ],
)  # fmt: skip
def test_a_folder_is_in_the_language_whose_tag_is_its_name(tmp_path, name, code):
    suite = find(str(collection(tmp_path / name)))
    assert suite.languages == load(suite).languages == (code,)


@pytest.mark.parametrize("name", ["scifact", "nfcorpus", "data", "train", "test", "dev", "my-own", "English", "abk"])
def test_a_folder_named_otherwise_needs_its_language_said(tmp_path, name):
    suite = find(str(collection(tmp_path / name)))
    with pytest.raises(InputError, match=rf"the folder's name '{name}' is no language .* --languages CODE"):
        load(suite)
    assert load(suite, languages=["en"]).languages == ("en",)
    assert load(suite, languages=["eng-Latn"]).languages == ("en",)
    assert load(suite, languages=["abk"]).languages == ("ab",)
    assert load(suite, languages=["und"]).languages == ("und",)
    with pytest.raises(InputError, match=r"unknown language 'englsh': did you mean English \(en\)"):
        load(suite, languages=["englsh"])
    with pytest.raises(InputError, match="is in one language; en de are 2"):
        load(suite, languages=["en", "de"])


def test_folders_keep_their_names_on_disk_and_have_codes_in_the_suite(tmp_path):
    for name, word in (("pt-BR", "casa"), ("EN", "house"), ("zho", "家")):
        collection(tmp_path / "multi" / name, word)
    (tmp_path / "multi" / "notes").mkdir()
    suite = find(str(tmp_path / "multi"))
    assert suite.languages == ("en", "pt", "zh")
    loaded = load(suite)
    assert loaded.queries.ids == ["en:q0", "en:q1", "pt:q0", "pt:q1", "zh:q0", "zh:q1"]
    assert [text.split()[0] for text in loaded.documents.texts] == ["house"] * 2 + ["casa"] * 2 + ["家"] * 2
    assert [(row.language, row.document_script_share) for row in check(suite, load(suite, languages=["zh-CN"]))] == [
        ("zh", pytest.approx(1 / 2))
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("zh", "zho"), r"multi: has both zh and zho, which is one language, Chinese \(zh\)"),
        (("en", "pt", "pt-BR"), "has both pt and pt-BR"),
        (("nb", "no"), "has both nb and no"),
        (("en", "train"), "multi: not named by a listed language: train;"),
        (("scifact", "nfcorpus"), "not named by a listed language: nfcorpus, scifact;"),
        (("en", "dev"), "not named by a listed language: dev;"),
    ],
)
def test_folders_that_are_not_one_language_each_are_refused_with_their_names(tmp_path, names, message):
    for name in names:
        collection(tmp_path / "multi" / name)
    with pytest.raises(InputError, match=message):
        find(str(tmp_path / "multi"))


def test_folders_of_two_varieties_stay_two_languages(tmp_path):
    for name in ("zh-CN", "zh-TW", "no", "nn"):
        collection(tmp_path / "multi" / name)
    assert find(str(tmp_path / "multi")).languages == ("nn", "no", "zh", "zh-Hant")


def lareqa(place, name, text):
    paragraph = {
        "context": text,
        "sentence_breaks": [[0, len(text)]],
        "qas": [{"id": "q", "question": "?", "answers": [{"answer_start": 0}]}],
    }
    place.mkdir(exist_ok=True)
    (place / f"{name}.json").write_text(json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}), "utf-8")


def test_files_named_by_tags_are_read_as_their_languages(tmp_path):
    lareqa(tmp_path / "own", "pt-BR", "casa")
    lareqa(tmp_path / "own", "eng", "house")
    (tmp_path / "own" / "metadata.json").write_text("{}")
    loaded = load(find(str(tmp_path / "own")))
    assert dict(zip(loaded.documents.languages, loaded.documents.texts, strict=True)) == {"en": "house", "pt": "casa"}


def test_a_file_whose_name_looks_like_a_language_and_is_none_is_not_left_out(tmp_path):
    lareqa(tmp_path / "own", "en", "house")
    lareqa(tmp_path / "own", "xx", "house")
    with pytest.raises(InputError, match="own: not named by a listed language: xx;"):
        find(str(tmp_path / "own"))


def test_a_declaration_may_name_languages_by_any_tag(tmp_path):
    for name, word in (("pt-BR", "casa"), ("zh_TW", "家"), ("iw", "בית")):
        collection(tmp_path / name, word)
    (tmp_path / "own.yaml").write_text(
        "{name: own, version: 1, title: t, description: d, licence: l, citation: c, languages: [pt-BR, zh_TW, iw], "
        "source: {reader: beir, folder: '{language}'}, settings: {monolingual: [AP]}, "
        "expect: {documents: {pt-BR: 2, zh_TW: 2, iw: 3}}}"
    )
    suite = find(str(tmp_path / "own.yaml"))
    assert suite.languages == ("pt", "zh-Hant", "he")
    assert suite.source.names == {"pt": "pt-BR", "zh-Hant": "zh_TW", "he": "iw"}
    rows = {row.language: row for row in check(suite, load(suite, expected=False))}
    assert {code: row.expected_documents for code, row in rows.items()} == {"pt": 2, "zh-Hant": 2, "he": 3}
    assert [code for code, row in rows.items() if not row.holds] == ["he"]
    assert declare(suite.model_dump()).source == suite.source


def test_a_declaration_may_say_what_files_call_a_language():
    source = {"reader": "beir", "folder": "{language}", "names": {"zho": "chinese"}}
    suite = declare({**SUITE, "languages": ["zh", "en"], "source": source, "settings": {"monolingual": ["AP"]}})
    assert suite.source.files(["zh", "en"])[0::3] == ["chinese/corpus.jsonl", "en/corpus.jsonl"]


@pytest.mark.parametrize(
    ("languages", "names", "message"),
    [
        (["zh", "zho"], {}, "languages: the list has both zh and zho"),
        (["pt-BR", "xx"], {}, "languages: unknown language 'xx'"),
        (["zh", 3], {}, "languages.1: Input should be a valid string"),
        (["zh"], {"zh": "../up"}, "'../up' cannot be the name of a language in files"),
        (["zh"], {"zh": "a", "zho": "b"}, "the table has both zh and zho"),
    ],
)
def test_a_declaration_with_a_wrong_language_is_refused_with_the_field(languages, names, message):
    source = {"reader": "beir", "folder": "{language}", "names": names}
    with pytest.raises(InputError, match=message):
        declare({**SUITE, "languages": languages, "source": source, "settings": {"monolingual": ["AP"]}})


@pytest.mark.parametrize("tag", ["zh", "cmn", "zho", "zh-CN", "zh_Hans", "ZH"])
def test_a_suites_language_is_chosen_by_any_of_its_tags(tag):
    suite = find("xquad-r")
    assert chosen_languages(suite, [tag, "deu"]) == ("de", "zh")


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("zhh", "unknown language of suite xquad-r 'zhh': did you mean zh"),
        ("fra", "unknown language of suite xquad-r 'fra': .*it has ar de el en"),
        ("zh-TW", "unknown language of suite xquad-r 'zh-TW': did you mean zh"),
        ("und", "unknown language of suite xquad-r 'und'"),
    ],
)
def test_a_language_that_a_suite_lacks_is_refused_with_the_nearest(tag, message):
    with pytest.raises(InputError, match=message):
        chosen_languages(find("xquad-r"), [tag])


def test_a_librarys_suite_of_no_stated_language_is_measured_with_a_note(caplog):
    source = {"reader": "ir_datasets", "id": "own"}
    suite = declare({**SUITE, "languages": ["und"], "source": source, "settings": {"monolingual": ["AP"]}})
    assert not isinstance(suite.source, FileSource)
    with caplog.at_level(logging.WARNING):
        assert chosen_languages(suite, None) == ("und",)
    assert "suite own: nobody states its language" in caplog.text
    caplog.clear()
    assert chosen_languages(suite, ["deu"]) == ("de",)
    assert caplog.text == ""
