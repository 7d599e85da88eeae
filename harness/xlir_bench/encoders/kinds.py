"""What kind of model a checkpoint is, read from its configuration files before its weights are.

Only a dense encoder has one vector per text. The libraries load the body of a SPLADE model, of ColBERT or of a reranker
without complaint and pool its token vectors; the figures are then those of a model that nobody trained. So every other
kind is recognised and refused.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xlir_bench.encoders.checkpoint import Foreign, Pooling, package
from xlir_bench.encoders.weights import MODULES, module_types, read_object
from xlir_bench.errors import InputError

Kind = Literal["dense", "sparse", "multi-vector", "reranker", "classifier", "decoder", "encoder-decoder"]

SENTENCE_CONFIG = "config_sentence_transformers.json"

_CODE = "give FILE.py:FACTORY, a function that returns an object whose encode() makes its vectors dense"
_MEANS: dict[Kind, str] = {
    "sparse": f"a sparse encoder, whose vectors are weights of words; to measure it, {_CODE}",
    "multi-vector": "a multi-vector model (late interaction), which has a vector per token; measure a dense encoder",
    "reranker": "a reranker, which scores pairs of texts and has no vectors; measure the encoder of its first stage",
    "classifier": "a classifier, whose body was not trained to give vectors of texts; give the encoder it began with",
    "decoder": "a causal language model, whose token vectors are not to be averaged; if it was trained to give the "
    "vector of a text at its last token, say so: --pooling last-token, or `pooling: last-token` in submission.yaml",
    "encoder-decoder": "a model with an encoder and a decoder; give its encoder, as a sentence-transformers model "
    "(M2M-100: `adapter: m2m100` in submission.yaml)",
}
_MODEL_TYPES: dict[str, Kind] = {
    "SentenceTransformer": "dense",
    "SparseEncoder": "sparse",
    "MultiVectorEncoder": "multi-vector",
    "ColBERT": "multi-vector",
    "CrossEncoder": "reranker",
}
# Modules that only one kind of model has; parts of their class's dotted name.
_MODULES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"\.sparse_encoder\.|SpladePooling|MLMTransformer|SparseAutoEncoder|SparseStaticEmbedding"), "sparse"),
    (re.compile(r"\bpylate\.|\.multi_vector_encoder\.|MultiVectorMask|ColBERT"), "multi-vector"),
    (re.compile(r"\.cross_encoder\.|LogitScore"), "reranker"),
)
# What a Transformer module computes, in its sentence_bert_config.json; "feature-extraction" unless it says otherwise.
_TASKS: dict[str, Kind] = {
    "fill-mask": "sparse",
    "sequence-classification": "reranker",
    "text-generation": "reranker",
}
_LATE_INTERACTION = ("attend_to_expansion_tokens", "skiplist_words", "do_query_expansion")
_SPLADE = re.compile(r"splade|neural-sparse|sparse-encod", re.IGNORECASE)
_MASKED = ("MaskedLM", "XLMWithLMHeadModel", "FlaubertWithLMHeadModel")
_BOTH_WAYS = frozenset(
    {"xlnet", "bert-generation"}
)  # transformers has them for generating text only, but they see it all
_TASK_HEADS = ("ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice", "ForNextSentencePrediction")


@dataclass(frozen=True)
class Finding:
    """The kind of a checkpoint and what says so.

    Attributes:
        kind: "dense" where nothing says otherwise.
        evidence: file and entry, e.g. "config.json: architectures BertForSequenceClassification".
        guessed: whether it follows from a name only, which `pooling` overrules.
    """

    kind: Kind
    evidence: str = ""
    guessed: bool = False


def kind_of(folder: Path) -> Finding:
    """The kind of the checkpoint in a folder.

    `config_sentence_transformers.json` decides before `modules.json`, and that before `config.json`: what
    sentence-transformers describes as a dense encoder is one, whatever its body was trained as before.

    Args:
        folder: with at least one of these files.

    Raises:
        InputError: a file cannot be read, or names a kind of model that is not known.
    """
    about = read_object(folder / SENTENCE_CONFIG)
    return _of_sentence_config(about) or _of_modules(folder) or _of_transformers(folder)


def refuse_other_kinds(folder: Path, pooling: Pooling | None) -> None:
    """Refuse a checkpoint that is no dense encoder.

    Args:
        folder: a checkpoint's.
        pooling: what the user declared. `last-token` makes an encoder of a causal language model.

    Raises:
        InputError: it is of another kind.
    """
    found = kind_of(folder)
    if found.kind == "dense" or (found.kind == "decoder" and pooling == "last-token") or (found.guessed and pooling):
        return
    hint = "; if it is a dense encoder all the same, give --pooling" if found.guessed else ""
    raise InputError(f"{folder} is {_MEANS[found.kind]} ({found.evidence}){hint}")


def refuse_other_objects(made: Foreign, who: str, how: str = "the factory returned") -> None:
    """Refuse an object of sentence-transformers or PyLate that is no dense encoder.

    Args:
        made: what a factory returned.
        who: the model's id, for the message.
        how: how it came here, for the message.

    Raises:
        InputError: it is of another kind.
    """
    if "sentence_transformers" not in sys.modules:  # without it there can be no such object
        return
    for cls in type(made).__mro__:
        kind = _MODEL_TYPES.get(cls.__name__)
        if kind is None or cls.__module__.partition(".")[0] not in {"sentence_transformers", "pylate"}:
            continue
        if kind != "dense":
            raise InputError(f"{who}: {how} {_MEANS[kind]} ({type(made).__name__})")
        return


def _of_sentence_config(about: dict[str, Any]) -> Finding | None:
    """What `config_sentence_transformers.json` says, where it says more than that the model may be dense."""
    declared = about.get("model_type")
    if declared is not None:
        kind = _MODEL_TYPES.get(str(declared))
        if kind is None:
            raise InputError(
                f"{SENTENCE_CONFIG}: model_type {declared!r} is not known; a SentenceTransformer is expected"
            )
        if kind != "dense":
            return Finding(kind, f"{SENTENCE_CONFIG}: model_type {declared}")
    if str(about.get("similarity_fn_name")).lower() == "maxsim":
        return Finding("multi-vector", f"{SENTENCE_CONFIG}: similarity_fn_name {about['similarity_fn_name']}")
    late = [name for name in _LATE_INTERACTION if name in about]
    return Finding("multi-vector", f"{SENTENCE_CONFIG}: {late[0]}") if late else None


def _of_modules(folder: Path) -> Finding | None:
    """What `modules.json` says; None if there is none."""
    modules = module_types(folder)
    for cls, place in modules:
        for pattern, kind in _MODULES:
            if pattern.search(cls):
                return Finding(kind, f"{MODULES}: {cls}")
        # The class of the module says nothing where it is the common one, sentence-transformers' Transformer.
        task = read_object(place / "sentence_bert_config.json").get("transformer_task")
        if task in _TASKS and cls.endswith("Transformer"):
            return Finding(_TASKS[task], f"sentence_bert_config.json: transformer_task {task}")
    return Finding("dense", MODULES) if modules else None


def _of_transformers(folder: Path) -> Finding:
    """What `config.json` says of a checkpoint of transformers."""
    if (folder / "artifact.metadata").is_file():
        return Finding("multi-vector", "artifact.metadata, as ColBERT writes it")
    config = read_object(folder / "config.json")
    architectures = config.get("architectures") or []
    names = [str(name) for name in architectures] if isinstance(architectures, list) else [str(architectures)]
    if "HF_ColBERT" in names:
        return Finding("multi-vector", "config.json: architectures HF_ColBERT")
    # The first is what was saved; further ones are other classes that the repository has code for.
    first = names[0] if names else ""
    evidence = f"config.json: architectures {first}" if first else f"config.json: model_type {config.get('model_type')}"
    kind = _of_architecture(first) or _of_attention(first, config)
    if kind is not None:
        return Finding(kind, evidence)
    if any(word in first for word in _MASKED) and (named := _splade_name(folder, config)):
        return Finding("sparse", f"{evidence}, and its name, {named}", guessed=True)
    return Finding("dense", evidence)


def _of_architecture(name: str) -> Kind | None:
    """The kind by the head of a model, or by its second half."""
    if name.endswith("ForSequenceClassification"):
        return "reranker"
    if name.endswith(_TASK_HEADS):
        return "classifier"
    return "encoder-decoder" if name.endswith(("ForConditionalGeneration", "MTModel", "EncoderDecoderModel")) else None


def _of_attention(name: str, config: dict[str, Any]) -> Kind | None:
    """Whether a token sees only those before it, so that no token but the last knows the whole text."""
    if config.get("is_encoder_decoder") and not name.endswith("EncoderModel"):
        return "encoder-decoder"
    if config.get("is_decoder"):
        return "decoder"
    model_type = str(config.get("model_type"))
    both_ways = (
        config.get("is_causal") is False
        or config.get("use_bidirectional_attention") in {True, "all"}
        or model_type in _BOTH_WAYS
    )
    generates = name.endswith("ForCausalLM") or (
        name.endswith(("LMHeadModel", "DoubleHeadsModel")) and name not in _MASKED
    )
    return "decoder" if not both_ways and (generates or _only_generates(model_type)) else None


def _only_generates(model_type: str) -> bool:
    """Whether transformers has the architecture for generating text and not for filling in masked words."""
    names = package("transformers.models.auto.modeling_auto", "a transformers checkpoint")
    return (
        model_type in names.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and model_type not in names.MODEL_FOR_MASKED_LM_MAPPING_NAMES
        and model_type not in names.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    )


def _splade_name(folder: Path, config: dict[str, Any]) -> str | None:
    """A name of the checkpoint that says SPLADE: of its folder, its repository, or what it was saved as."""
    # A snapshot of the hub lies in models--ORG--NAME/snapshots/COMMIT.
    repository = folder.parent.parent.name if folder.parent.name == "snapshots" else ""
    names = (folder.name, repository.removeprefix("models--"), str(config.get("_name_or_path", "")))
    return next((name for name in names if _SPLADE.search(name)), None)
