r"""LaTeX: how names and numbers are written in it, and the means of results as tables (`\usepackage{booktabs}`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xlir_bench.collection import SETTINGS
from xlir_bench.languages import described, known
from xlir_bench.measures import parse
from xlir_bench.results.exchange.entry import safe_name
from xlir_bench.results.schema import Result

_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # In TeX's oldest fonts these three are other characters.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}

EVERY = "*"


def escape(text: str) -> str:
    """`text` as LaTeX shows it: no character of it is a command, and control characters are left out."""
    shown = "".join(_ESCAPED.get(sign, sign) for sign in " ".join(text.split()) if sign.isprintable())
    return shown.replace("--", "-{}-").replace("--", "-{}-")  # two hyphens would be a dash


def number(value: float, *, signed: bool = False) -> str:
    """Four decimals, one above 1 with thousands apart; with a minus sign, not a hyphen."""
    places = 4 if abs(value) <= 1 else 1
    size = f"{abs(value):,.{places}f}".replace(",", r"\,")
    negative = value < 0 and float(f"{value:.{places}f}") != 0
    return f"{'$-$' if negative else '$+$' if signed else ''}{size}"


def interval(ends: tuple[float, float], *, signed: bool = False) -> str:
    """Both ends in brackets."""
    low, high = (number(end, signed=signed) for end in ends)
    return f"[{low}, {high}]"


def tabular(alignment: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with rules above, between and below.

    Args:
        alignment: of the columns.
        heads: lines of the head, complete.
        rows: cells that are LaTeX already; an empty row is a rule.
    """
    lines = [f"\\begin{{tabular}}{{{alignment}}}", r"\toprule", *heads, r"\midrule"]
    lines += [row_of(row) if row else r"\midrule" for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def row_of(cells: Sequence[str]) -> str:
    r"""A line of a table. What stands first is no argument of the `\\` before it."""
    guard = "{}" if cells[0].startswith(("[", "*")) else ""
    return f"{guard}{' & '.join(cells)} \\\\"


Place = tuple[str, str, str]
"""Setting, measure, and query language or `EVERY`."""


@dataclass(frozen=True)
class Mark:
    """What is known of a mean beside its value.

    Attributes:
        interval: its 95 % interval.
        letters: encoders with one in common are not told apart.
    """

    interval: tuple[float, float] | None = None
    letters: str = ""

    def after(self, figure: str) -> str:
        """The figure with it."""
        if self.interval is not None:
            return rf"{figure} {{\footnotesize {interval(self.interval)}}}"
        return rf"{figure}\textsuperscript{{{self.letters}}}" if self.letters else figure


@dataclass(frozen=True)
class Layout:
    """What tables show.

    Attributes:
        names: name of a model, suite, setting, measure or language -> what to write in its place.
        languages: only rows with queries in these, and documents where a row is of one document language; None is all.
        by_language: a table per setting with a row per query language, in place of one table of means.
        note: a sentence for the captions.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    languages: tuple[str, ...] | None = None
    by_language: bool = False
    note: str = ""

    def called(self, name: str) -> str:
        """A name as it is displayed, in LaTeX."""
        return escape(self.names.get(name, name))

    def language(self, code: str) -> str:
        """A language as it is displayed, in LaTeX."""
        row = known(code)
        return escape(self.names.get(code, row.name if row is not None else code))


Marks = Mapping[tuple[int, Place], Mark]
"""Position of the result, and place."""


def groups_of(results: Sequence[Result]) -> list[list[int]]:
    """Positions of results that may share a table: on the same version, data and languages of a suite."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for position, result in enumerate(results):
        suite = result.suite
        groups.setdefault((suite.name, suite.version, suite.fingerprint, suite.languages), []).append(position)
    return list(groups.values())


def as_latex(results: Sequence[Result], layout: Layout | None = None, marks: Marks | None = None) -> str:
    r"""Tables per suite, version, data and languages: encoders in rows, settings and measures in columns.

    The best value of a column is bold, in the direction of its measure. With `by_language`, the primary measure of each
    setting is a table of its own with encoders in columns.

    Args:
        results: the results.
        layout: what the tables show.
        marks: intervals or letters.
    """
    layout = layout or Layout()
    tables = []
    for positions in groups_of(results):
        means = {position: means_of(results[position], layout) for position in positions}
        places = sorted(
            dict.fromkeys(place for one in means.values() for place in one),
            key=lambda place: SETTINGS.index(place[0]) if place[0] in SETTINGS else len(SETTINGS),
        )
        grid = _Grid(results, layout, means, marks or {})
        if not layout.by_language:
            tables += [grid.overview(places)] if places else []
            continue
        for setting in dict.fromkeys(place[0] for place in places):
            tables.append(grid.languages([place for place in places if place[0] == setting]))
    return "\n".join(tables)


def means_of(result: Result, layout: Layout) -> dict[Place, float]:
    """Means over the rows that a layout shows, by place."""
    rows: dict[Place, list[float]] = {}
    for score in result.scores:
        pair = (score.query_language, score.document_language)
        if layout.languages is not None and any(code not in {*layout.languages, EVERY} for code in pair):
            continue
        if not layout.by_language:
            rows.setdefault((score.setting, score.measure, EVERY), []).append(score.value)
        elif score.measure == result.primary.get(score.setting):
            for language in (score.query_language, EVERY):
                rows.setdefault((score.setting, score.measure, language), []).append(score.value)
    return {place: sum(values) / len(values) for place, values in rows.items()}


@dataclass(frozen=True)
class _Grid:
    """The means of some results, as tables."""

    results: Sequence[Result]
    layout: Layout
    means: Mapping[int, Mapping[Place, float]]
    marks: Marks

    def overview(self, places: Sequence[Place]) -> str:
        """Encoders in rows, settings and measures in columns."""
        settings = list(dict.fromkeys(setting for setting, *_ in places))
        spans = [sum(setting == place[0] for place in places) for setting in settings]
        ends = [1 + sum(spans[: place + 1]) for place in range(len(spans))]
        rules = [rf"\cmidrule(lr){{{end - span + 1}-{end}}}" for span, end in zip(spans, ends, strict=True)]
        called = self.layout.called
        tops = [rf"\multicolumn{{{n}}}{{c}}{{{called(name)}}}" for n, name in zip(spans, settings, strict=True)]
        heads = [
            row_of(["", *tops]),
            "".join(rules),
            row_of(["encoder", *(called(measure) for _, measure, _ in places)]),
        ]
        rows = [
            [called(self.results[position].model.name), *(self._cell(position, place) for place in places)]
            for position in self.means
        ]
        return self._float("means over rows", "", tabular(f"l{'r' * len(places)}", heads, rows))

    def languages(self, places: Sequence[Place]) -> str:
        """Query languages in rows, the mean below, encoders in columns."""
        setting, measure, _ = places[0]
        codes = sorted({code for *_, code in places if code != EVERY})
        encoders = [self.layout.called(self.results[position].model.name) for position in self.means]
        rows: list[list[str]] = [[self.layout.language(code), *self._row((setting, measure, code))] for code in codes]
        rows += [[], ["mean", *self._row((setting, measure, EVERY))]]
        about = f"{self.layout.called(measure)}, {self.layout.called(setting)}, by language of the queries"
        body = tabular(f"l{'r' * len(encoders)}", [row_of(["queries in", *encoders])], rows)
        return self._float(about, f"-{setting}", body)

    def _row(self, place: Place) -> list[str]:
        return [self._cell(position, place) for position in self.means]

    def _cell(self, position: int, place: Place) -> str:
        value = self.means[position].get(place)
        if value is None:
            return "--"
        best = self._best(place)
        written = number(value)
        mark = self.marks.get((position, place), Mark())
        return mark.after(rf"\textbf{{{written}}}" if value == best else written)

    def _best(self, place: Place) -> float | None:
        """The best of at least two values; None where there is nothing to be better than."""
        values = [means[place] for means in self.means.values() if place in means]
        if len(set(values)) < 2:
            return None
        return max(values) if parse(place[1]).definition.higher_is_better else min(values)

    def _float(self, about: str, suffix: str, body: str) -> str:
        suite = self.results[next(iter(self.means))].suite
        chosen = self.layout.languages
        languages = (
            f"{len(suite.languages)} languages"
            if chosen is None
            else f"rows with queries and documents in {escape(', '.join(described(code) for code in chosen))}"
        )
        note = f" {escape(self.layout.note)}" if self.layout.note else ""
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{self.layout.called(suite.name)}, version {suite.version}, {languages}; {about}. "
                rf"Data {escape(suite.fingerprint[:12])}.{note}}}",
                rf"\label{{tab:{safe_name(suite.name)}-{safe_name(suite.fingerprint[:8])}{suffix}}}",
                body + r"\end{table}",
                "",
            ]
        )
