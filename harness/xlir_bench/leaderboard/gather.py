"""From files and folders to what takes part: results, submissions of strangers, imported figures, alignments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlir_bench import resources
from xlir_bench.analysis import following
from xlir_bench.encoders.manifest import FILE as MANIFEST
from xlir_bench.errors import InputError, MissingResourceError, XlirError, printable
from xlir_bench.leaderboard.entrant import Entrant, Gathered, imported, measured
from xlir_bench.results import Question, Result, find_results, impossible, load_ranks, load_result, ranks_path
from xlir_bench.submissions import load
from xlir_bench.submissions.imported import FILE as IMPORTED
from xlir_bench.submissions.submission import CARD
from xlir_bench.submissions.tables import read_ranks

ALIGNMENT = ".align.json"
"""How the name of a file ends that keeps what `xlir-bench align --json` printed."""

_LARGEST_ALIGNMENT = 4 << 20
_LONGEST_ID = 100
"""Characters of the name of a bundled submission's folder, at most."""

_UNVERIFIED = "not verified: the table of ranks, from which its figures follow, is not beside the result"


def gather(places: Sequence[Path], *, analysis: bool = True) -> Gathered:
    """What lies in files and folders.

    A place is a result, a folder that holds results at any depth, a submission, or a folder of submissions. The figures
    of every result that has its ranks are computed again from them. A submission or a result that cannot be read, and a
    result with a figure that does not follow, is named and left out, and stops nothing.

    Args:
        places: files and folders.
        analysis: recompute intervals and bias too; see `analysis.load_verified`.

    Raises:
        MissingResourceError: a place does not exist, or there is nothing in any.
        InputError: no result can be read and follows from its ranks.
    """
    entrants: list[Entrant] = []
    problems: list[str] = []
    refused: list[str] = []
    alignments: list[Mapping[str, Any]] = []
    for place in places:
        submitted = _submissions(place)
        for folder in submitted:
            found, lines = _of_submission(folder, analysis)
            entrants += found
            problems += lines
        inside = [path for path in _results(place) if not any(folder in path.parents for folder in submitted)]
        for path in inside:
            try:
                result = load_result(path)
                if not ranks_path(path).is_file():
                    entrants.append(measured(result, None, _card(result), [_UNVERIFIED]))
                    continue
                verified = following(result, load_ranks(ranks_path(path)), str(path), analysis=analysis)
            except InputError as error:
                refused.append(str(error))
            else:
                entrants.append(measured(verified, path, _card(verified)))
        alignments += _alignments(place)
    if not entrants and refused:
        raise InputError(refused[0] + (f" ({len(refused) - 1} more results were refused)" if refused[1:] else ""))
    if not entrants:
        listed = ", ".join(str(place) for place in places)
        raise MissingResourceError(
            f"no result in {listed}; make one with `xlir-bench run MODEL_ID --output DIR`"
            + (f" ({len(problems)} submissions could not be used: {problems[0]})" if problems else "")
        )
    shown, narrower = _fullest(entrants)
    return Gathered(tuple(shown), tuple(alignments), (*problems, *narrower), tuple(refused))


def _fullest(entrants: Sequence[Entrant]) -> tuple[list[Entrant], list[str]]:
    """Of an encoder's results on the same data the runs of the most settings and measures, and a line for each other.

    Results on other languages stand in a table of their own.
    """
    best: dict[tuple[object, ...], Question] = {}
    asked = [Question.of(entrant.result) for entrant in entrants]
    ranks = [(question.figures, entrant.result.created) for question, entrant in zip(asked, entrants, strict=True)]
    for at in sorted(range(len(entrants)), key=ranks.__getitem__):
        best[entrants[at].encoder, entrants[at].result.suite] = asked[at]
    shown, lines = [], []
    for question, entrant in zip(asked, entrants, strict=True):
        fuller = best[entrant.encoder, entrant.result.suite]
        if entrant.origin == "imported" or question == fuller:
            shown.append(entrant)
        else:
            place = entrant.path.name if entrant.path is not None else "a result"
            lines.append(
                f"{entrant.result.model.name}: {place} ({question.in_words()}): the page shows another result on the "
                f"same data ({fuller.in_words()})"
            )
    return shown, lines


def _submissions(place: Path) -> list[Path]:
    """The place itself, or the folders directly in it, that are submissions."""
    if not place.is_dir():
        return []
    candidates = [place, *sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())]
    return [path for path in candidates if any((path / name).is_file() for name in (MANIFEST, IMPORTED))]


def _of_submission(folder: Path, analysis: bool) -> tuple[list[Entrant], list[str]]:
    submission = load(folder)
    remarks = [f"{one.severity}: {one.place}: {one.what}" for one in submission.findings if one.severity != "note"]
    if submission.imported is not None:
        return imported(submission.imported, submission.name), []
    made, problems = [], []
    for entry in submission.results:
        flaw = impossible(entry.result)
        if flaw is not None:
            problems.append(f"{submission.name}: {entry.path.name}: {flaw}")
        elif not entry.has_ranks:
            made.append(measured(entry.result, None, submission.card, [*remarks, f"{entry.path.name}: {_UNVERIFIED}"]))
        else:
            try:
                result = following(entry.result, read_ranks(entry.path), entry.path.name, analysis=analysis)
            except XlirError as error:
                problems.append(f"{submission.name}: {printable(error, 400)}")
            else:
                made.append(measured(result, entry.path, submission.card, remarks))
    # A manifest without results is an encoder that can be run, and no fault.
    return made, problems or ([f"{submission.name}: {remarks[0]}"] if remarks and not made else [])


def _results(place: Path) -> list[Path]:
    """As `find_results`, without complaint where a folder of submissions holds none itself."""
    try:
        return find_results([place], need_ranks=False)
    except MissingResourceError:
        if place.is_dir():
            return []
        raise


def _card(result: Result) -> str | None:
    """The card of a bundled submission."""
    if not result.model.id.replace("-", "").isalnum() or len(result.model.id) > _LONGEST_ID:
        return None
    card = resources.folder("submissions") / result.model.id / CARD
    return card.read_text("utf-8") if card.is_file() else None


def _alignments(place: Path) -> Iterable[Mapping[str, Any]]:
    """What `align --json` printed, where its shape is right; anything else under that name is passed over."""
    for path in sorted(place.rglob(f"*{ALIGNMENT}")) if place.is_dir() else []:
        if path.stat().st_size > _LARGEST_ALIGNMENT:
            continue
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(document, dict) and isinstance(document.get("pairs"), list) and "model" in document:
            yield document
