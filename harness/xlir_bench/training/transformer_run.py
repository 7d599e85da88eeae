"""Every other start: sentence-transformers' trainer, with hybrid batches, exact resumption and early stopping."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from transformers import TrainerCallback, set_seed

from xlir_bench.encoders.checkpoint import no_loading_bars
from xlir_bench.errors import InputError
from xlir_bench.files import remove_folder
from xlir_bench.progress import Stage
from xlir_bench.training.beginning import TOLD, Beginning, beginning_of, load
from xlir_bench.training.development import EncodeRole, score
from xlir_bench.training.diary import Diary
from xlir_bench.training.heldout import Embeddings
from xlir_bench.training.job import DIARY, Job, checkpoints, forget_old
from xlir_bench.training.recipe import Loss, Recipe
from xlir_bench.training.sampler import Sampling, columns_of

_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
_OF_LIBRARY = ("modules.json", "config_sentence_transformers.json", "told.json", "README.md")


def fit(job: Job) -> Diary:
    """Train, or go on training, and write the model to `job.model`.

    Raises:
        InputError: the start cannot be loaded, or this machine cannot compute in the precision.
        MissingResourceError: the start or a package is not here.
    """
    with no_loading_bars():
        return _fit(job)


def _fit(job: Job) -> Diary:
    beginning = beginning_of(job.recipe)
    # A checkpoint may lack a layer that is not used here, such as BERT's pooler: it is made up, and by the seed.
    set_seed(job.recipe.seed)
    model = load(beginning)
    prefixes = job.recipe.prefixes
    model.prompts = {"query": prefixes.query, "document": prefixes.document}
    found = checkpoints(job.workspace)
    diary = Diary.read(found[-1][1] / DIARY) if found else Diary()
    stage = job.progress.stage("training", job.steps, "steps")
    stage.advance(found[-1][0] if found else 0)
    trainer = _trainer(job, model, beginning, diary, stage)
    if not diary.given_up(job.recipe.early_stopping):
        trainer.train(resume_from_checkpoint=str(found[-1][1]) if found else None)
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        _finish(job, model, beginning)
    return diary


def loss_of(settings: Loss, model: SentenceTransformer) -> torch.nn.Module:
    """The loss of a recipe: InfoNCE with in-batch negatives, per direction and averaged where it is symmetric."""
    directions = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    options: dict[str, Any] = {"scale": settings.scale, **(directions if settings.symmetric else {})}
    if settings.name == "cached-mnrl":
        found: torch.nn.Module = CachedMultipleNegativesRankingLoss(
            model, mini_batch_size=settings.mini_batch, **options
        )
        return found
    plain: torch.nn.Module = MultipleNegativesRankingLoss(model, **options)
    return plain


def arguments_of(job: Job) -> SentenceTransformerTrainingArguments:
    """The trainer's arguments that a recipe comes to.

    Raises:
        InputError: this machine cannot compute in the precision.
    """
    recipe = job.recipe
    if recipe.precision == "fp16" and not torch.cuda.is_available():
        raise InputError("precision: fp16 needs an accelerator; a CPU has fp32 and bf16")
    columns = ["query", "document", *(f"negative_{at}" for at in range(1, recipe.negatives + 1))]
    prefixes = {column: recipe.prefixes.query if column == "query" else recipe.prefixes.document for column in columns}
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(job.workspace),
        max_steps=job.steps,
        per_device_train_batch_size=recipe.batch,
        learning_rate=recipe.highest_rate,
        lr_scheduler_type=_SCHEDULES[recipe.schedule],
        warmup_steps=math.ceil(recipe.warmup * job.steps),
        weight_decay=recipe.weight_decay,
        seed=recipe.seed,
        bf16=recipe.precision == "bf16",
        fp16=recipe.precision == "fp16",
        prompts={column: prefix for column, prefix in prefixes.items() if prefix} or None,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        # Said expressly, for else several processes on a CPU would each train alone.
        use_cpu=not torch.accelerator.is_available(),
    )
    # One epoch: the trainer numbers batches within an epoch, and steps of all processes are dealt out of one stream.
    arguments.batch_sampler = Sampling(job.batches, length=job.steps * arguments.world_size)
    return arguments


def _trainer(job: Job, model: SentenceTransformer, beginning: Beginning, diary: Diary, stage: Stage) -> _Trainer:
    rows = columns_of(job.table, job.recipe.negatives)
    if beginning.adapter in TOLD:
        rows = _with_languages(rows, job)
    looks = _Looks(job, model, beginning, diary, stage)
    loss = loss_of(job.recipe.loss, model)
    trainer = _Trainer(model=model, args=arguments_of(job), train_dataset=rows, loss=loss, callbacks=[looks])
    trainer.remove_callback(_printer())
    trainer.job, trainer.diary = job, diary
    return trainer


class _Trainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """Notes the loss of every step; saves weights without a card, which would be about nothing yet."""

    job: Job
    diary: Diary

    def training_step(self, model: torch.nn.Module, inputs: Any, *given: Any) -> torch.Tensor:  # noqa: ANN401
        number = self.state.global_step * self.args.world_size + self.args.process_index
        loss: torch.Tensor = super().training_step(model, inputs, *given)
        self.diary.note_loss(self.job.batches.kind(number), float(loss))
        return loss

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: it would look through all texts."""

    def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(str(folder), create_model_card=False)


