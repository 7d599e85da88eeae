"""Secrets in messages, tracebacks and files: none, however a server or a library writes them."""

from __future__ import annotations

import base64
import html
import json
import logging
import threading
import urllib.parse

import pytest
from commands import xlir_bench
from embedding_server import Server

from xlir_bench.errors import one_line as one_line_of
from xlir_bench.errors import warn
from xlir_bench.redaction import redacted

KEY = "sk-Test/31+41?59 26&53"
FORMS = {
    "raw": KEY,
    "lower": KEY.lower(),
    "upper": KEY.upper(),
    "header": f"Authorization: Bearer {KEY}",
    "url": urllib.parse.quote(KEY),
    "url-whole": urllib.parse.quote(KEY, safe=""),
    "url-lower": urllib.parse.quote(KEY, safe="").lower(),
    "json": json.dumps({"key": KEY}),
    "json-slashes": json.dumps(KEY).replace("/", "\\/"),
    "html": html.escape(f"<{KEY}>"),
    "python": repr({"Authorization": f"Bearer {KEY}"}),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "basic": "Basic " + base64.b64encode(f":{KEY}".encode()).decode(),
    "basic-user": "Basic " + base64.b64encode(f"me:{KEY}".encode()).decode(),
    "basic-longer": "Basic " + base64.b64encode(f"you:{KEY}".encode()).decode(),
    "base64-urls": base64.urlsafe_b64encode(f"??>{KEY}".encode()).decode(),
}


def traces(text: str) -> list[str]:
    """Runs of eight letters of the key, in any of the forms it is written in, that a text has."""
    plain = {KEY, *(base64.b64encode(b"\0" * n + KEY.encode()).decode()[4:-4] for n in range(3))}
    pieces = {form[at : at + 8].lower() for form in plain for at in range(len(form) - 7)}
    variants = {text, urllib.parse.unquote(text), html.unescape(text), text.replace("\\/", "/")}
    return [piece for piece in pieces if any(piece in variant.lower() for variant in variants)]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form(monkeypatch, form):
    monkeypatch.setenv("SOME_API_KEY", f"  {KEY}\n")
    assert traces(FORMS[form])
    said = redacted(f"before {FORMS[form]} after")
    assert not traces(said)
    assert said.startswith("before ")
    assert said.endswith(" after")


@pytest.mark.parametrize("name", ["HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "my_token"])
def test_variables_are_recognised_by_their_names(monkeypatch, name):
    monkeypatch.setenv(name, "correct-horse-battery")
    assert redacted("it was CORRECT-horse-battery") == "it was ***"


def test_what_is_no_secret_stays(monkeypatch):
    for name, value in {
        "TOKENIZERS_PARALLELISM": "deactivated",
        "KEYBOARD_LAYOUT": "deactivated",
        "MY_KEY": "/home/deactivated",
        "SHORT_KEY": "deact",
    }.items():
        monkeypatch.setenv(name, value)
    text = "deactivated: basic information at https://example.org/a:b@c in /home/deactivated, bearer certificates"
    assert redacted(text) == text


def test_passwords_of_addresses_and_proxies_are_taken_out(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://user:s3cret-w%C3%B6rd@proxy.invalid:3128")
    error = OSError("no route to http://me:hunter2@example.org/x, by user:s3cret-w\u00f6rd")
    assert one_line_of(error) == "OSError: no route to http://***@example.org/x, by user:***"


def test_a_secret_is_taken_out_before_a_message_is_cut(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", KEY)
    for length in range(470, 505):
        assert not traces(one_line_of(ValueError("x" * length + KEY)))


def test_warnings_have_none(monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", KEY)
    warn(f"the hub said {KEY}")
    assert "the hub said ***" in capsys.readouterr().err
    logging.getLogger("xlir_bench").handlers.clear()


@pytest.mark.parametrize(("form", "status"), [("header", 401), ("url-whole", 401), ("basic-user", 400), ("upper", 500)])
def test_a_server_that_repeats_the_key_gets_it_into_nothing(tmp_path, monkeypatch, form, status):
    """Neither messages nor tracebacks nor files have it; the variable ends with a line break, as `cat key` gives it."""
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from_request = 1 if status != 401 else 0
    server.behaviour = lambda number, texts: (
        {"status": status, "message": FORMS[form] + (" maximum context length" if status == 500 else "")}
        if number >= from_request
        else None
    )
    environment = {
        "OPENAI_BASE_URL": server.url,
        "OPENAI_API_KEY": f"{KEY}\n",
        "XLIR_BENCH_CACHE": str(tmp_path / "cache"),
        "PYTHONFAULTHANDLER": "1",
    }
    finished = xlir_bench(
        *("run", "openai:m", "--debug", "--json", "--languages", "de,en", "--output", "out"),
        env=environment,
        cwd=tmp_path,
    )
    server.shutdown()
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" in finished.stderr
    assert "***" in finished.stderr.splitlines()[-1]
    assert server.headers_seen[0]["Authorization"] == f"Bearer {KEY}"
    assert not traces(finished.stdout + finished.stderr)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or not traces(path.read_bytes().decode("latin-1"))


def test_a_key_that_cannot_be_one_is_refused_without_being_shown(tmp_path):
    for broken in ("sk-31415\n92653", "sk-31415\u00e992653"):
        finished = xlir_bench(
            *("run", "openai:m", "--debug", "--output", "out"),
            env={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": broken},
            cwd=tmp_path,
        )
        assert finished.returncode == 2
        assert "31415" not in finished.stderr
        assert "OPENAI_API_KEY holds" in finished.stderr.splitlines()[-1]
    finished = xlir_bench(
        "run", "openai:m", env={"OPENAI_BASE_URL": f"http://me:{'hunter22'}@h/v1", "OPENAI_API_KEY": "x"}, cwd=tmp_path
    )
    assert finished.returncode == 2
    assert "hunter22" not in finished.stderr
