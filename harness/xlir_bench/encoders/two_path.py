"""An encoder that reads a text twice: as a bag of weighted pieces, and in context.

The lexical path adds up one vector per piece, and finds what shares words, names and numbers with the query. The
contextual path is a transformer over the same pieces. Both give unit vectors; they are laid end to end, each scaled
by the root of its weight, so that the cosine of two texts is the weighted mean of the two paths' cosines.

Stored as one safetensors file: the two tables of piece vectors as 4-bit integers with one scale per piece (two in a
byte, the first in the lower half), the transformer's weights as float16. Nothing in the folder is code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from xlir_bench.encoders.checkpoint import Loaded, Settings, no_loading_bars, one_line
from xlir_bench.encoders.sentence_transformer import wrapped
from xlir_bench.encoders.weights import refuse_unsafe
from xlir_bench.errors import InputError

NAME = "two-path"
SPECIAL = ("[CLS]", "[SEP]", "[PAD]")
"""Pieces that only the contextual path reads, the last of every vocabulary."""

_LARGEST = 7
_CLIPPED = (0.9, 0.8, 0.7, 0.6)
_CONFIG = "config.json"
_WEIGHTS = "model.safetensors"
_TOKENIZER = "tokenizer.json"
_LONGEST = 384


class TwoPath(InputModule):  # type: ignore[misc]  # the library has no types
    """The encoder as a sentence-transformers module, and the only one that its model needs.

    Args:
        tokenizer: with `SPECIAL`, which it puts around every text.
        body: the transformer, with the contextual path's table as its word embeddings.
        bag: the lexical path's table, shape (pieces, dimensions); zeros for special pieces.
        lexical_weight: share of the lexical path in a cosine, from 0 to 1.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, body: BertModel, bag: torch.Tensor, lexical_weight: float
    ) -> None:
        super().__init__()
        self.tokenizer, self.body, self.lexical_weight = tokenizer, body, lexical_weight
        self.bag = torch.nn.Embedding(len(bag), bag.shape[1], _weight=bag)
        self.max_seq_length = _LONGEST

    def preprocess(self, inputs: list[str], prompt: str | None = None, **_: object) -> dict[str, torch.Tensor]:
        """Piece ids and mask, each of shape (texts, pieces of the longest text)."""
        texts = self._prepend_prompt(inputs, prompt) if prompt else inputs
        found = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_seq_length, return_tensors="pt"
        )
        return {"input_ids": found["input_ids"], "attention_mask": found["attention_mask"]}

    def forward(self, features: dict[str, Any], **_: object) -> dict[str, Any]:
        """Add `sentence_embedding`, unit vectors of shape (texts, dimensions of both paths)."""
        ids, mask = features["input_ids"], features["attention_mask"]
        hidden = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        shown = mask[:, :, None].to(hidden.dtype)
        contextual = torch.nn.functional.normalize((hidden * shown).sum(dim=1), dim=1)
        # A padding piece has zeros in the bag, as every special piece has.
        lexical = torch.nn.functional.normalize(self.bag(ids).sum(dim=1), dim=1)
        weights = self.lexical_weight**0.5, (1 - self.lexical_weight) ** 0.5
        features["sentence_embedding"] = torch.cat([lexical * weights[0], contextual * weights[1]], dim=1)
        return features

    def get_embedding_dimension(self) -> int:
        """Numbers per vector."""
        return int(self.bag.embedding_dim + self.body.config.hidden_size)

    def save(self, output_path: str, *_: object, **__: object) -> None:
        """Write the folder, weights last: it is readable once they are there."""
        folder = Path(output_path)
        folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, torch.Tensor] = {}
        table = self.body.get_input_embeddings().weight.detach().float().cpu().numpy()
        for name, vectors in (("bag", self.bag.weight.detach().float().cpu().numpy()), ("table", table)):
            packed, scales = packed_rows(vectors)
            tensors[name], tensors[f"{name}_scales"] = torch.from_numpy(packed), torch.from_numpy(scales)
        for name, values in self.body.state_dict().items():
            if name != "embeddings.word_embeddings.weight" and not name.endswith(("position_ids", "token_type_ids")):
                tensors[f"body.{name}"] = values.half().contiguous()
        about = {"lexical_weight": self.lexical_weight, "body": self.body.config.to_diff_dict()}
        (folder / _CONFIG).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        self.tokenizer.backend_tokenizer.save(str(folder / _TOKENIZER), pretty=False)
        save_file(tensors, folder / _WEIGHTS)
        (folder / _WEIGHTS).chmod(0o644)  # safetensors writes for its owner alone

    @classmethod
    def load(cls, model_name_or_path: str, **_: object) -> TwoPath:
        """Read a folder that `save` wrote; the weights come back as float32."""
        folder = Path(model_name_or_path)
        about = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / _WEIGHTS)
        body = BertModel(BertConfig(**about["body"]), add_pooling_layer=False)
        weights = {name.removeprefix("body."): t.float() for name, t in tensors.items() if name.startswith("body.")}
        weights["embeddings.word_embeddings.weight"] = _unpacked(tensors, "table")
        body.load_state_dict(weights)
        bag = _unpacked(tensors, "bag")
        return cls(tokenizer_of(Tokenizer.from_file(str(folder / _TOKENIZER))), body, bag, about["lexical_weight"])


