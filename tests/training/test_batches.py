"""The hybrid batch sampler: what every batch promises, whatever the pairs."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from xlir_bench.training.batches import Batch, BatchPlan, HybridBatches, Pairs


def pairs(rows: list[tuple[int, int, int]]) -> Pairs:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Pairs(columns[:, 0], columns[:, 1], columns[:, 2], np.ones(len(rows)))


def grid(records: int, languages: int) -> tuple[Pairs, Pairs, np.ndarray]:
    """Every record in every language: text = record x languages + language."""
    text_languages = np.tile(np.arange(languages), records)
    alone = [(text, text, text) for text in range(records * languages)]
    together = [
        (record * languages + x, record * languages + y, record)
        for record in range(records)
        for x in range(languages)
        for y in range(x + 1, languages)
    ]
    return pairs(alone), pairs(together), text_languages


def drawn(alpha: float, count: int, rows: int = 8, seed: int = 0) -> tuple[list[Batch], np.ndarray]:
    alone, together, languages = grid(records=40, languages=4)
    identities = np.arange(len(languages))
    stream = HybridBatches(alone, together, languages, identities, BatchPlan(alpha, rows), seed)
    return list(islice(stream, count)), languages


@given(alpha=st.floats(0, 1), rows=st.integers(2, 20), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_every_batch_obeys_its_strategy(alpha: float, rows: int, seed: int) -> None:
    batches, languages = drawn(alpha, 10, rows, seed)
    for batch in batches:
        of_queries, of_documents = languages[batch.queries], languages[batch.documents]
        if batch.strategy == "X-X":
            assert len({*of_queries, *of_documents}) == 1
        else:
            assert (of_queries != of_documents).all()
        assert len(batch.queries) == len(batch.documents) == rows


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_row_of_a_batch_answers_another(data: st.DataObject) -> None:
    languages = np.array(data.draw(st.lists(st.integers(0, 2), min_size=6, max_size=25)))
    text = st.integers(0, len(languages) - 1)
    rows = data.draw(st.lists(st.tuples(text, text, st.integers(0, 6)), min_size=1, max_size=60))
    identities = np.array([data.draw(st.integers(0, 8)) * 3 + int(language) for language in languages])
    alone = [row for row in rows if languages[row[0]] == languages[row[1]]] or [(0, 0, 0)]
    together = [row for row in rows if languages[row[0]] != languages[row[1]]]
    plan = BatchPlan(alpha=0.5 if together else 1.0, rows=12)
    for batch in islice(HybridBatches(pairs(alone), pairs(together), languages, identities, plan, 1), 5):
        sides = [
            {int(identities[query]), int(identities[document])}
            for query, document in zip(batch.queries, batch.documents, strict=True)
        ]
        assert sum(map(len, sides)) == len(set().union(*sides)), "a text stands in two rows"


def test_no_two_rows_of_a_batch_come_from_one_record() -> None:
    batches, _ = drawn(alpha=0.0, count=50, rows=30)
    for batch in batches:
        records = batch.queries // 4
        assert (records == batch.documents // 4).all()
        assert len(set(records)) == len(records)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
def test_alpha_is_the_share_of_monolingual_batches(alpha: float) -> None:
    batches, _ = drawn(alpha, 2000, rows=2)
    monolingual = sum(batch.strategy == "X-X" for batch in batches)
    observed, expected = [monolingual, 2000 - monolingual], [2000 * alpha, 2000 * (1 - alpha)]
    assert chisquare(observed, expected).pvalue > 1e-4


def test_monolingual_batches_draw_their_language_uniformly_however_many_pairs_it_has() -> None:
    languages = np.array([0] * 100 + [1] * 10 + [2] * 4)
    alone = pairs([(text, text, text) for text in range(len(languages))])
    stream = HybridBatches(alone, pairs([]), languages, np.arange(114), BatchPlan(1.0, 2), 3)
    seen = np.bincount([languages[batch.queries[0]] for batch in islice(stream, 1500)], minlength=3)
    assert chisquare(seen).pvalue > 1e-4


def test_temper_zero_draws_language_pairs_uniformly() -> None:
    languages = np.array([0, 1] * 50 + [0, 2] * 5)
    together = pairs([(2 * i, 2 * i + 1, i) for i in range(55)])
    stream = HybridBatches(pairs([]), together, languages, np.arange(110), BatchPlan(0.0, 2, 0.0), 3)
    with_two = [2 in languages[[*batch.queries, *batch.documents]] for batch in islice(stream, 600)]
    # Each of two rows is of the rare pair with probability 1/2.
    assert np.mean(with_two) == pytest.approx(0.75, abs=0.06)


def test_both_directions_of_a_pair_are_drawn() -> None:
    batches, languages = drawn(alpha=0.0, count=200)
    up = np.concatenate([languages[batch.queries] < languages[batch.documents] for batch in batches])
    assert up.mean() == pytest.approx(0.5, abs=0.05)


def test_the_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    def texts(seed: int) -> list[list[int]]:
        return [[*batch.queries, *batch.documents] for batch in drawn(0.5, 20, seed=seed)[0]]

    assert texts(7) == texts(7)
    assert texts(7) != texts(8)


def test_a_batch_is_short_rather_than_repetitive_where_pairs_are_few() -> None:
    languages = np.zeros(3, dtype=np.int64)
    alone = pairs([(text, text, text) for text in range(3)])
    stream = HybridBatches(alone, pairs([]), languages, np.arange(3), BatchPlan(1.0, 8), 0)
    assert sorted(next(iter(stream)).queries) == [0, 1, 2]


def test_pairs_that_contradict_their_strategy_are_refused() -> None:
    languages, identities = np.array([0, 1]), np.arange(2)
    across, within = pairs([(0, 1, 0)]), pairs([(0, 0, 0)])
    with pytest.raises(ValueError, match="X-X pairs join two languages"):
        HybridBatches(across, across, languages, identities, BatchPlan(), 0)
    with pytest.raises(ValueError, match="X-Y pairs are in one language"):
        HybridBatches(within, within, languages, identities, BatchPlan(), 0)
    with pytest.raises(ValueError, match="no pairs"):
        HybridBatches(within, pairs([]), languages, identities, BatchPlan(alpha=0.5), 0)


def test_a_plan_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="probability"):
        BatchPlan(alpha=1.5)
    with pytest.raises(ValueError, match="two rows"):
        BatchPlan(rows=1)
