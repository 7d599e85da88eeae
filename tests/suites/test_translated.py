"""A suite in further languages: translated, written, read, checked and measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toy_translator
import yaml
from click.testing import CliRunner
from made_data import write_beir
from toy_translator import WORDS

from xlir_bench.cli.main import cli
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites import find, load
from xlir_bench.training.quality import Quality
from xlir_bench.training.translate_suite import Extension, default_name, translate_suite
from xlir_bench.training.translation import Translation, Work

DOCUMENTS = {"d0": "river. bridge.", "d1": "city. tower. night.", "d2": "water.", "q1": "bread. house."}
QUERIES = {"q0": "bridge.", "q1": "house.", "q2": "child."}
JUDGED = [("q0", "d0", 2), ("q0", "d2", 0), ("q1", "d1", 1), ("q2", "d2", 1)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return toy_translator.save(tmp_path_factory.mktemp("trained"))


def beir(folder: Path, documents=DOCUMENTS, queries=QUERIES, judged=JUDGED) -> Path:
    (folder / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    rows = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in judged)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n")
    return folder


def without_self_matches(folder: Path) -> Path:
    """A declaration of the folder in which a query's own id is left out of its ranking."""
    content = {
        "name": "toy", "version": 1, "title": "Toy", "description": "d", "licence": "CC0-1.0", "citation": "none",
        "languages": ["en"], "source": {"reader": "beir", "self_matches": "removed"},
        "settings": {"monolingual": ["nDCG@10", "R@100", "RR@10"]},
    }  # fmt: skip
    (folder / "toy.yaml").write_text(yaml.safe_dump(content))
    return folder / "toy.yaml"


