"""Distillation: a text in any language comes to be read as the teacher reads its English version.

After Reimers and Gurevych (arXiv 2004.09813), with a second term: the student's vector is to be nearer to the
teacher's vector of its own English version than to those of other texts, 4,096 of them drawn anew for every step,
which costs next to nothing, since the teacher has read everything beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from xlir_bench.training.batches import Floats, Ints
from xlir_bench.training.corpus import Candidates
from xlir_bench.training.static import Ragged
from xlir_bench.training.student.contextual import (
    Contextual,
    Optimiser,
    lengths_of,
    pieces_of,
    share_of_rate,
)
from xlir_bench.training.student.start import Course, Lesson

_POOL = 32
_SHORTEST_COUNTED = 12
_TOKENS_PER_ROW = 22
_FEWEST_ROWS = 16
_WARM_UP = 100
_OTHERS = 4096
_SAME = 0.9
_SCALE = 20.0
_PULL = 10.0
_REPORT_EVERY = 25


class Distillation(BaseModel):
    """Settings of the second stage.

    Attributes:
        steps: batches.
        rows: texts per batch, if they had 20 pieces each: a batch is cut by its pieces.
        temper: a language is drawn in proportion to its pieces to this power.
        others: share of a language that is not in the evaluation languages (`heldout.LANGUAGES`), against one that is.
        table_rate, body_rate: highest learning rates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Annotated[int, Field(ge=1)] = 3000
    rows: Annotated[int, Field(ge=2)] = 192
    temper: Annotated[float, Field(ge=0, le=1)] = 0.3
    others: Annotated[float, Field(gt=0)] = 0.35
    table_rate: Annotated[float, Field(gt=0)] = 2e-3
    body_rate: Annotated[float, Field(gt=0)] = 2e-4


def distil(path: Contextual, course: Course, weights: Floats, plan: Distillation) -> None:
    """Train the path in place.

    Args:
        path: what learns.
        course: texts, the teacher's vectors and the seed.
        weights: of every text, see `text_weights`; shape (texts,).
        plan: the settings.
    """
    texts, known = course.texts, course.known
    rng = np.random.default_rng(course.seed)
    batches = _batches(texts, weights, plan, rng)
    optimiser = Optimiser(path, plan.table_rate, plan.body_rate)
    seen: list[float] = []
    for step in range(1, plan.steps + 1):
        batch = next(batches)
        reading = path.read(path.laid_out([pieces_of(texts, text) for text in batch]))
        own = known.vectors[torch.from_numpy(known.of_text[batch])]
        others = known.vectors[torch.from_numpy(rng.integers(0, len(known.vectors), _OTHERS))]
        cosine = (reading.vectors * own).sum(dim=1).mean()
        loss = contrast(reading.vectors, own, others) + _PULL * (1 - cosine)
        optimiser.step(loss, [reading], share_of_rate(step, plan.steps, _WARM_UP))
        seen.append(float(cosine.detach()))
        course.stage.advance()
        if step % _REPORT_EVERY == 0:
            course.stage.note(f"cosine to the teacher {np.mean(seen[-_REPORT_EVERY:]):.3f}")


def contrast(student: torch.Tensor, own: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """InfoNCE of student vectors against the teacher's, the batch's own and others.

    What the teacher itself takes for the same as a row's own text (cosine above .9) does not count against it.

    Args:
        student: unit vectors, shape (rows, dimensions).
        own: the teacher's vector for each row, shape (rows, dimensions).
        others: further vectors of the teacher, shape (others, dimensions).
    """
    bank = torch.cat([own, others])
    same = own @ bank.T > _SAME
    same.fill_diagonal_(False)
    scores = (_SCALE * (student @ bank.T)).masked_fill(same, -1e4)
    return torch.nn.functional.cross_entropy(scores, torch.arange(len(student)))


def text_weights(candidates: Candidates, texts: Ragged, known: Lesson, plan: Distillation, main: Ints) -> Floats:
    """How often each text is drawn: its source's weight times its length, languages tempered; 0 without a target.

    Args:
        candidates: texts and their sources' weights.
        texts: their pieces.
        known: which of them have an English version.
        plan: temper and others.
        main: 1 for an evaluation language, else 0; shape (languages,).
    """
    taught = known.of_text >= 0
    weights = np.where(taught, candidates.weights * np.minimum(lengths_of(texts), 30) / 10, 0.0)
    mass = np.bincount(candidates.languages, weights, minlength=len(main))
    shares = mass**plan.temper * np.where(main > 0, 1.0, plan.others)
    return np.asarray(weights * (shares / np.maximum(mass, 1e-9))[candidates.languages], dtype=np.float64)


def _batches(texts: Ragged, weights: Floats, plan: Distillation, rng: np.random.Generator) -> Iterator[Ints]:
    """Draws sorted by length and cut where a batch has its fill of pieces: hardly any padding."""
    drawn_from = np.flatnonzero(weights > 0)
    cumulative = np.cumsum(weights[drawn_from])
    cumulative /= cumulative[-1]
    lengths = lengths_of(texts)[drawn_from]
    while True:
        pick = np.searchsorted(cumulative, rng.random(plan.rows * _POOL))
        pick = pick[np.argsort(lengths[pick] + rng.random(len(pick)))]
        pieces = np.cumsum(np.maximum(lengths[pick] + 2, _SHORTEST_COUNTED))
        cuts = np.flatnonzero(np.diff(pieces // (plan.rows * _TOKENS_PER_ROW))) + 1
        pool = [batch for batch in np.split(pick, cuts) if len(batch) > _FEWEST_ROWS]
        rng.shuffle(pool)
        while pool:
            yield drawn_from[pool.pop()]
