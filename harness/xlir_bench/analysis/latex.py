"""A comparison as tables for a paper (booktabs)."""

from __future__ import annotations

from xlir_bench.analysis.comparison import Comparison, Difference

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex(comparison: Comparison) -> str:
    """Two tables: standings with intervals and letters, and differences with intervals and adjusted p."""
    standings = [
        [
            s.setting,
            s.measure,
            str(s.rank),
            s.encoder,
            figure(s.mean),
            f"[{figure(s.interval[0])}, {figure(s.interval[1])}]",
            s.groups,
        ]
        for s in comparison.standings
    ]
    differences = [
        [
            d.setting,
            d.measure,
            f"{d.b} - {d.a}",
            figure(d.difference, signed=True),
            f"[{figure(d.interval[0], signed=True)}, {figure(d.interval[1], signed=True)}]",
            probability(d),
        ]
        for d in comparison.settings
    ]
    note = (
        f"% {comparison.suite}, version {comparison.version}; {comparison.questions} questions; 95 % intervals by "
        "cluster bootstrap over questions; p by paired randomisation over questions, Holm-adjusted\n"
    )
    headings = ["Setting", "Measure", "Rank", "Encoder", "Mean", "95 % interval", "Group"]
    return (
        note
        + _tabular("llrlrll", headings, standings)
        + "\n"
        + _tabular("lllrlr", ["Setting", "Measure", "Difference", "Value", "95 % interval", "Adjusted p"], differences)
    )


def figure(value: float, *, signed: bool = False) -> str:
    """Four decimals, one above 1; as the tables on a terminal write it."""
    plus = "+" if signed else ""
    return f"{value:{plus}.4f}" if abs(value) <= 1 else f"{value:{plus},.1f}"


def probability(difference: Difference) -> str:
    """The adjusted p, or that it is below what is worth writing."""
    return "<.001" if difference.adjusted_p < 0.001 else f"{difference.adjusted_p:.3f}"


def _tabular(alignment: str, headings: list[str], rows: list[list[str]]) -> str:
    lines = [f"\\begin{{tabular}}{{{alignment}}}", r"\toprule", _row(headings), r"\midrule"]
    lines += [_row(row) for row in rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _row(cells: list[str]) -> str:
    return " & ".join("".join(_SPECIAL.get(character, character) for character in cell) for cell in cells) + r" \\"
