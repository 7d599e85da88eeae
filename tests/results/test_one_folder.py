"""Several runs and what they leave in one folder: nothing of one is lost to another, and what is damaged is mended."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xlir_bench.analysis.verified import load_verified
from xlir_bench.collection import Collection, Judgements
from xlir_bench.encoders import Model, ModelInfo
from xlir_bench.engines import Streaming
from xlir_bench.errors import InputError
from xlir_bench.evaluation import Output, run
from xlir_bench.files import alone_in
from xlir_bench.leaderboard import build, gather, rebuild
from xlir_bench.results import Question, judged_path, leaders_path, load_result, ranks_path, sample_path
from xlir_bench.results.store import runs_path
from xlir_bench.suites import find, load

LANGUAGES = ["de", "en"]


class Letters:
    """How often each letter occurs, and a number by which models differ."""

    def __init__(self, number=0):
        self.number = number

    def encode(self, texts, *, role, languages):
        vectors = np.full((len(texts), 33), self.number, np.float32)
        for row, text in enumerate(texts):
            for sign in text:
                vectors[row, ord(sign) % 32] += 1
        return vectors


class Refuses:
    """Fails the test that encodes with it."""

    def encode(self, texts, *, role, languages):
        raise AssertionError("encoded")


def model(number=0, retriever=None) -> Model:
    return Model(ModelInfo(f"letters-{number}", f"letters-{number}", f"{number:064x}"), retriever or Letters(number))


def mini(settings=None):
    suite = find("xlir-mini").narrowed(settings)
    return suite, load(suite, None, LANGUAGES)


def test_runs_of_other_settings_in_one_folder_stand_beside_each_other(tmp_path):
    run(model(1), *mini(["monolingual"]), tmp_path)
    run(model(2), *mini(["multilingual"]), tmp_path)
    run(model(3), *mini(), tmp_path)
    for _ in range(2):
        page, found = rebuild(tmp_path)
        assert len(found.entrants) == 3
        assert not found.problems
        assert all(f"letters-{number}" in page.read_text() for number in (1, 2, 3))


@pytest.mark.parametrize("part", ["ranks", "leaders", "result", "run", "qrels", "index"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "of-another"])
def test_whatever_is_damaged_beside_a_result_is_mended_by_the_next_run(tmp_path, part, damage):
    suite, collection = mini()
    where = Output(tmp_path / "a", 3)
    kept = run(model(), suite, collection, where)
    other = run(model(7), suite, collection, Output(tmp_path / "b", 3))
    assert not run(model(0, Refuses()), suite, collection, where).measured_now

    def found(saved):
        return {
            "ranks": ranks_path(saved.path),
            "leaders": leaders_path(saved.path),
            "result": saved.path,
            "run": saved.runs / "multilingual" / "de-all.run",
            "qrels": saved.runs / "cross-lingual" / "de-en.qrels",
            "index": saved.runs / "runs.json",
        }[part]

    path, whole = found(kept), found(kept).read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif (content := found(other).read_bytes()) == whole:
        return  # judgements are the same whoever ranks
    else:
        path.write_bytes(content)
    if part == "result" and damage in {"cut", "empty"}:
        with pytest.raises(InputError, match="overwrite"):
            run(model(), suite, collection, where)
        where = Output(where.folder, 3, overwrite=True)
    assert run(model(), suite, collection, where).measured_now
    if part != "result":
        assert path.read_bytes() == whole
    assert not run(model(0, Refuses()), suite, collection, where).measured_now


def test_files_that_are_not_ours_outlive_new_runs_and_links_are_not_followed(tmp_path):
    suite, collection = mini()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine-all.run").write_text("mine")
    kept = run(model(), suite, collection, Output(tmp_path / "out", 3))
    (kept.runs / "monolingual" / "notes.txt").write_text("mine")
    (kept.runs / "monolingual" / "inner.run").mkdir()
    (kept.runs / "monolingual" / "fr-fr.run").symlink_to(elsewhere / "mine-all.run")
    (kept.runs / "monolingual" / "xx-xx.run").write_text("left by an earlier search")
    deeper = run(model(), suite, collection, Output(tmp_path / "out", 4))
    assert deeper.measured_now
    assert deeper.runs == kept.runs
    assert (elsewhere / "mine-all.run").read_text() == "mine"
    assert sorted(path.name for path in (kept.runs / "monolingual").iterdir()) == [
        "de-de.qrels",
        "de-de.run",
        "en-en.qrels",
        "en-en.run",
        "fr-fr.run",
        "inner.run",
        "notes.txt",
    ]
    page = rebuild(tmp_path / "out")[0]
    for name in ("suite-mine-0123abcd.html", "mine.html"):
        (elsewhere / name).write_text("mine")
    (page.parent / "pages").rename(tmp_path / "pages")
    (page.parent / "pages").symlink_to(elsewhere)
    rebuild(tmp_path / "out")
    assert (elsewhere / "suite-mine-0123abcd.html").read_text() == "mine"


def test_gains_that_judgements_of_trec_cannot_say_are_refused_before_anything_is_encoded(tmp_path):
    suite, collection = mini()
    judgements = collection.judgements
    halves = type(judgements)(judgements.query, judgements.document, judgements.gain + 0.5)
    graded = Collection(collection.queries, collection.documents, halves, collection.questions)
    with pytest.raises(InputError, match=r"gain of 1\.5.*without --top-k"):
        run(model(0, Refuses()), suite, graded, Output(tmp_path, 3))


@pytest.mark.parametrize("date", ["-1", "1" + "0" * 30, "soon", "1e3", "999999999999", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_date_that_is_none_is_one_short_line_and_nothing_is_written(tmp_path, monkeypatch, date):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
    with pytest.raises(InputError, match=r"SOURCE_DATE_EPOCH=.*whole seconds") as refusal:
        build([], tmp_path / "site")
    assert len(str(refusal.value)) < 150
    assert not (tmp_path / "site").exists()


BESIDE = """
import sys, time
from pathlib import Path
folder, number, of, settings = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].split()
sys.path.insert(0, sys.argv[5])
from test_one_folder import Output, mini, model, rebuild, run
suite, collection = mini(settings or None)
(folder / "ready").mkdir(exist_ok=True)
(folder / "ready" / sys.argv[6]).touch()
while len(list((folder / "ready").iterdir())) < of:
    time.sleep(0.01)
