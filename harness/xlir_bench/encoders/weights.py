"""The files of a model's folder: which of them decide its vectors, and which are safe to load.

sentence-transformers saves each module of a model in a folder of its own, as `modules.json` lists them, and a `Router`
among them saves its modules in further folders, as `router_config.json` lists those. All of them are looked at, however
deep.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from xlir_bench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xlir_bench.encoders.checkpoint import Backend, Settings

MODULES = "modules.json"
ROUTER = "router_config.json"

_WEIGHTS = ".safetensors"
_SAFE = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_NO_WEIGHTS = "training_args.bin"  # what transformers' Trainer leaves behind
_CODE = (".py",)
_DECIDING = (_WEIGHTS, ".json", ".txt", ".model", ".vocab", ".bpe", ".spm", ".jinja")
_EXPORTED: Mapping[Backend, tuple[str, ...]] = {
    "torch": (),
    "onnx": (".onnx", ".onnx_data"),
    "openvino": (".xml", ".bin"),
}
_ADAPTER = "adapter_config.json"


def read_json(path: Path) -> Any:  # noqa: ANN401  (whatever the file holds)
    """The content of a JSON file; None if there is no such file.

    Raises:
        InputError: it is not JSON.
    """
    try:
        return json.loads(path.read_text("utf-8")) if path.is_file() else None
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not JSON ({' '.join(str(error).split())})") from None


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object; an empty one if there is no such file.

    Raises:
        InputError: it is not JSON, or no object.
    """
    content = read_json(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: an object {{...}} was expected")
    return content


def module_types(folder: Path) -> list[tuple[str, Path]]:
    """Class and folder of every module of a sentence-transformers model, those inside Routers included.

    Args:
        folder: the model's.

    Returns:
        In the order of `modules.json`, a Router before its modules; empty where there is no `modules.json`.

    Raises:
        InputError: `modules.json` or `router_config.json` is not a list of modules, or a module lies elsewhere.
    """
    listing = folder / MODULES
    if not listing.is_file():
        return []
    try:
        modules = [(str(module["type"]), str(module["path"])) for module in json.loads(listing.read_text("utf-8"))]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{listing}: not a list of sentence-transformers modules ({error!r})") from None
    return [found for kind, place in modules for found in _with_routed(folder, folder, kind, _inside(listing, place))]


def _with_routed(root: Path, parent: Path, kind: str, place: str) -> Iterator[tuple[str, Path]]:
    """A module and, where it is a Router, its modules."""
    folder = parent / place
    listing = parent / MODULES if parent == root else parent / ROUTER
    if not folder.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{listing}: the module {place!r} lies outside the model's folder")
    yield kind, folder
    if kind.rpartition(".")[2] not in {"Router", "Asym"}:
        return
    # The file was called config.json before sentence-transformers 5.
    config = folder / (ROUTER if (folder / ROUTER).is_file() else "config.json")
    routed = read_object(config).get("types")
    if not isinstance(routed, dict):
        raise InputError(f"{config}: no `types` of the modules that the Router leads to")
    for name, inner in routed.items():
        yield from _with_routed(root, folder, str(inner), _inside(config, str(name)))


def _inside(listing: Path, place: str) -> str:
    """A relative path without `..`, as sentence-transformers requires it."""
    parts = PureWindowsPath(place)
    if parts.anchor or ".." in parts.parts or PurePosixPath(place).is_absolute():
        raise InputError(f"{listing}: the module {place!r} lies outside the model's folder")
    return place


def module_folders(folder: Path, any_code: bool = False) -> list[Path]:
    """The folders below `folder` that hold its modules, those inside Routers included.

    Args:
        folder: a model's.
        any_code: whether modules may be code that comes with the model.

    Raises:
        InputError: see `module_types`; or a module is code that is not sentence-transformers' own.
    """
    found = []
    for kind, place in module_types(folder):
        if not any_code and not kind.startswith("sentence_transformers."):
            raise InputError(
                f"{folder / MODULES}: module {kind} is code that comes with the model, which is not run: read it, then "
                "give --trust-remote-code"
            )
        if place != folder and place.is_dir() and place not in found:
            found.append(place)
    return found


def deciding_files(folder: Path, backend: Backend = "torch") -> list[Path]:
    """Weights, tokenizer, configuration and code of a model's folder, sorted by relative name.

    In each place pickled weights count where they would be loaded; exported ones where their backend computes.
    """
    files = [path for path in folder.iterdir() if path.is_file()]
    for module in module_folders(folder, any_code=True):
        files += [path for path in module.rglob("*") if path.is_file()]
    if _EXPORTED[backend] and (folder / backend).is_dir():
        files += [path for path in (folder / backend).iterdir() if path.is_file()]
    ends = (*_DECIDING, *_CODE, *_EXPORTED[backend])
    pickled = {place / name for place in {path.parent for path in files} for name in _pickled(place)}
    kept = {path for path in files if path.name.lower().endswith(ends) or path in pickled}
    kept -= {path for path in kept if path.name == _NO_WEIGHTS}
    return sorted(kept, key=lambda path: path.relative_to(folder).as_posix())


def _pickled(place: Path) -> list[str]:
    """The files of one folder that would be unpickled, sorted: those that no safetensors file takes the place of.

    The libraries look for `model.safetensors`, or its index, before `pytorch_model.bin`; a safetensors file of another
    name does not keep them from reading the latter.
    """
    names = sorted(path.name for path in place.iterdir() if path.is_file() and path.name != _NO_WEIGHTS)
    pickled = [name for name in names if name.lower().endswith(_PICKLED)]
    if any(name in names for name in _SAFE):
        return []
    if any(name.startswith("pytorch_model") for name in pickled):
        return pickled
    return [] if any(name.endswith(_WEIGHTS) for name in names) else pickled


def pickled_only(folder: Path, trusted: bool) -> dict[Path, list[str]]:
    """The folders of a model, its own and those of its modules, whose weights would be unpickled; and their names.

    Raises:
        InputError: a module is code, and not trusted; see `module_folders`.
    """
    places = (folder, *module_folders(folder, any_code=trusted))
    return {place: names for place in places if (names := _pickled(place))}


def refuse_unsafe(folder: Path, settings: Settings) -> None:
    """Loading a pickle can run anything, so weights have to be in safetensors files unless that was allowed.

    Raises:
        InputError: the folder, or that of one of its modules, has weights that would be unpickled; the model has no
            weights at all; its weights lie elsewhere or are incomplete; or it is an adapter without its base model.
    """
    trusted = settings.trust_remote_code
    places = [folder, *module_folders(folder, any_code=trusted)]
    for place in places:
        _check_index(place)
        if (place / _ADAPTER).is_file():
            raise InputError(
                f"{place / _ADAPTER}: a PEFT adapter, whose base model lies elsewhere: merge the two "
                "(merge_and_unload()) and save the whole model"
            )
    pickled = pickled_only(folder, trusted)
    if pickled and not trusted:
        place, names = next(iter(pickled.items()))
        named = next((name for name in names if name.startswith("pytorch_model")), names[0])
        raise InputError(
            f"{place}: the weights are pickled only ({named}), and unpickling can run any code: save the model "
            "again with save_pretrained(), which writes safetensors, or give --trust-remote-code, once: they are kept "
            "as safetensors"
        )
    exported = _EXPORTED[settings.backend] and (folder / settings.backend).is_dir()
    if not pickled and not exported and not any(any(place.glob(f"*{_WEIGHTS}")) for place in places):
        raise InputError(
            f"{folder}: no weights (*{_WEIGHTS}) in the model's folder; pickled ones are fetched from the hub with "
            "--trust-remote-code only, and kept as safetensors"
        )


def _check_index(place: Path) -> None:
    """Weights in parts lie beside their index, and all of them are there.

    Raises:
        InputError: a part lies elsewhere, is no safetensors file, or is missing.
    """
    for index in (place / _SAFE[1], place / "pytorch_model.bin.index.json"):
        if (place / _SAFE[0]).is_file() or not index.is_file():
            continue
        parts = read_object(index).get("weight_map")
        if not isinstance(parts, dict):
            raise InputError(f"{index}: no `weight_map` from names of tensors to files")
        safe = index.name == _SAFE[1]
        for name in sorted({str(part) for part in parts.values()}):
            if name in {"", ".", ".."} or PurePosixPath(name).name != name or PureWindowsPath(name).name != name:
                raise InputError(f"{index}: the weights {name!r} lie outside the folder of the index")
            if safe and not name.endswith(_WEIGHTS):
                raise InputError(f"{index}: {name!r} is no safetensors file")
            if not (place / name).is_file():
                raise InputError(f"{index}: the weights {name!r} are not there: fetch or copy the whole model again")
        return


def size_of(folder: Path) -> int:
    """Bytes on disk of the files that a model needs."""
    return sum(path.stat().st_size for path in deciding_files(folder))
