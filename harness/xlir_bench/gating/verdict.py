"""What the gate found, as values: a report of checks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from xlir_bench.errors import counted
from xlir_bench.gating.policy import Budget

Verdict = Literal["passed", "unproven", "loss", "floor", "missing"]
"""Of a check. "unproven": more is lost than the budget, but no more than chance may take; the last three fail."""

EVERY = "*"

BIAS = "bias"
"""Where a setting stands, for figures of bias."""

Basis = Literal["test", "interval", "difference"]
"""How it is told whether a loss is real: a paired test; whether the loss's interval is above 0; or not at all, where a
figure has neither: then the plain difference counts.
"""


@dataclass(frozen=True)
class Figure:
    """What a check is about.

    Attributes:
        suite, setting, measure: names; of a figure of bias, the setting is `BIAS`.
        query_language, document_language: a code, or "*" for the mean over all rows that the other one names.
    """

    suite: str
    setting: str
    measure: str
    query_language: str = EVERY
    document_language: str = EVERY

    def __str__(self) -> str:
        return " ".join(part for part in (self.suite, self.setting, self.measure, self.languages) if part)

    @property
    def languages(self) -> str:
        """The languages for a person, e.g. `sw`, `ar to *`; empty for all."""
        if self.document_language == EVERY:
            return "" if self.query_language == EVERY else self.query_language
        return f"{self.query_language} to {self.document_language}"


Kind = Literal["result", "languages", "setting", "measure", "row"]


class Lack(NamedTuple):
    """What a side lacks of a figure.

    Attributes:
        kind: what it is that lacks: several figures lack one of a kind together.
        text: as the object of a sentence.
    """

    kind: Kind
    text: str


@dataclass(frozen=True)
class Check:
    """A figure held against its rule.

    Attributes:
        figure: which.
        verdict: see `Verdict`.
        reason: a sentence for a person.
        budget, floor: the rule's; None where it has none.
        candidate, baseline: macro-averages over rows; None where there is none.
        loss: what the candidate lost, below 0 where it gained, in the measure's unit and whatever its direction.
        interval: low and high end of the loss's 95 % interval; cluster bootstrap by question.
        allowed: the budget in the measure's unit.
        basis: how it was told whether the loss is real; None where there is no budget.
        p: two-sided, paired randomisation by question; None where the figure has no test.
        adjusted_p: after Holm, over all checks that have a p.
        questions: how many the test rests on.
        lacks: of a missing figure: what it is that lacks.
    """

    figure: Figure
    verdict: Verdict
    reason: str
    budget: Budget | None = None
    floor: float | None = None
    candidate: float | None = None
    baseline: float | None = None
    loss: float | None = None
    interval: tuple[float, float] | None = None
    allowed: float | None = None
    basis: Basis | None = None
    p: float | None = None
    adjusted_p: float | None = None
    questions: int | None = None
    lacks: Kind | None = None

    @property
    def failed(self) -> bool:
        """Whether it makes the gate say no."""
        return self.verdict in {"loss", "floor", "missing"}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; the figure's parts first."""
        values = asdict(self) | {"budget": None if self.budget is None else str(self.budget)}
        return values.pop("figure") | values


@dataclass(frozen=True)
class Finding:
    """What did not pass: one check, or all that miss the same of a suite.

    Attributes:
        checks: one or more, of one verdict.
    """

    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """Of all of them."""
        return self.checks[0].verdict

    @property
    def about(self) -> str:
        """The figure, or the suite with the number of its checks."""
        first = self.checks[0].figure
        return str(first) if len(self.checks) == 1 else f"{first.suite}: {len(self.checks)} checks"

    @property
    def reason(self) -> str:
        """A sentence for a person; the first, where there are several."""
        reasons = dict.fromkeys(check.reason for check in self.checks)
        more = f"; and {len(reasons) - 1} more of this kind" if len(reasons) > 1 else ""
        return next(iter(reasons)) + more


@dataclass(frozen=True)
class Side:
    """Who was measured.

    Attributes:
        name: the encoder's.
        fingerprint: of what decides its scores.
        harness: the release that measured it.
    """

    name: str
    fingerprint: str
    harness: str


@dataclass(frozen=True)
class GateReport:
    """Everything the gate found.

    Attributes:
        candidate: the model that is judged.
        baseline: the model that it is to replace.
        alpha: the policy's.
        checks: in the order of the policy.
        same_ranks: whether both sides rank all relevant documents alike.
    """

    candidate: Side
    baseline: Side
    alpha: float
    checks: tuple[Check, ...]
    same_ranks: bool = False

    @property
    def same_model(self) -> bool:
        """Whether both sides have one fingerprint, so that a model was compared with itself."""
        return bool(self.candidate.fingerprint) and self.candidate.fingerprint == self.baseline.fingerprint

    @property
    def notice(self) -> str | None:
        """What to know of a comparison of one model with itself, in one sentence; None for any other."""
        if not self.same_model:
            return None
        digits = self.candidate.fingerprint[:12]
        if self.same_ranks:
            return f"candidate and baseline are the same model (fingerprint {digits}): nothing was compared"
        return (
            f"candidate and baseline are the same model (fingerprint {digits}) but rank differently: what changed is "
            "not part of the fingerprint, such as weights that code loads, a package, or a server"
        )

    @property
    def failures(self) -> list[Check]:
        """The checks that failed, in order."""
        return [check for check in self.checks if check.failed]

    @property
    def findings(self) -> list[Finding]:
        """What did not pass: losses, floors, what is missing (once for a suite and kind), doubts; each in order."""
        grouped: dict[tuple[object, ...], list[Check]] = {}
        for check in self.checks:
            if check.verdict != "passed":
                one = (check.figure.suite, check.lacks) if check.verdict == "missing" else (check.figure,)
                grouped.setdefault((check.verdict, *one), []).append(check)
        order = ("loss", "floor", "missing", "unproven")
        return sorted(
            (Finding(tuple(checks)) for checks in grouped.values()), key=lambda found: order.index(found.verdict)
        )

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def headline(self) -> str:
        """The outcome in one sentence."""
        failures, unproven = len(self.failures), sum(check.verdict == "unproven" for check in self.checks)
        outcome = f"failed: {failures} of" if failures else "passed:"
        doubt = f"; {unproven} past the budget, but not past chance" if unproven else ""
        checks = counted(len(self.checks), "checks")
        return f"{outcome} {checks}{doubt}. {self.candidate.name} against {self.baseline.name}."

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "passed": self.passed,
            "candidate": asdict(self.candidate),
            "baseline": asdict(self.baseline),
            "same_model": self.same_model,
            "notice": self.notice,
            "alpha": self.alpha,
            "checks": [check.as_dict() for check in self.checks],
        }
