"""What every adapter of a model in a folder shares: its settings, its fingerprint, its device, batches of its texts."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from xlir_bench.encoders.protocol import Encoder, LanguageSupport, Role, Similarity
from xlir_bench.errors import InputError, MissingResourceError, XlirError

Pooling = Literal["mean", "mean-of-text", "cls", "pooler", "last-token"]
Precision = Literal["float32", "bfloat16", "float16"]
Backend = Literal["torch", "onnx", "openvino"]

Foreign: TypeAlias = Any
"""An object of a library that declares no types, or of the user's own."""

_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|npu|hpu)(:\d+)?")
_WEIGHTS = ".safetensors"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_NO_WEIGHTS = "training_args.bin"  # what transformers' Trainer leaves behind
_CODE = (".py",)
_DECIDING = (_WEIGHTS, ".json", ".txt", ".model", ".vocab", ".bpe", ".spm", ".jinja")
_EXPORTED: Mapping[Backend, tuple[str, ...]] = {
    "torch": (),
    "onnx": (".onnx", ".onnx_data"),
    "openvino": (".xml", ".bin"),
}
_HASHED_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Settings:
    """How a checkpoint is to be used. What is None is the checkpoint's own choice.

    Attributes:
        pooling: how token vectors become one vector.
        max_length: tokens after which a text is cut, special ones and prompt included.
        prompts: the text put before a query and before a document.
        similarity: how two vectors are compared.
        precision: of weights and computation.
        language_support: the languages that the model knows.
        backend: what computes: torch, or an ONNX or OpenVINO export where sentence-transformers supports it.
        batch_tokens: tokens per batch, padding included; what suits the device if it is None.
        trust_remote_code: whether code that comes with the model may run, and pickled weights may be read.
        prompt_names: for each role, the name of one of the checkpoint's own prompts; counts where `prompts` has no
            text for the role.
        truncate_dim: the first so many dimensions of each vector are kept.
        registry: whether prompts may be taken from mteb's registry where the checkpoint has none.
    """

    pooling: Pooling | None = None
    max_length: int | None = None
    prompts: Mapping[Role, str] | None = None
    similarity: Similarity | None = None
    precision: Precision = "float32"
    language_support: LanguageSupport = field(default_factory=LanguageSupport)
    backend: Backend = "torch"
    batch_tokens: int | None = None
    trust_remote_code: bool = False
    prompt_names: Mapping[Role, str] | None = None
    truncate_dim: int | None = None
    registry: bool = True


@dataclass(frozen=True)
class Options:
    """What the person who runs a model decides about it, over what its manifest says.

    Attributes:
        precision: of weights and computation; `auto` takes bfloat16 or float16 where the device gains by it. What was
            taken is part of the fingerprint and of the result.
        backend: see `Settings`.
        batch_tokens: see `Settings`.
        trust_remote_code: see `Settings`.
        stored_as: the type of stored vectors; float16 halves the cache, and all vectors of the run are rounded to it.
        similarity: see `Settings`; what the model itself declares if it is None.
        query_prompt, document_prompt: the text put before each query or document; the empty string means none.
        query_prompt_name, document_prompt_name: see `Settings.prompt_names`.
        pooling: see `Settings`.
        max_length: see `Settings`.
        truncate_dim: see `Settings`.
        registry: see `Settings`.
    """

    precision: Precision | Literal["auto"] | None = None
    backend: Backend | None = None
    batch_tokens: int | None = None
    trust_remote_code: bool = False
    stored_as: Literal["float32", "float16"] = "float32"
    similarity: Similarity | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    query_prompt_name: str | None = None
    document_prompt_name: str | None = None
    pooling: Pooling | None = None
    max_length: int | None = None
    truncate_dim: int | None = None
    registry: bool = True

    def over(self, settings: Settings, device: str) -> Settings:
        """The settings in force on a device."""
        precision = best_precision(device) if self.precision == "auto" else self.precision
        return replace(
            settings,
            precision=precision or settings.precision,
            backend=self.backend or settings.backend,
            batch_tokens=self.batch_tokens or settings.batch_tokens,
            trust_remote_code=self.trust_remote_code,
            prompts=_over(settings.prompts, self.query_prompt, self.document_prompt),
            prompt_names=_over(settings.prompt_names, self.query_prompt_name, self.document_prompt_name),
            similarity=self.similarity or settings.similarity,
            pooling=self.pooling or settings.pooling,
            max_length=self.max_length or settings.max_length,
            truncate_dim=self.truncate_dim or settings.truncate_dim,
            registry=self.registry and settings.registry,
        )


