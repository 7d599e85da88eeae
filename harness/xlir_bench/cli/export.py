"""`xlir-bench export`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options
from xlir_bench.errors import InputError, counted

if TYPE_CHECKING:
    from xlir_bench.results.exchange import Entry

_FORMATS = ("mteb", "trec", "csv", "parquet", "latex", "json")
_FOLDERS = ("mteb", "trec")
_WITH_ANALYSIS = ("mteb", "json")
"""Formats that hold intervals and bias."""


class _Depth(click.ParamType[int]):
    """A number of documents, or `all`, which is 0."""

    name = "N|all"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "all":
            return 0
        if not str(value).isdecimal() or not int(str(value)):
            self.fail(f"{value!r} is neither a number of documents nor `all`", param, ctx)
        return int(str(value))


@click.command("export")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(_FORMATS), required=True, help="What to write.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File, or for mteb and trec a folder. CSV, LaTeX and JSON go to stdout without it.",
)
@click.option("--settings", type=options.Listed(options.all_settings), help="trec: only these, e.g. monolingual.")
@click.option("--depth", type=_Depth(), help="trec: leave out what is ranked below it.  [default: all]")
def command(
    results: tuple[Path, ...], form: str, output: Path | None, settings: tuple[str, ...] | None, depth: int | None
) -> None:
    """Write results in a form that other programs read.

    RESULTS are result files, or folders that hold them at any depth.

    mteb: TaskResult files that mteb.ResultCache(OUTPUT) loads. trec: a run and judgements per row, which trec_eval and
    ir_measures score as the result says. csv, parquet: one row per score. latex: a table of means per suite. json: the
    results in one array.

    Every figure is computed again from the ranks first. Exit code 2 if one does not follow.
    """
    from xlir_bench.results import exchange

    entries = exchange.read_entries(results)
    if output is None and form in (*_FOLDERS, "parquet"):
        raise InputError(f"--format {form} needs --output, a {'file' if form == 'parquet' else 'folder'}")
    if output is not None and output.is_dir() != (form in _FOLDERS) and output.exists():
        raise InputError(f"{output}: --format {form} writes a {'folder' if form in _FOLDERS else 'file'}")
    entries = [_verified(entry, analysis=form in _WITH_ANALYSIS) for entry in entries]
    found = [entry.result for entry in entries]
    if output is None:
        text = {"csv": exchange.as_csv, "latex": exchange.as_latex, "json": exchange.as_json}[form](found)
        _check_encodable(text, form)
        click.echo(text, nl=False)
    elif form == "mteb":
        _tell(exchange.write_mteb(entries, output), output)
    elif form == "trec":
        _write_trec(entries, output, settings or options.all_settings(), depth)
    elif form == "parquet":
        exchange.write_parquet(found, output)
    else:
        from xlir_bench.files import replacing

        text = {"csv": exchange.as_csv, "latex": exchange.as_latex, "json": exchange.as_json}[form](found)
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")


def _verified(entry: Entry, *, analysis: bool) -> Entry:
    """The entry, if its figures follow from the ranks beside it; where there are none, it is said on stderr."""
    from xlir_bench.analysis import following

    if not entry.has_ranks:
        click.echo(f"{entry.path}: not verified: there is no table of ranks beside it", err=True)
        return entry
    result = following(entry.result, entry.ranks(), str(entry.path), analysis=analysis)
    return replace(entry, result=result)


def _check_encodable(text: str, form: str) -> None:
    """Refuse a table with letters that standard output cannot hold: only JSON has escapes for them.

    Raises:
        InputError: there is one.
    """
    if form == "json":
        return
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError as error:
        letter = text[error.start]
        raise InputError(
            f"{letter!a} cannot be written as {sys.stdout.encoding}: give --output, or set PYTHONIOENCODING=utf-8"
        ) from None


def _write_trec(entries: list[Entry], output: Path, settings: tuple[str, ...], depth: int | None) -> None:
    from xlir_bench.progress import bar
    from xlir_bench.results import exchange
    from xlir_bench.results.exchange.trec import MOST_LINES

    lines = sum(exchange.run_lines(entry, settings, depth or None) for entry in entries)
    if depth is None and lines > MOST_LINES:
        raise InputError(
            f"the runs would have {lines:,} lines, some {lines * 40 / 1e9:.1f} GB, since they reach down to the last "
            "relevant document: give --depth 1000 (measures with a cut-off stay the same, AP and RR lose what is "
            "below), fewer --settings, or --depth all"
        )
    with bar() as progress:
        written = [
            path for entry in entries for path in exchange.write_trec(entry, output, settings, depth or None, progress)
        ]
    _tell(written, output)


def _tell(written: list[Path], output: Path) -> None:
    click.echo(f"{counted(len(written), 'files')} in {output}", err=True)
