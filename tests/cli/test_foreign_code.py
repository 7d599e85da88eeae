"""A user's code at the command line: what it raises is one line and exit 2, what it prints is not among the results."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from commands import one_line, xlir_bench

HEAD = """
import os, sys, threading
import numpy as np

def good(texts, width=8):
    rows = [[len(t), t.count("e"), t.count("a"), 1, len(set(t)), t.count(" "), 2, 3][:width] for t in texts]
    return np.array(rows, float)

def model(act):
    class Model:
        def encode(self, texts, *, role, languages):
            return act(list(texts), role)
    return Model()
"""
FAULTS = """
def widths(): return model(lambda texts, role: good(texts, 8 if role == "query" else 4))

def crashes():
    def act(texts, role):
        if role == "document" and len(texts) > 20:
            raise RuntimeError("boom")
        return good(texts)
    return model(act)

def exits():
    def act(texts, role):
        sys.exit(0)
    return model(act)

def exits_later():
    def act(texts, role):
        if len(texts) > 20:
            sys.exit(0)
        return good(texts)
    return model(act)

def factory_exits(): sys.exit(0)

def factory_fails(): raise ValueError("no weights")

def pipe():
    def act(texts, role):
        raise BrokenPipeError
    return model(act)

def ends():
    def act(texts, role):
        raise EOFError
    return model(act)

def recursion():
    def act(texts, role):
        return act(texts, role)
    return model(act)

def generator(): return model(lambda texts, role: next(iter_of(GeneratorExit)))

def iter_of(error):
    raise error
    yield

def interrupts_itself():
    def act(texts, role):
        raise KeyboardInterrupt
    return model(act)

def ends_the_process():
    def act(texts, role):
        os._exit(0)
    return model(act)

def ends_the_process_at_exit():
    import atexit
    atexit.register(lambda: os._exit(0))
    return crashes()

def base():
    class Odd(BaseException): pass
    def act(texts, role):
        raise Odd("not even an Exception")
    return model(act)
"""
PRINTS = """
print("HELLO at import")
os.write(1, b"HELLO from a system call\\n")

def prints():
    print("HELLO from the factory")
    def act(texts, role):
        print("HELLO", flush=True)
        sys.stdout.write("HELLO\\n")
        sys.stdout.buffer.write(b"HELLO\\n")
        sys.stdout.reconfigure(line_buffering=True)
        os.system("echo HELLO from a child")
        os.write(1, b"HELLO from below\\n")
        thread = threading.Thread(target=lambda: print("HELLO from a thread"))
        thread.start()
        thread.join()
        return good(texts)
    import atexit
    atexit.register(lambda: print("HELLO at exit"))
    return model(act)
"""

DISTURBS = """
def at_once(change):
    def act(texts, role):
        change()
        return good(texts)
    return model(act)

def replaces_streams():
    def change():
        sys.stdout = sys.stderr = open(os.devnull, "w")
    return at_once(change)

def closes_everything():
    def change():
        sys.stdout.close()
        for stream in (sys.stdout, sys.stderr):
            stream.buffer.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return at_once(change)

def changes_folder():
    os.makedirs("inner", exist_ok=True)
    with open("inner/mark", "w") as mark: mark.write("x")
    os.chdir("inner")
    return at_once(lambda: (open("mark").close(), os.chdir(".")))

def forks():
    def change():
        if os.fork():
            os.wait()
    return at_once(change)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "faults.py").write_text(HEAD + FAULTS)
    (tmp_path / "prints.py").write_text(HEAD + PRINTS)
    (tmp_path / "disturbs.py").write_text(HEAD + DISTURBS)
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(0)\n")
    return tmp_path


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("faults.py:widths", "returned 8 dimensions for queries and 4 for documents"),
        ("faults.py:crashes", 'beginning with document "'),
        ("faults.py:exits", "it called sys.exit(0)"),
        ("faults.py:exits_later", "it called sys.exit(0)"),
        ("faults.py:factory_exits", "it called sys.exit(0)"),
        ("faults.py:factory_fails", "ValueError: no weights"),
        ("faults.py:pipe", "BrokenPipeError"),
        ("faults.py:ends", "EOFError"),
        ("faults.py:recursion", "RecursionError"),
        ("faults.py:base", "Odd: not even an Exception"),
        ("faults.py:generator", "GeneratorExit"),
        ("faults.py:ends_the_process_at_exit", "RuntimeError: boom"),
        ("exits.py:build", "it called sys.exit(0)"),
    ],
)
def test_a_fault_in_a_users_encoder_is_one_line_and_exit_2(folder, model, message):
    finished = xlir_bench("run", model, "--no-cache", "--output", "out", "--languages", "de,en", cwd=folder)
    line = one_line(finished, 2)
    assert model in line
    assert message in line
    assert finished.stdout == ""
    assert not list(folder.glob("out/*/*.json"))