for _ in range(3):
    run(model(number), suite, collection, Output(folder / "out", 3, overwrite=True))
rebuild(folder / "out", analysis=False)
"""


def test_runs_at_once_in_one_folder_lose_nothing_of_each_other(tmp_path):
    """Two models, and one of them in other settings too: every result follows from its ranks, and all are shown."""
    tasks = [(1, ""), (2, "monolingual"), (2, "multilingual"), (2, "")]
    here = Path(__file__).parent
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BESIDE, tmp_path, str(number), str(len(tasks)), settings, here, str(at)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for at, (number, settings) in enumerate(tasks)
    ]
    said = [process.communicate(timeout=280)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(tasks), said
    tmp_path = tmp_path / "out"
    for number in (1, 2):
        path = tmp_path / f"letters-{number}" / "xlir-mini.json"
        result, _ = load_verified(path, analysis=True)
        index = json.loads((path.with_suffix(".runs") / "runs.json").read_text())
        assert index["settings"] == sorted({score.setting for score in result.scores})
        files = {str(at.relative_to(path.with_suffix(".runs"))) for at in path.with_suffix(".runs").rglob("*-*.*")}
        assert files == {row[kind] for row in index["runs"] for kind in ("run", "qrels")}
    found = gather([tmp_path])
    assert len(found.problems) == 2  # the parts of letters-2, beside its result in all settings
    assert all(": the page shows another result on the same data" in problem for problem in found.problems)
    assert not found.refused
    shown = json.loads((tmp_path / "leaderboard.json").read_text())
    assert all(f"letters-{number}" in json.dumps(shown) for number in (1, 2))
    linked = set(re.findall(r"pages/(?:suite|encoder)-[a-z0-9-]+\.html", (tmp_path / "index.html").read_text()))
    written = {str(path.relative_to(tmp_path)) for path in (tmp_path / "pages").iterdir()}
    assert linked
    assert linked <= written
    assert not list(tmp_path.rglob(".*"))


def test_a_run_on_other_data_beside_this_one_is_kept(tmp_path):
    suite, collection = mini()
    small = load(suite, None, ["fi", "sw"])

    class Beside(Letters):
        done = False

        def encode(self, texts, *, role, languages):
            if not Beside.done:
                Beside.done = True
                run(model(), suite, small, tmp_path)
            return super().encode(texts, role=role, languages=languages)

    kept = run(model(0, Beside()), suite, collection, tmp_path)
    languages = {load_result(path).suite.languages for path in kept.path.parent.glob("*.json")}
    assert languages == {collection.languages, small.languages}


@pytest.mark.skipif(sys.platform == "win32", reason="has no flock")
def test_a_folder_is_anothers_until_its_process_has_ended(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from xlir_bench.files import alone_in\n"
        "with alone_in(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read(1); Path(sys.argv[1], 'x').touch()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "in\n"
    other.stdin.write("x")
    other.stdin.flush()
    with alone_in(tmp_path):
        assert (tmp_path / "x").exists()
    assert other.wait(60) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


PARTS = {"ranks": ranks_path, "judged ranks": judged_path, "leaders": leaders_path, "sample": sample_path}


def judged_suite(*languages):
    """A third of the judgements has gain 0, and a measure looks at these."""
    suite = find("xlir-mini")
    plain = load(suite, None, list(languages))
    gain = plain.judgements.gain.copy()
    gain[1::3] = 0
    changed = replace(plain, judgements=Judgements(plain.judgements.query, plain.judgements.document, gain))
    return suite.model_copy(update={"settings": {"multilingual": ["AP", "Bpref"]}}), changed


def code(number=0, retriever=None) -> Model:
    """A model that is code: a sample of its vectors lies beside its result."""
    plain = model(number, retriever)
    return replace(plain, info=replace(plain.info, verify_stored=True))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a finished result, and results of another model and on other texts."""
    folder = tmp_path_factory.mktemp("finished")
    run(code(), *judged_suite("de", "en"), folder / "out")
    run(code(retriever=Backwards()), *judged_suite("de", "en"), folder / "another model")
    run(code(), *judged_suite("de", "fi"), folder / "other texts")
    return folder


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "another model", "other texts"])
def test_a_finished_result_is_measured_again_where_a_part_is_not_its_own(finished, tmp_path, part, damage):
    shutil.copytree(finished / "out", tmp_path, dirs_exist_ok=True)
    wanted = judged_suite("de", "en")
    kept = run(code(), *wanted, tmp_path)
    assert not kept.measured_now
    file = PARTS[part](kept.path)
    if damage == "missing":
        file.unlink()
    elif damage in {"cut", "empty"}:
        os.truncate(file, file.stat().st_size // 2 if damage == "cut" else 0)
    else:
        shutil.copy(PARTS[part](finished / damage / kept.path.relative_to(tmp_path)), file)
    again = run(code(), *wanted, tmp_path)
    assert again.measured_now
    assert again.result.scores == kept.result.scores
    assert not run(code(), *wanted, tmp_path).measured_now


def test_first_documents_that_are_missing_are_noticed_where_no_bias_follows_from_them(tmp_path):
    suite, both = mini(["multilingual"])
    path = run(model(), suite, both.select(["de"]), tmp_path).path
    leaders_path(path).unlink()
    assert run(model(), suite, both.select(["de"]), tmp_path).measured_now
    assert leaders_path(path).is_file()


@pytest.mark.parametrize("part", [*PARTS, "result"])
def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_encoded(tmp_path, part):
    path = tmp_path / "letters-0" / "xlir-mini.json"
    file = path if part == "result" else PARTS[part](path)
    (file / "mine").mkdir(parents=True)
    with pytest.raises(InputError, match=re.escape(str(file))):
        run(model(retriever=Refuses()), *mini(), tmp_path)
    assert (file / "mine").is_dir()


class Backwards(Letters):
    """Other ranks than `Letters`."""

    def encode(self, texts, *, role, languages):
        return super().encode([text[: 1 + len(text) // 3] for text in texts], role=role, languages=languages)


def test_runs_that_are_at_the_place_to_which_a_result_moves_are_kept(tmp_path):
    suite, both = mini(["multilingual"])
    first = run(model(), suite, both.select(["de"]), Output(tmp_path, 5)).path
    content = {file.name: file.read_bytes() for file in runs_path(first).rglob("*.run")}
    aside = runs_path(first.with_name(f"{Question.of(load_result(first)).file_name()}.json"))
    aside.mkdir()
    (aside / "mine.run").write_text("of someone")
    later = run(model(), suite, both, Output(tmp_path, 5))
    assert later.measured_now
    assert later.path == first
    assert {file.name: file.read_bytes() for file in aside.rglob("*.run")} == content
    assert (aside.with_name(f"{aside.name}.1") / "mine.run").read_text() == "of someone"
    back = run(model(retriever=Refuses()), suite, both.select(["de"]), Output(tmp_path, 5))
    assert not back.measured_now
    assert {file.name: file.read_bytes() for file in runs_path(back.path).rglob("*.run")} == content


def without_rows():
    suite, both = mini(["cross-lingual"])
    return suite, both.select(["de"])


def without_relevant_documents():
    suite, both = mini(["monolingual"])
    pairs = both.judgements
    return suite, replace(both, excluded=Judgements(pairs.query, pairs.document, np.zeros(len(pairs.query))))


@pytest.mark.parametrize("made", [without_rows, without_relevant_documents])
@pytest.mark.parametrize("way", ["memory", "streaming"])
def test_what_has_nothing_to_measure_is_refused_before_anything_is_encoded(tmp_path, made, way):
    cache = Streaming(50, records=str(tmp_path / "records")) if way == "streaming" else None
    with pytest.raises(InputError):
        run(model(retriever=Refuses()), *made(), tmp_path / "out", cache=cache)
    assert not (tmp_path / "out").exists()


def test_vectors_without_a_number_are_refused_at_the_first_text(tmp_path):
    class Empty:
        calls = 0

        def encode(self, texts, *, role, languages):
            self.calls += 1
            return np.empty((len(texts), 0), np.float32)

    empty = Empty()
    with pytest.raises(InputError, match=r"shape \(\d+, 0\)"):
        run(model(retriever=empty), *mini(), tmp_path / "out")
    assert empty.calls == 1
    assert not list(tmp_path.rglob("*.json"))
