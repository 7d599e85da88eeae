"""`mteb:NAME` beside `mteb.evaluate`: the same texts reach the model, and the result says which prompts they were."""

from __future__ import annotations

import numpy as np
import pytest
from mteb.models.instruct_wrapper import InstructSentenceTransformerModel
from mteb.models.model_implementations.nomic_models import NomicWrapper
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from mteb_stubs import DOCUMENTS, QUERIES, arriving, registered, save_static, sent_by_mteb

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import Options, encode_texts, resolve
from xlir_bench.errors import InputError
from xlir_bench.retrieval import DenseScorer, count_outranked

INSTRUCTION = "Retrieve text based on user query."  # of mteb's AbsTaskRetrieval


def by_role(instruction, prompt_type):
    return f"Instruct: {instruction}\nQuery: " if prompt_type and prompt_type.value == "query" else "Passage: "


CASES = {
    "prompts by role": (
        SentenceTransformerEncoderWrapper,
        {"model_prompts": {"query": "query: ", "document": "passage: "}},
        {"query": "query: ", "document": "passage: "},
    ),
    "a prompt for queries only": (
        SentenceTransformerEncoderWrapper,
        {"model_prompts": {"query": "search: "}},
        {"query": "search: ", "document": ""},
    ),
    "prompts by type of task": (
        SentenceTransformerEncoderWrapper,
        {"model_prompts": {"Retrieval-query": "rq: ", "Retrieval-document": "rd: ", "query": "q: ", "STS": "s: "}},
        {"query": "rq: ", "document": "rd: "},
    ),
    "one prompt for a type of task": (
        SentenceTransformerEncoderWrapper,
        {"model_prompts": {"Retrieval": "r: "}},
        {"query": "r: ", "document": "r: "},
    ),
    "no prompts": (SentenceTransformerEncoderWrapper, {}, {"query": "", "document": ""}),
    "nomic": (
        NomicWrapper,
        {"model_prompts": {"query": "search_query: ", "document": "search_document: "}, "trust_remote_code": True},
        {"query": "search_query: ", "document": "search_document: "},
    ),
    "an instruction for queries": (
        InstructSentenceTransformerModel,
        {"instruction_template": "Instruct: {instruction}\nQuery: ", "apply_instruction_to_passages": False},
        {"query": f"Instruct: {INSTRUCTION}\nQuery: ", "document": ""},
    ),
    "an instruction for both": (
        InstructSentenceTransformerModel,
        {"instruction_template": "{instruction} "},
        {"query": f"{INSTRUCTION} ", "document": f"{INSTRUCTION} "},
    ),
    "a function of instruction and role": (
        InstructSentenceTransformerModel,
        {"instruction_template": by_role, "apply_instruction_to_passages": True},
        {"query": f"Instruct: {INSTRUCTION}\nQuery: ", "document": "Passage: "},
    ),
    "instructions by type of task": (
        InstructSentenceTransformerModel,
        {
            "instruction_template": "I: {instruction} Q: ",
            "prompts_dict": {"Retrieval": "find it", "NFCorpus": "find more"},
            "apply_instruction_to_passages": False,
        },
        {"query": "I: find it Q: ", "document": ""},
    ),
    "the task's prompt before that of the role": (
        InstructSentenceTransformerModel,
        {
            "instruction_template": "I: {instruction} Q: ",
            "prompts_dict": {"query": "find it", "document": "be found"},
            "prompt_priority": ["default_task_prompt", "encode_type_prompt"],
        },
        {"query": "I: find it Q: ", "document": "I: be found Q: "},
    ),
}


def collection() -> Collection:
    return Collection(
        Texts([*QUERIES], [*QUERIES.values()], ["en"] * len(QUERIES)),
        Texts([*DOCUMENTS], [*DOCUMENTS.values()], ["en"] * len(DOCUMENTS)),
        Judgements.of([(0, 0, 1.0), (1, 1, 1.0)]),
        [*QUERIES],
    )


