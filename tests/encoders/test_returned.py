"""What encoders return and raise: taken as numbers, or refused in one line that says who, on which text, and what."""

from __future__ import annotations

import datetime
import decimal
import re

import numpy as np
import pytest
import torch
from scipy import sparse

from xlir_bench.collection import Texts
from xlir_bench.encoders import ModelInfo, VectorCache, encode_texts
from xlir_bench.encoders.plan import plan
from xlir_bench.encoders.protocol import Model
from xlir_bench.encoders.returned import as_matrix, check_same_width
from xlir_bench.errors import InputError
from xlir_bench.retrieval import LexicalScorer

INFO = ModelInfo(id="toy", name="toy", fingerprint="ab" * 32)
ROWS = [[1.0, 2.0], [0.5, -4.0]]
TEXTS = Texts(["t0", "t1"], ["the longer text", "short"], ["en", "en"])


class Does:
    """An encoder that calls a function on the texts."""

    def __init__(self, act):
        self.act = act

    def encode(self, texts, *, role, languages):
        return self.act(texts)


def refusal(act) -> str:
    with pytest.raises(InputError) as refused:
        encode_texts(Does(act), INFO, TEXTS, "query")
    message = str(refused.value)
    assert "encoder toy" in message
    assert 'query "the longer text" (id t0)' in message
    assert "\n" not in message
    return message


def masked(texts):
    return np.ma.masked_array(ROWS, mask=[[False, True], [False, False]])


