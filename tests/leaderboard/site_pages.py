"""The site of some results, as trees of its pages, and what stands in them."""

from __future__ import annotations

from datetime import UTC, datetime

from leaderboard.reading import read

from xlir_bench.leaderboard.entrant import Entrant, measured
from xlir_bench.leaderboard.site import Site

BUILT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)


def files(results, **options):
    """Every file of the site of these results."""
    entrants = [one if isinstance(one, Entrant) else measured(one) for one in results]
    return dict(Site(entrants, BUILT, **options).files())


def pages(results, kind=""):
    """The trees of the pages of one kind, or of all, in order."""
    return [
        read(content.decode())
        for name, content in files(results).items()
        if name.endswith(".html") and name.rpartition("/")[2].startswith(kind)
    ]


def suite(results):
    """The page of the only suite."""
    (page,) = pages(results, "suite-")
    return page


def encoder(result):
    """The page of the only encoder."""
    (page,) = pages([result], "encoder-")
    return page


def rows(root):
    """Cells of the overview: encoder -> column key -> cell."""
    table = root.all("table", class_="overview")[0]
    keys = [head.attributes["data-key"] for head in table.all("th") if "data-key" in head.attributes]
    body = table.all("tbody")[0].all("tr")
    return {row.all("th")[0].text: dict(zip(keys[1:], row.all("td"), strict=True)) for row in body}


def heads_of(root):
    """The sortable heads of the overview."""
    table = root.all("table", class_="overview")[0]
    return [head for head in table.all("th", scope="col") if "data-key" in head.attributes]


def value(cell):
    return float(cell.all("data")[0].attributes["value"])


def maps_of(root):
    """The maps of query by document language."""
    return [t for t in root.all("table", class_="heat") if "strips" not in t.attributes["class"].split()]


def heat_cells(root):
    """Every tile of the first heat map: (query language, heading) -> cell."""
    table = maps_of(root)[0]
    heads = [head.text for head in table.all("thead")[0].all("th")]
    cells = {}
    for row in table.all("tbody")[0].all("tr"):
        name = (row.all("abbr") or row.all("th"))[0].text
        cells |= {(name, head): cell for head, cell in zip(heads, row.all("td"), strict=True)}
    return cells


def scripts(root):
    """The scripts that run; data beside them do not."""
    return [script for script in root.all("script") if "type" not in script.attributes]
