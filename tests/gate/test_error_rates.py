"""How often the gate is wrong, on simulated encoders whose ranks are real ones of XQuAD-R; 200 of each kind."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import Simulator

from xlir_bench.analysis import Run
from xlir_bench.gating import Budget, Figure, Policy, Rule, gate
from xlir_bench.gating.checks import Asked
from xlir_bench.gating.figures import Loss, Pair, p_values
from xlir_bench.gating.judge import Evidence, decide
from xlir_bench.gating.scale import Scale
from xlir_bench.measures import statistics

RUNS = 200
ALPHA = 0.05
SETTINGS = ("monolingual", "cross-lingual", "multilingual")
OVERALL = [Figure("xquad-r", setting, "AP") for setting in SETTINGS] + [
    Figure("xquad-r", "multilingual", "rank_distance")
]
PER_LANGUAGE = [Figure("xquad-r", setting, "AP", code) for setting in SETTINGS for code in ("ar", "en", "th")]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulator(xquad_r) -> Simulator:
    suite, runs = xquad_r
    return Simulator(runs["xlir-hybrid-static"], suite)


@pytest.fixture(scope="module")
def baselines(simulator) -> list[Run]:
    generator = np.random.default_rng(1)
    return [simulator.retrained(generator) for _ in range(RUNS)]


def losses(candidates, baselines) -> list[dict[Figure, Loss]]:
    """Of every simulated comparison, every figure's loss."""
    found = []
    for candidate, baseline in zip(candidates, baselines, strict=True):
        pair = Pair.of("xquad-r", candidate, baseline)
        found.append({f: Loss.of(pair.questions, pair.losses(f)) for f in OVERALL + PER_LANGUAGE})
    return found


def failing(found: list[dict[Figure, Loss]], budgets: dict[Figure, float]) -> list[set[Figure]]:
    """The figures that fail in each comparison: what `gate` does, with the tests of all comparisons drawn at once."""
    columns = [of_one[figure] for of_one in found for figure in budgets]
    p = p_values(columns, len(budgets), ALPHA).reshape(len(found), len(budgets))
    failed = []
    for of_one, row in zip(found, p, strict=True):
        failed.append(set())
        for (figure, budget), adjusted in zip(budgets.items(), statistics.holm(row), strict=True):
            tested = Evidence(of_one[figure], (0.0, 0.0), None, float(adjusted))
            verdict, _ = decide(Asked(figure, Budget(budget), None), 0.0, tested, budget, ALPHA, Scale.of(figure, {}))
            if verdict == "loss":
                failed[-1].add(figure)
    return failed


def true_losses(found: list[dict[Figure, Loss]]) -> dict[Figure, float]:
    """The expectation over the simulation: the mean over all of its runs."""
    return {figure: float(np.mean([of_one[figure].value for of_one in found])) for figure in found[0]}


def test_of_two_encoders_that_are_exchanged_at_random_less_than_5_percent_fail(xquad_r, simulator):
    """The hardest case: two very different real encoders, and budgets of nothing, so that the test alone decides."""
    generator = np.random.default_rng(2)
    pairs = [simulator.exchanged(xquad_r[1]["bm25"], generator) for _ in range(RUNS)]
    failed = failing(losses(*zip(*pairs, strict=True)), dict.fromkeys(OVERALL + PER_LANGUAGE, 0.0))
    assert sum(map(bool, failed)) < 0.05 * RUNS


def test_of_encoders_that_were_retrained_without_a_change_less_than_5_percent_fail(simulator, baselines):
    generator = np.random.default_rng(3)
    found = losses([simulator.retrained(generator) for _ in range(RUNS)], baselines)
    assert max(abs(loss) for figure, loss in true_losses(found).items() if figure.measure == "AP") < 0.001
    failed = failing(found, dict.fromkeys(OVERALL + PER_LANGUAGE, 0.0))
    assert sum(map(bool, failed)) < 0.05 * RUNS


@pytest.mark.parametrize(
    ("figure", "harmed", "harm", "budget"),
    [
        (OVERALL[0], None, 0.0686, 0.01),
        (OVERALL[1], None, 0.1334, 0.01),
        (OVERALL[2], None, 0.0823, 0.01),
        (OVERALL[3], None, 0.1060, 30.4),  # 5 % of what the baselines have
        (Figure("xquad-r", "monolingual", "AP", "th"), "th", 0.1774, 0.03),
    ],
    ids=str,
)
def test_a_true_loss_of_twice_the_budget_is_caught_in_95_percent(simulator, baselines, figure, harmed, harm, budget):
    """Caught is what fails in the very figure, under the shipped policy's budgets and with all of its checks."""
    generator = np.random.default_rng(4)
    found = losses([simulator.retrained(generator, harm, harmed) for _ in range(RUNS)], baselines)
    assert true_losses(found)[figure] == pytest.approx(2 * budget, rel=0.05)
    budgets = dict.fromkeys(OVERALL, 0.01) | dict.fromkeys(PER_LANGUAGE, 0.03) | {OVERALL[3]: 30.4, figure: budget}
    failed = failing(found, budgets)
    assert sum(figure in failures for failures in failed) > 0.95 * RUNS
    if harmed is not None:
        assert not any(other in failures for failures in failed for other in unharmed(harmed))


def unharmed(code: str) -> list[Figure]:
    return [figure for figure in PER_LANGUAGE if figure.query_language != code]


def test_the_gate_itself_says_what_the_simulations_say(simulator, baselines):
    """The one seam of this file: `failing` against `gate`, policy and all."""
    generator = np.random.default_rng(6)
    candidates = [simulator.retrained(generator, harm=harm) for harm in (0.0, 0.05, 0.1)]
    policy = Policy(alpha=ALPHA, rules=(Rule(budget=0.01), Rule(query_languages="each", budget=0.03)))
    budgets = dict.fromkeys(OVERALL[:3], 0.01) | dict.fromkeys(PER_LANGUAGE, 0.03)
    simulated = failing(losses(candidates, baselines[:3]), budgets)
    gated = [
        {check.figure for check in gate([candidate], [baseline], policy).failures}
        for candidate, baseline in zip(candidates, baselines, strict=False)
    ]
    assert gated == simulated
    assert [bool(failures) for failures in gated] == [False, True, True]
