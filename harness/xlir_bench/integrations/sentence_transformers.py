"""An evaluator that the trainer of sentence-transformers calls, and selects the best checkpoint by."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator

from xlir_bench.api.collection import Collection
from xlir_bench.api.evaluating import evaluate, one_suite_of
from xlir_bench.api.options import ModelOptions
from xlir_bench.errors import InputError
from xlir_bench.measures import parse


class EvaluatorOptions(ModelOptions, total=False):
    """What of `xlir_bench.evaluate` can be chosen: `ModelOptions`, and these arguments.

    Attributes:
        languages: a part of the suite's languages.
        settings: a part of its settings.
        measures: instead of the suite's; the first is primary.
        data: folder searched first for the suite's files.
    """

    languages: Sequence[str] | None
    settings: Sequence[str] | None
    measures: Sequence[str] | None
    data: str | Path | None


class CrossLingualEvaluator(SentenceEvaluator):  # type: ignore[misc] # the library declares no types
    """Measures a model that is being trained on a suite, in all its settings.

    Metrics are named `<suite>_<setting>_<measure>`, for example `xlir-mini_multilingual_AP` and
    `xlir-mini_multilingual_rank_distance`; the trainer puts `eval_` in front. With `output_path`, each call adds a line
    to `<suite>_results.csv` there, as sentence-transformers' own evaluators do.

    Args:
        suite: a suite's name, YAML file or folder, or a `Collection`.
        primary: the metric that checkpoints are selected by, without the suite's name, e.g. "cross-lingual_AP"; by
            default the primary measure of the last setting that the suite has, which is the multilingual one if there
            is one.
        name: what metrics begin with; the suite's name by default.
        options: see `xlir_bench.evaluate`.

    Raises:
        InputError: on the first call, see `xlir_bench.evaluate`; or there is no metric `primary`.

    Examples:
        >>> from xlir_bench.integrations.sentence_transformers import CrossLingualEvaluator
        >>> CrossLingualEvaluator("xlir-mini", languages=["de", "th"]).primary_metric
        'xlir-mini_multilingual_AP'
    """

    def __init__(
        self,
        suite: str | Path | Collection = "xlir-mini",
        *,
        primary: str | None = None,
        name: str | None = None,
        **options: Unpack[EvaluatorOptions],
    ) -> None:
        super().__init__()
        declared = one_suite_of(suite).narrowed(options.get("settings")).with_measures(options.get("measures"))
        self.suite, self.name, self.options = suite, name or declared.name, options
        metrics = [f"{setting}_{measure}" for setting, names in declared.settings.items() for measure in names]
        if primary is not None and primary not in metrics:
            raise InputError(f"there is no metric {primary!r}; there are {', '.join(metrics)}")
        last = list(declared.settings)[-1]
        chosen = primary or f"{last}_{declared.settings[last][0]}"
        self.primary_metric = f"{self.name}_{chosen}"
        self.greater_is_better = parse(chosen.partition("_")[2]).definition.higher_is_better

    def __call__(
        self,
        model: Any,  # noqa: ANN401 (a SentenceTransformer)
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """See `SentenceEvaluator.__call__`.

        Returns:
            Metric -> value.
        """
        result = evaluate(model, self.suite, **self.options)
        metrics = {
            f"{self.name}_{setting}_{measure}": float(value)
            for setting, values in result.stored.summary.items()
            for measure, value in values.items()
        }
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        if output_path is not None:
            _append(Path(output_path) / f"{self.name}_results.csv", {"epoch": epoch, "steps": steps, **metrics})
        return metrics

    def get_config_dict(self) -> dict[str, Any]:
        """What the model's card says of the evaluator."""
        return {"suite": str(getattr(self.suite, "name", self.suite)), **self.options}


def _append(path: Path, line: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.is_file()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(line))
        if is_new:
            writer.writeheader()
        writer.writerow(line)