REFUSED = {
    "a scipy matrix": (lambda texts: sparse.csr_matrix(ROWS), "csr_matrix .*sparse vectors are not measured as dense"),
    "a scipy array": (lambda texts: sparse.coo_array(ROWS), "sparse vectors are not measured as dense"),
    "rows of scipy": (lambda texts: [sparse.csr_array(row) for row in ROWS], "sparse vectors are not measured"),
    "a sparse tensor": (lambda texts: torch.tensor(ROWS).to_sparse(), "sparse vectors are not measured as dense"),
    "a CSR tensor": (lambda texts: torch.tensor(ROWS).to_sparse_csr(), "sparse vectors are not measured as dense"),
    "rows of sparse tensors": (lambda texts: [torch.tensor(row).to_sparse() for row in ROWS], "sparse vectors"),
    "sparse dictionaries": (lambda texts: [{"a": 0.5}, {"b": 0.5}], "Python objects such as dict"),
    "complex": (lambda texts: np.array(ROWS) * 1j, "complex numbers"),
    "a complex tensor": (lambda texts: torch.tensor(ROWS) * 1j, "complex numbers"),
    "masked": (masked, "masked values"),
    "masked rows": (lambda texts: list(masked(texts)), "masked values"),
    "true and false": (lambda texts: np.array(ROWS) > 0, "true and false"),
    "a boolean tensor": (lambda texts: torch.tensor(ROWS) > 0, "true and false"),
    "strings of digits": (lambda texts: [["1", "2"], ["3", "4"]], "text of type"),
    "bytes": (lambda texts: [[b"1", b"2"], [b"3", b"4"]], "bytes of type"),
    "dates": (lambda texts: np.full((2, 2), "2024-01-01", "datetime64[D]"), "dates of type"),
    "durations": (lambda texts: np.ones((2, 2), "timedelta64[s]"), "time differences"),
    "date objects": (lambda texts: [[datetime.date(2024, 1, 1)]] * 2, "Python objects such as date"),
    "an object array": (lambda texts: np.array(ROWS, object), "Python objects such as float"),
    "decimals": (lambda texts: [[decimal.Decimal(1)]] * 2, "Python objects such as Decimal"),
    "None in a row": (lambda texts: [[1.0, None], [1.0, 2.0]], "Python objects"),
    "ragged lists": (lambda texts: [[1.0], [1.0, 2.0]], "not a matrix of numbers"),
    "ragged tensors": (lambda texts: [torch.ones(2), torch.ones(3)], "not a matrix of numbers"),
    "ragged token vectors": (lambda texts: [np.ones((3, 2)), np.ones((1, 2))], "not a matrix of numbers"),
    "token vectors": (lambda texts: np.ones((2, 5, 4)), r"an array of shape \(2, 5, 4\)"),
    "a generator": (lambda texts: (row for row in ROWS), "Python objects such as generator"),
    "a record array": (lambda texts: np.zeros(2, [("a", "f4"), ("b", "f4")]), "values of type"),
    "too few": (lambda texts: ROWS[:1], r"an array of shape \(1, 2\)"),
    "a number": (lambda texts: 1.0, "returned float for"),
    "values that float32 makes zero": (lambda texts: np.full((2, 2), 1e-200), "so small that float32 makes it zero"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_matrix_of_real_numbers_is_refused_by_kind(kind):
    act, message = REFUSED[kind]
    assert re.search(message, refusal(act))


def test_arrays_tensors_and_tables_of_numbers_are_taken():
    import pandas as pd

    for value in (
        np.array(ROWS, np.float16),
        np.asfortranarray(ROWS),
        np.matrix(ROWS),
        np.ma.masked_array(ROWS),
        torch.tensor(ROWS, dtype=torch.bfloat16, requires_grad=True),
        torch.tensor(ROWS).conj(),
        pd.DataFrame(ROWS),
        [np.array(row) for row in ROWS],
        [torch.tensor(row) for row in ROWS],
    ):
        assert as_matrix(value).tolist() == ROWS
    integers = np.array([[1, 2], [3, 4]], np.int8)
    assert as_matrix(integers).tolist() == integers.tolist()


class WordlessError(RuntimeError):
    def __str__(self):
        raise ValueError("even the message fails")


def overflow(texts):
    return overflow(texts)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (RuntimeError("boom\nin two lines"), r"\(RuntimeError: boom in two lines\)"),
        (KeyError("key"), r"\(KeyError: 'key'\)"),
        (BrokenPipeError(), r"\(BrokenPipeError\)"),
        (MemoryError(), r"\(MemoryError\)"),
        (EOFError(), r"\(EOFError\)"),
        (StopIteration(), r"\(StopIteration\)"),
        (SystemExit(0), r"\(it called sys\.exit\(0\)\)"),
        (SystemExit("bye"), r"\(it called sys\.exit\('bye'\)\)"),
        (WordlessError(), r"\(WordlessError\)"),
        (RuntimeError("x" * 100_000), r"x…\)$"),
        (RuntimeError("\x1b[31mred"), r"RuntimeError: \N{REPLACEMENT CHARACTER}\[31mred"),
    ],
)
def test_what_an_encoder_raises_is_one_line_and_the_cause(error, shown):
    def act(texts):
        raise error

    with pytest.raises(InputError) as refused:
        encode_texts(Does(act), INFO, TEXTS, "query")
    message = str(refused.value)
    assert message.startswith('encoder toy failed on 2 texts beginning with query "the longer text" (id t0)')
    assert re.search(shown, message)
    assert len(message) < 1000
    assert refused.value.__cause__ is error


def test_endless_recursion_is_one_line():
    assert "RecursionError" in refusal(overflow)


