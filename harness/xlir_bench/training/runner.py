"""One recipe, one run: read, train or go on training, finish.

    OUTPUT/training.json    the record; where it is, the run is finished
    OUTPUT/...              the model, as `xlir-bench run OUTPUT` takes it
    OUTPUT/.training/       checkpoints of a run that is not; removed at the end

A run that is cut off at any instant goes on from its newest checkpoint, to the same weights as one that was not.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import locked, remove_files, replacing
from xlir_bench.interrupts import keeps
from xlir_bench.progress import SILENT, Progress
from xlir_bench.training.diary import Diary
from xlir_bench.training.job import Job
from xlir_bench.training.recipe import Recipe, settings_of
from xlir_bench.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

    from xlir_bench.collection import Collection

RECORD = "training.json"
WORKSPACE = ".training"
_IDENTITY, _LOCK = "run.json", "lock"
_OF_WORKSPACE = re.compile(r"checkpoint-[0-9]+|\.?best|model|runs")
_MODEL_FILES = ("modules.json", "config.json", "submission.yaml")
_LIBRARIES = ("torch", "sentence-transformers", "transformers", "accelerate", "tokenizers", "numpy")


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        record: what `training.json` says.
        folder: where the model is.
        trained_now: False if an earlier run had finished it.
    """

    record: dict[str, Any]
    folder: Path
    trained_now: bool


def train(recipe: Recipe, output: Path, progress: Progress = SILENT) -> Trained:
    """Do what a recipe says, unless it is done.

    Args:
        recipe: from `read_recipe`.
        output: the model's folder.
        progress: called with the number of steps done, and the loss.

    Raises:
        InputError: the data do not fit the recipe, the held-out set is an evaluation suite, `output` holds something
            else, or another process is at work there.
        MissingResourceError: a file or a package is not here, or `output` cannot be written.
    """
    from xlir_bench.training.store import fingerprint, read_pairs
    from xlir_bench.training.strategies import RowBatches, Rows

    table = read_pairs(recipe.data_paths)
    held_out, looked_at = _held_out(recipe, table)
    data = fingerprint(table)
    run = recipe.fingerprint([data, *([looked_at] if looked_at else [])])
    finished = _finished(output, run)
    if finished is not None:
        _remove_workspace(output / WORKSPACE)
        return Trained(finished, output, trained_now=False)
    batches = RowBatches(Rows.of_table(table, recipe.negatives), recipe.row_plan(), recipe.seed)
    workspace = output / WORKSPACE
    with _ours(output, run):
        job = Job(recipe, table, data, batches, recipe.steps_over(table.num_rows), held_out, workspace, progress)
        diary = _fit(job)
        if not _first_process():
            return Trained({}, output, trained_now=True)
        record = _record(job, diary, {"data": data, "held_out": looked_at, "run": run})
        _publish(job.model, output, record)
    _remove_workspace(workspace)
    return Trained(record, output, trained_now=True)


def _fit(job: Job) -> Diary:
    with keeps("training goes on from its newest checkpoint when the same command is given again", job.has_checkpoint):
        return _fitted(job)


def _fitted(job: Job) -> Diary:
    if job.recipe.start.preset == "static":
        from xlir_bench.training import static_run

        return static_run.fit(job)
    from xlir_bench.training import transformer_run

    return transformer_run.fit(job)


def _held_out(recipe: Recipe, training: pa.Table) -> tuple[Collection | None, str | None]:
    """The set that early stopping looks at, and its fingerprint.

    Raises:
        InputError: it is a suite, or shares a group with the training pairs.
    """
    from xlir_bench.training.development import collection_of, refuse_suites
    from xlir_bench.training.store import fingerprint, read_pairs

    if not recipe.held_out_paths:
        return None, None
    table = read_pairs(recipe.held_out_paths)
    collection = collection_of(table)
    refuse_suites(recipe.held_out_paths, table, collection)
    shared = _records(table) & _records(training)
    if shared:
        dataset, group = min(shared)
        raise InputError(
            f"{recipe.held_out_paths[0]}: {len(shared):,} groups are trained on too ({group!r} of data set "
            f"{dataset!r}); held-out pairs are none of the training pairs"
        )
    return collection, fingerprint(table)


def _records(table: pa.Table) -> set[tuple[str, str]]:
    return set(zip(table.column("dataset").to_pylist(), table.column("group").to_pylist(), strict=True))