def _over(given: Mapping[Role, str] | None, query: str | None, document: str | None) -> Mapping[Role, str] | None:
    """What is given for each role, with what was chosen for a role in its place; None where nothing is."""
    chosen: dict[Role, str] = dict(given or {})
    if query is not None:
        chosen["query"] = query
    if document is not None:
        chosen["document"] = document
    return chosen if chosen or given is not None else None


@dataclass(frozen=True)
class Loaded:
    """A checkpoint in memory.

    Attributes:
        encoder: the model.
        prompts: exactly what is put before each query and document.
        similarity: as the manifest or the checkpoint says.
        fingerprint_fields: settings in force that change a vector beside weights and prompts: pooling, max_length,
            precision and others.
        details: what else there is to say for `ModelInfo.details`.
    """

    encoder: Encoder
    prompts: dict[str, str]
    similarity: Similarity
    fingerprint_fields: dict[str, Any]
    details: dict[str, Any] = field(default_factory=dict)


def package(name: str, who: str, mend: str | None = None) -> Foreign:
    """The module `name`, imported now.

    Args:
        name: e.g. "transformers" or "scipy.sparse".
        who: what needs it, for the message.
        mend: how it is installed, where that is more than `pip install` and its name.

    Raises:
        MissingResourceError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        top = name.partition(".")[0].replace("_", "-")
        reason = " ".join(str(error).split())
        raise MissingResourceError(
            f"{who} needs the package {top} ({reason}): {mend or f'pip install {top}'}"
        ) from error


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


@contextmanager
def loading(folder: Path, library: str) -> Iterator[None]:
    """What a library raises on files that are not right, which may be anything, in one line; and no bars meanwhile.

    Raises:
        InputError: the library cannot load the folder.
    """
    try:
        with no_loading_bars():
            yield
    except XlirError:
        raise
    except Exception as error:
        raise InputError(f"{folder}: {library} cannot load it ({one_line(error)})") from error


def weight_options(settings: Settings) -> dict[str, Any]:
    """How weights are read, for `from_pretrained` of transformers."""
    torch = package("torch", "a neural encoder")
    return {
        "dtype": getattr(torch, settings.precision),
        "use_safetensors": None if settings.trust_remote_code else True,
    }


def prompts_of(settings: Settings) -> dict[Role, str]:
    """The prompts of both roles, empty where none are given."""
    given = settings.prompts or {}
    return {"query": given.get("query", ""), "document": given.get("document", "")}


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


def best_precision(device: str) -> Precision:
    """What a device computes fastest without harm: bfloat16 or float16 on an accelerator, float32 on a CPU."""
    if device.startswith("cuda"):
        cuda = package("torch", "a neural encoder").cuda
        with cuda.device(device):
            # Older devices emulate bfloat16, slower than float32.
            return "bfloat16" if cuda.is_bf16_supported(including_emulation=False) else "float16"
    return "float16" if device.startswith("mps") else "float32"


def content_digest(folder: Path, backend: Backend = "torch") -> str:
    """SHA-256, in hexadecimal, of the files that decide a model's vectors.

    The files are weights, tokenizer and configuration: those right in the folder, and those in the folders of the
    modules that a `modules.json` names. Their names count, relative to the folder; where the folder is and what it is
    called do not. Other folders inside, such as `results/`, do not count either.
    """
    digest = hashlib.sha256()
    for path in deciding_files(folder, backend):
        digest.update(b"\0" + path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as file:
            while part := file.read(_HASHED_AT_ONCE):
                digest.update(part)
    return digest.hexdigest()


def deciding_files(folder: Path, backend: Backend = "torch") -> list[Path]:
    """Weights, tokenizer, configuration and code of a model's folder, sorted by relative name.

    In each place pickled weights count where there are no others; exported ones where their backend computes.
    """
    places = [list(folder.iterdir()), *(list(module.rglob("*")) for module in module_folders(folder, any_code=True))]
    if _EXPORTED[backend] and (folder / backend).is_dir():
        places.append(list((folder / backend).iterdir()))
    kept: set[Path] = set()
    for place in places:
        paths = [path for path in place if path.is_file() and path.name != _NO_WEIGHTS]
        ends = (*_DECIDING, *_CODE, *_EXPORTED[backend])
        if not any(path.name.endswith(_WEIGHTS) for path in paths):
            ends += _PICKLED
        kept.update(path for path in paths if path.name.lower().endswith(ends))
    return sorted(kept, key=lambda path: path.relative_to(folder).as_posix())


def module_folders(folder: Path, any_code: bool = False) -> list[Path]:
    """The folders below `folder` that its `modules.json` names.

    Args:
        folder: a model's.
        any_code: whether modules may be code that comes with the model.

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
        if not any_code and not kind.startswith("sentence_transformers."):
            raise InputError(
                f"{listing}: module {kind} is code that comes with the model, which is not run: read it, then give "
                "--trust-remote-code"
            )
        if not (folder / place).resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{listing}: the module {place!r} lies outside the model's folder")
        if place and (folder / place).is_dir():
            found.append(folder / place)
    return found


