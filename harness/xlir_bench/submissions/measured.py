"""What results say of their encoder, as far as a manifest and a card can be written from them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlir_bench.encoders.adapters import SOURCES, USES
from xlir_bench.encoders.manifest import FILE as MANIFEST
from xlir_bench.encoders.mteb_registry import NAME as NAME_OF_MTEB
from xlir_bench.errors import InputError, printable
from xlir_bench.measures import parse
from xlir_bench.results import ModelReference, Result
from xlir_bench.submissions import untrusted

log = logging.getLogger(__name__)

_SETTINGS = ("prompts", "similarity", "pooling", "max_length", "truncate_dim", "precision", "backend")
_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:@[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MODEL_FILES = (MANIFEST, "modules.json", "config.json")
_NOT_OF_A_MODEL = ("results/", "runs/")


@dataclass(frozen=True)
class MeasuredModel:
    """An encoder as its results show it.

    Attributes:
        results: at least one, all of this encoder.
        fields: of the manifest, those that follow from the results; no `source` where the adapter has none.
        files: name in the submission -> file of the encoder's folder, where its weights are not on the hub.
    """

    results: tuple[Result, ...]
    fields: Mapping[str, Any]
    files: Mapping[str, Path]

    def card(self, name: str) -> str:
        """A card with what is known."""
        model = self.results[0].model
        known = [f"adapter {self.fields['adapter']}"]
        known += [f"{self.fields['parameters']:,} parameters"] if self.fields.get("parameters") else []
        known += [f"{size} dimensions"] if isinstance(size := model.details.get("dimensions"), int) else []
        known += [f"compared by {model.similarity}"] if model.similarity else []
        lines = [line for result in self.results for line in _figures(result)]
        return (
            f"# {name}\n\n## What it is\n\nA text encoder ({', '.join(known)}). `{MANIFEST}` has its licence and says "
            "whom to ask.\n\n## Training\n\nThe collections that it was trained on are listed under `trained_on` in "
            f"`{MANIFEST}`.\n\n## Intended use and limits\n\nMeasured with xlir-bench:\n\n" + "\n".join(lines) + "\n"
        )


def adapter_of(details: Mapping[str, Any]) -> object:
    """The adapter that a manifest declares for a model with these details: a model of mteb's registry is code to us."""
    return NAME_OF_MTEB if "registry" in details else details.get("adapter")


def measured_model(
    results: Sequence[Result], hub: Mapping[str, str] | None, weights: Path | None = None
) -> MeasuredModel:
    """What the results of an encoder say of it.

    Args:
        results: at least one.
        hub: the manifest's source, where the encoder is on the hub and the results do not say so.
        weights: the encoder's folder, or the file of vectors; by default what has its name in the working folder.

    Raises:
        InputError: they are of several encoders, or of one that a submission cannot hold.
    """
    models = {result.model.fingerprint: result.model for result in results}
    if len(models) > 1:
        names = ", ".join(sorted(printable(model.name) for model in models.values())[:5])
        raise InputError(f"the results are of {len(models)} models ({names}): give the folder of one of them")
    model = results[0].model
    adapter = str(adapter_of(model.details) or "")
    if not adapter:
        raise InputError(f"{printable(model.id)}: its results do not say what kind of model it is: measure it again")
    if adapter not in SOURCES:
        raise InputError(
            f"{printable(model.id)} is of the kind {printable(adapter)}, which runs code of yours: a submission runs "
            "none. Save the model as a folder of sentence-transformers or transformers, and measure that"
        )
    source, files = (hub, {}) if hub is not None else _source(model, adapter, weights)
    fields: dict[str, Any] = {"source": dict(source)} if source else {}
    fields["adapter"] = adapter
    given = {**model.details, "prompts": model.prompts or None, "similarity": model.similarity}
    for name in _SETTINGS:
        if name in USES[adapter] and given.get(name) is not None and (name, given[name]) != ("precision", "float32"):
            fields[name] = given[name]
    for name in ("languages", "licence", "parameters", "trained_on"):
        if model.details.get(name) is not None:
            fields[name] = model.details[name]
    return MeasuredModel(tuple(results), fields, files)


def _source(model: ModelReference, adapter: str, weights: Path | None) -> tuple[Mapping[str, Any], Mapping[str, Path]]:
    """The manifest's source, and the files that belong to it by their names in the submission."""
    kind, details, place = SOURCES[adapter], model.details, weights or Path(model.id)
    if kind == "mteb":
        return {"mteb": details.get("registry"), "revision": model.revision}, {}
    if kind == "server":
        return {"server": details.get("server"), "model": details.get("model")}, {}
    if kind == "embeddings":
        return {"embeddings": place.name}, {place.name: place} if place.is_file() else {}
    if kind == "none":
        return {}, {}
    on_hub = _HUB_ID.fullmatch(model.id)
    if on_hub and weights is None and not place.is_dir() and _COMMIT.fullmatch(model.revision or ""):
        return {"hub": on_hub[1], "revision": model.revision}, {}
    if weights is None and place.is_dir():
        log.warning("weights are copied from %s in the working folder; --weights names another", printable(place))
    return {"folder": "."}, dict(_files_of(place))


def _files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files of a model's folder that a submission may hold; the others are named in a warning."""
    if not any((folder / name).is_file() for name in _MODEL_FILES):
        log.warning("%s: no model is there: say where its folder is (--weights), or copy it", printable(folder))
        return
    files, refused = untrusted.inventory(folder)
    if refused:
        log.warning("%s: not copied: %s", printable(folder), "; ".join(refused))
    yield from ((file.name, file.path) for file in files if not file.name.startswith(_NOT_OF_A_MODEL))


def _figures(result: Result) -> Iterator[str]:
    """A line per setting: the mean of its primary measure, and the languages of queries in which it is worst."""
    for setting, measure in result.primary.items():
        rows = [row for row in result.scores if (row.setting, row.measure) == (setting, measure)]
        if not rows or measure not in result.summary.get(setting, {}):
            continue
        low = not parse(measure).definition.higher_is_better
        worst = sorted(rows, key=lambda row: -row.value if low else row.value)[:3]
        named = ", ".join(f"{row.query_language}-{row.document_language} {row.value:.3f}" for row in worst)
        yield (
            f"- {result.suite.name}, {setting}: mean {measure} {result.summary[setting][measure]:.3f}; worst "
            f"(query language-document language): {named}"
        )
