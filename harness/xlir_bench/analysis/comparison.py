"""What a comparison of encoders finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference:
    """What B gains on A in one setting, or in one row or language of it.

    Attributes:
        a: name of encoder A.
        b: name of encoder B.
        setting: where it was measured.
        measure: what was measured.
        query_language: a code, or "*" for the mean over all rows that the document language names.
        document_language: a code, or "*" for the mean over all rows that the query language names.
        mean_a: A's mean over the rows, each with equal weight.
        mean_b: B's mean.
        difference: mean_b - mean_a.
        interval: low and high end of its 95 % interval; cluster bootstrap by question, paired.
        p: two-sided, paired randomisation by question.
        adjusted_p: after Holm, over the differences of the same table.
        effect_size: mean difference per question over its standard deviation; None where there is no scale.
        better: whether B is the better one; None where the two are not told apart, with an adjusted p of 0.05 or more.
            For some measures less is better.
    """

    a: str
    b: str
    setting: str
    measure: str
    query_language: str
    document_language: str
    mean_a: float
    mean_b: float
    difference: float
    interval: tuple[float, float]
    p: float
    adjusted_p: float
    effect_size: float | None
    better: bool | None


@dataclass(frozen=True)
class QueryDifference:
    """What B gains on A for one version of a question, in the mean over the rows of the setting that it is in.

    Attributes:
        a: name of encoder A.
        b: name of encoder B.
        setting: where it was measured.
        measure: what was measured.
        query_id: the query's id.
        query_language: its language.
        value_a: A's value.
        value_b: B's value.
        gain: above 0 where B is better, also for a measure of which less is better.
    """

    a: str
    b: str
    setting: str
    measure: str
    query_id: str
    query_language: str
    value_a: float
    value_b: float
    gain: float


@dataclass(frozen=True)
class Standing:
    """One encoder in one setting.

    Attributes:
        encoder: its name.
        setting: where it was measured.
        measure: the setting's primary measure.
        mean: over the rows, each with equal weight.
        interval: low and high end of the mean's 95 % interval.
        rank: 1 + encoders that are better and told apart from it.
        groups: letters; two encoders with a letter in common are not told apart.
        query_language: a code, or "*" for the mean over all rows.
    """

    encoder: str
    setting: str
    measure: str
    mean: float
    interval: tuple[float, float]
    rank: int
    groups: str
    query_language: str = "*"


@dataclass(frozen=True)
class Comparison:
    """Everything `compare` finds.

    Attributes:
        suite: what was compared on.
        version: of the suite.
        languages: codes of those that took part.
        questions: number of questions, the clusters of intervals and tests.
        standings: per setting, the best first.
        settings: differences per setting and measure, every pair of encoders; one Holm family.
        by_language: differences per query language and per document language of each setting's primary measure; one
            Holm family per setting, pair and side.
        gains: the queries where B gains most, per pair and setting.
        losses: the queries where B loses most.
        same_model: pairs of names with one fingerprint: a model was compared with itself.
        notices: what to know of these pairs, one sentence each.
    """

    suite: str
    version: int
    languages: tuple[str, ...]
    questions: int
    standings: tuple[Standing, ...]
    settings: tuple[Difference, ...]
    by_language: tuple[Difference, ...]
    gains: tuple[QueryDifference, ...]
    losses: tuple[QueryDifference, ...]
    same_model: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def to_pandas(self) -> pd.DataFrame:
        """One line per pair of encoders, setting and measure.

        Columns: the fields of `Difference`, with the interval as `low` and `high`.
        """
        import pandas as pd

        rows = [asdict(difference) for difference in self.settings]
        for row in rows:
            row["low"], row["high"] = row.pop("interval")
        names = [field.name for field in fields(Difference)]
        at = names.index("interval")
        return pd.DataFrame(rows, columns=[*names[:at], "low", "high", *names[at + 1 :]])

    def to_latex(self) -> str:
        """Tables for a paper (booktabs): standings with intervals and letters, differences with adjusted p."""
        from xlir_bench.analysis.latex import latex

        return latex(self)