def pickled_only(folder: Path, trusted: bool) -> dict[Path, list[str]]:
    """The folders of a model, its own and those of its modules, that have pickled weights and no others; and which.

    Raises:
        InputError: a module is code, and not trusted; see `module_folders`.
    """
    found = {}
    for place in (folder, *module_folders(folder, any_code=trusted)):
        names = [path.name for path in place.iterdir() if path.is_file() and path.name != _NO_WEIGHTS]
        pickled = sorted(name for name in names if name.endswith(_PICKLED))
        if pickled and not any(name.endswith(_WEIGHTS) for name in names):
            found[place] = pickled
    return found


def refuse_unsafe(folder: Path, settings: Settings) -> None:
    """Loading a pickle can run anything, so weights have to be in safetensors files unless that was allowed.

    Raises:
        InputError: the folder, or that of one of its modules, has pickled weights only, or the model has none at all.
    """
    trusted = settings.trust_remote_code
    pickled = pickled_only(folder, trusted)
    if pickled and not trusted:
        place, names = next(iter(pickled.items()))
        named = next((name for name in names if name.startswith("pytorch_model")), names[0])
        raise InputError(
            f"{place}: the weights are pickled only ({named}), and unpickling can run any code: save the model "
            "again with save_pretrained(), which writes safetensors, or give --trust-remote-code, once: they are kept "
            "as safetensors"
        )
    places = [folder, *module_folders(folder, any_code=trusted)]
    exported = _EXPORTED[settings.backend] and (folder / settings.backend).is_dir()
    if not pickled and not exported and not any(any(place.glob(f"*{_WEIGHTS}")) for place in places):
        raise InputError(
            f"{folder}: no weights (*{_WEIGHTS}) in the model's folder; pickled ones are fetched from the hub with "
            "--trust-remote-code only, and kept as safetensors"
        )


def size_of(folder: Path) -> int:
    """Bytes on disk of the files that a model needs."""
    return sum(path.stat().st_size for path in deciding_files(folder))


def one_line(error: Exception) -> str:
    """An error of a library in one line, with its kind."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
