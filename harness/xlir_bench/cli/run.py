"""`xlir-bench run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options
from xlir_bench.cli.summaries import print_abridged, print_means, print_plan, print_summary
from xlir_bench.errors import InputError, XlirError
from xlir_bench.interrupts import keeps

if TYPE_CHECKING:
    from xlir_bench.collection import Collection
    from xlir_bench.suites import Suite


@click.command("run")
@click.argument("model_id")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="SUITE",
    help="A suite or group by name, a YAML file, a folder, mteb:TASK or ir_datasets:ID; may be repeated.  "
    "[default: xlir-mini]",
)
@options.languages
@options.sides
@click.option(
    "--settings", type=options.Listed(options.all_settings), help="Only these, e.g. monolingual,multilingual."
)
@options.measures
@options.data
@options.offline
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder for results and the page.",
)
@click.option(
    "--top-k",
    type=click.IntRange(min=1),
    metavar="N",
    help="Also write the first N documents of every ranking as TREC runs, to OUTPUT/MODEL/SUITE.runs/.",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace a file at a result's path that this release cannot read as a result."
)
@options.device
@options.no_cache
@options.encoder
@options.streaming
@click.option("--dry-run", is_flag=True, help="Say how much there is to do and how long it would take, and stop.")
@options.as_json
@keeps("nothing was to be kept yet: the same command begins again", alone=True)
def command(
    model_id: str,
    suites: tuple[str, ...],
    languages: tuple[str, ...] | None,
    sides: options.Sides,
    settings: tuple[str, ...] | None,
    measures: tuple[str, ...] | None,
    data: Path | None,
    output: Path,
    top_k: int | None,
    overwrite: bool,
    device: str | None,
    no_cache: bool,
    encoder_options: options.EncoderOptions,
    streaming_options: options.StreamingOptions,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Measure a model on one or more suites.

    MODEL_ID is a bundled submission (xlir-hybrid-static), `bm25`, `random`, a folder with a model, FILE.py:FACTORY,
    PACKAGE.MODULE:FACTORY, mteb:NAME, openai:MODEL, or a model of the hub (ORG/NAME or
    ORG/NAME@REVISION).

    Results go to OUTPUT/MODEL/SUITE.json with a Parquet table of ranks beside it, and OUTPUT/index.html shows all of
    them. An interrupted run goes on where it was. With --json, one Result per line goes to stdout.

    Of several folders with one name, and of a collection with a shipped suite's name, a result is
    OUTPUT/MODEL/SUITE-DIGITS.json, with digits of the data's fingerprint; and an earlier result on other data under
    SUITE.json is kept under such a name. A file that cannot be read as a result is never replaced without --overwrite.

    A suite's files are searched where a path leads, in DIR and in the cache, then fetched. Of several suites, one that
    fails does not stop the others: it is named at the end, with the exit code of the first failure. A group's mean
    follows its suites.
    """
    from xlir_bench.api.evaluating import suites_of
    from xlir_bench.api.session import Session
    from xlir_bench.encoders.plan import plan
    from xlir_bench.engines import Streaming
    from xlir_bench.suites import DEFAULT_SUITE, is_official, labels

    asked = suites or (DEFAULT_SUITE,)
    chosen = suites_of(asked, sides["query_language"], sides["document_language"])
    session = Session.open(
        model_id,
        {
            **options.of_model(encoder_options),
            **options.of_streaming(streaming_options),
            "device": device,
            "cache": not no_cache,
            "data": data,
            "output": None if dry_run else output,
            "top_k": None if dry_run else top_k,
            "overwrite": overwrite,
            "progress": True,
        },
    )
    summaries: dict[str, dict[str, dict[str, float]]] = {}
    failures: dict[str, XlirError] = {}
    measured: dict[tuple[str, str], str] = {}
    names = [suite.name for suite in chosen]
    for suite, label in zip(chosen, labels(chosen), strict=True):
        with options.noted(failures, label), keeps("finished suites are kept", lambda: bool(summaries)):
            narrowed = suite.with_measures(measures).narrowed(settings)
            collection = session.collection(narrowed, languages)
            _say_remarks(narrowed, collection, asked=settings is not None)
            if dry_run:
                cache = session.vectors.cache if isinstance(session.vectors, Streaming) else session.vectors
                print_plan(label, plan(session.model, collection, cache), as_json)
                continue
            click.echo(f"{session.info.id} on {label} ({' '.join(collection.languages)})", err=True)
            distinct = names.count(suite.name) > 1 or not is_official(suite)
            if distinct:
                _refuse_same_data(measured, label, (suite.name, collection.fingerprint))
            found = session.measure(narrowed, collection, distinct=distinct)
            summaries[suite.key] = found.stored.summary
            if as_json:
                click.echo(found.stored.model_dump_json())
            else:
                print_summary(found.stored)
            print_abridged(found.stored)
            earlier = "" if found.measured_now else " (finished by an earlier run)"
            click.echo(f"result: {found.path}{earlier}", err=True)
            if not found.measured_now and (idle := options.of_work(streaming_options)):
                click.echo(
                    f"nothing was encoded or ranked, so {idle} did nothing: remove the result, or give another "
                    "--output, to measure again",
                    err=True,
                )
            if found.runs is not None:
                click.echo(f"runs: {found.runs}", err=True)
    if summaries:
        print_means(asked, summaries)
        _build_page(output)
    options.report_failures(failures, len(chosen))


def _build_page(output: Path) -> None:
    """Build the page of all results in a folder, and name those that are left out of it."""
    from xlir_bench.api.pages import page_of
    from xlir_bench.progress import bar, step

    written = keeps("the results are written: the same command builds the page")
    with bar() as progress, step(progress, "building the page"), written:
        site = page_of(output)
    for problem in site.left_out:
        click.echo(f"left out of the page: {problem}", err=True)
    click.echo(f"page: {site.index}", err=True)


def _refuse_same_data(measured: dict[tuple[str, str], str], label: str, data: tuple[str, str]) -> None:
    """Two declarations of one name for the same data have one path for their results.

    Raises:
        InputError: `data` is among those that were measured.
    """
    if data in measured:
        raise InputError(f"{label} has the name and the data of {measured[data]}: give one of the two another name")
    measured[data] = label


def _say_remarks(suite: Suite, collection: Collection, *, asked: bool) -> None:
    """Say on stderr what is remarkable in a collection, before anything is encoded; see `session.remarks`."""
    from xlir_bench.api.session import remarks

    for remark in remarks(suite, collection, asked=asked):
        click.echo(f"{suite.name}: {'warning: ' if remark.fault else ''}{remark.text}", err=True)
