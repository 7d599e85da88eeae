"""Models of mteb's registry with small weights of our own, and the texts that reach them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import mteb
import torch
import transformers
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.model_meta import ScoringFunction
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from small_models import save_tokenizer, spread
from tokenizers import Tokenizer, models, pre_tokenizers

QUERIES = {"q0": "w1 w2", "q1": "w3 "}
DOCUMENTS = {"d0": "w1 w5", "d1": "  w3 w4 w9\n", "d2": "w2"}


def save_static(folder: Path, **configuration) -> Path:
    """A sentence-transformers model without a transformer, saved by the library."""
    torch.manual_seed(0)
    words = {f"w{number}": number for number in range(12)} | {"[UNK]": 12}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)], device="cpu", **configuration)
    model.save(str(folder))
    return folder


def save_bert(folder: Path) -> Path:
    """A transformers checkpoint with random weights."""
    size = save_tokenizer(folder, ("[CLS]", "[PAD]", "[SEP]", "[UNK]"), 64)
    config = transformers.BertConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    spread(transformers.BertModel(config)).save_pretrained(folder)
    return folder


def registered(monkeypatch, wrapper: Callable, folder: Path, loader_kwargs: Mapping[str, object], **stated) -> str:
    """Put a model into mteb's registry, whose weights are in `folder`; gives its name there."""
    from mteb.models.get_model_meta import MODEL_REGISTRY

    def loader(name, revision=None, **kwargs):
        return wrapper(str(folder), revision=None, **kwargs)

    loader.__name__ = wrapper.__name__
    name = "xlir/stub"
    stated = {"similarity_fn_name": ScoringFunction.COSINE} | stated
    meta = mteb.models.ModelMeta.create_empty(
        overwrites={"name": name, "revision": "1", "loader": loader, "loader_kwargs": dict(loader_kwargs), **stated}
    )
    monkeypatch.setitem(MODEL_REGISTRY, name, meta)
    return name


def arriving(monkeypatch) -> list[str]:
    """The texts that are tokenised from now on, prompts in front."""
    seen: list[str] = []
    tokenised = StaticEmbedding.preprocess

    def preprocess(self, inputs, prompt=None, **kwargs):
        seen.extend(f"{prompt or ''}{text}" for text in inputs)
        return tokenised(self, inputs, prompt=prompt, **kwargs)

    monkeypatch.setattr(StaticEmbedding, "preprocess", preprocess)
    return seen


class StubRetrieval(AbsTaskRetrieval):
    """A retrieval task in memory, which declares no prompt."""

    metadata = TaskMetadata(
        name="StubRetrieval",
        description="A few documents.",
        dataset={"path": "none", "revision": "1"},
        type="Retrieval",
        category="t2t",
        eval_langs=["eng-Latn"],
        eval_splits=["test"],
        main_score="ndcg_at_10",
    )

    def load_data(self, **kwargs) -> None:
        self.dataset = {
            "default": {
                "test": {
                    "corpus": Dataset.from_list([{"id": name, "text": text} for name, text in DOCUMENTS.items()]),
                    "queries": Dataset.from_list([{"id": name, "text": text} for name, text in QUERIES.items()]),
                    "relevant_docs": {"q0": {"d0": 1}, "q1": {"d1": 1}},
                    "top_ranked": None,
                }
            }
        }
        self.data_loaded = True


def sent_by_mteb(name: str, seen: list[str]) -> tuple[set[str], float]:
    """The texts that reach a model of the registry in `mteb.evaluate`, and its nDCG@10."""
    seen.clear()
    model = mteb.get_model_meta(name).load_model(device="cpu")
    result = mteb.evaluate(
        model, StubRetrieval(), cache=None, co2_tracker=False, show_progress_bar=False, public_only=None
    )
    texts = set(seen)
    seen.clear()
    return texts, result.task_results[0].get_score()
