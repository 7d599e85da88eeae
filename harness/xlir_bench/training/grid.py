"""The grid: many recipes declared as one.

    base: recipe.yaml                  # or the fields themselves
    grid:
      alpha: [0, 0.25, 0.5, 0.75, 1]   # every combination; a part's field is written part.field
    also:
      - {strategy: contrastive}        # settings outside the combinations
    seeds: [1, 2, 3]
    suite: xquad-r                     # or held_out: [dev.parquet]

Every recipe of a grid is checked before the first is trained.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from xlir_bench.errors import InputError, first_problem
from xlir_bench.training.recipe import Recipe, recipe_of
from xlir_bench.yaml_files import read_yaml

Varied = dict[str, Any]
"""What sets one setting of the grid apart from the base: field -> value."""


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None
    base: str | dict[str, Any]
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    also: list[Varied] = []
    seeds: Annotated[list[int], Field(min_length=1)] = [1]
    suite: str | None = None
    languages: list[str] | None = None
    held_out: list[str] = []
    precision_at: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> _Declared:
        if (self.suite is None) != bool(self.held_out):
            raise ValueError("give one of suite and held_out, what the encoders are measured on")
        if not self.grid and not self.also:
            raise ValueError("give grid, also, or both: a single recipe needs no sweep")
        if "seed" in self.grid or any("seed" in varied for varied in self.also):
            raise ValueError("seeds have a field of their own: seeds")
        if self.languages is not None and self.suite is None:
            raise ValueError("languages belongs to suite")
        return self


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes:
        varied: what sets its setting apart.
        seed: of the run.
        recipe: all of it.
        fields: the recipe as it was declared.
        name: of its folder; a change of any setting changes it.
    """

    varied: Varied
    seed: int
    recipe: Recipe
    fields: dict[str, Any]
    name: str

    @property
    def label(self) -> str:
        """How its setting is called in a figure."""
        return ", ".join(f"{field.rpartition('.')[2]} {value}" for field, value in self.varied.items()) or "base"


@dataclass(frozen=True)
class Grid:
    """A sweep.

    Attributes:
        name: for its folder.
        cells: all runs, setting by setting.
        fields: the fields that vary, without the seed.
        suite: what is measured on; None where it is held-out pairs.
        languages: of the suite.
        held_out: pair stores.
        precision_at: the k of precision@k.
    """

    name: str
    cells: tuple[Cell, ...]
    fields: tuple[str, ...]
    suite: str | None
    languages: tuple[str, ...] | None
    held_out: tuple[Path, ...]
    precision_at: int


def read_grid(path: Path) -> Grid:
    """The grid in a file, every recipe of it checked.

    Raises:
        MissingResourceError: there is no such file, or no such base.
        InputError: it is no grid, or a combination is no recipe; the message names the field.
    """
    content = read_yaml(path, numbers=True)
    try:
        declared = _Declared.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: not a grid: {first_problem(error)}") from None
    base_path = path
    base: object = declared.base
    if isinstance(base, str):
        base_path = path.parent / base
        base = read_yaml(base_path, numbers=True)
    if not isinstance(base, dict):
        raise InputError(f"{base_path}: not a recipe: fields such as `start: static` were expected")
    cells: dict[str, Cell] = {}
    for varied in _combinations(declared):
        for seed in declared.seeds:
            cell = _cell(base, varied, seed, base_path)
            cells.setdefault(cell.name, cell)
    fields = dict.fromkeys(field for cell in cells.values() for field in cell.varied)
    return Grid(
        declared.name or re.sub(r"[^\w.-]+", "-", path.stem),
        tuple(cells.values()),
        tuple(fields),
        declared.suite,
        tuple(declared.languages) if declared.languages else None,
        tuple(path.parent / name for name in declared.held_out),
        declared.precision_at,
    )


def _combinations(declared: _Declared) -> list[Varied]:
    product = [dict(zip(declared.grid, values, strict=True)) for values in itertools.product(*declared.grid.values())]
    return [*(product if declared.grid else []), *declared.also]


def _cell(base: dict[str, Any], varied: Varied, seed: int, path: Path) -> Cell:
    fields: dict[str, Any] = deepcopy(base)
    for field, value in varied.items():
        _put(fields, field, value)
    fields["seed"] = seed
    fields.pop("name", None)
    if fields.get("strategy", "hybrid") != "hybrid" and "alpha" in fields:
        # In a product of strategies and alphas, alpha says nothing about the others: one run stands for all.
        del fields["alpha"]
        varied = {field: value for field, value in varied.items() if field != "alpha"}
    shown = "_".join(f"{field.rpartition('.')[2]}-{value}" for field, value in {**varied, "seed": seed}.items())
    recipe = recipe_of(fields, path)
    settings = recipe.model_dump(mode="json", exclude={"name"})
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    name = re.sub(r"[^\w.-]+", "-", shown)[:80] + f"-{digest}"
    absolute = {"data": [str(one.resolve()) for one in recipe.data_paths], "name": name}
    if recipe.early_stopping is not None:
        fields["early_stopping"]["pairs"] = [str(one.resolve()) for one in recipe.held_out_paths]
    if recipe.start.folder is not None:
        fields["start"]["folder"] = str((recipe.place / recipe.start.folder).resolve())
    return Cell(varied, seed, recipe, {**fields, **absolute}, name)


def _put(fields: dict[str, Any], field: str, value: object) -> None:
    """Set a field, in a part if its name has a dot; null takes it out."""
    *parts, last = field.split(".")
    for part in parts:
        inner = fields.get(part)
        fields[part] = inner if isinstance(inner, dict) else {}
        fields = fields[part]
    if value is None:
        fields.pop(last, None)
    else:
        fields[last] = value
