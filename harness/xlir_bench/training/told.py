"""Encoders that are told the language of what they read (M2M-100, XLM, MASS), as a module of sentence-transformers.

A text reaches it as `{"text", "language"}`. Tokens and pooling are those of the adapter that measures such models, so
that what is trained is what is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from sentence_transformers.base.modules.input_module import InputModule

from xlir_bench.encoders.adapters import ADAPTERS
from xlir_bench.encoders.batching import mean_of, padded
from xlir_bench.encoders.checkpoint import Foreign, Settings
from xlir_bench.encoders.transformer import TransformerEncoder
from xlir_bench.errors import InputError
from xlir_bench.training.recipe import Pooling

_CONFIG = "told.json"
_PREFIXES = {"m2m100": "encoder.", "xlm": "transformer."}
"""Where the adapters look for an encoder's weights in a checkpoint."""


class ToldLanguage(InputModule):  # type: ignore[misc]
    """See the module.

    Args:
        folder: the checkpoint.
        adapter: `m2m100` or `xlm`.
        pooling: how token vectors become one; mean if it is not given.
        max_length: tokens after which a text is cut; the model's limit if it is not given.

    Raises:
        InputError: the adapter cannot load the folder.
    """

    def __init__(self, folder: Path, adapter: str, pooling: Pooling | None, max_length: int | None) -> None:
        super().__init__()
        loaded = ADAPTERS[adapter](folder, Settings(pooling=pooling, max_length=max_length), "cpu")
        encoder = loaded.encoder
        if not isinstance(encoder, TransformerEncoder):
            raise InputError(f"{folder}: the adapter {adapter} gives no transformer that could be trained")
        self.adapter, self.encoder = adapter, encoder
        self.auto_model = encoder.model

    @property
    def tokenizer(self) -> Foreign:
        """The model's own."""
        return self.encoder.tokenizer

    def preprocess(
        self, inputs: Sequence[Mapping[str, str]], prompt: str | None = None, **given: object
    ) -> dict[str, torch.Tensor]:
        """Token ids, mask and, for XLM, the language of every token."""
        texts = [(prompt or "") + one["text"] for one in inputs]
        languages = [one["language"] for one in inputs]
        ids = self.encoder.tokenise(texts, "query", languages)
        tokens, mask = padded(ids, self.encoder.tokenizer.pad_token_id or 0, "cpu")
        return {
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens) if mask is None else mask,
            **self.encoder.extras(tokens, languages),
        }

    def forward(self, features: dict[str, torch.Tensor], **given: object) -> dict[str, torch.Tensor]:
        """Add `sentence_embedding`, shape (texts, dimensions)."""
        known = {name: features[name] for name in ("input_ids", "attention_mask", "langs") if name in features}
        states, mask = self.auto_model(**known).last_hidden_state, features["attention_mask"]
        if self.encoder.pooling == "cls":
            pooled = states[:, 0]
        elif self.encoder.pooling == "mean-of-text":
            pooled = mean_of(states[:, 1:], mask[:, 1:])
        else:
            pooled = mean_of(states, mask)
        features["sentence_embedding"] = pooled
        return features

    def get_embedding_dimension(self) -> int:
        """Numbers per vector."""
        return self.encoder.dimensions

    def save(self, output_path: str, *args: object, **given: object) -> None:
        """Write the encoder as the checkpoint that its adapter loads."""
        folder = Path(output_path)
        prefix = _PREFIXES[self.adapter]
        state = self.auto_model.state_dict()
        tensors = {f"{prefix}{name}": tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        self.auto_model.config.save_pretrained(str(folder))
        self.encoder.tokenizer.save_pretrained(str(folder))
        use = {"adapter": self.adapter, "pooling": self.encoder.pooling, "max_length": self.encoder.max_length}
        (folder / _CONFIG).write_text(json.dumps(use), encoding="utf-8")

    @classmethod
    def load(cls, model_name_or_path: str, **given: Any) -> ToldLanguage:  # noqa: ANN401  (as the library calls it)
        """Read what `save` wrote."""
        folder = Path(model_name_or_path)
        return cls(folder, **json.loads((folder / _CONFIG).read_text(encoding="utf-8")))
