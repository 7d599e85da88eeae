"""`xlir-bench suites`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from xlir_bench.cli import options, translation
from xlir_bench.cli.tables import Table, print_table, print_text
from xlir_bench.errors import InputError, XlirError, counted

if TYPE_CHECKING:
    from xlir_bench.suites import LanguageCheck, Suite


@click.group("suites")
def command() -> None:
    """List, show, fetch, forget, check and translate the suites."""


@command.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """The suites and groups that come with the package."""
    from xlir_bench.suites import expand, find, look_up, shipped, shipped_groups

    suites = [find(name) for name in shipped()]
    groups = [look_up(name) for name in shipped_groups()]
    if as_json:
        rows = [declared.model_dump(mode="json") for declared in (*suites, *groups)]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table(("suite", "version", "languages", "settings", "licence"), figures=())
    for suite in suites:
        table.add_row(
            suite.name, str(suite.version), str(len(suite.languages)), ", ".join(suite.settings), suite.licence
        )
    for group in groups:
        table.add_row(group.name, "", "", f"group of {len(expand([group.name]))} suites", "")
    print_table(table)


@command.command("show")
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """What a suite or group declares, and which of its files have a published hash."""
    import yaml

    from xlir_bench.suites import Group, Suite, look_up, pins

    found = look_up(name)
    declaration: dict[str, Any] = found.model_dump(mode="json", exclude_none=True)
    held = None if isinstance(found, Group) else pins(found)
    if as_json:
        if held is not None:
            declaration["hashes"] = asdict(held)
        click.echo(json.dumps(declaration, ensure_ascii=False))
        return
    click.echo(yaml.safe_dump(declaration, sort_keys=False, allow_unicode=True, width=100), nl=False)
    if held is not None:
        if isinstance(found, Suite) and found.by_layout:
            click.echo(f"# the files are those in {found.place}")
            return
        later = "; of these the first fetch records it" if held.unpublished else ""
        click.echo(f"# files with a published hash: {held.published}, without: {len(held.unpublished)}{later}")
        for file in held.unpublished:
            known = held.first.get(file)
            click.echo(f"#   {file}: {f'SHA-256 {known} at the first fetch' if known else 'not fetched yet'}")


@command.command("fetch")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.languages
@options.offline
@options.as_json
def fetch(names: tuple[str, ...], languages: tuple[str, ...] | None, as_json: bool) -> None:
    """Get suites' files from where they are published into the cache.

    Only the files of the languages asked for. A download that breaks off goes on where it was, now or the next time.
    Every file is checked against its published hash; one without is checked against its first fetch from then on.
    """
    from xlir_bench import suites as rooms
    from xlir_bench.progress import bar

    chosen = rooms.expand(names)
    failures: dict[str, XlirError] = {}
    labels = rooms.labels(chosen)
    for suite, label in zip(chosen, labels, strict=True):
        try:
            with bar() as progress:
                done = rooms.fetch(suite, languages, progress=progress)
        except XlirError as error:
            failures[label] = error
            continue
        if as_json:
            click.echo(json.dumps({**asdict(done), "folder": str(done.folder)}))
        else:
            fetched = counted(len(done.new), "files")
            click.echo(f"{suite.name}: {fetched} fetched, {len(done.present)} already here: {done.folder}")
            if done.unpinned:
                click.echo(f"{suite.name}: without a published hash, which is recorded: {len(done.unpinned)}", err=True)
    rooms.forget_archives([suite for suite, label in zip(chosen, labels, strict=True) if label not in failures])
    options.report_failures(failures, len(chosen))


@command.command("forget")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def forget(names: tuple[str, ...]) -> None:
    """Forget the first fetch of files without a published hash, and remove them from the cache.

    Such a file is checked against what came at its first fetch. Where its publisher has changed it, forget the first
    fetch, and fetch it again. Files with a published hash stay.
    """
    from xlir_bench import suites as rooms

    for suite in rooms.expand(names):
        forgotten = rooms.forget(suite)
        listed = f": {', '.join(forgotten)}" if forgotten else ""
        click.echo(f"{suite.name}: {counted(len(forgotten), 'files')} forgotten{listed}")


@command.command("translate")
@click.argument("name")
@translation.targets
@translation.source
@click.option(
    "--only", type=click.Choice(["queries", "documents"]), help="Translate one side; the other stays as it is."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="The new suite's folder, whose name becomes the suite's.  [default: NAME-mt-MODEL]",
)
@options.data
@translation.unfiltered
@translation.machine
@options.offline
@options.as_json
def translate(
    name: str,
    targets: tuple[str, ...],
    source: str,
    only: Literal["queries", "documents"] | None,
    output: Path | None,
    data: Path | None,
    unfiltered: bool,
    machine_options: translation.MachineOptions,
    as_json: bool,
) -> None:
    """Translate a suite into languages that it does not have.

    Writes a folder that `xlir-bench run --suite FOLDER` measures on and `suites check FOLDER` checks. Judgements are
    carried over; the suite's declaration says that it is machine-translated, by which model, and how many texts were
    left out because their translation was bad (they are in refused.jsonl). A run that was cut off goes on where it was.
    """
    from xlir_bench.languages import normalise
    from xlir_bench.progress import bar
    from xlir_bench.suites import find, obtain
    from xlir_bench.training.quality import Quality
    from xlir_bench.training.translate_suite import Extension, default_name, translate_suite
    from xlir_bench.training.translation import Work

    suite = find(name)
    source, targets = normalise(source), tuple(dict.fromkeys(map(normalise, targets)))
    extension = Extension(suite, source, targets, (only,) if only else ("queries", "documents"))
    with bar() as progress:
        collection = obtain(suite, data, [source], progress=progress)
        work = Work(translation.load(machine_options), None if unfiltered else Quality(), progress=progress)
        place = output or Path(default_name(suite, work.translator.name))
        made = translate_suite(collection, extension, work, place)
    translation.show(
        work.report, {"suite": made.name, "folder": str(place), "translator": work.translator.name}, as_json
    )
    click.echo(f"suite: {place}", err=True)


@command.command("check")
@click.argument("name")
@options.languages
@options.sides
@options.data
@options.as_json
def check(name: str, languages: tuple[str, ...] | None, sides: options.Sides, data: Path | None, as_json: bool) -> None:
    """Read a suite's files and compare them with what was published.

    Hashes, layout, that every judgement resolves and stands once, unique ids, empty texts, the counts per language,
    languages and settings without judgements, relevant documents that an exclusion leaves out, the script of each
    language's queries and documents, and the fingerprint of the whole. Exit code 2 where something is wrong. Queries
    without a relevant document are counted. With --json, one object per suite, one per line.
    """
    from xlir_bench.suites import expand, labels, with_sides

    failures: dict[str, XlirError] = {}
    chosen = with_sides(expand([name]), **sides)
    for suite, label in zip(chosen, labels(chosen), strict=True):
        try:
            _check(suite, data, languages, as_json)
        except XlirError as error:
            failures[label] = error
    sys.stdout.flush()
    options.report_failures(failures, len(chosen))


def _check(suite: Suite, data: Path | None, languages: tuple[str, ...] | None, as_json: bool) -> None:
    """Check one suite and print what was found.

    Raises:
        XlirError: it cannot be read, or is not what was published.
    """
    import xlir_bench.suites as rooms

    asked = rooms.chosen_languages(suite, languages)
    collection = rooms.load(suite, data, languages, expected=False)
    rows = rooms.check(suite, collection, asked)
    found = rooms.findings(suite, collection, sample=0)
    expected = rooms.expected_fingerprint(suite, asked)
    same = expected in (None, collection.fingerprint)
    if as_json:
        report = {
            "suite": suite.name,
            "version": suite.version,
            "fingerprint": collection.fingerprint,
            "expected_fingerprint": expected,
            "languages": [{**asdict(row), "holds": row.holds, "problems": row.problems} for row in rows],
            "queries": len(collection.queries),
            "documents": len(collection.documents),
            "findings": [asdict(finding) for finding in found],
            "holds": same and all(row.holds for row in rows) and not any(finding.fault for finding in found),
        }
        click.echo(json.dumps(report))
    else:
        _print_check(suite.name, rows)
        for finding in found:
            print_text(f"{'fault' if finding.fault else 'note'}: {finding.text}")
        print_text(f"fingerprint {collection.fingerprint}{'' if expected is None or not same else ', as published'}")
    wrong = [f"{row.language}: {problem}" for row in rows for problem in row.problems]
    wrong += [finding.text for finding in found if finding.fault]
    if wrong:
        raise InputError(f"suite {suite.name}: {len(wrong)} fault{'s' if len(wrong) > 1 else ''}: {'; '.join(wrong)}")
    if not same:
        raise InputError(f"suite {suite.name}: the fingerprint is not {str(expected)[:12]}...: texts or ids differ")


def _print_check(name: str, rows: list[LanguageCheck]) -> None:
    kinds = ("queries", "documents", "judgements", "judged", "unanswered", "empty")
    columns = ("language", *kinds, "script q", "script d", "as published")
    table = Table(columns, name, figures=range(1, 9))
    for row in rows:
        shares = ("" if s is None else f"{s:.1%}" for s in (row.query_script_share, row.document_script_share))
        counts = (f"{getattr(row, kind):,}" for kind in kinds)
        table.add_row(row.language, *counts, *shares, _verdict(row))
    totals = (f"{sum(getattr(row, kind) for row in rows):,}" for kind in kinds)
    table.add_row("all", *totals, "", "", "")
    print_table(table)


def _verdict(row: LanguageCheck) -> str:
    if row.problems:
        return f"no: {'; '.join(row.problems)}"
    return "yes" if row.stated else "not stated"
