"""Bias, intervals and tests of a stored run, timed; and the bootstrap beside scipy.stats.bootstrap, one run.

    python benchmarks/analysis.py results/MODEL/xquad-r.json [results/OTHER/xquad-r.json]

scipy resamples one statistic over the same questions (it is given the sums per question, so that both do the same
work); one of the summary's figures is measured and multiplied by how many there are.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import click
import numpy as np
from scipy.stats import bootstrap

from xlir_bench.analysis import compare, load_run
from xlir_bench.analysis.analyse import columns, summary_intervals
from xlir_bench.analysis.bias import measure_bias
from xlir_bench.analysis.questions import Questions
from xlir_bench.measures import statistics

AIM_MEASURES, AIM_ALL = 5.0, 15.0


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def main(paths: tuple[Path, ...]) -> None:
    """Print seconds and the ratio."""
    load_run(paths[0])  # loads the libraries
    start = perf_counter()
    run = load_run(paths[0])
    loaded = perf_counter() - start
    questions = Questions.of(run.ranks)

    resamples, statistics.bootstrap_macro.__kwdefaults__["resamples"] = statistics.RESAMPLES, 1
    statistics.bootstrap_totals.__kwdefaults__["resamples"] = 1
    start = perf_counter()
    measure_bias(run.ranks)
    figures = {
        (setting, name): columns(run.ranks, questions, setting, name)
        for setting, names in run.result.summary.items()
        for name in names
    }
    measured = perf_counter() - start
    statistics.bootstrap_macro.__kwdefaults__["resamples"] = resamples
    statistics.bootstrap_totals.__kwdefaults__["resamples"] = resamples

    start = perf_counter()
    summary_intervals(run.result, run.ranks, questions)
    measure_bias(run.ranks)
    everything = perf_counter() - start
    click.echo(f"ranks read in {loaded:.2f} s")
    click.echo(f"every measure from stored ranks: {loaded + measured:.2f} s (aim: {AIM_MEASURES:.0f} s)")
    click.echo(f"with intervals, {resamples:,} resamples: {loaded + everything:.2f} s (aim: {AIM_ALL:.0f} s)")

    start = perf_counter()
    questions.resampled(figures)
    ours = perf_counter() - start
    rows = next(iter(figures.values()))
    sums, counts = questions.totals(rows)
    per_question = (sums / counts.sum(axis=0) * len(questions.names)).mean(axis=1)
    start = perf_counter()
    found = bootstrap((per_question,), np.mean, n_resamples=resamples, method="percentile", batch=1000)
    theirs = (perf_counter() - start) * len(figures)
    low, high = statistics.interval(questions.resampled({"one": rows})["one"][:, None])
    click.echo(
        f"bootstrap of {len(figures)} figures: {ours:.2f} s; scipy.stats.bootstrap {theirs:.2f} s; "
        f"{theirs / ours:.0f} times slower; the first interval {low[0]:.4f} to {high[0]:.4f}, scipy's "
        f"{found.confidence_interval.low:.4f} to {found.confidence_interval.high:.4f}"
    )
    if len(paths) > 1:
        other = load_run(paths[1])
        start = perf_counter()
        compare([run, other])
        click.echo(f"comparison of two runs, tables by language included: {perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
