"""What every kind of start is given to train with, and the folder that it works in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xlir_bench.collection import Collection
from xlir_bench.files import remove_folder
from xlir_bench.progress import Progress
from xlir_bench.training.diary import Diary
from xlir_bench.training.recipe import Recipe
from xlir_bench.training.strategies import RowBatches

if TYPE_CHECKING:
    import pyarrow as pa

DIARY = "diary.json"
_CHECKPOINT = "checkpoint-"
_LOSS_ENTRIES = 50


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        recipe: the settings.
        table: the training pairs.
        data: their fingerprint.
        batches: what the steps are made of.
        steps: how many.
        held_out: the set that early stopping looks at, if there is one.
        workspace: where checkpoints are kept; what stands there is ours.
        progress: called with the number of steps done.
    """

    recipe: Recipe
    table: pa.Table
    data: str
    batches: RowBatches
    steps: int
    held_out: Collection | None
    workspace: Path
    progress: Progress

    def has_checkpoint(self) -> bool:
        """Whether a run that is cut off now goes on from a checkpoint."""
        return bool(_checkpoints(self.workspace))

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""
        return self.recipe.checkpoints.every or max(1, -(-self.steps // 10))

    @property
    def report_every(self) -> int:
        """Steps between entries of the loss."""
        return max(1, self.steps // _LOSS_ENTRIES)

    @property
    def best(self) -> Path:
        """The model of the best look."""
        return self.workspace / "best"

    @property
    def model(self) -> Path:
        """The finished model."""
        return self.workspace / "model"

    def due_for_look(self, step: int) -> bool:
        """Whether the held-out set is looked at after this step."""
        rule = self.recipe.early_stopping
        return rule is not None and (step % rule.every == 0 or step == self.steps)


def checkpoints(workspace: Path) -> list[tuple[int, Path]]:
    """The complete checkpoints as (step, folder), oldest first; what a cut-off run left half written is removed.

    A checkpoint's diary is written last, so one that has a readable diary is complete.
    """
    found = []
    for folder in _checkpoints(workspace):
        try:
            Diary.read(folder / DIARY)
            found.append((int(folder.name.removeprefix(_CHECKPOINT)), folder))
        except (OSError, ValueError, TypeError):
            remove_folder(folder)
    return sorted(found)


def forget_old(workspace: Path, keep: int) -> None:
    """Remove all but the newest checkpoints."""
    for _, folder in checkpoints(workspace)[:-keep]:
        remove_folder(folder)


def _checkpoints(workspace: Path) -> list[Path]:
    """Folders that are called as a checkpoint is; what a person keeps as `checkpoint-before-tuning` is none."""
    named = workspace.glob(f"{_CHECKPOINT}*")
    return [path for path in named if path.name.removeprefix(_CHECKPOINT).isdecimal() and not path.is_symlink()]
