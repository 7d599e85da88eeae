"""What is deleted was made here: files of others, and what lies behind links, outlive every cleaning."""

from __future__ import annotations

import pytest

from xlir_bench.encoders import VectorCache
from xlir_bench.encoders.cache import keys_of
from xlir_bench.encoders.contents import prune, unrecognised
from xlir_bench.encoders.random_encoder import RandomEncoder
from xlir_bench.engines.records import Records
from xlir_bench.engines.storage import storage
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import remove_folder
from xlir_bench.training.job import checkpoints, forget_old


@pytest.fixture
def mine(tmp_path):
    """A folder of a user, with files that are called as ours are."""
    folder = tmp_path / "mine"
    (folder / "inner").mkdir(parents=True)
    for name in ("notes.txt", "0-0.counts", "first.vectors", "inner/0-50.half", "model.json"):
        (folder / name).write_text("mine")
    return folder


@pytest.fixture(autouse=True)
def _nothing_of_mine_is_lost(mine):
    yield
    assert sorted(path.name for path in mine.rglob("*") if path.is_file()) == [
        "0-0.counts",
        "0-50.half",
        "first.vectors",
        "model.json",
        "notes.txt",
    ]


def test_counts_of_a_run_are_forgotten_and_files_of_others_stay(tmp_path, mine):
    kept = storage(str(tmp_path / "records"))
    for name in ("0-3.counts", "2-11.counts", "0-50.half", "first.vectors", "sample.vectors"):
        kept.write(name, b"ours")
    (tmp_path / "records" / "README.md").write_text("mine")
    (tmp_path / "records" / "1-1.counts").symlink_to(mine / "0-0.counts")
    (tmp_path / "records" / "5-5.counts").symlink_to(mine)
    (tmp_path / "records" / "7-7.counts").mkdir()
    Records(kept).clear()
    assert kept.names() == ["README.md"]
    assert kept.read("1-1.counts") is None
    assert (tmp_path / "records" / "7-7.counts").is_dir()


@pytest.mark.parametrize("there", ["a link", "a circle of links", "a link to nothing", "a file"])
def test_a_place_of_ours_that_is_no_folder_is_refused_in_one_line(tmp_path, mine, there):
    place = tmp_path / "kept" / "digest"
    place.parent.mkdir()
    if there == "a file":
        place.write_text("mine")
    else:
        place.symlink_to({"a link": mine, "a circle of links": place, "a link to nothing": tmp_path / "no"}[there])
    with pytest.raises(MissingResourceError, match="move it"):
        storage(str(place.parent)).below("digest")


@pytest.mark.parametrize("there", ["a link", "a circle of links", "a file"])
def test_a_folder_is_removed_only_if_it_is_one(tmp_path, mine, there):
    place = tmp_path / "best"
    if there == "a file":
        place.write_text("mine")
    else:
        place.symlink_to(mine if there == "a link" else place)
    with pytest.raises(InputError, match="move it"):
        remove_folder(place)
    assert place.is_symlink() or place.read_text() == "mine"
    inside = tmp_path / "ours"
    inside.mkdir()
    (inside / "link").symlink_to(mine)
    remove_folder(inside)
    assert not inside.exists()


def test_checkpoints_are_folders_with_a_number(tmp_path, mine):
    workspace = tmp_path / "work"
    for name in ("checkpoint-before-tuning", "checkpoint-", "checkpoint-12"):
        (workspace / name).mkdir(parents=True)
        (workspace / name / "file").write_text("")
    (workspace / "checkpoint-99").symlink_to(mine)
    assert checkpoints(workspace) == []
    forget_old(workspace, 1)
    left = sorted(path.name for path in workspace.iterdir())
    assert left == ["checkpoint-", "checkpoint-99", "checkpoint-before-tuning"]


@pytest.mark.parametrize("behind", ["the cache", "its vectors", "neither"])
def test_pruning_leaves_links_and_what_they_lead_to(tmp_path, mine, behind):
    real = tmp_path / "real"
    real.mkdir()
    place = tmp_path / "cache"
    if behind == "the cache":
        place.symlink_to(real)
    elif behind == "its vectors":
        place.mkdir()
        (place / "vectors").symlink_to(real)
    cache = VectorCache(place)
    fingerprint = "a" * 64
    texts = ["one", "two"]
    vectors = RandomEncoder().encode(texts, role="query", languages=["en", "en"])
    cache.store(fingerprint, "query", {"id": "m"}).add(keys_of(texts, ["en", "en"]), vectors)
    (cache.models / ("b" * 64)).symlink_to(mine)
    (cache.models / ("c" * 64)).symlink_to(cache.models / ("c" * 64))
    (cache.models / ("d" * 64)).write_text("mine")
    (cache.models / fingerprint / "document").symlink_to(mine)
    (cache.models / fingerprint / "model.txt").write_text("mine")
    assert unrecognised(cache)
    prune(cache, (), None, False)
    assert not len(VectorCache(place).store(fingerprint, "query"))
    assert not list(real.rglob("*.rows")) + list(place.rglob("*.rows"))
    for name in "bc":
        assert (cache.models / (name * 64)).is_symlink()
    assert (cache.models / ("d" * 64)).read_text() == "mine"
    assert (cache.models / fingerprint / "document").is_symlink()
    assert (cache.models / fingerprint / "model.txt").read_text() == "mine"
