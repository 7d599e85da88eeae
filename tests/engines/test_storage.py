"""Where vectors and counts are kept: folders, and object storage as real servers on loopback speak it."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import perf_counter

import fsspec
import numpy as np
import pytest
import requests

from xlir_bench.engines import storage as room
from xlir_bench.engines.storage import storage
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites import find, obtain

NO_S3 = "s3fs and moto are not here: see docs/scale.md for how to test against S3"
NO_GS = "install the extra `test` for gcsfs and its server"


@pytest.fixture(scope="module")
def s3_server():
    """The address of an S3 server with a bucket."""
    pytest.importorskip("s3fs", reason=NO_S3)
    server = pytest.importorskip("moto.server", reason=NO_S3).ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    assert requests.put(f"http://{host}:{port}/bucket", timeout=10).ok
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def gs_server():
    """The address of a Google Cloud Storage server with a bucket."""
    pytest.importorskip("gcsfs", reason=NO_GS)
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason=NO_GS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def environment(monkeypatch) -> Callable[..., None]:
    """Sets variables as a user does before the program starts, and unsets all others that name a storage."""

    def forget() -> None:
        # What was connected to in an earlier test would be taken again.
        for kind in ("s3", "gs"):
            known = fsspec.registry.get(kind)
            if known is not None:
                known.clear_instance_cache()

    def given(**variables: str) -> None:
        for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "STORAGE_", "FSSPEC_"))]:
            monkeypatch.delenv(name)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_CONFIG"):
            monkeypatch.setenv(name, "/nowhere")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        forget()

    yield given
    forget()


def s3_at(address: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


def gs_at(address: str) -> dict[str, str]:
    return {"STORAGE_EMULATOR_HOST": address}


@pytest.fixture(params=["s3", "gs"])
def bucket(request, environment, tmp_path) -> str:
    """The URL of a folder of its own in object storage."""
    server = request.getfixturevalue(f"{request.param}_server")
    environment(**(s3_at(server) if request.param == "s3" else gs_at(server)))
    return f"{request.param}://bucket/{tmp_path.name}"


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


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Forbidding(BaseHTTPRequestHandler):
    """Answers as Google does to whoever is not known."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = json.dumps({"error": {"code": 401, "message": "Anonymous caller has no access"}}).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def refused_in_one_line(place: str, says: str, capfd) -> float:
    """Asserts that it is, and gives the seconds it took."""
    capfd.readouterr()
    since = perf_counter()
    with pytest.raises(MissingResourceError, match=says) as raised:
        storage(place)
    taken = perf_counter() - since
    message = str(raised.value)
    assert message.startswith(f"{place}: ")
    assert "\n" not in message
    assert raised.value.exit_code == 3
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    return taken


def test_a_bucket_that_is_not_there_is_named_before_any_work(bucket, capfd):
    wrong = bucket.replace("//bucket/", "//bukcet/")
    assert refused_in_one_line(wrong, "no such bucket", capfd) < 5


def test_s3_without_credentials_says_so(environment, s3_server, capfd):
    environment(AWS_ENDPOINT_URL=s3_server)
    assert refused_in_one_line("s3://bucket/a", "credentials", capfd) < 5


def test_google_storage_without_credentials_says_so(environment, gs_server, capfd):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forbidding)
    Thread(target=server.serve_forever, daemon=True).start()
    environment(**gs_at(f"http://127.0.0.1:{server.server_port}"))
    assert refused_in_one_line("gs://bucket/a", "Anonymous caller has no access", capfd) < 5
    server.shutdown()


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_refused_connection_is_given_up_in_time(request, environment, monkeypatch, kind, capfd):
    request.getfixturevalue(f"{kind}_server")
    address = f"http://127.0.0.1:{closed_port()}"
    environment(**(s3_at(address) if kind == "s3" else gs_at(address)))
    monkeypatch.setattr(room, "PATIENCE", 1)
    assert refused_in_one_line(f"{kind}://bucket/a", "no answer within 1 s|connect", capfd) < 5


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_server_that_never_answers_is_given_up_in_time(request, environment, monkeypatch, kind, capfd):
    request.getfixturevalue(f"{kind}_server")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        environment(**(s3_at(address) if kind == "s3" else gs_at(address)))
        monkeypatch.setattr(room, "PATIENCE", 1)
        assert refused_in_one_line(f"{kind}://bucket/a", "no answer within 1 s", capfd) < 5


