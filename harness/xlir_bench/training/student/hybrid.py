"""Hybrid batches on both paths: the cosine that is trained is the cosine that retrieval will use.

The lexical path stays as it is, in the 4 bits that it will be stored in; the contextual path learns what it lacks. A
query is the whole text or a contiguous part of it, since questions are short and passages long. Where a whole text has
an English version, its vector stays near the teacher's: a few hundred contrastive steps would else undo what the
distillation learnt of texts that no batch holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field

from xlir_bench.training.batches import Batch
from xlir_bench.training.static import Ragged
from xlir_bench.training.student.contextual import Contextual, Optimiser, Reading, pieces_of, share_of_rate
from xlir_bench.training.student.start import Course, Lesson

_SCALE = 20.0
_PULL = 10.0
_WARM_UP = 30
_PART = (0.25, 0.6)
_FEWEST_PIECES = 3
_SHORTEST_CUT = 8
_KEPT_OF_DOCUMENT = 0.75
_GROUPS = 4
_REPORT_EVERY = 25

Pieces = npt.NDArray[np.int32]


class Hybrid(BaseModel):
    """Settings of the third stage.

    Attributes:
        steps: batches; 0 leaves the stage out.
        rows: pairs per batch.
        alpha: probability of an X-X batch.
        temper: see `BatchPlan.temper`.
        lexical_weight: share of the lexical path in a cosine.
        thinned: see `corpus.monolingual_pairs`.
        table_rate, body_rate: highest learning rates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Annotated[int, Field(ge=0)] = 400
    rows: Annotated[int, Field(ge=2)] = 96
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    temper: Annotated[float, Field(ge=0, le=1)] = 0.4
    lexical_weight: Annotated[float, Field(ge=0, le=1)] = 0.4
    thinned: Annotated[float, Field(ge=0, lt=1)] = 0.3
    table_rate: Annotated[float, Field(gt=0)] = 5e-4
    body_rate: Annotated[float, Field(gt=0)] = 5e-5


@dataclass(frozen=True)
class _Row:
    """One pair as it is read.

    Attributes:
        query, document: pieces.
        taught: positions of the sides (0 query, 1 document) that are a whole text, with that text.
    """

    query: Pieces
    document: Pieces
    taught: tuple[tuple[int, int], ...]


def train_hybrid(path: Contextual, course: Course, bag: torch.Tensor, batches: Iterator[Batch], plan: Hybrid) -> None:
    """Train the path in place.

    Args:
        path: what learns.
        course: texts, the teacher's vectors and the seed.
        bag: vectors of the lexical path, shape (pieces, dimensions), zeros for special pieces.
        batches: pairs of texts.
        plan: the settings.
    """
    texts, known = course.texts, course.known
    rng = np.random.default_rng([course.seed, 7])
    optimiser = Optimiser(path, plan.table_rate, plan.body_rate)
    losses: list[float] = []
    for step in range(1, plan.steps + 1):
        rows = list(_cut(next(batches), texts, rng))
        sides = [row.query for row in rows] + [row.document for row in rows]
        contextual, readings = _read(path, sides)
        lexical = torch.nn.functional.normalize(_bags(path, bag, sides), dim=1)
        cosines = (1 - plan.lexical_weight) * _cross(contextual) + plan.lexical_weight * _cross(lexical)
        answer = torch.arange(len(rows))
        forward = torch.nn.functional.cross_entropy(_SCALE * cosines, answer)
        loss = (forward + torch.nn.functional.cross_entropy(_SCALE * cosines.T, answer)) / 2
        losses.append(float(loss.detach()))
        at, texts_at = _taught(rows, known)
        if len(at):
            near = (contextual[at] * known.vectors[texts_at]).sum(dim=1)
            loss = loss + _PULL * (1 - near).sum() / len(sides)
        optimiser.step(loss, readings, share_of_rate(step, plan.steps, _WARM_UP))
        course.stage.advance()
        if step % _REPORT_EVERY == 0:
            course.stage.note(f"loss {np.mean(losses[-_REPORT_EVERY:]):.3f}")


def _cut(batch: Batch, texts: Ragged, rng: np.random.Generator) -> Iterator[_Row]:
    for query, document in zip(batch.queries.tolist(), batch.documents.tolist(), strict=True):
        first, second = pieces_of(texts, query), pieces_of(texts, document)
        if query == document:
            yield _Row(_part(first, rng), _thinned(second, rng), ())
        elif batch.strategy == "X-Y" and len(first) >= _SHORTEST_CUT and rng.random() < 0.5:
            yield _Row(_part(first, rng), second, ((1, document),))
        else:
            yield _Row(first, second, ((0, query), (1, document)))


def _part(pieces: Pieces, rng: np.random.Generator) -> Pieces:
    length = max(_FEWEST_PIECES, int(len(pieces) * rng.uniform(*_PART)))
    if length >= len(pieces):
        return pieces
    start = rng.integers(0, len(pieces) - length + 1)
    return pieces[start : start + length]


def _thinned(pieces: Pieces, rng: np.random.Generator) -> Pieces:
    kept = pieces[rng.random(len(pieces)) < _KEPT_OF_DOCUMENT]
    return kept if len(kept) else pieces


def _read(path: Contextual, sides: Sequence[Pieces]) -> tuple[torch.Tensor, list[Reading]]:
    """Vectors in the order of the texts, read in groups of like length: hardly any padding."""
    order = np.argsort([len(side) for side in sides])
    groups = [group for group in np.array_split(order, _GROUPS) if len(group)]
    readings = [path.read(path.laid_out([sides[i] for i in group])) for group in groups]
    place = torch.empty(len(order), dtype=torch.int64)
    place[torch.from_numpy(order)] = torch.arange(len(order))
    return torch.cat([reading.vectors for reading in readings])[place], readings


def _bags(path: Contextual, bag: torch.Tensor, sides: Sequence[Pieces]) -> torch.Tensor:
    return bag[torch.from_numpy(path.laid_out(sides))].sum(dim=1)


def _cross(vectors: torch.Tensor) -> torch.Tensor:
    """Cosines of queries, the upper half, with documents, the lower."""
    queries, documents = vectors.chunk(2)
    return queries @ documents.T


def _taught(rows: Sequence[_Row], known: Lesson) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions among queries and documents that have a teacher's vector, and its row."""
    pairs = [
        (side * len(rows) + number, int(known.of_text[text]))
        for number, row in enumerate(rows)
        for side, text in row.taught
        if known.of_text[text] >= 0
    ]
    return torch.tensor([at for at, _ in pairs], dtype=torch.int64), torch.tensor(
        [row for _, row in pairs], dtype=torch.int64
    )
