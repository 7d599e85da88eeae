"""What every adapter of a model in a folder shares: its settings, its fingerprint, its device, batches of its texts."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from xlir_bench.encoders.protocol import Encoder, LanguageSupport, Role, Similarity
from xlir_bench.encoders.weights import deciding_files
from xlir_bench.errors import InputError, MissingResourceError, XlirError
from xlir_bench.errors import one_line as one_line  # noqa: PLC0414  (imported from here by every adapter)

Pooling = Literal["mean", "mean-of-text", "cls", "pooler", "last-token"]
Precision = Literal["float32", "bfloat16", "float16"]
Backend = Literal["torch", "onnx", "openvino"]

Foreign: TypeAlias = Any
"""An object of a library that declares no types, or of the user's own."""

_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|npu|hpu)(:\d+)?")
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
        batch_size: texts per batch, at most.
        trust_remote_code: whether code that comes with the model may run, and pickled weights may be read.
        prompt_names: for each role, the name of one of the checkpoint's own prompts; counts where `prompts` has no
            text for the role.
        truncate_dim: the first so many dimensions of each vector are kept.
        registry: whether prompts may be taken from mteb's registry where the checkpoint has none.
        explicit: names of the fields that the user set, also where to what is the default.
    """

    pooling: Pooling | None = None
    max_length: int | None = None
    prompts: Mapping[Role, str] | None = None
    similarity: Similarity | None = None
    precision: Precision = "float32"
    language_support: LanguageSupport = field(default_factory=LanguageSupport)
    backend: Backend = "torch"
    batch_tokens: int | None = None
    batch_size: int | None = None
    trust_remote_code: bool = False
    prompt_names: Mapping[Role, str] | None = None
    truncate_dim: int | None = None
    registry: bool = True
    explicit: frozenset[str] = field(default=frozenset(), compare=False)

    def refuse_unused(self, adapter: str, used: Collection[str], who: str) -> None:
        """Refuse what was set and would have no effect.

        Args:
            adapter: its name.
            used: names of the fields that it uses.
            who: the model's id, for the message.

        Raises:
            InputError: a field that the adapter does not use was set.
        """
        default = Settings()
        given = self.explicit | {name for name in MEASURING if getattr(self, name) != getattr(default, name)}
        unused = [name for name in _FLAGS if name in given and name not in used]
        if unused:
            named = ", ".join(f"{name} ({_FLAGS[name]})" for name in unused)
            takes = ", ".join(name for name in _FLAGS if name in used)
            raise InputError(
                f"{who}: {named} would have no effect on the adapter {adapter}, which takes {takes or 'no settings'}: "
                "leave it out"
            )


# The fields of `Settings` that change what is measured or how fast, and the options that set them. A field that an
# adapter does not use is refused. Trust and `registry` are permissions, and the languages are checked for every model.
_FLAGS: Mapping[str, str] = {
    "pooling": "--pooling",
    "max_length": "--max-length",
    "prompts": "--query-prompt, --document-prompt",
    "prompt_names": "--query-prompt-name, --document-prompt-name",
    "similarity": "--similarity",
    "precision": "--precision",
    "backend": "--backend",
    "truncate_dim": "--truncate-dim",
    "batch_tokens": "--batch-tokens",
    "batch_size": "--batch-size",
}
MEASURING = frozenset(_FLAGS)


@dataclass(frozen=True)
class Options:
    """What the person who runs a model decides about it, over what its manifest says.

    Attributes:
        precision: of weights and computation; `auto` takes bfloat16 or float16 where the device gains by it. What was
            taken is part of the fingerprint and of the result.
        backend: see `Settings`.
        batch_tokens: see `Settings`.
        batch_size: see `Settings`.
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
    batch_size: int | None = None
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

    def explicit(self) -> frozenset[str]:
        """Names of the fields of `Settings` that these options set."""
        by_role = {
            "prompts": (self.query_prompt, self.document_prompt),
            "prompt_names": (self.query_prompt_name, self.document_prompt_name),
        }
        given = {name for name, texts in by_role.items() if any(text is not None for text in texts)}
        return frozenset(given | {name for name in MEASURING - set(by_role) if getattr(self, name) is not None})

    def over(self, settings: Settings, device: str) -> Settings:
        """The settings in force on a device.

        Raises:
            InputError: a role is given both a prompt and the name of one.
        """
        prompts: dict[Role, str] = dict(settings.prompts or {})
        for role, text, name in (
            ("query", self.query_prompt, self.query_prompt_name),
            ("document", self.document_prompt, self.document_prompt_name),
        ):
            if text is not None and name is not None:
                raise InputError(f"give --{role}-prompt or --{role}-prompt-name, not both")
            if name is not None:  # which the option says over the text that the manifest has
                prompts.pop("query" if role == "query" else "document", None)
        precision = best_precision(device) if self.precision == "auto" else self.precision
        return replace(
            settings,
            precision=precision or settings.precision,
            backend=self.backend or settings.backend,
            batch_tokens=self.batch_tokens or settings.batch_tokens,
            batch_size=self.batch_size or settings.batch_size,
            trust_remote_code=self.trust_remote_code,
            prompts=_over(prompts or None, self.query_prompt, self.document_prompt),
            prompt_names=_over(settings.prompt_names, self.query_prompt_name, self.document_prompt_name),
            similarity=self.similarity or settings.similarity,
            pooling=self.pooling or settings.pooling,
            max_length=self.max_length or settings.max_length,
            truncate_dim=self.truncate_dim or settings.truncate_dim,
            registry=self.registry and settings.registry,
            explicit=settings.explicit | self.explicit(),
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
    modules that a `modules.json` names, those inside a Router included. Their names count, relative to the folder;
    where the folder is and what it is called do not. Other folders inside, such as `results/`, do not count either.
    """
    digest = hashlib.sha256()
    for path in deciding_files(folder, backend):
        digest.update(b"\0" + path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as file:
            while part := file.read(_HASHED_AT_ONCE):
                digest.update(part)
    return digest.hexdigest()
