"""Sites of static pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xlir_bench.api.options import as_path
from xlir_bench.errors import InputError


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
    """The page of all results in a folder, written into it; intervals and bias are not computed again."""
    from xlir_bench import leaderboard

    index, found = leaderboard.rebuild(output, analysis=False)
    return Site(index, (*found.problems, *found.refused), found.refused)
