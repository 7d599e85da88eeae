"""The suites that are shipped: what they declare, and that their published files are read as such; and their groups."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from xlir_bench.collection import Texts
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate
from xlir_bench.suites import Group, Suite, check, expand, find, load, look_up, mean_over, shipped
from xlir_bench.suites.schema import Expectation

# Published with MIRACL (Zhang et al. 2023, table 3); German and Yoruba as the release has them.
MIRACL_QUERIES = {
    "ar": 2896, "bn": 411, "de": 305, "en": 799, "es": 648, "fa": 632, "fi": 1271, "fr": 343, "hi": 350, "id": 960,
    "ja": 860, "ko": 213, "ru": 1252, "sw": 482, "te": 828, "th": 733, "yo": 119, "zh": 393,
}  # fmt: skip


def test_mlqa_r_declares_what_was_published_of_it():
    suite = find("mlqa-r")
    assert suite.languages == ("ar", "de", "en", "es", "hi", "vi", "zh")
    assert suite.licence == "CC-BY-NC-4.0"
    assert sum(suite.expect.documents.values()) == 20534
    assert sum(suite.expect.queries.values()) == 4199
    assert set(suite.source.sha256) == {f"{code}.json" for code in suite.languages}
    assert "354d67d1cd066854cdfbf5ad0e6105528976141d" in suite.source.address("de.json")
    assert suite.source.address("de.json").endswith("/mlqa-r/de.json")


def test_miracls_topics_and_judgements_are_read_in_18_languages(shared_data):
    suite = find("miracl")
    assert len(suite.languages) == 18
    for code in suite.languages:
        topics = suite.source.topics(shared_data / "miracl", code)
        qrels = suite.source.qrels(shared_data / "miracl", code)
        assert len(topics) == MIRACL_QUERIES[code] == suite.expect.queries[code]
        assert {qrel.query for qrel in qrels} == set(topics)
        assert {qrel.gain for qrel in qrels} == {0.0, 1.0}
        lines = (shared_data / "miracl" / suite.source.qrels_file(code)).read_text().split("\n")
        assert len(qrels) == len(lines) - 1 == suite.expect.judgements[code]


def test_miracls_judgements_are_those_that_pytrec_eval_reads(shared_data):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    source = find("miracl").source
    with (shared_data / "miracl" / source.qrels_file("sw")).open() as file:
        expected = pytrec_eval.parse_qrel(file)
    found = defaultdict(dict)
    for qrel in source.qrels(shared_data / "miracl", "sw"):
        found[qrel.query][qrel.document] = int(qrel.gain)
    assert found == expected


TOPICS = {"sw": 48, "yo": 12}
PER_TOPIC = 10


def write_topics_and_judgements(suite: Suite, code: str, folder: Path) -> None:
    """As MIRACL has them: ten judged passages per topic, some not relevant. A Yoruba topic is named by its passage."""
    topics, lines = [], []
    for number in range(TOPICS[code]):
        name = f"{number}#3" if code == "yo" else str(number)
        topics.append(f"{name}\tsuali la {number}")
        for place in range(PER_TOPIC):
            lines.append(f"{name}\tQ0\t{number}#{place}\t{int(place == 3 or (number + place) % 4 == 0)}")
    for name, rows in ((suite.source.topics_file(code), topics), (suite.source.qrels_file(code), lines)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(rows) + "\n", "utf-8")


@pytest.fixture
def miracl_release(tmp_path):
    """Topics and judgements of two languages, with a corpus of the judged passages in compressed pieces."""
    suite = find("miracl")
    for code in ("sw", "yo"):
        write_topics_and_judgements(suite, code, tmp_path)
        judged = sorted({qrel.document for qrel in suite.source.qrels(tmp_path, code)})
        folder = tmp_path / f"miracl-corpus-v1.0-{code}"
        folder.mkdir()
        for piece in range(11):
            with gzip.open(folder / f"docs-{piece}.jsonl.gz", "wt") as file:
                for name in judged[piece::11]:
                    file.write(json.dumps({"docid": name, "title": "Kichwa", "text": f"{code} {name}"}) + "\n")
    source = suite.source.model_copy(update={"shards": {}, "md5": {}, "sha256": {}})
    return suite.model_copy(update={"languages": ("sw", "yo"), "source": source, "expect": Expectation()}), tmp_path


def test_miracls_passages_are_title_and_text_in_the_order_of_the_pieces(miracl_release):
    suite, folder = miracl_release
    collection = load(suite, folder)
    judged = sorted({qrel.document for qrel in suite.source.qrels(folder, "sw")})
    ordered = [name for piece in range(11) for name in judged[piece::11]]  # 10 comes after 9, not after 1
    assert list(collection.documents.ids[: len(ordered)]) == [f"sw:{name}" for name in ordered]
    assert collection.documents.texts[0] == f"Kichwa sw {ordered[0]}"
    rows = {row.language: row for row in check(suite, collection)}
    assert {code: row.queries for code, row in rows.items()} == TOPICS
    assert {code: row.judgements for code, row in rows.items()} == {code: PER_TOPIC * n for code, n in TOPICS.items()}


def test_a_mapped_collection_scores_as_the_same_texts_in_lists(miracl_release, letters):
    suite, folder = miracl_release
    mapped = load(suite, folder)
    assert not isinstance(mapped.documents.texts, list)
    in_lists = replace(
        mapped, documents=Texts(*(list(getattr(mapped.documents, n)) for n in ("ids", "texts", "languages")))
    )
    both = suite.narrowed(["monolingual", "multilingual"])
    first, second = (evaluate(letters, both, collection).result for collection in (mapped, in_lists))
    assert first.scores == second.scores
    assert first.suite.fingerprint == second.suite.fingerprint
    assert {(s.query_language, s.document_language, s.queries) for s in first.scores} == {
        ("sw", "sw", 48), ("yo", "yo", 12), ("sw", "*", 48), ("yo", "*", 12),
    }  # fmt: skip


def test_a_passage_that_answers_the_question_named_after_it_stays_in_the_pool(miracl_release):
    suite, folder = miracl_release
    collection = load(suite, folder)
    assert len(collection.excluded) == 0
    ids = collection.documents.ids
    named_after = [q for q, d in zip(collection.judgements.query, collection.judgements.document, strict=True)
                   if collection.queries.ids[q] == ids[d]]  # fmt: skip
    assert named_after


def test_miracl_is_monolingual_unless_the_whole_pool_is_asked_for():
    suite = find("miracl")
    assert list(suite.narrowed(None).settings) == ["monolingual"]
    assert list(suite.narrowed(["multilingual"]).settings) == ["multilingual"]
    assert list(suite.narrowed(["multilingual", "monolingual"]).settings) == ["monolingual", "multilingual"]


def test_only_the_languages_asked_for_are_opened(miracl_release):
    suite, folder = miracl_release
    (folder / "miracl-corpus-v1.0-sw" / "docs-0.jsonl.gz").write_bytes(b"not read")
    assert load(suite, folder, ["yo"]).languages == ("yo",)
    with pytest.raises(InputError, match=r"docs-0\.jsonl\.gz"):
        load(suite, folder, ["sw"])


def test_a_judgement_on_a_passage_that_is_nowhere_is_refused_with_its_line(miracl_release):
    suite, folder = miracl_release
    path = folder / suite.source.qrels_file("yo")
    without_hashes = suite.source.model_copy(update={"sha256": {}})
    path.write_text(path.read_text() + "1\tQ0\t999#9\t1\n")
    with pytest.raises(InputError, match=r"yo-dev\.tsv:121: the judgement points to (query|document)"):
        load(suite.model_copy(update={"source": without_hashes}), folder, ["yo"])


def captions(picture: str, **by_language: list[str]) -> str:
    return json.dumps(
        {"image/key": picture, "image/locale": "en", **{c: {"caption": t} for c, t in by_language.items()}}
    )


@pytest.fixture
def xm3600(tmp_path):
    (tmp_path / "captions.jsonl").write_text(
        captions("p0", en=["a cat", "one cat"], de=["eine Katze"], quz=["misi"]) + "\n"
        + captions("p1", en=["a dog"], de=["ein Hund", "der Hund"]) + "\n"
        + captions("p2", en=["a cow"], quz=["", "waka"]) + "\n"
    )  # fmt: skip
    return find("xm3600"), tmp_path


def test_a_caption_finds_the_same_pictures_first_captions_in_the_other_languages(xm3600):
    suite, folder = xm3600
    collection = load(suite, folder, ["de", "en", "quz"])
    assert collection.documents.texts == collection.queries.texts
    assert sorted(collection.documents.texts) == ["a cat", "a cow", "a dog", "ein Hund", "eine Katze", "misi", "waka"]
    ids = collection.documents.ids
    answers = {
        (ids[q], ids[d]) for q, d in zip(collection.judgements.query, collection.judgements.document, strict=True)
    }
    same_picture = {(a, b) for a in ids for b in ids if a != b and a.split(":")[1] == b.split(":")[1]}
    assert answers == same_picture
    assert {(ids[q], ids[d]) for q, d in zip(collection.excluded.query, collection.excluded.document, strict=True)} == {
        (name, name) for name in ids
    }


def test_a_caption_never_competes_with_itself(xm3600, letters):
    suite, folder = xm3600
    result = evaluate(letters, suite, load(suite, folder, ["de", "en"])).result
    assert set(result.summary) == {"cross-lingual", "multilingual"}
    assert len(find("xm3600").languages) == 36


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"captions\.jsonl:2: not JSON"),
        ("[]", r":2: expected a picture"),
        ('{"en": {"caption": ["x"]}}', r":2: expected a picture"),
        ('{"image/key": "p", "en": {"caption": "x"}}', r":2: the captions in en are not a list"),
        ('{"image/key": "p0"}', r":2: picture 'p0' occurs twice"),
    ],
)
def test_a_line_that_is_no_picture_is_refused(xm3600, line, message):
    suite, folder = xm3600
    (folder / "captions.jsonl").write_text(captions("p0", en=["x"], de=["y"]) + "\n" + line)
    with pytest.raises(InputError, match=message):
        load(suite, folder, ["de", "en"])


def test_the_mission_names_every_suite_once():
    suites = [suite.name for suite in expand(["mission", "scifact", "xquad-r"])]
    assert suites[:3] == ["xquad-r", "mlqa-r", "miracl"]
    assert len(suites) == len(set(suites)) == 3 + 17 + 12
    assert set(suites) <= set(shipped())


def test_a_groups_mean_counts_a_group_within_it_once():
    summaries = {suite.name: {"monolingual": {"nDCG@10": 0.2}} for suite in expand(["cqadupstack"])}
    summaries["scifact"] = {"monolingual": {"nDCG@10": 0.8}}
    group = look_up("beir")
    assert isinstance(group, Group)
    assert len(group.suites) == 18
    assert mean_over(group, summaries)["monolingual"]["nDCG@10"] == pytest.approx(0.5)


def test_a_group_is_no_suite_and_never_contains_itself(tmp_path):
    with pytest.raises(InputError, match="mission is a group of suites: xquad-r, mlqa-r, miracl, beir; name one"):
        find("mission")
    path = tmp_path / "a.yaml"
    path.write_text(f"{{name: a, title: t, description: d, suites: [xquad-r, '{path}']}}")
    with pytest.raises(InputError, match="contains itself"):
        expand([str(path)])


def test_every_shipped_suite_says_where_it_comes_from_and_under_what_terms():
    for name in shipped():
        suite: Suite = find(name)
        assert suite.licence
        assert suite.citation
        assert name == "xlir-mini" or suite.source.url
