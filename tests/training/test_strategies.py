"""Batches of a pair store: what every strategy promises, and how often everything is drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_stores import parallel, table
from scipy.stats import chisquare

from xlir_bench.errors import InputError
from xlir_bench.training.augmentation import Augmentation
from xlir_bench.training.store import Pair
from xlir_bench.training.strategies import STRATEGIES, RowBatches, RowPlan, Rows

CODES = ["ar", "de", "en", "sw"]
NEVER = 1e-4


@st.composite
def stores(draw: st.DrawFn) -> list[Pair]:
    """Rows over few texts, groups and languages, so that they often answer one another."""
    side = st.tuples(st.integers(0, 15), st.sampled_from(CODES))
    row = st.tuples(side, side, st.integers(0, 12), st.sampled_from(["a", "b"]))
    rows = draw(st.lists(row, min_size=1, max_size=60))
    pairs = [
        Pair(f"t{query}", f"t{document}", asked, given, f"g{group}", dataset)
        for (query, asked), (document, given), group, dataset in rows
    ]
    both = [Pair("q", "d", "en", "en", "one", "a"), Pair("q2", "d2", "en", "de", "two", "a")]
    return [*pairs, *both]


def obeys(strategy: str, kind: str, pairs: list[Pair]) -> bool:
    """The definitions of the strategies, as the two papers give them."""
    alone = all(pair.query_language == pair.document_language for pair in pairs)
    across = all(pair.query_language != pair.document_language for pair in pairs)
    one = len({pair.query_language for pair in pairs}) == 1
    return {
        "X-X": alone and one,
        "lareqa:X-X-mono": alone and one,
        "lareqa:X-X": alone,
        "lareqa:En-En": alone and pairs[0].query_language == "en" and one,
        "X-Y": across,
        "lareqa:X-Y": across,
        "hybrid": (alone and one) if kind == "X-X" else across,
        "contrastive": True,
    }[strategy]


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(pairs=stores(), size=st.integers(2, 12), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_every_batch_obeys_its_strategy_and_no_row_answers_another(
    strategy: str, pairs: list[Pair], size: int, seed: int
) -> None:
    batches = RowBatches(Rows.of_table(table(pairs)), RowPlan(strategy, batch=size), seed)
    for number in range(4):
        batch = batches.batch(number)
        chosen = [pairs[row] for row in batch.rows]
        assert 1 <= len(chosen) <= size
        assert obeys(strategy, batch.kind, chosen)
        groups = [(pair.dataset, pair.group) for pair in chosen]
        assert len(set(groups)) == len(groups)
        sides = [{pair.query, pair.document} for pair in chosen]
        assert sum(map(len, sides)) == len(set().union(*sides)), "a text stands in two rows"


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_hard_negative_of_one_row_is_no_text_of_another(data: st.DataObject) -> None:
    numbers = st.integers(0, 20)
    rows = data.draw(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40))
    pairs = [
        Pair(f"q{at}", f"d{document}", "en", "en", str(at), "a", (f"d{negative + (negative == document) * 50}",))
        for at, (document, negative) in enumerate(rows)
    ]
    batches = RowBatches(Rows.of_table(table(pairs), negatives=1), RowPlan("X-X", batch=8), 1)
    for number in range(3):
        chosen = [pairs[row] for row in batches.batch(number).rows]
        for one in chosen:
            others = {text for other in chosen if other is not one for text in (other.query, other.document)}
            assert not others & set(one.negatives)


def drawn(plan: RowPlan, pairs: list[Pair], count: int, seed: int = 5) -> list[tuple[str, list[Pair]]]:
    batches = RowBatches(Rows.of_table(table(pairs)), plan, seed)
    return [(batch.kind, [pairs[row] for row in batch.rows]) for batch in map(batches.batch, range(count))]


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.9])
def test_alpha_is_the_probability_of_an_x_x_batch(alpha: float) -> None:
    kinds = Counter(kind for kind, _ in drawn(RowPlan("hybrid", alpha, batch=2), parallel(30), 1500))
    assert chisquare([kinds["X-X"], kinds["X-Y"]], [1500 * alpha, 1500 * (1 - alpha)]).pvalue > NEVER


def test_alpha_0_and_1_are_x_y_and_x_x() -> None:
    for alpha, parent in ((0.0, "X-Y"), (1.0, "X-X")):
        hybrid = drawn(RowPlan("hybrid", alpha, batch=4), parallel(30), 20)
        assert hybrid == drawn(RowPlan(parent, batch=4), parallel(30), 20)


def uneven() -> list[Pair]:
    """60 records in German and English, 12 of them in Swahili too: no batch is short, and counts differ by far."""
    return [
        pair
        for pair in parallel(60)
        if "sw" not in (pair.query_language, pair.document_language) or int(pair.group) < 12
    ]


@pytest.mark.parametrize("strategy", ["X-X", "lareqa:X-X-mono", "lareqa:X-X"])
def test_languages_are_drawn_uniformly_however_many_rows_they_have(strategy: str) -> None:
    batches = drawn(RowPlan(strategy, batch=2), uneven(), 1500)
    seen = Counter(chosen[0].query_language for _, chosen in batches)
    assert chisquare([seen[code] for code in ("de", "en", "sw")]).pvalue > NEVER


def test_ordered_pairs_of_languages_are_drawn_uniformly_unless_tempered() -> None:
    pairs = uneven()

    def counts(temper: float) -> list[int]:
        batches = drawn(RowPlan("X-Y", batch=2, temper=temper), pairs, 1500)
        seen = Counter((chosen[0].query_language, chosen[0].document_language) for _, chosen in batches)
        return [seen[pair] for pair in sorted(seen)]

    assert len(counts(0.0)) == 6
    assert chisquare(counts(0.0)).pvalue > NEVER
    sizes = Counter(
        (pair.query_language, pair.document_language) for pair in pairs if pair.query_language != pair.document_language
    )
    shares = np.array([sizes[pair] for pair in sorted(sizes)]) / sizes.total()
    assert chisquare(counts(1.0), shares * 1500).pvalue > NEVER


def test_data_sets_are_drawn_in_proportion_to_their_rows() -> None:
    pairs = [*parallel(60, ("de", "en")), *parallel(20, ("de", "en"), dataset="other", first=100)]
    seen = Counter(chosen[0].dataset for _, chosen in drawn(RowPlan("X-X", batch=2), pairs, 1200))
    assert chisquare([seen["toy"], seen["other"]], [900, 300]).pvalue > NEVER
    assert all(len({pair.dataset for pair in chosen}) == 1 for _, chosen in drawn(RowPlan("X-Y", batch=6), pairs, 20))


def test_contrastive_draws_every_row_alike() -> None:
    pairs = uneven()
    seen = Counter(
        chosen[0].query_language == chosen[0].document_language
        for _, chosen in drawn(RowPlan("contrastive", batch=2), pairs, 1500)
    )
    alone = np.mean([pair.query_language == pair.document_language for pair in pairs])
    assert chisquare([seen[True], seen[False]], [1500 * alone, 1500 * (1 - alone)]).pvalue > NEVER


def test_augmentation_decides_how_often_relatives_meet() -> None:
    # Of de, en and sw only the first two are relatives (Germanic).
    plan = RowPlan("X-Y", batch=2, augmentation=Augmentation(within_family=0.8))
    batches = drawn(plan, uneven(), 1500)
    related = sum({chosen[0].query_language, chosen[0].document_language} == {"de", "en"} for _, chosen in batches)
    assert chisquare([related, 1500 - related], [1200, 300]).pvalue > NEVER


def test_temperature_raises_a_language_with_few_rows() -> None:
    plan = RowPlan("X-X", batch=2, augmentation=Augmentation(temperature=0.5))
    seen = Counter(chosen[0].query_language for _, chosen in drawn(plan, uneven(), 1500))
    masses = np.sqrt([60, 60, 12])
    assert chisquare([seen[code] for code in ("de", "en", "sw")], 1500 * masses / masses.sum()).pvalue > NEVER


def test_a_language_with_few_rows_is_lent_those_of_its_relatives() -> None:
    pairs = [pair for pair in parallel(40, ("de", "en")) if pair.query_language == "de" or int(pair.group) < 3]
    plan = RowPlan("X-X", batch=10, augmentation=Augmentation(fill=20, temperature=0.0))
    sizes = [len(chosen) for _, chosen in drawn(plan, pairs, 40)]
    assert min(sizes) == 10
    assert min(len(chosen) for _, chosen in drawn(RowPlan("X-X", batch=10), pairs, 40)) == 3


def test_given_shares_take_the_place_of_uniform_ones() -> None:
    plan = RowPlan("X-X", batch=2, languages=np.array([0.0, 0.25, 0.75]))
    seen = Counter(chosen[0].query_language for _, chosen in drawn(plan, uneven(), 800))
    assert seen["de"] == 0
    assert chisquare([seen["en"], seen["sw"]], [200, 600]).pvalue > NEVER
    one_way = np.zeros((3, 3))
    one_way[0, 2] = 1.0
    batches = drawn(RowPlan("X-Y", batch=4, pairs=one_way), uneven(), 5)
    assert {(p.query_language, p.document_language) for _, chosen in batches for p in chosen} == {("de", "sw")}


def test_a_batch_follows_from_the_seed_and_its_number_alone() -> None:
    rows = Rows.of_table(table(parallel(30)))
    batches = RowBatches(rows, RowPlan("hybrid", batch=8), 3)
    forwards = [batches.batch(number).rows.tolist() for number in range(30)]
    backwards = [batches.batch(number).rows.tolist() for number in reversed(range(30))]
    assert forwards == backwards[::-1]
    assert [batches.kind(number) for number in range(30)] == [batches.batch(number).kind for number in range(30)]
    other = RowBatches(rows, RowPlan("hybrid", batch=8), 4)
    assert forwards != [other.batch(number).rows.tolist() for number in range(30)]


def test_a_strategy_without_rows_is_refused() -> None:
    rows = Rows.of_table(table([pair for pair in parallel(5, ("de", "sw")) if pair.query_language == "de"]))
    with pytest.raises(InputError, match="no row of the data is En-En"):
        RowBatches(rows, RowPlan("lareqa:En-En"), 1)
    with pytest.raises(InputError, match="unknown strategy 'X-Z'"):
        RowBatches(rows, RowPlan("X-Z"), 1)  # type: ignore[arg-type]


def test_negatives_that_are_missing_or_right_answers_are_refused() -> None:
    pairs = [Pair("q", "d", "en", "en", "1", "a", ("n",)), Pair("q2", "d2", "en", "en", "2", "a")]
    with pytest.raises(InputError, match=r"1 of 2 rows have fewer \(the first is row 1\)"):
        Rows.of_table(table(pairs), negatives=1)
    with pytest.raises(InputError, match="row 0: a hard negative is the row's own document"):
        Rows.of_table(table([Pair("q", "d", "en", "en", "1", "a", ("d",))]), negatives=1)
    with pytest.raises(InputError, match="no row"):
        Rows.of_table(table(pairs).slice(0, 0))
