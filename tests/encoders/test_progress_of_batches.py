"""Progress moves with every batch, through every stage, and never beyond what there is."""

from __future__ import annotations

import numpy as np
import pytest

from xlir_bench import evaluation, interrupts
from xlir_bench.collection import Texts
from xlir_bench.encoders import ModelInfo, VectorCache, encode_texts, resolve
from xlir_bench.encoders.batching import Pace, TokenEncoder
from xlir_bench.suites import find, load

INFO = ModelInfo(id="toy", name="toy", fingerprint="ab" * 32)


class Recorder:
    """Progress that keeps names, totals and advances."""

    def __init__(self) -> None:
        self.stages: dict[str, tuple[int, list[int]]] = {}

    def stage(self, name, total, unit):
        self.stages[name] = (total, [])
        return _Stage(self.stages[name][1])


class _Stage:
    def __init__(self, advances: list[int]) -> None:
        self._advances = advances

    def advance(self, steps: int = 1) -> None:
        self._advances.append(steps)

    def note(self, text: str) -> None:
        pass


class Toy(TokenEncoder):
    """A token per letter; fails for want of memory where a batch has more than `room` texts."""

    def __init__(self, pace: Pace, room: int = 1000) -> None:
        self.pace, self.prompts, self.dimensions, self._room = pace, {"query": "", "document": ""}, 2, room

    def tokenise(self, texts, role, languages):
        return [[1] * len(text) for text in texts]

    def forward(self, ids, languages):
        if len(ids) > self._room:
            raise RuntimeError("out of memory")
        return np.array([[len(row), 1] for row in ids], np.float32)


def texts(count: int) -> Texts:
    return Texts([f"t{n}" for n in range(count)], [f"text {n:05}" for n in range(count)], ["en"] * count)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("side_by_side", [False, True])
def test_every_batch_is_told(side_by_side, cached):
    heard = Recorder()
    encoder = Toy(Pace("cpu", budget=100, side_by_side=side_by_side))
    encode_texts(encoder, INFO, texts(200), "query", cache=VectorCache() if cached else None, progress=heard)
    total, advances = heard.stages["encoding queries"]
    assert total == sum(advances) == 200
    assert len(advances) == 20  # of 10 texts of 10 tokens
    assert encoder.pace.report is None


def test_a_batch_that_is_encoded_again_is_told_once():
    heard = Recorder()
    encode_texts(Toy(Pace("cpu", budget=100), room=3), INFO, texts(95), "query", progress=heard)
    total, advances = heard.stages["encoding queries"]
    assert total == sum(advances) == 95


def test_texts_that_occur_again_are_told_too():
    heard = Recorder()
    same = Texts([f"t{n}" for n in range(90)], [f"text {n % 30:05}" for n in range(90)], ["en"] * 90)
    encode_texts(Toy(Pace("cpu", budget=100)), INFO, same, "query", progress=heard)
    assert sum(heard.stages["encoding queries"][1]) == 90


def test_every_stage_of_a_run_has_a_name_and_ranking_moves_language_by_language(tmp_path):
    heard, suite = Recorder(), find("xlir-mini")
    collection = load(suite, languages=["de", "en", "th"])
    evaluation.run(resolve("random"), suite, collection, tmp_path, progress=heard)
    names = [name for name in heard.stages if name != "compiling"]
    assert names == ["encoding documents", "encoding queries", "ranking", "intervals and bias"]
    total, advances = heard.stages["ranking"]
    assert total == len(collection.documents) == sum(advances)
    assert len(advances) == 3


@pytest.mark.parametrize("where", ["engines.ranked.count_outranked", "evaluation.analysed"])
def test_an_interrupt_after_encoding_says_that_vectors_are_kept(monkeypatch, tmp_path, where):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"xlir_bench.{where}", interrupted)
    suite = find("xlir-mini")
    with pytest.raises(KeyboardInterrupt) as caught:
        evaluation.run(resolve("random"), suite, load(suite, languages=["de"]), tmp_path, cache=VectorCache())
    assert interrupts.kept(caught.value) == "what was encoded is kept: the same command goes on from there"


@interrupts.keeps("nothing is kept", alone=True)
def interrupted(kept: str | None) -> None:
    with interrupts.keeps(kept or "", lambda: kept is not None):
        raise KeyboardInterrupt


@pytest.mark.parametrize(("kept", "said"), [("vectors are kept", "vectors are kept"), (None, "nothing is kept")])
def test_that_nothing_is_kept_is_said_where_nothing_else_is(kept, said):
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted(kept)
    assert interrupts.kept(caught.value) == said
