"""The recipe: one YAML file is one training run.

    start: static                      # or xlm-r, labse, mbert, m2m100, a folder or a hub model, see `Start`
    data: [pairs.parquet]              # pair stores, relative to the recipe
    strategy: hybrid                   # see `strategies`
    alpha: 0.5
    batch: 100
    steps: 1000                        # or epochs
    seed: 1

Every field is checked before anything is read, and an unknown one is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from xlir_bench.errors import InputError, first_problem
from xlir_bench.training.augmentation import Augmentation
from xlir_bench.training.strategies import RowPlan, StrategyName
from xlir_bench.yaml_files import read_yaml

Preset = Literal["static", "xlm-r", "labse", "mbert", "m2m100"]
Pooling = Literal["mean", "mean-of-text", "cls"]
PRESETS: dict[str, str] = {"xlm-r": "xlm-r", "labse": "labse", "mbert": "mbert", "m2m100": "m2m100-418m"}
"""The bundled submission whose manifest says where a preset's weights are and how they are used."""

_NOT_STATIC = ("schedule", "warmup", "weight_decay", "precision", "negatives", "prefixes")
_COMMIT = r"^[0-9a-f]{40}$"


class _Part(BaseModel):
    # Strict: a number in quotes or `alpha: true` is an error, not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Start(_Part):
    """The weights that training starts from.

    Attributes:
        preset: one by name; the other fields are then not given.
        hub: ORGANISATION/NAME of the Hugging Face hub, with `revision`.
        revision: a commit, so that the start cannot change.
        folder: a model's folder, relative to the recipe.
        adapter: how the weights are read. `xlm` takes XLM checkpoints, and MASS's encoder saved as one.
        pooling: how token vectors become one; a sentence-transformers folder has its own.
        max_length: tokens after which a text is cut.
    """

    preset: Preset | None = None
    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    revision: Annotated[str, Field(pattern=_COMMIT)] | None = None
    folder: str | None = None
    adapter: Literal["sentence-transformers", "transformers", "m2m100", "xlm"] | None = None
    pooling: Pooling | None = None
    max_length: Annotated[int, Field(ge=8)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Start:
        if sum(place is not None for place in (self.preset, self.hub, self.folder)) != 1:
            raise ValueError("give one of preset, hub and folder")
        if (self.hub is None) != (self.revision is None):
            raise ValueError("hub and revision, a commit of 40 hexadecimal digits, go together")
        if self.preset is not None and self.adapter is not None:
            raise ValueError("a preset knows its adapter")
        if self.preset == "static" and (self.pooling or self.max_length):
            raise ValueError("static has neither pooling nor max_length")
        return self


def _start(value: object) -> object:
    return {"preset": value} if isinstance(value, str) else value


class Prefixes(_Part):
    """What is put before each text, e.g. `Query: ` and `Passage: ` (arXiv 2408.10536)."""

    query: str = ""
    document: str = ""


class Loss(_Part):
    """The contrastive loss with in-batch negatives.

    Attributes:
        name: `mnrl` is sentence-transformers' MultipleNegativesRankingLoss, `cached-mnrl` its cached form, which takes
            batches of any size in the memory of `mini_batch` rows (arXiv 2101.06983).
        scale: factor of the cosine; the inverse of the temperature.
        symmetric: whether documents also look for their queries.
        mini_batch: rows encoded at a time by the cached form.
    """

    name: Literal["mnrl", "cached-mnrl"] = "mnrl"
    scale: Annotated[float, Field(gt=0)] = 20.0
    symmetric: bool = False
    mini_batch: Annotated[int, Field(ge=1)] = 32


class Checkpoints(_Part):
    """What an interrupted run goes on from.

    Attributes:
        every: steps; a tenth of the run if it is not given.
        keep: how many are kept on disk.
    """

    every: Annotated[int, Field(ge=1)] | None = None
    keep: Annotated[int, Field(ge=1)] = 1


class EarlyStopping(_Part):
    """Stop when a held-out set no longer gains, and keep the best weights.

    Attributes:
        pairs: pair stores, relative to the recipe; none may be an evaluation suite.
        every: steps from one look to the next.
        patience: looks without a gain after which training stops.
    """

    pairs: Annotated[list[str], Field(min_length=1)]
    every: Annotated[int, Field(ge=1)]
    patience: Annotated[int, Field(ge=1)] = 3


class Static(_Part):
    """The static encoder's own settings, see `static.Plan`.

    Attributes:
        dimensions: columns of the vectors.
        pieces: size of the vocabulary.
        sample: code points that the vocabulary is trained on.
        latent: dimensions of the latent semantic start, at most `dimensions`.
        shared: share of meaning in the start. The meaning is learnt from groups that have several languages, whatever
            the strategy: 0 starts from random directions, which know of no translation.
    """

    dimensions: Annotated[int, Field(ge=8)] = 256
    pieces: Annotated[int, Field(ge=2200)] = 20_000
    sample: Annotated[int, Field(ge=1000)] = 5_000_000
    latent: Annotated[int, Field(ge=1)] = 200
    shared: Annotated[float, Field(ge=0, le=1)] = 0.5

    @model_validator(mode="after")
    def _latent_fits(self) -> Static:
        if self.latent > self.dimensions:
            raise ValueError(f"latent ({self.latent}) is at most dimensions ({self.dimensions})")
        return self


class Recipe(_Part):
    """One training run.

    Attributes:
        name: for the record; the file's name if it is not given.
        start: a preset's name, or a `Start`.
        data: pair stores (see `store`), relative to the recipe.
        strategy: which rows make a batch, see `strategies`.
        alpha: probability of an X-X batch; belongs to `hybrid`.
        temper: an X-Y row's pair of languages is drawn in proportion to its rows to this power; 0 makes all equal.
        augmentation: languages by family and temperature instead, see `augmentation`.
        negatives: hard negatives used per row; every row needs as many.
        prefixes: put before queries and documents.
        seed: of everything random.
        steps: batches, of one process.
        epochs: instead of steps: passes over as many rows as the data has.
        batch: rows per batch.
        lr: highest learning rate; 2e-2 for static, else 3e-5.
        schedule: of the learning rate after warm-up.
        warmup: share of the steps in which the learning rate rises.
        weight_decay: of AdamW.
        precision: of the computation; weights stay in fp32.
        loss: see `Loss`.
        checkpoints: see `Checkpoints`.
        early_stopping: see `EarlyStopping`.
        static: see `Static`; belongs to the start `static`.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None
    start: Annotated[Start, BeforeValidator(_start)]
    data: Annotated[list[str], Field(min_length=1)]
    strategy: StrategyName = "hybrid"
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    temper: Annotated[float, Field(ge=0, le=1)] = 0.0
    augmentation: Augmentation | None = None
    negatives: Annotated[int, Field(ge=0)] = 0
    prefixes: Prefixes = Prefixes()
    seed: Annotated[int, Field(ge=0)] = 1
    steps: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[float, Field(gt=0, le=10**6)] | None = None
    batch: Annotated[int, Field(ge=2)] = 100
    lr: Annotated[float, Field(gt=0)] | None = None
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    loss: Loss = Loss()
    checkpoints: Checkpoints = Checkpoints()
    early_stopping: EarlyStopping | None = None
    static: Static = Static()
    place: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        given = self.model_fields_set
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give one of steps and epochs")
        if "alpha" in given and self.strategy != "hybrid":
            raise ValueError(f"alpha belongs to the strategy hybrid, not to {self.strategy}")
        if self.temper and self.augmentation is not None:
            raise ValueError("temper and augmentation.temperature say the same twice: give one")
        if self.start.preset == "static":
            self._check_static()
        elif "static" in given:
            raise ValueError("the part static belongs to `start: static`")
        return self

    def _check_static(self) -> None:
        given = self.model_fields_set
        foreign = [name for name in _NOT_STATIC if name in given]
        foreign += [f"loss.{name}" for name in sorted(self.loss.model_fields_set - {"scale"})]
        if foreign:
            raise ValueError(f"{', '.join(foreign)}: not a setting of `start: static`; leave it out")

    @property
    def data_paths(self) -> list[Path]:
        """The pair stores."""
        return [self.place / name for name in self.data]

    @property
    def held_out_paths(self) -> list[Path]:
        """The stores that decide when to stop."""
        return [self.place / name for name in (self.early_stopping.pairs if self.early_stopping else [])]

    @property
    def highest_rate(self) -> float:
        """The learning rate in force after warm-up."""
        return self.lr or (2e-2 if self.start.preset == "static" else 3e-5)

    def steps_over(self, rows: int) -> int:
        """Batches of the run, over data of so many rows."""
        return self.steps or max(1, round((self.epochs or 1.0) * rows / self.batch))

    def row_plan(self) -> RowPlan:
        """How rows become batches."""
        return RowPlan(self.strategy, self.alpha, self.batch, self.temper, self.augmentation)

    def fingerprint(self, data: list[str]) -> str:
        """SHA-256 of what decides the weights: every setting and the data's own fingerprints, but no path and no name.

        Args:
            data: fingerprints of the training rows, then of the held-out rows.
        """
        settings = settings_of(self)
        for name in ("name", "data", "checkpoints"):
            del settings[name]
        if settings["early_stopping"] is not None:
            del settings["early_stopping"]["pairs"]
        if self.start.folder is not None:
            settings["start"]["folder"] = _contents(self.place / self.start.folder)
        content = json.dumps({"settings": settings, "data": data}, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not YAML, or not a recipe; the message names the field.
    """
    return recipe_of(read_yaml(path, numbers=True), path)


def recipe_of(content: object, path: Path) -> Recipe:
    """The recipe that some fields declare.

    Args:
        content: what YAML gave.
        path: where it comes from, for messages and for relative paths.

    Raises:
        InputError: it is not a recipe.
    """
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a recipe: fields such as `start: static` were expected")
    try:
        recipe = Recipe.model_validate({key: value for key, value in content.items() if key != "place"})
    except ValidationError as error:
        raise InputError(f"{path}: not a recipe: {_placed(error)}") from None
    if "place" in content:
        raise InputError(f"{path}: not a recipe: place: Extra inputs are not permitted")
    return recipe.model_copy(update={"place": path.parent, "name": recipe.name or _name_of(path)})


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe as it is kept in a record: every setting that has a meaning for it, said or not."""
    settings = recipe.model_dump(mode="json")
    if recipe.strategy != "hybrid":
        del settings["alpha"]
    if recipe.start.preset == "static":
        for name in _NOT_STATIC:
            del settings[name]
        settings["loss"] = {"scale": recipe.loss.scale}
    else:
        del settings["static"]
    return {**settings, "lr": recipe.highest_rate}


def _placed(error: ValidationError) -> str:
    found = first_problem(error)
    # What the whole says has no field of its own; its message names the fields.
    return found.removeprefix("the document: ")


def _name_of(path: Path) -> str:
    return re.sub(r"[^\w.-]+", "-", path.stem) or "recipe"


def _contents(folder: Path) -> str:
    """SHA-256 of the files that decide a model's vectors."""
    from xlir_bench.encoders.weights import deciding_files

    if not folder.is_dir():
        raise InputError(f"start.folder: there is no folder {folder}")
    digest = hashlib.sha256()
    for path in deciding_files(folder):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
