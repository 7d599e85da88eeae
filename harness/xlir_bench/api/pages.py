"""Sites of static pages."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlir_bench.api.options import as_path
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import cache_folder, replacing
from xlir_bench.version import __version__

_INDEX = "index.html"


@dataclass(frozen=True)
class Site:
    """A site of static pages.

    Attributes:
        index: its first page.
        left_out: results and submissions that are not on it, a line each with the reason.
        refused: of these, the results that are no submission's: they cannot be read, or their figures do not follow
            from their ranks.
    """

    index: Path
    left_out: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def report(results: str | Path | Sequence[str | Path], output: str | Path, *, url: str | None = None) -> Site:
    """Write a site of results, which loads nothing from elsewhere.

    Args:
        results: files, folders of results at any depth, submissions, or a list of these.
        output: folder of the site, made if need be.
        url: where the site will be published, so that the feed's links are absolute.

    Raises:
        InputError: no result can be used, or `url` is no address.
        MissingResourceError: a place does not exist, or there is no room.
    """
    if url is not None and not url.startswith(("https://", "http://")):
        raise InputError(f"url {url}: an address such as https://example.org/leaderboard was expected")
    from xlir_bench import leaderboard

    places = [results] if isinstance(results, str) or not isinstance(results, Iterable) else list(results)
    # Of a result in memory the place that its save() gives.
    found = leaderboard.gather([as_path(place, "results") for place in places])
    index = leaderboard.build(found.entrants, as_path(output, "output"), alignments=found.alignments, address=url)
    return Site(index, (*found.problems, *found.refused), found.refused)


def page_of(output: Path) -> Site:
    """The page of all results in a folder, written into it; intervals and bias are not computed again.

    Where nothing in the folder has changed since the page was built, it is left as it is.
    """
    note = cache_folder() / "pages" / hashlib.sha256(str(output.resolve()).encode()).hexdigest()
    before = _state(output)
    if before is not None and (known := _read(note)) is not None and known["state"] == before:
        return Site(output / _INDEX, tuple(known["left_out"]), tuple(known["refused"]))
    from xlir_bench import leaderboard

    index, found = leaderboard.rebuild(output, analysis=False)
    site = Site(index, (*found.problems, *found.refused), found.refused)
    after = _state(output)
    if before is not None and after is not None and before["results"] == after["results"]:
        with suppress(MissingResourceError), replacing(note) as draft:
            draft.write_text(json.dumps({"state": after, "left_out": site.left_out, "refused": site.refused}))
    return site


def _state(output: Path) -> dict[str, str] | None:
    """What a page follows from, and the page, by names, sizes and times of files; None where there are links."""
    of_site = {_INDEX, "feed.atom", "leaderboard.json", "pages"}
    code = Path(__file__).parents[1] / "leaderboard"
    found: dict[str, list[tuple[str, int, int]]] = {"results": [], "site": [], "code": []}
    for place, root in (("results", output), ("code", code)):
        for folder, folders, names in os.walk(root):
            if any((Path(folder) / name).is_symlink() for name in (*folders, *names)):
                return None
            for name in names:
                path = Path(folder) / name
                inside = path.relative_to(root)
                with suppress(FileNotFoundError):  # a draft of another process
                    about = path.stat()
                    kind = "site" if place == "results" and inside.parts[0] in of_site else place
                    found[kind].append((inside.as_posix(), about.st_size, about.st_mtime_ns))
    found["code"].append((f"{__version__} {os.environ.get('SOURCE_DATE_EPOCH', '')}", 0, 0))
    return {kind: hashlib.sha256(repr(sorted(files)).encode()).hexdigest() for kind, files in found.items()}


def _read(note: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known
