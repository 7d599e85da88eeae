"""An embedding server on loopback that misbehaves in every way it is told to."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from xlir_bench.collection import Texts
from xlir_bench.encoders import encode_texts, resolve, server

KEY = "sk-test-3141592653"


def vector_of(text, width=8):
    rng = np.random.default_rng(sum(map(ord, text)) * 1000 + len(text))
    return rng.normal(size=width).round(4).tolist()


class Server(ThreadingHTTPServer):
    """Answers well, except where `behaviour(number of the request, texts)` says how not to."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = lambda number, texts: None
        self.paid = Counter()
        self.requests = 0
        self.headers_seen = []
        self.bodies = []
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body["input"]
        with self.server.lock:
            number = self.server.requests
            self.server.requests += 1
            self.server.headers_seen.append(self.headers)
            self.server.bodies.append({**body, "path": self.path})
        action = self.server.behaviour(number, texts) or {}
        time.sleep(action.get("slow", 0))
        if action.get("close"):
            self.close_connection = True
            return
        if "status" in action:
            self.reply(action["status"], {"error": {"message": action.get("message", "no")}}, action.get("headers", {}))
            return
        rows = [{"index": i, "embedding": vector_of(t, action.get("width", 8))} for i, t in enumerate(texts)]
        with self.server.lock:
            self.server.paid.update(texts)
        data = rows[: len(rows) - action.get("short", 0)]
        self.reply(200, action.get("answer", {"data": data[::-1]}), {})

    def reply(self, status, content, headers):
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)


TEXTS = Texts([str(row) for row in range(1000)], [f"text number {row}" for row in range(1000)], ["en"] * 1000)


def encode(cache=None, texts=TEXTS):
    """The texts by the model that the environment names."""
    model = resolve("openai:some-model")
    return encode_texts(model.retriever, model.info, texts, "document", cache=cache)


def expected():
    return np.array([vector_of(text) for text in TEXTS.texts], np.float32)


def only_texts(paid):
    return {text: count for text, count in paid.items() if text != server._PROBE}
