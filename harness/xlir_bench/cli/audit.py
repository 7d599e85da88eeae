"""`xlir-bench audit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import Table, print_table, print_text
from xlir_bench.errors import counted

if TYPE_CHECKING:
    from xlir_bench.training.audit import Audit

_SHOWN_CHARACTERS = 160
_CONTAMINATED = 4
"""Exit code where texts have leaked; 1 is the gate's alone."""


@click.command("audit")
@click.argument("training", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TRAIN...")
@click.option("--suite", help="A suite's name, YAML file or folder.  [default: xlir-mini]")
@options.languages
@options.data
@options.offline
@click.option(
    "--only",
    type=click.Choice(["queries", "documents"]),
    help="Only these texts of the suite; a very large pool need not be in memory then.",
)
@click.option("--words", type=int, default=8, show_default=True, help="Length of a gram, in words.")
@click.option(
    "--stock",
    type=int,
    default=10,
    show_default=True,
    help="A gram in more texts than this is a stock phrase.",
)
@options.count("--show", 10, "How many rows to print.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the record (SUITE.json, no texts in it) and all rows (SUITE.rows.jsonl).",
)
@options.as_json
@click.pass_context
def command(
    context: click.Context,
    training: tuple[Path, ...],
    suite: str | None,
    languages: tuple[str, ...] | None,
    data: Path | None,
    only: Literal["queries", "documents"] | None,
    words: int,
    stock: int,
    show: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Say which texts of a suite stand in training data.

    TRAIN are files, or folders of them: JSON lines (.jsonl), JSON (.json, such as SQuAD's), plain text (.txt, .tsv),
    all of these with .gz too, and Parquet. Every text in them is looked at, whatever the layout.

    Compared are grams of 8 words, or as many characters as say as much in scripts without spaces, and near duplicates;
    case, punctuation, compatibility forms and traditional against simplified Chinese make no difference. A text of the
    suite has leaked if it, or a long part of it, is there; stock phrases are told apart.

    Exit codes: 0 nothing has leaked, 4 something has, 2 the input is wrong, 3 something is missing.
    """
    from xlir_bench.api.auditing import audit
    from xlir_bench.suites import DEFAULT_SUITE
    from xlir_bench.training.audit import keep

    found = audit(
        training,
        suite or DEFAULT_SUITE,
        languages=languages,
        data=data,
        only=only,
        words=words,
        stock=stock,
        progress=True,
    )
    if as_json:
        rows = [row.as_dict() for row in found.rows]
        click.echo(json.dumps({**found.record.model_dump(mode="json"), "rows": rows}, ensure_ascii=False))
    else:
        _print(found, show)
    if output is not None:
        for path in keep(found, output):
            click.echo(f"written: {path}", err=True)
    context.exit(_CONTAMINATED if found.contaminated else 0)


def _print(found: Audit, show: int) -> None:
    record = found.record
    every = [one for sides in record.languages.values() for one in sides.values()]
    texts, touched, leaked = (
        sum(counts) for counts in zip(*((o.texts, o.touched, o.leaked) for o in every), strict=True)
    )
    print_text(
        f"{record.verdict}: of {counted(texts, 'texts')} of {record.suite.name} {leaked:,} have leaked into "
        f"{record.training.texts:,} training texts; {touched - leaked:,} share stock phrases with them "
        f"({found.examined_s:.1f} s)"
    )
    table = Table(("language", "texts", "touched", "share", "leaked", "too short", "longest overlap"))
    for code, sides in record.languages.items():
        for side, one in sides.items():
            cells = (one.texts, one.touched, f"{one.touched / one.texts:.2%}", one.leaked, one.too_short, one.longest)
            plural = {"query": "queries", "document": "documents"}[side]
            table.add_row(f"{code} {plural}", *(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells))
    print_table(table)
    for row in found.rows[:show]:
        finding = row.finding
        kind = finding.leak or "stock phrase"
        measure = f"{finding.overlap} units" if finding.overlap else f"likeness {finding.likeness:.2f}"
        copies = f", {finding.copies} copies" if finding.copies > 1 else ""
        place = f"{finding.file}:{finding.row} {finding.field}{copies}"
        click.echo()
        print_text(f"{kind}, {measure}: {place}")
        print_text(f"training  {_short(row.training_text)}", indent=2)
        print_text(f"{finding.id}  {_short(row.suite_text)}", indent=2)
    if len(found.rows) > show:
        click.echo()
        print_text(f"{len(found.rows) - show:,} more rows: see --output or --json")


def _short(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}..."
