"""The gate: whether a candidate's stored results are worse than a baseline's, beyond a budget and beyond chance."""

from xlir_bench.gating.checks import expand
from xlir_bench.gating.judge import gate
from xlir_bench.gating.policy import DEFAULT_POLICY, Budget, Policy, Rule, read_policy
from xlir_bench.gating.verdict import Check, Figure, Finding, GateReport, Verdict
from xlir_bench.gating.xml import junit

__all__ = [
    "DEFAULT_POLICY",
    "Budget",
    "Check",
    "Figure",
    "Finding",
    "GateReport",
    "Policy",
    "Rule",
    "Verdict",
    "expand",
    "gate",
    "junit",
    "read_policy",
]
