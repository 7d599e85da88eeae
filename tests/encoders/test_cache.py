"""The store of vectors: nothing that happens to its files makes it give a wrong vector or fail."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from cache_writers import ENVIRONMENT, FINGERPRINT, english, expected, files, open_store, store, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from xlir_bench.encoders.cache import VectorCache, keys_of
from xlir_bench.encoders.vector_files import FilePair, Index


def test_what_was_added_is_found_and_nothing_else(tmp_path):
    store(tmp_path, ["one", "two", "three"])
    store(tmp_path, ["four", "two"])
    at, vectors = stored(tmp_path, ["four", "never", "one", "two"])
    assert at.tolist() == [0, 2, 3]
    assert np.array_equal(vectors, expected(["four", "one", "two"]))


def test_an_empty_cache_finds_nothing(tmp_path):
    at, vectors = stored(tmp_path / "not there", ["one"])
    assert len(at) == len(vectors) == 0
    assert open_store(tmp_path / "not there").contains(english(["one"])).tolist() == [False]
    assert len(open_store(tmp_path / "not there")) == 0


def test_no_key_at_all_is_answered_with_nothing(tmp_path):
    store(tmp_path, ["one"])
    at, vectors = stored(tmp_path, [])
    assert (at.shape, vectors.shape) == ((0,), (0, 64))


def test_keys_are_counted_once_and_known_without_reading_a_vector(tmp_path):
    store(tmp_path, ["one", "two", "three"])
    store(tmp_path, ["four", "two"])
    [rows] = files(tmp_path, "rows")
    rows.write_bytes(b"")
    opened = open_store(tmp_path)
    assert len(opened) == 4
    assert opened.contains(english(["four", "never", "one"])).tolist() == [True, False, True]
    assert len(opened.find(english(["four", "one"]))[0]) == 0


def test_language_and_text_do_not_run_into_one_another():
    keys = keys_of(["x", "nx", "x", "\ud800"], ["en", "e", "de", "en"])
    assert len(set(keys.tolist())) == 4


def test_blocks_of_one_process_and_of_the_next_go_into_one_pair_of_files(tmp_path):
    for round_ in range(3):
        opened = open_store(tmp_path)
        for block in range(20):
            texts = [f"{round_} {block} {row}" for row in range(3)]
            opened.add(english(texts), expected(texts))
        del opened
        gc.collect()
    assert [len(files(tmp_path, suffix)) for suffix in ("keys", "rows")] == [1, 1]
    assert len(open_store(tmp_path)) == 180


def test_two_stores_that_are_open_at_once_append_to_files_of_their_own(tmp_path):
    first, second = open_store(tmp_path), open_store(tmp_path)
    for row in range(10):
        for opened, name in ((first, "a"), (second, "b")):
            texts = [f"{name} {row}", f"both {row}"]
            opened.add(english(texts), expected(texts))
    texts = [f"{name} {row}" for row in range(10) for name in ("a", "b", "both")]
    at, vectors = stored(tmp_path, texts)
    assert np.array_equal(vectors, expected(texts))
    assert at.tolist() == list(range(30))
    assert len(files(tmp_path, "keys")) == 2
    assert len(open_store(tmp_path)) == 30


def test_a_file_cut_at_any_byte_still_gives_its_first_rows(tmp_path):
    texts = ["one", "two", "three"]
    store(tmp_path, texts)
    right = expected(texts)
    for suffix, row_bytes in (("keys", 20), ("rows", 64 * 4)):
        [path] = files(tmp_path, suffix)
        whole = path.read_bytes()
        for length in range(0, len(whole), 7):
            path.write_bytes(whole[:length])
            at, vectors = stored(tmp_path, texts)
            assert at.tolist() == list(range(length // row_bytes))
            assert np.array_equal(vectors, right[at]) if len(at) else True
        path.write_bytes(whole)


def test_what_was_cut_off_is_stored_again_and_found_from_then_on(tmp_path):
    texts = ["one", "two", "three"]
    for suffix, length in (("keys", 47), ("rows", 3)):
        store(tmp_path, texts)
        [path] = files(tmp_path, suffix)
        path.write_bytes(path.read_bytes()[:length])
        found = stored(tmp_path, texts)[0].tolist()
        store(tmp_path, [text for row, text in enumerate(texts) if row not in found])
        at, vectors = stored(tmp_path, texts)
        assert at.tolist() == [0, 1, 2]
        assert np.array_equal(vectors, expected(texts))


def test_a_changed_byte_costs_one_vector_at_most_and_never_gives_a_wrong_one(tmp_path):
    texts = ["one", "two", "three"]
    store(tmp_path, texts)
    right = expected(texts)
    for path in (*files(tmp_path, "keys"), *files(tmp_path, "rows")):
        whole = path.read_bytes()
        for position in range(len(whole)):
            changed = bytearray(whole)
            changed[position] ^= 0x15
            path.write_bytes(changed)
            at, vectors = stored(tmp_path, texts)
            assert len(at) == 2
            assert np.array_equal(vectors, right[at])
        path.write_bytes(whole)
    assert len(stored(tmp_path, texts)[0]) == 3


def test_a_sound_vector_of_another_key_is_not_taken(tmp_path):
    store(tmp_path, ["one", "two"])
    [path] = files(tmp_path, "rows")
    whole = path.read_bytes()
    path.write_bytes(whole[256:] + whole[:256])
    assert len(stored(tmp_path, ["one", "two"])[0]) == 0


def test_foreign_files_and_links_are_passed_over_and_left_alone(tmp_path):
    store(tmp_path, ["one"])
    [keys] = files(tmp_path, "keys")
    folder = keys.parent
    (folder / "notes.txt").write_text("mine")
    (folder / "sub.keys").mkdir()
    (folder / "garbage.keys").write_bytes(os.urandom(500))
    (folder / f"{'a' * 8}-{'b' * 32}-64.keys").write_bytes(os.urandom(500))
    (folder / f"{'c' * 32}.vectors").write_bytes(os.urandom(500))
    np.save(folder / "other.npy", np.ones(3))
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine too")
    (folder / f"{keys.name[:8]}-{'d' * 32}-64.keys").symlink_to(outside)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path != keys}
    assert stored(tmp_path, ["one"])[0].tolist() == [0]
    first = open_store(tmp_path)
    first.add(english(["two"]), expected(["two"]))
    store(tmp_path, ["three"])
    assert stored(tmp_path, ["one", "two", "three"])[0].tolist() == [0, 1, 2]
    del before[keys.with_suffix(".rows").name]
    assert all((folder / name).read_bytes() == content for name, content in before.items())
    assert outside.read_bytes() == b"mine too"


def test_vectors_of_one_width_are_found_those_written_last(tmp_path):
    opened = VectorCache(tmp_path).store(FINGERPRINT, "query")
    opened.add(english(["a", "b"]), np.ones((2, 5), np.float32))
    [keys] = files(tmp_path, "keys")
    os.utime(keys, (1e9, 1e9))
    opened.add(english(["b", "c"]), np.ones((2, 3), np.float32))
    at, vectors = stored(tmp_path, ["a", "b", "c"])
    assert at.tolist() == [1, 2]
    assert vectors.shape == (2, 3)


def test_float16_and_float32_never_mix(tmp_path):
    half = VectorCache(tmp_path, "float16").store(FINGERPRINT, "query")
    half.add(english(["a"]), np.full((1, 3), 1 / 3, np.float32))
    assert len(open_store(tmp_path)) == 0
    again = VectorCache(tmp_path, "float16").store(FINGERPRINT, "query")
    assert again.find(english(["a"]))[1].tolist() == [[np.float32(np.float16(1 / 3))] * 3]
    again.discard()
    store(tmp_path, ["a"])
    VectorCache(tmp_path, "float16").store(FINGERPRINT, "query").discard()
    assert len(open_store(tmp_path)) == 1


def test_discarding_removes_what_is_stored_of_that_model_and_role_and_nothing_else(tmp_path):
    cache = VectorCache(tmp_path)
    for fingerprint, role in ((FINGERPRINT, "query"), (FINGERPRINT, "document"), ("ab" * 32, "query")):
        cache.store(fingerprint, role).add(english(["a"]), expected(["a"]))
    old = tmp_path / "vectors" / FINGERPRINT / "query" / f"{'c' * 32}.vectors"
    old.write_bytes(b"an earlier version's")
    held, opened = open_store(tmp_path), open_store(tmp_path)
    opened.add(english(["b"]), expected(["b"]))
    opened.discard()
    for discarded in (opened, held, open_store(tmp_path)):
        assert len(discarded.find(english(["a", "b"]))[0]) == 0
    assert len(opened) == 0
    assert old.exists()
    assert len(cache.store(FINGERPRINT, "document")) == len(cache.store("ab" * 32, "query")) == 1
    for again, text in ((opened, "c"), (held, "d")):
        again.add(english([text]), expected([text]))
    assert stored(tmp_path, ["a", "b", "c", "d"])[0].tolist() == [2, 3]


def test_what_cannot_be_discarded_is_named_and_not_found(tmp_path, monkeypatch, caplog):
    store(tmp_path, ["a"])

    def refused(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FilePair, "remove", refused)
    opened = open_store(tmp_path)
    opened.discard()
    assert len(opened.find(english(["a"]))[0]) == 0
    assert str(files(tmp_path, "keys")[0]) in caplog.text


@pytest.mark.parametrize("before", [[], ["zero"]])
def test_a_full_disk_leaves_what_was_there_and_no_error(tmp_path, monkeypatch, caplog, before):
    if before:
        store(tmp_path, before)
    content = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    opened = open_store(tmp_path)
    for text in ("one", "two"):
        opened.add(english([text]), expected([text]))
    assert caplog.text.count("No space left on device") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == content


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from cache_writers import english, expected, open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
opened = open_store(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for block in range(100):
    texts = [f"text {row}" for row in range(50 * block, 50 * block + 50)]
    opened.add(english(texts), expected(texts))
"""


