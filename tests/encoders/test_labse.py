"""LaBSE's shape: BERT, the first token, a dense layer with tanh, length one; against the matrices by hand."""

from __future__ import annotations

import numpy as np
import pytest
import small_models
import torch
import transformers
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer

from xlir_bench.encoders import resolve, transformer
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.encoders.sentence_transformer import SentenceTransformerEncoder
from xlir_bench.errors import InputError

TEXTS = small_models.TEXTS
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    size = small_models.save_tokenizer(folder, ("[CLS]", "[PAD]", "[SEP]", "[UNK]"), 24)
    config = transformers.BertConfig(vocab_size=size, max_position_embeddings=24, pad_token_id=1, **SHAPE)
    small_models.spread(transformers.BertModel(config)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def labse(bert, tmp_path_factory):
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("labse")
    head = Dense(16, 16, activation_function=torch.nn.Tanh())
    SentenceTransformer(modules=[Transformer(str(bert)), Pooling(16, "cls"), head, Normalize()]).save(str(folder))
    return folder


def first_states(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.BertModel.from_pretrained(folder).eval()
    states = []
    for text in TEXTS:
        ids = tokenizer(text, truncation=True, max_length=24)["input_ids"]
        with torch.no_grad():
            states.append(model(input_ids=torch.tensor([ids])).last_hidden_state[0, 0].numpy())
    return np.array(states)


def test_the_dense_head_the_pooling_and_the_normalisation_are_those_of_the_definition(bert, labse):
    head = load_file(labse / "2_Dense" / "model.safetensors")
    expected = np.tanh(first_states(bert) @ head["linear.weight"].T + head["linear.bias"])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    model = resolve(str(labse), "cpu")
    assert isinstance(model.retriever, SentenceTransformerEncoder)
    vectors = model.retriever.encode(TEXTS, role="query", languages=["en"] * len(TEXTS))
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    backwards = model.retriever.encode(TEXTS[::-1], role="query", languages=["en"] * len(TEXTS))
    np.testing.assert_allclose(backwards[::-1], vectors, atol=1e-5)


def test_bert_s_own_pooler_is_a_dense_layer_with_tanh_on_the_first_token(bert):
    weights = load_file(bert / "model.safetensors")
    expected = np.tanh(first_states(bert) @ weights["pooler.dense.weight"].T + weights["pooler.dense.bias"])
    loaded = transformer.load(bert, Settings(pooling="pooler"), "cpu")
    vectors = loaded.encoder.encode(TEXTS, role="query", languages=["en"] * len(TEXTS))
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_a_pooler_that_the_checkpoint_lacks_is_an_error_only_where_it_is_used(bert, tmp_path):
    model = transformers.BertForMaskedLM.from_pretrained(bert)
    model.save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(bert).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"lacks weights of the encoder: pooler\.dense"):
        transformer.load(tmp_path, Settings(pooling="pooler"), "cpu")
    loaded = transformer.load(tmp_path, Settings(pooling="cls"), "cpu")
    vectors = loaded.encoder.encode(TEXTS, role="query", languages=["en"] * len(TEXTS))
    np.testing.assert_allclose(vectors, first_states(bert), atol=1e-5)
