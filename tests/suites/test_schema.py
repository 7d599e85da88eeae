"""What a suite's YAML may say, and how it is refused."""

from __future__ import annotations

import pytest
import yaml

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites import find, load, read_suite, shipped

GOOD = {
    "name": "own", "version": 1, "title": "Own", "description": "d", "licence": "CC0-1.0", "citation": "none",
    "languages": ["ar", "de"], "source": {"reader": "lareqa"},
    "settings": {"multilingual": ["AP"], "monolingual": ["nDCG@10", "R@1"]},
}  # fmt: skip


@pytest.fixture
def written(tmp_path):
    def write(changes: dict | str):
        path = tmp_path / "own.yaml"
        path.write_text(changes if isinstance(changes, str) else yaml.safe_dump({**GOOD, **changes}))
        return path

    return write


def test_a_suite_of_ones_own_is_found_by_its_file(written):
    assert find(str(written({}))).name == "own"


def test_settings_stand_in_one_order_and_measures_in_the_files(written):
    assert list(read_suite(written({})).settings.items()) == [
        ("monolingual", ("nDCG@10", "R@1")),
        ("multilingual", ("AP",)),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"monolingual": ["nDGC@10"]}}, r"settings: unknown measure 'nDGC@10': did you mean nDCG"),
        ({"settings": {"monolingual": []}}, r"settings\.monolingual: Tuple should have at least 1 item"),
        ({"settings": {"bilingual": ["AP"]}}, r"settings\.bilingual"),
        ({"languages": ["ar", "xx"]}, r"languages: unknown language 'xx'"),
        ({"languages": ["ar", "ar"]}, r"languages: the list has ar twice"),
        ({"languages": ["ar"]}, r"one language has the monolingual setting only"),
        ({"source": {"reader": "tar"}}, r"source: Input tag 'tar'"),
        ({"source": {"reader": "beir", "splits": "dev"}}, r"source\.beir\.splits: Extra inputs"),
        ({"name": "../own"}, r"name: String should match"),
        ({"version": 0}, r"version: Input should be greater than or equal to 1"),
        ({"colour": "red"}, r"colour: Extra inputs are not permitted"),
        ("name: [", r"own\.yaml:1: not YAML"),
        ("", r"own\.yaml: not a suite"),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_field(written, changes, message):
    with pytest.raises(InputError, match=message):
        read_suite(written(changes))


def test_an_unknown_suite_is_refused_with_the_nearest_names():
    with pytest.raises(InputError, match=r"unknown suite 'xquadr': did you mean .*xquad"):
        find("xquadr")


def test_a_suite_file_that_is_not_there_is_a_missing_resource(tmp_path):
    with pytest.raises(MissingResourceError, match="no such file"):
        find(str(tmp_path / "none.yaml"))


def test_a_language_that_is_not_the_suites_is_refused():
    with pytest.raises(InputError, match=r"unknown language of suite xlir-mini 'fr'"):
        load(find("xlir-mini"), languages=["fr"])


def test_every_shipped_suite_is_valid():
    assert {"xquad-r", "xquad", "scifact", "xlir-mini"} <= set(shipped())
    for name in shipped():
        assert find(name).name == name


def test_narrowing_keeps_only_the_settings_asked_for():
    assert list(find("xquad-r").narrowed(["multilingual"]).settings) == ["multilingual"]
    with pytest.raises(InputError, match="suite scifact has no multilingual setting; it has monolingual"):
        find("scifact").narrowed(["multilingual"])


@pytest.mark.parametrize("reader", ["squad", "lareqa"])
def test_one_file_is_not_read_for_several_languages(written, reader):
    with pytest.raises(InputError, match=r"`file` names 'all\.json' for each of ar de: put \{language\} into it"):
        read_suite(written({"source": {"reader": reader, "file": "all.json"}}))
    one = written(
        {"languages": ["de"], "source": {"reader": reader, "file": "all.json"}, "settings": {"monolingual": ["AP"]}}
    )
    assert read_suite(one).source.files(["de"]) == ["all.json"]


@pytest.mark.parametrize(
    "source",
    [
        {"reader": "lareqa"},
        {"reader": "squad"},
        {"reader": "beir", "folder": "{language}"},
        {"reader": "miracl"},
        {"reader": "xm3600"},
        {"reader": "translated", "queries": ["ar", "de"], "documents": ["ar", "de"]},
    ],
)
@pytest.mark.parametrize("names", [{"ar": "de"}, {"ar": "x", "de": "x"}])
def test_two_languages_have_two_names_in_files(written, source, names):
    changes = {"source": {**source, "names": names}, "settings": {"cross-lingual": ["AP"]}}
    with pytest.raises(InputError, match=r"ar and de are both called '(de|x)' in its files; change `names`"):
        read_suite(written(changes))
