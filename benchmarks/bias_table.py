"""The tables of docs/bias.md, from stored results: every bias measure of every encoder, and who gains and who loses.

    xlir-bench run MODEL --suite xquad-r --data DIR --output results    (once per model)
    python benchmarks/bias_table.py results/*/xquad-r.json [--align --data DIR]

With --align, the encoders among them are loaded once more for CKA, uniformity, isotropy and hubness of their vectors.
"""

from __future__ import annotations

from pathlib import Path

import click

from xlir_bench.alignment import aligned_texts, report
from xlir_bench.encoders import VectorCache, resolve
from xlir_bench.results import Result, load_result
from xlir_bench.suites import find, load


def figure(value: float | None, digits: int = 3) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}f}" if abs(value) < 100 else f"{value:,.0f}"


def with_interval(result: Result, name: str) -> str:
    assert result.bias is not None
    value = result.bias.summary.get(name)
    both = result.bias.intervals.get(name)
    if value is None:
        return ""
    return figure(value) if both is None else f"{figure(value)} [{figure(both[0])}, {figure(both[1])}]"


def table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--align", is_flag=True, help="Also CKA and the shape of the space, for those that have vectors.")
@click.option("--data", type=click.Path(path_type=Path))
@click.option("--name", "names", multiple=True, help="What to call a result, in their order.")
def main(paths: tuple[Path, ...], align: bool, data: Path | None, names: tuple[str, ...]) -> None:
    """Print Markdown."""
    results = [load_result(path) for path in paths]
    called = list(names) or [result.model.name for result in results]
    measures = list(dict.fromkeys(name for r in results if r.bias for name in r.bias.summary))
    head = ["", *called]
    effectiveness = [
        [f"AP {s}", *[interval_of(r, s, "AP") for r in results]]
        for s in results[0].summary
        if "AP" in r_names(results, s)
    ]
    click.echo(table(head, effectiveness))
    click.echo(table(head, [[name, *[with_interval(r, name) for r in results]] for name in measures]))
    for side, measure in (
        ("document_languages", "language_advantage"),
        ("document_languages", "limit_to_one_target"),
        ("query_languages", "same_language_lift@10"),
        ("query_languages", "rank_distance"),
    ):
        values = [getattr(r.bias, side).get(measure, {}) for r in results]
        codes = sorted({code for value in values for code in value})
        click.echo(f"{measure}, per {side.split('_')[0]} language\n")
        click.echo(table(head, [[code, *[figure(value.get(code), 2) for value in values]] for code in codes]))
    for axis in ("family", "script", "resource_class"):
        values = [r.bias.groups[axis]["document"].get("language_advantage", {}) for r in results if r.bias]
        groups = sorted({group for value in values for group in value})
        click.echo(f"language_advantage, per {axis} of the documents\n")
        click.echo(table(head, [[group, *[figure(value.get(group), 2) for value in values]] for group in groups]))
    if align:
        suite = find(results[0].suite.name)
        texts = aligned_texts(load(suite, data), "document")
        columns = []
        for result, name in zip(results, called, strict=True):
            if result.model.details.get("adapter") == "bm25":
                continue
            found = report([resolve(result.model.id)], texts, suite.name, cache=VectorCache())
            whole = found.spaces[-1]
            one = [space for space in found.spaces if space.language != "*"]
            rows = {
                "CKA, mean over language pairs": found.cka,
                "CKA, rows shuffled": found.baseline,
                "alignment": mean([pair.alignment for pair in found.pairs]),
                "uniformity, all languages": whole.uniformity,
                "uniformity, mean of each": mean([space.uniformity for space in one]),
                "mean cosine, all languages": whole.mean_cosine,
                "mean cosine, mean of each": mean([space.mean_cosine for space in one]),
                "isotropy, all languages": whole.isotropy,
                "hubness, all languages": whole.hubness,
            }
            columns.append((name, rows))
        click.echo(f"{texts.count} aligned documents\n")
        head = ["", *[name for name, _ in columns]]
        click.echo(table(head, [[row, *[figure(rows[row]) for _, rows in columns]] for row in columns[0][1]]))


def r_names(results: list[Result], setting: str) -> set[str]:
    return set.intersection(*(set(result.summary.get(setting, {})) for result in results))


def interval_of(result: Result, setting: str, measure: str) -> str:
    low, high = (result.intervals or {})[setting][measure]
    return f"{figure(result.summary[setting][measure])} [{figure(low)}, {figure(high)}]"


def mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


if __name__ == "__main__":
    main()