@pytest.mark.skipif(os.name == "nt", reason="has no limit of a file's size")
def test_a_file_that_may_not_grow_in_the_middle_of_a_block_keeps_the_blocks_before(tmp_path):
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stderr.count("vectors are not stored") == 1
    texts = [f"text {row}" for row in range(5000)]
    at, vectors = stored(tmp_path, texts)
    assert at.tolist() == list(range(300_000 // (50 * 256) * 50))
    assert np.array_equal(vectors, expected(texts)[at])
    assert files(tmp_path, "rows")[0].stat().st_size == len(at) * 256


def test_different_fingerprints_never_share(tmp_path):
    cache = VectorCache(tmp_path)
    fingerprints = [FINGERPRINT, FINGERPRINT[::-1], "a name with / and ..", "another name", "../escape"]
    texts, codes = ["one"], ["en"]
    for number, fingerprint in enumerate(fingerprints):
        cache.store(fingerprint, "query").add(keys_of(texts, codes), np.full((1, 3), number, np.float32))
    for number, fingerprint in enumerate(fingerprints):
        _, vectors = cache.store(fingerprint, "query").find(keys_of(texts, codes))
        assert vectors.tolist() == [[number] * 3]
    assert len(files(tmp_path / "vectors", "keys")) == len(fingerprints)  # none led out of the folder


def test_the_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path))
    assert VectorCache().folder == tmp_path
    monkeypatch.delenv("XLIR_BENCH_CACHE")
    assert VectorCache().folder.name == "xlir-bench"


