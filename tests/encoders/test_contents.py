"""What the cache holds, float16 in it, and room in it."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from xlir_bench.collection import Texts
from xlir_bench.encoders import ModelInfo, VectorCache, encode_texts
from xlir_bench.encoders.cache import keys_of
from xlir_bench.encoders.contents import prune, stored_models, unrecognised
from xlir_bench.encoders.random_encoder import RandomEncoder
from xlir_bench.encoders.vector_files import write_metadata
from xlir_bench.errors import InputError

TEXTS = Texts(["0", "1", "2"], ["a", "b", "a"], ["en"] * 3)
ONE = ModelInfo("org/one", "org__one-abcdabcd", "ab" * 32, revision="c" * 40)
TWO = ModelInfo("two", "two", "cd" * 32)
OLD = "0123456789abcdef" * 2


class Scaled(RandomEncoder):
    def encode(self, texts, *, role, languages):
        return super().encode(texts, role=role, languages=languages) * 1e5


@pytest.fixture
def cache(tmp_path):
    cache = VectorCache(tmp_path)
    for info in (ONE, TWO):
        for role in ("query", "document"):
            encode_texts(RandomEncoder(), info, TEXTS, role, cache=cache)
    return cache


def test_models_are_listed_with_what_they_are_called_and_how_much_they_hold(cache):
    found = {model.id: model for model in stored_models(cache)}
    assert set(found) == {"org/one", "two"}
    assert found["org/one"].revision == "c" * 40
    assert found["org/one"].vectors == 4
    files = [path for path in (cache.folder / "vectors" / ONE.fingerprint).rglob("*") if path.is_file()]
    assert found["org/one"].bytes == sum(path.stat().st_size for path in files) > 4 * 64 * 4


@pytest.mark.parametrize("wanted", ["org/one", "org__one-abcdabcd", "abababab"])
def test_a_model_is_pruned_by_id_name_or_fingerprint_and_encoded_anew(cache, wanted):
    assert [model.id for model in prune(cache, [wanted])] == ["org/one"]
    assert [model.id for model in stored_models(cache)] == ["two"]
    assert encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=cache).encoded == 2
    assert encode_texts(RandomEncoder(), TWO, TEXTS, "query", cache=cache).encoded == 0


def test_pruning_by_age_goes_by_the_last_use(cache):
    for path in (cache.folder / "vectors").rglob("*"):
        os.utime(path, (time.time() - 10 * 86400,) * 2)
    encode_texts(RandomEncoder(), TWO, TEXTS, "query", cache=cache)
    assert [model.id for model in prune(cache, unused_days=9)] == ["org/one"]


def test_an_unknown_model_is_an_error_and_nothing_goes(cache):
    with pytest.raises(InputError, match=r"no model 'three'; see `xlir-bench cache info`"):
        prune(cache, ["two", "three"])
    assert len(stored_models(cache)) == 2


def everything(folder):
    """Every path below a folder, and what the files hold."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_a_link_to_a_folder_is_named_and_neither_it_nor_what_it_leads_to_is_touched(cache, tmp_path_factory):
    """Whatever the link is called, and if what it leads to looks like a model's folder."""
    precious = tmp_path_factory.mktemp("precious")
    (precious / "thesis.tex").write_text("thesis")
    copy = precious / "copy"
    shutil.copytree(cache.folder / "vectors" / ONE.fingerprint, copy)
    before = everything(precious)
    root = cache.folder / "vectors"
    links = [root / "m", root / ("12" * 32), root / ("34" * 32), root / TWO.fingerprint / "query-float16"]
    for link, target in zip(links, (precious, precious, copy, copy / "query"), strict=True):
        link.symlink_to(target)
    (root / ("56" * 32)).symlink_to(tmp_path_factory.getbasetemp() / "nowhere")
    inside = root / ONE.fingerprint / "query" / next((copy / "query").glob("*.rows")).name.replace("-64", "-65")
    inside.symlink_to(precious / "thesis.tex")
    assert {model.id for model in stored_models(cache)} == {"org/one", "two"}
    prune(cache)
    assert everything(precious) == before
    assert stored_models(cache) == []
    assert {Path(left.path) for left in unrecognised(cache) if "a link" in left.reason} >= {*links[:3]}
    assert all(link.is_symlink() for link in (*links, inside, root / ("56" * 32)))


def test_only_files_that_this_program_wrote_in_folders_that_it_made_are_removed(cache):
    root = cache.folder / "vectors"
    ours = {path for path in root.rglob("*") if path.is_file()}
    mine = [
        root / "notes.txt",
        root / "thesis" / "model.json",
        root / "thesis" / "query" / f"{OLD}.vectors",
        root / ("ab" * 32).upper() / "thesis.tex",
        root / ("12" * 32) / "query" / f"{OLD}.vectors",
        root / ("34" * 32) / "model.json",
        root / ONE.fingerprint / "README.md",
        root / ONE.fingerprint / f"{OLD}.vectors",
        root / ONE.fingerprint / "passage" / f"{OLD}.vectors",
        root / ONE.fingerprint / "query" / "embeddings.vectors",
        root / ONE.fingerprint / "query" / f"{OLD}.vectors.bak",
        root / ONE.fingerprint / "query" / "deeper" / f"{OLD}.vectors",
        root / ONE.fingerprint / "document" / f"0123456x-{OLD}-64.keys",
        root / ONE.fingerprint / "document" / f"{OLD}.vectors" / "a folder",
    ]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"hidden_size": 384}')
    named = {left.path for left in unrecognised(cache)}
    prune(cache)
    assert not any(path.exists() for path in ours)
    assert all(path.read_text() == '{"hidden_size": 384}' for path in mine)
    assert not (root / TWO.fingerprint).exists()
    assert all(any(path.is_relative_to(name) for name in named) for path in mine)
    assert not any(str(path) in named for path in ours)
    # What is left of a model that was removed is named too.
    left = [Path(item.path) for item in unrecognised(cache)]
    assert all(any(path.is_relative_to(item) for item in left) for path in mine)
    assert stored_models(cache) == []


