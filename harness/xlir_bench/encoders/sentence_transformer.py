"""Models that sentence-transformers describes: a folder with a `modules.json`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders import prompts as prompting
from xlir_bench.encoders import remote_code
from xlir_bench.encoders.batching import Pace, TokenEncoder, padded, token_ids
from xlir_bench.encoders.checkpoint import Foreign, Loaded, Settings, loading, one_line, package, weight_options
from xlir_bench.encoders.converted import safe_weights
from xlir_bench.encoders.kinds import refuse_other_kinds
from xlir_bench.encoders.protocol import Encoder, Role, Vectors
from xlir_bench.encoders.similarity import named
from xlir_bench.errors import InputError

NAME = "sentence-transformers"

_TRIAL = ("one", "A text of a few more words, Größe 3.", "第三 τρία तीन")
_SAME = 1e-4
# Settings of a Transformer module by which a role, or a text longer than those of the trial, is treated differently.
_METHODS = ("encode", "encode_query", "encode_document", "preprocess", "tokenize", "forward")
_BY_ROLE = ("query_length", "document_length", "query_expansion", "processing_kwargs")


class SentenceTransformerEncoder(TokenEncoder):
    """A `SentenceTransformer` given token ids: texts are tokenised once, ahead of the model, and batched by length.

    Args:
        model: a `sentence_transformers.SentenceTransformer` with a tokenizer.
        prompts: the text put before each role's texts.
        pace: tokens per batch.
    """

    def __init__(self, model: Foreign, prompts: Mapping[Role, str], pace: Pace) -> None:
        self.model, self.prompts, self.pace = model, dict(prompts), pace
        self.dimensions, self.truncate_dim = dimensions_of(model), model.truncate_dim
        self._limit = limit_of(model)

    def tokenise(self, texts: Sequence[str], role: Role, languages: Sequence[str]) -> list[list[int]]:
        """See `TokenEncoder.tokenise`. The language does not matter."""
        return token_ids(self.model.tokenizer, [self.prompts[role] + text for text in texts], self._limit)

    def forward(self, ids: Sequence[Sequence[int]], languages: Sequence[str]) -> Vectors:
        """See `TokenEncoder.forward`."""
        torch = package("torch", NAME)
        with torch.inference_mode():
            tokens, mask = padded(ids, self.model.tokenizer.pad_token_id or 0, str(self.model.device))
            features = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens) if mask is None else mask}
            vectors: Vectors = self.model(features)["sentence_embedding"].float().cpu().numpy()
        return vectors


class LibraryEncoder:
    """A `SentenceTransformer` through its own `encode`, for those that are more than a tokenizer and a forward pass.

    Args:
        model: a `sentence_transformers.SentenceTransformer`.
        prompts: the text put before each role's texts.
        pace: tokens per batch.
        tasks: what the model is told that a role's texts are for; the role itself where a role is not in it.
    """

    def __init__(
        self, model: Foreign, prompts: Mapping[Role, str], pace: Pace, tasks: Mapping[Role, str] | None = None
    ) -> None:
        self.model, self.prompts, self.pace, self.tasks = model, dict(prompts), pace, dict(tasks or {})
        self.dimensions = dimensions_of(model)

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions): what `encode_query` and `encode_document` give, in whatever order."""
        if not len(texts):
            return np.empty((0, self.dimensions), np.float32)

        def forward(at: npt.NDArray[np.int64]) -> Vectors:
            part = [texts[row] for row in at]
            given: dict[str, Any] = {"batch_size": len(at), "show_progress_bar": False, "prompt": self.prompts[role]}
            if role in self.tasks:
                return self.model.encode(part, task=self.tasks[role], **given)
            return (self.model.encode_query if role == "query" else self.model.encode_document)(part, **given)

        if not callable(_tokenizer(self.model, role)):
            # A bag of token vectors (StaticEmbedding) pads nothing, so the whole block is one batch.
            return forward(np.arange(len(texts)))
        return self.pace.run(self.lengths(texts, role=role, languages=languages).tolist(), forward)

    def lengths(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> npt.NDArray[np.int64]:
        """Tokens of each text, shape (texts,); see `protocol.Tokenising`."""
        tokenizer = _tokenizer(self.model, role)
        prompted = [self.prompts[role] + text for text in texts]
        ids: Iterable[Any]
        if callable(tokenizer):
            ids = tokenizer(prompted)["input_ids"] if prompted else []
        elif hasattr(tokenizer, "encode_batch"):
            ids = tokenizer.encode_batch(prompted, add_special_tokens=False)
        else:  # a tokenizer of sentence-transformers' own, for models of word vectors
            ids = [tokenizer.tokenize(text) if tokenizer is not None else text.split() for text in prompted]
        limit = limit_of(self.model) or np.inf
        return np.array([min(len(row), limit) for row in ids], dtype=np.int64)


def _tokenizer(model: Foreign, role: Role) -> Foreign:
    """The tokenizer that reads a role's texts, which a Router may have several of; None if there is none."""
    first = _routed(model[0], role)
    return getattr(first, "tokenizer", None)


def _routed(module: Foreign, role: Role) -> Foreign:
    """The module that reads a role's texts: the first one of its route, if `module` is a Router."""
    while hasattr(module, "sub_modules") and hasattr(module, "_resolve_route"):
        module = module.sub_modules[module._resolve_route(task=role, modality="text")][0]
    return module


def load(folder: Path, settings: Settings, device: str) -> Loaded:
    """The model in `folder`.

    Raises:
        InputError: pickled weights, code that comes with the model, a setting that this adapter does not take, or a
            folder that sentence-transformers cannot load.
        MissingResourceError: a package is not installed.
    """
    refuse_other_kinds(folder, None)
    if settings.pooling is not None:
        raise InputError(f"{folder}: pooling is part of a sentence-transformers model; leave it out")
    if settings.backend != "torch" and settings.precision != "float32":
        raise InputError(f"{folder}: the backend {settings.backend} has the precision of its export; leave it out")
    if settings.backend == "openvino":
        device = "cpu"  # as torch calls it; OpenVINO knows no other of torch's devices
    weights = safe_weights(folder, settings)
    options = _backend_options(settings)
    code = remote_code.fetched(folder, settings)
    library = package("sentence_transformers", NAME)
    with loading(folder, "sentence-transformers"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"transformers\.")  # tracing warns of each branch in a model's code
        model = library.SentenceTransformer(
            str(weights),
            device=device,
            trust_remote_code=settings.trust_remote_code,
            local_files_only=True,
            backend=settings.backend,
            model_kwargs=options,
        )
    if settings.backend == "torch":
        model.to(options["dtype"])
    if settings.max_length is not None:
        model.max_seq_length = settings.max_length
    loaded = wrapped(model, settings, device, prompting.declared_prompts(folder))
    loaded.fingerprint_fields.update(code)
    return loaded


def _backend_options(settings: Settings) -> dict[str, Any]:
    """What the backend is told when it loads, or makes, the model that it computes with.

    Raises:
        MissingResourceError: its package is not installed.
    """
    if settings.backend == "torch":
        return weight_options(settings)
    extra = f"pip install 'xlir-bench[{settings.backend}]'"
    module = {"onnx": "optimum.onnxruntime", "openvino": "optimum.intel.openvino"}[settings.backend]
    package(module, f"the backend {settings.backend}", extra)
    if settings.backend == "onnx":
        return {}
    # Left to itself OpenVINO computes in bfloat16 where the processor can, and rounds large models' weights to 8 bits.
    return {"ov_config": {"INFERENCE_PRECISION_HINT": "f32"}, "load_in_8bit": False}


def wrapped(model: Foreign, settings: Settings, device: str, declared: prompting.Declared | None = None) -> Loaded:
    """A `SentenceTransformer` that is already in memory.

    Args:
        model: a `sentence_transformers.SentenceTransformer`.
        settings: what was decided about it.
        device: where it is.
        declared: the prompts of its checkpoint; those that the object has if there is no checkpoint.

    Raises:
        InputError: it compares vectors in an unknown way, has no such prompt, has fewer dimensions than are to be kept,
            or cannot encode a text.
    """
    if declared is None:
        declared = prompting.Declared(model.prompts or {}, default=model.default_prompt_name)
    prompts = prompting.chosen(declared, settings)
    similarity = settings.similarity or named(model.similarity_fn_name, "the model") or "cosine"
    _truncate(model, settings.truncate_dim)
    pace = Pace(device, settings.batch_tokens, most=settings.batch_size, side_by_side=settings.backend == "torch")
    parameters = sum(p.numel() for p in model.parameters())
    details = {
        "adapter": NAME,
        "modules": [type(module).__name__ for module in model],
        "dimensions": dimensions_of(model),
        "parameters": parameters or None,  # an exported model does not say
        "device": device,
    }
    if any(prompts.names.values()):
        details["prompt_names"] = {str(role): name for role, name in prompts.names.items()}
    fingerprint_fields: dict[str, Any] = {
        "max_length": limit_of(model),
        "precision": next((str(p.dtype).removeprefix("torch.") for p in model.parameters()), settings.precision),
    }
    if settings.backend != "torch":
        fingerprint_fields["backend"] = settings.backend
    if (automatic := _autocast(device)) is not None:
        fingerprint_fields["autocast"] = automatic
    if model.truncate_dim is not None:
        fingerprint_fields["truncate_dim"] = model.truncate_dim
    tasks = _tasks(model, prompts)
    if tasks:
        fingerprint_fields["tasks"] = {str(role): task for role, task in tasks.items()}
    encoder = _encoder(model, LibraryEncoder(model, prompts.texts, pace, tasks))
    return Loaded(encoder, {str(r): t for r, t in prompts.texts.items()}, similarity, fingerprint_fields, details)


def _autocast(device: str) -> str | None:
    """The precision that `torch.autocast` computes in, where the caller has switched it on."""
    torch, kind = package("torch", NAME), device.partition(":")[0]
    return str(torch.get_autocast_dtype(kind)).removeprefix("torch.") if torch.is_autocast_enabled(kind) else None


def _who(model: Foreign) -> str:
    """What the model was loaded from, for messages."""
    config = getattr(getattr(model, "transformers_model", None), "config", None)
    return str(getattr(config, "name_or_path", "") or "the model")


def _truncate(model: Foreign, dimensions: int | None) -> None:
    """Have the model keep the first so many dimensions of its vectors.

    Raises:
        InputError: it has fewer.
    """
    if dimensions is None:
        return
    model.truncate_dim = None
    whole = dimensions_of(model)
    if whole and dimensions > whole:
        raise InputError(f"truncate_dim (--truncate-dim) {dimensions} is more than the model's {whole} dimensions")
    model.truncate_dim = dimensions


def _tasks(model: Foreign, prompts: prompting.Prompts) -> dict[Role, str]:
    """What a model with an adapter for each task is told (jina-embeddings-v3): the name of the role's prompt.

    A Router is told the role, as `encode_query` and `encode_document` tell it.
    """
    if "task" not in {name for names in (model.module_kwargs or {}).values() for name in names}:
        return {}
    return {role: name for role, name in prompts.names.items() if name is not None and name.startswith("retrieval.")}


def dimensions_of(model: Foreign) -> int:
    """Numbers per vector, or 0 where the model does not say."""
    # Renamed in sentence-transformers 5.4; the old name warns since.
    ask = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return int(ask() or 0)


def limit_of(model: Foreign) -> int | None:
    """Tokens after which the model cuts a text, if it does."""
    longest = model.max_seq_length
    return int(longest) if longest and longest < 1e9 else None


def _encoder(model: Foreign, library: LibraryEncoder) -> Encoder:
    """The faster of the two ways that gives what `encode_query` and `encode_document` give.

    A model may do more to a text than tokenise it: lower its case, leave the prompt out of the mean, send queries and
    documents through different modules. Where its modules say so, the library's own way is taken; otherwise both are
    tried on a few texts.

    Raises:
        InputError: the library cannot encode a text with it.
    """
    roles: tuple[Role, ...] = ("query", "document")
    languages = ["en"] * len(_TRIAL)
    try:
        expected = {role: library.encode(_TRIAL, role=role, languages=languages) for role in roles}
    except Exception as error:  # modules of others raise whatever they like
        raise InputError(f"{_who(model)}: sentence-transformers cannot encode with it ({one_line(error)})") from error
    if not callable(getattr(model, "tokenizer", None)) or library.tasks or _does_more(model, library.prompts):
        return library
    direct = SentenceTransformerEncoder(model, library.prompts, library.pace)
    for role in roles:
        try:
            vectors = direct.encode(_TRIAL, role=role, languages=languages)
        except Exception:  # modules of others raise whatever they like when they are not called as they expect
            return library
        # Half precision rounds more than the two ways of batching differ by in full.
        tolerance = _SAME if expected[role].dtype == np.float32 and _full_precision(model) else 1e-2
        if vectors.shape != expected[role].shape or not np.allclose(
            vectors, expected[role], rtol=0, atol=tolerance * _size(expected[role])
        ):
            return library
    return direct


def is_altered(model: Foreign) -> bool:
    """Whether the object does something else than its class and its weights tell: replaced methods, forward hooks."""
    return any(
        part._forward_hooks or part._forward_pre_hooks or any(name in vars(part) for name in _METHODS)
        for part in model.modules()
    )


def _has_own_methods(model: Foreign) -> bool:
    """Whether a subclass, or the object, has methods of its own in place of those that `encode` consists of."""
    library = package("sentence_transformers", NAME).SentenceTransformer
    return any(
        name in vars(model) or getattr(type(model), name, None) is not getattr(library, name, None) for name in _METHODS
    )


def _does_more(model: Foreign, prompts: Mapping[Role, str]) -> bool:
    """Whether a module does something that depends on the role, or on where the prompt ends."""
    if _has_own_methods(model):
        return True
    for module in model.modules():
        if hasattr(module, "sub_modules"):
            return True
        if getattr(module, "include_prompt", True) is False and any(prompts.values()):
            return True
        if any(getattr(module, name, None) for name in _BY_ROLE):
            return True
    return False


def _full_precision(model: Foreign) -> bool:
    return _autocast(str(model.device)) is None and all(str(p.dtype) == "torch.float32" for p in model.parameters())


def _size(vectors: Vectors) -> float:
    return float(np.linalg.norm(vectors, axis=1).max())
