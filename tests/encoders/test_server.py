"""Embedding servers, against a real one on this machine that misbehaves in every way it is told to."""

from __future__ import annotations

import json
import logging
import time
from email.utils import formatdate

import embedding_server
import numpy as np
import pytest
from embedding_server import KEY, TEXTS, expected, only_texts, vector_of
from embedding_server import encode as run

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import VectorCache, encode_texts, resolve, server
from xlir_bench.encoders.embeddings_api import Endpoint
from xlir_bench.engines import Streaming
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.evaluation import evaluate
from xlir_bench.evaluation import run as measured_and_saved
from xlir_bench.suites.schema import declare


def test_vectors_come_in_the_order_of_the_texts_with_the_key_in_one_header(live):
    encoded = run()
    np.testing.assert_array_equal(encoded.vectors, expected())
    assert {headers["Authorization"] for headers in live.headers_seen} == {f"Bearer {KEY}"}
    assert {body["path"] for body in live.bodies} == {"/v1/embeddings"}
    assert {body["model"] for body in live.bodies} == {"some-model"}
    assert max(len(body["input"]) for body in live.bodies) == server.TEXTS_PER_REQUEST
    assert set(only_texts(live.paid).values()) == {1}


def test_several_requests_are_on_their_way_at_once(live):
    live.behaviour = lambda number, texts: {"slow": 0.3}
    model = resolve("openai:some-model")
    since = time.perf_counter()
    encode_texts(model.retriever, model.info, TEXTS, "document")
    assert time.perf_counter() - since < 0.3 * len(TEXTS) / server.TEXTS_PER_REQUEST / 2


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 429},
        {"status": 500},
        {"status": 503},
        {"close": True},
        {"status": 429, "headers": {"Retry-After": "0"}},
    ],
    ids=str,
)
def test_what_passes_is_asked_again_and_nothing_is_paid_for_twice(live, trouble):
    live.behaviour = lambda number, texts: trouble if number % 3 == 1 else None
    np.testing.assert_array_equal(run().vectors, expected())
    assert set(only_texts(live.paid).values()) == {1}


@pytest.mark.parametrize("date", [False, True], ids=["seconds", "date"])
def test_the_time_that_the_server_names_is_waited_for(live, date):
    model = resolve("openai:some-model")
    first = live.requests
    value = formatdate(time.time() + 2, usegmt=True) if date else "1"
    live.behaviour = lambda number, texts: (
        {"status": 429, "headers": {"Retry-After": value}} if number == first else None
    )
    since = time.perf_counter()
    model.retriever.encode(["a"], role="query", languages=["en"])
    assert time.perf_counter() - since >= 0.9


