"""`start: static`: the static encoder from a pair store, with checkpoints.

Vocabulary, pieces of all texts and latent directions follow from the data and the size settings alone, not from seed or
strategy: they are kept in the cache, and the runs of a sweep share them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from xlir_bench.files import cache_folder, remove_folder
from xlir_bench.progress import Stage
from xlir_bench.training.batches import Ints
from xlir_bench.training.development import EncodeRole, score
from xlir_bench.training.diary import Diary
from xlir_bench.training.export import save_encoder
from xlir_bench.training.heldout import Embeddings
from xlir_bench.training.job import DIARY, Job, checkpoints, forget_old
from xlir_bench.training.recipe import Static
from xlir_bench.training.start import (
    Vectors,
    inverse_document_frequency,
    latent_directions,
    record_matrix,
    starting_vectors,
)
from xlir_bench.training.static import Plan, Ragged, StaticTrainer
from xlir_bench.training.strategies import Rows
from xlir_bench.training.vocabulary import balanced_sample, encode_ragged, train_tokenizer

_SAMPLE_TEMPER = 0.4
_SCHEME = 1  # to be raised when the same data come to give another vocabulary or other directions
_STATE, _CHANCE = "state.safetensors", "chance.json"


@dataclass(frozen=True)
class Prepared:
    """What training starts with.

    Attributes:
        tokenizer: the vocabulary.
        texts: the rows' texts as pieces.
        idf: inverse document frequency, shape (pieces,).
        latent: latent directions, shape (pieces, latent dimensions).
    """

    tokenizer: Tokenizer
    texts: Ragged
    idf: Vectors
    latent: Vectors


def fit(job: Job) -> Diary:
    """Train, or go on training, and write the model to `job.model`."""
    settings, seed = job.recipe.static, job.recipe.seed
    stage = job.progress.stage("preparing vocabulary", 1, "vocabulary")
    prepared = prepare(job.batches.rows, settings, job.data)
    stage.advance()
    start = starting_vectors(prepared.idf, prepared.latent, settings.dimensions, settings.shared, seed)
    plan = Plan(
        steps=job.steps, rows=job.recipe.batch, rate=job.recipe.highest_rate, scale=job.recipe.loss.scale, seed=seed
    )
    trainer = StaticTrainer(start, prepared.texts, plan)
    diary, done = _resumed(job, trainer)
    stage = job.progress.stage("training", job.steps, "steps")
    stage.advance(done)
    _run(job, trainer, prepared.tokenizer, diary, stage)
    vectors = trainer.vectors.numpy()
    if job.recipe.early_stopping is not None:
        vectors = load_file(job.best / _STATE)["vectors"].numpy()
    save_encoder(vectors, prepared.tokenizer, job.model)
    return diary


def _run(job: Job, trainer: StaticTrainer, tokenizer: Tokenizer, diary: Diary, stage: Stage) -> None:
    rule = job.recipe.early_stopping
    if diary.given_up(rule):
        return
    for step in range(trainer.steps + 1, job.steps + 1):
        batch = job.batches.batch(step - 1)
        diary.note_loss(batch.kind, trainer.step(job.batches.pairs_of(batch)))
        stage.advance()
        if step % job.report_every == 0 or step == job.steps:
            stage.note(diary.enter_losses(step))
        if job.due_for_look(step) and job.held_out is not None:
            scores = score(encoder_of(trainer.vectors, tokenizer), job.held_out)
            if diary.look(step, scores):
                _keep({"vectors": trainer.vectors}, job.best)
        stop = diary.given_up(rule)
        if step % job.checkpoint_every == 0 or step == job.steps or stop:
            _checkpoint(job, trainer, diary, step)
        if stop:
            return


def prepare(rows: Rows, settings: Static, data: str) -> Prepared:
    """Vocabulary, pieces and latent directions, from the cache where an earlier run left them there.

    Args:
        rows: of the pair store.
        settings: pieces, sample and latent decide.
        data: the store's fingerprint.
    """
    decisive = [_SCHEME, data, settings.pieces, settings.sample, settings.latent]
    key = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:24]
    kept = cache_folder() / "training" / key
    if not (kept / "tensors.safetensors").is_file():
        _keep_prepared(_prepare(rows, settings), kept)
    tensors = {name: tensor.numpy() for name, tensor in load_file(kept / "tensors.safetensors").items()}
    texts = Ragged(tensors["ids"], tensors["offsets"])
    return Prepared(Tokenizer.from_file(str(kept / "tokenizer.json")), texts, tensors["idf"], tensors["latent"])


def _prepare(rows: Rows, settings: Static) -> Prepared:
    texts = rows.texts.to_pylist()
    by_language: dict[str, list[str]] = {name: [] for name in rows.language_names}
    for text, language in zip(texts, rows.languages.tolist(), strict=True):
        by_language[rows.language_names[language]].append(text)
    tokenizer = train_tokenizer(balanced_sample(by_language, settings.sample, _SAMPLE_TEMPER, 0), settings.pieces)
    ragged = Ragged(*encode_ragged(tokenizer, texts))
    idf = inverse_document_frequency(ragged.ids, ragged.offsets, tokenizer.get_vocab_size())
    members, records = _records(rows)
    if not len(members):
        return Prepared(tokenizer, ragged, idf, np.zeros((len(idf), 1), dtype=np.float32))
    lengths = np.diff(ragged.offsets)[members]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    ids = ragged.ids[np.repeat(ragged.offsets[members], lengths) + within]
    matrix = record_matrix(ids, offsets, records, idf)
    latent = latent_directions(matrix, min(settings.latent, *matrix.shape), seed=0)
    return Prepared(tokenizer, ragged, idf, latent)


def _records(rows: Rows) -> tuple[Ints, Ints]:
    """The texts of groups that have several languages, and the group of each, numbered from 0; once per group."""
    across = rows.languages[rows.queries] != rows.languages[rows.documents]
    groups = np.concatenate([rows.groups[across]] * 2)
    texts = np.concatenate([rows.queries[across], rows.documents[across]])
    both = np.unique(np.stack([groups, texts], axis=1), axis=0)
    _, records = np.unique(both[:, 0], return_inverse=True)
    return both[:, 1].astype(np.int64), records.astype(np.int64)


def encoder_of(vectors: torch.Tensor, tokenizer: Tokenizer) -> EncodeRole:
    """The encoder in training: means of the vectors of a text's pieces."""

    def encode(texts: Sequence[str], languages: Sequence[str], *, query: bool) -> Embeddings:
        ids, offsets = encode_ragged(tokenizer, list(texts))
        pooled = torch.nn.functional.embedding_bag(
            torch.from_numpy(ids.astype(np.int64)), vectors, torch.from_numpy(offsets[:-1]), mode="mean"
        )
        found: NDArray[np.float32] = pooled.numpy()
        return found

    return encode