def encoded(model):
    sides = collection().queries, collection().documents
    roles = ("query", "document")
    return [
        encode_texts(model.retriever, model.info, side, role).vectors for side, role in zip(sides, roles, strict=True)
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_model_of_the_registry_gets_the_texts_that_mteb_sends(case, monkeypatch, tmp_path):
    wrapper, loader_kwargs, prompts = CASES[case]
    seen = arriving(monkeypatch)
    name = registered(monkeypatch, wrapper, save_static(tmp_path / "model"), loader_kwargs)
    expected, score = sent_by_mteb(name, seen)
    model = resolve(f"mteb:{name}", "cpu", Options(trust_remote_code=True))
    seen.clear()
    queries, documents = encoded(model)
    assert set(seen) == expected
    assert model.info.prompts == prompts
    ranks = count_outranked(DenseScorer(queries, documents, model.info.similarity), collection(), across_languages=True)
    assert np.mean(1 / np.log2(1 + ranks.rank_in_pool)) == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("case", ["prompts by role", "no prompts", "an instruction for queries", "nomic"])
@pytest.mark.parametrize("given", [{"query": "a: ", "document": "b: "}, {"query": "a: "}, {"document": ""}])
def test_given_prompts_take_the_place_of_the_models_and_a_role_without_keeps_its_own(
    case, given, monkeypatch, tmp_path
):
    wrapper, loader_kwargs, own = CASES[case]
    seen = arriving(monkeypatch)
    name = registered(monkeypatch, wrapper, save_static(tmp_path / "model"), loader_kwargs)
    options = Options(trust_remote_code=True, query_prompt=given.get("query"), document_prompt=given.get("document"))
    model = resolve(f"mteb:{name}", "cpu", options)
    seen.clear()
    encoded(model)
    expected = own | given
    assert model.info.prompts == expected
    queries = {expected["query"] + text for text in QUERIES.values()}
    assert set(seen) == queries | {expected["document"] + text.strip() for text in DOCUMENTS.values()}


def test_prompts_that_a_loader_does_not_take_are_refused(monkeypatch):
    with pytest.raises(InputError, match=r"mteb/baseline-random-encoder: its loader takes no prompts"):
        resolve("mteb:mteb/baseline-random-encoder", "cpu", Options(query_prompt="query: "))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pooling": "cls"}, "--pooling"),
        ({"max_length": 128}, "--max-length"),
        ({"backend": "onnx"}, "--backend"),
        ({"batch_tokens": 100}, "--batch-tokens"),
        ({"query_prompt_name": "query"}, "--query-prompt-name"),
        ({"document_prompt_name": "document"}, "--document-prompt-name"),
        ({"registry": False}, "--no-registry"),
        ({"precision": "float16"}, "--precision"),
        ({"truncate_dim": 4}, "--truncate-dim"),
    ],
)
def test_an_option_that_does_not_apply_to_a_model_of_the_registry_is_an_error(options, named):
    with pytest.raises(InputError, match=named):
        resolve("mteb:mteb/baseline-random-encoder", "cpu", Options(**options))


@pytest.mark.parametrize("field", ["max_length: 128", "pooling: cls", "backend: onnx", 'prompts: {query: "q: "}'])
def test_a_field_of_a_manifest_that_does_not_apply_is_an_error(field, tmp_path):
    (tmp_path / "submission.yaml").write_text(
        f"{{name: r, adapter: mteb, licence: MIT, source: {{mteb: mteb/baseline-random-encoder}}, {field}}}"
    )
    with pytest.raises(InputError, match=r"does not apply|would have no effect|takes no prompts"):
        resolve(str(tmp_path), "cpu")


def test_precision_and_dimensions_reach_a_sentence_transformers_model(monkeypatch, tmp_path):
    loaded = []

    def wrapper(name, revision=None, **kwargs):
        loaded.append(dict(kwargs))
        kwargs.pop("model_kwargs", None)
        return SentenceTransformerEncoderWrapper(name, revision, **kwargs)

    wrapper.__name__ = "SentenceTransformerEncoderWrapper"
    folder = save_static(tmp_path / "model")
    name = registered(monkeypatch, wrapper, folder, {"model_kwargs": {"torch_dtype": "auto"}}, embed_dim=[4, 8])
    model = resolve(f"mteb:{name}", "cpu", Options(truncate_dim=4, precision="bfloat16"))
    assert encoded(model)[0].shape == (2, 4)
    assert str(loaded[0]["model_kwargs"]["dtype"]) == "torch.bfloat16"
    assert loaded[0]["model_kwargs"]["use_safetensors"] is True
    assert "torch_dtype" not in loaded[0]["model_kwargs"]
