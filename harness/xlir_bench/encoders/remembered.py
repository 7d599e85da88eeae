"""What loading a checkpoint gave beside its weights, kept in the cache folder.

With it a finished result is recognised without loading the model, which takes seconds for its libraries alone. It is
kept by everything that it follows from: the content of the checkpoint's files, settings, device, versions of libraries
and the source of this package's adapters. Models whose identity only shows when they run (code, mteb's registry,
servers) are not remembered.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from xlir_bench.encoders.checkpoint import Loaded, Settings
from xlir_bench.encoders.identity import digest_of
from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.errors import MissingResourceError
from xlir_bench.files import cache_folder, replacing
from xlir_bench.version import __version__

_LIBRARIES = (
    *("torch", "transformers", "sentence-transformers", "tokenizers", "safetensors", "numpy", "mteb", "peft"),
    *("optimum", "onnxruntime", "openvino"),
)
_KEPT = ("prompts", "similarity", "fingerprint_fields", "details")


class NotRememberedError(Exception):
    """Only loading the model tells what it is."""


class NotLoaded:
    """In the place of an encoder that was not loaded."""

    def encode(self, texts: object, *, role: Role, languages: object) -> Vectors:
        """Never called: a model that is remembered is loaded before it encodes."""
        raise NotRememberedError


def note_of(adapter: str, content: str, settings: Settings, asked: object) -> Path | None:
    """Where a checkpoint's note is; None for one that is not remembered.

    Args:
        adapter: its name.
        content: digest of the checkpoint's files.
        settings: as declared and asked for.
        asked: what else decides, such as the device as typed.
    """
    if settings.trust_remote_code:
        return None
    plain = {field.name: getattr(settings, field.name) for field in fields(settings)}
    support = settings.language_support
    plain["explicit"] = sorted(settings.explicit)
    plain["language_support"] = [sorted(support.known or ()), support.known is None, sorted(support.unknown)]
    plain["fallback"] = support.fallback
    code = [(path.name, (about := path.stat()).st_size, about.st_mtime_ns) for path in _sources()]
    parts = [__version__, adapter, content, repr(sorted(plain.items())), repr(asked), repr(_versions()), repr(code)]
    return cache_folder() / "checkpoints" / f"{digest_of(*parts)}.json"


def read(note: Path | None) -> Loaded:
    """What the note says, with `NotLoaded` as the encoder.

    Raises:
        NotRememberedError: there is none.
    """
    try:
        if note is None:
            raise NotRememberedError
        said: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
        return Loaded(NotLoaded(), **{name: said[name] for name in _KEPT})
    except (OSError, ValueError, KeyError, TypeError):
        raise NotRememberedError from None


def write(note: Path | None, loaded: Loaded) -> None:
    """Keep what loading gave, if the identity follows from the files: the encoder has no table of languages."""
    if note is None or hasattr(loaded.encoder, "language_support") or "autocast" in loaded.fingerprint_fields:
        return
    with suppress(MissingResourceError, TypeError), replacing(note) as draft:
        said = json.dumps({name: getattr(loaded, name) for name in _KEPT})
        if Loaded(loaded.encoder, **json.loads(said)) == loaded:  # JSON has no tuples
            draft.write_text(said, encoding="utf-8")


def _sources() -> list[Path]:
    return sorted(Path(__file__).parent.glob("*.py"))


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