def test_an_interrupt_stays_an_interrupt():
    def act(texts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_texts(Does(act), INFO, TEXTS, "query")


def test_an_object_that_fails_when_it_is_read_is_the_encoders_fault():
    class Lazy:
        def __array__(self, dtype=None, copy=None):
            raise OSError("the file is gone")

    assert "the file is gone" in refusal(lambda texts: Lazy())


def test_parts_are_held_to_the_same(tmp_path):
    class Parts(Does):
        def encode_parts(self, texts, *, role, languages):
            yield np.array([0]), np.ones((1, 3))
            yield from self.act(texts)

    def widths(texts):
        yield np.array([1]), np.ones((1, 4))

    def twice(texts):
        yield np.array([0]), np.ones((1, 3))

    def fails(texts):
        raise RuntimeError("boom")

    def exits(texts):
        raise SystemExit(0)

    expected = {widths: "several widths", twice: "twice", fails: "boom", exits: "sys.exit", lambda t: (): "1 vectors"}
    for number, (act, message) in enumerate(expected.items()):
        with pytest.raises(InputError, match=message):
            encode_texts(Parts(act), INFO, TEXTS, "query", cache=VectorCache(tmp_path / str(number)))


def test_vectors_that_are_looked_up_are_held_to_the_same():
    class Table:
        def __init__(self, returned):
            self.returned = returned

        def lookup(self, ids, *, role):
            if isinstance(self.returned, Exception):
                raise self.returned
            return self.returned

    assert encode_texts(Table(ROWS), INFO, TEXTS, "query").vectors.tolist() == ROWS
    for returned, message in (
        (ROWS[:1], "shape"),
        ([[np.nan, 1.0]] * 2, "NaN"),
        (sparse.csr_matrix(ROWS), "sparse"),
        (KeyError("t1"), "KeyError"),
    ):
        with pytest.raises(InputError, match=message):
            encode_texts(Table(returned), INFO, TEXTS, "query")


def test_a_dry_run_is_held_to_the_same(two_languages):
    model = Model(INFO, Does(lambda texts: [{}] * len(texts)))
    with pytest.raises(InputError, match="encoder toy returned list that is not a matrix"):
        plan(model, two_languages, None)


def test_queries_and_documents_need_one_width():
    check_same_width(INFO, np.ones((2, 3), np.float32), np.ones((4, 3), np.float32))
    with pytest.raises(InputError, match="toy returned 3 dimensions for queries and 5 for documents"):
        check_same_width(INFO, np.ones((2, 3), np.float32), np.ones((4, 5), np.float32))


class TwoWidths:
    def encode(self, texts, *, role, languages):
        return np.ones((len(texts), 64 if role == "query" else 32))


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_two_widths_are_refused_streamed_or_not_encoded_now_or_stored(two_languages, tmp_path, streamed, again):
    from xlir_bench.engines import Streaming
    from xlir_bench.evaluation import evaluate
    from xlir_bench.suites import find

    cache = VectorCache(tmp_path)
    if again:
        encode_texts(TwoWidths(), INFO, two_languages.queries, "query", cache=cache)
        encode_texts(TwoWidths(), INFO, two_languages.documents, "document", cache=cache)
    how = Streaming(shard_size=2, records=str(tmp_path / "records"), cache=cache) if streamed else cache
    with pytest.raises(InputError, match="64 dimensions for queries and 32 for documents"):
        evaluate(Model(INFO, TwoWidths()), find("xlir-mini"), two_languages, cache=how)


def test_a_width_that_only_unjudged_documents_have_is_refused_when_streamed(two_languages):
    from xlir_bench.engines import Streaming
    from xlir_bench.evaluation import evaluate
    from xlir_bench.suites import find

    def act(texts):
        return np.ones((len(texts), 4 if any("zero" in text for text in texts) else 3))

    with pytest.raises(InputError, match="3 dimensions for queries and 4 for documents"):
        evaluate(Model(INFO, Does(act)), find("xlir-mini"), two_languages, cache=Streaming(shard_size=1))


def test_an_index_that_fails_or_returns_something_else_is_one_line(two_languages):
    class Index:
        def __init__(self, scores):
            self._scores = scores

        def index(self, documents, languages):
            return self

        def scores(self, queries, languages):
            return self._scores(len(queries))

    documents, queries = np.arange(3), np.arange(2)
    assert LexicalScorer(Index(lambda n: np.ones((n, 3))), two_languages).over(documents)(queries).shape == (2, 3)
    for scores, message in (
        (lambda n: np.ones((n, 2)), r"shape \(2, 2\)"),
        (lambda n: np.full((n, 3), "1"), "scores returned <U1"),
        (lambda n: 1 / 0, "Index.scores failed on 2 queries"),
    ):
        with pytest.raises(InputError, match=message):
            LexicalScorer(Index(scores), two_languages).over(documents)(queries)
