"""`submission.yaml`: what it may say, and what is said about one that is wrong."""

from __future__ import annotations

import pytest

from xlir_bench.encoders import LanguageSupport, bundled, manifest
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.encoders.manifest import Languages
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.languages import LANGUAGES
from xlir_bench.resources import folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHOLE = f"""
name: m2m100-418m
source: {{hub: facebook/m2m100_418M, revision: {COMMIT}}}
adapter: m2m100
pooling: mean
max_length: 512
prompts: {{query: "Query: ", document: "Passage: "}}
similarity: cosine
precision: bfloat16
languages: {{supported: {{all-but: [te]}}, fallback: error}}
licence: MIT
parameters: 418000000
trained_on: [miracl]
description: An example.
"""
LEAST = "{name: small, adapter: sentence-transformers, licence: MIT}"


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "submission.yaml"
        path.write_text(text, "utf-8")
        return manifest.read(path)

    return read


def test_every_field(read):
    declared = read(WHOLE)
    assert declared.settings() == Settings(
        pooling="mean",
        max_length=512,
        prompts={"query": "Query: ", "document": "Passage: "},
        similarity="cosine",
        precision="bfloat16",
        language_support=LanguageSupport(unknown=frozenset({"te"})),
    )
    assert declared.source.hub == "facebook/m2m100_418M"
    assert declared.trained_on == ("miracl",)


def test_the_least(read):
    declared = read(LEAST)
    assert declared.source.folder == "."
    assert declared.settings() == Settings()
    assert declared.languages.language_support().knows("te")


def test_supported_languages(read):
    assert not read(WHOLE).languages.language_support().knows("te")
    assert read(WHOLE).languages.language_support().knows("en")
    listed = read(LEAST[:-1] + ", languages: {supported: [en, de], fallback: en}}").languages.language_support()
    assert [listed.knows(code) for code in ("en", "de", "fr")] == [True, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("pooling: mean", "pooling: max"), "pooling: Input should be 'mean', 'mean-of-text', 'cls', "),
        (("max_length: 512", "max_length: 0"), "max_length: Input should be greater than 0"),
        (("pooling: mean", "poolling: mean"), "unknown field poolling; known: name, source, adapter"),
        (("query: ", "question: "), "unknown field prompts.question"),
        (("name: m2m100-418m", ""), "the field name is missing"),
        (("licence: MIT", ""), "the field licence is missing"),
        (("name: m2m100-418m", "name: ../up"), "name: String should match pattern"),
        (
            ("adapter: m2m100", "adapter: m2m1000"),
            "adapter: no adapter 'm2m1000'; there are bm25, m2m100, mteb, openai, precomputed, sentence-transformers",
        ),
        ((COMMIT, "main"), "source: hub needs revision, a commit of 40 hexadecimal digits"),
        (
            ("hub: facebook/m2m100_418M, revision", "revision"),
            "source: give one of folder, hub, mteb, server, embeddings",
        ),
        (("[te]", "[tee]"), "unknown language 'tee'"),
        (("{all-but: [te]}", "most"), "languages.supported: write all, [codes] or {all-but: [codes]}"),
        (("fallback: error", "fallback: xx"), "unknown language 'xx'"),
    ],
)
def test_a_wrong_field_is_named_in_one_line(read, tmp_path, change, message):
    with pytest.raises(InputError) as raised:
        read(WHOLE.replace(*change))
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path / 'submission.yaml'}: ")
    assert "\n" not in str(raised.value)


def test_further_faults_are_counted(read):
    with pytest.raises(InputError, match=r"\(and 2 more\)"):
        read("{name: small}".replace("small", "'!'"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", r"submission\.yaml:1: not YAML"),
        ("just words", "fields such as"),
        ("", "fields such as"),
        ("name: !!python/object:os.system {}", "not YAML"),
    ],
)
def test_what_is_no_manifest_is_said_in_one_line(read, text, message):
    with pytest.raises(InputError, match=message) as raised:
        read(text)
    assert "\n" not in str(raised.value)


