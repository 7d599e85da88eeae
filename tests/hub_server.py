"""A server on loopback that speaks as much of the Hugging Face hub's interface as downloads of models and data need."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".parquet")
"""Files that the hub keeps in another storage."""


def sha1(content: bytes) -> str:
    """The id that git gives to a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Refusal:
    """What is answered in place of what was asked for.

    Attributes:
        within: to paths that hold this.
        status: the answer's.
        headers: and its headers; the hub says in `X-Error-Code` what is wrong.
        times: how often; then all is well.
    """

    within: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1 << 30


class Hub:
    """Repositories, and how the server behaves.

    Attributes:
        url: for `HF_ENDPOINT`.
        asked: (method, path) of every request, of the storage too.
        refusals: see `Refusal`.
        token: without it every answer is 401, as of a repository that does not exist.
        break_after: bytes after which answers of the storage break off, one for each answer; consumed from the left.
        damaged: the storage sends every large file with its bytes reversed.
    """

    def __init__(self) -> None:
        self.url = self.storage = ""
        self.asked: list[tuple[str, str]] = []
        self.refusals: list[Refusal] = []
        self.token: str | None = None
        self.break_after: list[int] = []
        self.damaged = False
        self._commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self._refs: dict[str, dict[str, str]] = {}

    def push(self, name: str, files: Path | Mapping[str, bytes], revision: str = "main", commit: str = "") -> str:
        """Add a commit to a repository, made where it is new.

        Args:
            name: ORG/NAME, with `datasets/` before a data set's.
            files: a folder, or contents by name.
            revision: the branch or tag that is at this commit from now on.
            commit: its name; by default a digest of the files.
        """
        if isinstance(files, Path):
            found = sorted(path for path in files.rglob("*") if path.is_file())
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in found}
        digest = hashlib.sha1(name.encode())
        for path, content in sorted(files.items()):
            digest.update(path.encode() + content)
        commit = commit or digest.hexdigest()
        self._commits.setdefault(name, {})[commit] = dict(files)
        self._refs.setdefault(name, {})[revision] = commit
        return commit

    def environment(self, home: Path) -> dict[str, str]:
        """What a process needs to use this hub, and nothing that was fetched before."""
        return {
            **{name: "" for name in os.environ if name.startswith(("HF_", "TRANSFORMERS_", "HUGGING_FACE_"))},
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home / "hf"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "XLIR_BENCH_CACHE": str(home / "cache"),
            "MTEB_CACHE": str(home / "mteb"),
            "no_proxy": "127.0.0.1",
        }

    def files(self) -> list[str]:
        """Names of the files whose content was asked for, in order and without repetition."""
        paths = [urlsplit(path).path for method, path in self.asked if method == "GET"]
        names = [unquote(path.partition("/resolve/")[2].partition("/")[2]) for path in paths if "/resolve/" in path]
        return list(dict.fromkeys(names))

    def find(self, path: str) -> tuple[str, str, str, str] | None:
        """(what is asked about, repository, commit or "", the rest) of a path; None if there is no such repository."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        api = parts[0] == "api"
        parts = parts[1:] if api else parts
        kind = ""
        if parts[0] in {"models", "datasets"}:
            kind = "datasets/" if parts[0] == "datasets" else ""
            parts = parts[1:]
        name, rest = kind + "/".join(parts[:2]), parts[2:]
        if name not in self._commits:
            return None
        what, revision = (rest[0], rest[1]) if len(rest) > 1 else ("info", "main")
        commit = self._refs[name].get(revision, revision)
        return what, name, commit if commit in self._commits[name] else "", "/".join(rest[2:])

    def content(self, name: str, commit: str) -> dict[str, bytes]:
        return self._commits[name][commit]

    def stored(self, sha256: str) -> bytes | None:
        """A large file by its SHA-256."""
        every = (data for commits in self._commits.values() for files in commits.values() for data in files.values())
        return next((data for data in every if hashlib.sha256(data).hexdigest() == sha256), None)


def _entry(path: str, content: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": sha1(content)}
    if path.endswith(LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


def _tree(content: Mapping[str, bytes], below: str, recursive: bool) -> list[dict[str, object]]:
    prefix = f"{below}/" if below else ""
    found: dict[str, dict[str, object]] = {}
    for path, data in sorted(content.items()):
        if not path.startswith(prefix):
            continue
        *folders, _ = path.removeprefix(prefix).split("/")
        for depth in range(1, len(folders) + 1) if recursive else range(1, min(2, len(folders) + 1)):
            folder = prefix + "/".join(folders[:depth])
            found[folder] = {"type": "directory", "path": folder, "size": 0, "oid": sha1(folder.encode())}
        if recursive or not folders:
            found[path] = _entry(path, data)
    return list(found.values())


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            hub.asked.append((self.command, self.path))
            for refusal in hub.refusals:
                if refusal.within in self.path and refusal.times > 0:
                    refusal.times -= 1
                    return self._answer(b"", refusal.status, refusal.headers)
            address = urlsplit(self.path)
            if address.path.startswith("/storage/"):
                return self._storage(address.path.rpartition("/")[2])
            if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self._no("RepoNotFound", 401)
            found = hub.find(address.path)
            if found is None:
                return self._no("RepoNotFound", 401 if not self.headers.get("Authorization") else 404)
            return self._about(found, address.query)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def _about(self, found, query):
            what, name, commit, rest = found
            if not commit:
                return self._no("RevisionNotFound", 404)
            content = hub.content(name, commit)
            if what == "resolve":
                return self._file(content, commit, rest)
            if what == "tree":
                recursive = parse_qs(query).get("recursive", ["false"])[0].lower() == "true"
                return self._json(_tree(content, rest, recursive))
            if what == "paths-info":
                asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                return self._json(self._paths(content, asked))
            return self._json(self._info(name, commit, content))

        def _paths(self, content, asked):
            try:
                paths = json.loads(asked)["paths"]
            except ValueError:
                paths = parse_qs(asked.decode())["paths"]
            every = {str(entry["path"]): entry for entry in _tree(content, "", True)}
            return [every[path] for path in ([paths] if isinstance(paths, str) else paths) if path in every]

        def _info(self, name, commit, content):
            about = {"id": name.removeprefix("datasets/"), "sha": commit, "private": False, "gated": False, "tags": []}
            return {**about, "siblings": [{"rfilename": path} for path in content], "downloads": 0, "likes": 0}

        def _file(self, content, commit, path):
            if path not in content:
                return self._no("EntryNotFound", 404, {"X-Repo-Commit": commit})
            data = content[path]
            if not path.endswith(LARGE):
                return self._answer(data, 200, {"X-Repo-Commit": commit, "ETag": f'"{sha1(data)}"'})
            sha256 = hashlib.sha256(data).hexdigest()
            headers = {"X-Repo-Commit": commit, "X-Linked-ETag": f'"{sha256}"', "X-Linked-Size": str(len(data))}
            return self._answer(b"", 302, {**headers, "Location": f"{hub.storage}/storage/{sha256}"})

        def _storage(self, sha256):
            data = hub.stored(sha256)
            if data is None:
                return self._answer(b"", 404)
            data = data[::-1] if hub.damaged else data
            headers = {"ETag": f'"{sha256}"', "Accept-Ranges": "bytes"}
            asked = self.headers.get("Range")
            if not asked:
                return self._answer(data, 200, headers)
            begin, _, end = asked.removeprefix("bytes=").partition("-")
            part = data[int(begin) : int(end) + 1 if end else None]
            headers["Content-Range"] = f"bytes {begin}-{int(begin) + len(part) - 1}/{len(data)}"
            return self._answer(part, 206, headers)

        def _json(self, content):
            return self._answer(json.dumps(content).encode(), 200, {"Content-Type": "application/json"})

        def _no(self, code, status, headers=None):
            return self._answer(b"", status, {"X-Error-Code": code, **(headers or {})})

        def _answer(self, body, status, headers=None):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                stored = self.path.startswith("/storage/") and status < 300
                self.wfile.write(body[: hub.break_after.pop(0)] if stored and hub.break_after else body)

        def log_message(self, *_):
            pass

    return Handler


@contextmanager
def running() -> Iterator[Hub]:
    """A hub and its storage, on two ports."""
    hub = Hub()
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) for _ in range(2)]
    hub.url, hub.storage = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