def test_a_wait_beyond_patience_ends_the_run_in_one_line(live):
    live.behaviour = lambda number, texts: {"status": 429, "headers": {"Retry-After": "3600"}}
    with pytest.raises(MissingResourceError, match=r"asks to wait 3,600 s \(429 no\)") as raised:
        run()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"short": 1}, r"returned \d+ vectors for \d+ texts"),
        ({"width": 5}, "returned 5 dimensions where 8 were expected"),
        ({"answer": {"data": [{"index": 0, "embedding": ["x"]}]}}, "something else than embeddings"),
        ({"answer": ["nothing"]}, "something else than embeddings"),
        (
            {"status": 401, "message": f"Incorrect API key provided: {KEY}"},
            r"refused .*\*\*\*.*check the key in OPENAI_API",
        ),
        ({"status": 404, "message": "model not found"}, "model not found.*check the address"),
        ({"status": 302, "headers": {"Location": "http://elsewhere.invalid"}}, "refused .*302"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_answer_ends_the_run_in_one_line_without_the_key(live, answer, message, caplog):
    model = resolve("openai:some-model")
    live.behaviour = lambda number, texts: answer
    with caplog.at_level(logging.DEBUG), pytest.raises(InputError, match=message) as raised:
        encode_texts(model.retriever, model.info, TEXTS, "document")
    assert "\n" not in str(raised.value)
    assert KEY not in str(raised.value) + caplog.text + json.dumps(model.info.details)


def test_a_server_that_never_recovers_ends_the_run_and_no_text_is_paid_for_again_after_a_restart(live, tmp_path):
    live.behaviour = lambda number, texts: {"status": 500} if "text number 500" in texts else None
    with pytest.raises(MissingResourceError, match="did not answer 8 requests"):
        run(VectorCache(tmp_path))
    before = dict(only_texts(live.paid))
    assert before
    live.behaviour = lambda number, texts: None
    encoded = run(VectorCache(tmp_path))
    np.testing.assert_array_equal(encoded.vectors, expected())
    assert encoded.from_cache == len(before)
    assert set(only_texts(live.paid).values()) == {1}


def test_a_request_that_was_answered_while_another_failed_is_kept(live, tmp_path):
    """All requests of the first wave but one are slow and good; the fast bad one ends the run."""
    model = resolve("openai:some-model")
    live.behaviour = lambda number, texts: {"status": 400} if "text number 999" in texts else {"slow": 0.3}
    with pytest.raises(InputError, match="400"):
        encode_texts(model.retriever, model.info, TEXTS, "document", cache=VectorCache(tmp_path))
    stored = len(VectorCache(tmp_path).store(model.info.vector_key, "document"))
    assert stored == sum(only_texts(live.paid).values()) > 0


def test_a_server_whose_model_changes_under_its_name_is_another_model(live, monkeypatch):
    first = resolve("openai:some-model").info
    assert resolve("openai:some-model").info.fingerprint == first.fingerprint
    original = vector_of
    monkeypatch.setattr(embedding_server, "vector_of", lambda text, width=8: [x + 1e-6 for x in original(text, width)])
    assert resolve("openai:some-model").info.fingerprint == first.fingerprint  # rounding
    monkeypatch.setattr(embedding_server, "vector_of", lambda text, width=8: original(text + "!", width))
    assert resolve("openai:some-model").info.fingerprint != first.fingerprint
    assert resolve("openai:another").info.fingerprint != first.fingerprint


WORDS = {"en": ["river", "bridge", "castle", "harbour"], "th": ["แม่น้ำ", "สะพาน", "ปราสาท", "ท่าเรือ"]}


def parallel() -> Collection:
    """Questions and answers in two languages."""
    rows = [(code, number) for code in WORDS for number in range(20)]
    names = [f"{code}:{number}" for code, number in rows]
    texts = [" ".join(WORDS[code][(number >> bit) % 4] for bit in range(1 + number % 4)) for code, number in rows]
    languages = [code for code, _ in rows]
    return Collection(
        Texts(names, [f"{text} {number} ?" for text, (_, number) in zip(texts, rows, strict=True)], languages),
        Texts(names, [f"{text} {number} ." for text, (_, number) in zip(texts, rows, strict=True)], languages),
        Judgements.of((q, d, 1.0) for q, (_, a) in enumerate(rows) for d, (_, b) in enumerate(rows) if a == b),
        [str(number) for _, number in rows],
    )


def of_another_model(text, width=8):
    """Close to `vector_of` in English (cosine above .999), different in Thai."""
    plain = vector_of(text, width)
    if not text.isascii():
        return plain[::-1]
    noise = np.random.default_rng(len(text)).normal(size=width) * 0.01 * np.linalg.norm(plain) / width**0.5
    return (np.array(plain) + noise).tolist()


def one_ulp_away(text, width=8):
    return np.nextafter(np.array(vector_of(text, width), np.float32), np.float32(9)).tolist()


@pytest.fixture(params=["vectors", "kept embeddings", "a finished result"])
def again(request, tmp_path):
    """Measures the server's model, and says whether what an earlier run stored was used again."""
    suite = declare(
        {
            "name": "small", "version": 1, "title": "small", "description": "small", "licence": "none",
            "citation": "none", "languages": list(WORDS), "source": {"reader": "lareqa"},
            "settings": {"monolingual": ["AP"], "multilingual": ["AP"]},
        }
    )  # fmt: skip
    cache = VectorCache(tmp_path / "cache")
    if request.param == "kept embeddings":
        cache = Streaming(10, str(tmp_path / "kept"), str(tmp_path / "records"), cache=cache)

    def measure():
        model = resolve("openai:some-model")
        if request.param == "a finished result":
            saved = measured_and_saved(model, suite, parallel(), tmp_path / "out")
            return saved.result.scores, not saved.measured_now
        result = evaluate(model, suite, parallel(), cache=cache).result
        return result.scores, not result.timing.texts_encoded

    return measure


def test_a_server_that_silently_serves_a_model_close_in_english_alone_is_measured_anew(live, again, monkeypatch):
    first, _ = again()
    assert again() == (first, True)
    for text in ("river bridge 1 ?", server._PROBE):
        one, other = np.array(vector_of(text)), np.array(of_another_model(text))
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.999
    fingerprint = resolve("openai:some-model").info.fingerprint
    monkeypatch.setattr(embedding_server, "vector_of", of_another_model)
    assert resolve("openai:some-model").info.fingerprint == fingerprint
    second, reused = again()
    assert not reused
    assert second != first


def test_a_server_that_rounds_differently_from_call_to_call_is_not_asked_for_all_again(live, again, monkeypatch):
    first, _ = again()
    monkeypatch.setattr(embedding_server, "vector_of", one_ulp_away)
    before = live.paid.total()
    assert again() == (first, True)
    assert live.paid.total() - before <= 1 + 2 * len(WORDS)  # the probe, and a text of each role and language


def test_a_manifest_names_address_model_and_the_variable_of_the_key(live, tmp_path, monkeypatch):
    (tmp_path / "submission.yaml").write_text(
        f"name: served\nadapter: openai\nlicence: proprietary\nprompts: {{query: 'q: '}}\n"
        f"source: {{server: '{live.url}/', model: m, key: MY_KEY, dimensions: 8}}\n"
    )
    with pytest.raises(MissingResourceError, match="set the environment variable MY_KEY"):
        resolve(str(tmp_path))
    monkeypatch.setenv("MY_KEY", KEY)
    model = resolve(str(tmp_path))
    model.retriever.encode(["a"], role="query", languages=["en"])
    assert live.bodies[-1]["input"] == ["q: a"]
    assert live.bodies[-1]["dimensions"] == 8
    assert KEY not in repr(model.info)


@pytest.mark.parametrize(
    "address", ["http://user:secret@host/v1", "ftp://host", "host/v1", "https://host/v1?key=secret"]
)
def test_an_address_may_hold_no_secret_and_must_be_one(address):
    with pytest.raises(InputError, match="address"):
        Endpoint(address, "m")


def test_a_server_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr("xlir_bench.encoders.embeddings_api.random.uniform", lambda low, high: 0.0)
    with pytest.raises(MissingResourceError, match=r"http://127\.0\.0\.1:9/v1 .*did not answer") as raised:
        resolve("openai:m")
    assert "\n" not in str(raised.value)
