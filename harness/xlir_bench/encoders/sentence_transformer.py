"""Models that sentence-transformers describes: a folder with a `modules.json`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.batching import Pace, TokenEncoder, padded, token_ids
from xlir_bench.encoders.checkpoint import (
    Foreign,
    Loaded,
    Settings,
    loading,
    package,
    prompts_of,
    weight_options,
)
from xlir_bench.encoders.converted import safe_weights
from xlir_bench.encoders.protocol import Encoder, Role, Vectors
from xlir_bench.encoders.similarity import named
from xlir_bench.errors import InputError

NAME = "sentence-transformers"

# What model authors call the two roles in their configuration, best first.
_PROMPT_NAMES: dict[Role, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}
_TRIAL = ("one", "A text of a few more words, Größe 3.", "第三 τρία तीन")
_SAME = 1e-4


class SentenceTransformerEncoder(TokenEncoder):
    """A `SentenceTransformer` given token ids: texts are tokenised once, ahead of the model, and batched by length.

    Args:
        model: a `sentence_transformers.SentenceTransformer` with a tokenizer.
        prompts: the text put before each role's texts.
        pace: tokens per batch.
    """

    def __init__(self, model: Foreign, prompts: Mapping[Role, str], pace: Pace) -> None:
        self.model, self.prompts, self.pace = model, dict(prompts), pace
        self.dimensions = dimensions_of(model)
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
    """

    def __init__(self, model: Foreign, prompts: Mapping[Role, str], pace: Pace) -> None:
        self.model, self.prompts, self.pace = model, dict(prompts), pace
        self.dimensions = dimensions_of(model)

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions): what `SentenceTransformer.encode` gives, whatever the order of the texts."""
        if not len(texts):
            return np.empty((0, self.dimensions), np.float32)

        def forward(at: npt.NDArray[np.int64]) -> Vectors:
            vectors: Vectors = self.model.encode(
                [texts[row] for row in at],
                prompt=self.prompts[role],
                task=role,
                batch_size=len(at),
                show_progress_bar=False,
            )
            return vectors

        if not callable(getattr(self.model, "tokenizer", None)):
            # A bag of token vectors (StaticEmbedding) pads nothing, so the whole block is one batch.
            return forward(np.arange(len(texts)))
        return self.pace.run(self.lengths(texts, role=role, languages=languages).tolist(), forward)

    def lengths(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> npt.NDArray[np.int64]:
        """Tokens of each text, shape (texts,); see `protocol.Tokenising`."""
        tokenizer = self.model.tokenizer
        prompted = [self.prompts[role] + text for text in texts]
        ids: Iterable[Any]
        if callable(tokenizer):
            ids = tokenizer(prompted)["input_ids"] if prompted else []
        else:
            ids = tokenizer.encode_batch(prompted, add_special_tokens=False)
        limit = limit_of(self.model) or np.inf
        return np.array([min(len(row), limit) for row in ids], dtype=np.int64)


def load(folder: Path, settings: Settings, device: str) -> Loaded:
    """The model in `folder`.

    Raises:
        InputError: pickled weights, code that comes with the model, a setting that this adapter does not take, or a
            folder that sentence-transformers cannot load.
        MissingResourceError: a package is not installed.
    """
    if settings.pooling is not None:
        raise InputError(f"{folder}: pooling is part of a sentence-transformers model; leave it out of the manifest")
    if settings.backend != "torch" and settings.precision != "float32":
        raise InputError(f"{folder}: the backend {settings.backend} has the precision of its export; leave it out")
    if settings.backend == "openvino":
        device = "cpu"  # as torch calls it; OpenVINO knows no other of torch's devices
    weights = safe_weights(folder, settings)
    options = _backend_options(settings)
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
    return wrapped(model, settings, device)


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


def wrapped(model: Foreign, settings: Settings, device: str) -> Loaded:
    """A `SentenceTransformer` that is already in memory.

    Raises:
        InputError: it compares vectors in a way that is not known.
    """
    prompts = _prompts(model, settings)
    similarity = settings.similarity or named(model.similarity_fn_name, "the model") or "cosine"
    pace = Pace(device, settings.batch_tokens, side_by_side=settings.backend == "torch")
    parameters = sum(p.numel() for p in model.parameters())
    details = {
        "adapter": NAME,
        "modules": [type(module).__name__ for module in model],
        "dimensions": dimensions_of(model),
        "parameters": parameters or None,  # an exported model does not say
        "device": device,
    }
    fingerprint_fields: dict[str, Any] = {
        "max_length": limit_of(model),
        "precision": next((str(p.dtype).removeprefix("torch.") for p in model.parameters()), settings.precision),
    }
    if settings.backend != "torch":
        fingerprint_fields["backend"] = settings.backend
    return Loaded(
        _encoder(model, prompts, pace), {str(r): t for r, t in prompts.items()}, similarity, fingerprint_fields, details
    )


def dimensions_of(model: Foreign) -> int:
    """Numbers per vector, or 0 where the model does not say."""
    # Renamed in sentence-transformers 5.4; the old name warns since.
    ask = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return int(ask() or 0)


def limit_of(model: Foreign) -> int | None:
    """Tokens after which the model cuts a text, if it does."""
    longest = model.max_seq_length
    return int(longest) if longest and longest < 1e9 else None


def _encoder(model: Foreign, prompts: Mapping[Role, str], pace: Pace) -> Encoder:
    """The faster of the two ways that gives what `SentenceTransformer.encode` gives, tried on a few texts.

    A model may do more to a text than tokenise it: lower its case, leave the prompt out of the mean, look at the task.
    """
    library = LibraryEncoder(model, prompts, pace)
    if not callable(getattr(model, "tokenizer", None)) or getattr(model, "truncate_dim", None):
        return library
    direct = SentenceTransformerEncoder(model, prompts, pace)
    roles: tuple[Role, ...] = ("query", "document")
    for role in roles:
        languages = ["en"] * len(_TRIAL)
        expected = library.encode(_TRIAL, role=role, languages=languages)
        try:
            vectors = direct.encode(_TRIAL, role=role, languages=languages)
        except Exception:  # modules of others raise whatever they like when they are not called as they expect
            return library
        # Half precision rounds more than the two ways of batching differ by in full.
        tolerance = _SAME if expected.dtype == np.float32 and _full_precision(model) else 1e-2
        if vectors.shape != expected.shape or not np.allclose(
            vectors, expected, rtol=0, atol=tolerance * _size(expected)
        ):
            return library
    return direct


def _full_precision(model: Foreign) -> bool:
    return all(str(p.dtype) == "torch.float32" for p in model.parameters())


def _size(vectors: Vectors) -> float:
    return float(np.linalg.norm(vectors, axis=1).max())


def _prompts(model: Foreign, settings: Settings) -> dict[Role, str]:
    """The manifest's prompts, else the first that the model's configuration has under one of the usual names."""
    if settings.prompts is not None:
        return prompts_of(settings)
    own: dict[str, str] = {name: text for name, text in (model.prompts or {}).items() if text}
    default = own.get(model.default_prompt_name or "", "")
    return {role: next((own[name] for name in names if name in own), default) for role, names in _PROMPT_NAMES.items()}
