"""The evaluator inside sentence-transformers' trainer."""

from __future__ import annotations

import csv

import pytest
from sentence_transformers import SentenceTransformer

import xlir_bench as xb
from xlir_bench.integrations.sentence_transformers import CrossLingualEvaluator
from xlir_bench.resources import folder

LANGUAGES = ["de", "th"]


@pytest.fixture(scope="module")
def static_model() -> SentenceTransformer:
    return SentenceTransformer(str(folder("submissions") / "xlir-hybrid-static"), device="cpu")


def test_metrics_have_stable_names_and_evaluates_figures(static_model, tmp_path):
    evaluator = CrossLingualEvaluator("xlir-mini", languages=LANGUAGES)
    metrics = evaluator(static_model, str(tmp_path), epoch=1, steps=7)
    summary = xb.evaluate(static_model, "xlir-mini", languages=LANGUAGES).summary
    assert metrics == {
        f"xlir-mini_{setting}_{measure}": pytest.approx(value) for (setting, measure), value in summary["value"].items()
    }
    assert {"xlir-mini_multilingual_AP", "xlir-mini_multilingual_rank_distance"} <= metrics.keys()
    assert evaluator.primary_metric == "xlir-mini_multilingual_AP"
    assert evaluator.greater_is_better
    with (tmp_path / "xlir-mini_results.csv").open() as file:
        [line] = csv.DictReader(file)
    assert (line["epoch"], line["steps"]) == ("1", "7")
    assert float(line["xlir-mini_multilingual_AP"]) == metrics["xlir-mini_multilingual_AP"]


def test_rank_distance_is_better_when_lower():
    evaluator = CrossLingualEvaluator("xlir-mini", primary="multilingual_rank_distance", languages=LANGUAGES)
    assert evaluator.primary_metric == "xlir-mini_multilingual_rank_distance"
    assert not evaluator.greater_is_better


def test_a_primary_metric_that_does_not_exist_is_refused_at_once():
    with pytest.raises(xb.InputError, match="no metric 'bilingual_AP'; there are monolingual_AP"):
        CrossLingualEvaluator("xlir-mini", primary="bilingual_AP")


def test_the_trainer_selects_its_best_checkpoint_by_it(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs the extra train")
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(str(folder("submissions") / "xlir-hybrid-static"), device="cpu")
    evaluator = CrossLingualEvaluator("xlir-mini", languages=LANGUAGES)
    before = evaluator(model)["xlir-mini_multilingual_AP"]
    # Wrong pairs at a great learning rate: every step makes the model worse, so that the first checkpoint is the best.
    pairs = datasets.Dataset.from_dict(
        {"anchor": [f"word {n} here" for n in range(64)], "positive": [f"text {63 - n} there" for n in range(64)]}
    )
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=4,
        per_device_train_batch_size=16,
        learning_rate=5e-2,
        eval_strategy="steps",
        eval_steps=1,
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model=f"eval_{evaluator.primary_metric}",
        greater_is_better=evaluator.greater_is_better,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=pairs, loss=MultipleNegativesRankingLoss(model), evaluator=evaluator
    )
    trainer.train()
    history = [entry for entry in trainer.state.log_history if f"eval_{evaluator.primary_metric}" in entry]
    values = [entry[f"eval_{evaluator.primary_metric}"] for entry in history]
    assert len(values) >= 4
    assert trainer.state.best_metric == max(values)
    assert evaluator(model)["xlir-mini_multilingual_AP"] == pytest.approx(max(values), abs=1e-9)
    assert max(values) != pytest.approx(before, abs=1e-12)


def test_a_trainer_in_half_precision_evaluates_before_the_first_step_and_gets_its_model_back(tmp_path, minilm):
    datasets = pytest.importorskip("datasets", reason="needs the extra train")
    import torch
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(str(minilm), device="cpu")
    evaluator = CrossLingualEvaluator("xlir-mini", languages=["en"], settings=["monolingual"], measures=["AP"])
    before = evaluator(model)["xlir-mini_monolingual_AP"]
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=2,
        learning_rate=1e-9,
        eval_strategy="steps",
        eval_steps=1,
        eval_on_start=True,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        bf16=True,
    )
    pairs = datasets.Dataset.from_dict({"anchor": ["one word", "two words"], "positive": ["a text", "two texts"]})
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=pairs, loss=MultipleNegativesRankingLoss(model), evaluator=evaluator
    )
    trainer.train()
    said = [one["eval_xlir-mini_monolingual_AP"] for one in trainer.state.log_history if "eval_runtime" in one]
    assert said == [pytest.approx(before, abs=0.01)] * 2
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
