"""`xlir-bench run`."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options
from xlir_bench.cli.summaries import print_abridged, print_means, print_plan, print_standings, print_summary
from xlir_bench.errors import InputError, XlirError
from xlir_bench.interrupts import keeps

if TYPE_CHECKING:
    from xlir_bench.api.result import Result
    from xlir_bench.api.session import Session
    from xlir_bench.collection import Collection
    from xlir_bench.suites import Suite


@click.command("run")
@click.argument("model_ids", metavar="MODEL_ID...", nargs=-1, required=True)
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
@keeps("nothing is kept yet: the same command begins again", alone=True)
def command(
    model_ids: tuple[str, ...],
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
    """Measure one or more models on one or more suites.

    MODEL_ID is a bundled submission (xlir-hybrid-static), `bm25`, `random`, a folder with a model, FILE.py:FACTORY,
    PACKAGE.MODULE:FACTORY, mteb:NAME, openai:MODEL, or a model of the hub (ORG/NAME or
    ORG/NAME@REVISION).

    Results go to OUTPUT/MODEL/SUITE.json with a Parquet table of ranks beside it, and OUTPUT/index.html shows all of
    them. An interrupted run goes on where it was. With --json, one Result per line goes to stdout.

    SUITE.json is the fullest result of the suite's name. A result with fewer languages, settings or measures is kept
    beside it, as SUITE-LANGUAGES-SETTINGS-DIGITS.json. Of several folders with one name, and of a collection with a
    shipped suite's name, a result is SUITE-DIGITS.json, with digits of the data's fingerprint. A file that cannot be
    read as a result is never replaced without --overwrite.

    A suite's files are searched where a path leads, in DIR and in the cache, then fetched. Of several suites, one that
    fails does not stop the others: it is named at the end, with the highest exit code of the failures. A group's mean
    follows its suites.

    Several models are measured one after the other, and one that fails does not stop the others. A table of all
    follows, a row for each model: the best of each column is marked, and models with a letter in common are not told
    apart by paired tests over questions, adjusted over all pairs and columns. With --json, the Results are one array.
    """
    from xlir_bench.api.evaluating import suites_of
    from xlir_bench.api.session import Session
    from xlir_bench.suites import DEFAULT_SUITE, labels

    asked = suites or (DEFAULT_SUITE,)
    found = suites_of(asked, sides["query_language"], sides["document_language"])
    models = tuple(dict.fromkeys(model_ids))
    chosen = list(zip(found, labels(found), strict=True))
    selection = (languages, settings, measures)
    runs = _Runs(chosen, selection, dry_run, as_json, len(models) > 1, options.of_work(streaming_options))
    for model_id in models:
        with options.noted(runs.failures, model_id) if runs.many else nullcontext():
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
            runs.measure(session, asked)
    runs.finish()
    if runs.results:
        _build_page(output)
    if runs.many:
        options.report_failures(runs.failures, len(models) * len(chosen), "runs")
    else:
        options.report_failures(runs.failures, len(chosen))


@dataclass
class _Runs:
    """What is measured of every model, and what came of it.

    Attributes:
        suites: each with what to call it.
        selection: only these languages, settings and measures; None for all.
        dry_run: whether only the plan is printed.
        as_json: whether standard output is JSON.
        many: whether there are several models.
        idle: options of work that a result which was finished before did without.
        failures: model, suite or both -> what stopped it.
        results: of the suite of each number.
        plans: of a dry run, as JSON.
    """

    suites: list[tuple[Suite, str]]
    selection: tuple[tuple[str, ...] | None, tuple[str, ...] | None, tuple[str, ...] | None]
    dry_run: bool
    as_json: bool
    many: bool
    idle: str
    failures: dict[str, XlirError] = field(default_factory=dict)
    results: dict[int, list[Result]] = field(default_factory=dict)
    plans: list[dict[str, object]] = field(default_factory=list)

    def measure(self, session: Session, asked: tuple[str, ...]) -> None:
        """A model on every suite, and the means of the groups among what was asked for."""
        summaries: dict[str, dict[str, dict[str, float]]] = {}
        measured: dict[tuple[str, str], str] = {}
        languages, settings, measures = self.selection
        for number, (whole, label) in enumerate(self.suites):
            name = f"{session.info.name} on {label}" if self.many else label
            with options.noted(self.failures, name), keeps("finished suites are kept", lambda: bool(self.results)):
                suite = whole.with_measures(measures).narrowed(settings)
                collection = session.collection(suite, languages)
                _say_remarks(suite, collection, asked=settings is not None)
                if self.dry_run:
                    self._plan(session, label, collection)
                    continue
                click.echo(f"{session.info.id} on {label} ({' '.join(collection.languages)})", err=True)
                distinct = self._is_distinct(suite)
                if distinct:
                    _refuse_same_data(measured, label, (suite.name, collection.fingerprint))
                result = session.measure(suite, collection, distinct=distinct)
                summaries[suite.key] = result.stored.summary
                self.results.setdefault(number, []).append(result)
                self._say(result)
        if summaries:
            print_means(asked, summaries)

    def finish(self) -> None:
        """The table of all models on each suite; with --json, one array."""
        if self.as_json and self.many:
            found = (result.stored.model_dump_json() for results in self.results.values() for result in results)
            click.echo(json.dumps(self.plans) if self.dry_run else f"[{', '.join(found)}]")
        elif self.many:
            for results in self.results.values():
                _print_table(results)

    def _is_distinct(self, suite: Suite) -> bool:
        from xlir_bench.suites import is_official

        return [one.name for one, _ in self.suites].count(suite.name) > 1 or not is_official(suite)

    def _plan(self, session: Session, label: str, collection: Collection) -> None:
        from xlir_bench.encoders.plan import plan
        from xlir_bench.engines import Streaming

        cache = session.vectors.cache if isinstance(session.vectors, Streaming) else session.vectors
        found = plan(session.model, collection, cache)
        if not self.as_json:
            if self.many:
                click.echo(f"{session.model.info.id}:")
            print_plan(label, found)
        elif self.many:
            self.plans.append({"model": session.model.info.id, "suite": label, **asdict(found)})
        else:
            click.echo(json.dumps({"suite": label, **asdict(found)}))

    def _say(self, result: Result) -> None:
        if not self.as_json:
            print_summary(result.stored)
        elif not self.many:
            click.echo(result.stored.model_dump_json())
        print_abridged(result.stored)
        earlier = "" if result.measured_now else " (finished by an earlier run)"
        click.echo(f"result: {result.path}{earlier}", err=True)
        if not result.measured_now and self.idle:
            click.echo(
                f"nothing was encoded or ranked, so {self.idle} did nothing: remove the result, or give another "
                "--output, to measure again",
                err=True,
            )
        if result.runs is not None:
            click.echo(f"runs: {result.runs}", err=True)


def _print_table(results: list[Result]) -> None:
    """The table of all models on a suite, each once, if there are several."""
    from xlir_bench.api.reports import standings

    models = {result.model: result for result in results}
    if len(models) < len(results):
        click.echo("models that were given twice under several names stand in the table once", err=True)
    if len(models) > 1:
        each = list(models.values())
        print_standings(each, standings(each))


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