class _Looks(TrainerCallback):  # type: ignore[misc]
    """What happens after a step: progress, a look at the held-out set, a checkpoint."""

    def __init__(self, job: Job, model: SentenceTransformer, beginning: Beginning, diary: Diary, stage: Stage) -> None:
        self._job, self._model, self._diary, self._stage = job, model, diary, stage
        self._encode = encoder_of(model, job.recipe, beginning)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ANN401
        job, step = self._job, int(state.global_step)
        self._stage.advance()
        if step % job.report_every == 0 or step == job.steps:
            self._stage.note(self._diary.enter_losses(step))
        if job.due_for_look(step) and job.held_out is not None:
            gained = self._diary.look(step, score(self._encode, job.held_out))
            if gained and state.is_world_process_zero:
                _save_best(self._model, job.best)
        stop = self._diary.given_up(job.recipe.early_stopping)
        control.should_training_stop = control.should_training_stop or stop
        control.should_save = stop or step == job.steps or step % job.checkpoint_every == 0

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ANN401
        # The diary says that a checkpoint is complete, so every process has to have written its part.
        args.distributed_state.wait_for_everyone()
        if state.is_world_process_zero:
            self._diary.write(self._job.workspace / f"checkpoint-{state.global_step}" / DIARY)
            forget_old(self._job.workspace, self._job.recipe.checkpoints.keep)


def encoder_of(model: SentenceTransformer, recipe: Recipe, beginning: Beginning) -> EncodeRole:
    """The model in training as what the held-out set is encoded with."""

    def encode(texts: Sequence[str], languages: Sequence[str], *, query: bool) -> Embeddings:
        prefix = recipe.prefixes.query if query else recipe.prefixes.document
        model.eval()
        if beginning.adapter in TOLD:
            prefixed = [prefix + text for text in texts]
            vectors = model[0].encoder.encode(prefixed, role="query", languages=languages)
        else:
            vectors = model.encode(list(texts), prompt=prefix or None, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return encode


def _with_languages(rows: Any, job: Job) -> Any:  # noqa: ANN401  (datasets has no types)
    """Every text with its language; hard negatives are in their document's."""
    import pyarrow as pa
    from datasets import Dataset

    table = rows.data.table
    columns = {}
    for name in table.column_names:
        code = job.table.column("query_language" if name == "query" else "document_language").combine_chunks()
        text = table.column(name).combine_chunks().cast(pa.string())
        columns[name] = pa.StructArray.from_arrays([text, code], ["text", "language"])
    return Dataset(pa.table(columns))


def _save_best(model: SentenceTransformer, folder: Path) -> None:
    beside = folder.with_name(".best")
    remove_folder(beside)
    model.save_pretrained(str(beside), create_model_card=False)
    remove_folder(folder)
    beside.replace(folder)


def _finish(job: Job, model: SentenceTransformer, beginning: Beginning) -> None:
    """Write the model: the best one, where there were looks."""
    remove_folder(job.model)
    if job.best.is_dir():
        shutil.copytree(job.best, job.model)
    else:
        model.save_pretrained(str(job.model), create_model_card=False)
    if beginning.adapter in TOLD:
        _declare(job, model, beginning)


def _declare(job: Job, model: SentenceTransformer, beginning: Beginning) -> None:
    """Say in a manifest how the model is used; sentence-transformers alone could not load it."""
    import yaml

    for name in _OF_LIBRARY:
        (job.model / name).unlink(missing_ok=True)
    encoder, prefixes = model[0].encoder, job.recipe.prefixes
    name = (job.recipe.name or "trained").lower().strip("-._") or "trained"
    declared = {
        "name": name[:80],
        "source": {"folder": "."},
        "adapter": beginning.adapter,
        "pooling": encoder.pooling,
        "max_length": encoder.max_length,
        "prompts": {"query": prefixes.query, "document": prefixes.document},
        "similarity": "cosine",
        "licence": "that of the weights it started from",
        "trained_on": job.batches.rows.dataset_names,
    }
    text = yaml.safe_dump(json.loads(json.dumps(declared)), allow_unicode=True, sort_keys=False)
    (job.model / "submission.yaml").write_text(text, encoding="utf-8")


def _printer() -> type[TrainerCallback]:
    from transformers.trainer_callback import PrinterCallback

    found: type[TrainerCallback] = PrinterCallback
    return found
