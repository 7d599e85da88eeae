"""XQuAD-R's 121 language pairs by mteb.evaluate and by xlir-bench, one run, same encoders, same machine.

    python benchmarks/vs_mteb.py --data DIR [--pairs 9]

mteb knows no setting across languages: a pair (query language, document language) is a retrieval task of its own, built
here in memory from the same collection. Nine of the 121 pairs are measured by default and extrapolated (every pair does
the same work on nearly as many texts); --pairs 121 measures all. xlir-bench does all 121 pairs and the pool of 13,014
candidates in all languages on top. Times begin with the texts in memory and end with the scores; neither keeps
embeddings from one run to the next. Each side runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
import numpy as np
from alone import alone

from xlir_bench.collection import Collection
from xlir_bench.encoders.protocol import Model, ModelInfo
from xlir_bench.evaluation import evaluate
from xlir_bench.suites import find, load

AIMS = {"hashing": 250, "transformer": 60}


class HashingEncoder:
    """Words hashed into 256 dimensions: an encoder that costs almost nothing, so that the harness is what is timed."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self._vectorizer = HashingVectorizer(n_features=256, dtype=np.float32)

    def encode(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        return self._vectorizer.transform(texts).toarray()


def make_transformer(folder: Path, collection: Collection) -> Path:
    """A sentence-transformers folder: XLM-R's architecture, 2 layers of 128, random weights, own Unigram vocabulary."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import SentencePieceUnigramTokenizer
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    vocabulary = SentencePieceUnigramTokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary.train_from_iterator(
        collection.documents.texts, vocab_size=16000, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=vocabulary._tokenizer,
        model_max_length=512,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
        max_position_embeddings=514,
    )
    XLMRobertaModel(config).save_pretrained(folder / "plain")
    tokenizer.save_pretrained(folder / "plain")
    body = Transformer(str(folder / "plain"))
    SentenceTransformer(modules=[body, Pooling(128)]).save(str(folder / "model"))
    return folder / "model"


def ours(kind: str, collection: Collection, folder: Path, runs: int) -> dict[str, float]:
    """Median seconds of all settings, and the peak memory of this process."""
    if kind == "hashing":
        model = Model(ModelInfo("hashing", "hashing", "none"), HashingEncoder())
    else:
        from xlir_bench.encoders import resolve

        model = resolve(str(folder), "cpu")
    suite = find("xquad-r")
    evaluate(model, suite, collection.select(["th"]))  # compiles the counting, loads the libraries
    seconds = []
    for _ in range(runs):
        start = perf_counter()
        result = evaluate(model, suite, collection).result
        seconds.append(perf_counter() - start)
    return {"seconds": median(seconds), "ap": result.summary["cross-lingual"]["AP"], **result.timing.model_dump()}


def mtebs(kind: str, collection: Collection, folder: Path, pairs: int) -> dict[str, float]:
    """Seconds of some pairs by mteb.evaluate, and the peak memory of this process."""
    import mteb

    model: Any = MtebHashing() if kind == "hashing" else _sentence_transformer(folder)
    every = [(x, y) for x in collection.languages for y in collection.languages]
    chosen = [every[n] for n in np.linspace(0, len(every) - 1, pairs).round().astype(int)]
    mteb.evaluate(model, _task(collection, "th", "th"), cache=None, show_progress_bar=False)  # loads the libraries
    seconds = 0.0
    for x, y in chosen:
        task = _task(collection, x, y)
        start = perf_counter()
        mteb.evaluate(model, task, cache=None, show_progress_bar=False)
        seconds += perf_counter() - start
    return {"seconds": seconds * len(every) / pairs, "measured": pairs, "measured_seconds": seconds}


def _sentence_transformer(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def MtebHashing() -> Any:  # noqa: N802
    """HashingEncoder in mteb's protocol."""
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ModelMeta

    class Wrapped(AbsEncoder):
        mteb_model_meta = ModelMeta.create_empty({"name": "local/hashing", "revision": "1"})

        def __init__(self) -> None:
            self._encoder = HashingEncoder()

        def encode(self, inputs: Any, **_: Any) -> np.ndarray:
            return np.concatenate([self._encoder.encode(batch["text"]) for batch in inputs])

    return Wrapped()


def _task(collection: Collection, x: str, y: str) -> Any:
    """One language pair as an mteb retrieval task, with its data already in it."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    queries, documents, judgements = collection.queries, collection.documents, collection.judgements
    in_x, in_y = queries.rows_by_language[x].tolist(), documents.rows_by_language[y].tolist()
    wanted_queries, wanted_documents = set(in_x), set(in_y)
    relevant: dict[str, dict[str, int]] = {}
    for q, d in zip(judgements.query.tolist(), judgements.document.tolist(), strict=True):
        if q in wanted_queries and d in wanted_documents:
            relevant.setdefault(queries.ids[q], {})[documents.ids[d]] = 1

    class Pair(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name=f"XQuADR{x}{y}",
            description="One pair of XQuAD-R.",
            reference=None,
            dataset={"path": "local/xquad-r", "revision": "1"},
            type="Retrieval",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="map_at_1000",
            date=None,
            domains=None,
            task_subtypes=None,
            license=None,
            annotations_creators=None,
            dialect=None,
            sample_creation=None,
            bibtex_citation=None,
        )

    task = Pair()
    task.dataset = {
        "default": {
            "test": {
                "queries": Dataset.from_list([{"id": queries.ids[q], "text": queries.texts[q]} for q in in_x]),
                "corpus": Dataset.from_list(
                    [{"id": documents.ids[d], "title": "", "text": documents.texts[d]} for d in in_y]
                ),
                "relevant_docs": relevant,
                "top_ranked": None,
            }
        }
    }
    task.data_loaded = True
    return task


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder with xquad-r/.")
@click.option("--pairs", type=click.IntRange(1, 121), default=9, show_default=True, help="Pairs that mteb measures.")
@click.option("--runs", default=3, show_default=True, help="Runs of ours; the median counts.")
@click.option("--encoder", "kinds", multiple=True, type=click.Choice(list(AIMS)), default=list(AIMS))
@click.option("--json", "as_json", is_flag=True)
def main(data: Path, pairs: int, runs: int, kinds: tuple[str, ...], as_json: bool) -> None:
    """Print seconds, peak memory and the ratio for each encoder."""
    collection = load(find("xquad-r"), data)
    for kind in kinds:
        with tempfile.TemporaryDirectory() as temporary:
            folder = make_transformer(Path(temporary), collection) if kind == "transformer" else Path(temporary)
            here = alone(ours, kind, collection, folder, runs)
            there = alone(mtebs, kind, collection, folder, pairs)
        ratio = there["seconds"] / here["seconds"]
        if as_json:
            click.echo(json.dumps({"encoder": kind, "xlir-bench": here, "mteb": there, "ratio": ratio}))
            continue
        click.echo(
            f"{kind}: xlir-bench {here['seconds']:.2f} s (encode {here['encode_s']:.2f}, rank {here['rank_s']:.2f}, "
            f"measure {here['measure_s']:.2f}), {here['peak_mib']:,.0f} MiB; "
            f"mteb {there['seconds']:.1f} s for 121 pairs ({pairs} measured in {there['measured_seconds']:.1f} s), "
            f"{there['peak_mib']:,.0f} MiB; {ratio:.0f} times faster (aim: {AIMS[kind]})"
        )


if __name__ == "__main__":
    main()
