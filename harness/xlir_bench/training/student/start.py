"""Where the contextual path starts: the teacher's words under the pieces of many languages, and its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from xlir_bench.encoders.two_path import SPECIAL
from xlir_bench.progress import Progress, Stage
from xlir_bench.training.batches import Ints
from xlir_bench.training.corpus import Candidates
from xlir_bench.training.start import Vectors
from xlir_bench.training.static import Ragged

_LEAST_COUNT = 3
_OWN_SHARE = 0.2
_NEIGHBOURS = 10
_SHARPNESS = 12.0
_BLOCK = 4000
_LONGEST_ENGLISH = 96


@dataclass(frozen=True)
class Lesson:
    """What the teacher has to say.

    Attributes:
        vectors: of every distinct English text, shape (English texts, dimensions), unit vectors.
        of_text: the row that a training text is to be like, -1 where no English version is known; shape (texts,).
    """

    vectors: torch.Tensor
    of_text: Ints


@dataclass(frozen=True)
class Course:
    """What both stages of training are given.

    Attributes:
        texts: pieces of every text.
        known: the teacher's vectors.
        seed: of every draw.
        stage: called with the number of steps done.
    """

    texts: Ragged
    known: Lesson
    seed: int
    stage: Stage


def word_table(teacher: SentenceTransformer, tokenizer: Tokenizer, static: Vectors, english: Ints) -> torch.Tensor:
    """A vector for every piece that the teacher's body can read.

    A piece that is an English word of the teacher's vocabulary has that word's own vector, if a fifth of its uses or
    more are English. Another has a mean of the vectors of its ten nearest English words in the static space, weighted
    by softmax(12 x cosine). All are brought to the mean length of the teacher's words.

    Args:
        teacher: an English encoder with a WordPiece vocabulary.
        tokenizer: the student's, without special pieces.
        static: the static encoder's vectors, shape (pieces, dimensions).
        english: uses of each piece in English texts and in all texts, shape (2, pieces).

    Returns:
        Shape (pieces + 3, the teacher's dimensions); `SPECIAL` last.
    """
    words = teacher[0].auto_model.get_input_embeddings().weight.detach().numpy()
    known = teacher.tokenizer.get_vocab()
    vocabulary = tokenizer.get_vocab()
    pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    anchors = [
        i for i, piece in enumerate(pieces) if piece in known and (english[0, i] >= _LEAST_COUNT or piece.isdigit())
    ]
    unit = torch.from_numpy(static / np.maximum(np.linalg.norm(static, axis=1, keepdims=True), 1e-6))
    anchor_words = torch.from_numpy(words[[known[pieces[i]] for i in anchors]])
    table = np.zeros((len(pieces) + len(SPECIAL), words.shape[1]), dtype=np.float32)
    for start in range(0, len(pieces), _BLOCK):
        near, which = (unit[start : start + _BLOCK] @ unit[anchors].T).topk(_NEIGHBOURS, dim=1)
        weights = torch.softmax((near - near[:, :1]) * _SHARPNESS, dim=1)
        table[start : start + len(near)] = (weights[:, :, None] * anchor_words[which]).sum(dim=1).numpy()
    shares = english[0] / np.maximum(english[1], 1)
    for place, i in enumerate(anchors):
        if shares[i] > _OWN_SHARE or pieces[i].isdigit():
            table[i] = anchor_words[place].numpy()
    body = table[: len(pieces)]
    body *= np.linalg.norm(words, axis=1).mean() / np.maximum(np.linalg.norm(body, axis=1, keepdims=True), 1e-6)
    for place, special in enumerate(SPECIAL):
        table[len(pieces) + place] = words[known[special]]
    return torch.from_numpy(table)


def uses_of_pieces(candidates: Candidates, texts: Ragged, pieces: int) -> Ints:
    """Uses of each piece in English texts of aligned records, and in all texts: shape (2, pieces)."""
    english = np.flatnonzero(candidates.languages[: len(candidates.records)] == _english(candidates))
    ids = [texts.ids[texts.offsets[text] : texts.offsets[text + 1]] for text in english]
    counted = np.bincount(np.concatenate(ids), minlength=pieces) if ids else np.zeros(pieces, dtype=np.int64)
    return np.stack([counted, np.bincount(texts.ids, minlength=pieces)])


def lesson(teacher: SentenceTransformer, candidates: Candidates, progress: Progress) -> Lesson:
    """Have the teacher read every distinct English text of the aligned records, in bfloat16."""
    aligned = len(candidates.records)
    english = np.flatnonzero(candidates.languages[:aligned] == _english(candidates))
    _, first, row = np.unique(candidates.identities[english], return_index=True, return_inverse=True)
    texts = [candidates.texts[english[i]] for i in first]
    teacher.max_seq_length = _LONGEST_ENGLISH
    by_record = np.full(int(candidates.records.max(initial=0)) + 1, -1, dtype=np.int64)
    by_record[candidates.records[english]] = row
    of_text = np.full(len(candidates.texts), -1, dtype=np.int64)
    of_text[:aligned] = by_record[candidates.records]
    return Lesson(
        torch.from_numpy(_read(teacher, texts, progress.stage("the teacher reads", len(texts), "texts"))), of_text
    )


def _read(teacher: SentenceTransformer, texts: Sequence[str], stage: Stage) -> npt.NDArray[np.float32]:
    vectors = np.zeros((len(texts), int(teacher.get_embedding_dimension() or 0)), dtype=np.float32)
    order = np.argsort([len(text) for text in texts])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(order), _BLOCK):
            part = order[start : start + _BLOCK]
            found = teacher.encode(
                [texts[i] for i in part],
                batch_size=128,
                normalize_embeddings=True,
                convert_to_tensor=True,
                show_progress_bar=False,
            )
            vectors[part] = found.float().numpy()
            stage.advance(len(part))
    return vectors


def _english(candidates: Candidates) -> int:
    return candidates.language_names.index("en")
