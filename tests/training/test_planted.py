"""A task on which hybrid batches must beat both of their parents, in the smallest training that shows it.

A concept has two words in every language: the one that is asked by and the one that is written. That the two belong
together is said by X-X pairs alone; which written words of two languages mean the same, by X-Y pairs alone. A
cross-lingual query asks for a written word of another language, so it needs both, and neither parent has seen both:

    asked in x  --X-X-->  written in x  --X-Y-->  written in y

All vectors start in random directions (`shared: 0`), so nothing is known beforehand and words share no piece.
"""

from __future__ import annotations

import numpy as np
import pytest
from pair_stores import save, table, text

from xlir_bench.encoders import encode_texts, resolve
from xlir_bench.training.development import Scores, collection_of, score
from xlir_bench.training.recipe import Recipe
from xlir_bench.training.runner import train
from xlir_bench.training.store import Pair

CODES = ("de", "en", "sw")
CONCEPTS, PER_TEXT = 80, 4
WRITTEN, ASKED = 0, 1


def concepts(record: int) -> np.ndarray:
    return np.random.default_rng([3, record]).choice(CONCEPTS, size=PER_TEXT, replace=False)


def training_pairs() -> list[Pair]:
    """X-X: asked with written, in one language. X-Y: written with written, in two."""
    rows = []
    for record in range(300):
        chosen = concepts(record)
        for x, spoken in enumerate(CODES):
            for y, other in enumerate(CODES):
                query = text(chosen, x, ASKED if x == y else WRITTEN)
                rows.append(Pair(query, text(chosen, y, WRITTEN), spoken, other, str(record), "planted"))
    return rows


def held_out_pairs() -> list[Pair]:
    """Other texts of the same words: asked in x, written in every y."""
    return [
        Pair(text(concepts(record), x, ASKED), text(concepts(record), y), spoken, other, str(record), "held out")
        for record in range(1000, 1060)
        for x, spoken in enumerate(CODES)
        for y, other in enumerate(CODES)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Scores]]:
    """Held-out scores of each strategy with two seeds; data, steps and everything else are the same."""
    folder = tmp_path_factory.mktemp("planted")
    save(folder / "pairs.parquet", training_pairs())
    collection = collection_of(table(held_out_pairs()))
    found: dict[str, list[Scores]] = {}
    for strategy in ("X-X", "X-Y", "hybrid"):
        for seed in (1, 2):
            fields = {
                "start": "static", "data": [str(folder / "pairs.parquet")], "strategy": strategy, "seed": seed,
                "steps": 300, "batch": 64,
                "static": {"dimensions": 64, "latent": 8, "pieces": 3000, "sample": 200_000, "shared": 0.0},
            }  # fmt: skip
            output = folder / f"{strategy}-{seed}"
            train(Recipe.model_validate(fields), output)
            model = resolve(str(output))
            vectors = {
                True: encode_texts(model.retriever, model.info, collection.queries, "query").vectors,
                False: encode_texts(model.retriever, model.info, collection.documents, "document").vectors,
            }
            measured = score(lambda texts, languages, *, query: vectors[query], collection)  # noqa: B023
            found.setdefault(strategy, []).append(measured)
    return found


def chance() -> float:
    """Expected AP of a random ranking of 60 documents with one relevant: the mean of 1 / rank."""
    return float((1 / np.arange(1, 61)).mean())


def test_neither_parent_can_do_what_its_pairs_do_not_say(scores: dict[str, list[Scores]]) -> None:
    for measured in scores["X-X"]:
        assert measured["monolingual"]["AP"] > 0.9
        assert measured["cross-lingual"]["AP"] < 2 * chance()
    for measured in scores["X-Y"]:
        assert measured["monolingual"]["AP"] < 2 * chance()
        assert measured["cross-lingual"]["AP"] < 2 * chance()


@pytest.mark.parametrize("measure", ["AP", "P@1"])
def test_hybrid_beats_both_parents_where_both_are_needed(scores: dict[str, list[Scores]], measure: str) -> None:
    for parent in ("X-X", "X-Y"):
        for setting in ("cross-lingual", "multilingual"):
            worst = min(measured[setting][measure] for measured in scores["hybrid"])
            best = max(measured[setting][measure] for measured in scores[parent])
            if (setting, measure, parent) == ("multilingual", "P@1", "X-X"):
                continue  # the first place is a document of the query's own language, which X-X finds as well
            assert worst > best + 0.2, (parent, setting, worst, best)


def test_hybrid_is_the_best_over_all_settings_and_the_least_biased(scores: dict[str, list[Scores]]) -> None:
    def combined(measured: Scores) -> float:
        return float(np.mean([measured[setting]["AP"] for setting in measured]))

    for parent in ("X-X", "X-Y"):
        assert min(map(combined, scores["hybrid"])) > max(map(combined, scores[parent])) + 0.2
        distances = [measured["multilingual"]["rank_distance"] for measured in scores["hybrid"]]
        assert max(distances) < min(measured["multilingual"]["rank_distance"] for measured in scores[parent])


def test_hybrid_gives_up_little_of_what_x_x_knows(scores: dict[str, list[Scores]]) -> None:
    for one, other in zip(scores["hybrid"], scores["X-X"], strict=True):
        assert one["monolingual"]["AP"] > other["monolingual"]["AP"] - 0.1
