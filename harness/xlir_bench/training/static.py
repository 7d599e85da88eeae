"""Train a static encoder with hybrid batches: one vector per piece, a text is the mean of its pieces.

    python -m xlir_bench.training.static --data DIR --output FOLDER

`DIR` holds `train/` and `qa/` (see `corpus.SOURCES`). The output is a sentence-transformers folder with one
`StaticEmbedding` module, its vectors stored as 8-bit integers with one scale per piece. The loss is InfoNCE with
in-batch negatives in both directions; batches are drawn as in arXiv 2408.10536.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from tokenizers import Tokenizer

from xlir_bench.errors import XlirError, counted
from xlir_bench.training.batches import Batch, BatchPlan, HybridBatches, Ints
from xlir_bench.training.corpus import (
    Corpus,
    load_corpus,
    make_candidates,
    monolingual_pairs,
    texts_by_language,
)
from xlir_bench.training.corpus_record import use_threads, write_record
from xlir_bench.training.export import encoder_of, save_encoder
from xlir_bench.training.heldout import score
from xlir_bench.training.row_moments import RowMoments
from xlir_bench.training.start import (
    Vectors,
    inverse_document_frequency,
    latent_directions,
    record_matrix,
    starting_vectors,
)
from xlir_bench.training.vocabulary import balanced_sample, encode_ragged, train_tokenizer

_LONGEST_TEXT = 64  # pieces; what is beyond is not trained on
_QUERY_SHARES = (0.15, 0.6)  # a thinned query keeps a share drawn from here: questions are short
_DOCUMENT_SHARE = 0.75
_EPSILON = 1e-9
_WARM_UP = 30
_LAST_RATE = 0.02
_REPORT_EVERY = 50
_SAMPLE_TEMPER = 0.4


@dataclass(frozen=True, slots=True)
class Plan:
    """Every setting of a training run; with the data, it determines the vectors.

    Attributes:
        steps: training steps.
        rows: pairs per batch.
        alpha: probability of a monolingual batch.
        temper: see `BatchPlan.temper`.
        dimensions: columns of the vectors.
        latent: dimensions of the latent semantic start.
        shared: share of meaning in the start, see `starting_vectors`.
        pieces: size of the vocabulary.
        sample: code points the vocabulary is trained on.
        rate: highest learning rate.
        scale: factor of the cosine in the loss (the inverse temperature).
        thinned: share of thinned texts in X-X batches of a language that has questions.
        seed: of everything random.
    """

    steps: int = 1600
    rows: int = 2048
    alpha: float = 0.5
    temper: float = 0.5
    dimensions: int = 512
    latent: int = 500
    shared: float = 0.5
    pieces: int = 72_000
    sample: int = 40_000_000
    rate: float = 0.02
    scale: float = 20.0
    thinned: float = 0.3
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Ragged:
    """Texts as piece ids: text i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: NDArray[np.int32]
    offsets: Ints

    def take(self, texts: Ints) -> tuple[Ints, NDArray[np.int32]]:
        """Return the row (position in `texts`) and the id of every piece of some texts, cut at 64 pieces."""
        lengths = np.minimum(np.diff(self.offsets)[texts], _LONGEST_TEXT)
        rows = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return rows, self.ids[np.repeat(self.offsets[texts], lengths) + within]


