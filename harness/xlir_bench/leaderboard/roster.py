"""The encoders of a site: one per origin, id and fingerprint, each with a name that tells it from the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from xlir_bench.leaderboard.collect import Section, anchor
from xlir_bench.leaderboard.entrant import Entrant, Origin, Profile


@dataclass(frozen=True, slots=True)
class Participant:
    """One encoder.

    Attributes:
        number: its place in the roster.
        anchor: its id in addresses.
        title: what it is called.
        subtitle: what tells it from another of the same title; empty where there is none.
        entrants: what it was measured on, with the section of each, in the sections' order.
        earlier: its older runs.
    """

    number: int
    anchor: str
    title: str
    subtitle: str
    entrants: tuple[tuple[Section, Entrant], ...]
    earlier: tuple[Entrant, ...]

    @property
    def page(self) -> str:
        """The name of its page."""
        return f"encoder-{self.anchor}.html"

    @property
    def origin(self) -> Origin:
        """Where its figures come from."""
        return self.entrants[0][1].origin

    @property
    def profile(self) -> Profile:
        """What its newest result says of it."""
        return max((entrant for _, entrant in self.entrants), key=lambda entrant: entrant.result.created).profile


Roster = dict[tuple[str, str, str], Participant]


def roster(sections: Sequence[Section]) -> Roster:
    """All encoders, measured ones first, by name."""
    found: dict[tuple[str, str, str], list[tuple[Section, Entrant]]] = defaultdict(list)
    earlier: dict[tuple[str, str, str], list[Entrant]] = defaultdict(list)
    for section in sections:
        for entrant in section.entrants:
            found[entrant.encoder].append((section, entrant))
        for entrant in section.superseded:
            earlier[entrant.encoder].append(entrant)
    names = {key: entrants[0][1].result.model.id for key, entrants in found.items()}
    times = Counter(names.values())
    order = sorted(found, key=lambda key: (key[0] != "measured", names[key].lower(), key))
    made: Roster = {}
    for number, key in enumerate(order):
        title, entrants = names[key], tuple(found[key])
        subtitle = _distinction(entrants[0][1]) if times[title] > 1 else ""
        made[key] = Participant(number, anchor(title, *key), title, subtitle, entrants, tuple(earlier[key]))
    return made


def _distinction(entrant: Entrant) -> str:
    model = entrant.result.model
    if entrant.origin == "imported":
        return (model.revision or "")[: 40 if " " in (model.revision or "") else 12]
    return model.name if model.name != model.id else model.fingerprint[:8]
