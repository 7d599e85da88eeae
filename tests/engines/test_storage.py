"""Where vectors and counts are kept: folders, and object storage behind real servers on loopback."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import fsspec
import numpy as np
import pytest
from engines.buckets import gs_at, s3_at

from xlir_bench.engines import storage as room
from xlir_bench.engines.storage import storage


@pytest.fixture(params=["folder", "file URL", "memory", "s3", "gs"])
def place(request, environment, tmp_path) -> str:
    """Every kind of place."""
    if request.param in ("s3", "gs"):
        server = request.getfixturevalue(f"{request.param}_server")
        environment(**(s3_at(server) if request.param == "s3" else gs_at(server)))
        return f"{request.param}://bucket/{tmp_path.name}"
    return {
        "folder": str(tmp_path / "kept"),
        "file URL": f"file://{tmp_path}/kept",
        "memory": f"memory://xlir/{tmp_path.name}",
    }[request.param]


def test_what_was_written_is_read_back_and_listed(place):
    kept = storage(place)
    contents = {"empty": b"", "text": b"one", "numbers": np.random.default_rng(0).bytes(6_000_000)}
    for name, content in contents.items():
        kept.write(name, content)
    assert {name: kept.read(name) for name in contents} == contents
    assert kept.names() == sorted(contents)


def test_what_is_not_there_is_none(place):
    kept = storage(place)
    assert kept.read("a") is None
    assert kept.names() == []
    assert kept.below("folder").names() == []


def test_writing_again_replaces(place):
    kept = storage(place)
    kept.write("a", b"the first, and longer")
    kept.write("a", b"second")
    assert kept.read("a") == b"second"
    assert kept.names() == ["a"]


def test_deleting_twice_is_deleting_once(place):
    kept = storage(place)
    kept.write("a", b"1")
    kept.write("b", b"2")
    kept.delete("a")
    kept.delete("a")
    assert kept.read("a") is None
    assert kept.names() == ["b"]


def test_a_folder_in_a_place_has_names_of_its_own(place):
    kept = storage(place)
    kept.write("a", b"above")
    kept.below("run").write("a", b"below")
    assert (kept.read("a"), kept.below("run").read("a")) == (b"above", b"below")
    assert kept.below("run").names() == ["a"]
    kept.below("run").delete("a")
    assert kept.read("a") == b"above"


def test_a_folder_is_no_content(bucket):
    kept = storage(bucket)
    kept.below("run").write("a", b"1")
    assert kept.read("run") is None


def test_a_content_is_no_folder(bucket):
    kept = storage(bucket)
    kept.write("run", b"1")
    assert kept.below("run").names() == []


def test_a_place_goes_through_pickle(place):
    kept = storage(place).below("run")
    kept.write("a", b"1")
    assert pickle.loads(pickle.dumps(kept)).read("a") == b"1"


OTHER = """
    import sys
    from xlir_bench.engines.storage import storage
    kept = storage(sys.argv[1])
    kept.write("theirs", b"theirs")
    kept.write("changed", b"the second is longer")
    kept.delete("gone")
"""


def test_what_another_process_did_since_the_last_listing_is_seen(bucket):
    kept = storage(bucket)
    kept.write("changed", b"first")
    kept.write("gone", b"gone")
    assert kept.names() == ["changed", "gone"]
    subprocess.run([sys.executable, "-c", textwrap.dedent(OTHER), bucket], check=True)
    assert kept.read("theirs") == b"theirs"
    assert kept.read("changed") == b"the second is longer"
    assert kept.read("gone") is None
    assert kept.names() == ["changed", "theirs"]


@pytest.mark.slow
def test_contents_that_are_sent_in_parts_are_whole(bucket):
    kept = storage(bucket)
    content = np.random.default_rng(0).bytes(101 << 20)
    kept.write("vectors", content)
    assert kept.read("vectors") == content


def test_a_place_that_can_be_written_to_is_left_as_it_was(place):
    storage(place)
    root = room._file_system(place)[1] if "://" in place else place
    assert not fsspec.core.url_to_fs(place, use_listings_cache=False)[0].find(root)


def test_s3_is_reached_by_the_settings_of_fsspec_too(environment, s3_server, tmp_path):
    settings = {"endpoint_url": s3_server, "key": "key", "secret": "secret"}
    environment(**{f"FSSPEC_S3_{name.upper()}": value for name, value in settings.items()})
    url = f"s3://bucket/{tmp_path.name}"
    subprocess.run([sys.executable, "-c", textwrap.dedent(OTHER), url], check=True)
    environment(**s3_at(s3_server))
    assert storage(url).read("theirs") == b"theirs"
