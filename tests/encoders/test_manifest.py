"""`submission.yaml`: what it may say, and what is said about one that is wrong."""

from __future__ import annotations

import pytest

from xlir_bench.encoders import manifest
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.errors import InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHOLE = f"""
name: m2m100-418m
source: {{hub: facebook/m2m100_418M, revision: {COMMIT}}}
adapter: transformers
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
        "mean", 512, {"query": "Query: ", "document": "Passage: "}, "cosine", "bfloat16"
    )
    assert declared.source.hub == "facebook/m2m100_418M"
    assert declared.trained_on == ("miracl",)


def test_the_least(read):
    declared = read(LEAST)
    assert declared.source.folder == "."
    assert declared.settings() == Settings()
    assert declared.languages.supports("te")


def test_supported_languages(read):
    assert not read(WHOLE).languages.supports("te")
    assert read(WHOLE).languages.supports("en")
    listed = read(LEAST[:-1] + ", languages: {supported: [en, de], fallback: en}}").languages
    assert [listed.supports(code) for code in ("en", "de", "fr")] == [True, True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("pooling: mean", "pooling: max"), "pooling: Input should be 'mean' or 'cls'"),
        (("max_length: 512", "max_length: 0"), "max_length: Input should be greater than 0"),
        (("pooling: mean", "poolling: mean"), "unknown field poolling; known: name, source, adapter"),
        (("query: ", "question: "), "unknown field prompts.question"),
        (("name: m2m100-418m", ""), "the field name is missing"),
        (("licence: MIT", ""), "the field licence is missing"),
        (("name: m2m100-418m", "name: ../up"), "name: String should match pattern"),
        (
            ("adapter: transformers", "adapter: m2m1000"),
            "adapter: no adapter 'm2m1000'; there are sentence-transformers",
        ),
        ((COMMIT, "main"), "source: hub needs revision, a commit of 40 hexadecimal digits"),
        (("hub: facebook/m2m100_418M, revision", "revision"), "source: give either folder or hub"),
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
    with pytest.raises(InputError, match="cannot be read"):
        manifest.read(tmp_path / "submission.yaml")
    (tmp_path / "latin.yaml").write_bytes("name: Größe".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        manifest.read(tmp_path / "latin.yaml")
