"""The adapters that a manifest may name. A new kind of model is a module with `load`, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from xlir_bench.encoders import sentence_transformer, transformer
from xlir_bench.encoders.checkpoint import Loaded, Settings

Load = Callable[[Path, Settings, str], Loaded]
"""From a folder with weights, the settings and a device to a model in memory."""

ADAPTERS: Mapping[str, Load] = {
    sentence_transformer.NAME: sentence_transformer.load,
    transformer.NAME: transformer.load,
}