class StaticTrainer:
    """The vectors in training, with Adam on the rows that a batch touches, see `RowMoments`.

    Args:
        vectors: where to start, shape (pieces, dimensions).
        texts: the texts that batches index into.
        plan: scale, rate, steps and seed are used.
    """

    def __init__(self, vectors: Vectors, texts: Ragged, plan: Plan) -> None:
        self.vectors = torch.from_numpy(vectors.copy())
        self._moments = RowMoments(self.vectors, _EPSILON, torch.float64)
        self._texts = Ragged(texts.ids, texts.offsets)
        self._plan = plan
        self._rng = np.random.default_rng([plan.seed, 1])
        self._steps = 0

    def step(self, batch: Batch) -> float:
        """Learn from one batch; return its loss."""
        self._steps += 1
        rows, pieces = self._pieces_of(batch)
        used, columns = np.unique(pieces, return_inverse=True)
        ones = np.ones(len(pieces), dtype=np.float32)
        bags = sparse.csr_matrix((ones, (rows, columns)), shape=(2 * len(batch.queries), len(used)))
        index = torch.from_numpy(used.astype(np.int64))
        current = self.vectors[index]
        sums = torch.from_numpy(bags @ current.numpy())
        loss, gradient = contrastive_gradient(sums, self._plan.scale)
        mean, root = self._moments.age(index, torch.from_numpy(bags.T.tocsr() @ gradient.numpy()))
        self.vectors[index] = current.sub_(mean / root, alpha=self._rate())
        return loss

    def state(self) -> dict[str, torch.Tensor]:
        """What an interrupted training goes on from, beside `chance`: vectors, moments and how often each was seen."""
        return {
            "vectors": self.vectors,
            "first": self._moments.first,
            "second": self._moments.second,
            "seen": self._moments.uses,
            "steps": torch.tensor(self._steps),
        }

    @property
    def steps(self) -> int:
        """Steps done."""
        return self._steps

    @property
    def chance(self) -> dict[str, object]:
        """The state of the generator that thins texts."""
        return dict(self._rng.bit_generator.state)

    def restore(self, state: dict[str, torch.Tensor], chance: dict[str, object]) -> None:
        """Go on from a state: every later step is what it would have been."""
        self.vectors, moments = state["vectors"].clone(), self._moments
        moments.first, moments.second, moments.uses = (state[name].clone() for name in ("first", "second", "seen"))
        self._steps = int(state["steps"])
        self._rng.bit_generator.state = chance

    def _pieces_of(self, batch: Batch) -> tuple[Ints, NDArray[np.int32]]:
        """Row and id of every piece: queries first, then documents; thinned where both are one text."""
        same = batch.queries == batch.documents
        query_rows, query_pieces = self._texts.take(batch.queries)
        document_rows, document_pieces = self._texts.take(batch.documents)
        if same.any():
            shares = self._rng.uniform(*_QUERY_SHARES, len(same))
            kept = (self._rng.random(len(query_rows)) < shares[query_rows]) | ~same[query_rows]
            query_rows, query_pieces = query_rows[kept], query_pieces[kept]
            kept = (self._rng.random(len(document_rows)) < _DOCUMENT_SHARE) | ~same[document_rows]
            document_rows, document_pieces = document_rows[kept], document_pieces[kept]
        rows = np.concatenate([query_rows, document_rows + len(same)])
        return rows, np.concatenate([query_pieces, document_pieces])

    def _rate(self) -> float:
        """Linear warm-up, then half a cosine down to a fiftieth."""
        done = min(self._steps / (self._plan.steps + 1), 1.0)
        cosine = _LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + np.cos(np.pi * done))
        return float(self._plan.rate * min(1.0, self._steps / _WARM_UP) * cosine)


def contrastive_gradient(sums: torch.Tensor, scale: float) -> tuple[float, torch.Tensor]:
    """Symmetric InfoNCE (arXiv 1807.03748) with in-batch negatives, and its gradient, written out.

    Args:
        sums: sums of piece vectors, queries above documents, shape (2 x rows, dimensions); row i of the lower half
            is the document of query i.
        scale: factor of the cosine.

    Returns:
        The mean of the query-to-document and document-to-query losses, and its gradient by `sums`.
    """
    rows = len(sums) // 2
    norms = sums.norm(dim=1, keepdim=True).clamp(min=1e-6)
    unit = sums / norms
    queries, documents = unit[:rows], unit[rows:]
    scores = scale * (queries @ documents.T)
    forward, backward = torch.softmax(scores, dim=1), torch.softmax(scores, dim=0)
    hits = torch.log(forward.diagonal() + 1e-12) + torch.log(backward.diagonal() + 1e-12)
    by_scores = (forward + backward).mul_(0.5)
    by_scores.diagonal().sub_(1)
    by_scores.mul_(scale / rows)
    by_unit = torch.cat([by_scores @ documents, by_scores.T @ queries])
    gradient = (by_unit - (by_unit * unit).sum(dim=1, keepdim=True) * unit) / norms
    return float(-hits.mean() / 2), gradient


