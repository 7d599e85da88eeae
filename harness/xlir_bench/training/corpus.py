"""What the bundled encoder is trained on: sources and licences, the held-out part, and the candidate pairs.

`SOURCES` is the one table to edit. Every source in it may be redistributed in derived form.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xlir_bench.errors import MissingResourceError
from xlir_bench.training.batches import Floats, Ints, Pairs
from xlir_bench.training.parallel import (
    AlignedRecord,
    QuestionRecord,
    distinct_records,
    held_out,
    read_aligned,
    read_questions,
)


@dataclass(frozen=True, slots=True)
class Source:
    """One file of training texts.

    Attributes:
        folder: `train` (aligned texts) or `qa` (questions with passages).
        licence: as its publisher states it.
        weight: how often a pair of it is drawn, against a pair of another source.
        held_out: percent of its records kept for development.
    """

    folder: str
    licence: str
    weight: float
    held_out: int = 0


SOURCES: dict[str, Source] = {
    "flores_devtest": Source("train", "CC-BY-SA-4.0", 3.0, 15),
    "sib200_extra": Source("train", "CC-BY-SA-4.0", 3.0, 15),
    "tico19": Source("train", "CC0-1.0", 3.0, 5),
    "tatoeba_test_noLASER": Source("train", "CC-BY-2.0-FR", 1.0),
    "mkqa_mia_questions": Source("train", "MIT", 1.0, 5),
    "ms_azd": Source("train", "MIT", 0.3),
    "ms_edgeai": Source("train", "MIT", 0.3),
    "ms_security101": Source("train", "MIT", 0.3),
    "aosp_frameworks": Source("train", "Apache-2.0", 0.1),
    "aosp_settings": Source("train", "Apache-2.0", 0.1),
    "mozilla_www": Source("train", "MPL-2.0", 0.2),
    "cldr_names": Source("train", "Unicode-3.0", 0.1),
    "tquad": Source("qa", "MIT, as published by its authors", 1.0, 6),
    "arcd": Source("qa", "MIT, as published by its authors", 1.0, 6),
    "cmrc2018": Source("qa", "CC-BY-SA-4.0", 1.0, 6),
    "drcd": Source("qa", "CC-BY-SA-3.0", 1.0, 6),
    "iapp": Source("qa", "MIT, as published by its authors", 1.0, 6),
}

# A text is thinned out for an X-X pair with itself only where both halves still say something.
_SHORTEST_FOR_THINNING = 8
_LONGEST_COUNTED = 30
_LEAST_THINNING_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Corpus:
    """Records to train on, and records held out: no text is on both sides."""

    aligned: list[AlignedRecord]
    questions: list[QuestionRecord]
    held_out_aligned: list[AlignedRecord]
    held_out_questions: list[QuestionRecord]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every text of the training side once, and the pairs that batches are drawn from.

    Attributes:
        texts: all texts; indices elsewhere point here.
        language_names: ISO 639-1 codes, sorted.
        languages: index into `language_names`, shape (texts,).
        identities: equal for equal texts, shape (texts,).
        records: the record that a text of an aligned record belongs to, shape (aligned texts,); these texts
            come first.
        crosslingual: X-Y pairs: all pairs of languages of every record.
        questions: X-X pairs: question and answering sentence.
        weights: weight of the source of every text, shape (texts,).
    """

    texts: list[str]
    language_names: list[str]
    languages: Ints
    identities: Ints
    records: Ints
    crosslingual: Pairs
    questions: Pairs
    weights: Floats


def load_corpus(data: Path) -> Corpus:
    """Read every source of `SOURCES` found under `data`, and set the held-out part aside.

    Raises:
        MissingResourceError: no source is there at all.
        InputError: a file does not follow its layout.
    """
    corpus = Corpus([], [], [], [])
    found = 0
    for name, source in SOURCES.items():
        path = data / source.folder / f"{name}.jsonl.gz"
        if not path.exists():
            continue
        found += 1
        if source.folder == "qa":
            for question in read_questions(path):
                # By passage: the questions of one passage stay together.
                apart = held_out(question.sentences, source.held_out)
                (corpus.held_out_questions if apart else corpus.questions).append(question)
        else:
            for record in read_aligned(path):
                apart = held_out(record.texts.values(), source.held_out)
                (corpus.held_out_aligned if apart else corpus.aligned).append(record)
    if not found:
        raise MissingResourceError(f"{data}: neither train/ nor qa/ holds a file of a known source")
    apart_texts = {text for record in corpus.held_out_aligned for text in record.texts.values()}
    aligned = distinct_records(corpus.aligned, apart_texts.__contains__)
    return Corpus(aligned, corpus.questions, corpus.held_out_aligned, corpus.held_out_questions)


