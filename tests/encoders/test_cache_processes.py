"""Several processes and one cache: all go on, whoever writes, prunes, forks or is killed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cache_writers import ENVIRONMENT, FINGERPRINT, english, expected, files, open_store, start_writer, store, stored

from xlir_bench.encoders.cache import VectorCache
from xlir_bench.encoders.contents import prune, stored_models
from xlir_bench.encoders.vector_files import Appender, write_metadata

fcntl = pytest.importorskip("fcntl", reason="has no such locks")


def test_two_processes_write_at_once(tmp_path):
    writers = [start_writer(tmp_path, 0, 40), start_writer(tmp_path, 20, 60)]
    while any(writer.poll() is None for writer in writers):
        at, vectors = stored(tmp_path, [f"text {row}" for row in range(0, 3000, 10)])
        assert np.array_equal(vectors, expected([f"text {10 * row}" for row in at])) if len(at) else True
    assert [writer.returncode for writer in writers] == [0, 0]
    texts = [f"text {row}" for row in range(3000)]
    at, vectors = stored(tmp_path, texts)
    assert len(at) == 3000
    assert np.array_equal(vectors, expected(texts))
    assert len(files(tmp_path, "keys")) <= 2


def test_kill_9_loses_the_block_that_is_being_added_at_most(tmp_path):
    for attempt in range(6):
        writer = start_writer(tmp_path, 1000 * attempt, 1000 * attempt + 1000, "say so")
        time.sleep(0.01 + 0.013 * attempt)
        writer.send_signal(signal.SIGKILL)
        added = [int(line) for line in writer.stdout.read().split()]
        assert writer.wait() == -signal.SIGKILL
        texts = [f"text {row}" for row in range(50 * 1000 * attempt, 50 * (1000 * attempt + len(added)))]
        at, vectors = stored(tmp_path, texts)
        assert len(at) == len(texts)
        assert np.array_equal(vectors, expected(texts)) if texts else True
    assert len(files(tmp_path, "keys")) == 1
    store(tmp_path, ["afterwards"])
    assert stored(tmp_path, ["afterwards"])[0].tolist() == [0]


def test_a_writer_whose_files_are_pruned_again_and_again_goes_on(tmp_path):
    cache = VectorCache(tmp_path)
    writer = start_writer(tmp_path, 0, 400)
    prunings = 0
    while writer.poll() is None:
        prunings += bool(prune(cache))
    assert writer.returncode == 0
    assert "vectors are not stored" not in writer.stderr.read()
    assert prunings > 5
    # It ends with a store that works: what is there is right, listed, and goes with the next pruning.
    texts = [f"text {row}" for row in range(20_000)]
    at, vectors = stored(tmp_path, texts)
    assert np.array_equal(vectors, expected([texts[row] for row in at])) if len(at) else True
    store(tmp_path, ["afterwards"])
    assert [model.fingerprint for model in stored_models(cache)] == [FINGERPRINT]
    prune(cache)
    assert list((tmp_path / "vectors").iterdir()) == []


def test_a_reader_whose_files_are_pruned_finds_them_no_longer(tmp_path):
    texts = [f"text {row}" for row in range(100)]
    store(tmp_path, texts)
    reader = open_store(tmp_path)
    assert len(reader.find(english(texts[:50]))[0]) == 50
    prune(VectorCache(tmp_path))
    assert len(reader.find(english(texts))[0]) == 0
    reader.add(english(texts), expected(texts))
    assert len(stored(tmp_path, texts)[0]) == 100


def test_vectors_that_come_while_their_model_is_pruned_stay_listed(tmp_path, monkeypatch):
    """Another process adds between the removal of the vectors and that of the metadata."""
    store(tmp_path, ["one"])
    model = tmp_path / "vectors" / FINGERPRINT
    write_metadata(model, {"id": "some model"})
    unlink = type(tmp_path).unlink

    def then_add(path, *arguments, **more):
        unlink(path, *arguments, **more)
        if path.name == "model.json":
            Appender(model / "query", 64).append(english(["two"]), expected(["two"]))

    monkeypatch.setattr(type(tmp_path), "unlink", then_add)
    prune(VectorCache(tmp_path))
    monkeypatch.undo()
    assert stored(tmp_path, ["one", "two"])[0].tolist() == [1]
    assert [listed.id for listed in stored_models(VectorCache(tmp_path))] == ["some model"]


def _add_in_child(opened, name):
    texts = [f"{name} {row}" for row in range(100)]
    for row in range(0, 100, 5):
        opened.add(english(texts[row : row + 5]), expected(texts[row : row + 5]))


def test_a_forked_process_appends_to_files_of_its_own(tmp_path):
    opened = open_store(tmp_path)
    opened.add(english(["before"]), expected(["before"]))
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_add_in_child, args=(opened, name)) for name in "ab"]
    for child in children:
        child.start()
    _add_in_child(opened, "c")
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    texts = ["before", *(f"{name} {row}" for name in "abc" for row in range(100))]
    at, vectors = stored(tmp_path, texts)
    assert len(at) == 301
    assert np.array_equal(vectors, expected(texts))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_without_locks_every_writer_has_files_of_its_own(tmp_path, monkeypatch, caplog, number):
    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    both = [open_store(tmp_path), open_store(tmp_path)]
    for row in range(10):
        for opened, name in zip(both, "ab", strict=True):
            opened.add(english([f"{name} {row}"]), expected([f"{name} {row}"]))
    texts = [f"{name} {row}" for name in "ab" for row in range(10)]
    at, vectors = stored(tmp_path, texts)
    assert len(at) == 20
    assert np.array_equal(vectors, expected(texts))
    assert len(files(tmp_path, "keys")) == 2
    assert caplog.text == ""


def test_files_that_another_host_made_are_read_and_never_appended_to(tmp_path):
    store(tmp_path, ["one"])
    for path in (*files(tmp_path, "keys"), *files(tmp_path, "rows")):
        path.rename(path.with_name(f"{'0' * 8}{path.name[8:]}"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("0000*")}
    assert len(before) == 2
    store(tmp_path, ["two"])
    assert stored(tmp_path, ["one", "two"])[0].tolist() == [0, 1]
    assert {path: path.read_bytes() for path in before} == before


FEW_DESCRIPTORS = """
import resource, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from cache_writers import english, expected, open_store
texts = [f"text {row}" for row in range(3000)]
opened = open_store(Path(sys.argv[1]))
opened.add(english(["first"]), expected(["first"]))
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
for row in range(0, 3000, 10):
    opened.add(english(texts[row : row + 10]), expected(texts[row : row + 10]))
again = open_store(Path(sys.argv[1]))
print(sum(len(again.find(english(texts[row : row + 10]))[0]) for row in range(0, 3000, 10)))
"""


def test_sixteen_descriptors_are_enough_for_any_number_of_blocks_and_files(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    for row in range(100):  # as many pairs of files
        store(tmp_path, [f"text {10 * row}"])
    monkeypatch.undo()
    command = [sys.executable, "-c", FEW_DESCRIPTORS, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("3000", "")


def test_a_hundred_thousand_stored_vectors_take_a_few_megabytes_to_look_up(tmp_path):
    import tracemalloc

    texts = [f"text {row}" for row in range(100_000)]
    keys = english(texts)
    opened = open_store(tmp_path)
    opened.add(keys, np.zeros((len(keys), 8), np.float32))
    tracemalloc.start()
    again = open_store(tmp_path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert again.contains(keys).all()
    assert held < 30 * len(keys)
    assert peak < 80 * len(keys)