def train(corpus: Corpus, plan: Plan) -> tuple[Vectors, Tokenizer]:
    """Build the vocabulary and the start, and train; the same corpus and plan give the same vectors.

    Returns:
        Vectors of shape (pieces, dimensions), and the tokenizer.
    """
    candidates = make_candidates(corpus.aligned, corpus.questions)
    sample = balanced_sample(texts_by_language(candidates), plan.sample, _SAMPLE_TEMPER, plan.seed)
    _note(f"{counted(len(candidates.texts), 'texts')}; vocabulary from {len(sample):,} of them")
    tokenizer = train_tokenizer(sample, plan.pieces)
    pieces = tokenizer.get_vocab_size()
    texts = Ragged(*encode_ragged(tokenizer, candidates.texts))
    idf = inverse_document_frequency(texts.ids, texts.offsets, pieces)
    aligned = len(candidates.records)
    matrix = record_matrix(texts.ids[: texts.offsets[aligned]], texts.offsets[: aligned + 1], candidates.records, idf)
    latent = latent_directions(matrix, min(plan.latent, plan.dimensions), plan.seed)
    start = starting_vectors(idf, latent, plan.dimensions, plan.shared, plan.seed)
    batches = HybridBatches(
        monolingual_pairs(candidates, np.diff(texts.offsets), plan.thinned),
        candidates.crosslingual,
        candidates.languages,
        candidates.identities,
        BatchPlan(plan.alpha, plan.rows, plan.temper),
        plan.seed,
    )
    trainer = StaticTrainer(start, texts, plan)
    _run(trainer, iter(batches), plan.steps)
    return trainer.vectors.numpy(), tokenizer


def _run(trainer: StaticTrainer, batches: Iterator[Batch], steps: int) -> None:
    """Train, and say now and then how it goes: mean losses since the last word, rate, time left."""
    started = time.monotonic()
    losses: dict[str, list[float]] = {"X-X": [], "X-Y": []}
    for step in range(1, steps + 1):
        batch = next(batches)
        losses[batch.strategy].append(trainer.step(batch))
        if step % _REPORT_EVERY == 0 or step == steps:
            each = (time.monotonic() - started) / step
            means = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in losses.items() if values)
            left = each * (steps - step)
            _note(f"step {step}/{steps}: loss {means}; {1 / each:.2f} steps/s; {left / 60:.1f} min left")
            losses = {name: [] for name in losses}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    defaults = Plan()
    parser = argparse.ArgumentParser(prog="python -m xlir_bench.training.static", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and qa/")
    parser.add_argument("--output", type=Path, required=True, help="folder of the encoder")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--rows", type=int, default=defaults.rows, help="pairs per batch")
    parser.add_argument("--alpha", type=float, default=defaults.alpha, help="probability of an X-X batch")
    parser.add_argument("--pieces", type=int, default=defaults.pieces, help="size of the vocabulary")
    parser.add_argument("--dimensions", type=int, default=defaults.dimensions)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: all)")
    options = parser.parse_args(arguments)
    use_threads(options.threads)
    chosen = {name: getattr(options, name) for name in asdict(defaults) if hasattr(options, name)}
    plan = Plan(**chosen)
    started = time.monotonic()
    try:
        corpus = load_corpus(options.data)
        vectors, tokenizer = train(corpus, plan)
    except XlirError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    save_encoder(vectors, tokenizer, options.output)
    seconds = time.monotonic() - started
    scores = score(encoder_of(options.output), corpus.held_out_aligned, corpus.held_out_questions)
    write_record(options.output, {"plan": asdict(plan)}, corpus, seconds, scores)
    return 0


def _note(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
