"""`export`, `import` and `submit` as a person meets them."""

from __future__ import annotations

import csv
import io
import json

import pytest
from commands import xlir_bench


def test_a_complete_submission_validates_and_verifies(complete):
    assert "lexical (measured): complete" in xlir_bench("submit", "validate", complete).stdout
    verified = xlir_bench("submit", "verify", complete, "--rerun", 10, "--json")
    assert verified.returncode == 0, verified.stderr
    (report,) = json.loads(verified.stdout)
    assert (report["holds"], report["reruns"][0]["equal"]) == (True, 1.0)


def test_a_score_that_does_not_follow_is_named_with_what_follows(complete):
    path = complete / "results" / "xlir-mini.json"
    document = json.loads(path.read_text())
    said = document["scores"][0]["value"]
    document["scores"][0]["value"] = 0.999
    path.write_text(json.dumps(document))
    verified = xlir_bench("submit", "verify", complete.parent)
    assert verified.returncode == 2
    assert f"monolingual ar-ar AP: says 0.999, follows {said:.6g}" in verified.stdout
    assert len(verified.stderr.splitlines()) == 1


def test_one_hostile_submission_does_not_stop_the_others(complete):
    bad = complete.parent / "a-bad-one"
    (bad / "results").mkdir(parents=True)
    (bad / "submission.yaml").write_text("a: &a [x]\nb: [*a, *a]\n")
    (bad / "results" / "x.json").write_text("[" * 10**6)
    done = xlir_bench("submit", "validate", complete.parent, "--json")
    reports = {report["name"]: report["complete"] for report in json.loads(done.stdout)}
    assert (done.returncode, reports) == (2, {"a-bad-one": False, "lexical": True})
    assert "Traceback" not in done.stderr
    verified = xlir_bench("submit", "verify", complete.parent, "--json")
    assert {report["name"]: report["holds"] for report in json.loads(verified.stdout)} == reports


def test_a_skeleton_is_written_and_validated(tmp_path):
    made = xlir_bench("submit", "new", "mine", cwd=tmp_path)
    assert made.stdout.strip() == "submissions/mine"
    checked = xlir_bench("submit", "validate", "submissions", cwd=tmp_path)
    assert checked.returncode == 2
    assert "licence: is not filled in" in checked.stdout


def test_what_to_do_next_is_said(complete, tmp_path):
    made = xlir_bench("submit", "new", "mine", "--from", complete / "results", cwd=tmp_path)
    todo = "next: edit submissions/mine/submission.yaml (licence, description), then: xlir-bench submit validate"
    assert todo in made.stderr
    assert todo in xlir_bench("submit", "validate", "submissions/mine", cwd=tmp_path).stderr
    assert f"next: xlir-bench submit verify {complete} --rerun" in xlir_bench("submit", "validate", complete).stderr


@pytest.mark.parametrize(
    ("source", "exit_code", "reason"),
    [
        ({"hub": "org/never-fetched", "revision": "a" * 40}, 3, "is not on this machine"),
        ({"mteb": "org/name", "revision": "r"}, 2, "only encoders with weights of their own are run again"),
    ],
)
def test_an_encoder_that_could_not_be_run_again_contradicts_no_figure(complete, source, exit_code, reason):
    adapter = "mteb" if "mteb" in source else "transformers"
    path = complete / "submission.yaml"
    path.write_text(
        path.read_text().replace("adapter: bm25", f"adapter: {adapter}") + f"source: {json.dumps(source)}\n"
    )
    result = complete / "results" / "xlir-mini.json"
    document = json.loads(result.read_text())
    document["model"]["details"]["adapter"] = adapter
    result.write_text(json.dumps(document))
    offline = {"XLIR_BENCH_OFFLINE": "1"}
    done = xlir_bench("submit", "verify", complete, "--rerun", 5, env=offline)
    assert done.returncode == exit_code, done.stderr
    assert f"could not be run again: {reason}" in done.stdout or reason in done.stdout
    assert "could not be run again, so that nothing is known" in done.stderr
    assert "do not follow" not in done.stderr
    (report,) = json.loads(xlir_bench("submit", "verify", complete, "--rerun", 5, "--json", env=offline).stdout)
    assert (report["holds"], report["wrong"], report["not_run"]) == (True, False, exit_code)


def test_export_writes_to_stdout_what_a_program_reads(complete):
    done = xlir_bench("export", complete / "results", "--format", "csv")
    document = json.loads((complete / "results" / "xlir-mini.json").read_text())
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [float(row["value"]) for row in rows] == [row["value"] for row in document["scores"]]
    assert json.loads(xlir_bench("export", complete / "results", "--format", "json").stdout) == [document]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["export", "nowhere", "--format", "csv"], 3, "no such file"),
        (["export", "{results}", "--format", "mteb"], 2, "needs --output, a folder"),
        (["export", "{results}", "--format", "parquet"], 2, "needs --output, a file"),
        (["export", "{results}", "--format", "csv", "--output", "."], 2, "writes a file"),
        (["export", "{results}", "--format", "trec", "--output", "{results}/xlir-mini.json"], 2, "writes a folder"),
        (["import", "mteb", "nowhere"], 3, "no such file or folder"),
        (["submit", "validate", "nowhere"], 3, "no such folder"),
        (["submit", "new", "../x"], 2, "cannot be a submission's name"),
    ],
)
def test_bad_input_gets_one_line_and_an_exit_code(complete, tmp_path, arguments, exit_code, message):
    filled = [argument.replace("{results}", str(complete / "results")) for argument in arguments]
    done = xlir_bench(*filled, cwd=tmp_path)
    assert done.returncode == exit_code, done.stderr
    assert message in done.stderr
    assert (len(done.stderr.splitlines()), done.stdout) == (1, "")


def test_import_says_what_it_took(tmp_path):
    place = tmp_path / "results" / "org__model" / "abc"
    place.mkdir(parents=True)
    scores = {"test": [{"hf_subset": "default", "ndcg_at_10": 0.5}]}
    document = {"task_name": "SciFact", "dataset_revision": "x", "mteb_version": "2", "scores": scores}
    (place / "SciFact.json").write_text(json.dumps(document))
    done = xlir_bench("import", "mteb", "results", cwd=tmp_path)
    assert done.stdout.strip() == "1 submission in submissions; results: 0 complete, 0 partial, 1 stale"
    assert "lexical" not in xlir_bench("submit", "verify", "submissions", cwd=tmp_path).stdout
