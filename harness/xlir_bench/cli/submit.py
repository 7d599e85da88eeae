"""`xlir-bench submit`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xlir_bench.cli import options
from xlir_bench.cli.tables import print_text
from xlir_bench.errors import InputError, MissingResourceError, XlirError, counted

if TYPE_CHECKING:
    from xlir_bench.submissions import Finding

MANIFEST, CARD = "submission.yaml", "README.md"

_SHOWN = 20
_FAULTS = {
    "wrong": "do not follow from their ranks",
    "unread": "could not be read whole",
    "not_run": "could not be run again, so that nothing is known of whether the encoder gives these ranks",
}
"""What to say where a field of a report is set."""


@click.group("submit")
def command() -> None:
    """Make, check and verify submissions.

    A submission is a folder: submission.yaml, README.md, results/SUITE.json with its ranks, and runs/ if wanted. It is
    untrusted input: no code in it is run.
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
@click.option(
    "--from",
    "--results",
    "results",
    metavar="RESULTS",
    type=click.Path(path_type=Path),
    help="Results of a finished run, as OUTPUT/MODEL: they are copied with their ranks, and manifest and card are "
    "filled in from them. Weights in a folder are copied too, unless --hub says where they are.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True),
    help="The model's folder, or file of vectors.  [default: what has its name in the working folder]",
)
def new(name: str, folder: Path, hub: str | None, results: Path | None, weights: Path | None) -> None:
    """Begin a submission: a manifest, a card, and the results of a finished run."""
    from xlir_bench import submissions

    place = submissions.new(name, folder, hub, results, weights)
    click.echo(str(place))
    _say_next(place, submissions.validate(submissions.load(place)))


@command.command("validate")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.as_json
def validate(folders: tuple[Path, ...], as_json: bool) -> None:
    """Say what a submission lacks: files, manifest, licence, training data, card, languages, results.

    FOLDERS are submissions, or folders of them. What to do next is said on stderr. Exit code 2 if one is not complete.
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
            said = counted(errors, "errors") if errors else "complete"
            print_text(f"{submission.name} ({submission.kind}): {said}")
            for finding in findings:
                if finding.severity != "note" or submission.kind != "imported":
                    print_text(f"{finding.severity}: {finding.place}: {finding.what}", indent=2)
            if submission.kind == "measured":
                _say_next(folder, findings)
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
    judgements. Imported figures have no ranks: nothing can be said of them.

    Exit code 2 if a figure does not follow. Otherwise, of an encoder that could not be run for --rerun: 3 where its
    weights, the suite's files or a package are not here, 2 where it is none that is run.
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
    _conclude(reports)


def _conclude(reports: list[dict[str, object]]) -> None:
    """End with an error if something does not hold, or if an encoder was not run that should have been.

    Of the second nothing is known: nothing contradicts its ranks, and nothing shows that they are the encoder's.
    """

    def of(kind: str) -> str:
        names = [str(report["name"]) for report in reports if report[kind]]
        return f"{len(names)} of {len(reports)} submissions {_FAULTS[kind]}: {_listed(names)}" if names else ""

    faults = [said for kind in _FAULTS if (said := of(kind))]
    if not faults:
        return
    missing = all(report["holds"] for report in reports) and any(
        report["not_run"] == MissingResourceError.exit_code for report in reports
    )
    _fail("; ".join(faults), MissingResourceError if missing else InputError)


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
    codes: list[int] = []
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
                codes.append(error.exit_code)
                reruns.append({"result": entry.path.name, "holds": None, "reason": str(error)})
    report["reruns"] = reruns
    report["not_run"] = max(codes, default=None)
    report["wrong"] = any(not one.holds for one in verdicts) or any(one["holds"] is False for one in reruns)
    report["holds"] = not faults and not report["wrong"]
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
            print_text(f"{again['result']}: could not be run again: {again['reason']}", indent=2)
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


def _say_next(place: Path, findings: Sequence[Finding]) -> None:
    """Say on stderr what the author of a submission has to do next."""
    errors = [finding for finding in findings if finding.severity == "error"]
    files = {finding.place.partition(":")[0] for finding in errors}
    if not errors:
        todo = f"xlir-bench submit verify {place} --rerun 20"
    elif files <= {MANIFEST, CARD}:
        fields = [finding.place.removeprefix(f"{MANIFEST}: ") for finding in errors if MANIFEST in finding.place]
        where = " and ".join(str(place / file) for file in sorted(files, reverse=True))
        todo = f"edit {where}{f' ({_listed(fields)})' if fields else ''}, then: xlir-bench submit validate {place}"
    else:
        todo = f"mend what is listed, then: xlir-bench submit validate {place}"
    sys.stdout.flush()
    click.echo(f"next: {todo}", err=True)


def _fail(message: str, kind: type[XlirError] = InputError) -> None:
    sys.stdout.flush()
    raise kind(message)
