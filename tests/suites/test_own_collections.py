"""Collections of one's own: found by their layout or declaration, and read; judgement files of whatever content."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.evaluation import evaluate
from xlir_bench.suites import check, expand, find, load
from xlir_bench.suites.schema import declare

# A question per language list: it exists in these languages, as MLQA-R's do in 2 to 4 of its 7.
PARTLY_PARALLEL = {
    "q0": ["ar", "de", "en"], "q1": ["de", "en"], "q2": ["ar", "en"], "q3": ["en", "zh", "de", "ar"],
    "q4": ["en", "zh"],
}  # fmt: skip


def lareqa_file(language: str) -> dict:
    """One paragraph per question that the language has, of two sentences; the second answers."""
    paragraphs = []
    for question, languages in PARTLY_PARALLEL.items():
        if language in languages:
            context = f"Opening {question} {language}. Answer {question} {language}."
            start = context.index("Answer")
            paragraphs.append(
                {
                    "context": context,
                    "sentence_breaks": [[0, start - 1], [start, len(context)]],
                    "qas": [
                        {"id": question, "question": f"{question} in {language}?", "answers": [{"answer_start": start}]}
                    ],
                }
            )
    return {"data": [{"title": "t", "paragraphs": paragraphs}]}


@pytest.fixture
def partly_parallel(tmp_path):
    """A folder in LAReQA's layout, as MLQA-R is."""
    folder = tmp_path / "partly"
    folder.mkdir()
    for language in ("ar", "de", "en", "zh"):
        (folder / f"{language}.json").write_text(json.dumps(lareqa_file(language)))
    return folder


def test_a_question_is_asked_only_where_a_version_of_it_is_answered(partly_parallel, letters):
    suite = find(str(partly_parallel))
    result = evaluate(letters, suite, load(suite)).result
    rows = {(s.setting, s.query_language, s.document_language): s for s in result.scores if s.measure == "AP"}
    pairs = [pair for languages in PARTLY_PARALLEL.values() for pair in ((x, y) for x in languages for y in languages)]
    shared = Counter(pairs)
    asked = {code: shared[code, code] for code in ("ar", "de", "en", "zh")}
    for (x, y), count in shared.items():
        setting = "monolingual" if x == y else "cross-lingual"
        assert rows[setting, x, y].queries == count
        assert rows[setting, x, y].documents == 2 * asked[y]
    for x, count in asked.items():
        assert (rows["multilingual", x, "*"].queries, rows["multilingual", x, "*"].documents) == (
            count,
            2 * sum(asked.values()),
        )
    assert len(rows) == 4 + 12 + 4


def test_the_versions_of_a_question_share_its_name(partly_parallel):
    collection = load(find(str(partly_parallel)))
    versions = defaultdict(set)
    for question, language in zip(collection.questions, collection.queries.languages, strict=True):
        versions[question].add(language)
    assert {name: sorted(codes) for name, codes in versions.items()} == {
        name: sorted(codes) for name, codes in PARTLY_PARALLEL.items()
    }


