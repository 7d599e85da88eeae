"""Models by where they come from: a checkpoint in a folder, the hub, mteb's registry, a server, a file of vectors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from xlir_bench.encoders import mteb_registry, precomputed, remembered, sentence_transformer, server, transformer
from xlir_bench.encoders.adapters import ADAPTERS, USES
from xlir_bench.encoders.checkpoint import Loaded, Options, Settings, content_digest, pick_device, prompts_of
from xlir_bench.encoders.cutting import Cut
from xlir_bench.encoders.embeddings_api import Endpoint
from xlir_bench.encoders.identity import VectorFields, digest_of, identified
from xlir_bench.encoders.protocol import FULL_ROUNDING, LanguageSupport, Model, ModelInfo
from xlir_bench.encoders.similarity import undeclared
from xlir_bench.encoders.weights import size_of
from xlir_bench.errors import InputError

MANIFEST = "submission.yaml"


@dataclass(frozen=True)
class Asked:
    """What was typed.

    Attributes:
        name: for `ModelInfo.name`; `{fingerprint}` in it becomes the first 8 digits.
        language_support: as a manifest declares it.
        verify_stored, rounding: see `ModelInfo`.
        load: whether the model is loaded; else what an earlier start found is taken, see `encoders.remembered`.
    """

    model_id: str
    device: str | None
    options: Options
    name: str = ""
    language_support: LanguageSupport = field(default_factory=LanguageSupport)
    verify_stored: bool = False
    rounding: float = FULL_ROUNDING
    load: bool = True


@dataclass(frozen=True)
class Checkpoint:
    """A model in a folder, not loaded yet.

    Attributes:
        origin: the hub id that its files come from, where that is known and something may be looked up by it.
    """

    folder: Path
    adapter: str
    settings: Settings = field(default_factory=Settings)
    revision: str | None = None
    origin: str | None = None


def in_force(asked: Asked, declared: Settings, adapter: str, device: str = "cpu") -> Settings:
    """The settings of a model, options over its manifest.

    Raises:
        InputError: one was set that the adapter does not use.
    """
    settings = asked.options.over(declared, device)
    settings.refuse_unused(adapter, USES[adapter], asked.model_id)
    return settings


def from_hub(hub_id: str, revision: str | None, options: Options) -> Checkpoint:
    """A repository of the hub, fetched or from its local cache; see `hub.snapshot` for errors."""
    from xlir_bench.encoders import hub

    folder = hub.snapshot(hub_id, revision, options)
    # The hub's cache names a snapshot's folder after its commit.
    return Checkpoint(folder, kind_of(folder, hub_id), revision=folder.name, origin=hub_id)


def hub_id_of(folder: Path) -> str | None:
    """The hub id of a snapshot in the hub's cache, `models--ORGANISATION--NAME/snapshots/COMMIT`."""
    for place in (folder.absolute(), folder.resolve()):
        kind, *name = place.parent.parent.name.split("--")
        if place.parent.name == "snapshots" and kind == "models" and len(name) == 2:
            return "/".join(name)
    return None


def from_mteb(asked: Asked, name: str, revision: str | None, settings: Settings) -> Model:
    """A model of mteb's registry, loaded by mteb.

    Raises:
        InputError: mteb has no such model, or it cannot be used.
        MissingResourceError: it is not on this machine and cannot be fetched.
    """
    from xlir_bench.encoders import factory

    meta = mteb_registry.declared(name)
    settings = in_force(asked, settings, mteb_registry.NAME, pick_device(asked.device))
    made = mteb_registry.make(meta, revision, asked.device, settings)
    loaded = factory.of_mteb(made, mteb_registry.similarity_of(meta, made, settings.similarity), settings.batch_size)
    revision = revision or meta.revision
    registered = mteb_registry.content(meta, revision)
    content = digest_of(registered, factory.probed(loaded.encoder, asked.model_id))
    details = {"registry": meta.name, "licence": meta.license, "parameters": meta.n_parameters}
    loaded = replace(loaded, details={**loaded.details, **details})
    return _model(replace(asked, verify_stored=True), content, loaded, revision)


