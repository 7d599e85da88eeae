"""`xlir-bench run`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xlir_bench.cli import options
from xlir_bench.cli.summaries import print_means, print_plan, print_summary
from xlir_bench.collection import SETTINGS
from xlir_bench.errors import XlirError

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
    device: str | None,
    no_cache: bool,
    encoder_options: options.EncoderOptions,
    streaming_options: options.StreamingOptions,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Measure a model on one or more suites.

    MODEL_ID is a bundled submission (xlir-hybrid-static), `bm25`, `random`, a folder with a model, FILE.py:FACTORY,
    PACKAGE.MODULE:FACTORY, mteb:NAME, openai:MODEL, or a model of the hub (ORG/NAME).

    Results go to OUTPUT/MODEL/SUITE.json with a Parquet table of ranks beside it, and OUTPUT/index.html shows all of
    them. An interrupted run goes on where it was. With --json, one Result per line goes to stdout.

    A suite's files are searched in DIR and in the cache, then fetched. Of several suites, one that fails does not stop
    the others: it is named at the end, with the exit code of the first failure. A group's mean follows its suites.
    """
    from xlir_bench.encoders import Options, VectorCache, resolve
    from xlir_bench.encoders.plan import plan
    from xlir_bench.engines import RayEngine
    from xlir_bench.evaluation import Output, run
    from xlir_bench.leaderboard import build, gather
    from xlir_bench.progress import bar
    from xlir_bench.results.store import check_writable
    from xlir_bench.suites import DEFAULT_SUITE, expand, obtain

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
    for suite in chosen:
        with options.noted(failures, suite.name, alone=len(chosen) == 1):
            narrowed = suite.narrowed(settings)
            with bar() as progress:
                collection = obtain(narrowed, data, languages, progress=progress)
            _say_findings(narrowed, collection, asked=settings is not None)
            if dry_run:
                print_plan(suite.name, plan(model, collection, cache), as_json)
                continue
            click.echo(f"{model.info.id} on {suite.name} ({' '.join(collection.languages)})", err=True)
            with bar() as progress:
                kept = run(model, narrowed, collection, Output(output, top_k), cache=keeping, progress=progress)
            summaries[suite.name] = kept.result.summary
            if as_json:
                click.echo(kept.result.model_dump_json())
            else:
                print_summary(kept.result)
            click.echo(f"result: {kept.path}{'' if kept.measured_now else ' (finished by an earlier run)'}", err=True)
            if kept.runs is not None:
                click.echo(f"runs: {kept.runs}", err=True)
    if summaries:
        print_means(asked, summaries)
        page = build(gather([output]).entrants, output)
        click.echo(f"page: {page}", err=True)
    options.report_failures(failures, len(chosen))


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
