"""`xlir-bench run`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xlir_bench.cli import options
from xlir_bench.cli.summaries import print_abridged, print_means, print_plan, print_summary
from xlir_bench.collection import SETTINGS
from xlir_bench.errors import InputError, XlirError

if TYPE_CHECKING:
    from xlir_bench.collection import Collection
    from xlir_bench.encoders import VectorCache
    from xlir_bench.engines import RayEngine, Streaming
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
@click.option("--settings", type=options.Listed(SETTINGS), help="Only these, e.g. monolingual,multilingual.")
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
def command(
    model_id: str,
    suites: tuple[str, ...],
    languages: tuple[str, ...] | None,
    sides: options.Sides,
    settings: tuple[str, ...] | None,
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

    Of several collections with one name each result is OUTPUT/MODEL/SUITE-DIGITS.json, with digits of the data's
    fingerprint; and an earlier result on other data under SUITE.json is kept under such a name. A file that cannot be
    read as a result is never replaced without --overwrite.

    A suite's files are searched in DIR and in the cache, then fetched. Of several suites, one that fails does not stop
    the others: it is named at the end, with the exit code of the first failure. A group's mean follows its suites.
    """
    from xlir_bench.encoders import Options, VectorCache, resolve
    from xlir_bench.encoders.plan import plan
    from xlir_bench.engines import RayEngine
    from xlir_bench.evaluation import Output, run
    from xlir_bench.progress import bar
    from xlir_bench.results.store import check_writable
    from xlir_bench.suites import DEFAULT_SUITE, expand, labels, obtain, shipped

    asked = suites or (DEFAULT_SUITE,)
    chosen = options.with_sides(expand(asked), sides)
    if not dry_run:
        check_writable(output)
    chosen_for_model = Options(**encoder_options)
    model = resolve(model_id, device, chosen_for_model)
    cache = None if no_cache else VectorCache(stored_as=encoder_options["stored_as"])
    workers = RayEngine(partial(resolve, _from_anywhere(model_id), options=chosen_for_model), device)
    keeping = _streaming(streaming_options, workers, cache)
    summaries: dict[str, dict[str, dict[str, float]]] = {}
    failures: dict[str, XlirError] = {}
    measured: dict[tuple[str, str], str] = {}
    names = [suite.name for suite in chosen]
    for suite, label in zip(chosen, labels(chosen), strict=True):
        with options.noted(failures, label):
            narrowed = suite.narrowed(settings)
            with bar() as progress:
                collection = obtain(narrowed, data, languages, progress=progress)
            _say_findings(narrowed, collection, asked=settings is not None)
            if dry_run:
                print_plan(label, plan(model, collection, cache), as_json)
                continue
            click.echo(f"{model.info.id} on {label} ({' '.join(collection.languages)})", err=True)
            distinct = names.count(suite.name) > 1 and (suite.place is not None or suite.name not in shipped())
            if distinct:
                _refuse_same_data(measured, label, (suite.name, collection.fingerprint))
            where = Output(output, top_k, distinct, overwrite)
            with bar() as progress:
                kept = run(model, narrowed, collection, where, cache=keeping, progress=progress)
            summaries[suite.key] = kept.result.summary
            if as_json:
                click.echo(kept.result.model_dump_json())
            else:
                print_summary(kept.result)
            print_abridged(kept.result)
            click.echo(f"result: {kept.path}{'' if kept.measured_now else ' (finished by an earlier run)'}", err=True)
            if kept.runs is not None:
                click.echo(f"runs: {kept.runs}", err=True)
    if summaries:
        print_means(asked, summaries)
        _build_page(output)
    options.report_failures(failures, len(chosen))


def _build_page(output: Path) -> None:
    """Build the page of all results in a folder, and name those that are left out of it."""
    from xlir_bench.leaderboard import build, gather

    found = gather([output], analysis=False)
    for problem in (*found.problems, *found.refused):
        click.echo(f"left out of the page: {problem}", err=True)
    click.echo(f"page: {build(found.entrants, output)}", err=True)


def _refuse_same_data(measured: dict[tuple[str, str], str], label: str, data: tuple[str, str]) -> None:
    """Two declarations of one name for the same data have one path for their results.

    Raises:
        InputError: `data` is among those that were measured.
    """
    if data in measured:
        raise InputError(f"{label} has the name and the data of {measured[data]}: give one of the two another name")
    measured[data] = label


def _say_findings(suite: Suite, collection: Collection, *, asked: bool) -> None:
    """Say on stderr what is remarkable in a collection, before anything is encoded.

    Raises:
        InputError: there is no row of any setting, or of one that was asked for by name.
    """
    from xlir_bench.suites import findings, measurable

    kept = measurable(suite, collection)
    if asked and len(kept.settings) < len(suite.settings):
        lacking = {name: measures for name, measures in suite.settings.items() if name not in kept.settings}
        measurable(suite.model_copy(update={"settings": lacking}), collection)
    for finding in findings(kept, collection):
        click.echo(f"{suite.name}: {'warning: ' if finding.fault else ''}{finding.text}", err=True)


def _streaming(
    asked: options.StreamingOptions, workers: RayEngine, cache: VectorCache | None
) -> Streaming | VectorCache | None:
    """How to stream, where any option says so."""
    from xlir_bench.engines import Streaming

    chosen: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if not chosen:
        return cache
    if chosen.pop("engine", None) == "ray":
        chosen["engine"] = workers
    return Streaming(**chosen, cache=cache)


def _from_anywhere(model_id: str) -> str:
    """The id as a process in another folder has to give it."""
    from xlir_bench.encoders import bundled

    place, colon, factory = model_id.rpartition(":") if ".py:" in model_id else (model_id, "", "")
    path = Path(place)
    return f"{path.resolve()}{colon}{factory}" if model_id not in bundled() and path.exists() else model_id
