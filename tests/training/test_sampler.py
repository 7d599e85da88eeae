"""The sampler as sentence-transformers and accelerate use it: the same batches, however they are dealt out."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_stores import parallel, table

pytest.importorskip("accelerate")
from accelerate.data_loader import BatchSamplerShard, SkipBatchSampler
from torch.utils.data import DataLoader

from xlir_bench.errors import InputError
from xlir_bench.training.sampler import HybridBatchSampler, Sampling, columns_of
from xlir_bench.training.store import Pair
from xlir_bench.training.strategies import RowBatches, RowPlan, Rows

TABLE = table(parallel(30))
ROWS = Rows.of_table(TABLE)


def sampler(length: int = 12, seed: int = 2, batch: int = 8) -> HybridBatchSampler:
    return HybridBatchSampler(range(len(ROWS)), RowBatches(ROWS, RowPlan("hybrid", batch=batch), seed), length)


@given(processes=st.integers(1, 5), rounds=st.integers(1, 4), batch=st.sampled_from([8, 40]))
@settings(max_examples=20, deadline=None)
def test_processes_together_see_what_one_process_sees(processes: int, rounds: int, batch: int) -> None:
    # A batch of 40 is more than a language of 30 records has: short batches are dealt out like others.
    length = processes * rounds
    whole = list(sampler(length, batch=batch))
    for process in range(processes):
        shard = BatchSamplerShard(sampler(length, batch=batch), processes, process, even_batches=False)
        assert list(shard) == whole[process::processes]
        assert len(shard) == rounds


@given(skipped=st.integers(0, 12))
@settings(max_examples=13, deadline=None)
def test_going_on_after_an_interruption_gives_the_batches_that_were_left(skipped: int) -> None:
    whole = list(sampler())
    assert list(SkipBatchSampler(sampler(), skipped)) == whole[skipped:]
    interrupted = sampler()
    taken = [batch for _, batch in zip(range(skipped), interrupted, strict=False)]
    state = pickle.loads(pickle.dumps(interrupted.state_dict()))
    resumed = sampler()
    resumed.load_state_dict(state)
    assert taken + list(resumed) == whole


def test_an_epoch_has_other_batches_and_may_be_gone_through_again() -> None:
    one = sampler()
    first = list(one)
    assert list(one) == first
    one.set_epoch(1)
    second = list(one)
    assert second != first
    assert list(sampler(length=24)) == first + second


@pytest.mark.parametrize("workers", [0, 2])
def test_worker_processes_change_nothing(workers: int) -> None:
    loader = DataLoader(range(len(ROWS)), batch_sampler=sampler(), num_workers=workers, collate_fn=list)
    assert list(loader) == list(sampler())


def test_arguments_are_stored_without_the_rows() -> None:
    sampling = Sampling(RowBatches(ROWS, RowPlan(), 1), 5)
    stored = pickle.dumps(sampling)
    assert len(stored) < 200
    with pytest.raises(InputError, match="checkpoint"):
        pickle.loads(stored)(range(len(ROWS)))


def test_another_data_set_than_the_one_drawn_from_is_refused() -> None:
    with pytest.raises(InputError, match="drawn from 270 rows; the data set has 5"):
        Sampling(RowBatches(ROWS, RowPlan(), 1), 5)(range(5), batch_size=3, seed=1)


def test_columns_are_the_texts_in_the_order_of_the_store() -> None:
    pairs = [Pair(f"q{at}", f"d{at}", "en", "de", str(at), "a", (f"n{at}", f"m{at}", "unused")) for at in range(3)]
    columns = columns_of(table(pairs), negatives=2)
    assert columns.column_names == ["query", "document", "negative_1", "negative_2"]
    assert columns[1] == {"query": "q1", "document": "d1", "negative_1": "n1", "negative_2": "m1"}
