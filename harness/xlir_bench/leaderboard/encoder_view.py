"""What the page of one encoder says, suite by suite."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup

from xlir_bench.leaderboard.collect import SETTINGS, Section
from xlir_bench.leaderboard.entrant import Entrant, task_suite
from xlir_bench.leaderboard.heatmap import HeatMap, Scale, language_map
from xlir_bench.leaderboard.pairwise import Pairwise
from xlir_bench.leaderboard.roster import Participant
from xlir_bench.leaderboard.table import Cell, zero_shot_in
from xlir_bench.leaderboard.wording import Label, decimals, magnitude, measure_name, number, ordered_labels
from xlir_bench.results import Question, Result
from xlir_bench.submissions import ZeroShot
from xlir_bench.suites import find, shipped

Facts = tuple[tuple[str, str], ...]

_PREFERENCE = "limit_to_one_target"


@dataclass(frozen=True, slots=True)
class Mean:
    """One line of the list of means."""

    setting: str
    measure: str
    value: Cell
    rank: str
    letters: str


@dataclass(frozen=True, slots=True)
class Map:
    """A map with its legend: title, what it shows, the map, its scale."""

    anchor: str
    title: str
    explanation: str
    map: HeatMap
    scale: Scale


@dataclass(frozen=True, slots=True)
class Rows:
    """Every score of a result: a line per row of a setting, a column per measure."""

    measures: tuple[str, ...]
    rows: tuple[tuple[str, str, str, int, int, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class SuiteView:
    """One encoder on one suite."""

    section: Section
    entrant: Entrant
    anchor: str
    zero_shot: str
    command: str
    means: tuple[Mean, ...]
    maps: tuple[Map, ...]
    distances: tuple[tuple[Label, Cell, float], ...]
    bias: tuple[tuple[str, Cell], ...]
    rows: Rows
    facts: tuple[tuple[str, Facts], ...]


def card(text: str | None) -> Markup | None:
    """A card's Markdown as HTML: no HTML of its own, no images, links to the web alone, headings below the page's."""
    if not text or not text.strip():
        return None
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        text = text[4:].split("\n---\n", 1)[1]
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable("table").disable("image")
    markdown.validateLink = _is_of_the_web  # type: ignore[method-assign]
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        token.attrs.pop("style", None)  # how a column is aligned; the page's policy forbids such attributes
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))


def _is_of_the_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def profile_facts(participant: Participant) -> Facts:
    """What is known of an encoder."""
    profile, model = participant.profile, participant.entrants[0][1].result.model
    trained = profile.trained_on
    facts: list[tuple[str, str | None]] = [
        ("model id", model.id),
        ("revision", model.revision),
        ("fingerprint", model.fingerprint[:16] if participant.origin == "measured" else None),
        (
            "figures",
            "measured with this harness" if participant.origin == "measured" else "imported from MTEB's results",
        ),
        ("licence", profile.licence or "not stated"),
        (
            "parameters",
            None if profile.parameters is None else f"{magnitude(profile.parameters)} ({profile.parameters:,})",
        ),
        ("dimensions", None if profile.dimensions is None else f"{profile.dimensions:,}"),
        ("similarity", " or ".join(_similarities(participant))),
        ("longest text", None if profile.max_length is None else f"{profile.max_length:,} tokens"),
        ("released", profile.released),
        ("trained on", "not declared" if trained is None else ", ".join(trained) or "none of the known collections"),
    ]
    told = ("parameters", "dimensions", "max_length", "licence", "trained_on", "audits")
    facts += [(k.replace("_", " "), plain(v)) for k, v in model.details.items() if k not in told]
    return tuple((name, value) for name, value in facts if value)


def _similarities(participant: Participant) -> list[str]:
    """How its vectors were compared; several where its results differ in it."""
    models = (entrant.result.model for _, entrant in participant.entrants)
    return list(dict.fromkeys(model.similarity for model in models if model.similarity is not None))


def suite_view(
    section: Section,
    position: int,
    tests: Pairwise,
    drawn: tuple[HeatMap | None, Scale | None],
    alignment: Mapping[str, Any] | None,
) -> SuiteView:
    """One encoder on one suite.

    Args:
        section: where it is.
        position: of the encoder among the section's entrants.
        tests: of the section.
        drawn: its scores by language pair, and the scale that the section shares.
        alignment: what `align --json` printed for this encoder and suite, if there is such a file.
    """
    entrant = section.entrants[position]
    return SuiteView(
        section=section,
        entrant=entrant,
        anchor=section.anchor,
        zero_shot=zero_shot_words(zero_shot_in(entrant, section)),
        command=command(entrant),
        means=tuple(_means(entrant, position, tests)),
        maps=tuple(_maps(section, entrant, drawn, alignment)),
        distances=tuple(_distances(entrant)),
        bias=tuple(_bias(entrant)),
        rows=all_rows(entrant),
        facts=_facts(entrant) if entrant.origin == "measured" else _origin(entrant),
    )


def zero_shot_words(stated: ZeroShot) -> str:
    """Whether an encoder is zero-shot on a suite, on what that rests, and what speaks against it."""
    if stated.holds is None:
        return "unknown: nothing was declared of its training data"
    if stated.audited:
        found = "no text of the suite was found in the training data" if stated.holds else "; ".join(stated.because)
        rest = f"; of {', '.join(stated.unaudited)} there is the declaration only" if stated.unaudited else ""
        return f"{stated.status}, by an audit: {found}{rest}"
    named = f": it was trained on {', '.join(stated.because)}" if stated.because else ", as declared"
    return f"{stated.status}{named}"


def command(entrant: Entrant) -> str:
    """What measures the same again. Quoted, so that pasting it runs one program."""
    model, suite = entrant.result.model.id, entrant.result.suite.name
    if entrant.task is not None:
        model, suite = f"mteb:{model}", task_suite(entrant) or f"mteb:{entrant.task[0]}"
    narrowed = _narrowed(entrant.result) if entrant.task is None else ""
    return f"xlir-bench run {shlex.quote(model)} --suite {shlex.quote(suite)}{narrowed}"


def _narrowed(result: Result) -> str:
    """The options of a result on a part of a shipped suite, or with other measures."""
    if result.suite.name not in shipped():
        return ""
    suite = find(result.suite.name)
    asked = Question.of(result).settings
    usual = {str(setting): frozenset(names) for setting, names in {**suite.optional_settings, **suite.settings}.items()}
    options = {
        "languages": result.suite.languages if set(result.suite.languages) != set(suite.languages) else (),
        "settings": tuple(asked) if set(asked) != set(suite.settings) else (),
        "measures": sorted(next(iter(asked.values()), ()))
        if len(set(asked.values())) == 1 and any(names != usual.get(setting) for setting, names in asked.items())
        else (),
    }
    return "".join(f" --{name} {shlex.quote(','.join(values))}" for name, values in options.items() if values)


def _means(entrant: Entrant, position: int, tests: Pairwise) -> list[Mean]:
    result = entrant.result
    settings = [s for s in SETTINGS if s in result.summary] + [s for s in result.summary if s not in SETTINGS]
    found = []
    for setting in settings:
        primary = result.primary.get(setting)
        for measure in sorted(result.summary[setting], key=lambda name: name != primary):
            interval = (result.intervals or {}).get(setting, {}).get(measure)
            rank = tests.ranks.get((setting, measure), {}).get(position)
            letters = tests.groups.get((setting, measure), {}).get(position, "")
            value = cell(result.summary[setting][measure], decimals(measure), interval)
            found.append(Mean(setting, measure_name(measure), value, "" if rank is None else str(rank), letters))
    return found


def cell(value: float | None, places: int, interval: tuple[float, float] | None = None) -> Cell:
    """A value as it is shown, with its interval."""
    if value is None or not math.isfinite(value):
        return Cell("–")
    text = "" if interval is None else f"{number(interval[0], places)} to {number(interval[1], places)}"
    return Cell(number(value, places), float(value), interval, text)


def _maps(
    section: Section, entrant: Entrant, drawn: tuple[HeatMap | None, Scale | None], alignment: Mapping[str, Any] | None
) -> list[Map]:
    found = []
    if drawn[0] is not None and drawn[1] is not None:
        found.append(
            Map(
                f"{section.anchor}-scores",
                f"{drawn[0].measure} by language",
                "Rows are the languages of the queries, columns those of the documents. Outlined cells are "
                "monolingual; means are of the others alone.",
                drawn[0],
                drawn[1],
            )
        )
    preference = entrant.result.bias.maps.get(_PREFERENCE) if entrant.result.bias else None
    if preference:
        drawn_map, scale = language_map(preference, "reciprocal rank")
        found.append(
            Map(
                f"{section.anchor}-preference",
                "Language preference",
                "Reciprocal rank in the pool of all languages when only the answer in the column's language counts "
                "(limit to one target). A diagonal brighter than the rest is a preference for the query's language.",
                drawn_map,
                scale,
            )
        )
    values = _alignment(alignment)
    if alignment and values:
        baseline = number(_finite(alignment.get("baseline")), 3)
        drawn_map, scale = language_map(values, "CKA")
        found.append(
            Map(
                f"{section.anchor}-cka",
                "Similarity of representations (CKA)",
                "Debiased linear CKA between the vectors of aligned texts in two languages: 1 is the same "
                "geometry; "
                f"shuffled texts give {baseline}.",
                drawn_map,
                scale,
            )
        )
    return found


def _alignment(alignment: Mapping[str, Any] | None) -> dict[str, dict[str, float]]:
    """Both halves of the symmetric map; what is not a number is left out."""
    values: dict[str, dict[str, float]] = {}
    for pair in alignment["pairs"] if alignment else []:
        value = _finite(pair.get("cka")) if isinstance(pair, Mapping) else None
        if value is not None and isinstance(pair.get("a"), str) and isinstance(pair.get("b"), str):
            values.setdefault(pair["a"], {})[pair["b"]] = value
            values.setdefault(pair["b"], {})[pair["a"]] = value
    return values


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _distances(entrant: Entrant) -> list[tuple[Label, Cell, float]]:
    """Rank distance by query language, with its share of the greatest, for a bar."""
    found = {
        score.query_language: score.value
        for score in entrant.result.scores
        if (score.setting, score.measure) == ("multilingual", "rank_distance")
    }
    if not found and entrant.result.bias:
        found = dict(entrant.result.bias.query_languages.get("rank_distance", {}))
    greatest = max(found.values(), default=0.0)
    return [
        (label, cell(found[label.code], 0), found[label.code] / greatest if greatest > 0 else 0.0)
        for label in ordered_labels(found)
    ]


def _bias(entrant: Entrant) -> list[tuple[str, Cell]]:
    if entrant.result.bias is None:
        return []
    bias = entrant.result.bias
    return [
        (_told(name), cell(value, 1 if abs(value) >= 100 else 4, bias.intervals.get(name)))
        for name, value in bias.summary.items()
    ]


def _told(figure: str) -> str:
    """The name of a figure of bias, in words."""
    name, _, part = figure.partition(".")
    said = {"same": ", same language", "other": ", other languages"}.get(part, f", {part}" if part else "")
    return name.replace("_", " ") + said


def all_rows(entrant: Entrant) -> Rows:
    """Every score."""
    measures = tuple(dict.fromkeys(score.measure for score in entrant.result.scores))
    table: dict[tuple[str, str, str, int, int], dict[str, float]] = {}
    for s in entrant.result.scores:
        key = (s.setting, s.query_language, s.document_language, s.queries, s.documents)
        table.setdefault(key, {})[s.measure] = s.value
    places = {measure: decimals(measure) for measure in measures}
    rows = tuple(
        (*key, tuple(cell(values.get(measure), places[measure]) for measure in measures))
        for key, values in table.items()
    )
    return Rows(tuple(map(measure_name, measures)), rows)


def _origin(entrant: Entrant) -> tuple[tuple[str, Facts], ...]:
    task, split, revision = entrant.task or ("", "", None)
    facts: list[tuple[str, str]] = [("task", task), ("split", split), ("data revision", revision or "not recorded")]
    facts += [("computed by", version) for version in entrant.result.harness.values()]
    if entrant.missing:
        facts.append(("rows not published", ", ".join(entrant.missing)))
    return (("Origin", tuple(facts)),)


def _facts(entrant: Entrant) -> tuple[tuple[str, Facts], ...]:
    """Everything that a measured result records beside its scores, in titled lists."""
    result, timing = entrant.result, entrant.result.timing
    speed = "everything was cached" if timing.texts_per_s is None else f"{timing.texts_per_s:,.1f} texts per second"
    run: Sequence[tuple[str, str]] = (
        ("ended", result.created),
        *((f"harness {key}", value) for key, value in result.harness.items()),
        ("suite fingerprint", result.suite.fingerprint[:16]),
        ("encoding", f"{timing.encode_s:,.1f} s, {speed}"),
        ("texts", f"{timing.texts_encoded:,} encoded, {timing.texts_from_cache:,} from the cache"),
        ("ranking", f"{timing.rank_s:,.1f} s"),
        ("measuring", f"{timing.measure_s:,.1f} s"),
        ("tied documents", f"{result.ties:.2%} of the relevant ones"),
    )
    return ("Run", tuple(run)), ("Environment", tuple(result.environment.items()))


def plain(value: object) -> str:
    """A value of a result's details, for a reader."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {plain(inner)}" for key, inner in value.items())
    return "" if value is None or value == "" else str(value)