def beir_folder(place, documents, queries, qrels, split="test"):
    (place / "qrels").mkdir(parents=True, exist_ok=True)
    (place / "corpus.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in documents))
    (place / "queries.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in queries))
    lines = ["query-id\tcorpus-id\tscore", *(f"{q}\t{d}\t{gain}" for q, d, gain in qrels)]
    (place / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return place


names = st.text("abcdefxyz0123-_.#é", min_size=1, max_size=6)
some_text = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=40, deadline=None)
@given(
    documents=st.dictionaries(names, st.tuples(st.none() | some_text, some_text), min_size=1, max_size=6),
    queries=st.dictionaries(names, some_text, min_size=1, max_size=6),
    data=st.data(),
)
def test_a_beir_folder_is_read_as_beirs_own_loader_reads_it(tmp_path_factory, documents, queries, data):
    from beir.datasets.data_loader import GenericDataLoader

    pairs = [(q, d) for q in queries for d in documents]
    gains = data.draw(st.dictionaries(st.sampled_from(pairs), st.integers(-1, 3), min_size=1, max_size=8))
    gains[next(iter(gains))] = 1  # so that something is relevant
    judged = list(gains.items())
    place = beir_folder(
        tmp_path_factory.mktemp("beir") / "de",
        [{"_id": name, "title": title, "text": text, "metadata": {}} for name, (title, text) in documents.items()],
        [{"_id": name, "text": text} for name, text in queries.items()],
        [(q, d, gain) for (q, d), gain in judged],
    )
    corpus, asked, qrels = GenericDataLoader(str(place)).load(split="test")
    collection = load(find(str(place)))
    found = defaultdict(dict)
    j = collection.judgements
    for q, d, gain in zip(j.query, j.document, j.gain, strict=True):
        found[collection.queries.ids[q]][collection.documents.ids[d]] = int(gain)
    assert dict(found) == qrels
    assert dict(zip(collection.queries.ids, collection.queries.texts, strict=True)) == asked
    assert dict(zip(collection.documents.ids, collection.documents.texts, strict=True)) == {
        name: f"{row['title'] or ''} {row['text']}".strip() for name, row in corpus.items()
    }


def test_a_beir_folder_of_ones_own_is_in_the_language_of_its_name_or_of_the_option(tmp_path):
    rows = [{"_id": "d", "title": "", "text": "x"}], [{"_id": "q", "text": "?"}], [("q", "d", 1)]
    named, unnamed = beir_folder(tmp_path / "tr", *rows), beir_folder(tmp_path / "mine", *rows, split="dev")
    assert load(find(str(named))).languages == ("tr",)
    assert load(find(str(unnamed)), languages=["fr"]).languages == ("fr",)
    assert find(str(unnamed)).source.split == "dev"


def test_a_document_without_text_stays_in_the_pool_and_is_counted(tmp_path):
    documents = [{"_id": "d", "title": "", "text": "x"}, {"_id": "e", "title": "", "text": ""}]
    suite = find(str(beir_folder(tmp_path / "tr", documents, [{"_id": "q", "text": "?"}], [("q", "d", 1)])))
    assert [row.empty for row in check(suite, load(suite))] == [1]


@pytest.fixture
def by_language(tmp_path):
    """BEIR folders of two languages that use the same ids."""
    for code, word in (("de", "Haus"), ("fr", "maison")):
        beir_folder(
            tmp_path / "mine" / code,
            [{"_id": f"d{n}", "title": "", "text": f"{word} {n}"} for n in range(3)],
            [{"_id": f"q{n}", "text": f"{word} {n}?"} for n in range(2)],
            [("q0", "d0", 2), ("q1", "d1", 1), ("q1", "d2", 0)],
        )
    return tmp_path / "mine"


def test_a_folder_of_beir_folders_is_one_suite_of_their_languages(by_language):
    suite = find(str(by_language))
    collection = load(suite)
    assert (suite.languages, list(suite.settings)) == (("de", "fr"), ["monolingual", "multilingual"])
    assert collection.documents.ids[:3] == ["de:d0", "de:d1", "de:d2"]
    j = collection.judgements
    sides = collection.queries.languages, collection.documents.languages
    found = {(sides[0][query], sides[1][document]) for query, document in zip(j.query, j.document, strict=True)}
    assert found == {("de", "de"), ("fr", "fr")}


def test_folders_that_are_declared_parallel_are_judged_across_languages(by_language):
    suite = declare(
        {**find(str(by_language)).model_dump(), "place": by_language, "settings": {"cross-lingual": ["AP"]}}
    )
    parallel = suite.model_copy(update={"source": suite.source.model_copy(update={"parallel": True})})
    collection = load(parallel)
    j = collection.judgements
    found = {
        (collection.queries.ids[q], collection.documents.ids[d]): gain
        for q, d, gain in zip(j.query, j.document, j.gain, strict=True)
    }
    codes = ("de", "fr")
    assert found == {
        (f"{x}:{q}", f"{y}:{d}"): gain
        for q, d, gain in (("q0", "d0", 2.0), ("q1", "d1", 1.0), ("q1", "d2", 0.0)) for x in codes for y in codes
    }  # fmt: skip
    assert collection.questions == ["q0", "q1", "q0", "q1"]


def test_a_folder_without_a_collection_is_refused_with_what_was_expected(tmp_path):
    with pytest.raises(InputError, match=r"no collection: expected corpus\.jsonl"):
        find(str(tmp_path))


def test_a_suites_files_may_lie_beside_its_declaration(partly_parallel):
    import yaml

    content = {
        "name": "mine", "version": 3, "title": "Mine", "description": "d", "licence": "CC0-1.0", "citation": "none",
        "languages": ["ar", "de"], "source": {"reader": "lareqa"}, "settings": {"multilingual": ["RR"]},
    }  # fmt: skip
    (partly_parallel / "mine.yaml").write_text(yaml.safe_dump(content))
    assert load(find(str(partly_parallel / "mine.yaml"))).languages == ("ar", "de")


def test_norwegian_is_no_truth_value(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "{name: own, version: 1, title: t, description: d, licence: l, citation: c, languages: [no, sv], "
        "source: {reader: beir, folder: '{language}', parallel: true}, settings: {monolingual: [AP]}}"
    )
    suite = find(str(tmp_path / "own.yaml"))
    assert suite.languages == ("no", "sv")
    assert suite.source.parallel is True


def test_an_own_suite_file_that_is_missing_is_a_missing_resource(tmp_path):
    with pytest.raises(MissingResourceError):
        expand([str(tmp_path / "none.yaml")])


def test_texts_in_another_script_than_the_languages_are_noticed(partly_parallel):
    suite = find(str(partly_parallel))
    rows = {row.language: row for row in check(suite, load(suite))}
    assert rows["de"].holds
    assert (rows["de"].query_script_share, rows["de"].document_script_share) == (1.0, 1.0)
    assert not rows["ar"].holds
    assert rows["ar"].problems == (
        "0% of the letters of its queries are Arab",
        "0% of the letters of its documents are Arab",
    )