class Dictionary:
    """Translates the toy's words without a model."""

    name, fingerprint = "toy@1", "a" * 64

    def check(self, codes):
        if "te" in codes:
            raise InputError("toy@1 cannot translate Telugu (te)")

    def pieces(self, text, language):
        return text.split()

    def translate(self, pieces, source, target):
        return [Translation(WORDS[target][WORDS["en"].index(piece)], True) for piece in pieces]


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_every_text_is_there_in_every_language_and_judgements_are_carried_over(tmp_path, checkpoint):
    place = tmp_path / "toy-mt"
    ran = invoke(
        "suites", "translate", without_self_matches(beir(tmp_path / "en")), "--to", "sw,de", "--model", checkpoint,
        "--output", place, "--beams", 2, "--device", "cpu", "--json",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["languages"] == [
        {"language": code, "texts": 7, "kept": 7, "refused": {}} for code in ("de", "sw")
    ]
    suite = find(str(place))
    collection = load(suite)
    for side, texts in ((collection.queries, QUERIES), (collection.documents, DOCUMENTS)):
        expected = {f"en:{name}": text for name, text in texts.items()}
        for code in ("sw", "de"):
            expected |= {
                f"{code}:{name}": " ".join(WORDS[code][WORDS["en"].index(word)] for word in text.split())
                for name, text in texts.items()
            }
        assert dict(zip(side.ids, side.texts, strict=True)) == expected
    ids = collection.queries.ids, collection.documents.ids
    judged = {
        (ids[0][query], ids[1][document], gain)
        for query, document, gain in zip(
            collection.judgements.query, collection.judgements.document, collection.judgements.gain, strict=True
        )
    }
    codes = ("en", "sw", "de")
    assert judged == {(f"{x}:{q}", f"{y}:{d}", gain) for x in codes for y in codes for q, d, gain in JUDGED}
    # What the source declares: a document that has a query's id is left out of its ranking, in every language.
    left_out = zip(collection.excluded.query, collection.excluded.document, strict=True)
    assert {(ids[0][query], ids[1][document]) for query, document in left_out} == {
        (f"{x}:q1", f"{y}:q1") for x in codes for y in codes
    }
    assert sorted(set(collection.questions)) == ["q0", "q1", "q2"]


def test_the_suite_says_who_translated_it_and_can_be_checked(tmp_path, checkpoint):
    place = tmp_path / "toy-mt"
    source = find(str(beir(tmp_path / "en")))
    invoke("suites", "translate", source.place, "--to", "sw", "--model", checkpoint, "--output", place, "--beams", 1)
    shown = yaml.safe_load(invoke("suites", "show", place).stdout)
    assert shown["machine_translated"]["model"].startswith(f"{checkpoint.name}@")
    assert shown["machine_translated"]["collection"] == load(source).fingerprint
    assert (shown["machine_translated"]["language"], shown["machine_translated"]["queries"]) == ("en", ["sw"])
    assert "machine-translated" in shown["title"]
    checked = json.loads(invoke("suites", "check", place, "--json").stdout)
    assert checked["holds"]
    assert checked["fingerprint"] == checked["expected_fingerprint"]
    path = place / "sw" / "queries.jsonl"
    path.write_text(path.read_text("utf-8").replace("daraja", "mji"), "utf-8")
    with pytest.raises(InputError, match=r"sw/queries\.jsonl: SHA-256"):
        raise invoke("suites", "check", place).exception


@pytest.mark.parametrize(("only", "rows"), [("queries", [("sw", "en")]), ("documents", [("en", "sw")])])
def test_one_side_alone_gives_the_cross_lingual_setting(tmp_path, checkpoint, only, rows):
    place, results = tmp_path / "toy-mt", tmp_path / "results"
    invoke("suites", "translate", beir(tmp_path / "en"), "--to", "sw", "--model", checkpoint, "--output", place,
           "--only", only, "--beams", 1)  # fmt: skip
    assert json.loads(invoke("suites", "check", place, "--json").stdout)["holds"]
    ran = invoke("run", "random", "--suite", place, "--output", results, "--json")
    assert ran.exit_code == 0, ran.output
    scores = json.loads(ran.stdout)["scores"]
    found = {(score["query_language"], score["document_language"]) for score in scores}
    assert found - {("en", "en"), ("en", "*")} == {*rows} if only == "queries" else found >= {*rows}
    mono = {score["query_language"] for score in scores if score["setting"] == "monolingual"}
    assert mono == {"en"}


def test_a_slice_of_a_beir_folder_is_translated_and_measured_as_the_original_in_its_own_language(tmp_path, checkpoint):
    made = write_beir(tmp_path / "made")
    lines = (made / "qrels" / "test.tsv").read_text().splitlines()[1:16]
    judged = [(query, document, int(gain)) for query, document, gain in (line.split("\t") for line in lines)]
    wanted = {document for _, document, _ in judged}
    documents, queries = (
        {row["_id"]: f"{row.get('title', '')} {row['text']}".strip() for row in map(json.loads, path.open("rb"))}
        for path in (made / "corpus.jsonl", made / "queries.jsonl")
    )
    documents = {key: text for number, (key, text) in enumerate(documents.items()) if key in wanted or number < 20}
    queries = {query: queries[query] for query, _, _ in judged}
    source, place, results = beir(tmp_path / "en", documents, queries, judged), tmp_path / "mt", tmp_path / "results"
    ran = invoke(
        "suites", "translate", source, "--to", "sw", "--model", checkpoint, "--output", place, "--beams", 1,
        "--no-filter",
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert invoke("suites", "check", place).exit_code == 0
    one, other = (
        json.loads(invoke("run", "random", "--suite", suite, "--output", results / suite.name, "--json").stdout)
        for suite in (source, place)
    )
    english = [score for score in other["scores"] if score["setting"] == "monolingual"][:3]
    assert [score["query_language"] for score in english] == ["en"] * 3
    assert {s["measure"]: s["value"] for s in english} == {s["measure"]: s["value"] for s in one["scores"]}
    assert set(other["summary"]) == {"monolingual", "cross-lingual", "multilingual"}
    assert "rank_distance" in other["summary"]["multilingual"]


class Careless(Dictionary):
    """Leaves one word as it is, and another without end."""

    fingerprint = "b" * 64

    def translate(self, pieces, source, target):
        made = super().translate(pieces, source, target)
        spoilt = {"water.": Translation("water.", True), "child.": Translation("mtoto mtoto.", False)}
        return [spoilt.get(piece, one) for piece, one in zip(pieces, made, strict=True)]


def test_a_refused_text_is_left_out_with_its_judgements_and_counted(tmp_path):
    suite = find(str(beir(tmp_path / "en")))
    work = Work(Careless(), Quality())
    made = translate_suite(load(suite), Extension(suite, "en", ("sw",)), work, tmp_path / "mt")
    collection = load(made)
    assert "sw:q2" not in collection.queries.ids
    assert "sw:d2" not in collection.documents.ids
    assert made.machine_translated.left_out == {"sw": 2}
    assert work.report.refused("sw") == {"unfinished": 1, "copy": 1}
    refused = [json.loads(line) for line in (tmp_path / "mt" / "refused.jsonl").read_text("utf-8").splitlines()]
    assert [(row["text"], row["fault"]) for row in refused] == [("child.", "unfinished"), ("water.", "copy")]
    sw = collection.queries.ids.index("sw:q0")
    answers = collection.judgements.document[collection.judgements.query == sw]
    assert {collection.documents.ids[row] for row in answers} == {"en:d0", "sw:d0", "en:d2"}


def test_documents_without_a_text_stay_and_large_corpora_are_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("xlir_bench.training.translate_suite._AT_ONCE", 3)
    documents = {**DOCUMENTS, "empty": "", **{f"more{n}": WORDS["en"][n] for n in range(10)}}
    suite = find(str(beir(tmp_path / "en", documents)))
    made = translate_suite(load(suite), Extension(suite, "en", ("sw",)), Work(Dictionary()), tmp_path / "mt")
    collection = load(made)
    assert [i for i in collection.documents.ids if i.startswith("sw:")] == [f"sw:{key}" for key in documents]
    assert collection.documents.texts[collection.documents.ids.index("sw:empty")] == ""


def test_a_suite_of_many_languages_is_translated_from_one_and_ids_lose_its_code(tmp_path):
    class Upper(Dictionary):
        def translate(self, pieces, source, target):
            return [Translation(f"x{piece}", True) for piece in pieces]

    suite = find("xlir-mini")
    collection = load(suite, languages=["en"])
    made = translate_suite(
        collection, Extension(suite, "en", ("yo",), ("queries",)), Work(Upper(), None), tmp_path / "m"
    )
    written = load(made)
    assert written.languages == ("en", "yo")
    assert written.documents.sizes == {"en": 144}
    assert written.queries.sizes == {"en": 72, "yo": 72}
    assert list(written.queries.ids[:72]) == list(collection.queries.ids)
    assert made.settings == {"monolingual": ("AP", "R@1"), "cross-lingual": ("AP", "R@1")}


def test_what_cannot_be_translated_leaves_nothing_behind(tmp_path):
    suite = find(str(beir(tmp_path / "en")))
    collection = load(suite)
    (tmp_path / "there").mkdir()
    wrong = [
        (Extension(suite, "en", ("en", "sw")), "mt", "leave it out"),
        (Extension(suite, "sw", ("de",)), "mt", "no queries and documents in sw"),
        (Extension(suite, "en", ("te",)), "mt", "cannot translate Telugu"),
        (Extension(suite, "en", ("sw",)), "there", "exists already"),
    ]
    for extension, name, message in wrong:
        with pytest.raises(InputError, match=message):
            translate_suite(collection, extension, Work(Dictionary()), tmp_path / name)

    class Broken(Dictionary):
        fingerprint = "c" * 64

        def translate(self, pieces, source, target):
            raise MissingResourceError("out of memory")

    with pytest.raises(MissingResourceError):
        translate_suite(collection, Extension(suite, "en", ("sw",)), Work(Broken()), tmp_path / "mt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["en", "there"]


def test_a_translated_suite_is_called_after_the_suite_and_the_model():
    assert default_name(find("scifact"), "facebook/m2m100_418M@55c2e61b") == "scifact-mt-m2m100_418m"
