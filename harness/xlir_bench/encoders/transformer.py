"""Any encoder of the transformers library: its last hidden states, pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xlir_bench.encoders.checkpoint import (
    Foreign,
    Loaded,
    Pooling,
    Settings,
    batches,
    budget_for,
    no_loading_bars,
    package,
    refuse_pickled,
)
from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.errors import InputError

NAME = "transformers"


@dataclass(frozen=True)
class TransformerEncoder:
    """A transformer whose token vectors are averaged, or whose first token's vector is taken.

    Attributes:
        model: a transformers model in evaluation mode, on its device.
        tokenizer: its tokenizer.
        pooling: "mean" over all tokens of the text, special ones and prompt included, or "cls", the first.
        max_length: tokens after which a text is cut.
        prompts: the text put before each role's texts.
        budget: tokens per batch, padding included.
    """

    model: Foreign
    tokenizer: Foreign
    pooling: Pooling
    max_length: int
    prompts: Mapping[Role, str]
    budget: int

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions). A text's vector does not depend on what it is batched with, up to rounding."""
        if not len(texts):
            return np.empty((0, self.model.config.hidden_size), np.float32)
        ids: list[list[int]] = self.tokenizer(
            [self.prompts[role] + text for text in texts],
            truncation=True,
            max_length=self.max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        result: Vectors | None = None
        for at in batches([len(row) for row in ids], self.budget):
            vectors = self._forward([ids[row] for row in at])
            if result is None:
                result = np.empty((len(texts), vectors.shape[1]), np.float32)
            result[at] = vectors
        assert result is not None  # there is at least one text, hence one batch
        return result

    def _forward(self, ids: Sequence[Sequence[int]]) -> Vectors:
        torch = package("torch", NAME)
        longest = max(1, *(len(row) for row in ids))
        padded = torch.full((len(ids), longest), self.tokenizer.pad_token_id or 0, dtype=torch.long)
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for number, row in enumerate(ids):
            padded[number, : len(row)] = torch.tensor(row, dtype=torch.long)
            mask[number, : len(row)] = 1
        device = self.model.device
        with torch.inference_mode():
            padded, mask = padded.to(device), mask.to(device)
            states = self.model(input_ids=padded, attention_mask=mask).last_hidden_state.float()
            if self.pooling == "cls":
                pooled = states[:, 0]
            else:
                weight = mask.unsqueeze(-1).float()
                pooled = (states * weight).sum(1) / weight.sum(1).clamp(min=1)
            vectors: Vectors = pooled.cpu().numpy()
        return vectors


def load(folder: Path, settings: Settings, device: str) -> Loaded:
    """The model in `folder`; mean pooling unless the settings say otherwise.

    Raises:
        InputError: pickled weights, an architecture with a decoder, or a folder that transformers cannot load.
        MissingResourceError: a package is not installed.
    """
    refuse_pickled(folder)
    torch = package("torch", NAME)
    library = package("transformers", NAME)
    try:
        config = library.AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        if config.is_encoder_decoder:
            raise InputError(f"{folder}: {config.model_type} has an encoder and a decoder; this adapter takes encoders")
        tokenizer = library.AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        with no_loading_bars():
            model = library.AutoModel.from_pretrained(
                str(folder),
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                torch_dtype=getattr(torch, settings.precision),
            )
    except InputError:
        raise
    except Exception as error:  # the library and those below it raise whatever they like on files that are not right
        reason = " ".join(str(error).split())
        raise InputError(f"{folder}: transformers cannot load it ({type(error).__name__}: {reason})") from error
    model = model.eval().to(device)
    pooling: Pooling = settings.pooling or "mean"
    given = settings.prompts or {}
    prompts: dict[Role, str] = {"query": given.get("query", ""), "document": given.get("document", "")}
    max_length = _max_length(folder, settings, tokenizer, model)
    encoder = TransformerEncoder(model, tokenizer, pooling, max_length, prompts, budget_for(device))
    details = {
        "adapter": NAME,
        "architecture": type(model).__name__,
        "dimensions": config.hidden_size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "device": device,
    }
    choices = {"pooling": pooling, "max_length": max_length, "precision": settings.precision}
    similarity = settings.similarity or "cosine"
    return Loaded(encoder, {str(role): text for role, text in prompts.items()}, similarity, choices, details)


def _max_length(folder: Path, settings: Settings, tokenizer: Foreign, model: Foreign) -> int:
    """The manifest's length, else the tokenizer's, within the positions that the model has.

    Raises:
        InputError: the manifest asks for more than the model can take.
    """
    capacity = _positions(model)
    if settings.max_length is not None:
        if capacity is not None and settings.max_length > capacity:
            raise InputError(
                f"{folder}: max_length {settings.max_length} is more than the model's {capacity} positions"
            )
        return settings.max_length
    own = tokenizer.model_max_length
    # A tokenizer that knows no limit says so with a huge number.
    limits = [limit for limit in (own if own < 1e9 else None, capacity) if limit is not None]
    return int(min(limits)) if limits else 512


def _positions(model: Foreign) -> int | None:
    """How many tokens the model's position table has room for, if it has one."""
    embeddings = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    count = getattr(embeddings, "num_embeddings", None)
    if count is None:
        return None
    # RoBERTa and its kin number positions from the padding index on.
    padding = getattr(embeddings, "padding_idx", None)
    return int(count) - (padding + 1 if padding is not None else 0)
