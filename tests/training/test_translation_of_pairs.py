"""Rows that machine translation makes of a pair store, by a translator whose output says what it was made of."""

from __future__ import annotations

import json
from itertools import product

import pytest
import toy_translator
from click.testing import CliRunner
from toy_translator import WORDS

from xlir_bench.cli.main import cli
from xlir_bench.errors import InputError
from xlir_bench.training.store import Pair, as_pairs, as_tables, read_pairs, write_pairs
from xlir_bench.training.translate_pairs import Expansion, translated_pairs
from xlir_bench.training.translation import Translation, Work

ORIGIN = "machine-translated: toy@1"


class Marking:
    """`abc` into Swahili is `sw cba`; what has an x in it is cut off, which is refused."""

    name, fingerprint = "toy@1", "d" * 64

    def check(self, codes):
        if "te" in codes:
            raise InputError("toy@1 cannot translate Telugu (te)")

    def pieces(self, text, language):
        return [text]

    def translate(self, pieces, source, target):
        return [Translation(f"{target} {piece[::-1]}", "x" not in piece) for piece in pieces]


def made(text: str, code: str) -> str:
    return text if code == "en" else f"{code} {text[::-1]}"


def rows(*pairs: Pair, targets=("sw", "yo"), per_record=100, seed=0) -> list[Pair]:
    return list(translated_pairs(pairs, Expansion("en", targets, per_record, seed), Work(Marking())))


def test_a_row_of_one_language_becomes_a_row_of_every_pair_of_languages_but_itself():
    pair = Pair("who", "them", "en", "en", "g", "d", ("those", "these"))
    found = rows(pair)
    assert {(row.query_language, row.document_language) for row in found} == set(
        product(["en", "sw", "yo"], repeat=2)
    ) - {("en", "en")}
    for row in found:
        x, y = row.query_language, row.document_language
        assert (row.query, row.document) == (made("who", x), made("them", y))
        assert row.negatives == tuple(made(text, y) for text in ("those", "these"))
        assert (row.group, row.dataset, row.origin) == ("g", "d", ORIGIN)


@pytest.mark.parametrize("side", ["query", "document"])
def test_a_row_of_two_languages_is_translated_on_the_side_of_the_source(side):
    pair = Pair("who", "sie", "en", "de", "g", "d") if side == "query" else Pair("wer", "them", "de", "en", "g", "d")
    found = {(row.query, row.document, row.query_language, row.document_language) for row in rows(pair)}
    if side == "query":
        assert found == {(made("who", code), "sie", code, "de") for code in ("sw", "yo")}
    else:
        assert found == {("wer", made("them", code), "de", code) for code in ("sw", "yo")}


def test_what_is_refused_makes_no_row_and_a_refused_negative_is_dropped():
    found = rows(Pair("xxx", "them", "en", "en", "g", "d", ("fox", "cat")), targets=("sw",))
    assert [(row.query_language, row.document_language) for row in found] == [("en", "sw")]
    assert found[0].negatives == (made("cat", "sw"),)


def test_machine_translations_and_other_languages_are_not_translated():
    machine_made = Pair("who", "them", "en", "en", "g", "d", (), "machine-translated: other")
    foreign = Pair("wer", "sie", "de", "de", "g", "d")
    own = Pair("what", "that", "en", "en", "h", "d")
    assert rows(machine_made, foreign, own) == rows(own)
    with pytest.raises(InputError, match="no row that people wrote in en"):
        rows(machine_made, foreign)
    with pytest.raises(InputError, match="nothing to translate"):
        rows(own, targets=("en",))
    with pytest.raises(InputError, match="cannot translate Telugu"):
        rows(own, targets=("te",))


def test_x_y_rows_of_a_record_are_limited_and_drawn_by_the_seed():
    pairs = [Pair(f"who {number}", "them", "en", "en", str(number), "d") for number in range(30)]
    few = rows(*pairs, per_record=2)
    assert few == rows(*pairs, per_record=2)
    assert few != rows(*pairs, per_record=2, seed=1)
    for group in map(str, range(30)):
        of_group = [(row.query_language, row.document_language) for row in few if row.group == group]
        assert [pair for pair in of_group if pair[0] == pair[1]] == [("sw", "sw"), ("yo", "yo")]
        assert len(of_group) == 4


def test_the_command_writes_a_store_beside_the_old_one_and_says_what_was_refused(tmp_path):
    checkpoint = tmp_path / "model"
    checkpoint.mkdir()
    toy_translator.save(checkpoint)
    store = tmp_path / "toy.parquet"
    pairs = [
        Pair(question, answer, "en", "en", str(number), "toy")
        for number, (question, answer) in enumerate(zip(WORDS["en"][:5], WORDS["en"][5:], strict=True))
    ]
    write_pairs(store, as_tables(pairs))
    command = ["pairs", "translate", str(store), "--to", "sw", "--model", str(checkpoint), "--beams", "1", "--json"]
    ran = CliRunner().invoke(cli, command)
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["rows"] == 15
    assert told["languages"] == [{"language": "sw", "texts": 10, "kept": 10, "refused": {}}]
    found = list(as_pairs(read_pairs([tmp_path / "toy.sw.parquet"])))
    assert {(row.query, row.document) for row in found} == {
        (WORDS[x][number], WORDS[y][number + 5])
        for number in range(5)
        for x, y in (("sw", "sw"), ("sw", "en"), ("en", "sw"))
    }
    assert {row.origin for row in found} == {f"machine-translated: {told['translator']}"}
    assert (tmp_path / "toy.sw.refused.jsonl").read_text() == ""
    counted = CliRunner().invoke(cli, ["pairs", "info", str(store), str(tmp_path / "toy.sw.parquet"), "--json"])
    assert json.loads(counted.stdout)["origins"] == [[f"machine-translated: {told['translator']}", 15], ["", 5]]
    over = CliRunner().invoke(cli, [*command, "--output", str(store)])
    with pytest.raises(InputError, match="would replace the store"):
        raise over.exception
