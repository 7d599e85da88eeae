"""Pickled weights, read once where they are trusted and kept as safetensors: from then on nothing is unpickled.

    <cache>/converted/<SHA-256 of the model's files>/

A copy of the model's folder with a safetensors file in the place of each `pytorch_model.bin` (or of its parts). The key
is content, so that only the very bytes that were trusted are used again without asking.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from xlir_bench.encoders.checkpoint import Backend, Foreign, Settings, one_line, package
from xlir_bench.encoders.weights import deciding_files, pickled_only, refuse_unsafe
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import cache_folder

log = logging.getLogger(__name__)

_NAMES = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin")
_INDEX = "pytorch_model.bin.index.json"


def safe_weights(folder: Path, settings: Settings) -> Path:
    """The folder to load a model's weights from: `folder`, or its converted copy where the weights are pickled only.

    The copy is made when the model is trusted, and used ever after, trusted or not. Pickles that are not of
    transformers' making are left to the library, which reads them if they are trusted.

    Args:
        folder: a model's.
        settings: backend and trust.

    Raises:
        InputError: the weights are pickled only and were never trusted, there are none, or they are no plain tensors.
        MissingResourceError: the copy cannot be written.
    """
    places = pickled_only(folder, settings.trust_remote_code)
    if not all(any(_NAMES.fullmatch(path.name) for path in place.iterdir()) for place in places) or not places:
        refuse_unsafe(folder, settings)
        return folder
    copy = cache_folder() / "converted" / _digest(folder, settings.backend)
    if not copy.is_dir():
        refuse_unsafe(folder, settings)
        _convert(folder, copy, settings.backend)
        log.info("%s: pickled weights are kept as safetensors in %s", folder, copy)
    return copy


def _digest(folder: Path, backend: Backend) -> str:
    """SHA-256, in hexadecimal, of the names and contents of the model's files."""
    digest = hashlib.sha256(backend.encode())
    for path in deciding_files(folder, backend):
        digest.update(b"\0" + path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _convert(folder: Path, copy: Path, backend: Backend) -> None:
    """Write the copy whole or not at all; another process may be doing the same."""
    unfinished = copy.with_name(f".{copy.name}.{secrets.token_hex(8)}")
    try:
        for path in deciding_files(folder, backend):
            place = unfinished / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            if _NAMES.fullmatch(path.name):
                weights = place.with_name(_safe_name(path.name))
                package("safetensors.torch", "pickled weights").save_file(_tensors(path), weights, {"format": "pt"})
            elif path.name == _INDEX:
                names = _NAMES.sub(lambda found: _safe_name(found.group()), path.read_text("utf-8"))
                place.with_name("model.safetensors.index.json").write_text(names, "utf-8")
            else:
                shutil.copyfile(path, place)
        try:
            unfinished.rename(copy)
        except OSError:
            if not copy.is_dir():
                raise
    except OSError as error:
        raise MissingResourceError(
            f"cannot write {copy}: {error.strerror or error}; make room, or choose another place with XLIR_BENCH_CACHE"
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _safe_name(name: str) -> str:
    return name.replace("pytorch_model", "model", 1).removesuffix(".bin") + ".safetensors"


def _tensors(path: Path) -> dict[str, Foreign]:
    """The tensors in a pickle, each in memory of its own, as safetensors wants them."""
    torch = package("torch", "pickled weights")
    try:
        # The restricted unpickler: tensors and plain containers only, whatever was allowed.
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path}: torch's restricted unpickler cannot read it ({one_line(error)})") from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise InputError(f"{path}: not a mapping from names to tensors, as save_pretrained() once wrote it")
    seen: set[int] = set()
    tensors = {}
    for name, value in loaded.items():
        tensor = value.contiguous()
        # Tied weights share memory; each name gets its own, since which of them a library looks for is its affair.
        tensors[name] = tensor.clone() if tensor.untyped_storage().data_ptr() in seen else tensor
        seen.add(tensor.untyped_storage().data_ptr())
    return tensors
