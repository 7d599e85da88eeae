"""Streaming beside counting in memory; what is kept; and what is left of a run that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xlir_bench.collection import Texts
from xlir_bench.encoders import Model, ModelInfo, resolve
from xlir_bench.engines import Streaming, stream
from xlir_bench.engines.records import Node, Records
from xlir_bench.engines.storage import Folder
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate, run
from xlir_bench.retrieval import Counts
from xlir_bench.suites import load


class HashEncoder:
    """A vector that follows from the text and the role alone, whatever batch it is in."""

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, texts, *, role, languages):
        self.calls += len(texts)
        vectors = np.zeros((len(texts), 64), np.float32)
        for row, text in enumerate(texts):
            for at, character in enumerate(text):
                vectors[row, (ord(character) * 31 + at % 3) % 64] += 1 + (role == "query")
        return vectors


class RestlessEncoder(HashEncoder):
    """Its vectors depend on their place in the batch by a rounding, as a transformer's do."""

    def encode(self, texts, *, role, languages):
        vectors = super().encode(texts, role=role, languages=languages)
        return vectors * (1 + np.arange(len(vectors), dtype=np.float32)[:, None] % 5 * np.float32(2**-22))


def model(encoder=None, name="hash", similarity="cosine") -> Model:
    return Model(ModelInfo(name, name, "a" * 64, similarity=similarity), encoder or HashEncoder())


def table(ranks) -> list:
    """All that a table of ranks says."""
    leaders = [] if ranks.leaders is None else [ranks.leaders.query.tobytes(), ranks.leaders.place.tobytes()]
    ahead = [] if ranks.ahead is None else [ranks.ahead.tobytes()]
    names = [list(getattr(ranks, name)) for name in ("query_id", "document_id", "document_language")]
    return [ranks.outranked.tobytes(), ranks.tied.tobytes(), *ahead, *leaders, *names]


@pytest.fixture
def parallel(parallel_suite):
    return parallel_suite, load(parallel_suite, languages=["en", "th"])


def test_threads_hand_on_pythons_lock_as_before_when_a_run_is_over(parallel):
    turns = []

    class Telling(HashEncoder):
        def encode(self, texts, *, role, languages):
            turns.append(sys.getswitchinterval())
            return super().encode(texts, role=role, languages=languages)

    usual = sys.getswitchinterval()
    stream(model(Telling()), parallel[1], Streaming(900), across_languages=True)
    assert turns[0] == usual  # queries, before anything is counted
    assert turns[-1] < usual
    assert sys.getswitchinterval() == usual


@pytest.mark.parametrize("settings", [["monolingual"], ["monolingual", "cross-lingual", "multilingual"]])
def test_streaming_gives_the_ranks_that_counting_in_memory_gives(parallel, settings):
    suite, collection = parallel
    suite = suite.narrowed(settings)
    at_once = evaluate(model(), suite, collection)
    for size in (500, 100_000):
        streamed = evaluate(model(), suite, collection, cache=Streaming(size))
        assert table(streamed.ranks) == table(at_once.ranks)
        assert streamed.result.scores == at_once.result.scores


def test_no_judged_document_is_outranked_by_itself_where_vectors_depend_on_the_batch(parallel):
    _, whole = parallel
    documents, judged = whole.documents, np.unique(whole.judgements.document)
    # Every other judged sentence occurs once more, as the first document of the other end of the corpus.
    texts = list(documents.texts)
    unjudged = np.setdiff1d(np.arange(len(texts)), judged)[::-1]
    copied = judged[::2][: len(unjudged)]
    languages = list(documents.languages)
    for at, original in zip(unjudged.tolist(), copied.tolist(), strict=False):
        texts[at], languages[at] = texts[original], languages[original]
    collection = replace(whole, documents=Texts(documents.ids, texts, languages))
    steady = stream(model(), collection, Streaming(333), across_languages=True).ranks
    restless = stream(model(RestlessEncoder(), "restless"), collection, Streaming(333), across_languages=True).ranks
    row_of = {name: row for row, name in enumerate(documents.ids)}
    repeated = np.isin([row_of[name] for name in restless.document_id], copied)
    assert repeated.sum() > 100
    assert restless.tied[repeated].all()
    off = np.abs(restless.rank_in_pool - steady.rank_in_pool)
    assert (off <= 0.02 * steady.rank_in_pool + 3).all()


def test_vectors_that_were_kept_are_not_made_again(parallel, tmp_path):
    suite, collection = parallel
    streaming = Streaming(700, keep=str(tmp_path / "kept"))
    first = run(model(), suite, collection, tmp_path / "one", cache=streaming).result
    again = model()
    second = run(again, suite, collection, tmp_path / "two", cache=streaming).result
    asked = len(set(collection.queries.texts)) + len(set(collection.judgements.document.tolist()))
    assert 0 < again.retriever.calls <= asked
    assert second.scores == first.scores
    assert sorted(path.suffix for path in (tmp_path / "kept").rglob("*") if path.is_file())[0] == ".half"
    half_a_number = 2 * 64
    assert all(path.stat().st_size < 700 * half_a_number + 300 for path in (tmp_path / "kept").rglob("*.half"))


