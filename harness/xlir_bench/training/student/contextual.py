"""The contextual path in training: a table of piece vectors and the transformer that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import BertModel

from xlir_bench.encoders.two_path import SPECIAL
from xlir_bench.training.batches import Ints
from xlir_bench.training.row_moments import RowMoments
from xlir_bench.training.static import Ragged

LONGEST = 64
"""Pieces of a text that training reads."""

_EPSILON = 1e-8

PieceIds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """Vectors of some texts, and what their gradient flows back to.

    Attributes:
        vectors: unit vectors, shape (texts, dimensions).
        used: rows of the table that the texts read, shape (rows,).
        rows: their vectors, a leaf of the graph, shape (rows, dimensions).
    """

    vectors: torch.Tensor
    used: torch.Tensor
    rows: torch.Tensor


class Contextual:
    """A table and a body.

    Args:
        table: piece vectors, `SPECIAL` last; shape (pieces, dimensions). It is changed in place.
        body: a BERT without pooler; its own word embeddings are not used.
    """

    def __init__(self, table: torch.Tensor, body: BertModel) -> None:
        # Dropout stays off: on a few thousand steps it only blurs what the teacher says.
        self.table, self.body = table, body.eval()
        self.body.get_input_embeddings().weight.requires_grad_(False)
        self._first, self._last, self._padding = (len(table) - len(SPECIAL) + i for i in range(len(SPECIAL)))

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """The body's weights that are trained."""
        return [parameter for parameter in self.body.parameters() if parameter.requires_grad]

    def laid_out(self, texts: Sequence[npt.NDArray[np.int32]]) -> PieceIds:
        """Texts as one matrix of piece ids, special pieces around each, padded at the end."""
        ids = np.full((len(texts), max(map(len, texts)) + 2), self._padding, dtype=np.int64)
        ids[:, 0] = self._first
        for row, pieces in enumerate(texts):
            ids[row, 1 : len(pieces) + 1] = pieces
            ids[row, len(pieces) + 1] = self._last
        return ids

    def read(self, ids: PieceIds) -> Reading:
        """Encode the texts of a matrix, in bfloat16 where torch finds that safe."""
        found, places = np.unique(ids, return_inverse=True)
        used = torch.from_numpy(found)
        rows = self.table[used].requires_grad_(torch.is_grad_enabled())
        mask = torch.from_numpy((ids != self._padding).astype(np.int64))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            words = rows[torch.from_numpy(places.reshape(ids.shape))]
            hidden = self.body(inputs_embeds=words, attention_mask=mask).last_hidden_state
        shown = mask[:, :, None].float()
        means = (hidden.float() * shown).sum(dim=1) / shown.sum(dim=1)
        return Reading(means / means.norm(dim=1, keepdim=True), used, rows)


class Optimiser:
    """AdamW for the body, and Adam for the rows of the table that a step used, see `RowMoments`."""

    def __init__(self, path: Contextual, table_rate: float, body_rate: float) -> None:
        self._path, self._rates = path, (table_rate, body_rate)
        self._body = torch.optim.AdamW(path.parameters, lr=body_rate, weight_decay=0.01, fused=True)
        self._moments = RowMoments(path.table, _EPSILON, torch.float32)

    def step(self, loss: torch.Tensor, readings: Sequence[Reading], share: float) -> None:
        """Move against the gradient of `loss`, by `share` of the highest learning rates."""
        self._body.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._path.parameters, 1.0)
        for group in self._body.param_groups:
            group["lr"] = self._rates[1] * share
        self._body.step()
        used, place = torch.unique(torch.cat([reading.used for reading in readings]), return_inverse=True)
        gradients = torch.cat([reading.rows.grad for reading in readings if reading.rows.grad is not None])
        summed = torch.zeros(len(used), gradients.shape[1]).index_add_(0, place, gradients)
        mean, root = self._moments.age(used, summed)
        self._path.table[used] -= self._rates[0] * share * mean / root


def pieces_of(texts: Ragged, text: int) -> npt.NDArray[np.int32]:
    """The pieces of one text, cut at `LONGEST`."""
    start = int(texts.offsets[text])
    return texts.ids[start : min(int(texts.offsets[text + 1]), start + LONGEST)]


def lengths_of(texts: Ragged) -> Ints:
    """Pieces that training reads of every text, shape (texts,)."""
    return np.minimum(np.diff(texts.offsets), LONGEST).astype(np.int64)


def share_of_rate(step: int, steps: int, warm_up: int) -> float:
    """Linear warm-up, then half a cosine down to a twentieth."""
    cosine = 0.05 + 0.95 * (0.5 + 0.5 * np.cos(np.pi * step / steps))
    return float(min(step / warm_up, 1) * cosine)
