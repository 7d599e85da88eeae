"""What `xlir_bench.evaluate` costs beside `xlir-bench run`, on the same model, suite and process.

    python benchmarks/api.py [--runs 7]

Both are called in this process, so that start-up counts for neither, with a fresh folder of results and without stored
vectors. The command loads the model from its folder and writes files and the page, which is said apart; the API is given
the model in memory and is timed with `output` and without.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import click
from click.testing import CliRunner
from sentence_transformers import SentenceTransformer

import xlir_bench as xb
from xlir_bench.cli.main import cli
from xlir_bench.resources import folder

MODEL = "xlir-hybrid-static"


def command(output: Path) -> float:
    """Seconds of `xlir-bench run`."""
    begin = perf_counter()
    ran = CliRunner().invoke(cli, ["run", MODEL, "--no-cache", "--output", str(output)], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return perf_counter() - begin


def api(output: Path | None) -> float:
    """Seconds of loading the model and `evaluate`."""
    begin = perf_counter()
    model = SentenceTransformer(str(folder("submissions") / MODEL), device="cpu")
    xb.evaluate(model, "xlir-mini", output=output)
    return perf_counter() - begin


@click.command()
@click.option("--runs", default=7, show_default=True)
def main(runs: int) -> None:
    """Run both alternately, and print medians and ratios."""
    seconds: dict[str, list[float]] = {"command": [], "evaluate, output": [], "evaluate": []}
    for number in range(runs + 1):
        with tempfile.TemporaryDirectory() as place:
            found = {
                "command": command(Path(place) / "command"),
                "evaluate, output": api(Path(place) / "api"),
                "evaluate": api(None),
            }
        if number:  # the first warms caches of files and compiled code
            for name, value in found.items():
                seconds[name].append(value)
    base = median(seconds["command"])
    for name, values in seconds.items():
        click.echo(f"{name:20} {median(values):7.3f} s   ratio {median(values) / base:5.2f}")


if __name__ == "__main__":
    main()
