"""The store of vectors: nothing that happens to its files makes it give a wrong vector or fail."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import xlir_bench
from xlir_bench.encoders.cache import VectorCache, keys_of
from xlir_bench.encoders.random_encoder import RandomEncoder

FINGERPRINT = "0123456789abcdef" * 4
PYTHON = [sys.executable, "-c"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(xlir_bench.__file__).parents[1])}

WRITER = """
import sys
from pathlib import Path
from xlir_bench.encoders.cache import VectorCache, keys_of
from xlir_bench.encoders.random_encoder import RandomEncoder

folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
shelf = VectorCache(folder).store("0123456789abcdef" * 4, "query")
print("ready", flush=True)
for block in range(first, last):
    texts = [f"text {row}" for row in range(50 * block, 50 * block + 50)]
    codes = ["en"] * 50
    shelf.add(keys_of(texts, codes), RandomEncoder().encode(texts, role="query", languages=codes))
"""


def expected(texts):
    return RandomEncoder().encode(texts, role="query", languages=["en"] * len(texts))


def stored(folder, texts):
    """Positions found and their vectors."""
    shelf = VectorCache(folder).store(FINGERPRINT, "query")
    return shelf.find(keys_of(texts, ["en"] * len(texts)))


def store(folder, texts):
    shelf = VectorCache(folder).store(FINGERPRINT, "query")
    shelf.add(keys_of(texts, ["en"] * len(texts)), expected(texts))


def segments(folder):
    return sorted(folder.rglob("*.vectors"))


def start_writer(folder, first, last):
    writer = subprocess.Popen(
        [*PYTHON, WRITER, str(folder), str(first), str(last)], stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    return writer


def test_what_was_added_is_found_and_nothing_else(tmp_path):
    store(tmp_path, ["one", "two", "three"])
    store(tmp_path, ["four", "two"])
    at, vectors = stored(tmp_path, ["four", "never", "one", "two"])
    assert at.tolist() == [0, 2, 3]
    assert np.array_equal(vectors, expected(["four", "one", "two"]))


def test_an_empty_cache_finds_nothing(tmp_path):
    at, vectors = stored(tmp_path / "not there", ["one"])
    assert len(at) == len(vectors) == 0


def test_language_and_text_do_not_run_into_one_another():
    keys = keys_of(["x", "nx", "x", "\ud800"], ["en", "e", "de", "en"])
    assert len(set(keys.tolist())) == 4


def test_a_file_cut_at_any_byte_is_passed_over(tmp_path):
    store(tmp_path, ["one", "two"])
    [path] = segments(tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        at, _ = stored(tmp_path, ["one", "two"])
        assert len(at) == 0
        assert not path.exists()  # what can never be read again is removed


def test_a_changed_byte_never_gives_a_wrong_vector(tmp_path):
    texts = ["one", "two"]
    store(tmp_path, texts)
    [path] = segments(tmp_path)
    whole = path.read_bytes()
    right = expected(texts)
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x15
        path.write_bytes(changed)
        at, vectors = stored(tmp_path, texts)
        assert np.array_equal(vectors, right[at]) if len(at) else True, position
    path.write_bytes(whole)
    assert len(stored(tmp_path, texts)[0]) == 2


def test_foreign_files_are_left_alone(tmp_path):
    store(tmp_path, ["one"])
    folder = segments(tmp_path)[0].parent
    (folder / "notes.txt").write_text("mine")
    (folder / "sub.vectors").mkdir()
    (folder / "garbage.vectors").write_bytes(os.urandom(500))
    np.save(folder / "other.npy", np.ones(3))
    assert stored(tmp_path, ["one"])[0].tolist() == [0]
    assert {path.name for path in folder.iterdir()} >= {"notes.txt", "sub.vectors", "other.npy"}


def test_what_a_killed_process_left_is_cleared_after_a_day(tmp_path):
    store(tmp_path, ["one"])
    folder = segments(tmp_path)[0].parent
    old, fresh = folder / "old.unfinished", folder / "fresh.unfinished"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert stored(tmp_path, ["one"])[0].tolist() == [0]
    assert not old.exists()
    assert fresh.exists()  # its writer may be alive


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


def test_kill_9_in_the_middle_of_writing_corrupts_nothing(tmp_path):
    for attempt in range(6):
        writer = start_writer(tmp_path, 1000 * attempt, 1000 * attempt + 1000)
        time.sleep(0.01 + 0.013 * attempt)
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
    texts = [f"text {row}" for row in range(50 * 6000)][::7]
    at, vectors = stored(tmp_path, texts)
    assert len(at) > 0
    assert np.array_equal(vectors, expected([texts[row] for row in at]))
    store(tmp_path, ["afterwards"])
    assert stored(tmp_path, ["afterwards"])[0].tolist() == [0]


def test_a_full_disk_leaves_no_file_and_no_error(tmp_path, monkeypatch, caplog):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store(tmp_path, ["one"])
    assert "No space left on device" in caplog.text
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_different_fingerprints_never_share(tmp_path):
    cache = VectorCache(tmp_path)
    fingerprints = [FINGERPRINT, FINGERPRINT[::-1], "a name with / and ..", "another name", "../escape"]
    texts, codes = ["one"], ["en"]
    for number, fingerprint in enumerate(fingerprints):
        cache.store(fingerprint, "query").add(keys_of(texts, codes), np.full((1, 3), number, np.float32))
    for number, fingerprint in enumerate(fingerprints):
        _, vectors = cache.store(fingerprint, "query").find(keys_of(texts, codes))
        assert vectors.tolist() == [[number] * 3]
    assert len(segments(tmp_path / "vectors")) == len(fingerprints)  # none led out of the folder


def test_the_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path))
    assert VectorCache().folder == tmp_path
    monkeypatch.delenv("XLIR_BENCH_CACHE")
    assert VectorCache().folder.name == "xlir-bench"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written_is_read(tmp_path):
    store(tmp_path, ["one"])
    folder = segments(tmp_path)[0].parent
    folder.chmod(0o555)
    try:
        store(tmp_path, ["two"])
        assert stored(tmp_path, ["one", "two"])[0].tolist() == [0]
    finally:
        folder.chmod(0o755)
