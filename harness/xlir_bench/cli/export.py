"""`xlir-bench export`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from xlir_bench.cli import options
from xlir_bench.errors import InputError, counted

if TYPE_CHECKING:
    from xlir_bench.analysis.paper import Choice
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
@options.measured_languages
@click.option(
    "--settings", type=options.Listed(options.all_settings), help="trec, latex: only these, e.g. monolingual."
)
@click.option("--depth", type=_Depth(), help="trec: leave out what is ranked below it.  [default: all]")
@click.option("--suites", type=options.Listed(), help="latex: only results of these suites.")
@click.option("--rows-in", type=options.Listed(), help="latex: only rows with queries and documents in these.")
@click.option("--by-language", is_flag=True, help="latex: a table per setting, with a row for each query language.")
@click.option(
    "--with",
    "show",
    type=click.Choice(("intervals", "letters")),
    help="latex: beside each mean its 95 % interval, or letters that two encoders share if no test tells them apart.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME=SHOWN",
    help="latex: what to write for a model, suite, setting, measure or language.",
)
def command(
    results: tuple[Path, ...],
    form: str,
    output: Path | None,
    languages: tuple[str, ...] | None,
    settings: tuple[str, ...] | None,
    depth: int | None,
    suites: tuple[str, ...] | None,
    rows_in: tuple[str, ...] | None,
    by_language: bool,
    show: Literal["intervals", "letters"] | None,
    names: tuple[str, ...],
) -> None:
    """Write results in a form that other programs read.

    RESULTS are result files, or folders that hold them at any depth. Of a model's results on one suite with other
    languages, settings or measures, the fullest is written.

    mteb: TaskResult files that mteb.ResultCache(OUTPUT) loads. trec: a run and judgements per row, which trec_eval and
    ir_measures score as the result says. csv, parquet: one row per score. latex: tables for a paper. json: the results
    in one array.

    Every figure is computed again from the ranks first. Exit code 2 if one does not follow.
    """
    from xlir_bench.analysis.paper import Choice
    from xlir_bench.results import exchange

    _refuse_options(
        form,
        {
            "trec": {"--depth": depth},
            "trec and latex": {"--settings": settings},
            "latex": {
                "--suites": suites,
                "--rows-in": rows_in,
                "--by-language": by_language,
                "--with": show,
                "--name": names,
            },
        },
    )
    choice = Choice(suites, settings, rows_in, options.display_names(names), by_language, show)
    entries = exchange.read_entries(results, languages)
    if output is None and form in (*_FOLDERS, "parquet"):
        raise InputError(f"--format {form} needs --output, a {'file' if form == 'parquet' else 'folder'}")
    if output is not None and output.is_dir() != (form in _FOLDERS) and output.exists():
        raise InputError(f"{output}: --format {form} writes a {'folder' if form in _FOLDERS else 'file'}")
    entries = [_verified(entry, analysis=form in _WITH_ANALYSIS) for entry in entries]
    found = [entry.result for entry in entries]
    if output is None:
        text = _text(form, entries, choice)
        _check_encodable(text, form)
        click.echo(text, nl=False)
    elif form == "mteb":
        written = exchange.write_mteb(entries, output)
        models = len({path.parent for path in written})
        click.echo(f"{len(written) + models} files in {output}: {len(written)} task results", err=True)
    elif form == "trec":
        _write_trec(entries, output, settings or options.all_settings(), depth)
    elif form == "parquet":
        exchange.write_parquet(found, output)
    else:
        from xlir_bench.files import replacing

        text = _text(form, entries, choice)
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")


def _text(form: str, entries: list[Entry], choice: Choice) -> str:
    from xlir_bench.analysis.paper import paper_tables
    from xlir_bench.results import exchange

    if form == "latex":
        return paper_tables(entries, choice)
    found = [entry.result for entry in entries]
    return exchange.as_csv(found) if form == "csv" else exchange.as_json(found)


def _refuse_options(form: str, options_of: Mapping[str, Mapping[str, object]]) -> None:
    """Refuse an option that the form does not have: it would be passed over without a word."""
    for forms, given in options_of.items():
        for option, value in given.items():
            if value not in (None, False, ()) and form not in forms.split(" and "):
                raise InputError(f"{option} is an option of --format {forms}: leave it out")


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
    click.echo(f"{counted(len(written), 'runs')} with their judgements in {output}", err=True)