READ_ONLY = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from cache_writers import english, expected, open_store
if os.geteuid() == 0:
    os.setuid(65534)
opened = open_store(Path(sys.argv[1]))
opened.add(english(["two"]), expected(["two"]))
opened.add(english(["three"]), expected(["three"]))
print(opened.find(english(["one", "two"]))[0].tolist())
"""


@pytest.mark.skipif(os.name == "nt", reason="has other permissions")
def test_a_folder_that_may_not_be_written_is_read():
    with tempfile.TemporaryDirectory() as name:  # which, other than tmp_path, another user can be let into
        folder = Path(name)
        store(folder, ["one"])
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-c", READ_ONLY, name, str(Path(__file__).parent)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
    assert done.stdout.split("\n")[0] == "[0]"
    assert done.stderr.count("vectors are not stored") == 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=10),
)
@settings(deadline=None)
def test_the_index_gives_every_row_of_a_key_even_where_half_of_two_keys_is_equal(pairs, asked):
    rows = np.zeros(len(pairs), [("high", "<u8"), ("low", "<u8"), ("check", "<u4")])
    for at, (high, low) in enumerate(pairs):
        rows[at] = (high, low, zlib.crc32(bytes([at])))
    index = Index([rows[: len(rows) // 2], rows[len(rows) // 2 :]])
    keys = np.array(asked, "<u8").reshape(-1, 2).view("S16").reshape(-1)
    found = [[] for _ in asked]
    for at, row, check in index.candidates(keys, np.zeros(len(keys), bool)):
        for position, number, value in zip(at.tolist(), row.tolist(), check.tolist(), strict=True):
            found[position].append(number)
            assert value == zlib.crc32(bytes([number])) ^ asked[position][1]
    assert found == [[at for at, pair in enumerate(pairs) if pair == wanted] for wanted in asked]
    assert len(index) == len(set(pairs))
