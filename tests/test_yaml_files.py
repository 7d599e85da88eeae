"""YAML as people write it: text stays text, a key stands once, nothing swells, and what is wrong is one line."""

from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xlir_bench import yaml_files
from xlir_bench.encoders import manifest
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.gating import read_policy
from xlir_bench.suites.schema import read_declaration
from xlir_bench.training.grid import read_grid
from xlir_bench.training.recipe import read_recipe
from xlir_bench.training.student.recipe import read_student_recipe
from xlir_bench.yaml_files import parse_yaml, read_yaml

READERS = {
    "suite": read_declaration,
    "policy": read_policy,
    "recipe": read_recipe,
    "grid": read_grid,
    "student recipe": read_student_recipe,
    "manifest": manifest.read,
}
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
)
WRONG = {
    "a key twice": "rules:\n - {budget: 1 %}\nrules:\n - {budget: 99 %}\n",
    "a key twice inside": "rules:\n - {budget: 1 %, budget: 99 %}\n",
    "a key twice, once in quotes": "name: a\n'name': b\n",
    "brackets": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 3000 + "x",
    "laughs": LAUGHS,
    "a value inside itself": "a: &a [*a]\n",
    "a list as key": "? [a, b]\n: c\n",
    "a tag of Python": "a: !!python/object/apply:os.system ['true']\n",
    "a tag of a number": "a: !!int '5'\n",
    "not UTF-8": b"\xff\xfe\x00a",
    "a control character": b"a: \x00",
    "latin-1": "name: Sprüche\n".encode("latin-1"),
    "UTF-16": "name: a\n".encode("utf-16"),
    "a tab as indent": "name:\n\ta: 1\n",
    "half a pair": 'name: "a\\ud800"\n',
    "half a pair as key": '"\\udfff": a\n',
    "a merge of what is no mapping": "name: a\n<<: [1, 2]\n",
    "10 MB": b"name: a\n" + b"# filled up\n" * 900_000,
    "two documents": "a: 1\n---\na: 2\n",
    "not closed": "a: [1\n",
    "a list": "- a\n",
    "nothing": "",
    "a word": "word",
    "a number": "12",
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("wrong", WRONG)
def test_every_file_that_is_wrong_is_one_short_line_with_its_name(kind, wrong, tmp_path):
    content = WRONG[wrong]
    path = tmp_path / "given.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    began = time.monotonic()
    with pytest.raises(InputError) as refused:
        READERS[kind](path)
    assert str(path) in str(refused.value)
    assert len(" ".join(str(refused.value).split())) < 1000
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("kind", READERS)
def test_a_key_that_stands_twice_is_named_with_its_line(kind, tmp_path):
    path = tmp_path / "given.yaml"
    path.write_text("name: a\nversion: 1\nname: b\n")
    with pytest.raises(InputError, match=r"given\.yaml:3: not YAML: the key 'name' stands twice"):
        READERS[kind](path)


@pytest.mark.parametrize("kind", READERS)
def test_a_missing_file_and_a_folder_are_told_apart(kind, tmp_path):
    with pytest.raises(MissingResourceError, match="no such file"):
        READERS[kind](tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        READERS[kind](tmp_path)


# YAML takes these for the end of a line, wherever they stand.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85\u2028\u2029"), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_what_yaml_writes_is_read_back(value):
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True), "x", numbers=True) == value


@given(plain)
def test_json_is_read_as_json_reads_it(value):
    assert parse_yaml(json.dumps(value), "x", numbers=True) == value


@given(st.from_regex(r"[0-9a-f]{40}|[0-9]{40}|[0-9]{20}e[0-9]{19}|[0-9]{64}|0[0-9]{6}", fullmatch=True))
def test_a_hash_is_text_to_the_last_digit(digits):
    assert parse_yaml(f"a: {digits}", "x") == {"a": digits}
    assert parse_yaml(f"a: {digits}", "x", numbers=True) == {"a": digits}


@pytest.mark.parametrize(
    "word", ["no", "on", "y", "012", "0x1F", "1:30", "190:20:30", "2024-01-01", "1_0", ".inf", "1e5"]
)
def test_where_no_numbers_are_asked_for_every_word_is_what_is_written(word):
    assert parse_yaml(f"{word}: {word}", "x") == {word: word}


@pytest.mark.parametrize(
    "word", ["no", "on", "y", "012", "0x1F", "1:30", "190:20:30", "2024-01-01", ".inf", ".nan", "0o7"]
)
def test_where_numbers_are_asked_for_only_decimal_ones_are(word):
    assert parse_yaml(f"a: {word}", "x", numbers=True) == {"a": word}


@pytest.mark.parametrize(
    ("written", "number"),
    [("3e-5", 3e-5), ("1.5", 1.5), (".5", 0.5), ("-2", -2), ("5_000_000", 5_000_000), ("1e3", 1000.0), ("0", 0)],
)
def test_decimal_numbers_are_numbers(written, number):
    found = parse_yaml(f"a: {written}", "x", numbers=True)["a"]
    assert found == number
    assert type(found) is type(number)


def test_aliases_and_merged_keys_are_read_where_they_are_few(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("base: &b {x: 1, y: 2}\nother: {<<: *b, y: 3}\nsame: *b\n")
    assert read_yaml(path, numbers=True) == {
        "base": {"x": 1, "y": 2},
        "other": {"x": 1, "y": 3},
        "same": {"x": 1, "y": 2},
    }


def test_a_revision_of_digits_stays_text_in_a_manifest(tmp_path):
    revision = "0123456701234567012345670123456701234567"
    path = tmp_path / "submission.yaml"
    path.write_text(
        f"name: a\nsource: {{hub: some/model, revision: {revision}}}\nadapter: transformers\nlicence: mit\n"
    )
    assert manifest.read(path).source.revision == revision
    path.write_text(
        "name: 2024\nsource: {server: http://x/v1, model: 12, revision: 1234567}\nadapter: openai\nlicence: 1\n"
    )
    declared = manifest.read(path)
    assert (declared.name, declared.source.model, declared.source.revision) == ("2024", "12", "1234567")


@pytest.mark.parametrize("line", ["key{}: 1\n", "- {}\n", "- [{}, a, b]\n"])
def test_a_file_of_too_many_values_is_refused_before_all_of_it_is_read(monkeypatch, line):
    read = []
    monkeypatch.setattr(yaml_files, "MOST_VALUES", 1000)
    compose = yaml_files._TextLoader.compose_scalar_node
    monkeypatch.setattr(
        yaml_files._TextLoader, "compose_scalar_node", lambda self, anchor: read.append(1) or compose(self, anchor)
    )
    with pytest.raises(InputError, match="more than 1,000 values"):
        yaml_files.parse_yaml("".join(line.format(number) for number in range(3000)), "x.yaml")
    assert len(read) <= 1000


def test_half_a_pair_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text('name: a\ntitle: "b\\ud800"\n')
    with pytest.raises(InputError, match=r"a\.yaml:2: not YAML: half of a surrogate pair, which is no Unicode text"):
        read_yaml(path)


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: no\n")
    assert read_yaml(path) == {"name": "no"}
