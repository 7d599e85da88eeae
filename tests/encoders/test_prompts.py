"""Texts reach a sentence-transformers model as `encode_query` and `encode_document` would send them."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kinds_of_models import SPECIAL, rewrite, save_bert, save_dense
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router
from sentence_transformers.sentence_transformer.modules import (
    Pooling,
    StaticEmbedding,
    Transformer,
    WordEmbeddings,
    WordWeights,
)
from sentence_transformers.sentence_transformer.modules.tokenizer import WhitespaceTokenizer
from tokenizers import Tokenizer, models, pre_tokenizers

from xlir_bench.encoders import Options, resolve
from xlir_bench.encoders import sentence_transformer as adapter
from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.encoders.prompts import NAMES, Declared, chosen, declared_prompts, found
from xlir_bench.errors import InputError

TEXTS = ["w1", "w2 w3 w4 w5 w6", "w7 " * 15, "w8 w9", "", " w3  w4 "]
CONFIG = "config_sentence_transformers.json"


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


def static(seed=0):
    words = [*SPECIAL, "q:", "d:", "query:", "passage:", *(f"w{row}" for row in range(30))]
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    weights = np.random.default_rng(seed).standard_normal((len(words), 16)).astype(np.float32)
    return StaticEmbedding(tokenizer, embedding_weights=weights)


def save(folder, modules, **keywords):
    SentenceTransformer(modules=modules, device="cpu", **keywords).save_pretrained(str(folder))
    return folder


def ours(folder, role, options=None):
    model = resolve(str(folder), "cpu", options)
    return model, model.retriever.encode(TEXTS, role=role, languages=["en"] * len(TEXTS))


def theirs(folder, role):
    library = SentenceTransformer(str(folder), device="cpu")
    return (library.encode_query if role == "query" else library.encode_document)(TEXTS, show_progress_bar=False)


def assert_as_the_library(folder):
    for role in ("query", "document"):
        np.testing.assert_allclose(ours(folder, role)[1], theirs(folder, role), atol=2e-5)


@pytest.mark.parametrize(
    "prompts",
    [
        {},
        {"query": "query: "},
        {"query": "query: ", "document": "passage: "},
        {"document": "passage: "},
        {"query": "", "document": ""},
        {"query": "query: ", "document": "", "passage": "passage: "},
        {"query": "query: ", "passage": "passage: "},
        {"corpus": "passage: "},
        {"default": "query: "},
        {"query": "query: ", "document": "", "default": "passage: "},
    ],
    ids=str,
)
@pytest.mark.parametrize("default", [None, "default"])
def test_a_saved_model_s_prompts_are_those_of_encode_query_and_encode_document(bert, tmp_path, prompts, default):
    folder = save_dense(
        tmp_path / "st", bert, prompts=prompts, default_prompt_name=default if default in prompts else None
    )
    assert_as_the_library(folder)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"])
def test_a_prompt_left_out_of_the_pooling_is_left_out(bert, tmp_path, pooling):
    modules = [Transformer(str(bert)), Pooling(16, pooling, include_prompt=False)]
    folder = save(tmp_path / "st", modules, prompts={"query": "query: w1 ", "document": "passage: "})
    assert_as_the_library(folder)


def test_a_router_sends_queries_and_documents_through_their_own_modules(bert, tmp_path):
    documents = [Transformer(str(bert)), Pooling(16), Dense(16, 16)]
    router = Router.for_query_document(query_modules=[static()], document_modules=documents)
    prompts = {"query": "query: ", "document": "passage: "}
    for name, modules in (("at the root", [router, Normalize()]), ("after all", [router])):
        folder = save(tmp_path / name, modules, prompts=prompts)
        assert (folder / "document_2_Dense" / "model.safetensors").is_file()
        assert_as_the_library(folder)
        model = resolve(str(folder), "cpu")
        lengths = [model.retriever.lengths(["w1 w2"], role=role, languages=["en"])[0] for role in ("query", "document")]
        assert lengths == [3, 5]


def test_a_router_in_a_router_loads(bert, tmp_path):
    inner = Router.for_query_document(query_modules=[static(1)], document_modules=[static(2)])
    router = Router.for_query_document(query_modules=[inner], document_modules=[Transformer(str(bert)), Pooling(16)])
    assert_as_the_library(save(tmp_path / "st", [router]))


@pytest.mark.parametrize("dimensions", [None, 6])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_modules_after_the_pooling_and_a_saved_truncation_are_the_library_s(bert, tmp_path, dimensions, similarity):
    keywords = {"truncate_dim": dimensions, "similarity_fn_name": similarity, "prompts": {"query": "query: "}}
    folder = save_dense(tmp_path / "st", bert, after=[Dense(16, 12), Normalize()], **keywords)
    assert_as_the_library(folder)
    info = resolve(str(folder), "cpu").info
    assert info.similarity == similarity
    assert info.details.get("truncate_dim") == dimensions
    assert info.details["dimensions"] == (dimensions or 12)


def test_static_vectors_and_weighted_words_are_the_library_s(tmp_path):
    prompts = {"query": "query: ", "document": "passage: "}
    assert_as_the_library(save(tmp_path / "static", [static()], prompts=prompts))
    vocabulary = ["PADDING_TOKEN", "query:", "passage:", *(f"w{row}" for row in range(10))]
    vectors = np.random.default_rng(0).standard_normal((len(vocabulary), 16)).astype(np.float32)
    words = WordEmbeddings(WhitespaceTokenizer(vocabulary, do_lower_case=True), vectors)
    weights = WordWeights(vocabulary, {word: row + 0.5 for row, word in enumerate(vocabulary)})
    folder = save(tmp_path / "words", [words, weights, Pooling(16)], prompts=prompts)
    model, _ = ours(folder, "query")
    for role in ("query", "document"):
        full = [text for text in TEXTS if text.strip()]
        library = SentenceTransformer(str(folder), device="cpu")
        expected = (library.encode_query if role == "query" else library.encode_document)(full)
        np.testing.assert_allclose(
            model.retriever.encode(full, role=role, languages=["en"] * len(full)), expected, atol=1e-5
        )
    assert model.retriever.lengths(["w1 w2"], role="query", languages=["en"]).tolist() == [3]


def test_a_length_for_queries_alone_is_kept(bert, tmp_path):
    folder = save_dense(tmp_path / "st", bert)
    rewrite(folder / "sentence_bert_config.json", query_length=5)
    assert_as_the_library(folder)
    long = ["w1 " * 15]
    library = SentenceTransformer(str(folder), device="cpu")
    assert not np.allclose(library.encode_query(long), library.encode_document(long), atol=1e-3)


PUBLISHED = [
    # The prompts in config_sentence_transformers.json of published checkpoints, in short, and what retrieval needs.
    ({"retrieval.query": "q", "retrieval.passage": "d", "separation": "", "classification": ""}, "q", "d"),
    ({"web_search_query": "q", "sts_query": "s", "summarization_query": "t", "bitext_query": "u"}, "q", ""),
    ({"s2p_query": "q", "s2s_query": "s"}, "q", ""),
    ({"query": "q", "passage": "d", "Classification": "c"}, "q", "d"),
    ({"query": "q", "document": ""}, "q", ""),
    ({"query": "q", "passage": ""}, "q", ""),
    ({"search_query": "q", "search_document": "d", "clustering": "c"}, "q", "d"),
    ({"query": "q", "document": "d", "BitextMining": "b", "Retrieval-query": "x"}, "q", "d"),
]


@pytest.mark.parametrize(("prompts", "query", "document"), PUBLISHED)
def test_names_that_the_field_uses_are_found(tmp_path, prompts, query, document):
    (tmp_path / CONFIG).write_text(json.dumps({"prompts": prompts}))
    assert chosen(declared_prompts(tmp_path), Settings()).texts == {"query": query, "document": document}


# The empty `document` that the library adds hides `passage` from its own encode_document.
@pytest.mark.parametrize(("prompts", "query", "document"), [row for row in PUBLISHED if "passage" not in row[0]])
def test_they_are_found_in_what_the_installed_version_saves(tmp_path, prompts, query, document):
    folder = save(tmp_path / "st", [static()], prompts=prompts)
    assert chosen(declared_prompts(folder), Settings()).texts == {"query": query, "document": document}


def test_an_empty_prompt_that_the_authors_wrote_is_not_replaced_by_another(tmp_path):
    own = {"query": "", "web_search_query": "q", "document": "", "search_document": "d"}
    (tmp_path / CONFIG).write_text(json.dumps({"__version__": {"sentence_transformers": "3.0.1"}, "prompts": own}))
    assert chosen(declared_prompts(tmp_path), Settings()).texts == {"query": "", "document": ""}


@given(
    st.dictionaries(st.sampled_from([*NAMES["query"], *NAMES["document"], "other"]), st.sampled_from(["", "a", "b"]))
)
def test_a_prompt_that_the_library_finds_is_never_replaced(own):
    """Oracle: the candidates of `encode_query` and `encode_document`, over what the file says."""
    for role, candidates in (("query", ["query"]), ("document", ["document", "passage", "corpus"])):
        first = next((name for name in candidates if name in own), None)
        for padded in (False, True):
            name = found(Declared(own, padded), role)
            if first is not None and (own[first] or not padded):
                assert name == first
            assert name is None or name in own


def warnings_of(caplog):
    return [record.message for record in caplog.records if record.name.startswith("xlir_bench")]


@pytest.mark.parametrize(
    ("prompts", "roles"),
    [
        ({"classification": "c", "clustering": "d"}, ["query", "document"]),
        ({"query": "q", "document": "", "passage": "p"}, ["document"]),
        ({"query": "q", "document": ""}, []),
        ({"query": "q"}, []),
        ({"s2p_query": "q", "s2s_query": "s"}, []),
        ({}, []),
    ],
    ids=str,
)
def test_prompts_of_which_none_was_found_are_listed(prompts, roles, caplog):
    with caplog.at_level(logging.WARNING):
        chosen(Declared(prompts), Settings())
    warned = warnings_of(caplog)
    assert len(warned) == len(roles)
    for message, role in zip(warned, roles, strict=True):
        assert f"--{role}-prompt-name" in message
        assert "\n" not in message
        assert "classification, clustering" in message or "passage" in message


def test_options_choose_a_prompt_by_text_or_by_name(bert, tmp_path):
    own = {"query": "query: ", "document": "passage: ", "other": "w1 w1 "}
    folder = save_dense(tmp_path / "st", bert, prompts=own)
    library = SentenceTransformer(str(folder), device="cpu")
    for options, expected in (
        (Options(query_prompt=""), library.encode(TEXTS, prompt="")),
        (Options(query_prompt="w5 "), library.encode(TEXTS, prompt="w5 ")),
        (Options(query_prompt_name="other"), library.encode(TEXTS, prompt_name="other")),
        (Options(document_prompt="w5 "), library.encode(TEXTS, prompt_name="query")),
    ):
        model, vectors = ours(folder, "query", options)
        np.testing.assert_allclose(vectors, expected, atol=2e-5)
        assert model.info.prompts["query"] == (
            {"other": own["other"]}.get(options.query_prompt_name)
            or (options.query_prompt if options.query_prompt is not None else "query: ")
        )
    assert ours(folder, "document", Options(document_prompt="w5 "))[0].info.prompts["document"] == "w5 "


def test_a_name_that_is_not_the_model_s_is_refused_with_those_that_are(bert, tmp_path):
    folder = save_dense(tmp_path / "st", bert, prompts={"query": "query: ", "other": "x "})
    with pytest.raises(InputError, match=r"no prompt 'titel' for a document.*query, document, other|no prompt 'titel'"):
        resolve(str(folder), "cpu", Options(document_prompt_name="titel"))
    with pytest.raises(InputError, match="--query-prompt or --query-prompt-name, not both"):
        resolve(str(folder), "cpu", Options(query_prompt="a", query_prompt_name="other"))


def test_the_name_in_an_option_counts_over_the_manifest_s_text(bert, tmp_path):
    save_dense(tmp_path / "st", bert, prompts={"other": "w1 "})
    (tmp_path / "submission.yaml").write_text(
        "name: m\nsource: {folder: st}\nadapter: sentence-transformers\nlicence: MIT\nprompts: {query: 'w2 '}\n"
    )
    info = resolve(str(tmp_path), "cpu", Options(query_prompt_name="other")).info
    assert info.prompts == {"query": "w1 ", "document": ""}


def test_prompts_in_force_change_the_fingerprint_and_say_their_names(bert, tmp_path):
    folder = save_dense(tmp_path / "st", bert, prompts={"query": "query: ", "other": "w1 "})
    plain = resolve(str(folder), "cpu").info
    named = resolve(str(folder), "cpu", Options(query_prompt_name="other")).info
    assert plain.fingerprint != named.fingerprint
    assert named.details["prompt_names"] == {"query": "other", "document": "document"}


def test_more_dimensions_than_the_model_has_are_refused(bert, tmp_path):
    folder = save_dense(tmp_path / "st", bert, truncate_dim=4)
    assert ours(folder, "query", Options(truncate_dim=8))[1].shape == (len(TEXTS), 8)
    for place in (folder, bert):
        with pytest.raises(InputError, match=r"truncate_dim.* 17 is more than the model's 16 dimensions"):
            resolve(str(place), "cpu", Options(truncate_dim=17))


@pytest.mark.parametrize("dimensions", [1, 5, 16])
def test_truncation_keeps_the_first_dimensions(bert, tmp_path, dimensions):
    folder = save_dense(tmp_path / "st", bert)
    for place in (folder, bert):
        whole, (model, cut) = ours(place, "query")[1], ours(place, "query", Options(truncate_dim=dimensions))
        np.testing.assert_allclose(cut, whole[:, :dimensions], atol=1e-6)
        assert model.info.details["truncate_dim"] == model.info.details["dimensions"] == dimensions
        assert model.info.fingerprint != resolve(str(place), "cpu").info.fingerprint


def test_a_model_with_an_adapter_for_each_task_is_told_the_prompt_s_name(bert, tmp_path):
    folder = save_dense(tmp_path / "st", bert, prompts={"retrieval.query": "query: ", "retrieval.passage": "passage: "})
    library = SentenceTransformer(str(folder), device="cpu")
    heard = []
    original = library[0].forward

    def forward(features, task=None, **kwargs):
        heard.append(task)
        return original(features, **kwargs)

    library[0].forward, library.module_kwargs = forward, {"0": ["task"]}
    encoder = adapter.wrapped(library, Settings(), "cpu").encoder
    heard.clear()
    for role in ("query", "document"):
        encoder.encode(["w1"], role=role, languages=["en"])
    assert heard == ["retrieval.query", "retrieval.passage"]


def test_a_model_without_vectors_of_texts_is_one_line(bert, tmp_path):
    folder = save_dense(tmp_path / "st", bert)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:1]))
    with pytest.raises(InputError, match="sentence-transformers cannot encode with it") as raised:
        resolve(str(folder), "cpu")
    assert "\n" not in str(raised.value)
