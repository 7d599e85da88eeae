"""Recipes and grids: what is accepted, and the one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pair_stores import parallel, save

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.training.grid import read_grid
from xlir_bench.training.recipe import Recipe, read_recipe

BASE: dict[str, Any] = {"start": "static", "data": ["pairs.parquet"], "steps": 10}


def written(folder: Path, content: object, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def test_a_recipe_says_what_it_does_not_say_too(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, BASE))
    assert (recipe.strategy, recipe.alpha, recipe.seed, recipe.batch) == ("hybrid", 0.5, 1, 100)
    assert recipe.name == "recipe"
    assert recipe.data_paths == [tmp_path / "pairs.parquet"]


def test_the_papers_recipe_can_be_written_as_people_write_it(tmp_path: Path) -> None:
    text = """
start: xlm-r
data: [pairs.parquet]
strategy: hybrid
alpha: 0.5
lr: 3e-5
weight_decay: 1e-2
batch: 100
epochs: 1
prefixes: {query: "Query: ", document: "Passage: "}
"""
    recipe = read_recipe(written(tmp_path, text))
    assert recipe.lr == 3e-5
    assert recipe.start.preset == "xlm-r"
    assert recipe.steps_over(rows=25_000) == 250


def test_the_examples_are_recipes_and_grids() -> None:
    examples = Path(__file__).resolve().parents[2] / "recipes"
    assert read_recipe(examples / "xlm-r-hybrid.yaml").weight_decay == 0.01
    assert read_recipe(examples / "static-hybrid.yaml").start.preset == "static"
    assert len(read_grid(examples / "alpha-sweep.yaml").cells) == 18


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alfa": 0.5}, "alfa: Extra inputs are not permitted"),
        ({"alpha": 1.5}, "alpha: Input should be less than or equal to 1"),
        ({"alpha": "0.5"}, "alpha: Input should be a valid number"),
        ({"alpha": True}, "alpha: Input should be a valid number"),
        ({"batch": 1}, "batch: Input should be greater than or equal to 2"),
        ({"strategy": "x-x"}, "strategy: Input should be 'X-X', 'X-Y', 'hybrid'"),
        ({"strategy": "X-X", "alpha": 0.5}, "alpha belongs to the strategy hybrid"),
        ({"epochs": 2.0}, "give one of steps and epochs"),
        ({"steps": None}, "give one of steps and epochs"),
        ({"data": []}, "data: List should have at least 1 item"),
        ({"data": "pairs.parquet"}, "data: Input should be a valid list"),
        ({"start": "xlm-s"}, "start.preset: Input should be 'static', 'xlm-r'"),
        ({"start": {"hub": "a/b"}}, "start: hub and revision"),
        ({"start": {"hub": "a/b", "revision": "main"}}, "start.revision: String should match pattern"),
        ({"start": {"preset": "mbert", "folder": "x"}}, "start: give one of preset, hub and folder"),
        ({"start": "mbert", "static": {"pieces": 3000}}, "the part static belongs to `start: static`"),
        ({"loss": {"name": "triplet"}}, "loss.name: Input should be 'mnrl' or 'cached-mnrl'"),
        ({"weight_decay": 0.1, "precision": "bf16"}, "weight_decay, precision: not a setting of `start: static`"),
        ({"loss": {"symmetric": True}}, "loss.symmetric: not a setting of `start: static`"),
        ({"static": {"latent": 300, "dimensions": 64}}, "static: latent (300) is at most dimensions (64)"),
        ({"augmentation": {"level": "tribe"}}, "augmentation.level: Input should be 'genus' or 'family'"),
        ({"temper": 0.5, "augmentation": {}}, "give one"),
        ({"early_stopping": {"pairs": ["d"]}}, "early_stopping.every: Field required"),
        ({"place": "/"}, "place: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(written(tmp_path, {**BASE, **change}))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'recipe.yaml'}: not a recipe: ")
    assert said in message
    assert "\n" not in message


def test_a_file_that_is_no_recipe_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"recipe.yaml:2: not YAML"):
        read_recipe(written(tmp_path, "start: static\n  data: [\n"))
    with pytest.raises(InputError, match="fields such as `start: static` were expected"):
        read_recipe(written(tmp_path, "[1, 2]"))
    with pytest.raises(MissingResourceError, match="no such file"):
        read_recipe(tmp_path / "nowhere.yaml")


def of(change: dict[str, Any]) -> Recipe:
    return Recipe.model_validate({**BASE, **change})


def test_the_fingerprint_is_that_of_what_decides_the_weights() -> None:
    own = of({}).fingerprint(["data"])
    assert of({"alpha": 0.5, "name": "other", "data": ["copy.parquet"]}).fingerprint(["data"]) == own
    assert of({"checkpoints": {"every": 3}}).fingerprint(["data"]) == own
    for change in ({"seed": 2}, {"alpha": 0.4}, {"steps": 11}, {"strategy": "X-X"}, {"static": {"pieces": 3000}}):
        assert of(change).fingerprint(["data"]) != own
    assert of({}).fingerprint(["other data"]) != own


def test_the_fingerprint_of_a_start_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "config.json").write_text("{}")
    (tmp_path / "one" / "model.safetensors").write_bytes(b"weights")
    recipe = {**BASE, "start": {"folder": "one"}}
    before = read_recipe(written(tmp_path, recipe)).fingerprint([])
    (tmp_path / "one").rename(tmp_path / "two")
    recipe["start"] = {"folder": "two"}
    assert read_recipe(written(tmp_path, recipe)).fingerprint([]) == before
    (tmp_path / "two" / "model.safetensors").write_bytes(b"others")
    assert read_recipe(written(tmp_path, recipe)).fingerprint([]) != before


GRID: dict[str, Any] = {"base": BASE, "grid": {"alpha": [0, 1]}, "held_out": ["dev.parquet"]}


def test_a_grid_is_every_combination_with_every_seed(tmp_path: Path) -> None:
    fields = {"alpha": [0, 0.5], "static.shared": [0.0, 0.5]}
    grid = read_grid(written(tmp_path, {**GRID, "grid": fields, "seeds": [1, 2]}))
    settings = [(cell.recipe.alpha, cell.recipe.static.shared, cell.recipe.seed) for cell in grid.cells]
    assert settings == [(alpha, shared, seed) for alpha in (0, 0.5) for shared in (0.0, 0.5) for seed in (1, 2)]
    assert len({cell.name for cell in grid.cells}) == 8


def test_strategies_without_alpha_stand_once_in_a_product_with_alphas(tmp_path: Path) -> None:
    fields = {"strategy": ["X-X", "hybrid"], "alpha": [0.25, 0.5]}
    grid = read_grid(written(tmp_path, {**GRID, "grid": fields}))
    assert [cell.varied for cell in grid.cells] == [
        {"strategy": "X-X"},
        {"strategy": "hybrid", "alpha": 0.25},
        {"strategy": "hybrid", "alpha": 0.5},
    ]


def test_null_takes_a_field_of_the_base_out(tmp_path: Path) -> None:
    base = {**BASE, "augmentation": {"within_family": 0.5}}
    grid = read_grid(written(tmp_path, {**GRID, "base": base, "grid": {"augmentation": [None, {"fill": 5}]}}))
    assert [cell.recipe.augmentation is None for cell in grid.cells] == [True, False]


def test_a_base_in_a_file_keeps_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    written(tmp_path / "recipes", BASE)
    grid = read_grid(written(tmp_path, {**GRID, "base": "recipes/recipe.yaml"}))
    assert grid.cells[0].fields["data"] == [str(tmp_path / "recipes" / "pairs.parquet")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"suite": "xquad-r"}, "give one of suite and held_out"),
        ({"held_out": []}, "give one of suite and held_out"),
        ({"grid": {}}, "a single recipe needs no sweep"),
        ({"grid": {"seed": [1]}}, "seeds have a field of their own"),
        ({"grid": {"alpha": []}}, "grid.alpha"),
        ({"grid": {"alpha": [2]}}, "alpha: Input should be less than or equal to 1"),
        ({"grid": {"static.piece": [3000]}}, "static.piece: Extra inputs"),
        ({"base": "nowhere.yaml"}, "no such file"),
    ],
)
def test_a_grid_with_a_fault_trains_nothing(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    save(tmp_path / "pairs.parquet", parallel(3))
    with pytest.raises((InputError, MissingResourceError)) as caught:
        read_grid(written(tmp_path, {**GRID, **change}, "grid.yaml"))
    assert said in str(caught.value)
