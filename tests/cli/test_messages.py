"""What commands say where something is missing, in vain, or only one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commands import one_line, xlir_bench

from xlir_bench.errors import MissingResourceError, counted


def write_own(folder: Path, prefixes: dict[str, str]) -> Path:
    """Two languages in BEIR's layout, with something before each id of a language."""
    for code, prefix in prefixes.items():
        (folder / code / "qrels").mkdir(parents=True)
        for name, letter in (("queries", "q"), ("corpus", "d")):
            rows = [{"_id": f"{prefix}{letter}{number}", "text": f"{name} {number} in {code}"} for number in range(3)]
            (folder / code / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        lines = "".join(f"{prefix}q{number}\t{prefix}d{number}\t1\n" for number in range(3))
        (folder / code / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}")
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """A folder with two languages, whose ids mean the same in both."""
    return write_own(tmp_path_factory.mktemp("collections") / "own", {"de": "", "en": ""})


@pytest.mark.parametrize("place", ["./nofolder", "../nofolder", "nofolder/", "/nowhere/nofolder", "./x.parquet"])
def test_a_place_that_does_not_exist_is_no_id_of_the_hub(place, tmp_path):
    said = one_line(xlir_bench("run", place, cwd=tmp_path), 3)
    assert f"{place}: no such folder" in said
    assert "hub" not in said


def test_openai_without_a_key_is_refused_before_anything_is_sent(tmp_path):
    finished = xlir_bench("run", "openai:m", cwd=tmp_path, env={"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""})
    assert "set the environment variable OPENAI_API_KEY" in one_line(finished, 3)


def test_options_of_work_say_why_they_did_nothing_over_a_finished_result(own, tmp_path):
    run = ("run", "random", "--suite", own, "--output", "out", "--keep-embeddings", "kept")
    first = xlir_bench(*run, cwd=tmp_path)
    assert "did nothing" not in first.stderr
    assert list((tmp_path / "kept").rglob("*.half"))
    again = xlir_bench(*run[:-1], "elsewhere", "--engine", "local", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert not (tmp_path / "elsewhere").exists()
    assert "so --keep-embeddings and --engine did nothing: remove the result, or give another --output" in again.stderr


def test_runs_are_written_over_a_finished_result(own, tmp_path):
    for _ in range(2):
        finished = xlir_bench("run", "random", "--suite", own, "--output", "out", cwd=tmp_path)
    assert "finished by an earlier run" in finished.stderr
    asked = xlir_bench("run", "random", "--suite", own, "--output", "out", "--top-k", "2", cwd=tmp_path)
    assert list((tmp_path / "out" / "random" / "own.runs").iterdir())
    assert "did nothing" not in asked.stderr


def test_a_model_without_vectors_does_not_stream_even_where_its_result_is_finished(own, tmp_path):
    run = ("run", "bm25", "--suite", own, "--output", "out")
    assert xlir_bench(*run, cwd=tmp_path).returncode == 0
    assert "cannot be streamed: leave out" in one_line(xlir_bench(*run, "--engine", "local", cwd=tmp_path), 2)


def test_a_missing_extra_is_noticed_before_the_model_is_loaded(monkeypatch, tmp_path):
    from xlir_bench import evaluate

    loaded = []
    monkeypatch.setattr("xlir_bench.api.session.model_of", lambda *given: loaded.append(given))
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingResourceError, match=r"pip install 'xlir-bench\[s3\]'"):
        evaluate("random", "xlir-mini", keep_embeddings="s3://bucket/folder")
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr("xlir_bench.engines.ray.find_spec", lambda name: None)
    with pytest.raises(MissingResourceError, match=r"pip install 'xlir-bench\[ray\]'"):
        evaluate("random", "xlir-mini", engine="ray")
    assert loaded == []


def test_a_suite_whose_languages_share_ids_hints_at_parallel(own, tmp_path):
    hint = "`parallel: true` under `source`"
    assert hint in xlir_bench("suites", "check", own).stdout
    asked = xlir_bench("run", "random", "--suite", own, "--settings", "cross-lingual", cwd=tmp_path)
    assert hint in one_line(asked, 2)


def test_a_suite_whose_languages_share_no_ids_does_not(tmp_path):
    checked = xlir_bench("suites", "check", write_own(tmp_path / "own", {"de": "de-", "en": "en-"}))
    assert checked.returncode == 0, checked.stderr
    assert "parallel" not in checked.stdout


def test_a_folder_is_shown_without_talk_of_fetching(own):
    shown = xlir_bench("suites", "show", own)
    assert shown.returncode == 0, shown.stderr
    assert f"# the files are those in {own}" in shown.stdout
    assert "fetch" not in shown.stdout


@pytest.mark.parametrize(
    ("number", "things", "said"),
    [(1, "texts", "1 text"), (0, "texts", "0 texts"), (1, "queries", "1 query"), (1234, "entries", "1,234 entries")],
)
def test_one_thing_is_named_in_the_singular(number, things, said):
    assert counted(number, things) == said