def test_a_missing_or_unreadable_file_is_an_error(tmp_path):
    with pytest.raises(MissingResourceError, match="no such file"):
        manifest.read(tmp_path / "submission.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: Größe".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        manifest.read(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{folder: ., mteb: a/b}", "source: give one of"),
        ("{folder: ., revision: x}", "revision belongs to hub or mteb or server; folder has none"),
        ("{server: 'http://h/v1'}", "server needs model"),
        ("{mteb: a/b}", "the adapter sentence-transformers needs a source of weights, not of mteb"),
        ("{server: 'http://h/v1', model: m, key: sk-123}", "source.key: String should match pattern"),
    ],
)
def test_a_source_has_what_belongs_to_its_kind(read, source, message):
    with pytest.raises(InputError) as raised:
        read(f"{LEAST[:-1]}, source: {source}}}")
    assert message in str(raised.value)


def test_a_lexical_baseline_has_no_source(read):
    assert read("{name: bm25, adapter: bm25, licence: MIT}").adapter == "bm25"
    with pytest.raises(InputError, match="the adapter bm25 has no source"):
        read("{name: bm25, adapter: bm25, licence: MIT, source: {folder: .}}")


def test_the_encoders_of_the_mission_are_declared():
    declared = {name: manifest.read(folder("submissions") / name / manifest.FILE) for name in bundled()}
    assert {
        "xlm-r", "labse", "mbert", "m2m100-418m", "multilingual-e5-small", "multilingual-e5-base",
        "multilingual-e5-large", "bge-m3", "paraphrase-multilingual-minilm", "all-minilm-l6-v2", "bm25",
    } <= set(declared)  # fmt: skip
    assert all(name == entry.name for name, entry in declared.items())
    assert all(entry.parameters is not None for entry in declared.values())
    telugu = declared["m2m100-418m"].languages.language_support()
    assert [code for code in LANGUAGES if not telugu.knows(code)] == ["mi", "quz", "te"]
    assert declared["multilingual-e5-small"].prompts == manifest.Prompts(query="query: ", document="passage: ")


def test_what_an_unknown_language_becomes():
    strict, told = (
        LanguageSupport(unknown=frozenset({"te"})),
        LanguageSupport(known=frozenset({"en", "hi"}), fallback="hi"),
    )
    blind = LanguageSupport(known=frozenset({"en"}), fallback="as-is")
    assert strict.treated_as("en", "m") == "en"
    with pytest.raises(InputError, match=r"m does not know Telugu \(te\): leave it out with --languages"):
        strict.check(["en", "te"], "m")
    assert told.treated_as("te", "m") == "hi"
    assert blind.treated_as("te", "m") == "te"
    blind.check(["te"], "m")


@pytest.mark.parametrize(
    ("declared", "support"),
    [
        ({"supported": ["zho", "pt-BR", "nb"]}, LanguageSupport(known=frozenset({"zh", "pt", "no"}))),
        ({"supported": {"all-but": ["tgl", "EN"]}}, LanguageSupport(unknown=frozenset({"fil", "en"}))),
        ({"fallback": "eng_Latn"}, LanguageSupport(fallback="en")),
        ({"fallback": "as-is"}, LanguageSupport(fallback="as-is")),
    ],
)
def test_languages_may_be_declared_by_any_tag(declared, support):
    assert Languages.model_validate(declared).language_support() == support


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"supported": ["zh", "cmn"]}, "the list has both zh and cmn"),
        ({"supported": {"all-but": ["tee"]}}, "unknown language 'tee': the table does not list Huehuetla Tepehua"),
        ({"fallback": "english"}, r"did you mean English \(en\)"),
    ],
)
def test_a_declared_language_is_one_that_the_table_lists(declared, message):
    with pytest.raises(ValueError, match=message):
        Languages.model_validate(declared)
