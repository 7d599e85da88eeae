"""Downloads from a real server on loopback that breaks off, stalls, lies and changes its mind."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import socket
import ssl
import subprocess
import sys
import time
import urllib.error

import pytest

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites.download import Patience, download
from xlir_bench.suites.source import Hash

CONTENT = random.Random(3).randbytes(300_000)
QUICK = Patience(tries=3, stall_s=0.4, wait_s=0.01)


def sha256(content: bytes = CONTENT) -> Hash:
    return Hash(algorithm="sha256", value=hashlib.sha256(content).hexdigest())


PUBLISHED = sha256()


@pytest.fixture
def get(server, tmp_path):
    """Fetch /file, and give what lies at its place."""
    server.files["/file"] = CONTENT
    target = tmp_path / "folder" / "file"

    def fetch(expected=PUBLISHED, path="/file"):
        download(server.url + path, target, expected, patience=QUICK)
        return target.read_bytes()

    fetch.target = target
    return fetch


def left(target):
    """Names of what lies where the file should be."""
    return sorted(path.name for path in target.parent.iterdir()) if target.parent.is_dir() else []


def test_a_file_arrives_whole_and_alone(get):
    assert get() == CONTENT
    assert left(get.target) == ["file"]


def test_an_md5_serves_where_nothing_else_was_published(get):
    assert get(Hash(algorithm="md5", value=hashlib.md5(CONTENT).hexdigest())) == CONTENT


@pytest.mark.parametrize("expected", [sha256(), None])
def test_a_connection_that_breaks_is_followed_by_one_for_the_rest(server, get, expected):
    server.break_after = [100_000, 50_000, 1]
    assert get(expected) == CONTENT
    assert server.requests[1:] == [("/file", f"bytes={n}-", '"one"') for n in (100_000, 150_000, 150_001)]


def test_a_connection_that_stalls_is_given_up_and_followed_by_another(server, get):
    server.stall_after = [100_000]
    began = time.monotonic()
    assert get() == CONTENT
    assert time.monotonic() - began < 5
    assert server.requests[1][1] == "bytes=100000-"


def test_what_arrived_before_giving_up_is_used_the_next_time(server, get):
    server.break_after = [100_000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(MissingResourceError, match=r"ended after 100,000 of 300,000 bytes; gave up after 3 tries"):
        get()
    assert left(get.target) == ["file.partial", "file.partial.json"]
    server.break_after = []
    assert get() == CONTENT
    assert server.requests[-1] == ("/file", "bytes=100000-", '"one"')


def test_a_process_that_is_killed_loses_nothing(server, tmp_path):
    server.files["/file"] = CONTENT
    server.stall_after = [200_000]
    target = tmp_path / "file"
    code = f"from xlir_bench.suites.download import *; download({server.url + '/file'!r}, Path({str(target)!r}), None)"
    child = subprocess.Popen([sys.executable, "-c", code])
    partial = tmp_path / "file.partial"
    deadline = time.monotonic() + 30
    while not (partial.is_file() and partial.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.wait()
    kept = partial.stat().st_size
    assert kept > 0
    assert not target.exists()
    download(server.url + "/file", target, None, patience=QUICK)
    assert target.read_bytes() == CONTENT
    assert server.requests[-1][1] == f"bytes={kept}-"


def test_a_file_that_changed_at_the_server_is_fetched_from_its_start(server, get):
    server.break_after = [100_000, 0, 0, 0]
    with pytest.raises(MissingResourceError):
        get(None)
    other = CONTENT[::-1]
    server.files["/file"], server.etag, server.break_after = other, '"two"', []
    assert get(None) == other


def test_a_change_that_the_server_does_not_tell_is_found_by_the_hash_and_mended(server, get):
    server.etag = None
    server.break_after = [100_000, 0, 0, 0]
    with pytest.raises(MissingResourceError):
        get()
    other = CONTENT[::-1]
    server.files["/file"], server.break_after = other, []
    assert get(sha256(other)) == other


def test_without_hash_and_validator_nothing_is_resumed(server, get):
    server.etag = None
    server.break_after = [100_000]
    assert get(None) == CONTENT
    assert [asked for _, asked, _ in server.requests] == [None, None]


def test_a_server_that_knows_no_ranges_sends_everything_again(server, get):
    server.break_after = [100_000]
    server.ignore_ranges = True
    assert get() == CONTENT


def test_a_part_that_was_not_asked_for_is_not_joined(server, get):
    server.break_after = [100_000]
    server.wrong_part = True
    assert get() == CONTENT


def test_a_server_that_announces_too_much_never_gives_a_whole_file(server, get):
    server.announce = len(CONTENT) + 10
    server.ignore_ranges = True
    with pytest.raises(MissingResourceError, match="ended after"):
        get()
    assert "file" not in left(get.target)


def test_a_server_that_announces_too_little_is_caught_by_the_hash(server, get):
    server.announce = len(CONTENT) - 10
    with pytest.raises(InputError, match=r"what arrived has SHA-256 .*, published is SHA-256 .* nothing was kept"):
        get()
    assert left(get.target) == []


def test_a_wrong_hash_leaves_nothing(server, get):
    server.files["/file"] = CONTENT[:-1] + b"!"
    with pytest.raises(InputError, match="the file there was changed or damaged"):
        get()
    assert left(get.target) == []


def test_a_wrong_hash_leaves_an_older_file_as_it_was(server, get):
    get.target.parent.mkdir()
    get.target.write_bytes(b"older")
    server.files["/file"] = b"foul"
    with pytest.raises(InputError):
        get()
    assert get.target.read_bytes() == b"older"


def test_all_of_it_was_here_already(server, get):
    server.stall_after = [len(CONTENT)]
    get.target.parent.mkdir()
    (get.target.parent / "file.partial").write_bytes(CONTENT)
    assert get() == CONTENT
    assert server.requests == [("/file", f"bytes={len(CONTENT)}-", None)]


def test_more_than_all_of_it_is_thrown_away(server, get):
    get.target.parent.mkdir()
    (get.target.parent / "file.partial").write_bytes(CONTENT + b"more")
    assert get() == CONTENT


def test_redirects_are_followed_and_circles_are_not(server, get):
    server.redirects = {"/old": "/older", "/older": "/file", "/a": "/b", "/b": "/a"}
    assert get(path="/old") == CONTENT
    with pytest.raises(MissingResourceError, match="302"):
        get(path="/a")


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(server, get):
    server.redirects = {"/local": "file:///etc/hostname"}
    with pytest.raises(MissingResourceError):
        get(path="/local")


def test_a_redirect_from_https_to_http_is_not_followed():
    import urllib.request

    from xlir_bench.suites.download import _NoDowngrade

    request = urllib.request.Request("https://example.org/x")
    with pytest.raises(MissingResourceError, match="which is not https; not followed"):
        _NoDowngrade().redirect_request(request, None, 302, "Found", {}, "http://example.org/x")


def test_a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not(server, get):
    server.statuses = [503, 429]
    assert get() == CONTENT
    server.statuses = [403]
    asked = len(server.requests)
    with pytest.raises(MissingResourceError, match="the server answered 403 Forbidden"):
        get()
    assert len(server.requests) == asked + 1


def test_a_file_that_is_not_there_is_a_missing_resource(get):
    with pytest.raises(MissingResourceError, match="404"):
        get(path="/none")


def test_a_port_where_nobody_listens_is_a_missing_resource(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
    with pytest.raises(MissingResourceError, match="cannot be reached"):
        download(url, tmp_path / "file", None, patience=QUICK)


def test_two_processes_do_not_write_one_file(server, get):
    import fcntl

    get.target.parent.mkdir()
    with (get.target.parent / "file.partial").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(MissingResourceError, match="another process is fetching it"):
            get()


def test_only_http_is_fetched(tmp_path):
    with pytest.raises(InputError, match="only http and https"):
        download("file:///etc/hostname", tmp_path / "file", None)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_missing_resource(server, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(MissingResourceError, match="cannot be written"):
        download(server.url + "/file", tmp_path / "x" / "file", None)


def test_offline_nothing_is_fetched_and_no_socket_is_opened(server, get, no_network):
    with pytest.raises(MissingResourceError, match="--offline forbids to fetch it"):
        get()
    with pytest.raises(ConnectionError, match="--offline forbids the network"):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(ConnectionError, match=r"asked for example\.org"):
        socket.getaddrinfo("example.org", 443)
    assert server.requests == []


def test_offline_processes_of_one_machine_may_still_talk(tmp_path, no_network):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind(path)
        listener.listen()
        caller.connect(path)


# Servers that send something else than what was asked for


def test_a_server_that_refuses_every_part_is_left_after_a_few_rounds(server, get):
    server.break_after = [len(CONTENT) // 2] * 100
    server.part_status = 416
    with pytest.raises(MissingResourceError, match="gave up after 3 tries"):
        get()
    assert len(server.requests) <= 2 * QUICK.tries + 1


def test_rounds_that_get_no_further_than_an_earlier_one_count_as_fruitless(server, get):
    """Each connection brings bytes, and none of them is new."""
    server.etag = None
    server.break_after = [100_000] * 100
    with pytest.raises(MissingResourceError, match="ended after 100,000 of 300,000 bytes; gave up after 3 tries"):
        get(None)
    assert len(server.requests) == QUICK.tries + 1


def test_a_slow_server_that_always_brings_something_new_is_not_given_up(server, get):
    server.break_after = [30_000] * 9
    assert get() == CONTENT
    assert len(server.requests) == 10


def test_a_part_of_another_version_is_not_joined(server, get):
    """A server that answers 206 whatever `If-Range` says, with the ETag of what it has now."""
    server.break_after = [100_000, 0, 0, 0]
    with pytest.raises(MissingResourceError):
        get(None)
    other = bytes(byte ^ 1 for byte in CONTENT)
    server.files["/file"], server.part_etag, server.break_after = other, '"two"', []
    assert get(None) == other


def test_a_part_that_was_changed_since_is_not_joined(server, get):
    server.headers = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    server.break_after = [100_000, 0, 0, 0]
    with pytest.raises(MissingResourceError):
        get(None)
    other = bytes(byte ^ 1 for byte in CONTENT)
    server.files["/file"], server.break_after = other, []
    server.headers = {"Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT"}
    assert get(None) == other


@pytest.mark.parametrize("expected", [PUBLISHED, None], ids=["published", "unpublished"])
def test_an_encoding_that_was_not_asked_for_is_refused(server, get, expected):
    server.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(MissingResourceError, match="encoded as 'gzip', which was not asked for"):
        get(expected)
    assert left(get.target) == []


def test_a_compressed_file_whose_server_says_so_is_taken_as_it_is(server, get):
    server.files["/file.json.gz"] = CONTENT
    server.headers = {"Content-Encoding": "gzip"}
    assert get(path="/file.json.gz") == CONTENT


@pytest.mark.parametrize("page", [b"<!doctype html><p>Sign in", b"\xef\xbb\xbf\n <HTML>"])
@pytest.mark.parametrize("expected", [PUBLISHED, None], ids=["published", "unpublished"])
def test_a_web_page_in_place_of_the_file_is_refused_as_one(server, get, page, expected):
    server.files["/file"] = page
    with pytest.raises(InputError, match="a web page came in place of the file"):
        get(expected)
    assert left(get.target) == []


@pytest.mark.parametrize("status", [204, 205])
def test_an_answer_without_content_is_no_file(server, get, status):
    server.success = status
    with pytest.raises(MissingResourceError, match=f"answered {status} .*, without the file"):
        get(None)
    assert left(get.target) == []


def test_what_is_larger_than_the_disk_is_not_begun(server, get):
    server.announce = 10**15
    with pytest.raises(MissingResourceError, match="more than 68,719,476,736 bytes, which no suite has"):
        get(None)
    assert left(get.target) == []


def test_what_does_not_fit_into_the_free_room_is_not_begun(server, get, monkeypatch):
    monkeypatch.setattr("xlir_bench.suites.partial.Partial.room", lambda self: 1000)
    with pytest.raises(MissingResourceError, match="300,000 bytes are to come, and the disk has room for 1,000"):
        get(None)


def test_a_file_without_end_is_given_up(server, get, monkeypatch):
    monkeypatch.setattr("xlir_bench.suites.download.MOST_BYTES", 100_000)
    with pytest.raises(MissingResourceError, match="more than 100,000 bytes, which no suite has"):
        get(None)
    assert left(get.target) == []


@pytest.mark.parametrize(("room", "fits"), [(10**12, True), (10**9, False)])
def test_a_file_of_unstated_size_does_not_fill_the_disk(server, get, monkeypatch, room, fits):
    server.announce = -1
    monkeypatch.setattr("xlir_bench.suites.partial.Partial.room", lambda self: room)
    if fits:
        get(None)
        assert left(get.target) == [get.target.name]
        return
    with pytest.raises(MissingResourceError, match=r"does not say how much is to come, and after [1-9]"):
        get(None)
    assert not get.target.exists()


def test_what_failed_before_the_first_byte_leaves_nothing(get):
    with pytest.raises(MissingResourceError, match="404"):
        get(path="/none")
    assert not get.target.parent.exists()


# Addresses


@pytest.mark.parametrize("to", ["http://[::1", "http://host:port/", "ftp://127.0.0.1/x", "data:text/plain,hello", "//"])
def test_a_redirect_to_what_cannot_be_fetched_is_one_line(server, get, to):
    server.redirects = {"/old": to}
    with pytest.raises((MissingResourceError, InputError)) as raised:
        get(path="/old")
    assert "\n" not in str(raised.value)
    assert left(get.target) == []


@pytest.mark.parametrize(
    "url", ["http://[::1/x", "http:///x", "http://host:99999/x", "http://a..b/x", "http://" + "ü" * 90]
)
def test_an_address_that_is_none_is_an_input_error(tmp_path, url):
    with pytest.raises(InputError, match="not an address"):
        download(url, tmp_path / "file", None, patience=QUICK)
    assert not (tmp_path / "file.partial").exists()


def test_an_address_in_any_letters_is_sent_as_browsers_do(server, get):
    server.files["/donn%C3%A9es%20%E4%B8%AD"] = CONTENT
    assert get(path="/données 中") == CONTENT


# The network is not the disk


class Failing:
    """An opener whose connection fails, or breaks after some bytes."""

    def __init__(self, error, after=0):
        self.error, self.after, self.opened = error, after, 0
        self.status, self.reason, self.headers = 200, "OK", {"Content-Length": "300000"}

    def open(self, request, timeout):
        self.opened += 1
        if self.after:
            self.left = self.after
            return self
        raise urllib.error.URLError(self.error) from self.error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read1(self, size):
        if not self.left:
            raise self.error
        piece, self.left = CONTENT[: self.left], 0
        return piece


NETWORK = {
    "no route": OSError(errno.EHOSTUNREACH, "No route to host"),
    "network down": OSError(errno.ENETUNREACH, "Network is unreachable"),
    "certificate": ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate"),
    "handshake": ssl.SSLError(1, "wrong version number"),
    "end of TLS": ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    "unknown name": socket.gaierror(-2, "Name or service not known"),
    "reset": ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    "stalled": TimeoutError("timed out"),
    "broken pipe": BrokenPipeError(errno.EPIPE, "Broken pipe"),
}


@pytest.mark.parametrize("after", [0, 1000], ids=["connecting", "reading"])
@pytest.mark.parametrize("error", NETWORK.values(), ids=NETWORK)
def test_what_the_network_does_is_never_taken_for_a_full_disk(tmp_path, monkeypatch, error, after):
    opener = Failing(error, after)
    monkeypatch.setattr("xlir_bench.suites.download._opener", lambda: opener)
    with pytest.raises(MissingResourceError) as raised:
        download("https://example.org/file", tmp_path / "file", None, patience=QUICK)
    said = str(raised.value)
    assert said.startswith("https://example.org/file: ")
    assert "cannot be written" not in said
    assert "make room" not in said
    certain = isinstance(error, (ssl.SSLCertVerificationError, socket.gaierror))
    assert opener.opened == (1 if certain else QUICK.tries + bool(after))


def test_a_server_that_speaks_no_tls_is_named(server, tmp_path):
    with pytest.raises(MissingResourceError, match=r"^https://127.*no secure connection: .*gave up after 3 tries"):
        download(server.url.replace("http:", "https:") + "/file", tmp_path / "file", None, patience=QUICK)


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        (errno.ENOSPC, "make room and try again"),
        (errno.EDQUOT, "make room and try again"),
        (errno.EROFS, "name another folder by the environment variable XLIR_BENCH_CACHE"),
        (errno.EACCES, "name another folder by the environment variable XLIR_BENCH_CACHE"),
        (errno.EIO, "try again"),
    ],
)
def test_what_the_disk_does_is_not_taken_for_the_network(server, get, monkeypatch, code, mend):
    class Disk(io.BytesIO):
        def write(self, piece):
            raise OSError(code, os.strerror(code))

        def fileno(self):
            return -1

    def entered(self):
        self._target.parent.mkdir(parents=True, exist_ok=True)
        self._file, self.size, self.about = Disk(), 0, {}
        return self

    monkeypatch.setattr("xlir_bench.suites.partial.Partial.__enter__", entered)
    with pytest.raises(MissingResourceError, match=f"file: cannot be written: {os.strerror(code)}; .*{mend}"):
        get(None)
    assert len(server.requests) == 1
