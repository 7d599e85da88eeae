"""From what the user typed to a model that can be measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from xlir_bench.encoders import bm25, random_encoder, sentence_transformer, transformer
from xlir_bench.encoders.adapters import ADAPTERS
from xlir_bench.encoders.checkpoint import Settings, check_device_name, fingerprint, pick_device, size_of
from xlir_bench.encoders.protocol import Model, ModelInfo
from xlir_bench.errors import InputError, unknown_name
from xlir_bench.resources import folder as package_folder

MANIFEST = "submission.yaml"

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FACTORY = re.compile(r"(?P<place>.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")
_BASELINES: dict[str, Callable[[str], Model]] = {"random": random_encoder.load, "bm25": bm25.load}


@dataclass(frozen=True)
class _Checkpoint:
    """A model in a folder, not loaded yet."""

    folder: Path
    adapter: str
    settings: Settings = field(default_factory=Settings)
    revision: str | None = None
    details: tuple[tuple[str, object], ...] = ()


def resolve(model_id: str, device: str | None = None) -> Model:
    """The model that `model_id` names, loaded.

    The first that fits decides:

    1. `bm25`, `random` or `random:SEED`: the baselines;
    2. the name of a submission that comes with the package (`bundled()`);
    3. a folder: with a `submission.yaml`, with a `modules.json` (sentence-transformers) or with a `config.json`
       (transformers, mean pooling);
    4. `FILE.py:FACTORY` or `PACKAGE.MODULE:FACTORY` (see `encoders.factory`);
    5. `ORGANISATION/NAME`: a repository of the Hugging Face hub, or its copy in the hub's local cache.

    Args:
        model_id: as typed.
        device: "cpu", "cuda", "cuda:1", "mps"; the best there is if none is given.

    Raises:
        InputError: nothing answers to the name, the model cannot be used, or there is no such device.
        MissingResourceError: the model is not on this machine and cannot be fetched, or a package is not installed.
    """
    check_device_name(device)
    baseline = _BASELINES.get(model_id) or (random_encoder.load if model_id.startswith("random:") else None)
    if baseline is not None:
        return baseline(model_id)
    if model_id in bundled():
        checkpoint = _declared(package_folder("submissions") / model_id)
        return _load(model_id, checkpoint, device, model_id)
    if model_id and Path(model_id).is_dir():
        folder = Path(model_id)
        return _load(model_id, _in_folder(folder), device, f"{_safe(folder.resolve().name)}-{{fingerprint}}")
    if match := _FACTORY.fullmatch(model_id):
        from xlir_bench.encoders import factory

        return factory.load(model_id, match["place"], match["name"], device)
    if not _HUB_ID.fullmatch(model_id):
        if "/" in model_id or model_id.endswith(".py"):
            raise InputError(
                f"no model at {model_id!r}: give a folder with weights, FILE.py:FACTORY, or ORGANISATION/NAME of a "
                "hub model"
            )
        known = [*bundled(), *_BASELINES]
        hint = f"known: {', '.join(known)}; or give a folder, FILE.py:FACTORY, or ORGANISATION/NAME of the hub"
        raise unknown_name("model", model_id, known, hint)
    return _load(model_id, _from_hub(model_id, None), device, model_id.replace("/", "__"))


def bundled() -> list[str]:
    """Names of the submissions that come with the package, sorted."""
    folder = package_folder("submissions")
    return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))


def _in_folder(folder: Path) -> _Checkpoint:
    if (folder / MANIFEST).is_file():
        return _declared(folder)
    return _Checkpoint(folder, _kind(folder, str(folder)))


def _declared(folder: Path) -> _Checkpoint:
    """What the folder's manifest declares."""
    from xlir_bench.encoders import manifest

    declared = manifest.read(folder / MANIFEST)
    details: tuple[tuple[str, object], ...] = (
        ("licence", declared.licence),
        ("languages", declared.languages.model_dump(mode="json", by_alias=True)),
        ("trained_on", list(declared.trained_on)),
    )
    if declared.source.hub is not None:
        found = _from_hub(declared.source.hub, declared.source.revision)
        return _Checkpoint(found.folder, declared.adapter, declared.settings(), found.revision, details)
    weights = folder / (declared.source.folder or ".")
    if not weights.is_dir():
        raise InputError(f"{folder / MANIFEST}: source.folder: there is no folder {weights}")
    return _Checkpoint(weights, declared.adapter, declared.settings(), None, details)


def _from_hub(hub_id: str, revision: str | None) -> _Checkpoint:
    from xlir_bench.encoders import hub

    folder = hub.snapshot(hub_id, revision)
    # The hub's cache names a snapshot's folder after its commit.
    return _Checkpoint(folder, _kind(folder, hub_id), revision=folder.name)


def _kind(folder: Path, what: str) -> str:
    if (folder / "modules.json").is_file():
        return sentence_transformer.NAME
    if (folder / "config.json").is_file():
        return transformer.NAME
    raise InputError(f"{what} is no model: it has none of {MANIFEST}, modules.json and config.json")


def _load(model_id: str, checkpoint: _Checkpoint, device: str | None, name: str) -> Model:
    """Load a checkpoint.

    Args:
        model_id: as typed.
        checkpoint: what to load.
        device: as typed.
        name: for `ModelInfo.name`; `{fingerprint}` in it becomes the first 8 digits.
    """
    loaded = ADAPTERS[checkpoint.adapter](checkpoint.folder, checkpoint.settings, pick_device(device))
    digest = fingerprint(checkpoint.folder, checkpoint.adapter, loaded)
    details = {**loaded.choices, **loaded.details, "bytes": size_of(checkpoint.folder), **dict(checkpoint.details)}
    info = ModelInfo(
        id=model_id,
        name=name.replace("{fingerprint}", digest[:8]),
        fingerprint=digest,
        revision=checkpoint.revision,
        prompts=loaded.prompts,
        similarity=loaded.similarity,
        details=details,
    )
    return Model(info, loaded.encoder)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name) or "model"
