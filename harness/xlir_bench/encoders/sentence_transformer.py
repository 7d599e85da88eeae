"""Models that sentence-transformers describes: a folder with a `modules.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.checkpoint import (
    Foreign,
    Loaded,
    Settings,
    batches,
    budget_for,
    no_loading_bars,
    package,
    refuse_pickled,
)
from xlir_bench.encoders.protocol import Role, Similarity, Vectors
from xlir_bench.errors import InputError

NAME = "sentence-transformers"

# What model authors call the two roles in their configuration, best first.
_PROMPT_NAMES: dict[Role, tuple[str, ...]] = {
    "query": ("query",),
    "document": ("document", "passage", "corpus"),
}


class SentenceTransformerEncoder:
    """A `SentenceTransformer`, given batches of similar length.

    Args:
        model: a `sentence_transformers.SentenceTransformer`.
        prompts: the text put before each role's texts.
        budget: tokens per batch, padding included.
    """

    def __init__(self, model: Foreign, prompts: Mapping[Role, str], budget: int) -> None:
        self.model = model
        self.prompts = dict(prompts)
        self._budget = budget

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions): what `SentenceTransformer.encode` gives, whatever the order of the texts."""
        result: Vectors | None = None
        for at in self._batches(texts, role):
            vectors = self.model.encode(
                [texts[row] for row in at],
                prompt=self.prompts[role],
                task=role,
                batch_size=len(at),
                show_progress_bar=False,
            )
            if result is None:
                result = np.empty((len(texts), vectors.shape[1]), np.float32)
            result[at] = vectors
        return result if result is not None else np.empty((0, self.dimensions), np.float32)

    @property
    def dimensions(self) -> int:
        """Numbers per vector, or 0 where the model does not say."""
        # Renamed in sentence-transformers 5.4; the old name warns since.
        ask = getattr(self.model, "get_embedding_dimension", None) or self.model.get_sentence_embedding_dimension
        return int(ask() or 0)

    def _batches(self, texts: Sequence[str], role: Role) -> Iterable[npt.NDArray[np.int64]]:
        tokenizer = getattr(self.model, "tokenizer", None)
        if not callable(tokenizer):
            # A bag of token vectors (StaticEmbedding) pads nothing, so the whole block is one batch.
            return [np.arange(len(texts))] if len(texts) else []
        longest = self.model.max_seq_length
        limit = {"truncation": True, "max_length": int(longest)} if longest and longest < 1e9 else {}
        ids = tokenizer([self.prompts[role] + text for text in texts], **limit)["input_ids"] if len(texts) else []
        return batches([len(row) for row in ids], self._budget)


def load(folder: Path, settings: Settings, device: str) -> Loaded:
    """The model in `folder`.

    Raises:
        InputError: pickled weights, code that comes with the model, a setting that this adapter does not take, or a
            folder that sentence-transformers cannot load.
        MissingResourceError: a package is not installed.
    """
    if settings.pooling is not None:
        raise InputError(f"{folder}: pooling is part of a sentence-transformers model; leave it out of the manifest")
    refuse_pickled(folder)
    torch = package("torch", NAME)
    library = package("sentence_transformers", NAME)
    try:
        with no_loading_bars():
            model = library.SentenceTransformer(
                str(folder),
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True, "torch_dtype": getattr(torch, settings.precision)},
            )
    except Exception as error:  # the library and those below it raise whatever they like on files that are not right
        reason = " ".join(str(error).split())
        raise InputError(
            f"{folder}: sentence-transformers cannot load it ({type(error).__name__}: {reason})"
        ) from error
    model.to(getattr(torch, settings.precision))
    if settings.max_length is not None:
        model.max_seq_length = settings.max_length
    return wrapped(model, settings, device)


def wrapped(model: Foreign, settings: Settings, device: str) -> Loaded:
    """A `SentenceTransformer` that is already in memory.

    Raises:
        InputError: it compares vectors in a way that is neither cosine nor dot product.
    """
    prompts = _prompts(model, settings)
    similarity = settings.similarity or _similarity(model)
    encoder = SentenceTransformerEncoder(model, prompts, budget_for(device))
    longest = model.max_seq_length
    details = {
        "adapter": NAME,
        "modules": [type(module).__name__ for module in model],
        "dimensions": encoder.dimensions,
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": device,
    }
    choices = {
        "max_length": int(longest) if longest and longest < 1e9 else None,
        "precision": next((str(p.dtype).removeprefix("torch.") for p in model.parameters()), settings.precision),
    }
    return Loaded(encoder, {str(role): text for role, text in prompts.items()}, similarity, choices, details)


def _prompts(model: Foreign, settings: Settings) -> dict[Role, str]:
    """The manifest's prompts, else the first that the model's configuration has under one of the usual names."""
    if settings.prompts is not None:
        return {"query": settings.prompts.get("query", ""), "document": settings.prompts.get("document", "")}
    own: dict[str, str] = {name: text for name, text in (model.prompts or {}).items() if text}
    default = own.get(model.default_prompt_name or "", "")
    return {role: next((own[name] for name in names if name in own), default) for role, names in _PROMPT_NAMES.items()}


def _similarity(model: Foreign) -> Similarity:
    name = model.similarity_fn_name or "cosine"
    if name == "cosine":
        return "cosine"
    if name == "dot":
        return "dot"
    raise InputError(f"the model compares vectors by {name}; only cosine and dot are supported: set similarity")