def tokenizer_of(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The tokenizer with the interface of transformers."""
    first, last, padding = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token=first, sep_token=last, pad_token=padding, model_max_length=_LONGEST
    )


def packed_rows(vectors: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Round every row to 15 levels: (integers - 7) x scale is close to the vectors.

    Of a few scales a row takes the one with the least squared error: where the outermost values are clipped, the others
    come nearer. Rows that were rounded before stay as they are.

    Args:
        vectors: shape (rows, columns), an even number of columns.

    Returns:
        Two integers per byte, shape (rows, columns / 2), and scales, shape (rows,).
    """
    largest = np.maximum(np.abs(vectors).max(axis=1), 1e-12) / _LARGEST
    scales = largest.astype(np.float32)
    levels = _levels(vectors, scales)
    least = _squared_error(vectors, levels, scales)
    for clipped in _CLIPPED:
        tried = (largest * clipped).astype(np.float32)
        other = _levels(vectors, tried)
        error = _squared_error(vectors, other, tried)
        better = error < least
        scales[better], levels[better], least[better] = tried[better], other[better], error[better]
    stored = (levels + _LARGEST).astype(np.uint8)
    return (stored[:, ::2] | (stored[:, 1::2] << 4)).astype(np.uint8), scales


def _levels(vectors: npt.NDArray[np.float32], scales: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    rounded = np.rint(vectors / scales[:, None])
    return np.clip(rounded, -_LARGEST, _LARGEST).astype(np.int8)


def _squared_error(
    vectors: npt.NDArray[np.float32], levels: npt.NDArray[np.int8], scales: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    error: npt.NDArray[np.float32] = np.square(levels * scales[:, None] - vectors).sum(axis=1)
    return error


def unpacked_rows(packed: npt.NDArray[np.uint8], scales: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What `packed_rows` rounded: shape (rows, columns)."""
    levels = np.empty((len(packed), 2 * packed.shape[1]), dtype=np.float32)
    levels[:, ::2], levels[:, 1::2] = packed & 15, packed >> 4
    levels -= _LARGEST
    levels *= scales[:, None]
    return levels


def _unpacked(tensors: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    return torch.from_numpy(unpacked_rows(tensors[name].numpy(), tensors[f"{name}_scales"].numpy()))


def load(folder: Path, settings: Settings, device: str) -> Loaded:
    """The model in `folder`.

    Raises:
        InputError: pickled weights, files that do not fit one another, or a setting that this adapter does not take.
    """
    if settings.pooling is not None or settings.backend != "torch":
        raise InputError(f"{folder}: a two-path model has its own pooling and runs in torch; leave both out")
    refuse_unsafe(folder, settings)
    try:
        with no_loading_bars():
            model = SentenceTransformer(modules=[TwoPath.load(str(folder))], device=device)
    except Exception as error:  # the libraries below raise whatever they like on files that are not right
        raise InputError(f"{folder}: not a two-path encoder ({one_line(error)})") from error
    model.to(getattr(torch, settings.precision))
    if settings.max_length is not None:
        model.max_seq_length = settings.max_length
    loaded = wrapped(model, settings, device)
    loaded.details["adapter"] = NAME
    return loaded
