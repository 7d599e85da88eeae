"""What each exit code means, and that it means nothing else: docs/exit-codes.md."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import PROGRAM, one_line, xlir_bench

from xlir_bench.cli import main as entry
from xlir_bench.errors import XlirError, explained
from xlir_bench.errors import one_line as said


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Results of two baselines, with their ranks."""
    output = tmp_path_factory.mktemp("results")
    for model in ("bm25", "random"):
        assert xlir_bench("run", model, "--output", output / model, "--languages", "de,en").returncode == 0
    return output


def test_the_gate_alone_ends_with_1(results):
    refused = xlir_bench("gate", results / "random", "--baseline", results / "bm25")
    assert refused.returncode == 1
    assert "failed:" in refused.stdout
    assert xlir_bench("gate", results / "bm25", "--baseline", results / "bm25").returncode == 0


def test_an_audit_that_finds_something_ends_with_4(tmp_path):
    from xlir_bench.suites import find, obtain

    collection = obtain(find("xlir-mini"), None, ["en"])
    (tmp_path / "leaked.txt").write_text("\n".join(collection.documents.texts))
    (tmp_path / "clean.txt").write_text("nothing of it\n")
    assert xlir_bench("audit", tmp_path / "leaked.txt", "--languages", "en").returncode == 4
    assert xlir_bench("audit", tmp_path / "clean.txt", "--languages", "en").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["nonsense"], 2),
        (["run"], 2),
        (["run", "random", "--nonsense"], 2),
        (["run", "random", "--suite", "nonsense"], 2),
        (["report", "nowhere", "--output", "site"], 3),
        (["cache", "prune"], 2),
        (["compare", "nowhere"], 3),
        (["train", "nowhere.yaml"], 3),
        (["train", "sweep", "nowhere.yaml"], 3),
        (["suites", "check", "nonsense"], 2),
        (["submit", "validate", "nowhere"], 2),
        (["import", "mteb", "nowhere"], 3),
        (["pairs", "info", "nowhere.parquet"], 3),
        (["audit", "nowhere.txt"], 3),
        (["--version"], 0),
        (["gate", "--help"], 0),
    ],
)
def test_wrong_input_is_2_and_what_is_missing_is_3(arguments, code, tmp_path):
    finished = xlir_bench(*arguments, cwd=tmp_path)
    assert finished.returncode in ({2, 3} if code in {2, 3} and arguments[:1] != ["run"] else {code}), finished.stderr
    assert "Traceback" not in finished.stderr


def test_an_exception_that_nothing_expects_is_one_line_and_70(monkeypatch, capsys):
    def broken(context):
        raise ZeroDivisionError("in\nour code")

    monkeypatch.setattr(entry.cli, "invoke", broken)
    monkeypatch.setattr(sys, "argv", ["xlir-bench", "suites", "list"])
    assert entry._exit_code() == 70
    printed = capsys.readouterr().err
    assert printed == (
        "xlir-bench: error: internal error (ZeroDivisionError: in our code): run again with --debug for the traceback, "
        "and report it\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.txt"), 3, "a.txt: No such file or directory"),
        (PermissionError(13, "Permission denied", "a.txt"), 2, "a.txt: Permission denied"),
        (OSError(28, "No space left on device", "a.txt"), 3, "a.txt: No space left on device"),
        (OSError(32, "Broken pipe"), 70, "internal error"),
        (MemoryError(), 3, "not enough memory"),
        (SystemExit(0), 70, "internal error"),
        (EOFError(), 70, "internal error"),
    ],
)
def test_what_the_system_says_of_a_file_is_the_message(error, code, message):
    found = explained(error)
    assert isinstance(found, XlirError)
    assert found.exit_code == code
    assert message in str(found)
    assert said(error)


