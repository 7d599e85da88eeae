"""The command line as a person meets it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from commands import PROGRAM, xlir_bench

from xlir_bench.resources import folder
from xlir_bench.results import load_result


def one_line(finished: subprocess.CompletedProcess[str], exit_code: int) -> str:
    """The only line of a refusal: no traceback, nothing on stdout."""
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    assert finished.returncode == exit_code, finished.stderr
    assert finished.stdout == ""
    assert len(lines) == 1, finished.stderr
    return lines[0]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run of the floor on the bundled suite, with its output folder."""
    output = tmp_path_factory.mktemp("results")
    return xlir_bench("run", "random", "--output", output, "--json"), output


def test_the_default_suite_runs_without_data_or_network(finished):
    run, output = finished
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["suite"]["name"] == "xlir-mini"
    assert (output / "random" / "xlir-mini.parquet").is_file()
    assert load_result(output / "random" / "xlir-mini.json").model_dump(mode="json") == result


def test_with_json_nothing_but_the_result_goes_to_stdout(finished):
    run, _ = finished
    assert len(run.stdout.splitlines()) == 1
    assert "page:" in run.stderr


def test_the_path_of_the_page_is_the_last_line(finished):
    run, output = finished
    assert run.stderr.splitlines()[-1] == f"page: {output / 'index.html'}"
    assert "random" in (output / "index.html").read_text()


def test_without_json_a_table_of_means_goes_to_stdout(tmp_path):
    run = xlir_bench("run", "random", "--output", tmp_path, "--languages", "de,sw", "--settings", "monolingual")
    assert run.returncode == 0
    assert "monolingual" in run.stdout
    assert "cross-lingual" not in run.stdout
    result = load_result(tmp_path / "random" / "xlir-mini.json")
    assert result.suite.languages == ("de", "sw")
    assert f"{result.summary['monolingual']['AP']:.4f}" in run.stdout


def test_runs_with_the_documents_that_were_found_are_those_of_a_streamed_search_too(tmp_path):
    written = {}
    for name, more in (("held", ()), ("streamed", ("--shard-size", 300, "--records", tmp_path / "records"))):
        run = xlir_bench(
            "run", "xlir-hybrid-static", "--languages", "de,sw", "--output", tmp_path / name, "--top-k", 5, *more
        )
        runs = tmp_path / name / "xlir-hybrid-static" / "xlir-mini.runs"
        assert f"runs: {runs}" in run.stderr.splitlines()
        written[name] = {path.relative_to(runs): path.read_text() for path in runs.rglob("*.run")}
    assert len(written["held"]) == 2 + 2 + 2
    assert written["held"] == written["streamed"]


def test_report_builds_the_page_of_a_folder_of_results(finished, tmp_path):
    _, output = finished
    report = xlir_bench("report", output, "--output", tmp_path / "site")
    assert report.stdout.strip() == str(tmp_path / "site" / "index.html")
    assert "xlir-mini" in (tmp_path / "site" / "index.html").read_text()


def test_suites_are_listed_and_shown_as_json():
    listed = json.loads(xlir_bench("suites", "list", "--json").stdout)
    assert {"xquad-r", "xquad", "scifact", "xlir-mini"} <= {suite["name"] for suite in listed}
    shown = json.loads(xlir_bench("suites", "show", "xquad-r", "--json").stdout)
    assert shown["settings"]["multilingual"] == ["AP", "R@10", "rank_distance"]


def test_suites_check_counts_each_language():
    checked = xlir_bench("suites", "check", "xlir-mini", "--json")
    report = json.loads(checked.stdout)
    assert checked.returncode == 0
    assert (report["queries"], report["documents"], report["holds"]) == (14 * 72, 14 * 144, True)
    assert {row["language"]: row["documents"] for row in report["languages"]}["th"] == 144