def make_candidates(aligned: Sequence[AlignedRecord], questions: Sequence[QuestionRecord]) -> Candidates:
    """Lay the records out as arrays of texts and pairs."""
    texts: list[str] = []
    tags: list[str] = []
    weights: list[float] = []
    records: list[int] = []
    rows: list[Ints] = []
    for number, record in enumerate(aligned):
        rows.append(_combinations(len(record.texts)) + len(texts))
        texts += record.texts.values()
        tags += record.texts
        records += [number] * len(record.texts)
        weights += [SOURCES[record.source].weight] * len(record.texts)
    pairs = np.concatenate(rows) if rows else np.zeros((0, 2), dtype=np.int64)
    record_of = np.array(records, dtype=np.int64)
    answered = _add_questions(questions, texts, tags, weights)
    names = sorted(set(tags))
    numbers = {name: i for i, name in enumerate(names)}
    identities: dict[str, int] = {}
    weight_of = np.array(weights)
    return Candidates(
        texts,
        names,
        np.array([numbers[tag] for tag in tags], dtype=np.int64),
        np.array([identities.setdefault(text, len(identities)) for text in texts], dtype=np.int64),
        record_of,
        Pairs(pairs[:, 0], pairs[:, 1], record_of[pairs[:, 0]], weight_of[pairs[:, 0]]),
        Pairs(answered[:, 0], answered[:, 1], np.arange(len(answered)), np.ones(len(answered))),
        weight_of,
    )


def monolingual_pairs(candidates: Candidates, lengths: Ints, thinned_share: float) -> Pairs:
    """Join the questions with pairs of a text and itself, to be thinned out differently on each side.

    Args:
        candidates: texts and pairs.
        lengths: pieces of every text, shape (texts,).
        thinned_share: share of rows of thinned texts, in languages that have questions too.
    """
    languages, questions = candidates.languages, candidates.questions
    thinned = np.setdiff1d(np.flatnonzero(lengths >= _SHORTEST_FOR_THINNING), questions.queries)
    weights = np.maximum(candidates.weights[thinned], _LEAST_THINNING_WEIGHT)
    weights = weights * np.minimum(lengths[thinned], _LONGEST_COUNTED)
    count = len(candidates.language_names)
    asked = np.bincount(languages[questions.queries], minlength=count)
    mass = np.bincount(languages[thinned], weights, minlength=count)
    wanted = thinned_share / (1 - thinned_share) * asked / np.maximum(mass, 1e-9)
    weights = weights * np.where(asked > 0, wanted, 1.0)[languages[thinned]]
    return Pairs(
        np.concatenate([questions.queries, thinned]),
        np.concatenate([questions.documents, thinned]),
        np.arange(len(questions.queries) + len(thinned)),
        np.concatenate([questions.weights, weights]),
    )


def texts_by_language(candidates: Candidates) -> dict[str, list[str]]:
    """Return every text under its language's code."""
    texts: dict[str, list[str]] = {name: [] for name in candidates.language_names}
    for text, language in zip(candidates.texts, candidates.languages, strict=True):
        texts[candidates.language_names[language]].append(text)
    return texts


def record_counts(corpus: Corpus) -> Counter[str]:
    """Count the records trained on, by source."""
    counts = Counter(record.source for record in corpus.aligned)
    counts.update(question.source for question in corpus.questions)
    return counts


def _combinations(count: int) -> Ints:
    return np.array(list(itertools.combinations(range(count), 2)), dtype=np.int64).reshape(-1, 2)


def _add_questions(
    questions: Sequence[QuestionRecord], texts: list[str], tags: list[str], weights: list[float]
) -> Ints:
    """Append passages (each once) and questions; return rows of question and answering sentence, shape (n, 2)."""
    starts: dict[tuple[str, ...], int] = {}
    rows: list[tuple[int, int]] = []
    for question in questions:
        weight = SOURCES[question.source].weight
        if question.sentences not in starts:
            starts[question.sentences] = len(texts)
            texts += question.sentences
            tags += [question.language] * len(question.sentences)
            weights += [weight] * len(question.sentences)
        rows.append((len(texts), starts[question.sentences] + question.answering))
        texts.append(question.question)
        tags.append(question.language)
        weights.append(weight)
    return np.array(rows, dtype=np.int64).reshape(-1, 2)
