"""Scores on held-out records: what every choice about the bundled encoder is made on, never on a test suite.

* questions: question to answering sentence, in one language; pool: all sentences of the held-out passages of
  that language;
* spans: a contiguous 40 % of a text in language x finds the whole text in x (monolingual), its translation among
  the texts of y (cross-lingual), and all its translations among the texts of all languages (multilingual);
* translations: a question finds its translation among all held-out questions of another language.

AP throughout, macro-averaged over languages or ordered language pairs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xlir_bench.training.batches import Ints
from xlir_bench.training.parallel import AlignedRecord, QuestionRecord

Embeddings = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Embeddings]
"""Texts to vectors of unit length, shape (texts, dimensions)."""

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
_SPAN_SHARE = 0.4
_SHORTEST_SPLIT = 5
_PROSE = ("flores_devtest", "sib200_extra", "tico19")
_TRANSLATED_QUESTIONS = "mkqa_mia_questions"


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """AP from 0 to 1, and the rank distance in ranks (lower is better).

    Attributes:
        questions: question to answering sentence.
        monolingual, crosslingual, multilingual: spans, in the three settings.
        rank_distance: largest minus smallest rank of a span's translations in the multilingual ranking.
        translations: question to translated question.
    """

    questions: float
    monolingual: float
    crosslingual: float
    multilingual: float
    rank_distance: float
    translations: float


def score(
    encode: Encode, aligned: Sequence[AlignedRecord], questions: Sequence[QuestionRecord], seed: int = 5
) -> HeldOutScores:
    """Score an encoder on held-out records; a part without records scores NaN."""
    prose = [record for record in aligned if record.source in _PROSE]
    translated = [record for record in aligned if record.source == _TRANSLATED_QUESTIONS]
    return HeldOutScores(
        _score_questions(encode, questions),
        *_score_spans(encode, prose, seed),
        _score_pairs(encode, translated),
    )


def span_of(text: str, rng: random.Random, share: float = _SPAN_SHARE) -> str:
    """Cut a contiguous share of a text: in words, or in code points where there are few spaces."""
    words = text.split(" ")
    joint = " "
    if len(words) < _SHORTEST_SPLIT:
        words, joint = list(text), ""
    length = max(1, round(len(words) * share))
    start = rng.randrange(len(words) - length + 1)
    return joint.join(words[start : start + length])


def ranks_of(scores: Embeddings, relevant: Ints) -> Ints:
    """Rank of the one relevant document of every query, ties in the query's favour.

    Args:
        scores: shape (queries, documents).
        relevant: column of the relevant document, shape (queries,).
    """
    own = scores[np.arange(len(scores)), relevant]
    return np.asarray(1 + (scores > own[:, None]).sum(axis=1), dtype=np.int64)


def full_ranking(scores: Embeddings, relevant: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean AP and mean rank distance of full rankings with several relevant documents.

    Args:
        scores: shape (queries, documents).
        relevant: shape (queries, documents); at least one per row.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    found = np.take_along_axis(relevant, order, axis=1)
    precision = found.cumsum(axis=1) / np.arange(1, found.shape[1] + 1)
    average_precision = (precision * found).sum(axis=1) / found.sum(axis=1)
    distance = found.shape[1] - 1 - found[:, ::-1].argmax(axis=1) - found.argmax(axis=1)
    return float(average_precision.mean()), float(distance.mean())


def _score_questions(encode: Encode, questions: Sequence[QuestionRecord]) -> float:
    values = []
    for language in sorted({question.language for question in questions}):
        asked = [question for question in questions if question.language == language]
        passages = list(dict.fromkeys(question.sentences for question in asked))
        starts = dict(zip(passages, np.cumsum([0, *map(len, passages)]), strict=False))
        pool = encode([sentence for passage in passages for sentence in passage])
        relevant = np.array([starts[question.sentences] + question.answering for question in asked])
        values.append(_mean_reciprocal(encode([question.question for question in asked]) @ pool.T, relevant))
    return float(np.mean(values)) if values else float("nan")


def _score_spans(encode: Encode, records: Sequence[AlignedRecord], seed: int) -> tuple[float, float, float, float]:
    rng = random.Random(seed)
    rows = [
        (number, language, record.texts[language], span_of(record.texts[language], rng))
        for number, record in enumerate(records)
        for language in LANGUAGES
        if language in record.texts
    ]
    if not rows:
        return (float("nan"),) * 4
    record_of = np.array([row[0] for row in rows])
    languages = np.array([row[1] for row in rows])
    scores = encode([row[3] for row in rows]) @ encode([row[2] for row in rows]).T
    mono: list[float] = []
    cross: list[float] = []
    multi: list[tuple[float, float]] = []
    for x in sorted(set(languages)):
        queries = np.flatnonzero(languages == x)
        multi.append(full_ranking(scores[queries], record_of[queries, None] == record_of[None, :]))
        for y in sorted(set(languages)):
            pool = np.flatnonzero(languages == y)
            place = {record: i for i, record in enumerate(record_of[pool])}
            answered = np.array([q for q in queries if record_of[q] in place], dtype=np.int64)
            if not len(answered):
                continue
            relevant = np.array([place[record_of[q]] for q in answered])
            value = _mean_reciprocal(scores[np.ix_(answered, pool)], relevant)
            (mono if x == y else cross).append(value)
    crosslingual = float(np.mean(cross)) if cross else float("nan")
    average_precision, distance = np.mean(np.array(multi), axis=0)
    return float(np.mean(mono)), crosslingual, float(average_precision), float(distance)


def _score_pairs(encode: Encode, records: Sequence[AlignedRecord]) -> float:
    if not records:
        return float("nan")
    languages = sorted(set.intersection(*(set(record.texts) for record in records)))
    vectors = {language: encode([record.texts[language] for record in records]) for language in languages}
    diagonal = np.arange(len(records))
    values = [_mean_reciprocal(vectors[x] @ vectors[y].T, diagonal) for x in languages for y in languages if x != y]
    return float(np.mean(values)) if values else float("nan")


def _mean_reciprocal(scores: Embeddings, relevant: Ints) -> float:
    # With one relevant document per query, AP is the reciprocal of its rank.
    return float((1 / ranks_of(scores, relevant)).mean())
