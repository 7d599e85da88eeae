"""The Atom feed of changes (RFC 4287): an entry per measured result, and one per set of imported figures."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

from xlir_bench.leaderboard.collect import Section
from xlir_bench.leaderboard.entrant import Entrant
from xlir_bench.leaderboard.history import followed
from xlir_bench.leaderboard.roster import Roster
from xlir_bench.leaderboard.wording import decimals, measure_name, number

MOST_ENTRIES = 100
_ATOM = "http://www.w3.org/2005/Atom"
_SPACE = uuid.UUID("7c6f24f5-5d0b-5e0c-9e39-4f6f0d0b8f61")


def feed(sections: Sequence[Section], roster: Roster, built: datetime, address: str | None) -> bytes:
    """The feed, newest first.

    Args:
        sections: of the site.
        roster: of the site.
        built: when.
        address: where the site is published, so that links are absolute; None leaves them relative.
    """
    base = address.rstrip("/") + "/" if address else ""
    entries = [
        (_moment(entrant.result.created, built), section, entrant)
        for section in sections
        for entrant in (*section.entrants, *section.superseded)
        if entrant.origin == "measured"
    ]
    entries.sort(key=lambda entry: (entry[0], entry[1].anchor, entry[2].encoder), reverse=True)
    imported = [p for p in roster.values() if p.origin == "imported"]
    updated = built if imported or not entries else entries[0][0]
    ElementTree.register_namespace("", _ATOM)
    root = ElementTree.Element(f"{{{_ATOM}}}feed")
    _text(root, "id", f"urn:uuid:{uuid.uuid5(_SPACE, base)}")
    _text(root, "title", "xlir-bench leaderboard")
    _text(root, "updated", _stamp(updated))
    _text(ElementTree.SubElement(root, f"{{{_ATOM}}}author"), "name", "xlir-bench")
    _link(root, "self", f"{base}feed.atom")
    _link(root, "alternate", f"{base}index.html")
    if imported:
        digest = hashlib.sha256("\n".join(sorted(p.anchor for p in imported)).encode()).hexdigest()
        entry = _entry(root, f"imported {digest}", f"{len(imported)} encoders with imported figures", built)
        _link(entry, "alternate", f"{base}index.html")
        _text(entry, "summary", "Figures that were published elsewhere and are marked as such.")
    for moment, section, entrant in entries[:MOST_ENTRIES]:
        participant = roster[entrant.encoder]
        suite = f"{section.suite.name} {section.edition}"
        identity = f"{entrant.encoder} {section.anchor} {entrant.result.created}"
        entry = _entry(root, identity, f"{participant.title} on {suite}", moment)
        _link(entry, "alternate", f"{base}pages/{participant.page}#{section.anchor}")
        _text(entry, "summary", _summary(entrant))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _entry(root: ElementTree.Element, identity: str, title: str, moment: datetime) -> ElementTree.Element:
    entry = ElementTree.SubElement(root, f"{{{_ATOM}}}entry")
    _text(entry, "id", f"urn:uuid:{uuid.uuid5(_SPACE, identity)}")
    _text(entry, "title", title)
    _text(entry, "updated", _stamp(moment))
    return entry


def _summary(entrant: Entrant) -> str:
    result = entrant.result
    what = followed([result])
    if what is None:
        return "Measured."
    setting, measure = what
    value = number(result.summary[setting][measure], decimals(measure))
    return f"{measure_name(measure)}, {setting}: {value} (harness {result.harness.get('version', 'unknown')})"


def _moment(created: str, otherwise: datetime) -> datetime:
    """When a result says that it was made; a stranger may have written anything there."""
    try:
        moment = datetime.fromisoformat(created)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter for the first and the last hours of the calendar
        return otherwise


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _text(parent: ElementTree.Element, tag: str, text: str) -> None:
    """An element with text; characters that XML 1.0 cannot hold are replaced."""
    made = ElementTree.SubElement(parent, f"{{{_ATOM}}}{tag}")
    made.text = "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "�" for c in text
    )


def _link(parent: ElementTree.Element, relation: str, address: str) -> None:
    ElementTree.SubElement(parent, f"{{{_ATOM}}}link", {"rel": relation, "href": address})