def test_suites_check_fails_where_counts_are_not_the_published_ones(tmp_path):
    import yaml

    declared = yaml.safe_load(xlir_bench("suites", "show", "xlir-mini").stdout)
    declared["expect"] = {"queries": 7}
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(declared))
    # Files of the package are read for its own suites only.
    checked = xlir_bench("suites", "check", tmp_path / "changed.yaml", "--json", "--data", folder("suites"))
    assert checked.returncode == 2
    assert json.loads(checked.stdout)["holds"] is False
    assert "ar: 72 queries, published 7" in checked.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["run", "random", "--suite", "xquadr"], 2, "unknown suite 'xquadr': did you mean"),
        (["run", "xlir-hybrid-statik"], 2, "did you mean xlir-hybrid-static"),
        (["run", "nowhere.py:build"], 2, "nowhere.py"),
        (["run", "random", "--languages", "xx"], 2, "unknown language of suite xlir-mini 'xx'"),
        (["run", "random", "--suite", "xquad-r", "--data", "/nonexistent"], 3, "published at"),
        (["run", "random", "--output", "/proc/none"], 3, "cannot write"),
        (["report", "nowhere", "--output", "site"], 3, "nowhere: no such file or folder"),
        (["suites", "show", "none.yaml"], 3, "none.yaml: no such file"),
    ],
)
def test_bad_input_gets_one_line_and_an_exit_code(arguments, exit_code, message, tmp_path):
    assert message in one_line(xlir_bench(*arguments, cwd=tmp_path), exit_code)


def test_a_result_of_another_schema_is_refused(finished, tmp_path):
    _, output = finished
    content = json.loads((output / "random" / "xlir-mini.json").read_text())
    (tmp_path / "old.json").write_text(json.dumps({**content, "schema_version": 99}))
    refused = xlir_bench("report", tmp_path / "old.json", "--output", tmp_path / "site")
    assert "a result of schema 99; this release reads 1" in one_line(refused, 2)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 1}', '{"schema_version": 1, "suite": NaN}'])
def test_a_damaged_result_is_refused_by_name(tmp_path, content):
    (tmp_path / "broken.json").write_text(content)
    refused = xlir_bench("report", tmp_path / "broken.json", "--output", tmp_path / "site")
    assert "broken.json: not a result" in one_line(refused, 2)


SLOW_FACTORY = """
import time
import numpy as np

class Slow:
    def encode(self, texts, *, role, languages):
        time.sleep(0.3 if len(texts) > 20 else 0)
        print("encoded", flush=True)
        return np.array([[len(t), t.count("e"), t.count("a"), 1] for t in texts], dtype=np.float32)

def build():
    return Slow()
"""


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW_FACTORY)
    command = [PROGRAM, "run", "slow.py:build", "--output", "results"]
    environment = {**os.environ, "XLIR_BENCH_CACHE": str(tmp_path / "cache")}
    running = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "cache").rglob("*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert "the same command goes on from there" in stderr
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


def test_help_answers_without_the_heavy_libraries():
    script = (
        "import sys; sys.argv = ['xlir-bench', '--help']\n"
        "from xlir_bench.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code\n"
        "heavy = {'torch', 'mteb', 'transformers', 'numba', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_importing_the_package_loads_no_heavy_library():
    script = (
        "import sys, xlir_bench, xlir_bench.suites, xlir_bench.encoders, xlir_bench.results\n"
        "heavy = {'torch', 'mteb', 'transformers', 'numba', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


FAILING_FACTORY = """
import numpy as np

class Failing:
    def encode(self, texts, *, role, languages):
        if "fi" in languages:
            raise RuntimeError("the model broke")
        return np.array([[len(t), t.count("e"), 1] for t in texts], dtype=np.float32)

def build():
    return Failing()
"""


def test_a_fault_in_one_suite_does_not_lose_the_others(tmp_path):
    import yaml

    (tmp_path / "failing.py").write_text(FAILING_FACTORY)
    declared = yaml.safe_load(xlir_bench("suites", "show", "xlir-mini").stdout)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**declared, "name": "small", "languages": ["de", "en"]}))

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "small").symlink_to(folder("suites") / "xlir-mini")
    command = [
        "run",
        "failing.py:build",
        "--suite",
        "xlir-mini",
        "--suite",
        "small.yaml",
        "--data",
        "data",
        "--output",
        "r",
    ]
    finished = xlir_bench(*command, cwd=tmp_path)
    assert finished.returncode == 2
    assert "1 of 2 suites failed: xlir-mini; the others are finished" in finished.stderr
    assert len(list((tmp_path / "r").rglob("small.json"))) == 1
