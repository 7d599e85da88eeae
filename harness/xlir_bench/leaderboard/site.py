"""The site from any number of results: static pages, nothing on them is loaded from anywhere else.

Results come from strangers. Every string of theirs is escaped by the template engine, and a content security policy
lets the browser apply and run exactly the style sheet and the scripts that this package ships, page by page.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from xlir_bench import resources
from xlir_bench.encoders.display import display_id
from xlir_bench.errors import InputError
from xlir_bench.files import alone_in, remove_files, remove_unfinished, replacing
from xlir_bench.leaderboard import colour, data
from xlir_bench.leaderboard.chart_files import converted
from xlir_bench.leaderboard.collect import Section, sections
from xlir_bench.leaderboard.encoder_view import card, profile_facts, suite_view
from xlir_bench.leaderboard.entrant import Entrant, Gathered, measured
from xlir_bench.leaderboard.feed import feed
from xlir_bench.leaderboard.gather import gather
from xlir_bench.leaderboard.heatmap import HeatMap, Scale, maps
from xlir_bench.leaderboard.history import history
from xlir_bench.leaderboard.pairwise import Pairwise, pairwise
from xlir_bench.leaderboard.roster import Participant, Roster, roster
from xlir_bench.leaderboard.suite_view import SectionView, section_view
from xlir_bench.leaderboard.table import Table, table
from xlir_bench.results import Result

INDEX = "index.html"
PAGES = "pages"
CHARTS = f"{PAGES}/charts"
_OURS = re.compile(r"(?:suite|encoder)-[a-z0-9-]+-[0-9a-f]{8}\.html")
_OUR_CHARTS = re.compile(r"suite-[a-z0-9-]+\.(?:svg|png)")
_LIBRARIES = "vendor/libraries.js"


def build(
    results: Sequence[Result | Entrant],
    output: Path,
    *,
    alignments: Sequence[Mapping[str, Any]] = (),
    address: str | None = None,
) -> Path:
    """Write the site of `results` into the folder `output`, made if need be, and give the path of its `index.html`.

    Each file appears whole or not at all, the index last; pages of an earlier site that this one lacks are removed. It
    is dated now, or by `SOURCE_DATE_EPOCH` where that is set.

    Args:
        results: measured results, or entrants of any kind. Encoders are tested against one another where the entrants
            say where their ranks are.
        output: the folder.
        alignments: what `align --json` printed, for the maps of CKA.
        address: where the site will be published, for the feed's links.

    Raises:
        InputError: `SOURCE_DATE_EPOCH` is not a date.
        MissingResourceError: no room, or no right to write there.
    """
    built = _now()
    entrants = [one if isinstance(one, Entrant) else measured(one) for one in results]
    with suppress(OSError):
        output.mkdir(parents=True, exist_ok=True)
    with alone_in(output):
        return _write(Site(entrants, built, alignments, address), output)


def rebuild(output: Path, *, analysis: bool = True) -> tuple[Path, Gathered]:
    """`build` the site of all results in a folder in that folder, and say what was found there.

    Of several processes that do so at once, the last one sees the results of all.

    Raises:
        MissingResourceError: see `build`.
    """
    with alone_in(output):
        found = gather([output], analysis=analysis)
        return _write(Site(found.entrants, _now()), output), found


def _write(site: Site, output: Path) -> Path:
    written = {INDEX}
    last = b""
    for name, content in site.files():
        if name == INDEX:
            last = content
            continue
        with replacing(output / name) as draft:
            draft.write_bytes(content)
        written.add(name)
    with replacing(output / INDEX) as draft:
        draft.write_bytes(last)
    for folder in ("", f"{PAGES}/", f"{CHARTS}/"):
        remove_unfinished(output / folder, {Path(name).name for name in written}.__contains__)
    for place, ours in ((PAGES, _OURS), (CHARTS, _OUR_CHARTS)):
        remove_files(output / place, partial(_is_stale, written, place, ours))
    return output / INDEX


def _is_stale(written: set[str], place: str, ours: re.Pattern[str], name: str) -> bool:
    """Whether a file is of an earlier site, and this one lacks it."""
    return bool(ours.fullmatch(name)) and f"{place}/{name}" not in written


def _now() -> datetime:
    """The date that the site states.

    Raises:
        InputError: `SOURCE_DATE_EPOCH` is set to something else than seconds since 1970.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "").strip()
    if not epoch:
        return datetime.now(UTC)
    try:
        if not re.fullmatch(r"[0-9]{1,12}", epoch):
            raise ValueError
        return datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError):
        shown = epoch if len(epoch) <= 40 else f"{epoch[:39]}…"
        raise InputError(f"SOURCE_DATE_EPOCH={shown!r}: whole seconds since 1970 were expected") from None