def from_server(asked: Asked, endpoint: Endpoint, settings: Settings, tokenizer: Path | None = None) -> Model:
    """A model that an embedding server runs; `tokenizer` cuts texts where the server would refuse long ones."""
    settings = in_force(asked, settings, server.NAME)
    encoder = server.ServerEncoder(endpoint, prompts_of(settings), Cut.of(settings.max_length, tokenizer))
    content = server.identity(encoder)
    details = {
        "adapter": server.NAME,
        "server": endpoint.url,
        "model": endpoint.model,
        "dimensions": encoder.dimensions,
        **encoder.cut.declared(),
    }
    prompts = {str(role): text for role, text in encoder.prompts.items()}
    similarity = settings.similarity or undeclared(asked.model_id)
    loaded = Loaded(encoder, prompts, similarity, encoder.cut.declared(), details)
    asked = replace(asked, verify_stored=True, rounding=server.ROUNDING)
    return _model(asked, content, loaded, endpoint.revision)


def of_vectors(asked: Asked, path: Path, settings: Settings) -> Model:
    """A file of precomputed vectors."""
    settings = in_force(asked, settings, precomputed.NAME)
    vectors = precomputed.Precomputed(path)
    info = ModelInfo(
        id=asked.model_id,
        name=asked.name,
        fingerprint="",
        similarity=settings.similarity or undeclared(asked.model_id),
        details={"adapter": precomputed.NAME, "dimensions": vectors.dimensions},
    )
    content = precomputed.fingerprint(path)
    fields = VectorFields(precomputed.NAME, content, language_support=asked.language_support)
    return Model(identified(info, fields), vectors, asked.language_support)


def kind_of(folder: Path, what: str) -> str:
    """The adapter for a folder without a manifest.

    Args:
        folder: a checkpoint.
        what: what to call it in a message.

    Raises:
        InputError: it is no checkpoint.
    """
    if (folder / "modules.json").is_file():
        return sentence_transformer.NAME
    if (folder / "config.json").is_file():
        return transformer.NAME
    raise InputError(f"{what} is no model: it has none of {MANIFEST}, modules.json and config.json")


def loaded_model(asked: Asked, checkpoint: Checkpoint) -> Model:
    """A checkpoint, loaded; without `asked.load`, as an earlier start left it.

    Raises:
        InputError: it cannot be used, or an option does not apply to it.
        NotRememberedError: it is not to be loaded, and no earlier start did.
    """
    if not asked.load:
        content = content_digest(checkpoint.folder, asked.options.backend or checkpoint.settings.backend)
        return _model(asked, content, remembered.read(_note(asked, checkpoint, content)), checkpoint.revision)
    device = pick_device(asked.device)
    settings = in_force(asked, checkpoint.settings, checkpoint.adapter, device)
    if checkpoint.adapter in {sentence_transformer.NAME, transformer.NAME}:
        settings = mteb_registry.completed(settings, checkpoint.folder, checkpoint.origin)
    if settings.similarity is None and checkpoint.adapter != sentence_transformer.NAME:
        settings = replace(settings, similarity=undeclared(asked.model_id))
    loaded = ADAPTERS[checkpoint.adapter](checkpoint.folder, settings, device)
    content = content_digest(checkpoint.folder, loaded.fingerprint_fields.get("backend", "torch"))
    loaded = replace(loaded, details={**loaded.details, "bytes": size_of(checkpoint.folder)})
    remembered.write(_note(asked, checkpoint, content), loaded)
    return _model(asked, content, loaded, checkpoint.revision)


def _note(asked: Asked, checkpoint: Checkpoint, content: str) -> Path | None:
    """Where what loading a checkpoint gave is kept; None where it also follows from the device."""
    if "auto" in {asked.options.precision, checkpoint.settings.precision}:
        return None
    settings = asked.options.over(checkpoint.settings, "cpu")
    return remembered.note_of(checkpoint.adapter, content, settings, (asked.device, checkpoint.origin))


def _model(asked: Asked, content: str, loaded: Loaded, revision: str | None) -> Model:
    """A model in memory, with its fingerprints."""
    # The adapter knows better where the model itself has a table of languages.
    support = getattr(loaded.encoder, "language_support", asked.language_support)
    info = ModelInfo(
        id=asked.model_id,
        name=asked.name,
        fingerprint="",
        revision=revision,
        prompts=loaded.prompts,
        similarity=loaded.similarity,
        details={**loaded.fingerprint_fields, **loaded.details},
        verify_stored=asked.verify_stored,
        rounding=asked.rounding,
    )
    fields = VectorFields(str(loaded.details["adapter"]), content, loaded.fingerprint_fields, support)
    return Model(identified(info, fields), loaded.encoder, support)
