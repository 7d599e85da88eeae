"""What models are called in everything that is published: names, never places."""

from __future__ import annotations

import json
import shutil

import pytest
from commands import xlir_bench

from xlir_bench.encoders.display import display_id
from xlir_bench.results import load_result

CODE = """
import numpy as np

class Letters:
    def encode(self, texts, *, role, languages):
        vectors = np.full((len(texts), 33), {number}, np.float32)
        for row, text in enumerate(texts):
            for sign in text:
                vectors[row, ord(sign) % 32] += 1
        return vectors

def make():
    return Letters()
"""
MANIFEST = "name: my-bm25\nadapter: bm25\nlicence: MIT\n"
FEW = ("--languages", "de,en", "--settings", "monolingual")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Runs of two factories of one name and of a manifest, by absolute paths, and what is made of their results."""
    home = tmp_path_factory.mktemp("a home of somebody")
    for number, name in enumerate(("one", "two")):
        (home / name).mkdir()
        (home / name / "enc.py").write_text(CODE.format(number=number))
    (home / "declared").mkdir()
    (home / "declared" / "submission.yaml").write_text(MANIFEST)
    out = tmp_path_factory.mktemp("out")
    for place in ("one/enc.py:make", "two/enc.py:make", "declared"):
        made = xlir_bench("run", home / place, *FEW, "--top-k", 2, "--output", out / "results", cwd=out)
        assert made.returncode == 0, made.stderr
        assert str(home) not in made.stdout
    for form in ("json", "csv", "latex", "mteb", "trec"):
        made = xlir_bench("export", "results", "--format", form, "--output", f"{form}.out", cwd=out)
        assert made.returncode == 0, made.stderr
    (out / "compare.json").write_text(xlir_bench("compare", "results", "--json", cwd=out).stdout)
    assert xlir_bench("report", "results", "--output", "site", cwd=out).returncode == 0
    return home, out


def test_no_file_that_is_made_for_others_holds_the_path_that_was_typed(published):
    home, out = published
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert [path for path in files if str(home).encode() in path.read_bytes()] == []
    assert [path for path in files if home.name in str(path.relative_to(out))] == []


def test_a_factory_is_called_by_its_file_and_a_submission_by_its_manifest(published):
    _, out = published
    names = [load_result(path).model.id for path in sorted((out / "results").glob("*/*.json"))]
    assert sorted(names) == ["enc.py:make", "enc.py:make", "my-bm25"]
    folders = sorted(path.parent.name for path in (out / "results").glob("*/*.json"))
    assert folders[-1].startswith("my-bm25-")


def test_two_models_of_one_name_are_told_apart_on_pages_and_in_tables(published):
    _, out = published
    page = (out / "site" / "index.html").read_text()
    folders = {path.parent.name for path in (out / "results").glob("enc-*/*.json")}
    assert len(folders) == 2
    assert all(folder in page for folder in folders)
    compared = json.loads((out / "compare.json").read_text())
    assert folders < {one["encoder"] for one in compared["standings"]}


def test_the_path_in_a_result_of_an_earlier_release_is_not_shown(published, tmp_path):
    home, out = published
    shutil.copytree(out / "results", tmp_path / "results")
    for path in (tmp_path / "results").glob("*/*.json"):
        content = json.loads(path.read_text())
        content["model"]["id"] = f"{home}/one/enc.py:make"
        path.write_text(json.dumps(content))
    assert xlir_bench("report", "results", "--output", "site", cwd=tmp_path).returncode == 0
    assert [p for p in (tmp_path / "site").rglob("*.*") if str(home).encode() in p.read_bytes()] == []


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        ("/home/me/enc.py:make", "enc.py:make"),
        ("work/enc.py:Models.large", "enc.py:Models.large"),
        ("C:\\Users\\me\\enc.py:make", "enc.py:make"),
        ("../models/mine/", "mine"),
        ("~/mine", "mine"),
        ("D:/models/mine", "mine"),
        ("/", "model"),
        (".", "model"),
        ("org/name@v1", "org/name@v1"),
        ("package.module:make", "package.module:make"),
        ("mteb:org/name", "mteb:org/name"),
        ("xlir-hybrid-static", "xlir-hybrid-static"),
        (".hidden/name", ".hidden/name"),
    ],
)
def test_only_paths_lose_their_folders(typed, called):
    assert display_id(typed) == called
    assert display_id(called) == called
