"""The means of results as LaTeX tables, one per group of results that may stand in one."""

from __future__ import annotations

from collections.abc import Sequence

from xlir_bench.measures import parse
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
}


def escape(text: str) -> str:
    """`text` as LaTeX shows it: no character of it is a command, and control characters are left out."""
    return "".join(_ESCAPED.get(sign, sign) for sign in " ".join(text.split()) if sign.isprintable())


def as_latex(results: Sequence[Result]) -> str:
    r"""A table per suite, version, data and languages: encoders in rows, settings and measures in columns.

    The best value of a column is bold, in the direction of its measure. The tables need `\usepackage{booktabs}`.
    """
    groups: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        suite = result.suite
        groups.setdefault((suite.name, suite.version, suite.fingerprint, suite.languages), []).append(result)
    return "\n".join(_table(members) for members in groups.values())


def _table(results: Sequence[Result]) -> str:
    suite = results[0].suite
    named = dict.fromkeys((s, m) for result in results for s, names in result.summary.items() for m in names)
    settings = list(dict.fromkeys(setting for setting, _ in named))
    columns = sorted(named, key=lambda column: settings.index(column[0]))
    spans = [sum(setting == other for other, _ in columns) for setting in settings]
    ends = [1 + sum(spans[: place + 1]) for place in range(len(spans))]
    rules = [rf"\cmidrule(lr){{{end - span + 1}-{end}}}" for span, end in zip(spans, ends, strict=True)]
    heads = [rf"\multicolumn{{{span}}}{{c}}{{{escape(name)}}}" for span, name in zip(spans, settings, strict=True)]
    best = {column: _best(results, column) for column in columns}
    lines = [
        r"\begin{table}",
        rf"\caption{{{escape(suite.name)}, version {suite.version}, {len(suite.languages)} languages; "
        rf"means over rows. Data {escape(suite.fingerprint[:12])}.}}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["", *heads]) + r" \\",
        "".join(rules),
        " & ".join(["encoder", *(escape(measure) for _, measure in columns)]) + r" \\",
        r"\midrule",
    ]
    for result in results:
        values = [(column, result.summary.get(column[0], {}).get(column[1])) for column in columns]
        cells = [_cell(value, bold=value is not None and value == best[column]) for column, value in values]
        lines.append(" & ".join([escape(result.model.name), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _best(results: Sequence[Result], column: tuple[str, str]) -> float | None:
    """The best of at least two values; None where there is nothing to be better than."""
    setting, measure = column
    values = [r.summary[setting][measure] for r in results if measure in r.summary.get(setting, {})]
    if len(set(values)) < 2:
        return None
    return max(values) if parse(measure).definition.higher_is_better else min(values)


def _cell(value: float | None, *, bold: bool) -> str:
    if value is None:
        return "--"
    figure = f"{value:.4f}" if abs(value) <= 1 else f"{value:,.1f}".replace(",", r"\,")
    return rf"\textbf{{{figure}}}" if bold else figure
