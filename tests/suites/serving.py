"""A real HTTP server on loopback that misbehaves as it is told."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Served:
    """What the server has and how it behaves; every request is noted as (path, Range, If-Range).

    Attributes:
        files: path -> content.
        etag: sent with every file; None sends no validator.
        break_after: on each of the next answers, close the connection after so many bytes; consumed from the left.
        stall_after: likewise, but stop sending and keep the connection open.
        announce: a Content-Length that is not the true one; -1 sends none.
        ignore_ranges: answer 200 with everything whatever was asked.
        wrong_part: answer 206 with another part than was asked for.
        statuses: answered instead of the file, consumed from the left.
        redirects: path -> where it is now.
        headers: sent with every file beside the usual ones.
        part_etag: the ETag of parts, where it is not that of the whole file.
        part_status: answered to every request for a part.
        success: the status of a whole file.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etag: str | None = '"one"'
        self.break_after: list[int] = []
        self.stall_after: list[int] = []
        self.announce: int | None = None
        self.ignore_ranges = self.wrong_part = False
        self.statuses: list[int] = []
        self.redirects: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.part_etag: str | None = None
        self.part_status: int | None = None
        self.success = 200
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.url = ""


@contextmanager
def serving():
    """The server, running."""
    served = Served()
    finished = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
            served.requests.append((self.path, asked, condition))
            if served.statuses:
                return self._short(served.statuses.pop(0))
            if self.path in served.redirects:
                return self._short(302, served.redirects[self.path])
            if self.path not in served.files:
                return self._short(404)
            return self._file(served.files[self.path], asked, condition)

        def _short(self, status, location=None):
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _file(self, content, asked, condition):
            start = 0
            if asked and served.part_status:
                return self._short(served.part_status)
            if asked and not served.ignore_ranges and (condition is None or condition == served.etag):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    return self._short(416)
                start = start // 2 if served.wrong_part else start
            self.send_response(206 if start or (asked and served.wrong_part) else served.success)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            for name, value in served.headers.items():
                self.send_header(name, value)
            if served.etag:
                self.send_header("ETag", served.part_etag if start and served.part_etag else served.etag)
            body = content[start:]
            if served.announce != -1:
                self.send_header("Content-Length", str(len(body) if served.announce is None else served.announce))
            self.end_headers()
            self._send(body)
            return None

        def _send(self, body):
            if served.stall_after:
                self.wfile.write(body[: served.stall_after.pop(0)])
                self.wfile.flush()
                finished.wait(20)
                self.close_connection = True
            elif served.break_after:
                self.wfile.write(body[: served.break_after.pop(0)])
                self.close_connection = True
            else:
                self.wfile.write(body)
                self.close_connection = served.announce is not None

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        finished.set()
        server.shutdown()
        server.server_close()
        time.sleep(0)
