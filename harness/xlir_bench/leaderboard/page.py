"""One self-contained page from any number of results: nothing on it is loaded from anywhere else.

Results come from strangers. Every string of theirs is escaped by the template engine, and a content security
policy lets the browser apply and run exactly the one style sheet and the one script that this package ships.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from xlir_bench import resources
from xlir_bench.files import replacing
from xlir_bench.leaderboard import colour
from xlir_bench.leaderboard.collect import Section, differences, sections
from xlir_bench.leaderboard.heatmap import HeatMap, LanguageView, language_view
from xlir_bench.leaderboard.overview import Overview, encoder_anchor, overview, titles
from xlir_bench.leaderboard.wording import Label, ordered_labels
from xlir_bench.results import Result


@dataclass(frozen=True, slots=True)
class EncoderView:
    """One encoder on one suite: its name, its map, how to run it again, and all else that the result records."""

    anchor: str
    title: str
    subtitle: str
    heatmap: HeatMap | None
    command: str
    facts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    prompts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SectionView:
    """One section as the template needs it; `apart`: which other sections it is not comparable with, and why."""

    section: Section
    languages: tuple[Label, ...]
    table: Overview
    by_language: LanguageView
    encoders: tuple[EncoderView, ...]
    apart: tuple[tuple[Section, str], ...]


def build(results: Sequence[Result], output: Path) -> Path:
    """Write the leaderboard of `results` to `index.html` in the folder `output`, made if need be.

    The page appears whole or not at all. It is dated now, or by `SOURCE_DATE_EPOCH` where that is set.

    Returns:
        The page's path.

    Raises:
        MissingResourceError: no room, or no right to write there.
    """
    page = render(results, _now())
    target = output / "index.html"
    with replacing(target) as draft:
        draft.write_text(page, encoding="utf-8", newline="\n")
    return target


def render(results: Sequence[Result], built: datetime) -> str:
    """The page's HTML."""
    folder = resources.folder("reports")
    style = (folder / "leaderboard.css").read_text("utf-8") + colour.css()
    script = (folder / "leaderboard.js").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    policy = (
        f"default-src 'none'; style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    found = sections(results)
    return environment.get_template("index.html.j2").render(
        policy=Markup(policy),  # no result has a part in it
        style=Markup(style),  # the package's own file
        script=Markup(script),  # the package's own file
        built=built,
        versions=sorted({result.harness.get("version", "unknown") for result in results}),
        encoders=len({(result.model.id, result.model.fingerprint) for result in results}),
        sections=[_section_view(section, found) for section in found],
        swatches=range(0, colour.STEPS, 2),
    )


def _now() -> datetime:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)


def _source_hash(content: str) -> str:
    """How a content security policy names an inline element by its content."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _section_view(section: Section, all_sections: Sequence[Section]) -> SectionView:
    by_language = language_view(section)
    maps = by_language.maps or (None,) * len(section.results)
    return SectionView(
        section=section,
        languages=ordered_labels(section.suite.languages),
        table=overview(section),
        by_language=by_language,
        encoders=tuple(
            _encoder_view(section, result, title, heatmap)
            for result, title, heatmap in zip(section.results, titles(section), maps, strict=True)
        ),
        apart=tuple(
            (other, " and ".join(differences(section.suite, other.suite)))
            for other in all_sections
            if other is not section and other.suite.name == section.suite.name
        ),
    )


def _encoder_view(section: Section, result: Result, title: tuple[str, str], heatmap: HeatMap | None) -> EncoderView:
    return EncoderView(
        anchor=encoder_anchor(section, result),
        title=title[0],
        subtitle=title[1],
        heatmap=heatmap,
        command=f"xlir-bench run {shlex.quote(result.model.id)} --suite {shlex.quote(result.suite.name)}",
        facts=_facts(result),
        prompts=tuple(result.model.prompts.items()),
    )


def _facts(result: Result) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Everything a result records beside its scores, in titled lists."""
    model, timing = result.model, result.timing
    speed = "everything was cached" if timing.texts_per_s is None else f"{timing.texts_per_s:,.1f} texts per second"
    return (
        (
            "Encoder",
            (
                ("model id", model.id),
                ("short name", model.name),
                ("revision", model.revision or "none recorded"),
                ("fingerprint", model.fingerprint[:16]),
                *((key.replace("_", " "), _plain(value)) for key, value in model.details.items()),
            ),
        ),
        (
            "Run",
            (
                ("ended", result.created),
                *((f"harness {key}", value) for key, value in result.harness.items()),
                ("suite fingerprint", result.suite.fingerprint[:16]),
                ("encoding", f"{timing.encode_s:,.1f} s, {speed}"),
                ("texts", f"{timing.texts_encoded:,} encoded, {timing.texts_from_cache:,} from the cache"),
                ("ranking", f"{timing.rank_s:,.1f} s"),
                ("measuring", f"{timing.measure_s:,.1f} s"),
                ("tied documents", f"{result.ties:.2%} of the relevant ones"),
            ),
        ),
        ("Environment", tuple(result.environment.items())),
    )


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == "" else str(value)
