"""From files and folders to what takes part: results, submissions of strangers, imported figures, alignments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xlir_bench import resources
from xlir_bench.encoders.manifest import FILE as MANIFEST
from xlir_bench.errors import MissingResourceError
from xlir_bench.leaderboard.entrant import Entrant, Gathered, imported, impossible, measured
from xlir_bench.results import Result, find_results, load_result, ranks_path
from xlir_bench.submissions import load
from xlir_bench.submissions.imported import FILE as IMPORTED
from xlir_bench.submissions.submission import CARD

ALIGNMENT = ".align.json"
"""How the name of a file ends that keeps what `xlir-bench align --json` printed."""

_LARGEST_ALIGNMENT = 4 << 20


def gather(places: Sequence[Path]) -> Gathered:
    """What lies in files and folders.

    A place is a result, a folder that holds results at any depth, a submission, or a folder of submissions. A
    submission that cannot be read is named among the problems and stops nothing.

    Raises:
        MissingResourceError: a place does not exist, or there is nothing in any.
        InputError: a result that is no submission's cannot be read.
    """
    entrants: list[Entrant] = []
    problems: list[str] = []
    alignments: list[Mapping[str, Any]] = []
    for place in places:
        submitted = _submissions(place)
        for folder in submitted:
            found, lines = _of_submission(folder)
            entrants += found
            problems += lines
        inside = [path for path in _results(place) if not any(folder in path.parents for folder in submitted)]
        entrants += [
            measured(result, _with_ranks(path), _card(result)) for path in inside if (result := load_result(path))
        ]
        alignments += _alignments(place)
    if not entrants:
        listed = ", ".join(str(place) for place in places)
        raise MissingResourceError(
            f"no result in {listed}; make one with `xlir-bench run MODEL_ID --output DIR`"
            + (f" ({len(problems)} submissions could not be used: {problems[0]})" if problems else "")
        )
    return Gathered(tuple(entrants), tuple(alignments), tuple(problems))


def _submissions(place: Path) -> list[Path]:
    """The place itself, or the folders directly in it, that are submissions."""
    if not place.is_dir():
        return []
    candidates = [place, *sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())]
    return [path for path in candidates if any((path / name).is_file() for name in (MANIFEST, IMPORTED))]


def _of_submission(folder: Path) -> tuple[list[Entrant], list[str]]:
    submission = load(folder)
    remarks = [f"{one.severity}: {one.place}: {one.what}" for one in submission.findings if one.severity != "note"]
    if submission.imported is not None:
        return imported(submission.imported, submission.name), []
    made, problems = [], []
    for entry in submission.results:
        flaw = impossible(entry.result)
        if flaw is None:
            made.append(measured(entry.result, _with_ranks(entry.path), submission.card, remarks))
        else:
            problems.append(f"{submission.name}: {entry.path.name}: {flaw}")
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


def _with_ranks(path: Path) -> Path | None:
    return path if ranks_path(path).is_file() else None


def _card(result: Result) -> str | None:
    """The card of a bundled submission."""
    if not result.model.id.replace("-", "").isalnum():
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
