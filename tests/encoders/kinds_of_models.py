"""A tiny checkpoint of every kind of model, saved by the library that reads it."""

from __future__ import annotations

import json
from pathlib import Path

import transformers
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling
from small_models import save_tokenizer, spread

SPECIAL = ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
SHAPE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def save_bert(folder: Path, cls: str = "BertModel", **config) -> Path:
    """BERT with the head of a class of transformers."""
    size = save_tokenizer(folder, SPECIAL, 24)
    about = transformers.BertConfig(vocab_size=size, max_position_embeddings=24, pad_token_id=1, **SHAPE, **config)
    spread(getattr(transformers, cls)(about)).save_pretrained(folder)
    return folder


def save_decoder(folder: Path, cls: str = "Qwen3ForCausalLM") -> Path:
    """A causal language model, with or without its head."""
    size = save_tokenizer(folder, SPECIAL, 24)
    about = transformers.Qwen3Config(
        vocab_size=size, max_position_embeddings=64, num_key_value_heads=2, head_dim=8, pad_token_id=1, **SHAPE
    )
    spread(getattr(transformers, cls)(about)).save_pretrained(folder)
    return folder


def save_t5(folder: Path) -> Path:
    size = save_tokenizer(folder, SPECIAL, 24)
    about = transformers.T5Config(vocab_size=size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    transformers.T5ForConditionalGeneration(about).save_pretrained(folder)
    return folder


def save_dense(folder: Path, body: Path, pooling: str = "mean", after=(), **keywords) -> Path:
    """A dense encoder of sentence-transformers on a body saved before."""
    modules = [Transformer(str(body)), Pooling(16, pooling), *after]
    SentenceTransformer(modules=modules, device="cpu", **keywords).save_pretrained(str(folder))
    return folder


def save_sparse(folder: Path, body: Path) -> Path:
    SparseEncoder(modules=[MLMTransformer(str(body)), SpladePooling()], device="cpu").save_pretrained(str(folder))
    return folder


def save_multi_vector(folder: Path, body: Path) -> Path:
    MultiVectorEncoder(str(body), device="cpu").save_pretrained(str(folder))
    return folder


def save_cross_encoder(folder: Path, body: Path) -> Path:
    CrossEncoder(str(body), device="cpu").save_pretrained(str(folder))
    return folder


def rewrite(path: Path, **changes) -> None:
    """Change entries of a JSON file; None takes one out."""
    content = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    content.update(changes)
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}), "utf-8")