def test_a_reader_that_leaves_ends_the_command_with_141_and_no_message(results):
    for arguments in (["suites", "list"], ["export", results, "--format", "csv"], ["--help"], ["gate", "--help"]):
        command = subprocess.Popen(
            [PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        command.stdout.close()
        assert command.stderr.read() == b"", arguments
        assert command.wait(60) == 141, arguments


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_one_line_and_3():
    with Path("/dev/full").open("w") as full:
        finished = xlir_bench("suites", "list", "--json", stdout=full, stderr=subprocess.PIPE)
    assert "cannot write to standard output: No space left on device" in one_line(finished, 3)


def test_a_closed_stdout_is_one_line_and_3_and_writes_into_no_other_file(tmp_path):
    script = f"{PROGRAM} run random --languages de,en --output out --json >&-"
    finished = subprocess.run(["bash", "-c", script], cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert "cannot write to standard output: Bad file descriptor" in one_line(finished, 3)
    json.loads((tmp_path / "out" / "random" / "xlir-mini.json").read_text())


def test_a_closed_stderr_changes_neither_result_nor_exit_code(tmp_path):
    for closing in ("2>&-", "2>/dev/full"):
        script = f"{PROGRAM} run random --languages de,en --output out --json {closing}"
        finished = subprocess.run(["bash", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False)
        assert finished.returncode == 0
        assert json.loads(finished.stdout)["model"]["name"] == "random"


@pytest.mark.parametrize(("named", "encoding"), [("ascii", "utf-8"), ("latin-1", "latin-1"), ("cp1251", "cp1251")])
def test_a_terminal_that_lacks_letters_gets_escapes_and_json_stays_json(results, named, encoding, tmp_path):
    environment = {"PYTHONIOENCODING": named, "PYTHONUTF8": "0", "LC_ALL": "C"}
    listed = xlir_bench("suites", "list", "--json", env=environment, encoding=encoding)
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout) == json.loads(xlir_bench("suites", "list", "--json").stdout)
    for arguments in (
        ["suites", "list"],
        ["compare", results],
        ["align", "xlir-hybrid-static", "--languages", "de,el"],
    ):
        finished = xlir_bench(*arguments, env=environment, encoding=encoding)
        assert finished.returncode == 0, finished.stderr
    wrong = xlir_bench("run", "мodel-ü", env=environment, cwd=tmp_path, encoding=encoding)
    assert "unknown model" in one_line(wrong, 2)


SLOW = """
import time
import numpy as np

class Slow:
    def encode(self, texts, *, role, languages):
        if len(texts) > 200:  # more than are encoded to look whether stored vectors hold good
            open("started", "w").close()
            time.sleep(60)
        return np.array([[len(t), t.count("e"), 1] for t in texts], float)

def build():
    return Slow()
"""


def interrupted(tmp_path: Path, *arguments: str) -> str:
    """What a command says when it is interrupted while texts are encoded."""
    (tmp_path / "slow.py").write_text(SLOW)
    running = subprocess.Popen(
        [PROGRAM, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "started").exists() and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert out == ""
    return err.splitlines()[-1]


def test_an_interrupt_says_that_vectors_are_kept_only_where_they_are(tmp_path):
    kept = "xlir-bench: interrupted; what was encoded is kept: the same command goes on from there"
    assert interrupted(tmp_path, "run", "slow.py:build", "--output", "out") == kept
    (tmp_path / "started").unlink()
    nothing = "xlir-bench: interrupted; nothing is kept yet: the same command begins again"
    assert interrupted(tmp_path, "run", "slow.py:build", "--output", "out", "--no-cache") == nothing
    (tmp_path / "started").unlink()
    assert interrupted(tmp_path, "align", "slow.py:build") == kept
    (tmp_path / "started").unlink()
    assert interrupted(tmp_path, "run", "slow.py:build", "--dry-run") == nothing


def test_what_is_kept_is_said_once_and_only_if_it_is():
    from xlir_bench.interrupts import keeps, kept

    for when, expected in ((lambda: True, "a; b"), (lambda: False, "b")):
        interrupt = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt), keeps("b"), keeps("a", when), keeps("a", when):
            raise interrupt
        assert kept(interrupt) == expected
    assert kept(KeyboardInterrupt()) == ""


def test_nothing_of_the_environment_is_needed(tmp_path):
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XLIR_BENCH_CACHE": str(tmp_path / "cache")}
    finished = subprocess.run([PROGRAM, "suites", "list"], env=bare, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_a_policy_with_a_key_twice_is_refused_however_much_the_last_one_allows(results, tmp_path):
    policy = tmp_path / "p.yaml"
    policy.write_text("rules:\n - {budget: 1 %}\nrules:\n - {budget: 99 %}\n")
    gate = ["gate", results / "random", "--baseline", results / "bm25", "--policy", policy]
    assert f"{policy}:3: not YAML: the key 'rules' stands twice" in one_line(xlir_bench(*gate), 2)


def test_a_result_whose_table_is_missing_or_damaged_is_named(results, tmp_path):
    import shutil

    shutil.copytree(results / "bm25", tmp_path / "out")
    (table,) = (tmp_path / "out").rglob("xlir-mini.parquet")
    result = table.with_suffix(".json")
    uses = (
        ["gate", tmp_path / "out", "--baseline", results / "random"],
        ["gate", results / "random", "--baseline", tmp_path / "out"],
        ["compare", tmp_path / "out", results / "random"],
        ["export", tmp_path / "out", "--format", "trec", "--output", tmp_path / "runs"],
    )
    table.unlink()
    for arguments in uses:
        line = one_line(xlir_bench(*arguments), 3)
        assert f"{result} has no table of ranks (xlir-mini.parquet is missing): run the model again" in line
    assert table.name in one_line(xlir_bench("gate", result, "--baseline", results / "random"), 3)
    built = xlir_bench("report", tmp_path / "out", "--output", tmp_path / "site")
    assert built.returncode == 0, built.stderr
    assert "bm25" in (tmp_path / "site" / "index.html").read_text()
    table.write_bytes(b"PAR1 not a table")
    for arguments in uses:
        assert f"{table}: not a table of ranks" in one_line(xlir_bench(*arguments), 2)


def test_a_table_that_a_terminal_cannot_hold_is_refused_but_not_json(results, tmp_path):
    text = next((results / "bm25").rglob("xlir-mini.json")).read_text()
    (tmp_path / "a.json").write_text(
        text.replace('"name":"bm25"', '"name":"бм25"').replace('"name": "bm25"', '"name": "бм25"')
    )
    environment = {"PYTHONIOENCODING": "latin-1"}
    refused = xlir_bench("export", tmp_path / "a.json", "--format", "csv", env=environment)
    assert "cannot be written as iso8859-1: give --output" in one_line(refused, 2)
    exported = xlir_bench("export", tmp_path / "a.json", "--format", "json", env=environment)
    assert json.loads(exported.stdout)[0]["model"]["name"] == "бм25"


def interrupt(*arguments, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("checkpoint", "expected"), [(False, ""), (True, "training goes on from its newest checkpoint")]
)
def test_training_says_that_it_goes_on_only_where_there_is_a_checkpoint(tmp_path, monkeypatch, checkpoint, expected):
    from types import SimpleNamespace

    from xlir_bench.interrupts import kept
    from xlir_bench.training import runner
    from xlir_bench.training.job import Job

    if checkpoint:
        (tmp_path / "checkpoint-3").mkdir()
    monkeypatch.setattr(runner, "_fitted", interrupt)
    job = SimpleNamespace(workspace=tmp_path)
    job.has_checkpoint = lambda: Job.has_checkpoint(job)
    with pytest.raises(KeyboardInterrupt) as stopped:
        runner._fit(job)
    assert kept(stopped.value).startswith(expected)
    assert bool(kept(stopped.value)) == checkpoint


def test_a_download_says_that_what_arrived_is_kept(tmp_path, monkeypatch):
    from xlir_bench.interrupts import kept
    from xlir_bench.suites import download

    monkeypatch.setattr(download, "_fill", interrupt)
    monkeypatch.setattr(download, "is_offline", lambda: False)
    with pytest.raises(KeyboardInterrupt) as stopped:
        download.download("http://127.0.0.1:9/a", tmp_path / "a", None)
    assert kept(stopped.value) == "what arrived is kept: the same command goes on from there"
