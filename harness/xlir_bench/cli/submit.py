"""`xlir-bench submit`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import print_text
from xlir_bench.errors import InputError, XlirError, counted

_SHOWN = 20


@click.group("submit")
def command() -> None:
    """Make, check and verify submissions.

    A submission is a folder: submission.yaml, README.md, results/SUITE.json with its ranks, and runs/ if wanted. It is
    read as the work of a stranger: nothing in it runs.
    """


@command.command("new")
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("submissions"),
    show_default=True,
    help="Where submissions are.",
)
@click.option("--hub", metavar="ORG/NAME@COMMIT", help="Where the weights are, if on the hub.")
@click.option("--results", type=click.Path(path_type=Path), help="A run's results, copied into it with their ranks.")
def new(name: str, folder: Path, hub: str | None, results: Path | None) -> None:
    """Write the skeleton of a submission: a manifest to fill in and a card to write."""
    from xlir_bench import submissions

    place = submissions.new(name, folder, hub, results)
    click.echo(str(place))
    click.echo(f"fill in {place / 'submission.yaml'}, then: xlir-bench submit validate {place}", err=True)


@command.command("validate")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.as_json
def validate(folders: tuple[Path, ...], as_json: bool) -> None:
    """Say what a submission lacks: files, manifest, licence, training data, card, languages, results.

    FOLDERS are submissions, or folders of them. Exit code 2 if one is not complete.
    """
    from xlir_bench import submissions

    reports = []
    for folder in submissions.find(folders):
        submission = submissions.load(folder)
        findings = submissions.validate(submission)
        errors = sum(finding.severity == "error" for finding in findings)
        reports.append({"name": submission.name, "kind": submission.kind, "complete": not errors})
        reports[-1]["findings"] = [asdict(finding) for finding in findings]
        if not as_json:
            found = counted(errors, "errors") if errors else "complete"
            print_text(f"{submission.name} ({submission.kind}): {found}")
            for finding in findings:
                if finding.severity != "note" or submission.kind != "imported":
                    print_text(f"{finding.severity}: {finding.place}: {finding.what}", indent=2)
    if as_json:
        click.echo(json.dumps(reports, ensure_ascii=False))
    incomplete = [str(report["name"]) for report in reports if not report["complete"]]
    if incomplete:
        _fail(f"not complete: {len(incomplete)} of {counted(len(reports), 'submissions')}: {_listed(incomplete)}")


@command.command("verify")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.data
@click.option(
    "--rerun",
    "queries",
    type=click.IntRange(min=1),
    metavar="N",
    help="Load the encoder, rank N sampled queries per result again, and compare.",
)
@click.option("--device", help="For --rerun: cpu, cuda, cuda:1, mps.  [default: the best there is]")
@options.as_json
def verify(
    folders: tuple[Path, ...], data: Path | None, queries: int | None, device: str | None, as_json: bool
) -> None:
    """Recompute every figure from the stored ranks, and say which do not follow.

    FOLDERS are submissions, or folders of them. Where a suite's files are at hand, the ranks must be of the suite's
    judgements. Exit code 2 if a figure does not follow. Imported figures have no ranks: nothing can be said of them.
    """
    from xlir_bench import submissions

    reports = []
    for folder in submissions.find(folders):
        report = _verified(folder, data, queries, device)
        reports.append(report)
        if not as_json:
            _print_report(report)
    if as_json:
        click.echo(json.dumps(reports, ensure_ascii=False))
    wrong = [str(report["name"]) for report in reports if not report["holds"]]
    if wrong:
        number = f"{len(wrong)} of {counted(len(reports), 'submissions')}"
        _fail(f"figures do not follow from their ranks in {number}: {_listed(wrong)}")


def _verified(folder: Path, data: Path | None, queries: int | None, device: str | None) -> dict[str, object]:
    from xlir_bench import submissions
    from xlir_bench.progress import bar
    from xlir_bench.submissions.rerun import rerun

    submission = submissions.load(folder)
    faults = [f"{one.place}: {one.what}" for one in submission.findings if one.severity == "error"]
    report: dict[str, object] = {"name": submission.name, "kind": submission.kind, "unread": faults}
    verdicts = [submissions.verify(entry, data, submission.files) for entry in submission.results]
    report["results"] = [asdict(verdict) | {"holds": verdict.holds} for verdict in verdicts]
    reruns: list[dict[str, object]] = []
    if queries is not None:
        errors = [one for one in submissions.validate(submission) if one.severity == "error"]
        for entry in submission.results:
            try:
                if errors:
                    raise InputError("its encoder is not loaded while `submit validate` finds errors in it")
                with bar() as progress:
                    again = rerun(submission, entry, queries, data=data, device=device, progress=progress)
                reruns.append(asdict(again) | {"holds": again.holds})
            except XlirError as error:
                reruns.append({"result": entry.path.name, "holds": False, "reason": str(error)})
    report["reruns"] = reruns
    report["holds"] = not faults and all(one.holds for one in verdicts) and all(one["holds"] for one in reruns)
    return report


def _print_report(report: dict[str, object]) -> None:
    results, reruns, unread = report["results"], report["reruns"], report["unread"]
    assert isinstance(results, list)
    assert isinstance(reruns, list)
    assert isinstance(unread, list)
    print_text(f"{report['name']} ({report['kind']})")
    for line in unread:
        print_text(f"not read: {line}", indent=2)
    if report["kind"] == "imported":
        print_text("published elsewhere: there are no ranks that its figures could follow from", indent=2)
    for verdict in results:
        wrong = verdict["differences"]
        said = f"{len(wrong)} do not follow" if wrong else "all follow"
        against = f"; the ranks are of {' and '.join(verdict['against'])}" if verdict["against"] and not wrong else ""
        print_text(
            f"{verdict['result']}: {counted(verdict['figures'], 'figures')} recomputed from ranks, {said}{against}",
            indent=2,
        )
        for one in wrong[:_SHOWN]:
            print_text(f"{one['figure']}: says {_shown(one['said'])}, follows {_shown(one['recomputed'])}", indent=4)
        if len(wrong) > _SHOWN:
            print_text(f"and {len(wrong) - _SHOWN:,} more (--json lists all)", indent=4)
        for note in verdict["notes"]:
            print_text(f"note: {note}", indent=4)
    for again in reruns:
        if "reason" in again:
            print_text(f"{again['result']}: not run again: {again['reason']}", indent=2)
            continue
        print_text(
            f"{again['result']}: {counted(again['queries'], 'queries')} run again over "
            f"{counted(again['documents'], 'documents')} "
            f"({' '.join(again['languages'])}): of {again['ranks']:,} ranks {again['equal']:.1%} are equal, "
            f"{again['agreeing']:.1%} agree, the largest difference is {again['largest']:,}"
            f"{'' if again['holds'] else ': these are not its ranks'}",
            indent=2,
        )


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _fail(message: str) -> None:
    sys.stdout.flush()
    raise InputError(message)
