"""Files of strangers: bounded, inside their folder, and nothing in them runs."""

from __future__ import annotations

import json
import os
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlir_bench.errors import InputError
from xlir_bench.submissions import load, validate
from xlir_bench.submissions.untrusted import (
    LIMITS,
    inventory,
    parse_json,
    parse_yaml,
    printable,
    read_bytes,
)

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)


def test_a_billion_laughs_are_refused_before_they_swell():
    tracemalloc.start()
    with pytest.raises(InputError, match="anchors and aliases are not read"):
        parse_yaml(LAUGHS, "submission.yaml")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['exit 1']",
        "!!python/name:os.system",
        "a: 1\na: 2",
        "[1]: 2",
        "[" * 5000,
        "{a: " * 5000,
        "- " * 3000 + "x",
        "a: \x00",
        "a: [1",
        "%TAG ! tag:yaml.org,2002:python/\n---\n!name:os.system x",
    ],
)
def test_yaml_that_is_more_than_plain_values_is_one_line(text):
    with pytest.raises(InputError, match=r"^submission\.yaml") as refused:
        parse_yaml(text, "submission.yaml")
    assert "\n" not in str(refused.value)


def test_what_looks_like_a_number_in_yaml_is_text():
    assert parse_yaml("a: .nan\nb: .inf\nc: 1e999\nd: 012", "x") == {"a": ".nan", "b": ".inf", "c": "1e999", "d": "012"}


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 10**6,
        b'{"a":' * 10**5,
        b"[" * 60 + b"]" * 60,
        b"NaN",
        b'{"a": 1e999}',
        b"-Infinity",
        b"[1e999]",
        b"\xff",
        b"",
    ],
)
def test_json_that_is_too_deep_or_not_finite_is_refused(content):
    with pytest.raises(InputError, match=r"^r\.json: "):
        parse_json(content, "r.json")


def test_a_gigabyte_of_json_is_refused_by_its_size_without_being_read(tmp_path, errors):
    results = tmp_path / "huge" / "results"
    results.mkdir(parents=True)
    with (results / "xlir-mini.json").open("wb") as file:
        file.truncate(2**30)
    begin = time.monotonic()
    found = errors(tmp_path / "huge")
    assert time.monotonic() - begin < 20
    assert any("1.0 GiB; a file that ends in .json may have 32.0 MiB" in line for line in found)
    with pytest.raises(InputError, match=r"1\.0 GiB"):
        read_bytes(results / "xlir-mini.json")


@pytest.mark.parametrize("kind", ["file", "folder", "dangling"])
def test_a_link_is_refused_and_not_followed(complete, errors, tmp_path, kind):
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    target = {"file": secret, "folder": tmp_path, "dangling": tmp_path / "none"}[kind]
    (complete / "results" / "more.json").symlink_to(target)
    (line,) = errors(complete)
    assert "results/more.json: a link" in line
    assert [entry.path.name for entry in load(complete).results] == ["xlir-mini.json"]


def test_a_manifest_that_is_a_link_is_not_read(complete, tmp_path):
    (tmp_path / "other.yaml").write_text((complete / "submission.yaml").read_text())
    (complete / "submission.yaml").unlink()
    (complete / "submission.yaml").symlink_to(tmp_path / "other.yaml")
    assert load(complete).manifest is None
    with pytest.raises(InputError, match="cannot be read"):
        read_bytes(complete / "submission.yaml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_hang_the_reader(complete, errors):
    os.mkfifo(complete / "results" / "pipe.json")
    assert "neither a file nor a folder" in errors(complete)[0]
    with pytest.raises(InputError, match="not a plain file"):
        read_bytes(complete / "results" / "pipe.json")


@pytest.mark.parametrize(
    "name",
    ["model.py", "weights.bin", "weights.pkl", "w.pt", "page.html", "x.svg", "a.so", "noending", ".hidden", "a b.md"],
)
def test_code_pickles_pages_and_odd_names_have_no_place(complete, errors, name):
    (complete / name).write_text("x")
    (line,) = errors(complete)
    assert line.startswith(f"lexical: {name}: ")


def test_folders_that_are_deep_or_many_files_are_bounded(tmp_path):
    deep = tmp_path / "s"
    for part in "abcdefgh":
        deep /= part
    deep.mkdir(parents=True)
    files, refused = inventory(tmp_path / "s")
    assert (files, refused) == ([], ["a/b/c/d: a folder deeper than 4"])
    for number in range(2100):
        (tmp_path / "s" / f"{number}.md").touch()
    files, refused = inventory(tmp_path / "s")
    assert len(files) + len(refused) == 2001
    assert "more than 2,000 files" in refused[-1]


@given(st.text())
def test_what_is_printed_is_one_line_without_control_signs(text):
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 200


def test_a_name_cannot_write_over_the_line_of_a_terminal():
    assert printable("a\x1b[2Jb\u202ec\rd") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c d"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda part: st.lists(part) | st.dictionaries(st.text(), part),
    )
)
def test_plain_json_is_read_as_the_standard_library_does(document):
    assert parse_json(json.dumps(document).encode(), "x.json") == document


def test_every_ending_has_a_bound():
    assert all(0 < bytes_ <= 8 << 30 for bytes_ in LIMITS.values())


SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "manifest",
    [
        f"name: '{SCRIPT}'\nadapter: bm25\nlicence: MIT\ntrained_on: []\n",
        "name: ../../etc\nadapter: bm25\nlicence: MIT\ntrained_on: []\n",
        f"name: lexical\nadapter: '{SCRIPT}'\nlicence: MIT\n",
        f"name: lexical\nadapter: bm25\nlicence: MIT\nlanguages: {{supported: ['{SCRIPT}']}}\n",
        "name: lexical\nadapter: transformers\nlicence: MIT\nsource: {folder: ../../..}\n",
        "name: lexical\nadapter: transformers\nlicence: MIT\nsource: {folder: /etc}\n",
        LAUGHS,
        "[" * 10_000,
        "name: lexical\nparameters: .nan\n",
        "\x00\x01",
        "",
        "- a list",
    ],
)
def test_a_hostile_manifest_is_an_error_of_its_own_submission_only(complete, errors, tmp_path, manifest):
    other = complete.parent / "other"
    other.mkdir()
    (other / "submission.yaml").write_text(manifest)
    assert errors(other)
    assert errors(complete) == []
    for finding in validate(load(other)):
        assert finding.what.isprintable()
