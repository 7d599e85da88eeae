"""`xlir-bench align`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import Table, print_table, print_text

if TYPE_CHECKING:
    from xlir_bench.alignment import AlignmentReport


@click.command("align")
@click.argument("model_id")
@click.argument("other_id", required=False)
@click.option("--suite", help="A parallel suite's name or YAML file.  [default: xlir-mini]")
@click.option(
    "--texts",
    type=click.Choice(["queries", "documents"]),
    default="documents",
    show_default=True,
    help="Which texts of the suite: its questions, or the documents that answer them.",
)
@click.option("--layers", is_flag=True, help="Also after each layer of a transformers encoder.")
@options.languages
@options.data
@options.device
@options.no_cache
@options.as_json
def command(
    model_id: str,
    other_id: str | None,
    suite: str | None,
    texts: Literal["queries", "documents"],
    layers: bool,
    languages: tuple[str, ...] | None,
    data: Path | None,
    device: str | None,
    no_cache: bool,
    as_json: bool,
) -> None:
    """Say how alike an encoder makes translations, language by language.

    Debiased linear CKA of every pair of languages beside its shuffled baseline, alignment and uniformity, isotropy and
    hubness. With OTHER_ID, also CKA between the two encoders, language by language. Ids are those of `run`.
    """
    from xlir_bench.api.alignment import align
    from xlir_bench.suites import DEFAULT_SUITE

    found = align(
        model_id,
        suite or DEFAULT_SUITE,
        other=other_id,
        texts=texts,
        layers=layers,
        languages=languages,
        data=data,
        device=device,
        cache=not no_cache,
        progress=True,
    )
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False, allow_nan=False))
    else:
        _print(found)


def _print(found: AlignmentReport) -> None:
    print_text(
        f"{found.model} on {found.suite}: {found.texts:,} aligned "
        f"{'questions' if found.role == 'query' else 'documents'}; mean CKA over {len(found.pairs)} language pairs "
        f"{_figure(found.cka)}, shuffled {_figure(found.baseline)}"
    )
    _print_pairs(found)
    _print_table(
        "Spaces: the vectors of one language, and of all",
        ("language", "uniformity", "mean cosine", "isotropy", "hubness"),
        [(s.language, s.uniformity, s.mean_cosine, s.isotropy, s.hubness) for s in found.spaces],
    )
    if found.layers:
        rows = [(str(layer.layer), layer.cka, layer.baseline) for layer in found.layers]
        _print_table("Layers: mean CKA over language pairs", ("layer", "CKA", "shuffled"), rows)
    if found.between:
        title = f"CKA between {found.model} and {found.other}"
        rows = [(b.language, b.cka, b.baseline) for b in found.between]
        _print_table(title, ("language", "CKA", "shuffled"), rows)


def _print_pairs(found: AlignmentReport) -> None:
    """CKA above the diagonal, alignment (mean squared distance) below it."""
    codes = list(dict.fromkeys(code for pair in found.pairs for code in (pair.a, pair.b)))
    cells = {(pair.a, pair.b): pair.cka for pair in found.pairs}
    cells |= {(pair.b, pair.a): pair.alignment for pair in found.pairs}
    rows = [(x, *("" if x == y else cells.get((x, y)) for y in codes)) for x in codes]
    title = "Above the diagonal CKA, higher is more alike; below it alignment, lower is closer"
    _print_table(title, ("", *codes), rows)


def _print_table(title: str, headings: tuple[str, ...], rows: Sequence[tuple[str | float | None, ...]]) -> None:
    table = Table(headings, title)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, str) else _figure(cell) for cell in row))
    click.echo()
    print_table(table)


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
