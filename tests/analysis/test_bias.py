"""Language bias of whole runs, beside figures that are worked out from sorted rankings."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from oracles import GivenScores, ranking

from xlir_bench.analysis import analysed
from xlir_bench.analysis.bias import GROUPS, _grouped, measure_bias
from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import resolve
from xlir_bench.evaluation import evaluate
from xlir_bench.retrieval import count_outranked
from xlir_bench.suites import load

from test_counting import CODES, collections  # isort: skip


def bias_of(collection, scores, across=True):
    table = count_outranked(GivenScores(scores), collection, across_languages=across)
    return measure_bias(table), table


def parallel(questions: int, languages: int, rest: int) -> Collection:
    """Questions in several languages, each answered by one document per language, and others that answer nothing."""
    codes = ["ar", "de", "en", "th", "zh"][:languages]
    documents = [(code, n) for code in codes for n in range(questions + rest)]
    at = {pair: place for place, pair in enumerate(documents)}
    queries = [(code, n) for code in codes for n in range(questions)]
    return Collection(
        Texts([f"{c}:q{n}" for c, n in queries], ["?"] * len(queries), [c for c, _ in queries]),
        Texts([f"{c}:{n}" for c, n in documents], ["."] * len(documents), [c for c, _ in documents]),
        Judgements.of((q, at[code, n], 1.0) for q, (_, n) in enumerate(queries) for code in codes),
        [f"q{n}" for _, n in queries],
    )


def same_map(found: dict, expected: dict[tuple[str, str], list[float]]):
    flat = {(x, y): value for x, row in found.items() for y, value in row.items()}
    means = {pair: np.nanmean(values) for pair, values in expected.items() if not np.isnan(values).all()}
    assert flat == pytest.approx(means, abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(collections())
def test_maps_are_those_of_the_sorted_rankings(given_collection):
    collection, scores = given_collection
    bias, table = bias_of(collection, scores)
    if len(table.languages) < 2:
        assert bias.summary == {}
        return
    relevant = {(int(q), d) for q, d in zip(table.query, table.document_id, strict=True)}
    limited, shares, distances = {}, {}, {}
    for query in np.unique(table.query).tolist():
        x = collection.queries.languages[query]
        order = ranking(collection, scores, query, set(CODES))
        flags = [(query, collection.documents.ids[d]) in relevant for d in order]
        codes = [collection.documents.languages[d] for d in order]
        places = [place for place, flag in enumerate(flags) if flag]
        distances.setdefault(x, []).append(places[-1] - places[0])
        for y in table.languages:
            left = [flag for flag, code in zip(flags, codes, strict=True) if not flag or code == y]
            limited.setdefault((x, y), []).append(1 / (left.index(True) + 1) if True in left else math.nan)
            shares.setdefault((x, y), []).append(codes[:10].count(y) / len(codes[:10]))
    same_map(bias.maps["limit_to_one_target"], limited)
    same_map(bias.maps["language_share@10"], shares)
    expected = {x: np.mean(values) for x, values in distances.items()}
    assert bias.query_languages["rank_distance"] == pytest.approx(expected, abs=1e-6)
    json.dumps(bias.model_dump(), allow_nan=False)


def test_a_ranking_that_always_puts_its_own_language_first_shows_it_in_every_figure():
    collection = parallel(questions=12, languages=4, rest=30)
    rng = np.random.default_rng(0)
    same = np.array(collection.queries.languages)[:, None] == np.array(collection.documents.languages)
    scores = rng.random(same.shape) + 10 * same
    bias, _ = bias_of(collection, scores)
    summary = bias.summary
    assert summary["language_advantage.same"] == 1
    assert summary["language_advantage.other"] == pytest.approx(-1 / 3)
    assert summary["same_language_lift@10"] == pytest.approx(4)
    assert summary["language_advantage.spread"] < 0.2  # every language is preferred by its own queries
    fair, _ = bias_of(collection, rng.random(same.shape))
    for name in ("AWRF@100", "PEER_nonrelevant@100"):
        assert summary[name] < fair.summary[name]
    assert summary["epsilon_squared"] > fair.summary["epsilon_squared"] + 0.2


def test_a_language_that_always_wins_is_named_with_its_sign():
    collection = parallel(questions=15, languages=3, rest=20)
    favoured = np.array(collection.documents.languages) == "de"
    bias, _ = bias_of(collection, np.random.default_rng(1).random((45, 105)) + favoured)
    advantage = bias.document_languages["language_advantage"]
    assert advantage["de"] == 1
    assert advantage["ar"] + advantage["en"] == pytest.approx(-1)
    assert bias.groups["family"]["document"]["language_advantage"]["Afro-Asiatic"] == advantage["ar"]
    assert bias.groups["script"]["document"]["language_advantage"]["Latn"] == pytest.approx(
        (advantage["de"] + advantage["en"]) / 2, abs=1e-6
    )
    assert bias.groups["resource_class"]["document"]["language_advantage"]["5"] == pytest.approx(0, abs=1e-6)


def test_every_macro_figure_has_an_interval_that_holds_it():
    bias, _ = bias_of(parallel(20, 3, 10), np.random.default_rng(2).random((60, 90)))
    without = {"PEER_pooled", "hubness@10"}  # a p-value, and one figure of the whole pool
    assert set(bias.summary) - without <= set(bias.intervals)
    for name in set(bias.summary) - without:
        low, high = bias.intervals[name]
        assert low <= bias.summary[name] <= high, name


def test_random_vectors_prefer_no_language(parallel_suite):
    evaluation = evaluate(resolve("random"), parallel_suite, load(parallel_suite))
    bias = analysed(evaluation.result, evaluation.ranks).bias
    assert bias.summary["rank_distance"] == pytest.approx(12_673 * 10 / 12, rel=0.01)
    assert bias.summary["rank_distance"] == pytest.approx(evaluation.result.summary["multilingual"]["rank_distance"])
    assert bias.summary["same_language_lift@10"] == pytest.approx(1, abs=0.05)
    assert bias.summary["PEER_nonrelevant@100"] == pytest.approx(0.5, abs=0.02)
    assert bias.summary["epsilon_squared"] < 0.003
    assert all(abs(value) < 0.03 for value in bias.document_languages["language_advantage"].values())
    assert "PEER" not in bias.summary
    assert any("PEER" in note for note in bias.notes)


def test_peer_is_there_where_a_language_has_several_relevant_documents():
    base = parallel(6, 2, 12)
    judgements = base.judgements
    more = Judgements.of(
        [
            *zip(judgements.query.tolist(), judgements.document.tolist(), judgements.gain.tolist(), strict=True),
            *((q, 6 + q % 12, 1.0) for q in range(12)),
            *((q, 18 + 6 + q % 12, 1.0) for q in range(12)),
        ]
    )
    collection = Collection(base.queries, base.documents, more, base.questions)
    bias, _ = bias_of(collection, np.random.default_rng(3).random((12, 36)))
    assert 0 < bias.summary["PEER"] <= 1


def test_groups_take_a_languages_script_and_keep_what_is_not_known_apart():
    values = {"en": 1.0, "zh": 2.0, "zh-Hant": 4.0, "eo": 5.0, "acq": 6.0, "ab": 7.0}
    grouped = {axis: _grouped(values, of) for axis, of in GROUPS.items()}
    assert grouped["family"] == {"Indo-European": 1.0, "Sino-Tibetan": 3.0, "unknown": 5.0, "Afro-Asiatic": 6.0}
    assert grouped["script"] == {"Latn": 3.0, "Hans": 2.0, "Hant": 4.0, "Arab": 6.0}
    assert grouped["resource_class"] == {"5": pytest.approx(7 / 3), "1": 5.0, "unknown": 6.0}


def test_one_language_has_no_figures_and_a_note():
    bias, _ = bias_of(parallel(5, 1, 5), np.random.default_rng(4).random((5, 10)))
    assert bias.summary == {}
    assert "one language" in bias.notes[0]


def test_a_run_of_monolingual_pools_has_no_bias():
    assert bias_of(parallel(5, 2, 5), np.zeros((10, 20)), across=False)[0] is None


def test_all_ties_prefer_no_language_and_give_no_nan():
    bias, _ = bias_of(parallel(6, 3, 5), np.zeros((18, 33)))
    assert set(bias.document_languages["language_advantage"].values()) == {0}
    assert bias.summary["epsilon_squared"] == 0
    assert bias.summary["PEER_pooled"] == 1
    json.dumps(bias.model_dump(), allow_nan=False)


def test_a_single_query_is_answered():
    base = parallel(1, 3, 2)
    one = Collection(
        Texts(base.queries.ids[:1], base.queries.texts[:1], base.queries.languages[:1]),
        base.documents,
        Judgements.of((0, int(d), 1.0) for d in base.judgements.document[:3]),
        base.questions[:1],
    )
    bias, _ = bias_of(one, np.random.default_rng(5).random((1, 9)))
    assert bias.intervals["rank_distance"] == (bias.summary["rank_distance"],) * 2
    assert any("MRC" in note for note in bias.notes)
    json.dumps(bias.model_dump(), allow_nan=False)


def test_ranks_stored_without_leaders_give_the_rest_and_say_so():
    _, table = bias_of(parallel(6, 2, 4), np.random.default_rng(6).random((12, 20)))
    bias = measure_bias(replace(table, leaders=None))
    assert "rank_distance" in bias.summary
    assert "AWRF@100" not in bias.summary
    assert any("run the model again" in note for note in bias.notes)