def test_a_folder_of_the_cache_that_is_itself_a_link_is_used(tmp_path):
    """Whoever moves the whole cache to another disk and puts a link in its place still has one."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "vectors").symlink_to(tmp_path / "disk")
    cache = VectorCache(tmp_path / "cache")
    encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=cache)
    assert [model.id for model in prune(cache)] == ["org/one"]
    assert list((tmp_path / "disk").iterdir()) == []


def older(cache, info, kind="query"):
    """A segment and a torn one, as earlier versions wrote them: magic, rows, dimensions, keys, checksums, vectors."""
    folder = cache.folder / "vectors" / info.fingerprint / kind
    folder.mkdir(parents=True, exist_ok=True)
    keys, vectors = keys_of(["a", "b"], ["en", "en"]), np.full((2, 64), 7, "<f4")
    content = struct.pack("<8sQI", b"xlirvec1", 2, 64)
    content += b"".join(keys[row : row + 1].tobytes() + struct.pack("<I", zlib.crc32(vectors[row])) for row in (0, 1))
    (folder / f"{OLD}.vectors").write_bytes(content + vectors.tobytes())
    (folder / f"{OLD[::-1]}.unfinished").write_bytes(content[:30])
    return len(content) + vectors.nbytes + 30


def test_vectors_of_an_earlier_version_are_not_read_are_listed_and_go_when_asked(cache):
    sizes = [older(cache, ONE), older(cache, TWO, "document-float16")]
    only_old = ModelInfo("three", "three", "ef" * 32)
    write_metadata_of(cache, only_old)
    sizes.append(older(cache, only_old))
    encoded = encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=cache)
    assert encoded.from_cache == 2
    assert 7.0 not in encoded.vectors
    assert encode_texts(RandomEncoder(), only_old, TEXTS, "document", cache=cache).from_cache == 0
    found = {model.id: model for model in stored_models(cache)}
    assert [found[name].outdated_bytes for name in ("org/one", "two", "three")] == sizes
    assert [found[name].vectors for name in ("org/one", "two", "three")] == [4, 4, 2]
    assert unrecognised(cache) == []
    assert {model.id for model in prune(cache, outdated=True)} == {"org/one", "two", "three"}
    assert {model.id: (model.vectors, model.outdated_bytes) for model in stored_models(cache)} == {
        "org/one": (4, 0),
        "two": (4, 0),
        "three": (2, 0),
    }
    assert prune(cache, outdated=True) == []
    older(cache, TWO)
    prune(cache, ["two"])
    assert not (cache.folder / "vectors" / TWO.fingerprint).exists()


def write_metadata_of(cache, info):
    folder = cache.folder / "vectors" / info.fingerprint
    folder.mkdir()
    write_metadata(folder, {"id": info.id, "name": info.name, "revision": None})


@pytest.mark.parametrize("content", [None, "", "torn", "[]"])
def test_a_model_whose_metadata_were_lost_gets_them_again_when_it_is_used(cache, content):
    path = cache.folder / "vectors" / ONE.fingerprint / "model.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert [model.id for model in stored_models(cache)] == ["two"]
    assert encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=cache).from_cache == 2
    assert {model.id for model in stored_models(cache)} == {"org/one", "two"}


def test_what_cannot_be_removed_is_named_and_not_called_removed(cache, monkeypatch, caplog):
    unlink = Path.unlink

    def refuse(path, *arguments, **more):
        if ONE.fingerprint in path.parts:
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, *arguments, **more)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert [model.id for model in prune(cache)] == ["two"]
    monkeypatch.undo()
    assert [model.id for model in stored_models(cache)] == ["org/one"]
    assert caplog.text.count("cannot be removed: Permission denied") == 4


def test_an_empty_cache_holds_nothing(tmp_path):
    assert stored_models(VectorCache(tmp_path / "nowhere")) == []
    assert unrecognised(VectorCache(tmp_path / "nowhere")) == []


def test_float16_halves_the_numbers_and_every_run_sees_the_same(tmp_path):
    half = VectorCache(tmp_path, "float16")
    first = encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=half)
    second = encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=half)
    full = encode_texts(RandomEncoder(), ONE, TEXTS, "query", cache=VectorCache(tmp_path))
    assert (first.encoded, second.encoded, full.encoded) == (2, 0, 2)
    assert first.vectors.dtype == np.float32
    np.testing.assert_array_equal(first.vectors, second.vectors)
    np.testing.assert_array_equal(first.vectors, full.vectors.astype(np.float16).astype(np.float32))
    sizes = {path.parent.name: path.stat().st_size for path in tmp_path.rglob("*.rows")}
    assert sizes["query"] - sizes["query-float16"] == 2 * 64 * 2


def test_a_number_that_float16_cannot_hold_is_an_error(tmp_path):
    with pytest.raises(InputError, match="beyond 65,504"):
        encode_texts(Scaled(), ONE, TEXTS, "query", cache=VectorCache(tmp_path, "float16"))
