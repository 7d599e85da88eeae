"""Queries in one language, documents in others: declared in YAML or on the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from folders import ASKED, CHINESE, write_folder, write_suite

from xlir_bench.cli.main import cli
from xlir_bench.errors import InputError
from xlir_bench.suites import find, load

QUERIES = {f"q{n}": text for n, text in ASKED.items()}
JUDGED = [(f"q{n}", f"d{n}", 1) for n in range(3)]
PERSIAN = {"d7": "پرنده در آب کم عمق منتظر ماهی است.", "d8": "نانوا پیش از طلوع خمیر می‌گیرد."}
CROSS = {"cross-lingual": ["nDCG@10"]}


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refusal(*arguments) -> str:
    ran = invoke(*arguments)
    assert isinstance(ran.exception, InputError), ran.output + repr(ran.exception)
    return str(ran.exception)


@pytest.fixture
def folder(tmp_path):
    """English questions, Chinese documents."""
    return write_folder(tmp_path / "en", CHINESE, QUERIES, JUDGED)


def rows(suite_or_folder, tmp_path, *options):
    ran = invoke("run", "random", "--suite", suite_or_folder, "--output", tmp_path / "results", "--json", *options)
    assert ran.exit_code == 0, ran.output + repr(ran.exception)
    found = json.loads(ran.stdout)["scores"]
    return {(s["setting"], s["query_language"], s["document_language"], s["queries"], s["documents"]) for s in found}


@pytest.mark.parametrize(
    "content",
    [
        {"languages": {"queries": ["en"], "documents": ["zh"]}, "source": {"reader": "beir", "folder": "en"}},
        {
            "languages": ["en", "zh"],
            "source": {"reader": "beir", "folder": "en", "query_language": "en", "document_language": "zh"},
        },
    ],
)
def test_both_forms_of_declaration_give_the_cross_lingual_row(folder, tmp_path, content):
    suite = write_suite(tmp_path / "clir.yaml", settings=CROSS, **content)
    assert find(str(suite)).languages == ("en", "zh")
    assert rows(suite, tmp_path) == {("cross-lingual", "en", "zh", 3, 3)}
    checked = json.loads(invoke("suites", "check", suite, "--json").stdout)
    assert checked["holds"]
    assert {
        (r["language"], r["queries"], r["documents"], r["judgements"], r["judged"]) for r in checked["languages"]
    } == {
        ("en", 3, 0, 3, 3),
        ("zh", 0, 3, 0, 0),
    }


def test_an_own_folder_is_told_its_two_languages_by_options(folder, tmp_path):
    options = ("--query-language", "en", "--document-language", "zh")
    assert {row[:3] for row in rows(folder, tmp_path, *options)} == {("cross-lingual", "en", "zh")}
    assert invoke("suites", "check", folder, *options).exit_code == 0


def test_without_them_its_documents_are_found_to_be_in_another_script(folder, tmp_path):
    assert "0% of the letters of its documents are Latn" in refusal("suites", "check", folder)
    ran = invoke("run", "random", "--suite", folder, "--output", tmp_path / "results")
    assert "warning: en: 0% of the letters of its documents are Latn" in ran.stderr


def test_the_wrong_way_round_is_found_too(folder):
    told = refusal("suites", "check", folder, "--query-language", "zh", "--document-language", "en")
    assert "zh: 0% of the letters of its queries are Hans" in told
    assert "en: 0% of the letters of its documents are Latn" in told


def test_a_list_of_languages_for_one_folder_is_refused_with_the_right_form(folder, tmp_path):
    suite = write_suite(tmp_path / "clir.yaml", languages=["en", "zh"], settings=CROSS)
    with pytest.raises(InputError, match=r"a BEIR folder has one language.*languages: \{queries: \[en\]"):
        find(str(suite))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"settings": {"monolingual": ["AP"]}},
            "there is no monolingual setting between queries in en and documents in zh",
        ),
        ({"settings": {"multilingual": ["AP"]}}, "there is no multilingual setting"),
        ({"languages": {"queries": ["en"]}}, r"languages: give a list of codes, or \{queries"),
        ({"languages": {"queries": ["en", "de"], "documents": ["zh"]}}, "queries have one language"),
        ({"source": {"reader": "miracl"}}, "only the reader beir"),
        ({"source": {"reader": "beir", "query_language": "de"}}, "differ"),
        ({"source": {"reader": "beir", "folder": "{language}"}}, "one folder"),
        ({"source": {"reader": "beir", "parallel": True}}, "one folder"),
        ({"languages": ["en", "zh"], "source": {"reader": "beir", "query_language": "en"}}, "belong together"),
        (
            {
                "languages": ["en", "fa"],
                "source": {"reader": "beir", "query_language": "en", "document_language": "zh"},
            },
            "the source is in en zh and the suite in en fa",
        ),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused_in_one_line(tmp_path, content, message):
    two = {"languages": {"queries": ["en"], "documents": ["zh"]}, "source": {"reader": "beir"}, "settings": CROSS}
    suite = write_suite(tmp_path / "clir.yaml", **{**two, **content})
    with pytest.raises(InputError, match=message) as refused:
        find(str(suite))
    assert "\n" not in str(refused.value)


def test_one_side_alone_or_a_suite_that_is_not_ones_own_is_refused(folder):
    assert "belong together" in refusal("suites", "check", folder, "--query-language", "en")
    told = refusal("suites", "check", "scifact", "--query-language", "en", "--document-language", "zh")
    assert "for a BEIR folder of one's own" in told
    assert "unknown language" in refusal(
        "suites", "check", folder, "--query-language", "en", "--document-language", "q0"
    )


TWO = {"languages": {"queries": ["en"], "documents": ["zh", "fa"]}}
POOLED = {"cross-lingual": ["nDCG@10"], "multilingual": ["nDCG@10"]}


@pytest.fixture
def pooled(tmp_path):
    """Documents in two languages, each record saying its own; q2 is judged not relevant in both."""
    judged = [("q0", "d0", 1), ("q0", "d7", 1), ("q1", "d1", 1), ("q2", "d2", 0), ("q2", "d8", 0)]
    place = write_folder(tmp_path / "en", {}, QUERIES, judged)
    records = [(name, text, code) for code, texts in (("zh", CHINESE), ("fa", PERSIAN)) for name, text in texts.items()]
    lines = [json.dumps({"_id": name, "text": text, "language": code}) + "\n" for name, text, code in sorted(records)]
    (place / "corpus.jsonl").write_text("".join(lines))
    return place


def expected():
    """(setting, pair, queries, documents); q2 counts as 0 wherever it is judged, and in the pool of its file."""
    return {
        ("cross-lingual", "en", "zh", 3, 3),
        ("cross-lingual", "en", "fa", 2, 2),
        ("multilingual", "en", "*", 3, 5),
    }


def test_records_that_name_their_language_make_a_pool_of_several(pooled, tmp_path):
    suite = write_suite(tmp_path / "own.yaml", **TWO, settings=POOLED)
    assert rows(suite, tmp_path) == expected()
    ran = rows(pooled, tmp_path / "x", "--query-language", "en", "--document-language", "zh,fa")
    assert ran == expected()


def test_documents_of_each_language_may_lie_in_files_of_their_own(pooled, tmp_path):
    for code, texts in (("zh", CHINESE), ("fa", PERSIAN)):
        lines = [json.dumps({"_id": name, "text": text}) + "\n" for name, text in texts.items()]
        (pooled / f"{code}.jsonl").write_text("".join(lines))
    source = {"reader": "beir", "folder": "en", "corpus": "{language}.jsonl"}
    apart = find(str(write_suite(tmp_path / "apart.yaml", **TWO, source=source, settings=POOLED)))
    together = find(str(write_suite(tmp_path / "together.yaml", **TWO, settings=POOLED)))
    assert apart.source.files(apart.languages) == [
        "en/zh.jsonl",
        "en/fa.jsonl",
        "en/queries.jsonl",
        "en/qrels/test.tsv",
    ]
    assert load(apart).fingerprint == load(together).fingerprint


def test_a_query_that_is_answered_in_a_language_that_was_not_chosen_takes_no_part(pooled, tmp_path):
    (pooled / "qrels" / "test.tsv").write_text("q0 0 d0 1\nq1 0 d0 0\nq1 0 d7 1\nq2 0 d2 0\n")
    suite = find(str(write_suite(tmp_path / "own.yaml", **TWO, settings=POOLED)))
    part = load(suite, languages=["en", "zh"])
    assert part.documents.languages == ["zh"] * 3
    judged = {part.queries.ids[row] for row in part.judgements.query}
    assert judged == {"q0", "q2"}
    with pytest.raises(InputError, match="choose a language of each"):
        load(suite, languages=["zh", "fa"])


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"_id": "d9", "text": "x"}, r"corpus\.jsonl:6: 'language' is missing or not a string"),
        ({"_id": "d9", "text": "x", "language": "de"}, r":6: the record's language is 'de'; declared are zh fa"),
        ({"_id": "d0", "text": "x", "language": "fa"}, r"document 'd0' is in two languages, as fa:d0 and zh:d0"),
    ],
)
def test_a_record_whose_language_is_not_clear_is_refused(pooled, tmp_path, record, message):
    with (pooled / "corpus.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")
    with pytest.raises(InputError, match=message):
        load(find(str(write_suite(tmp_path / "own.yaml", **TWO, settings=POOLED))))


def test_a_query_language_that_is_also_one_of_the_documents_has_both_settings(pooled, tmp_path):
    with (pooled / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "d9", "text": "the bird waits in shallow water", "language": "en"}) + "\n")
    with (pooled / "qrels" / "test.tsv").open("a") as file:
        file.write("q1\td9\t1\n")
    found = rows(pooled, tmp_path, "--query-language", "en", "--document-language", "zh,fa,en")
    assert {row[:3] for row in found} == {
        ("monolingual", "en", "en"),
        ("cross-lingual", "en", "fa"),
        ("cross-lingual", "en", "zh"),
        ("multilingual", "en", "*"),
    }
