"""Results are written whole or not at all, and read back as they were."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from oracles import GivenScores

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import replacing
from xlir_bench.results import find_results, load_ranks
from xlir_bench.results.store import _write_ranks, check_writable
from xlir_bench.retrieval import count_outranked


def test_ranks_are_read_back_as_they_were(two_languages, tmp_path):
    ranks = count_outranked(GivenScores(np.random.default_rng(0).random((4, 6))), two_languages, across_languages=True)
    _write_ranks(ranks, tmp_path / "ranks.parquet")
    again = load_ranks(tmp_path / "ranks.parquet")
    for name in ("query", "query_id", "question", "document_id", "document_language", "gain", "tied", "outranked"):
        np.testing.assert_array_equal(getattr(again, name), getattr(ranks, name), err_msg=name)
    assert (again.languages, again.pool_sizes) == (ranks.languages, ranks.pool_sizes)


def test_a_table_of_ranks_that_is_none_is_refused(tmp_path):
    (tmp_path / "ranks.parquet").write_bytes(b"PAR1 but nothing else")
    with pytest.raises(InputError, match=r"ranks\.parquet: not a table of ranks"):
        load_ranks(tmp_path / "ranks.parquet")


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "kept.json").write_text("old")

    def write() -> None:
        with replacing(tmp_path / "kept.json") as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(MissingResourceError, match=r"cannot write .*kept\.json: No space left on device"):
        write()
    assert (tmp_path / "kept.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_one_line(tmp_path):
    def write() -> None:
        with replacing(tmp_path / "page.html"), Path("/dev/full").open("w") as full:
            full.write("x" * 100_000)

    with pytest.raises(MissingResourceError, match="No space left on device"):
        write()


def test_what_is_flushed_is_a_handle_that_may_write_and_then_the_folder(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    flushed = []

    def fsync(handle):
        writable = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        flushed.append((stat.S_ISDIR(os.fstat(handle).st_mode), writable, (tmp_path / "a.json").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("new")
    assert flushed == [(False, True, False), (True, False, True)]


def test_a_file_system_that_cannot_flush_a_folder_is_no_fault(tmp_path, monkeypatch):
    opened = os.open

    def refuse(place, flags, *more, **options):
        if Path(place).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(place, flags, *more, **options)

    monkeypatch.setattr(os, "open", refuse)
    with replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.json").read_text() == "new"


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingResourceError, match="cannot write"):
        check_writable(tmp_path / "file" / "results")
    check_writable(tmp_path / "results")
    assert list((tmp_path / "results").iterdir()) == []


def test_other_json_in_a_folder_of_results_is_left_alone(tmp_path):
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(MissingResourceError, match="no result in"):
        find_results([tmp_path])
