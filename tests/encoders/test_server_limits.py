"""What embedding servers refuse: texts without a letter, texts that are too long, too many texts at once."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import math

import numpy as np
import pytest
from embedding_server import KEY, TEXTS, expected, only_texts, vector_of
from embedding_server import encode as run
from hypothesis import given, settings
from hypothesis import strategies as st

from xlir_bench.collection import Texts
from xlir_bench.encoders import Options, VectorCache, encode_texts, resolve, server
from xlir_bench.encoders.cutting import BYTES_PER_TOKEN, Cut, says_too_long
from xlir_bench.encoders.embeddings_api import Endpoint
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.evaluation import evaluate
from xlir_bench.suites import find, load

TOO_LONG = "This model's maximum context length is 8192 tokens"


def column(texts):
    return Texts([str(row) for row in range(len(texts))], list(texts), ["en"] * len(texts))


def encoded(texts, cache=None, **options):
    model = resolve("openai:some-model", options=Options(**options))
    return model, encode_texts(model.retriever, model.info, column(texts), "document", cache=cache).vectors


def longer_than(characters, message=TOO_LONG, status=400):
    """As a server that refuses a request with a text beyond its limit."""
    return lambda number, texts: (
        {"status": status, "message": message} if any(len(text) > characters for text in texts) else None
    )


# Texts without a letter


def no_empty(number, texts):
    """As OpenAI."""
    return {"status": 400, "message": "'$.input' is invalid"} if any(not text.strip() for text in texts) else None


@pytest.mark.parametrize(
    "texts",
    [["", "a", "b"], ["a", "", "b"], ["", " ", "\n\t\u3000"], ["", "", "only one"], [*[""] * 300, "last"]],
    ids=["first", "middle", "all", "most", "requests of them"],
)
def test_a_text_without_a_letter_is_never_sent_and_has_a_zero_vector(live, texts):
    live.behaviour = no_empty
    _, vectors = encoded(texts)
    np.testing.assert_array_equal(
        vectors, np.array([vector_of(text) if text.strip() else [0.0] * 8 for text in texts], np.float32)
    )
    assert all(text.strip() for body in live.bodies for text in body["input"])


def test_the_width_of_zero_vectors_is_asked_for_where_nothing_else_told_it(live):
    endpoint = Endpoint(live.url, "m", "OPENAI_API_KEY")
    vectors = server.ServerEncoder(endpoint, {"query": "", "document": ""}).encode(
        ["", "  "], role="query", languages=["en", "en"]
    )
    np.testing.assert_array_equal(vectors, np.zeros((2, 8), np.float32))


def test_with_a_prompt_an_empty_text_is_sent(live):
    live.behaviour = no_empty
    _, vectors = encoded(["", "a"], document_prompt="passage: ")
    np.testing.assert_array_equal(vectors, np.array([vector_of("passage: "), vector_of("passage: a")], np.float32))


def folder_of(place, documents, queries, judged):
    """A collection in BEIR's layout."""
    (place / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (place / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    lines = [f"{query}\t{document}\t1" for query, document in judged.items()]
    (place / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n")
    return place


def test_empty_documents_rank_as_a_cosine_of_zero_and_the_result_counts_them(live, tmp_path):
    live.behaviour = no_empty
    documents = {f"d{n}": f"a document about {n}" for n in range(6)} | {"e0": "", "e1": "   "}
    queries = {f"q{n}": f"what is said of {n}" for n in range(6)}
    place = folder_of(tmp_path / "en", documents, queries, {f"q{n}": f"d{n}" for n in range(6)})
    suite = find(str(place))
    collection = load(suite)
    result = evaluate(resolve("openai:some-model"), suite, collection).result
    assert result.model.details["abridged"] == {"document": {"empty": 2}}

    def unit(text):
        vector = np.array(vector_of(text))
        return vector / np.linalg.norm(vector)

    gains = []
    for n in range(6):
        scores = {key: unit(queries[f"q{n}"]) @ unit(text) if text.strip() else 0.0 for key, text in documents.items()}
        rank = 1 + sum(score > scores[f"d{n}"] for score in scores.values())
        gains.append(1 / math.log2(1 + rank) if rank <= 10 else 0.0)
    assert result.summary["monolingual"]["nDCG@10"] == pytest.approx(np.mean(gains), abs=1e-6)


# Too many texts at once


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_server_that_takes_fewer_texts_gets_fewer(live, status):
    live.behaviour = lambda number, texts: {"status": status, "message": "batch too big"} if len(texts) > 32 else None
    np.testing.assert_array_equal(run().vectors, expected())
    assert set(only_texts(live.paid).values()) == {1}
    # After the first requests in the air were refused, the size that the server takes is known.
    assert live.requests < 1000 / 32 + 3 * server.CONCURRENT + 10


def test_a_limit_on_all_tokens_of_a_request_is_kept_too(live):
    live.behaviour = lambda number, texts: (
        {"status": 400, "message": "max 300000 tokens per request"} if sum(map(len, texts)) > 500 else None
    )
    np.testing.assert_array_equal(run().vectors, expected())


def test_one_bad_text_is_named_after_a_few_requests_and_the_others_are_not_paid_for_again(live, tmp_path):
    live.behaviour = lambda number, texts: {"status": 400} if "text number 500" in texts else None
    with pytest.raises(InputError, match=r'refused the text "text number 500" of 15 characters \(400 no\)') as raised:
        run(VectorCache(tmp_path))
    assert "\n" not in str(raised.value)
    assert live.requests <= 1 + 1000 / server.TEXTS_PER_REQUEST + 2 * math.log2(server.TEXTS_PER_REQUEST) + 2
    before = dict(only_texts(live.paid))
    live.behaviour = lambda number, texts: None
    np.testing.assert_array_equal(run(VectorCache(tmp_path)).vectors, expected())
    assert before
    assert set(only_texts(live.paid).values()) == {1}


def test_a_server_that_refuses_everything_is_not_asked_for_every_text(live):
    model = resolve("openai:some-model")
    live.behaviour = lambda number, texts: {"status": 400, "message": "unknown argument"}
    before = live.requests
    with pytest.raises(InputError, match="unknown argument"):
        encode_texts(model.retriever, model.info, TEXTS, "document")
    assert live.requests - before <= server.CONCURRENT * (math.log2(server.TEXTS_PER_REQUEST) + 2)


@pytest.mark.parametrize("status", [401, 403, 404, 402, 405])
def test_what_is_not_about_the_texts_is_never_split(live, status):
    model = resolve("openai:some-model")
    live.behaviour = lambda number, texts: {"status": status}
    with pytest.raises(InputError, match=str(status)):
        encode_texts(model.retriever, model.info, TEXTS, "document")
    sizes = {len(body["input"]) for body in live.bodies[1:]}
    assert sizes <= {server.TEXTS_PER_REQUEST, len(TEXTS) % server.TEXTS_PER_REQUEST}


# Texts that are too long


@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_a_text_that_is_too_long_is_named_with_what_to_do(live, status):
    live.behaviour = longer_than(1000, status=status)
    with pytest.raises(InputError, match=r'refused the text "word word .*…" of 4,999 characters .*--max-length N'):
        encoded(["short", " ".join(["word"] * 1000)])


@pytest.mark.parametrize("tokens", [10, 100, 5000])
def test_with_a_greatest_length_it_is_cut_and_counted(live, tokens):
    live.behaviour = longer_than(1000)
    long = " ".join(["word"] * 1000)
    model, vectors = encoded(["short", long], max_length=tokens)
    (sent,) = {text for text in live.paid if text.startswith("word")}
    assert long.startswith(sent)
    assert len(sent) == 4 * tokens if tokens < 250 else 1000 * 7 / 8 <= len(sent) <= 1000
    np.testing.assert_array_equal(vectors[1], np.array(vector_of(sent), np.float32))
    assert model.info.details["max_length"] == tokens
    assert model.retriever.abridged(["short", long], role="document") == {"cut": 1}


def test_what_the_server_made_shorter_is_known_when_its_vector_comes_from_the_cache(live, tmp_path):
    live.behaviour = longer_than(1000)
    texts = ["short", "x" * 5000]
    for _ in range(2):
        model, _ = encoded(texts, VectorCache(tmp_path), max_length=8192)
        assert model.retriever.abridged(texts, role="document") == {"cut": 1}
    assert sum(only_texts(live.paid).values()) == 2


def test_another_greatest_length_is_another_model(live):
    names = {resolve("openai:m", options=Options(max_length=n)).info.fingerprint for n in (None, 100, 101)}
    assert len(names) == 3


def test_a_refusal_that_is_not_about_the_length_cuts_nothing(live):
    live.behaviour = lambda number, texts: (
        {"status": 400, "message": "flagged as unsafe"} if "bad" in "".join(texts) else None
    )
    with pytest.raises(InputError, match="flagged as unsafe"):
        encoded(["good", "bad " * 100], max_length=1000)
    assert not any("bad" in text for text in live.paid)


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens, however you requested 10324 tokens",  # OpenAI, vLLM
        "Invalid 'input[0]': maximum input length is 8192 tokens.",  # OpenAI
        "Input validation error: `inputs` must have less than 512 tokens. Given: 1000",  # TEI
        "the input length exceeds the context length",  # Ollama
        "input is too large to process. increase the physical batch size",  # llama.cpp
        "too many tokens: the total must not exceed 512",  # Cohere
    ],
)
def test_the_words_that_servers_have_for_too_long_are_understood(message):
    assert says_too_long(400, message)


@pytest.mark.parametrize("message", ["'$.input' is invalid", "model not loaded", "unknown argument dimensions", ""])
def test_other_words_are_not_taken_for_it(message):
    assert not says_too_long(400, message)


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.integers(1, 60))
@settings(max_examples=300, deadline=None)
def test_the_estimate_keeps_the_longest_beginning_of_whole_characters(text, tokens):
    kept = Cut(tokens)(text)
    assert text.startswith(kept)
    assert len(kept.encode()) <= BYTES_PER_TOKEN * tokens
    if kept != text:
        assert len(text[: len(kept) + 1].encode()) > BYTES_PER_TOKEN * tokens


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """The file of a small WordPiece tokenizer with special tokens, made by the library itself."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    letters = {letter: n + 4 for n, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    parts = {f"##{letter}": n + 40 for n, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "word": 3, **letters, **parts}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.enable_truncation(7)  # what a file says of it does not count
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return path


@given(st.text("abwordz é\n", max_size=120), st.integers(3, 40))
@settings(max_examples=300, deadline=None)
def test_a_tokenizer_keeps_the_longest_beginning_within_the_tokens(tokenizer, text, most):
    from tokenizers import Tokenizer

    reference = Tokenizer.from_file(str(tokenizer))
    reference.no_truncation()
    kept = Cut.of(most, tokenizer)(text)
    assert text.startswith(kept)
    assert len(reference.encode(kept).ids) <= most
    if kept != text:
        assert len(reference.encode(text).ids) > most


def test_a_manifest_names_the_tokenizer(live, tmp_path, tokenizer, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    (tmp_path / "submission.yaml").write_text(
        "name: served\nadapter: openai\nlicence: proprietary\nmax_length: 5\n"
        f"source: {{server: '{live.url}', model: m, key: MY_KEY, tokenizer: tokenizer.json}}\n"
    )
    model = resolve(str(tmp_path))
    model.retriever.encode(["word word word word word"], role="query", languages=["en"])
    assert live.bodies[-1]["input"] == ["word word word"]
    assert model.retriever.abridged(["word word word", "word word word word"], role="query") == {"cut": 1}
    assert model.info.details["cut_by"].startswith("tokenizer ")


@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_a_tokenizer_that_is_none_is_named(tmp_path, content):
    place = tmp_path / "tokenizer.json"
    if content is not None:
        place.write_text(content)
    with pytest.raises(MissingResourceError if content is None else InputError, match=r"tokenizer\.json.*tokenizer"):
        Cut.of(10, place)


def test_a_length_that_leaves_no_room_beside_special_tokens_is_refused(tokenizer):
    with pytest.raises(InputError, match="leaves no room"):
        Cut.of(2, tokenizer)


# Answers


def test_vectors_in_base64_are_read(live):
    def answered(number, texts):
        rows = [
            {"index": n, "embedding": base64.b64encode(np.array(vector_of(t), "<f4").tobytes()).decode()}
            for n, t in enumerate(texts)
        ]
        return {"answer": {"data": rows}}

    live.behaviour = answered
    np.testing.assert_array_equal(run().vectors, expected())


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_an_answer_without_end_is_refused(live, packed, monkeypatch):
    model = resolve("openai:some-model")
    content = b'{"data": [' + b" " * (40 << 20)
    body = gzip.compress(content, 1) if packed else content

    def reply(handler, status, document, headers):
        handler.send_response(200)
        if packed:
            handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.wfile.write(body)

    monkeypatch.setattr(live.RequestHandlerClass, "reply", reply)
    with pytest.raises(InputError, match=r"answered 1 text with more than 1,572,864 bytes"):
        model.retriever.encode(["a"], role="query", languages=["en"])


# The key


@pytest.mark.parametrize("written", [KEY + "\n", f"  {KEY} \r\n"])
def test_space_around_a_key_does_not_count(live, monkeypatch, written):
    monkeypatch.setenv("OPENAI_API_KEY", written)
    resolve("openai:some-model")
    assert live.headers_seen[-1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("written", [f"{KEY}\n{KEY}", f"{KEY}é"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(live, monkeypatch, written):
    monkeypatch.setenv("OPENAI_API_KEY", written)
    with pytest.raises(InputError, match="the environment variable OPENAI_API_KEY holds") as raised:
        resolve("openai:some-model")
    assert KEY not in str(raised.value)


def test_a_key_of_spaces_is_none(live, monkeypatch, tmp_path):
    monkeypatch.setenv("MY_KEY", " \n")
    with pytest.raises(MissingResourceError, match="set the environment variable MY_KEY"):
        server.ServerEncoder(Endpoint(live.url, "m", "MY_KEY"), {"query": "", "document": ""})


@pytest.mark.parametrize("said", [KEY, KEY.upper(), "x" * 190 + KEY, f"Bearer {KEY.title()} \x1b[2J is wrong"])
def test_a_key_that_the_server_repeats_is_never_shown_in_any_case_or_part(live, said):
    model = resolve("openai:some-model")
    live.behaviour = lambda number, texts: {"status": 400, "message": said}
    with pytest.raises(InputError) as raised:
        model.retriever.encode(["a"], role="query", languages=["en"])
    shown = str(raised.value).lower()
    assert not any(KEY[:n].lower() in shown for n in range(5, len(KEY) + 1))
    assert "\x1b" not in shown