def _resumed(job: Job, trainer: StaticTrainer) -> tuple[Diary, int]:
    """The diary of the newest checkpoint, whose state the trainer takes on; and its step."""
    found = checkpoints(job.workspace)
    if not found:
        return Diary(), 0
    step, folder = found[-1]
    trainer.restore(load_file(folder / _STATE), json.loads((folder / _CHANCE).read_text(encoding="utf-8")))
    return Diary.read(folder / DIARY), step


def _checkpoint(job: Job, trainer: StaticTrainer, diary: Diary, step: int) -> None:
    folder = job.workspace / f"checkpoint-{step}"
    remove_folder(folder)
    folder.mkdir(parents=True)
    save_file(trainer.state(), folder / _STATE)
    (folder / _CHANCE).write_text(json.dumps(trainer.chance), encoding="utf-8")
    diary.write(folder / DIARY)
    forget_old(job.workspace, job.recipe.checkpoints.keep)


def _keep(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """Write tensors in the place of earlier ones, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / f".{_STATE}")
    (folder / f".{_STATE}").replace(folder / _STATE)


def _keep_prepared(prepared: Prepared, folder: Path) -> None:
    """Write to the cache; the tensors come last, and another run that writes the same is not in the way."""
    folder.mkdir(parents=True, exist_ok=True)
    own = f".{os.getpid()}"
    prepared.tokenizer.save(str(folder / f"{own}.json"))
    arrays = {
        "ids": prepared.texts.ids,
        "offsets": prepared.texts.offsets,
        "idf": prepared.idf,
        "latent": prepared.latent,
    }
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    save_file(tensors, folder / f"{own}.safetensors")
    (folder / f"{own}.json").replace(folder / "tokenizer.json")
    (folder / f"{own}.safetensors").replace(folder / "tensors.safetensors")