def _finished(output: Path, run: str) -> dict[str, Any] | None:
    """The record of this very run, if it is finished.

    Raises:
        InputError: the folder holds the model of another run, or one whose making is not recorded.
    """
    path = output / RECORD
    if path.is_file():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            known = record["fingerprint"]
        except (OSError, ValueError, KeyError, TypeError):
            known = None
        if known != run:
            raise InputError(f"{output}: holds the model of another run; give another --output, or remove the folder")
        return dict(record)
    if not (output / WORKSPACE).is_dir() and any((output / name).exists() for name in _MODEL_FILES):
        raise InputError(f"{output}: holds a model that was not trained here; give another --output")
    return None


@contextmanager
def _ours(output: Path, run: str) -> Iterator[None]:
    """The workspace, claimed for one run and, while it lasts, for one process.

    Raises:
        InputError: an unfinished run of another recipe or another process has it.
        MissingResourceError: the folder cannot be written.
    """
    workspace = output / WORKSPACE
    identity = workspace / _IDENTITY
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        lock = (workspace / _LOCK).open("wb")
    except OSError as error:
        raise MissingResourceError(f"cannot write {workspace}: {error.strerror}; choose another --output") from None
    with lock:
        if _first_process() and not locked(lock):
            raise InputError(f"{output}: another process is training there; wait for it, or give another --output")
        if identity.is_file():
            known = json.loads(identity.read_text(encoding="utf-8"))["run"]
            if known != run:
                raise InputError(
                    f"{output}: an unfinished run of another recipe is there; give another --output, or remove "
                    f"{workspace} to begin anew"
                )
        elif _first_process():
            with replacing(identity) as temporary:
                temporary.write_text(json.dumps({"run": run}), encoding="utf-8")
        yield


def _first_process() -> bool:
    """Whether this process is the only one of the run, or the one that writes."""
    import os

    return os.environ.get("RANK", "0") == "0"


def _record(job: Job, diary: Diary, fingerprints: dict[str, str | None]) -> dict[str, Any]:
    recipe, rows = job.recipe, job.batches.rows
    stopped = diary.looks[-1]["step"] if diary.given_up(recipe.early_stopping) else job.steps
    record: dict[str, Any] = {
        "recipe": settings_of(recipe),
        "fingerprint": fingerprints["run"],
        "data": {
            "fingerprint": fingerprints["data"],
            "rows": len(rows),
            "datasets": rows.dataset_names,
            "languages": rows.language_names,
            "origins": sorted(filter(None, job.table.column("origin").unique().to_pylist())),
        },
        "steps": stopped,
        "minutes": diary.minutes(),
        "losses": diary.losses,
        "versions": {"xlir-bench": __version__, **_versions()},
    }
    if job.held_out is not None:
        record["held_out"] = {
            "fingerprint": fingerprints["held_out"],
            "best_step": diary.best_step,
            "looks": diary.looks,
        }
    return record


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _publish(model: Path, output: Path, record: dict[str, Any]) -> None:
    """Move the model in, file by file, and say last that it is finished. Nothing else in the folder changes.

    Raises:
        InputError: a link, or something else than a folder, is where a folder of the model belongs, or the other way
            round. The finished model stays in the workspace.
    """
    files = [path for path in sorted(model.rglob("*")) if not path.is_dir()]
    for path in files:
        target = output / path.relative_to(model)
        folders = [folder for folder in target.parents if output in folder.parents]
        wrong = [folder for folder in folders if folder.is_symlink() or (folder.exists() and not folder.is_dir())]
        if wrong or target.is_dir():
            raise InputError(
                f"{(wrong or [target])[0]}: is in the place of a part of the model: move it away, and give the same "
                "command again, which only moves the model in"
            )
    for path in files:
        target = output / path.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    with replacing(output / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _remove_workspace(workspace: Path) -> None:
    """Remove what a run wrote into its workspace, and the workspace if nothing else is in it."""
    if workspace.is_symlink():
        return
    with suppress(OSError):
        for path in workspace.iterdir():
            if _OF_WORKSPACE.fullmatch(path.name) and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)  # does nothing to a link
        remove_files(workspace, {_IDENTITY, _LOCK}.__contains__)
        workspace.rmdir()
