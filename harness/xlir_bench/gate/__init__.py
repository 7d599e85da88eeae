"""The gate: whether a candidate's stored results are worse than a baseline's, beyond a budget and beyond chance."""

from xlir_bench.gate.checks import expand
from xlir_bench.gate.judge import gate
from xlir_bench.gate.policy import DEFAULT_POLICY, Budget, Policy, Rule, read_policy
from xlir_bench.gate.verdict import Check, Figure, Report, Verdict
from xlir_bench.gate.xml import junit

__all__ = [
    "DEFAULT_POLICY",
    "Budget",
    "Check",
    "Figure",
    "Policy",
    "Report",
    "Rule",
    "Verdict",
    "expand",
    "gate",
    "junit",
    "read_policy",
]
