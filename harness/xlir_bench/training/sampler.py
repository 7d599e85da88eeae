"""The hybrid batch sampler of a `SentenceTransformerTrainer`.

    table = read_pairs([Path("pairs.parquet")])
    batches = RowBatches(Rows.of_table(table), RowPlan("hybrid", alpha=0.5, batch=100), seed=1)
    arguments = SentenceTransformerTrainingArguments(..., batch_sampler=Sampling(batches, length=1000), max_steps=1000)
    trainer = SentenceTransformerTrainer(model, arguments, train_dataset=columns_of(table), loss=loss)

Batch `n` follows from the seed and `n` alone. Under several processes accelerate's `BatchSamplerShard` gives process
`p` of `k` the batches p, p + k, p + 2k, ...: together they see what one process would see, and each full batch is of
one strategy. Skipping, as the trainer does when it resumes, and `load_state_dict` lead to the same batches as going
through all that came before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sentence_transformers.base.sampler import DefaultBatchSampler

from xlir_bench.errors import InputError
from xlir_bench.training.strategies import RowBatches, hard_negative_columns

if TYPE_CHECKING:
    import pyarrow as pa


class HybridBatchSampler(DefaultBatchSampler):  # type: ignore[misc]
    """Lists of row numbers, one per batch.

    Args:
        dataset: the rows; only its length is looked at, to see that it is the one that `batches` draws from.
        batches: what is drawn, with strategy, batch size and seed.
        length: batches per epoch.

    Raises:
        InputError: the data set has another number of rows than the store that batches are drawn from.
    """

    def __init__(self, dataset: Any, batches: RowBatches, length: int) -> None:  # noqa: ANN401  (datasets has no types)
        if len(dataset) != len(batches.rows):
            raise InputError(f"batches are drawn from {len(batches.rows):,} rows; the data set has {len(dataset):,}")
        super().__init__(dataset, batch_size=batches.plan.batch, drop_last=False)
        # A language with few rows gives a shorter batch. Told a size, accelerate would take the first such batch for
        # the end of the data; without one it deals batches out as they are.
        self.batch_size = None
        self._batches, self._length, self._position = batches, length, 0
        self.epoch: int = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[list[int]]:
        """The batches of this epoch that have not been given yet."""
        while self._position < self._length:
            number = self.epoch * self._length + self._position
            self._position += 1
            yield self._batches.batch(number).rows.tolist()
        self._position = 0

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch: its batches are others than those of the one before."""
        if epoch != self.epoch:
            self._position = 0
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """Where the sampler is."""
        return {"epoch": self.epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from where another sampler was."""
        self.epoch, self._position = state["epoch"], state["position"]


class Sampling:
    """What `SentenceTransformerTrainingArguments.batch_sampler` is given: makes the sampler once the data set is known.

    Arguments are stored beside every checkpoint, so its pickled form leaves the rows out, and can make no sampler.

    Args:
        batches: what is drawn.
        length: batches per epoch; give the trainer's `max_steps` times its processes, and there is one epoch.
    """

    def __init__(self, batches: RowBatches | None, length: int) -> None:
        self._batches, self._length = batches, length

    def __call__(self, dataset: Any, **given: Any) -> HybridBatchSampler:  # noqa: ANN401
        """The sampler; batch size and seed are those of the batches, whatever the trainer's arguments say.

        Raises:
            InputError: see `HybridBatchSampler`; or this was read from a checkpoint.
        """
        if self._batches is None:
            raise InputError("these arguments come from a checkpoint, which holds no rows: make the sampling again")
        return HybridBatchSampler(dataset, self._batches, self._length)

    def __reduce__(self) -> tuple[type[Sampling], tuple[None, int]]:
        return Sampling, (None, self._length)


def columns_of(table: pa.Table, negatives: int = 0) -> Any:  # noqa: ANN401
    """The texts of a store as the `datasets.Dataset` that losses of sentence-transformers expect.

    Returns:
        Columns `query`, `document`, and `negative_1` to `negative_n`; row i is row i of the store.

    Raises:
        InputError: a row has fewer hard negatives than are asked for.
    """
    import pyarrow as arrow
    from datasets import Dataset

    columns: dict[str, Any] = {name: table.column(name) for name in ("query", "document")}
    for at, column in enumerate(hard_negative_columns(table, negatives), start=1):
        columns[f"negative_{at}"] = column
    return Dataset(arrow.table(columns))