@dataclass(frozen=True)
class Site:
    """Everything on the site, and how it is drawn.

    Attributes:
        entrants: what takes part.
        built: the date that it states.
        alignments: what `align --json` printed.
        address: where it will be published.
    """

    entrants: Sequence[Entrant]
    built: datetime
    alignments: Sequence[Mapping[str, Any]] = ()
    address: str | None = None

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """What may be compared."""
        return sections(self.entrants)

    @cached_property
    def roster(self) -> Roster:
        """The encoders."""
        return roster(self.sections)

    @cached_property
    def tests(self) -> tuple[Pairwise, ...]:
        """Of each section."""
        return tuple(pairwise(section) for section in self.sections)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Of each section."""
        return tuple(table(s, self.roster, tests) for s, tests in zip(self.sections, self.tests, strict=True))

    @cached_property
    def maps(self) -> tuple[tuple[dict[int, HeatMap], Scale | None], ...]:
        """Of each section, by position of the encoder; older data have none."""
        return tuple(
            ({}, None) if section.stale else maps(section, range(len(section.entrants))) for section in self.sections
        )

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of every file."""
        draw = Drawing(self)
        yield (
            "leaderboard.json",
            data.document(self.sections, self.roster, self.tests, self.built).encode("utf-8", "replace"),
        )
        yield "feed.atom", feed(self.sections, self.roster, self.built, self.address)
        for at in range(len(self.sections)):
            view = self._section_view(at)
            for files in (one for setting in view.settings for one in setting.files):
                yield f"{CHARTS}/{files.name}.svg", converted(files.svg, "svg")
                if files.has_png:
                    yield f"{CHARTS}/{files.name}.png", converted(files.svg, "png")
            yield f"{PAGES}/{data.page_of(self.sections[at])}", draw.page("suite", {"view": view})
        for participant in self.roster.values():
            yield f"{PAGES}/{participant.page}", self._encoder(draw, participant)
        payload = data.compare_payload(self.sections, self.roster, self.tables, self.tests)
        yield f"{PAGES}/compare.html", draw.page("compare", {"payload": Markup(data.embedded(payload))})
        yield f"{PAGES}/history.html", draw.page("history", {"lines": history(self.sections, self.roster)})
        yield INDEX, self._index(draw)

    def _index(self, draw: Drawing) -> bytes:
        payload = data.index_payload(self.sections, self.roster, self.tables)
        content = {
            "payload": Markup(data.embedded(payload)),  # no `<` in it
            "sections": list(zip(self.sections, self.tables, strict=True)),
            "measured": sum(p.origin == "measured" for p in self.roster.values()),
            "imported": sum(p.origin == "imported" for p in self.roster.values()),
        }
        return draw.page("index", content)

    def _section_view(self, at: int) -> SectionView:
        return section_view(
            self.sections[at], self.tables[at], self.tests[at], self.maps[at], (self.sections, self.roster)
        )

    def _encoder(self, draw: Drawing, participant: Participant) -> bytes:
        views = []
        for section, entrant in participant.entrants:
            at = self._places[section.anchor]
            drawn, scale = self.maps[at]
            position = self._positions[id(entrant)]
            alignment = self._alignment(entrant, section)
            views.append(suite_view(section, position, self.tests[at], (drawn.get(position), scale), alignment))
        content = {
            "participant": participant,
            "facts": profile_facts(participant),
            "card": card(participant.profile.card),
            "prompts": tuple(participant.entrants[0][1].result.model.prompts.items()),
            "current": [view for view in views if not view.section.stale],
            "older": [view for view in views if view.section.stale],
        }
        return draw.page("encoder", content)

    @cached_property
    def _positions(self) -> dict[int, int]:
        """Of each entrant in its section, by identity: to compare two would be to compare all their scores."""
        return {id(entrant): at for section in self.sections for at, entrant in enumerate(section.entrants)}

    @cached_property
    def _places(self) -> dict[str, int]:
        return {section.anchor: at for at, section in enumerate(self.sections)}

    def _alignment(self, entrant: Entrant, section: Section) -> Mapping[str, Any] | None:
        wanted = entrant.result.model.id, section.suite.name
        found = (one for one in self.alignments if (display_id(str(one.get("model"))), one.get("suite")) == wanted)
        return next(found, None) if entrant.origin == "measured" else None


_SCRIPTS = {
    "index": ("tables.js", "index.js"),
    "suite": (_LIBRARIES, "tables.js"),
    "encoder": (_LIBRARIES, "tables.js"),
    "compare": ("tables.js", "compare.js"),
    "history": ("tables.js",),
}


class Drawing:
    """The templates, with what every page has: style, scripts, policy, date, links."""

    def __init__(self, site: Site) -> None:
        folder = resources.folder("reports")
        self._environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        style = (folder / "leaderboard.css").read_text("utf-8") + colour.css()
        sources = {name: (folder / name).read_text("utf-8") for names in _SCRIPTS.values() for name in names}
        self._style = style
        self._scripts = {page: [sources[name] for name in names] for page, names in _SCRIPTS.items()}
        self._environment.globals.update(
            built=site.built,
            versions=sorted(
                {e.result.harness.get("version", "unknown") for e in site.entrants if e.origin == "measured"}
            ),
            roster=site.roster,
            page_of=data.page_of,
            swatches=range(0, colour.STEPS, 2),
        )

    def page(self, kind: str, content: Mapping[str, object]) -> bytes:
        """A page by the name of its template."""
        scripts = self._scripts[kind]
        hashes = " ".join(f"'{_source_hash(script)}'" for script in scripts)
        policy = (
            f"default-src 'none'; style-src '{_source_hash(self._style)}'; script-src {hashes}; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )
        template = self._environment.get_template(f"{kind}.html.j2")
        return template.render(
            **content,
            kind=kind,
            root="" if kind == "index" else "../",
            policy=Markup(policy),  # no result has a part in it
            style=Markup(self._style),  # the package's own file
            scripts=[Markup(script) for script in scripts],  # the package's own files
        ).encode("utf-8", "replace")  # a lone surrogate, which a result's JSON can carry, has no bytes

    def piece(self, kind: str, content: Mapping[str, object]) -> str:
        """A part of a page by the name of its template, to be put into a page of others."""
        template = self._environment.get_template(f"{kind}.html.j2")
        # The package's own style sheet, nested so that it reaches nothing outside of the piece.
        style = ".xlir-bench {\n" + re.sub(r"(?m)^(\s*)(?::root|body|html)\b", r"\1&", self._style) + "\n}"
        return template.render(**content, style=Markup(style)).encode("utf-8", "replace").decode()


def _source_hash(content: str) -> str:
    """How a content security policy names an inline element by its content."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
