"""A comparison as tables for a paper (booktabs)."""

from __future__ import annotations

from xlir_bench.analysis.comparison import Comparison, Difference
from xlir_bench.results.exchange.latex import escape, interval, number, row_of, tabular


def latex(comparison: Comparison) -> str:
    """Two tables: standings with intervals and letters, and differences with intervals and adjusted p."""
    standings = [
        [
            escape(s.setting),
            escape(s.measure),
            str(s.rank),
            escape(s.encoder),
            number(s.mean),
            interval(s.interval),
            s.groups,
        ]
        for s in comparison.standings
    ]
    differences = [
        [
            escape(d.setting),
            escape(d.measure),
            f"{escape(d.b)} $-$ {escape(d.a)}",
            number(d.difference, signed=True),
            interval(d.interval, signed=True),
            probability(d).replace("<", "$<$"),
        ]
        for d in comparison.settings
    ]
    note = (
        f"% {escape(comparison.suite)}, version {comparison.version}; {comparison.questions} questions; 95 % intervals "
        "by cluster bootstrap over questions; p by paired randomisation over questions, Holm-adjusted\n"
    )
    headings = ["Setting", "Measure", "Rank", "Encoder", "Mean", r"95\,\% interval", "Group"]
    of_pairs = ["Setting", "Measure", "Difference", "Value", r"95\,\% interval", "Adjusted $p$"]
    return (
        note
        + tabular("llrlrll", [row_of(headings)], standings)
        + "\n"
        + tabular("lllrlr", [row_of(of_pairs)], differences)
    )


def figure(value: float, *, signed: bool = False) -> str:
    """Four decimals, one above 1; as the tables on a terminal write it."""
    plus = "+" if signed else ""
    return f"{value:{plus}.4f}" if abs(value) <= 1 else f"{value:{plus},.1f}"


def probability(difference: Difference) -> str:
    """The adjusted p, or that it is below what is worth writing."""
    return "<.001" if difference.adjusted_p < 0.001 else f"{difference.adjusted_p:.3f}"
