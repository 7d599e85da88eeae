"""Run a grid: train what is not trained, measure what is not measured, write the table and draw the trade-off.

    OUTPUT/runs/NAME/        a model with its record, recipe.yaml and log.txt
    OUTPUT/results/          results on the suite, as `xlir-bench run` writes them
    OUTPUT/runs.csv          a row per run
    OUTPUT/summary.csv       a row per setting: mean and 95 % interval over seeds
    OUTPUT/sweep.json        both
    OUTPUT/tradeoff.svg, tradeoff.png

Whatever is there already and belongs to the grid is not done again.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from xlir_bench.collection import Collection, Setting
from xlir_bench.cores import available_cores
from xlir_bench.errors import InputError
from xlir_bench.files import replacing
from xlir_bench.interrupts import keeps
from xlir_bench.progress import SILENT, Progress
from xlir_bench.training.development import MEASURES, Scores
from xlir_bench.training.grid import Cell, Grid
from xlir_bench.training.runner import RECORD

_CONFIDENCE = 0.95
_TRAIN = "from xlir_bench.cli.main import main; main()"
_SHORT = {"monolingual": "mono ", "cross-lingual": "cross ", "multilingual": "multi "}
_RECIPE, _LOG = "recipe.yaml", "log.txt"

Measure = Callable[[Cell, Path], Scores]


@dataclass(frozen=True)
class Swept:
    """A finished sweep.

    Attributes:
        document: what `sweep.json` says: `grid`, `runs`, `summary`.
        table: `summary.csv`.
        figure: `tradeoff.svg`.
        varied: the fields that vary.
    """

    document: dict[str, Any]
    table: Path
    figure: Path
    varied: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """Of the summary as it is shown."""
        short = [_SHORT.get(name.split(" ")[0], "") + name.split(" ")[1] for name in self.document["measures"]]
        return [*self.varied, "seeds", *short]

    def summary_rows(self) -> Iterator[list[str]]:
        """The summary as it is shown, a setting per row."""
        for row in self.document["summary"]:
            figures = [_shown(row["measures"].get(name)) for name in self.document["measures"]]
            yield [*(str(row["varied"].get(field, "")) for field in self.varied), str(row["seeds"]), *figures]


@keeps("what is finished is kept: the same command goes on from there")
def sweep(grid: Grid, output: Path, *, jobs: int = 1, data: Path | None = None, progress: Progress = SILENT) -> Swept:
    """See the module.

    Args:
        grid: from `read_grid`.
        output: the sweep's folder.
        jobs: runs at the same time; the processor's cores are shared out among them.
        data: searched for the suite's files.
        progress: called with the number of runs done.

    Raises:
        InputError: a run failed (all others are finished first), or the held-out set is an evaluation suite.
        MissingResourceError: a file is not here.
    """
    measure = _on_suite(grid, output, data, progress) if grid.suite else _on_held_out(grid)
    _prepare_together(grid, progress)
    stage = progress.stage("runs", len(grid.cells), "runs")
    scores: dict[str, Scores] = {}
    failures: dict[str, str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        started = {pool.submit(_train, cell, output / "runs" / cell.name, jobs): cell for cell in grid.cells}
        for finished in as_completed(started):
            cell, failure = started[finished], finished.result()
            if failure is None:
                scores[cell.name] = measure(cell, output / "runs" / cell.name)
            else:
                failures[cell.name] = failure
            stage.advance()
    if failures:
        name, message = next(iter(failures.items()))
        raise InputError(f"{len(failures)} of {len(grid.cells)} runs failed; {name}: {message}")
    return _written(grid, output, scores)


def _train(cell: Cell, folder: Path, jobs: int) -> str | None:
    """Train one run in a process of its own; what it said last if it failed."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / RECORD).is_file():
        return None
    with replacing(folder / _RECIPE) as temporary:
        temporary.write_text(yaml.safe_dump(cell.fields, allow_unicode=True, sort_keys=False), encoding="utf-8")
    threads = str(max(1, available_cores() // jobs))
    environment = {"OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads, **os.environ}
    command = [sys.executable, "-c", _TRAIN, "train", str(folder / _RECIPE), "--output", str(folder)]
    with (folder / _LOG).open("wb") as log:
        code = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False).returncode
    if code == 0:
        return None
    lines = (folder / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return (lines[-1] if lines else f"exit code {code}").removeprefix("xlir-bench: ")


def _prepare_together(grid: Grid, progress: Progress) -> None:
    """Make what static runs share once, before several of them do."""
    missing = [cell.recipe for cell in grid.cells if cell.recipe.start.preset == "static"]
    distinct = {(tuple(recipe.data_paths), recipe.static): recipe for recipe in missing}
    if len(missing) < 2:
        return
    from xlir_bench.training.static_run import prepare
    from xlir_bench.training.store import fingerprint, read_pairs
    from xlir_bench.training.strategies import Rows

    stage = progress.stage("preparing vocabulary", len(distinct), "vocabularies")
    for (paths, settings), _ in distinct.items():
        table = read_pairs(paths)
        prepare(Rows.of_table(table), settings, fingerprint(table))
        stage.advance()


def _on_suite(grid: Grid, output: Path, data: Path | None, progress: Progress) -> Measure:
    from xlir_bench.encoders import VectorCache, resolve
    from xlir_bench.evaluation import run
    from xlir_bench.suites import find, obtain

    suite = find(grid.suite or "")
    suite = suite.model_copy(update={"settings": _measures(grid, tuple(suite.settings))})
    collection = obtain(suite, data, grid.languages, progress=progress)
    cache = VectorCache()

    def measure(cell: Cell, folder: Path) -> Scores:
        kept = run(resolve(str(folder)), suite, collection, output / "results", cache=cache)
        return kept.result.summary

    return measure


def _on_held_out(grid: Grid) -> Measure:
    from xlir_bench.encoders import resolve
    from xlir_bench.training.development import collection_of, refuse_suites
    from xlir_bench.training.store import read_pairs

    table = read_pairs(grid.held_out)
    collection = collection_of(table)
    refuse_suites(grid.held_out, table, collection)
    measures = _measures(grid, tuple(MEASURES))
    asked = {"collection": collection.fingerprint, "measures": measures}

    def measure(cell: Cell, folder: Path) -> Scores:
        kept = folder / "held_out.json"
        if kept.is_file():
            found = json.loads(kept.read_text(encoding="utf-8"))
            if {name: found[name] for name in asked} == json.loads(json.dumps(asked)):
                return dict(found["scores"])
        scores = _scores(resolve(str(folder)), collection, measures)
        with replacing(kept) as temporary:
            temporary.write_text(json.dumps({**asked, "scores": scores}, indent=1), encoding="utf-8")
        return scores

    return measure


def _scores(model: Any, collection: Collection, measures: dict[Setting, tuple[str, ...]]) -> Scores:  # noqa: ANN401
    from xlir_bench.encoders import encode_texts
    from xlir_bench.training.development import score
    from xlir_bench.training.heldout import Embeddings

    def encode(texts: Sequence[str], languages: Sequence[str], *, query: bool) -> Embeddings:
        side = collection.queries if query else collection.documents
        found: Embeddings = encode_texts(model.retriever, model.info, side, "query" if query else "document").vectors
        return found

    return score(encode, collection, measures)


def _measures(grid: Grid, settings: Sequence[Setting]) -> dict[Setting, tuple[str, ...]]:
    precision = f"P@{grid.precision_at}"
    return {s: tuple(precision if name == "P@1" else name for name in MEASURES[s]) for s in settings}


def _written(grid: Grid, output: Path, scores: dict[str, Scores]) -> Swept:
    from xlir_bench.training.tradeoff import draw

    names = [
        f"{setting} {measure}"
        for setting, measures in _measures(grid, tuple(MEASURES)).items()
        for measure in measures
        if any(measure in found.get(setting, {}) for found in scores.values())
    ]
    runs = [
        {
            "varied": cell.varied,
            "label": cell.label,
            "seed": cell.seed,
            "run": cell.name,
            "measures": {
                f"{setting} {measure}": value
                for setting, values in scores[cell.name].items()
                for measure, value in values.items()
            },
        }
        for cell in grid.cells
    ]
    summary = summarise(runs, names)
    document: dict[str, Any] = {
        "grid": grid.name,
        "measured_on": grid.suite or [path.name for path in grid.held_out],
        "measures": names,
        "runs": runs,
        "summary": summary,
    }
    _write_csv(output / "runs.csv", [*grid.fields, "seed", *names], _run_rows(grid, runs, names))
    bounds = [f"{name}{end}" for name in names for end in ("", " low", " high")]
    _write_csv(output / "summary.csv", [*grid.fields, "seeds", *bounds], _summary_rows(grid, summary, names))
    with replacing(output / "sweep.json") as temporary:
        temporary.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    figure = draw(summary, f"P@{grid.precision_at}", output / "tradeoff")
    return Swept(document, output / "summary.csv", figure, grid.fields)


def summarise(runs: Sequence[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Mean and 95 % interval over seeds of every setting, in the order of the runs.

    The interval is Student's: mean +- t(n - 1) s / sqrt(n). With one seed there is none.
    """
    from scipy.stats import t as student

    grouped: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        grouped.setdefault(json.dumps(run["varied"], sort_keys=True), []).append(run)
    rows = []
    for members in grouped.values():
        figures: dict[str, dict[str, float | None]] = {}
        for name in names:
            values = np.array([run["measures"][name] for run in members if name in run["measures"]], dtype=np.float64)
            if not len(values):
                continue
            mean, half = float(values.mean()), None
            if len(values) > 1:
                spread = float(values.std(ddof=1)) / np.sqrt(len(values))
                half = float(student.ppf((1 + _CONFIDENCE) / 2, len(values) - 1) * spread)
            low, high = (None, None) if half is None else (mean - half, mean + half)
            figures[name] = {"mean": mean, "low": low, "high": high}
        rows.append(
            {
                "varied": members[0]["varied"],
                "label": members[0]["label"],
                "seeds": len(members),
                "measures": figures,
            }
        )
    return rows


def _run_rows(grid: Grid, runs: Sequence[dict[str, Any]], names: Sequence[str]) -> Iterator[list[object]]:
    for run in runs:
        varied = [run["varied"].get(field, "") for field in grid.fields]
        yield [*varied, run["seed"], *(run["measures"].get(name, "") for name in names)]


def _summary_rows(grid: Grid, summary: Sequence[dict[str, Any]], names: Sequence[str]) -> Iterator[list[object]]:
    for row in summary:
        varied = [row["varied"].get(field, "") for field in grid.fields]
        found = [row["measures"].get(name, {"mean": "", "low": "", "high": ""}) for name in names]
        yield [*varied, row["seeds"], *(figure[end] for figure in found for end in ("mean", "low", "high"))]


def _write_csv(path: Path, header: Sequence[str], rows: Iterator[list[object]]) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _shown(figure: dict[str, float | None] | None) -> str:
    if figure is None or figure["mean"] is None:
        return ""
    digits = 4 if abs(figure["mean"]) <= 1 else 1
    if figure["low"] is None:
        return f"{figure['mean']:.{digits}f}"
    return f"{figure['mean']:.{digits}f} ± {figure['mean'] - figure['low']:.{digits}f}"
