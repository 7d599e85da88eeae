"""The adapters that a manifest may name. A new kind of model is a module with `load`, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from xlir_bench.encoders import bm25, m2m100, mteb_registry, precomputed, sentence_transformer, server, transformer, xlm
from xlir_bench.encoders.checkpoint import Loaded, Settings

Load = Callable[[Path, Settings, str], Loaded]
"""From a folder with weights, the settings and a device to a model in memory."""


def _two_path(folder: Path, settings: Settings, device: str) -> Loaded:
    # Its classes are torch modules, so that the module itself needs torch.
    from xlir_bench.encoders import two_path

    return two_path.load(folder, settings, device)


ADAPTERS: Mapping[str, Load] = {
    sentence_transformer.NAME: sentence_transformer.load,
    transformer.NAME: transformer.load,
    m2m100.NAME: m2m100.load,
    xlm.NAME: xlm.load,
    "two-path": _two_path,
}
"""Those that load weights from a folder."""

SourceKind = Literal["weights", "mteb", "server", "embeddings", "none"]

SOURCES: Mapping[str, SourceKind] = {
    **dict.fromkeys(ADAPTERS, "weights"),
    mteb_registry.NAME: "mteb",
    server.NAME: "server",
    precomputed.NAME: "embeddings",
    bm25.NAME: "none",
}
"""What the `source` of each adapter is."""

_PROMPTED = frozenset({"max_length", "prompts", "similarity", "precision", "truncate_dim", "batch_tokens"})

USES: Mapping[str, frozenset[str]] = {
    sentence_transformer.NAME: _PROMPTED | {"prompt_names", "backend"},
    transformer.NAME: _PROMPTED | {"pooling", "backend"},
    m2m100.NAME: _PROMPTED | {"pooling"},
    xlm.NAME: _PROMPTED | {"pooling"},
    "two-path": _PROMPTED,
    mteb_registry.NAME: frozenset({"prompts", "similarity", "precision", "truncate_dim"}),
    server.NAME: frozenset({"prompts", "similarity", "max_length"}),
    precomputed.NAME: frozenset({"similarity"}),
    bm25.NAME: frozenset(),
    "random": frozenset(),
    "factory": frozenset({"similarity"}),
    "object": frozenset({"prompts", "prompt_names", "similarity", "truncate_dim", "batch_tokens"}),
}
"""The fields of `Settings` that each adapter uses; another that was set is refused, see `Settings.refuse_unused`.

Some of mteb's loaders take less; see `mteb_registry.make`.
"""
