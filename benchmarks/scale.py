"""Streaming at scale: time, peak memory and share of the machine's matrix-product rate, beside faiss and mteb.

    python benchmarks/scale.py [--sizes 100000,1000000,10000000] [--model PATH] [--folder DIR] [--threads N]

Synthetic documents: texts of the bundled xlir-mini suite are encoded with a real encoder (the bundled one, or a folder
given by --model), and each document is the normalised mean of two of those vectors with weights of its own, float16,
cut or repeated to 384 dimensions. They lie on disk before the clock starts, as `--keep-embeddings` leaves them. Ours
reads them, counts every query (18 languages, all searched, one relevant document per query and the first 100 of each
ranking kept) and merges; faiss (IndexFlatIP) and mteb (`SearchEncoderWrapper`'s corpus search, with the same vectors)
give the first 1,000 of each ranking and hold all vectors, so they only run up to --largest-peer. Every figure is one
process of its own; all of them run in one go, on the same number of threads. The matrix-product rate is the best of
three products of 2,000 queries and 65,536 documents, measured before and after. On a machine that does other work, look
at the processor's seconds, which are given beside those of the clock, with the share of the rate that they amount to.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import click
import numpy as np
from alone import alone

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.columns import Constant, Joined
from xlir_bench.encoders.protocol import Model, ModelInfo

LANGUAGES = ["ar", "bn", "de", "en", "es", "fa", "fi", "fr", "hi", "id", "ja", "ko", "ru", "sw", "te", "th", "yo", "zh"]
DIMENSIONS = 384
QUERIES = 2000
PIECE = 131_072


class Numbered(Sequence[str]):
    """Ids and texts that are made when they are asked for."""

    unique = True

    def __init__(self, size: int, first: int = 0) -> None:
        self._size, self._first = size, first
        self.digest = f"{first}-{size}".encode()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            start, stop, _ = at.indices(self._size)
            return Numbered(max(stop - start, 0), self._first + start)
        return f"{(self._first + at) * 7919 % 100_000_007}#{(self._first + at) % 7}"

    def __iter__(self) -> Iterator[str]:
        return (self[at] for at in range(self._size))


def vectors_of(model: str) -> np.ndarray:
    """Real vectors, (texts, 384), length 1."""
    from xlir_bench.encoders import resolve
    from xlir_bench.suites import find, load

    texts = load(find("xlir-mini")).documents
    retriever: Any = resolve(model, "cpu").retriever
    encoded = retriever.encode(list(texts.texts), role="document", languages=list(texts.languages))
    wide = np.resize(np.asarray(encoded, np.float32), (len(encoded), max(DIMENSIONS, encoded.shape[1])))
    if encoded.shape[1] < DIMENSIONS:
        wide = np.tile(encoded, (1, -(-DIMENSIONS // encoded.shape[1])))
    cut = wide[:, :DIMENSIONS]
    return cut / np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-9)


def resampled(real: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Synthetic documents `start` to `stop`, float16."""
    rng = np.random.default_rng([1, start])
    one, other = rng.integers(0, len(real), (2, stop - start))
    weight = rng.random((stop - start, 1), dtype=np.float32)
    mixed = weight * real[one] + (1 - weight) * real[other]
    mixed += 0.02 * rng.standard_normal(mixed.shape, dtype=np.float32)
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float16)


