"""The recipe of a two-path encoder, and the three stages in order.

    name: xlir-hybrid-minilm
    seed: 1
    distillation: {steps: 3000}
    hybrid: {alpha: 0.5, steps: 400}

What a finished stage made is kept in a working folder under the fingerprint of all that decided it: a run cut off goes
on with the first unfinished stage, and recipes that differ in `hybrid` alone share the distillation.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, processors
from transformers import BertModel

from xlir_bench.encoders.checkpoint import no_loading_bars
from xlir_bench.encoders.two_path import SPECIAL, TwoPath, packed_rows, tokenizer_of, unpacked_rows
from xlir_bench.errors import InputError, MissingResourceError, first_problem
from xlir_bench.files import replacing
from xlir_bench.progress import SILENT, Progress
from xlir_bench.training.batches import BatchPlan, HybridBatches, Ints, Pairs
from xlir_bench.training.corpus import Candidates, Corpus, make_candidates, monolingual_pairs
from xlir_bench.training.heldout import LANGUAGES
from xlir_bench.training.start import Vectors
from xlir_bench.training.static import Ragged
from xlir_bench.training.student.contextual import Contextual, lengths_of
from xlir_bench.training.student.distil import Distillation, distil, text_weights
from xlir_bench.training.student.hybrid import Hybrid, train_hybrid
from xlir_bench.training.student.start import Course, Lesson, lesson, uses_of_pieces, word_table
from xlir_bench.training.vocabulary import encode_ragged
from xlir_bench.yaml_files import read_yaml

_SCHEME = 1  # to be raised when the same recipe comes to give other weights
_LEAST_WEIGHT = 1e-3


class StudentRecipe(BaseModel):
    """Every setting; with data, teacher and static encoder it decides the weights.

    Attributes:
        name: of the encoder.
        seed: of everything random.
        distillation: the second stage.
        hybrid: the third.
        lexical_weight: share of the lexical path in the stored encoder, where it is not that of training. Weighing both
            paths anew costs no training, so this is chosen last, on held-out records.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    seed: Annotated[int, Field(ge=0)] = 1
    distillation: Distillation = Distillation()
    hybrid: Hybrid = Hybrid()
    lexical_weight: Annotated[float, Field(ge=0, le=1)] | None = None


def read_student_recipe(path: Path) -> StudentRecipe:
    """The recipe in a YAML file.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not a recipe; the message names the field.
    """
    try:
        return StudentRecipe.model_validate(read_yaml(path, numbers=True))
    except ValidationError as error:
        raise InputError(f"{path}: not a recipe: {first_problem(error)}") from None


@dataclass(frozen=True)
class Sources:
    """What a recipe is applied to.

    Attributes:
        corpus: records to train on and held-out ones.
        teacher: folder of the English encoder.
        static: folder of the static encoder that becomes the lexical path.
        work: folder where finished stages are kept.
    """

    corpus: Corpus
    teacher: Path
    static: Path
    work: Path


def train_student(recipe: StudentRecipe, sources: Sources, progress: Progress = SILENT) -> TwoPath:
    """Run the stages that are not done yet.

    Raises:
        MissingResourceError: the teacher or the static encoder is not there.
    """
    for folder in (sources.teacher, sources.static):
        if not (folder / "modules.json").is_file():
            raise MissingResourceError(f"{folder}: no sentence-transformers model (modules.json) here")
    candidates = make_candidates(sources.corpus.aligned, sources.corpus.questions)
    tokenizer = Tokenizer.from_file(str(sources.static / "tokenizer.json"))
    texts = Ragged(*encode_ragged(tokenizer, candidates.texts))
    with no_loading_bars():
        teacher = SentenceTransformer(str(sources.teacher), device="cpu", local_files_only=True)
        body = BertModel.from_pretrained(sources.teacher, add_pooling_layer=False, local_files_only=True)
    static = _static_vectors(sources.static)
    known = _kept_lesson(sources, teacher, candidates, progress)
    start = word_table(teacher, tokenizer, static, uses_of_pieces(candidates, texts, len(static)))
    path = Contextual(start, body)
    kept = sources.work / f"distilled-{_key(recipe, sources, candidates)}.safetensors"
    if not kept.is_file():
        main = np.array([int(name in LANGUAGES) for name in candidates.language_names])
        weights = text_weights(candidates, texts, known, recipe.distillation, main)
        stage = progress.stage("distilling", recipe.distillation.steps, "steps")
        distil(path, Course(texts, known, recipe.seed, stage), weights, recipe.distillation)
        _keep({"table": path.table, **{f"body.{n}": t for n, t in body.state_dict().items()}}, kept)
    tensors = load_file(kept)
    path.table.copy_(tensors["table"])
    body.load_state_dict({name.removeprefix("body."): t for name, t in tensors.items() if name.startswith("body.")})
    bag = torch.from_numpy(np.concatenate([static, np.zeros((len(SPECIAL), static.shape[1]), np.float32)]))
    if recipe.hybrid.steps:
        stored = torch.from_numpy(unpacked_rows(*packed_rows(bag.numpy())))
        course = Course(texts, known, recipe.seed, progress.stage("hybrid batches", recipe.hybrid.steps, "steps"))
        train_hybrid(path, course, stored, iter(_batches(candidates, lengths_of(texts), recipe)), recipe.hybrid)
    weight = recipe.lexical_weight
    return assembled(path, bag, tokenizer, recipe.hybrid.lexical_weight if weight is None else weight)


