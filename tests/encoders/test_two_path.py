"""The two-path encoder: what it stores, and that its vectors are what its definition says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_models import spread
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.encoders.two_path import SPECIAL, TwoPath, load, packed_rows, tokenizer_of, unpacked_rows
from xlir_bench.errors import InputError

WORDS = [f"w{number}" for number in range(20)]
TEXTS = ["w1 w2", "w3", "w4 w5 w6 w7 w8 w9 w10", "w1 w1 w1 w2"]
WEIGHT = 0.3


def small(lexical_weight: float = WEIGHT) -> TwoPath:
    ids = {word: row for row, word in enumerate(["[UNK]", *WORDS, *SPECIAL])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, ids[name]) for name in SPECIAL[:2]]
    )
    config = transformers.BertConfig(
        vocab_size=len(ids),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=ids["[PAD]"],
    )
    body = spread(transformers.BertModel(config, add_pooling_layer=False)).eval()
    bag = torch.randn(len(ids), 12, generator=torch.Generator().manual_seed(1))
    bag[-len(SPECIAL) :] = 0
    return TwoPath(tokenizer_of(tokenizer), body, bag, lexical_weight)


def encode(folder: Path, texts: list[str]) -> np.ndarray:
    return load(folder, Settings(), "cpu").encoder.encode(texts, role="query", languages=["en"] * len(texts))


def by_hand(model: TwoPath, text: str) -> tuple[np.ndarray, np.ndarray]:
    """Both unit vectors of one text, alone and without padding."""
    ids = [1 + WORDS.index(word) for word in text.split()]
    first, last = len(WORDS) + 1, len(WORDS) + 2
    with torch.no_grad():
        hidden = model.body(input_ids=torch.tensor([[first, *ids, last]])).last_hidden_state[0]
    mean = hidden.numpy().mean(axis=0)
    total = sum(model.bag.weight[i].detach().numpy() for i in ids)
    return total / np.linalg.norm(total), mean / np.linalg.norm(mean)


def test_a_stored_encoder_gives_the_vectors_of_its_definition(tmp_path: Path) -> None:
    small().save(str(tmp_path))
    found = encode(tmp_path, TEXTS)
    stored = TwoPath.load(str(tmp_path)).eval()
    for vector, text in zip(found, TEXTS, strict=True):
        lexical, contextual = by_hand(stored, text)
        expected = np.concatenate([lexical * WEIGHT**0.5, contextual * (1 - WEIGHT) ** 0.5])
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_a_cosine_is_the_weighted_mean_of_the_cosines_of_both_paths(tmp_path: Path) -> None:
    small().save(str(tmp_path))
    stored = TwoPath.load(str(tmp_path)).eval()
    (bag_a, mean_a), (bag_b, mean_b) = by_hand(stored, TEXTS[0]), by_hand(stored, TEXTS[3])
    first, second = encode(tmp_path, [TEXTS[0], TEXTS[3]])
    assert first @ second == pytest.approx(WEIGHT * (bag_a @ bag_b) + (1 - WEIGHT) * (mean_a @ mean_b), abs=1e-5)


def test_neither_order_nor_neighbours_of_a_text_matter(tmp_path: Path) -> None:
    small().save(str(tmp_path))
    together = encode(tmp_path, TEXTS)
    alone = np.concatenate([encode(tmp_path, [text]) for text in reversed(TEXTS)])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_saving_what_was_loaded_changes_no_vector(tmp_path: Path) -> None:
    small().save(str(tmp_path / "once"))
    TwoPath.load(str(tmp_path / "once")).save(str(tmp_path / "twice"))
    np.testing.assert_allclose(encode(tmp_path / "once", TEXTS), encode(tmp_path / "twice", TEXTS), atol=1e-6)


@given(arrays(np.float32, (5, 8), elements=st.floats(-100, 100, width=32)))
def test_four_bits_are_no_worse_than_plain_rounding_to_fifteen_levels(vectors: np.ndarray) -> None:
    packed, scales = packed_rows(vectors)
    assert packed.nbytes == vectors.size // 2
    found = np.square(unpacked_rows(packed, scales) - vectors).sum(axis=1)
    steps = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-12) / 7
    plain = np.square(np.round(vectors / steps) * steps - vectors).sum(axis=1)
    assert (found <= plain * (1 + 1e-3) + 1e-9).all()


@pytest.mark.parametrize("damage", ["weights", "config", "tokenizer"])
def test_a_damaged_folder_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    small().save(str(tmp_path))
    name = {"weights": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}[damage]
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(InputError, match="not a two-path encoder") as caught:
        load(tmp_path, Settings(), "cpu")
    assert "\n" not in str(caught.value)


def test_pooling_is_not_for_a_manifest_to_choose(tmp_path: Path) -> None:
    small().save(str(tmp_path))
    with pytest.raises(InputError, match="its own pooling"):
        load(tmp_path, Settings(pooling="mean"), "cpu")
