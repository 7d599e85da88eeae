"""Batches give way where memory runs out, and the next chunk is tokenised while the model works."""

from __future__ import annotations

import logging
import threading
import weakref

import numpy as np
import pytest
import torch

from xlir_bench.encoders.batching import CHUNK, Pace, TokenEncoder, is_out_of_memory, padded
from xlir_bench.errors import MissingResourceError

LENGTHS = [5, 40, 3, 17, 8, 8, 21, 2]


def device_with_room_for(tokens, seen):
    """Each text's vector is its length; a batch beyond the room fails as a device does."""

    def forward(at):
        size = len(at) * max(LENGTHS[row] for row in at)
        seen.append(size)
        if size > tokens:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)")
        return np.array([[LENGTHS[row]] for row in at], np.float32)

    return forward


@pytest.mark.parametrize("room", [40, 60, 100, 1000])
def test_a_batch_that_does_not_fit_is_halved_and_no_text_is_lost(room, caplog):
    seen = []
    pace = Pace("cpu", 1000)
    with caplog.at_level(logging.WARNING):
        vectors = pace.run(LENGTHS, device_with_room_for(room, seen))
    assert vectors[:, 0].tolist() == LENGTHS
    assert ("out of memory on cpu" in caplog.text) == (max(seen) > room)
    seen.clear()
    pace.run(LENGTHS, device_with_room_for(room, seen))
    assert max(seen) <= max(room, *LENGTHS)  # what was learned holds for the blocks that follow


def test_a_single_text_that_does_not_fit_is_one_line():
    with pytest.raises(MissingResourceError, match=r"too little free memory for one text of 40 tokens.*--device cpu"):
        Pace("cpu", 1000).run(LENGTHS, device_with_room_for(39, []))


def test_what_the_failed_batch_held_is_free_before_the_device_is_asked_to_give_room_back(monkeypatch):
    """An exception that is still being handled keeps the frames of its traceback, and so their tensors, alive."""
    held, alive = [], []

    def forward(at):
        states = torch.empty(1)
        held.append(weakref.ref(states))
        if len(at) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return np.zeros((1, 1), np.float32)

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(held[-1]() is not None))
    Pace("cuda", 1000).run(LENGTHS, forward)
    assert alive
    assert not any(alive)


@pytest.mark.parametrize(("given", "threads"), [(True, True), (False, False)])
def test_a_model_that_is_not_for_several_threads_is_called_by_one_at_a_time(given, threads):
    callers = set()

    def forward(at):
        callers.add(threading.current_thread())
        return np.zeros((len(at), 1), np.float32)

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        Pace("cpu", 40, side_by_side=given).run(LENGTHS * 20, forward)
    finally:
        torch.set_num_threads(before)
    assert (threading.main_thread() not in callers) == threads


def test_other_failures_pass_through():
    def forward(at):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        Pace("cpu", 1000).run(LENGTHS, forward)


def test_what_counts_as_want_of_memory():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")
    )
    assert is_out_of_memory(torch.AcceleratorError("CUDA error: out of memory"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert is_out_of_memory(RuntimeError("Invalid buffer size: 24.00 GiB"))  # MPS
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("out of memory"))


def test_the_next_chunk_is_tokenised_before_the_model_is_through_with_one():
    ahead = threading.Event()
    waited = []

    class Watched(TokenEncoder):
        pace, prompts, dimensions = Pace("cpu", 10**9), {"query": "", "document": ""}, 1
        chunks = 0

        def tokenise(self, texts, role, languages):
            self.chunks += 1
            if self.chunks == 2:
                ahead.set()
            return [[int(text)] for text in texts]

        def forward(self, ids, languages):
            waited.append(ahead.wait(timeout=10))
            return np.array([[row[0]] for row in ids], np.float32)

    texts = [str(row) for row in range(2 * CHUNK + 3)]
    vectors = Watched().encode(texts, role="query", languages=["en"] * len(texts))
    assert vectors[:, 0].tolist() == list(range(len(texts)))
    assert waited[0]


def test_padding_is_masked_and_left_out_where_there_is_none():
    tokens, mask = padded([[7, 8, 9], [5]], 1, "cpu")
    assert tokens.tolist() == [[7, 8, 9], [5, 1, 1]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert padded([[7, 8], [5, 6]], 1, "cpu")[1] is None


def test_no_batch_has_more_texts_than_were_asked_for():
    sizes = []

    def forward(at):
        sizes.append(len(at))
        return np.asarray(at, np.float32)[:, None]

    found = Pace("cpu", 10**9, most=3, side_by_side=False).run([5] * 10, forward)
    assert found[:, 0].tolist() == list(range(10))
    assert max(sizes) == 3