def collection_of(size: int) -> Collection:
    """Documents of 18 languages, as many of each; query n is answered by the document at n's share of the corpus."""
    bounds = np.linspace(0, size, len(LANGUAGES) + 1).astype(int)
    codes = Joined([Constant(code, int(n)) for code, n in zip(LANGUAGES, np.diff(bounds), strict=True)])
    queries = [LANGUAGES[n * len(LANGUAGES) // QUERIES] for n in range(QUERIES)]
    names = [f"q{n}" for n in range(QUERIES)]
    at = answers(size)
    return Collection(
        Texts(names, names, queries),
        Texts(Numbered(size), Numbered(size), codes),
        Judgements(np.arange(QUERIES), at, np.ones(QUERIES)),
        names,
    )


def answers(size: int) -> np.ndarray:
    """The relevant document of each query."""
    return np.linspace(0, size - 1, QUERIES).astype(np.int64)


class Stored:
    """A `Lookup` over the files: what `--keep-embeddings` is to a model that has run before."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Vectors of some documents in a row, float16."""
        parts = []
        for piece in range(start // PIECE, (stop - 1) // PIECE + 1):
            values = np.load(self.folder / f"{piece}.npy", mmap_mode="r")
            parts.append(values[max(start - piece * PIECE, 0) : stop - piece * PIECE])
        return np.concatenate(parts) if len(parts) > 1 else np.array(parts[0])

    def queries(self) -> np.ndarray:
        """Each query is its answer with noise, so that ranks are neither 1 nor random."""
        rng = np.random.default_rng(2)
        own = np.concatenate([self.rows(int(at), int(at) + 1) for at in answers(self.size)]).astype(np.float32)
        noisy = own + 0.06 * rng.standard_normal(own.shape, dtype=np.float32)
        return noisy / np.linalg.norm(noisy, axis=1, keepdims=True)


class Clock:
    """Seconds of the clock and of the processor, over all threads."""

    def __init__(self) -> None:
        self._began, self._cpu = perf_counter(), process_time()
        self.found: dict[str, float] = {}

    def stop(self) -> dict[str, float]:
        self.found = {"seconds": perf_counter() - self._began, "cpu_s": process_time() - self._cpu}
        return self.found


def ours(folder: Path, size: int, threads: int) -> dict[str, float]:
    """Seconds of reading, counting and merging."""
    from xlir_bench.engines.local import count_locally
    from xlir_bench.engines.records import Records
    from xlir_bench.engines.work import JudgedTexts, ShardVectors, ShardWork
    from xlir_bench.progress import SILENT
    from xlir_bench.retrieval import Search, Shard, Wanted, default_heads, plan_shards, rank_table, shards

    stored = Stored(folder, size)

    class Reading(ShardWork):
        def vectors(self, shard: Shard, texts: Texts, progress: Any = SILENT) -> ShardVectors:
            since = perf_counter()
            return ShardVectors(stored.rows(shard.start, shard.stop), perf_counter() - since, 0, len(texts))

    shards.os.cpu_count = lambda: threads
    collection = collection_of(size)
    model = Model(ModelInfo("stored", "stored", "a" * 64), stored)  # type: ignore[arg-type]
    judged = np.concatenate([stored.rows(int(at), int(at) + 1) for at in answers(size)])
    queries = stored.queries()

    def once(documents: int) -> tuple[Any, Clock, float]:
        part = collection if documents == size else collection_of(documents)
        clock = Clock()
        wanted = Wanted.of(part, across_languages=True)
        search = Search.of(wanted, queries, judged, "cosine", default_heads(True))
        work = Reading(stored, model.info, search, JudgedTexts(Texts([], [], []), judged))  # type: ignore[arg-type]
        plan = plan_shards(documents, PIECE)
        counted = count_locally(work, part.documents, plan, Records(None), SILENT.stage("", 0, ""))
        ranks = rank_table(wanted, part, counted.counts)
        clock.stop()
        return ranks, clock, counted.rank_s

    once(20_000)  # compiles
    ranks, clock, counting = once(size)
    return {**clock.found, "counting_s": counting, "median_rank": float(np.median(ranks.rank_in_pool))}


def faiss_flat(folder: Path, size: int, threads: int) -> dict[str, float]:
    """Seconds of adding all vectors and searching the first 1,000."""
    import faiss

    faiss.omp_set_num_threads(threads)
    stored = Stored(folder, size)
    queries = stored.queries()
    clock = Clock()
    index = faiss.IndexFlatIP(DIMENSIONS)
    for start in range(0, size, PIECE):
        index.add(stored.rows(start, min(start + PIECE, size)).astype(np.float32))
    index.search(queries, 1000)
    return clock.stop()


def mteb_search(folder: Path, size: int, threads: int) -> dict[str, float]:
    """Seconds of mteb's search of the first 1,000, corpus chunk by corpus chunk, with an encoder that looks up."""
    import torch
    from datasets import Dataset
    from mteb.models import SearchEncoderWrapper

    torch.set_num_threads(threads)
    stored = Stored(folder, size)
    asked = stored.queries()
    held = np.concatenate([stored.rows(at, min(at + PIECE, size)) for at in range(0, size, PIECE)])

    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ModelMeta

    class Looking(AbsEncoder):
        mteb_model_meta = ModelMeta.create_empty({"name": "local/stored", "revision": "1"})

        def __init__(self) -> None:
            pass

        def encode(self, inputs: Any, **how: Any) -> np.ndarray:
            wanted = [int(text.split()[0]) for batch in inputs for text in batch["text"]]
            query = str(how.get("prompt_type", "")).endswith("query")
            return (asked if query else held)[wanted].astype(np.float32)

    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.types import PromptType  # noqa: F401  (what `prompt_type` is)

    metadata = TaskMetadata(
        **{
            **dict.fromkeys(["reference", "date", "domains", "task_subtypes", "license", "annotations_creators"]),
            **dict.fromkeys(["dialect", "sample_creation", "bibtex_citation"]),
            "name": "Scale",
            "description": "Synthetic.",
            "dataset": {"path": "local/scale", "revision": "1"},
            "type": "Retrieval",
            "category": "t2t",
            "modalities": ["text"],
            "eval_splits": ["test"],
            "eval_langs": ["eng-Latn"],
            "main_score": "ndcg_at_10",
        }
    )
    names = [str(n) for n in range(size)]
    corpus = Dataset.from_dict({"id": names, "title": [""] * size, "text": names})
    queries = Dataset.from_dict({"id": names[:QUERIES], "text": names[:QUERIES]})
    search = SearchEncoderWrapper(Looking())
    common = {"task_metadata": metadata, "hf_split": "test", "hf_subset": "default"}
    clock = Clock()
    search.index(corpus, **common, encode_kwargs={"batch_size": 4096}, num_proc=None)
    search.search(queries, **common, top_k=1000, encode_kwargs={"batch_size": 4096}, num_proc=None)
    return clock.stop()


def product_rate(folder: Path, size: int, threads: int) -> dict[str, float]:
    """Best of three float32 products, in 10^9 operations per second."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    queries = rng.standard_normal((QUERIES, DIMENSIONS), dtype=np.float32)
    documents = rng.standard_normal((65_536, DIMENSIONS), dtype=np.float32)
    found = []
    with threadpool_limits(threads):
        for _ in range(4):
            clock = Clock()
            queries @ documents.T
            found.append(clock.stop())
    work = 2 * queries.size * len(documents) / 1e9
    return {name: work / min(one[name] for one in found[1:]) for name in ("seconds", "cpu_s")}


def write(folder: Path, size: int, model: str) -> dict[str, float]:
    """Documents on disk, a file for each shard."""
    real = vectors_of(model)
    for piece, start in enumerate(range(0, size, PIECE)):
        path = folder / f"{piece}.npy"
        if not path.is_file() or np.load(path, mmap_mode="r").shape[0] < min(PIECE, size - start):
            np.save(path, resampled(real, start, start + PIECE))
    return {}


@click.command()
@click.option("--sizes", default="100000,1000000,10000000", show_default=True, help="Documents.")
@click.option("--model", default="xlir-hybrid-static", show_default=True, help="Whose vectors are resampled.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where documents are kept.  [default: a temporary one]")
@click.option("--threads", default=os.cpu_count(), show_default=True, help="Of every contestant.")
@click.option("--largest-peer", default=1_000_000, show_default=True, help="Documents that faiss and mteb may hold.")
@click.option("--json", "as_json", is_flag=True)
def main(sizes: str, model: str, folder: Path | None, threads: int, largest_peer: int, as_json: bool) -> None:
    """Print seconds, peak memory and the share of the matrix-product rate for each size."""
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        for size in (int(one) for one in sizes.split(",")):
            alone(write, place, size, model)
            rates = [alone(product_rate, place, size, threads)]
            found = {"xlir-bench": alone(ours, place, size, threads)}
            rates.append(alone(product_rate, place, size, threads))
            if size <= largest_peer:
                found["faiss"] = alone(faiss_flat, place, size, threads)
                found["mteb"] = alone(mteb_search, place, size, threads)
            best = {name: max(rate[name] for rate in rates) for name in ("seconds", "cpu_s")}
            if as_json:
                click.echo(json.dumps({"documents": size, "threads": threads, "gflops": best, **found}))
                continue
            work = 2.0 * QUERIES * DIMENSIONS * size / 1e9
            click.echo(
                f"{size:,} documents, {threads} threads, product: {best['seconds']:.0f} Gflop/s, "
                f"{best['cpu_s']:.0f} per second of a processor"
            )
            for name, one in found.items():
                shares = [work / one[kind] / best[kind] for kind in ("seconds", "cpu_s")]
                click.echo(
                    f"  {name}: {one['seconds']:.2f} s, {shares[0]:.0%} of the product's rate; {one['cpu_s']:.2f} s of "
                    f"a processor, {shares[1]:.0%}; {one['peak_mib']:,.0f} MiB"
                )


if __name__ == "__main__":
    main()
