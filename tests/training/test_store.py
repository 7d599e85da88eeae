"""The pair store: written, read, refused; and what is built from parallel data."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from itertools import permutations
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from made_data import QUESTIONS, write_aligned, write_questions, write_squad
from pyarrow import parquet

from xlir_bench.cli.main import cli
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.training.build import Derivation, Record, Said, from_aligned, from_questions, from_squad, rows_of
from xlir_bench.training.store import COLUMNS, Pair, as_pairs, as_tables, fingerprint, read_pairs, write_pairs

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
PAIRS = st.lists(
    st.builds(Pair, TEXT, TEXT, st.sampled_from(["en", "sw"]), st.sampled_from(["en", "sw"]), TEXT, st.text(max_size=3))
    | st.builds(Pair, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3).map(tuple), TEXT),
    max_size=12,
)


def pair(number: int, **changes: object) -> Pair:
    fields = {
        "query": f"q{number}",
        "document": f"d{number}",
        "query_language": "en",
        "document_language": "sw",
        "group": str(number),
        "dataset": "toy",
    }
    return Pair(**{**fields, **changes})  # type: ignore[arg-type]


@given(PAIRS, st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_and_its_fingerprint_knows_rows_alone(tmp_path_factory, pairs, rows):
    folder = tmp_path_factory.mktemp("store")
    assert write_pairs(folder / "a.parquet", as_tables(pairs, rows)) == len(pairs)
    table = read_pairs([folder / "a.parquet"])
    assert list(as_pairs(table)) == pairs
    cut = len(pairs) // 2
    for name, part in (("b", pairs[:cut]), ("c", pairs[cut:])):
        write_pairs(folder / f"{name}.parquet", as_tables(part))
    assert fingerprint(read_pairs([folder / "b.parquet", folder / "c.parquet"])) == fingerprint(table)


@given(PAIRS.filter(bool), st.data())
@settings(max_examples=60, deadline=None)
def test_another_value_in_any_column_is_another_fingerprint(pairs, data):
    changed = list(pairs)
    at = data.draw(st.integers(0, len(pairs) - 1))
    name = data.draw(st.sampled_from(COLUMNS))
    old = getattr(pairs[at], name)
    new = (*old, "x") if name == "negatives" else f"{old}x"
    changed[at] = Pair(**{column: getattr(pairs[at], column) for column in COLUMNS} | {name: new})
    one, other = (pa.concat_tables(as_tables(rows)) for rows in (pairs, changed))
    assert fingerprint(one) != fingerprint(other)


def test_texts_cannot_move_from_one_row_to_the_next_unseen():
    one = pa.concat_tables(as_tables([pair(1, negatives=("a", "b")), pair(2, negatives=())]))
    other = pa.concat_tables(as_tables([pair(1, negatives=("a",)), pair(2, negatives=("b",))]))
    assert fingerprint(one) != fingerprint(other)


def test_a_store_written_by_other_tools_is_read(tmp_path):
    table = pa.concat_tables(as_tables([pair(1, negatives=("n",)), pair(2)]))
    table.to_pandas()[[*COLUMNS[::-1]]].assign(more=1).to_parquet(tmp_path / "pandas.parquet")
    assert fingerprint(read_pairs([tmp_path / "pandas.parquet"])) == fingerprint(table)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("query", ["a", None], r"column query: a value is missing \(row 1\)"),
        ("document", ["a", " \n"], r"column document: a value is empty \(row 1\)"),
        ("group", ["", "b"], r"column group: a value is empty \(row 0\)"),
        ("query_language", [1.5, 2.5], "column query_language has the type double, not string"),
        ("negatives", ["a", "b"], "column negatives has the type string, not list"),
        ("negatives", [["a"], None], r"column negatives: a value is missing \(row 1\)"),
        ("negatives", [["a"], ["b", None]], "column negatives: a value is missing"),
        ("origin", None, "it has no column origin"),
    ],
)
def test_what_is_no_store_is_named_by_file_and_column(tmp_path, column, values, message):
    table = pa.concat_tables(as_tables([pair(1), pair(2)])).drop_columns([column])
    if values is not None:
        table = table.append_column(column, pa.array(values))
    parquet.write_table(table, tmp_path / "bad.parquet")
    with pytest.raises(InputError, match=rf"bad\.parquet: .*{message}") as caught:
        read_pairs([tmp_path / "bad.parquet"])
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_no_parquet_is_said_so(tmp_path):
    with pytest.raises(MissingResourceError, match=r"none\.parquet: no such pair store"):
        read_pairs([tmp_path / "none.parquet"])
    (tmp_path / "text.parquet").write_text("not Parquet")
    with pytest.raises(InputError, match=r"text\.parquet: cannot be read as Parquet"):
        read_pairs([tmp_path / "text.parquet"])


def test_a_store_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "store.parquet"
    write_pairs(path, as_tables([pair(1)]))
    before = path.read_bytes()

    def tables():
        yield from as_tables([pair(2)])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pairs(path, tables())
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["store.parquet"]


CODES = st.sets(st.sampled_from(["ar", "de", "en", "sw", "yo", "zh"]), max_size=6)


@given(CODES, CODES, st.integers(0, 20), st.integers(0, 9))
@settings(deadline=None)
def test_a_record_gives_every_row_of_one_language_and_so_many_of_two(queries, documents, most, seed):
    record = Record("d", "g", {c: Said(f"q {c}") for c in queries}, {c: Said(f"d {c}") for c in documents})
    rows = list(rows_of(record, most, random.Random(seed)))
    assert rows == list(rows_of(record, most, random.Random(seed)))
    assert all((row.query, row.document) == (f"q {row.query_language}", f"d {row.document_language}") for row in rows)
    found = [(row.query_language, row.document_language) for row in rows]
    assert len(set(found)) == len(found)
    assert {x for x, y in found if x == y} == queries & documents
    possible = sum(x != y for x in queries for y in documents)
    assert sum(x != y for x, y in found) == min(most, possible)


def test_x_y_rows_are_drawn_evenly_over_records():
    languages = {code: Said(code) for code in "abcde"}
    found = Counter(
        (row.query_language, row.document_language)
        for number in range(2000)
        for row in rows_of(Record("d", "g", languages, languages), 5, Derivation().rng("d", str(number)))
    )
    assert set(found) == set(permutations("abcde", 2))
    # 10,000 draws of 20 kinds: 500 of each, with a standard deviation of 19.4 (hypergeometric).
    assert all(abs(count - 500) < 5 * 19.4 for count in found.values())


def test_squad_files_are_joined_by_question_and_answered_by_the_sentence_of_the_answer(tmp_path):
    write_squad(tmp_path, ["de", "en", "zh"])
    derivation = Derivation(frozenset({"de", "en", "zh"}), per_record=6, negatives=2)
    rows = list(from_squad(str(tmp_path / "xquad.{language}.json"), derivation))
    assert Counter((row.query_language, row.document_language) for row in rows) == {
        (x, y): QUESTIONS for x in ("de", "en", "zh") for y in ("de", "en", "zh")
    }
    raw = {
        code: {
            question["id"]: (question["question"].strip(), paragraph["context"], question["answers"][0])
            for article in json.loads((tmp_path / f"xquad.{code}.json").read_text("utf-8"))["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        }
        for code in ("de", "en", "zh")
    }
    for row in rows:
        context, answer = raw[row.document_language][row.group][1:]
        assert row.query == raw[row.query_language][row.group][0]
        assert row.dataset == "xquad"
        start = context.find(row.document)
        assert any(
            at <= answer["answer_start"] <= at + len(row.document)
            for at in range(start, len(context))
            if context.startswith(row.document, at)
        )
        assert len(row.negatives) <= 2
        assert all(text in context and text != row.document for text in row.negatives)


def test_a_passage_can_be_the_document(tmp_path):
    write_squad(tmp_path, ["en"])
    pattern = str(tmp_path / "xquad.{language}.json")
    rows = list(from_squad(pattern, Derivation(frozenset({"en"}), documents="passage")))
    data = json.loads((tmp_path / "xquad.en.json").read_text("utf-8"))["data"]
    contexts = {paragraph["context"].strip() for article in data for paragraph in article["paragraphs"]}
    assert {row.document for row in rows} == contexts


def gzipped(path: Path, *lines: dict) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return path


def test_aligned_texts_give_each_direction_and_no_copy_and_no_repetition(tmp_path):
    same = {"en": "Linux", "de": "Linux", "tr": "Linux!"}
    path = gzipped(tmp_path / "ui.jsonl.gz", {"en": "Open", "de": "Öffnen"}, same, {"de": "Öffnen", "en": "Open"})
    rows = list(from_aligned(path, Derivation(origin="somebody")))
    assert {(row.group, row.query, row.document) for row in rows} == {
        ("0", "Open", "Öffnen"),
        ("0", "Öffnen", "Open"),
        ("1", "Linux", "Linux!"),
        ("1", "Linux!", "Linux"),
    }
    assert len(rows) == 6
    assert {(row.dataset, row.origin) for row in rows} == {("ui", "somebody")}


def test_spans_make_queries_of_a_text_s_own_words_in_one_language_and_in_two(tmp_path):
    english = " ".join(f"word{n}" for n in range(20))
    path = gzipped(tmp_path / "news.jsonl.gz", {"en": english, "zh": "一二三四五六七八九十", "tr": "kısa metin"})
    rows = list(from_aligned(path, Derivation(spans=True)))
    assert {(row.query_language, row.document_language) for row in rows} == {
        (x, y) for x in ("en", "zh") for y in ("en", "zh")
    }
    texts = {"en": english, "zh": "一二三四五六七八九十"}
    for row in rows:
        assert row.document == texts[row.document_language]
        assert row.query in texts[row.query_language]
    assert {len(row.query.split()) for row in rows if row.query_language == "en"} == {8}
    assert {len(row.query) for row in rows if row.query_language == "zh"} == {4}


def test_questions_give_rows_of_one_language(tmp_path):
    rows = list(from_questions(write_questions(tmp_path / "arcd.jsonl.gz", "ar"), Derivation(negatives=3)))
    assert len(rows) == QUESTIONS
    assert {(row.query_language, row.document_language, row.dataset) for row in rows} == {("ar", "ar", "arcd")}
    assert max(len(row.negatives) for row in rows) == 3


def test_the_seed_decides_which_rows_are_drawn(tmp_path):
    few = frozenset({"ar", "el", "en", "fi", "sw"})
    path = write_aligned(tmp_path / "facts.jsonl.gz", sorted(few))
    one = list(from_aligned(path, Derivation(few, per_record=4)))
    assert one == list(from_aligned(path, Derivation(few, per_record=4)))
    assert one != list(from_aligned(path, Derivation(few, per_record=4, seed=1)))


def invoke(*arguments: object):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_the_command_builds_a_store_and_counts_it(tmp_path):
    (tmp_path / "qa").mkdir()
    write_questions(tmp_path / "qa" / "arcd.jsonl.gz", "ar", 2)
    write_questions(tmp_path / "qa" / "tquad.jsonl.gz", "tr")
    turkish, arabic = 72 * 8, 72 * 2
    store = tmp_path / "store.parquet"
    ran = invoke("pairs", "build", store, "--qa", tmp_path / "qa", "--languages", "ar,tr", "--json")
    assert ran.exit_code == 0, ran.output
    counted = json.loads(ran.stdout)
    assert counted["rows"] == arabic + turkish
    assert counted["languages"] == [["tr", "tr", turkish], ["ar", "ar", arabic]]
    assert counted["datasets"] == [["tquad", turkish], ["arcd", arabic]]
    assert counted["origins"] == [["", arabic + turkish]]
    assert json.loads(invoke("pairs", "info", store, "--json").stdout) == counted
    assert f"{arabic + turkish} rows, fingerprint" in invoke("pairs", "info", store).stdout


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], InputError, "nothing to build from"),
        (["--squad", "train.json"], InputError, r"needs \{language\} in it once"),
        (["--squad", "none-{language}.json"], MissingResourceError, "no file is called so"),
        (["--aligned", "nowhere"], MissingResourceError, "no such file"),
        (["--qa", "x", "--negatives", "2", "--documents", "passage"], InputError, "need --documents sentence"),
    ],
)
def test_what_cannot_be_built_from_is_said_in_a_line(tmp_path, monkeypatch, arguments, error, message):
    monkeypatch.chdir(tmp_path)
    ran = invoke("pairs", "build", "store.parquet", *arguments)
    with pytest.raises(error, match=message):
        raise ran.exception
    assert not (tmp_path / "store.parquet").exists()