def test_an_encoder_that_ends_the_process_at_once_is_no_run_that_is_done(folder):
    finished = xlir_bench("run", "faults.py:ends_the_process", "--no-cache", "--output", "out", cwd=folder)
    assert "os._exit(0)" in one_line(finished, 2)
    assert not list(folder.glob("out/*/*.json"))


def test_an_interrupt_that_an_encoder_raises_is_an_interrupt(folder):
    finished = xlir_bench("run", "faults.py:interrupts_itself", "--no-cache", "--output", "out", cwd=folder)
    assert finished.returncode == 130
    said = "xlir-bench: interrupted; nothing is kept yet: the same command begins again"
    assert finished.stderr.splitlines()[-1] == said


@pytest.mark.parametrize(
    "model",
    [
        "replaces_streams",
        "closes_everything",
        "changes_folder",
        pytest.param("forks", marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")),
    ],
)
def test_what_an_encoder_does_to_the_process_reaches_neither_results_nor_messages(folder, model):
    """One JSON on stdout, the result where it was asked for, the page named on stderr."""
    finished = xlir_bench(
        *("run", f"disturbs.py:{model}", "--json", "--no-cache", "--output", "out", "--languages", "de,en"), cwd=folder
    )
    assert finished.returncode == 0, finished.stderr
    (path,) = folder.glob("out/*/xlir-mini.json")
    assert [json.loads(line) for line in finished.stdout.splitlines()] == [json.loads(path.read_text())]
    assert finished.stderr.count(f"page: {Path('out/index.html')}") == 1


@pytest.mark.parametrize("command", [["align"], ["run", "--shard-size", "100"], ["run", "--dry-run"]])
def test_every_command_that_encodes_says_the_same(folder, command):
    (folder / "late.py").write_text(
        HEAD
        + "def build():\n"
        + "    def act(texts, role):\n"
        + "        if 'Danube' in texts[-1] or any('Danube' in t for t in texts): return good(texts)\n"
        + "        raise BrokenPipeError\n"
        + "    return model(act)\n"
    )
    name, *more = command
    output = [] if name == "align" else ["--output", "out"]
    line = one_line(xlir_bench(name, "late.py:build", *more, *output, "--no-cache", cwd=folder), 2)
    assert "encoder late.py:build failed on" in line
    assert "BrokenPipeError" in line


def test_debug_shows_the_traceback_of_the_users_code_wherever_it_is_written(folder):
    run = ["run", "faults.py:crashes", "--no-cache", "--output", "out"]
    for arguments, environment in (
        ([*run, "--debug"], {}),
        (["--debug", *run], {}),
        (run, {"XLIR_BENCH_DEBUG": "1"}),
    ):
        finished = xlir_bench(*arguments, cwd=folder, env=environment)
        assert finished.returncode == 2
        assert "Traceback" in finished.stderr
        assert 'raise RuntimeError("boom")' in finished.stderr
        assert finished.stderr.splitlines()[-1].startswith("xlir-bench: error: encoder faults.py:crashes failed")
    assert "Traceback" not in xlir_bench(*run, cwd=folder, env={"XLIR_BENCH_DEBUG": "0"}).stderr


def test_what_a_users_code_prints_goes_to_stderr(folder):
    finished = xlir_bench("run", "prints.py:prints", "--json", "--no-cache", "--output", "out", cwd=folder)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["suite"]["name"] == "xlir-mini"
    for printed in ("at import", "a system call", "the factory", "a child", "below", "a thread", "at exit"):
        assert f"HELLO {printed}" in finished.stderr or f"HELLO from {printed}" in finished.stderr


def test_an_encoder_that_fails_in_one_suite_of_two_is_named_with_its_exit_code(folder):
    (folder / "small").mkdir()
    import shutil

    from xlir_bench.resources import folder as package_folder

    shutil.copytree(package_folder("suites") / "xlir-mini", folder / "data" / "small", dirs_exist_ok=True)
    shown = xlir_bench("suites", "show", "xlir-mini").stdout
    (folder / "small.yaml").write_text(shown.replace("name: xlir-mini", "name: small"))
    finished = xlir_bench(
        *("run", "faults.py:crashes", "--suite", "xlir-mini", "--suite", "small.yaml", "--data", "data"),
        *("--no-cache", "--output", "out"),
        cwd=folder,
    )
    assert "2 of 2 suites failed" in one_line(finished, 2)
    assert finished.stderr.count("failed: ") >= 2
