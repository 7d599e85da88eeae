"""Small full rankings of one pool in several languages, and the arrays that measures take."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from xlir_bench.measures.preference import RelevantRanks

LANGUAGES = 3


@st.composite
def rankings(draw) -> list[list[tuple[int, bool]]]:
    """Full rankings of one pool, as (language, relevant) from the first to the last; each has a relevant document."""
    size = draw(st.integers(2, 12))
    codes = draw(st.lists(st.integers(0, LANGUAGES - 1), min_size=size, max_size=size))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        order = draw(st.permutations(range(size)))
        relevant = draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=6))
        found.append([(codes[d], d in relevant) for d in order])
    return found


def relevant_ranks(lists) -> RelevantRanks:
    entries = [
        (q, language, rank)
        for q, ranking in enumerate(lists)
        for rank, (language, is_relevant) in enumerate(ranking, 1)
        if is_relevant
    ]
    query, language, rank = (np.array(column) for column in zip(*entries, strict=True))
    shuffled = np.random.default_rng(0).permutation(len(query))
    return RelevantRanks.of(
        query[shuffled], language[shuffled], rank[shuffled], np.ones(len(query)), (len(lists), LANGUAGES)
    )


@st.composite
def tied_answers(draw) -> list[list[tuple[int, int]]]:
    """For each query, its relevant documents as (language, score), scores descending and often equal."""
    answer = st.tuples(st.integers(0, LANGUAGES - 1), st.integers(0, 4))
    lists = draw(st.lists(st.lists(answer, min_size=1, max_size=8), min_size=1, max_size=4))
    return [sorted(answers, key=lambda entry: -entry[1]) for answers in lists]


def tied_ranks(lists) -> RelevantRanks:
    """Where nothing but the relevant documents is in the pool."""
    entries = [
        (q, language, rank, sum(other > score for _, other in answers))
        for q, answers in enumerate(lists)
        for rank, (language, score) in enumerate(answers, 1)
    ]
    query, language, rank, ahead = (np.array(column) for column in zip(*entries, strict=True))
    return RelevantRanks.of(query, language, rank, np.ones(len(query)), (len(lists), LANGUAGES), ahead)


def leaders(lists, depth) -> np.ndarray:
    return np.array([[language for language, _ in (ranking + [(-1, False)] * depth)[:depth]] for ranking in lists])
