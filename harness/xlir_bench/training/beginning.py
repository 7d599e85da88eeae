"""Where a transformer starts: the weights that a recipe names, as a `SentenceTransformer` to be trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlir_bench.encoders import Options
from xlir_bench.encoders.checkpoint import Foreign, Settings, loading, package
from xlir_bench.encoders.converted import safe_weights
from xlir_bench.encoders.hub import snapshot
from xlir_bench.encoders.manifest import FILE, read
from xlir_bench.errors import InputError
from xlir_bench.resources import folder as package_folder
from xlir_bench.training.recipe import PRESETS, Pooling, Recipe

TOLD = ("m2m100", "xlm")
"""Adapters of models that are told the language of a text."""

_BY_TYPE = {"m2m_100": "m2m100", "xlm": "xlm"}
_WHO = "training"


@dataclass(frozen=True)
class Beginning:
    """What a recipe starts from.

    Attributes:
        folder: the weights.
        adapter: how they are read.
        pooling: how token vectors become one; None is the model's own, or mean.
        max_length: tokens after which a text is cut; None is the model's own.
    """

    folder: Path
    adapter: str
    pooling: Pooling | None
    max_length: int | None


def beginning_of(recipe: Recipe) -> Beginning:
    """The weights that a recipe names, fetched if they are not here.

    Raises:
        InputError: the folder is no model.
        MissingResourceError: the weights are not here and cannot be fetched.
    """
    start = recipe.start
    if start.preset is not None:
        declared = read(package_folder("submissions") / PRESETS[start.preset] / FILE)
        folder = snapshot(declared.source.hub or "", declared.source.revision, Options())
        own: Pooling | None = None
        match declared.pooling:
            case "mean" | "mean-of-text" | "cls":
                own = declared.pooling
        return Beginning(folder, declared.adapter, start.pooling or own, start.max_length or declared.max_length)
    if start.hub is not None:
        folder = snapshot(start.hub, start.revision, Options())
    else:
        folder = recipe.place / (start.folder or "")
    if not folder.is_dir():
        raise InputError(f"start.folder: there is no folder {folder}")
    return Beginning(folder, start.adapter or _adapter_of(folder), start.pooling, start.max_length)


def load(beginning: Beginning) -> Foreign:
    """The model, on the CPU; only safetensors are read, and no code that comes with it runs.

    Raises:
        InputError: it cannot be loaded, or has no such pooling.
        MissingResourceError: a package is not installed.
    """
    folder = beginning.folder
    package("accelerate", _WHO, "pip install 'xlir-bench[train]'")
    package("datasets", _WHO, "pip install 'xlir-bench[train]'")
    library = package("sentence_transformers", _WHO)
    if beginning.adapter in TOLD:
        from xlir_bench.training.told import ToldLanguage

        told = ToldLanguage(folder, beginning.adapter, beginning.pooling, beginning.max_length)
        return library.SentenceTransformer(modules=[told], device="cpu", similarity_fn_name="cosine")
    weights = safe_weights(folder, Settings())
    with loading(folder, "sentence-transformers"):
        if beginning.adapter == "sentence-transformers":
            if beginning.pooling is not None:
                raise InputError(f"{folder}: pooling is part of a sentence-transformers model; leave it out")
            model = library.SentenceTransformer(str(weights), device="cpu", local_files_only=True)
        else:
            model = library.SentenceTransformer(
                modules=_modules(weights, beginning.pooling), device="cpu", similarity_fn_name="cosine"
            )
    if beginning.max_length is not None:
        model.max_seq_length = beginning.max_length
    return model


def _modules(folder: Path, pooling: Pooling | None) -> list[Any]:
    parts = package("sentence_transformers.sentence_transformer.modules", _WHO)
    if pooling == "mean-of-text":
        raise InputError("start.pooling: mean-of-text leaves out a language token, which this model has not")
    options = {"use_safetensors": True, "local_files_only": True}
    transformer = parts.Transformer(
        str(folder),
        model_kwargs=options,
        processor_kwargs={"local_files_only": True},
        config_kwargs={"local_files_only": True},
    )
    return [transformer, parts.Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling or "mean")]


def _adapter_of(folder: Path) -> str:
    if (folder / "modules.json").is_file():
        return "sentence-transformers"
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"start.folder: {folder} is no model: it has neither modules.json nor config.json") from None
    return _BY_TYPE.get(config.get("model_type", ""), "transformers")
