"""Simulated encoders: real ranks of XQuAD-R, moved at random question by question, with or without a true loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xlir_bench.analysis import Run, row_scores, summary_of
from xlir_bench.retrieval import RankTable
from xlir_bench.suites import Suite


@dataclass(frozen=True)
class Simulator:
    """Makes runs that share the questions and judgements of a real one.

    Retraining moves the answers to one question together, in whatever language it is asked, and each one by itself:
    the logarithm of every rank is shifted by a normal number per question plus one per answer. With these deviations
    two such runs differ by as much as two random projections of the bundled encoder's vectors to half their
    dimensions: the standard error of the difference in AP is .002 to .004.
    """

    run: Run
    suite: Suite
    per_question: float = 0.2
    per_answer: float = 0.2

    def with_ranks(self, ranks: RankTable, name: str = "simulated") -> Run:
        """A run whose result says what follows from the ranks."""
        scores = row_scores(ranks, self.suite.settings)
        result = self.run.result.model_copy(update={"scores": scores, "summary": summary_of(scores)})
        return Run(name, result, ranks)

    def retrained(self, generator: np.random.Generator, harm: float = 0.0, harmed: str | None = None) -> Run:
        """A run after retraining.

        Args:
            generator: of the noise.
            harm: what is added to the logarithm of ranks: above 0 they get worse.
            harmed: of queries in this language only.
        """
        ranks = self.run.ranks
        _, question = np.unique(ranks.question.astype(str), return_inverse=True)
        shift = generator.normal(0, self.per_question, question.max() + 1)[question]
        shift += generator.normal(0, self.per_answer, len(ranks))
        shift += harm * (np.ones(len(ranks)) if harmed is None else ranks.query_language == harmed).astype(float)
        moved = np.rint((ranks.outranked + 1) * np.exp(shift)[:, None] - 1)
        limits = np.array(ranks.pool_sizes) - (ranks.document_language[:, None] == np.array(ranks.languages))
        return self.with_ranks(replace(ranks, outranked=np.clip(moved, 0, limits).astype(np.int32), leaders=None))

    def exchanged(self, other: Run, generator: np.random.Generator) -> tuple[Run, Run]:
        """Two runs, each with the ranks of either encoder by the toss of a coin per question: neither is better."""
        names, question = np.unique(self.run.ranks.question.astype(str), return_inverse=True)
        heads = (generator.random(len(names)) < 0.5)[question][:, None]
        mine, theirs = self.run.ranks.outranked, other.ranks.outranked
        return (
            self.with_ranks(replace(self.run.ranks, outranked=np.where(heads, mine, theirs), leaders=None)),
            self.with_ranks(replace(self.run.ranks, outranked=np.where(heads, theirs, mine), leaders=None)),
        )