def test_a_kept_shard_that_lost_a_bit_is_made_again(parallel, tmp_path):
    _, collection = parallel
    streaming = Streaming(700, keep=str(tmp_path / "kept"))
    first = stream(model(), collection, streaming, across_languages=True)
    first.records.clear()
    damaged = next((tmp_path / "kept").rglob("*.half"))
    content = bytearray(damaged.read_bytes())
    content[-100] ^= 4
    damaged.write_bytes(content)
    again = stream(model(), collection, streaming, across_languages=True)
    assert table(again.ranks) == table(first.ranks)
    assert damaged.read_bytes() != bytes(content)


def test_a_model_without_vectors_cannot_stream(parallel):
    suite, collection = parallel
    with pytest.raises(InputError, match="bm25 indexes the whole pool"):
        evaluate(resolve("bm25"), suite, collection, cache=Streaming(500))


def test_a_shard_that_fails_is_named(parallel):
    _, collection = parallel

    class Failing(HashEncoder):
        def encode(self, texts, *, role, languages):
            vectors = super().encode(texts, role=role, languages=languages)
            bad = [row for row, text in enumerate(texts) if text == collection.documents.texts[1500]]
            vectors[bad] = np.nan
            return vectors

    with pytest.raises(InputError, match=r"shard 2 \(documents 1,000 to 1,499\)|shard 3 \(documents 1,500 to 1,999\)"):
        stream(model(Failing()), collection, Streaming(500), across_languages=True)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_stream import HashEncoder, model
    from xlir_bench.engines import Streaming
    from xlir_bench.evaluation import run
    from xlir_bench.suites import find, load

    class Dying(HashEncoder):
        def encode(self, texts, *, role, languages):
            if self.calls > {after}:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().encode(texts, role=role, languages=languages)

    suite = find({suite!r})
    collection = load(suite, languages=["en", "th"])
    run(model(Dying()), suite, collection, Path({output!r}), cache=Streaming(200, records={records!r}))
"""


def test_a_run_that_was_killed_goes_on_from_the_shards_that_were_counted(parallel, parallel_folder, tmp_path):
    suite, collection = parallel
    records = str(tmp_path / "records")
    script = KILLED.format(
        tests=str(Path(__file__).parent),
        after=3700,
        suite=str(parallel_folder),
        output=str(tmp_path / "out"),
        records=records,
    )
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    left = list(Path(records).rglob("*.counts"))
    assert 0 < len(left) < 6  # of some twelve shards, merged two by two
    whole, resumed = model(), model()
    expected = run(whole, suite, collection, tmp_path / "whole").result
    found = run(resumed, suite, collection, tmp_path / "out", cache=Streaming(200, records=records)).result
    assert found.scores == expected.scores
    assert found.bias == expected.bias
    assert resumed.retriever.calls < 0.5 * whole.retriever.calls
    assert not list(Path(records).rglob("*.counts"))


def test_a_damaged_record_is_counted_again(parallel, tmp_path):
    _, collection = parallel
    streaming = Streaming(500, records=str(tmp_path))
    first = stream(model(), collection, streaming, across_languages=True)
    for path in tmp_path.rglob("*.counts"):
        path.write_bytes(path.read_bytes()[:-40])
    again = model()
    assert table(stream(again, collection, streaming, across_languages=True).ranks) == table(first.ranks)
    assert again.retriever.calls > 0


@pytest.mark.parametrize("change", ["model", "shard size", "languages", "settings"])
def test_records_are_of_one_run_only(parallel, tmp_path, change):
    _, collection = parallel
    streaming = Streaming(500, records=str(tmp_path))
    stream(model(), collection, streaming, across_languages=True)
    other, across = model(), True
    if change == "model":
        other = Model(ModelInfo("hash", "hash", "b" * 64), other.retriever)
    elif change == "shard size":
        streaming = Streaming(501, records=str(tmp_path))
    elif change == "languages":
        collection = collection.select(["de", "en"])
    else:
        across = False
    stream(other, collection, streaming, across_languages=across)
    assert other.retriever.calls > len(set(collection.documents.texts))


def test_records_cover_all_shards_by_the_largest_nodes_that_are_there(tmp_path):
    records = Records(Folder(tmp_path))
    empty = Counts(np.zeros((1, 1), np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32), 1, None)
    for node in (Node(0, 1), Node(2, 1), Node(0, 5), Node(1, 4), Node(0, 10)):
        records.save(node, empty)
    found = [(node.level, node.number, counts is not None) for node, counts in records.cover(11)]
    single = [(0, 0, False), (0, 1, True), (0, 2, False), (0, 3, False)]
    assert found == [*single, (2, 1, True), (1, 4, True), (0, 10, True)]


def test_every_shard_is_in_one_node_for_any_number_of_shards():
    for shards in range(1, 40):
        nodes = [node for node, _ in Records(None).cover(shards)]
        assert [number for node in nodes for number in node.shards] == list(range(shards))


def test_streams_through_object_storage(parallel):
    _, collection = parallel
    streaming = Streaming(900, keep="memory://xlir/kept", records="memory://xlir/records")
    first = stream(model(), collection, streaming, across_languages=True)
    again = model()
    second = stream(again, collection, streaming, across_languages=True)
    assert again.retriever.calls == 0
    assert table(second.ranks) == table(first.ranks)