def assembled(path: Contextual, bag: torch.Tensor, tokenizer: Tokenizer, lexical_weight: float) -> TwoPath:
    """The encoder as it is used.

    Args:
        path: the contextual path.
        bag: the lexical path's table, shape (pieces, dimensions), zeros for special pieces.
        tokenizer: the static encoder's; special pieces are added to it.
        lexical_weight: share of the lexical path in a cosine.
    """
    tokenizer.add_special_tokens(list(SPECIAL))
    first, last, padding = (tokenizer.token_to_id(special) for special in SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SPECIAL[0]} $A {SPECIAL[1]}", special_tokens=[(SPECIAL[0], first), (SPECIAL[1], last)]
    )
    words = torch.nn.Embedding(len(path.table), path.table.shape[1], padding_idx=padding, _weight=path.table.clone())
    path.body.set_input_embeddings(words)
    path.body.config.vocab_size, path.body.config.pad_token_id = len(path.table), padding
    return TwoPath(tokenizer_of(tokenizer), path.body, bag, lexical_weight)


def _batches(candidates: Candidates, lengths: Ints, recipe: StudentRecipe) -> HybridBatches:
    """X-X and X-Y batches; a long pair is drawn more often than a short one, up to 30 pieces."""
    pairs = candidates.crosslingual
    wanted = np.array([1.0 if name in LANGUAGES else recipe.distillation.others for name in candidates.language_names])
    spoken = np.minimum(wanted[candidates.languages[pairs.queries]], wanted[candidates.languages[pairs.documents]])
    longer = np.minimum(np.minimum(lengths[pairs.queries], lengths[pairs.documents]), 30) / 10
    weights = np.maximum(pairs.weights * longer * spoken, _LEAST_WEIGHT)
    try:
        return _drawn(candidates, lengths, recipe, Pairs(pairs.queries, pairs.documents, pairs.groups, weights))
    except ValueError as error:
        raise InputError(f"the training data has too little for hybrid.alpha: {error}") from None


def _drawn(candidates: Candidates, lengths: Ints, recipe: StudentRecipe, crosslingual: Pairs) -> HybridBatches:
    plan = recipe.hybrid
    return HybridBatches(
        monolingual_pairs(candidates, lengths, plan.thinned),
        crosslingual,
        candidates.languages,
        candidates.identities,
        BatchPlan(plan.alpha, plan.rows, plan.temper),
        recipe.seed,
    )


def _static_vectors(folder: Path) -> Vectors:
    tensors = load_file(folder / "model.safetensors")
    if "embedding.weight" in tensors:
        return tensors["embedding.weight"].float().numpy()
    return (tensors["embeddings"].float() * tensors["weights"].float()[:, None]).numpy()


def _kept_lesson(sources: Sources, teacher: SentenceTransformer, candidates: Candidates, progress: Progress) -> Lesson:
    kept = sources.work / f"lesson-{_digest([_SCHEME, _file(sources.teacher), _texts(candidates)])}.safetensors"
    if not kept.is_file():
        made = lesson(teacher, candidates, progress)
        _keep({"vectors": made.vectors, "of_text": torch.from_numpy(made.of_text)}, kept)
    tensors = load_file(kept)
    return Lesson(tensors["vectors"], tensors["of_text"].numpy())


def _key(recipe: StudentRecipe, sources: Sources, candidates: Candidates) -> str:
    """What decides the distillation: everything before hybrid batches."""
    settings = recipe.distillation.model_dump(mode="json")
    weights = [_file(sources.teacher), _file(sources.static)]
    return _digest([_SCHEME, settings, recipe.seed, weights, _texts(candidates)])


def _texts(candidates: Candidates) -> str:
    digest = hashlib.sha256()
    for text, language, weight in zip(candidates.texts, candidates.languages, candidates.weights, strict=True):
        digest.update(f"{language} {weight} {text}\0".encode())
    return digest.hexdigest()


def _file(folder: Path) -> str:
    with (folder / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def _keep(tensors: dict[str, torch.Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary)