@pytest.mark.parametrize(("kind", "package", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gs")])
def test_a_package_that_is_not_installed_is_named_with_its_extra(monkeypatch, kind, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, kind, raising=False)
    with pytest.raises(MissingResourceError, match=rf"{package}.*pip install 'xlir-bench\[{extra}\]'"):
        storage(f"{kind}://bucket/a")


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_object_storage_is_not_asked_for_offline(monkeypatch, kind):
    monkeypatch.setenv("XLIR_BENCH_OFFLINE", "1")
    with pytest.raises(MissingResourceError, match=f"{kind}://bucket/a: .*--offline"):
        storage(f"{kind}://bucket/a")


def test_a_place_of_an_unknown_kind_says_so():
    with pytest.raises((InputError, MissingResourceError), match="nowhere://here"):
        storage("nowhere://here")


ENCODER = """
    import os, signal
    import numpy as np

    class Encoder:
        def encode(self, texts, *, role, languages):
            if os.environ.get("DIE_AT") in texts:
                os.kill(os.getpid(), signal.SIGKILL)
            vectors = np.zeros((len(texts), 64), np.float32)
            for row, text in enumerate(texts):
                for at, character in enumerate(text):
                    vectors[row, (ord(character) * 31 + at % 3) % 64] += 0.1
            rounded = role == "document" and "ROUNDED" in os.environ
            return vectors.astype(np.float16).astype(np.float32) if rounded else vectors
"""


PROGRAM = "from xlir_bench.cli.main import main; main()"


@pytest.fixture
def command(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real program on two languages of the bundled suite, 25 documents to a shard where it streams."""
    encoder = tmp_path / "encoder.py"
    encoder.write_text(textwrap.dedent(ENCODER))

    def run(output: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        given = ["run", f"{encoder}:Encoder", "--languages", "en,th", "--json", *options]
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *given, "--output", str(tmp_path / output)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **variables},
        )

    return run


def unjudged() -> list[str]:
    """Texts of documents that only a shard of the corpus has, in the corpus's order."""
    collection = obtain(find("xlir-mini"), None, ["en", "th"])
    judged = set(collection.judgements.document.tolist())
    return [text for row, text in enumerate(collection.documents.texts) if row not in judged]


def scores(done: subprocess.CompletedProcess[str]) -> list:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["scores"]


def ranks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.parquet")}


def test_a_run_that_keeps_in_a_bucket_is_killed_and_goes_on(bucket, command, tmp_path):
    def objects(suffix: str) -> list[str]:
        files, root = fsspec.core.url_to_fs(bucket, use_listings_cache=False)
        return [path for path in files.find(root) if path.endswith(suffix)]

    places = ["--keep-embeddings", f"{bucket}/vectors", "--records", f"{bucket}/records"]
    on_bucket = partial(command, "bucket", "--shard-size", "25", *places)
    texts = unjudged()
    killed = on_bucket(DIE_AT=texts[-1])
    assert killed.returncode == -signal.SIGKILL
    assert objects(".counts")
    # A text of the first shard: whoever encodes it again dies.
    resumed = scores(on_bucket(DIE_AT=texts[0]))
    assert len(objects(".half")) == 12
    assert not [path for path in objects("") if "/records/" in path]

    folder = ["--keep-embeddings", str(tmp_path / "vectors"), "--records", str(tmp_path / "records")]
    assert scores(command("folder", "--shard-size", "25", *folder)) == resumed
    assert ranks(tmp_path / "bucket") == ranks(tmp_path / "folder") != {}
    assert scores(command("memory", ROUNDED="1")) == resumed


def test_the_program_says_in_one_line_that_a_bucket_is_not_there(bucket, command):
    wrong = bucket.replace("//bucket/", "//bukcet/")
    done = command("out", "--shard-size", "25", "--keep-embeddings", wrong)
    assert done.returncode == 3
    assert [line for line in done.stderr.splitlines() if "no such bucket" in line]
    assert "Traceback" not in done.stderr


def test_s3_is_reached_by_the_settings_of_fsspec_too(environment, s3_server, tmp_path):
    settings = {"endpoint_url": s3_server, "key": "key", "secret": "secret"}
    environment(**{f"FSSPEC_S3_{name.upper()}": value for name, value in settings.items()})
    url = f"s3://bucket/{tmp_path.name}"
    subprocess.run([sys.executable, "-c", textwrap.dedent(OTHER), url], check=True)
    environment(**s3_at(s3_server))
    assert storage(url).read("theirs") == b"theirs"
