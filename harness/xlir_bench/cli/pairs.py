"""`xlir-bench pairs`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options, translation
from xlir_bench.cli.tables import Table, print_table, print_text
from xlir_bench.errors import InputError, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from xlir_bench.training.build import Derivation
    from xlir_bench.training.store import Pair

_COUNTED = {
    "languages": ["query_language", "document_language"],
    "datasets": ["dataset"],
    "origins": ["origin"],
}
_PER_RECORD = 16
_PARQUET = click.Path(dir_okay=False, path_type=Path)


@click.group("pairs")
def command() -> None:
    """Build, count and translate the pairs of texts that encoders are trained on."""


@command.command("build")
@click.argument("output", type=_PARQUET)
@click.option(
    "--squad",
    "squad",
    multiple=True,
    metavar="PATTERN",
    help="Files in SQuAD's layout, with {language} in their name, joined by question id.",
)
@click.option(
    "--aligned", multiple=True, type=click.Path(path_type=Path), help="Aligned texts: a .jsonl.gz file, or a folder."
)
@click.option(
    "--qa", multiple=True, type=click.Path(path_type=Path), help="Questions with passages: a file, or a folder."
)
@options.languages
@options.count("--per-record", _PER_RECORD, "X-Y rows of a record, at most; its X-X rows are all kept.")
@click.option(
    "--documents",
    type=click.Choice(["sentence", "passage"]),
    default="sentence",
    show_default=True,
    help="What answers a question.",
)
@options.count("--negatives", 0, "Other sentences of the passage that a row carries, at most.")
@click.option("--spans", is_flag=True, help="The query of an aligned text is a share of it: gives X-X rows too.")
@click.option("--origin", default="", help="Who made these texts, if not people.")
@options.seed
@options.as_json
def build(
    output: Path,
    squad: tuple[str, ...],
    aligned: tuple[Path, ...],
    qa: tuple[Path, ...],
    languages: tuple[str, ...] | None,
    per_record: int,
    documents: str,
    negatives: int,
    spans: bool,
    origin: str,
    seed: int,
    as_json: bool,
) -> None:
    """Make a pair store, OUTPUT (Parquet), from parallel data.

    SQuAD-like files give X-X and X-Y rows, aligned texts X-Y rows (with --spans X-X rows too), and questions with
    passages X-X rows. The same seed makes the same rows.
    """
    from xlir_bench.languages import normalise
    from xlir_bench.training.build import Derivation
    from xlir_bench.training.store import as_tables, write_pairs

    if not (squad or aligned or qa):
        raise InputError("nothing to build from: give --squad, --aligned or --qa")
    if negatives and documents == "passage":
        raise InputError("--negatives are sentences of the passage: they need --documents sentence")
    derivation = Derivation(
        frozenset(map(normalise, languages)) if languages is not None else None,
        per_record,
        "passage" if documents == "passage" else "sentence",
        negatives,
        spans,
        origin,
        seed,
    )
    rows = write_pairs(output, as_tables(_built(squad, aligned, qa, derivation)))
    if not rows:
        click.echo(f"{output}: no rows: no record has texts in two of the languages", err=True)
    _print_info([output], as_json)


def _built(
    squad: tuple[str, ...], aligned: tuple[Path, ...], qa: tuple[Path, ...], derivation: Derivation
) -> Iterator[Pair]:
    from xlir_bench.progress import bar
    from xlir_bench.training import build as room

    files = [(room.from_aligned, path) for place in aligned for path in room.files_in(place)]
    files += [(room.from_questions, path) for place in qa for path in room.files_in(place)]
    with bar() as progress:
        stage = progress.stage("reading", len(squad) + len(files), "files")
        for pattern in squad:
            yield from room.from_squad(pattern, derivation)
            stage.advance()
        for read, path in files:
            yield from read(path, derivation)
            stage.advance()


@command.command("info")
@click.argument("stores", nargs=-1, required=True, type=_PARQUET, metavar="STORE...")
@options.as_json
def info(stores: tuple[Path, ...], as_json: bool) -> None:
    """Count the rows of some stores by languages, data set and origin."""
    _print_info(list(stores), as_json)


@command.command("translate")
@click.argument("store", type=_PARQUET)
@translation.targets
@translation.source
@click.option("--output", type=_PARQUET, help="The new store.  [default: STORE with the languages in its name]")
@options.count("--per-record", _PER_RECORD, "X-Y rows that one row becomes, at most; X-X rows are all kept.")
@options.seed
@translation.unfiltered
@translation.machine
@options.offline
@options.as_json
def translate(
    store: Path,
    targets: tuple[str, ...],
    source: str,
    output: Path | None,
    per_record: int,
    seed: int,
    unfiltered: bool,
    machine_options: translation.MachineOptions,
    as_json: bool,
) -> None:
    """Translate what people wrote in one language of STORE, and write the rows that this makes possible.

    The new store has only rows with a machine translation on one side or both, marked as such; give it to a recipe
    beside STORE. What was refused is listed, with the reason, in a .refused.jsonl file beside it. A run that was cut
    off goes on where it was.
    """
    from xlir_bench.languages import normalise
    from xlir_bench.progress import bar
    from xlir_bench.training.quality import Quality
    from xlir_bench.training.store import as_pairs, as_tables, read_pairs, write_pairs
    from xlir_bench.training.translate_pairs import Expansion, translated_pairs
    from xlir_bench.training.translation import Work

    pairs = list(as_pairs(read_pairs([store])))
    source, targets = normalise(source), tuple(dict.fromkeys(map(normalise, targets)))
    place = output or store.with_name(f"{store.stem}.{'-'.join(targets)}.parquet")
    if place.resolve() == store.resolve():
        raise InputError(f"{store}: --output would replace the store that is translated; name another file")
    expansion = Expansion(source, targets, per_record, seed)
    with bar() as progress:
        work = Work(translation.load(machine_options), None if unfiltered else Quality(), progress=progress)
        rows = write_pairs(place, as_tables(translated_pairs(pairs, expansion, work)))
    work.report.write_refusals(place.with_suffix(".refused.jsonl"))
    made: dict[str, object] = {"store": str(place), "rows": rows, "translator": work.translator.name}
    translation.show(work.report, made, as_json)
    click.echo(f"{counted(rows, 'rows')}: {place}; refused: {place.with_suffix('.refused.jsonl')}", err=True)


def _print_info(stores: list[Path], as_json: bool) -> None:
    from xlir_bench.training.store import fingerprint, read_pairs

    table = read_pairs(stores)
    groups = {kind: _counted(table, columns) for kind, columns in _COUNTED.items()}
    if as_json:
        lists = {kind: [[*key, rows] for key, rows in found] for kind, found in groups.items()}
        click.echo(json.dumps({"rows": table.num_rows, "fingerprint": fingerprint(table), **lists}))
        return
    print_table(_language_table(groups["languages"]))
    for kind, name in (("datasets", "dataset"), ("origins", "origin")):
        shown = Table((name, "rows"))
        for (value,), rows in groups[kind]:
            shown.add_row(value or "people", f"{rows:,}")
        print_table(shown)
    print_text(f"{counted(table.num_rows, 'rows')}, fingerprint {fingerprint(table)}")


def _counted(table: pa.Table, columns: list[str]) -> list[tuple[tuple[str, ...], int]]:
    """(values of the columns, rows), the most frequent first."""
    found = table.group_by(columns).aggregate([([], "count_all")]).to_pylist()
    rows = [(tuple(str(row[name]) for name in columns), int(row["count_all"])) for row in found]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _language_table(found: list[tuple[tuple[str, ...], int]]) -> Table:
    """Per language: X-X rows, and X-Y rows in which it is the query's or the document's."""
    shown = Table(("language", "X-X", "X-Y query", "X-Y document"))
    for code in sorted({code for pair, _ in found for code in pair}):
        same = sum(rows for (x, y), rows in found if x == y == code)
        asked = sum(rows for (x, y), rows in found if x == code != y)
        answers = sum(rows for (x, y), rows in found if y == code != x)
        shown.add_row(code, f"{same:,}", f"{asked:,}", f"{answers:,}")
    return shown
