"""Object storage that is not there, does not answer, or does not let in: one line, and soon."""

from __future__ import annotations

import json
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import perf_counter

import pytest
from engines.buckets import gs_at, s3_at

from xlir_bench.engines import storage as room
from xlir_bench.engines.storage import storage
from xlir_bench.errors import InputError, MissingResourceError


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
