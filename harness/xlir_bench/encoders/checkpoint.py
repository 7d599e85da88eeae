"""What every adapter of a model in a folder shares: its settings, its fingerprint, its device, batches of its texts."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.protocol import Encoder, Role, Similarity
from xlir_bench.errors import InputError, MissingResourceError

Pooling = Literal["mean", "cls"]
Precision = Literal["float32", "bfloat16", "float16"]

Foreign: TypeAlias = Any
"""An object of a library that declares no types, or of the user's own."""

_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|npu|hpu)(:\d+)?")
_WEIGHTS = ".safetensors"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_DECIDING = (_WEIGHTS, ".json", ".txt", ".model", ".vocab", ".bpe", ".spm", ".jinja")
_HASHED_AT_ONCE = 1 << 24
# To be raised when an adapter comes to compute other vectors from the same files: stored ones are then not used again.
_SCHEME = 1


@dataclass(frozen=True)
class Settings:
    """How a checkpoint is to be used. What is None is the checkpoint's own choice.

    Attributes:
        pooling: how token vectors become one vector.
        max_length: tokens after which a text is cut, special ones and prompt included.
        prompts: the text put before a query and before a document.
        similarity: how two vectors are compared.
        precision: of weights and computation.
    """

    pooling: Pooling | None = None
    max_length: int | None = None
    prompts: Mapping[Role, str] | None = None
    similarity: Similarity | None = None
    precision: Precision = "float32"


@dataclass(frozen=True)
class Loaded:
    """A checkpoint in memory.

    Attributes:
        encoder: the model.
        prompts: exactly what is put before each query and document.
        similarity: as the manifest or the checkpoint says.
        choices: settings in force that decide a vector beside weights and prompts: pooling, max_length, precision.
        details: what else there is to say for `ModelInfo.details`.
    """

    encoder: Encoder
    prompts: dict[str, str]
    similarity: Similarity
    choices: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)


def package(name: str, who: str) -> Foreign:
    """The module `name`, imported now.

    Args:
        name: e.g. "transformers" or "scipy.sparse".
        who: what needs it, for the message.

    Raises:
        MissingResourceError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0].replace("_", "-")
        reason = " ".join(str(error).split())
        raise MissingResourceError(f"{who} needs the package {top} ({reason}): pip install {top}") from error


@contextmanager
def no_loading_bars() -> Iterator[None]:
    """Transformers draws a bar per checkpoint that it loads; a program that reports its own progress wants none."""
    logging = package("transformers.utils.logging", "a transformer")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def check_device_name(device: str | None) -> None:
    """Without loading torch, for models that use no device.

    Raises:
        InputError: no such kind of device.
    """
    if device is not None and not _DEVICE.fullmatch(device):
        raise InputError(f"unknown device {device!r}: give cpu, cuda, cuda:N or mps")


def pick_device(device: str | None) -> str:
    """The device asked for, or the best that this machine has.

    Raises:
        InputError: the device is unknown, or not on this machine.
    """
    check_device_name(device)
    torch = package("torch", "a neural encoder")
    if device is None:
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"device {device!r} is not usable here ({reason}): try --device cpu") from None
    return device


def fingerprint(folder: Path, adapter: str, loaded: Loaded) -> str:
    """SHA-256, in hexadecimal, of the files that decide a model's vectors and of how it is used.

    The files are weights, tokenizer and configuration: those right in the folder, and those in the folders of the
    modules that a `modules.json` names. Their names count, relative to the folder; where the folder is and what it is
    called do not. Other folders inside, such as `results/`, do not count either.
    """
    digest = hashlib.sha256()
    use = {"scheme": _SCHEME, "adapter": adapter, "prompts": loaded.prompts, **loaded.choices}
    digest.update(json.dumps(use, sort_keys=True).encode())
    for path in deciding_files(folder):
        digest.update(b"\0" + path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as file:
            while part := file.read(_HASHED_AT_ONCE):
                digest.update(part)
    return digest.hexdigest()


def deciding_files(folder: Path) -> list[Path]:
    """Weights, tokenizer and configuration files of a model's folder, sorted by relative name."""
    paths = [path for path in folder.iterdir() if path.is_file()]
    for module in module_folders(folder):
        paths += [path for path in module.rglob("*") if path.is_file()]
    kept = {path for path in paths if path.name.lower().endswith(_DECIDING)}
    return sorted(kept, key=lambda path: path.relative_to(folder).as_posix())


def module_folders(folder: Path) -> list[Path]:
    """The folders below `folder` that its `modules.json` names.

    Raises:
        InputError: `modules.json` is not a list of modules, one of them is code that is not sentence-transformers' own,
            or one lies elsewhere.
    """
    listing = folder / "modules.json"
    if not listing.is_file():
        return []
    try:
        modules = [(str(module["type"]), str(module["path"])) for module in json.loads(listing.read_text("utf-8"))]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{listing}: not a list of sentence-transformers modules ({error!r})") from None
    found = []
    for kind, place in modules:
        if not kind.startswith("sentence_transformers."):
            raise InputError(
                f"{listing}: module {kind} is code that comes with the model, which is not run; load it in a factory "
                "of your own and give FILE.py:FACTORY"
            )
        if not (folder / place).resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{listing}: the module {place!r} lies outside the model's folder")
        if place and (folder / place).is_dir():
            found.append(folder / place)
    return found


def refuse_pickled(folder: Path) -> None:
    """Loading a pickle can run anything, so weights have to be in safetensors files.

    Raises:
        InputError: the folder, or that of one of its modules, has pickled weights only, or the model has none at all.
    """
    places = [folder, *module_folders(folder)]
    any_safe = False
    for place in places:
        names = [path.name for path in place.iterdir() if path.is_file()]
        safe = any(name.endswith(_WEIGHTS) for name in names)
        any_safe |= safe
        pickled = sorted(name for name in names if name.endswith(_PICKLED) and name != "training_args.bin")
        if pickled and not safe:
            raise InputError(
                f"{place}: the weights are pickled only ({pickled[0]}), and unpickling can run any code: save the "
                "model again with save_pretrained(), which writes safetensors"
            )
    if not any_safe:
        raise InputError(f"{folder}: no weights (*{_WEIGHTS}) in the model's folder")


def batches(lengths: Sequence[int], budget: int, most: int = 1024) -> Iterator[npt.NDArray[np.int64]]:
    """Cut texts into batches of similar length, longest first, so that a batch's padded size fits a budget.

    Args:
        lengths: tokens of each text.
        budget: tokens of a batch, padding included; a text that is longer than it is a batch of its own.
        most: texts in a batch.

    Yields:
        Positions of texts; together they are all positions, once each.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    begin = 0
    while begin < len(order):
        longest = max(1, lengths[order[begin]])
        size = min(most, max(1, budget // longest))
        yield order[begin : begin + size]
        begin += size


def budget_for(device: str) -> int:
    """Padded tokens per batch: on a CPU what its caches like, on an accelerator what keeps it busy."""
    return 4096 if device == "cpu" else 32768


def size_of(folder: Path) -> int:
    """Bytes on disk of the files that a model needs."""
    return sum(path.stat().st_size for path in deciding_files(folder))
