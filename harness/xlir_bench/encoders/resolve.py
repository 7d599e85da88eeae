"""From what the user typed to a model that can be measured."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xlir_bench.encoders import (
    bm25,
    mteb_registry,
    precomputed,
    random_encoder,
    remembered,
    sentence_transformer,
    server,
    transformer,
)
from xlir_bench.encoders.adapters import ADAPTERS, USES
from xlir_bench.encoders.checkpoint import (
    Loaded,
    Options,
    Settings,
    check_device_name,
    content_digest,
    pick_device,
    prompts_of,
)
from xlir_bench.encoders.cutting import Cut
from xlir_bench.encoders.display import display_id
from xlir_bench.encoders.embeddings_api import Endpoint
from xlir_bench.encoders.identity import VectorFields, digest_of, identified, rounded
from xlir_bench.encoders.protocol import FULL_ROUNDING, LanguageSupport, Model, ModelInfo
from xlir_bench.encoders.similarity import undeclared
from xlir_bench.encoders.weights import size_of
from xlir_bench.errors import InputError, MissingResourceError, XlirError, unknown_name
from xlir_bench.external_code import external_code
from xlir_bench.resources import folder as package_folder

if TYPE_CHECKING:
    from xlir_bench.encoders.manifest import Manifest

MANIFEST = "submission.yaml"
SERVER_VARIABLE, SERVER_KEY_VARIABLE = "OPENAI_BASE_URL", "OPENAI_API_KEY"

_HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_PATH = re.compile(r"[./~\\]|.*[/\\]$")
"""How the id of a place on this machine begins or ends, which no id of the hub does."""
_FACTORY = re.compile(r"(?P<place>.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")
_BASELINES: dict[str, Callable[[str], Model]] = {"random": random_encoder.load, "bm25": bm25.load}
_OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True)
class _Asked:
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
class _Checkpoint:
    """A model in a folder, not loaded yet.

    Attributes:
        origin: the hub id that its files come from, where that is known and something may be looked up by it.
    """

    folder: Path
    adapter: str
    settings: Settings = field(default_factory=Settings)
    revision: str | None = None
    origin: str | None = None


def resolve(model_id: str, device: str | None = None, options: Options | None = None) -> Model:
    """The model that `model_id` names, loaded.

    The first that fits decides:

    1. `bm25`, `random` or `random:SEED`: the baselines;
    2. the name of a submission that comes with the package (`bundled()`);
    3. `mteb:NAME`, a model of mteb's registry; `openai:MODEL`, a model of the embedding server whose address and key
       are in `OPENAI_BASE_URL` and `OPENAI_API_KEY`;
    4. a folder: with a `submission.yaml`, with a `modules.json` (sentence-transformers) or with a `config.json`
       (transformers, mean pooling); or a `.parquet` or `.safetensors` file of precomputed embeddings;
    5. `FILE.py:FACTORY` or `PACKAGE.MODULE:FACTORY` (see `encoders.factory`);
    6. `ORGANISATION/NAME` or `ORGANISATION/NAME@REVISION`: a repository of the Hugging Face hub, at a commit, tag or
       branch where one is given, or its copy in the hub's local cache.

    Two models never share a `ModelInfo.name`: a bundled submission keeps its own; what else can be had in several
    versions (folders, commits, settings that were changed by an option) carries the fingerprint's first digits.

    Args:
        model_id: as typed.
        device: "cpu", "cuda", "cuda:1", "mps"; the best there is if none is given.
        options: what is decided over what a manifest says.

    Raises:
        InputError: nothing answers to the name, the model cannot be used, or there is no such device.
        MissingResourceError: the model is not on this machine and cannot be fetched, or a package is not installed.
    """
    check_device_name(device)
    asked = _Asked(model_id, device, options or Options())
    # Loading runs the model's own code, that of its libraries, and a factory's.
    with external_code(f"model {model_id} cannot be loaded", owner=model_id):
        found = _named(asked) or _of_scheme(asked) or _at_place(asked) or _of_hub(asked)
    return found if asked.options.stored_as == "float32" else _rounded(found)


def identify(model_id: str, device: str | None = None, options: Options | None = None) -> Model | None:
    """What `resolve` would give, without the model in memory, for checkpoints in folders that were loaded before.

    None where only loading tells, and where torch is loaded already, which may be set so that it computes otherwise.
    """
    options = options or Options()
    if "torch" in sys.modules or not (model_id in bundled() or Path(model_id).is_dir()):
        return None
    asked = _Asked(model_id, device, options, load=False)
    try:
        with external_code(f"model {model_id} cannot be loaded", owner=model_id):
            found = _named(asked) or _at_place(asked)
    except (remembered.NotRememberedError, XlirError):
        return None
    if found is None or not isinstance(found.retriever, remembered.NotLoaded):
        return None
    return found if options.stored_as == "float32" else _rounded(found)


def _of_hub(asked: _Asked) -> Model:
    match = _HUB_ID.fullmatch(asked.model_id)
    if match is None or _PATH.match(asked.model_id):
        raise _unknown(asked.model_id)
    name = f"{match['id'].replace('/', '__')}-{{fingerprint}}"
    return _load(replace(asked, name=name), _from_hub(match["id"], match["revision"], asked.options))


def _rounded(model: Model) -> Model:
    """The model whose vectors are rounded to float16 where they are stored: another one, for its scores differ.

    Raises:
        InputError: no vectors of this model are stored.
    """
    if not hasattr(model.retriever, "encode"):
        name = model.info.id
        raise InputError(f"{name}: --cache-as would have no effect: no vectors of it are stored; leave it out")
    return replace(model, info=rounded(model.info, model.language_support, "float16"))


def bundled() -> list[str]:
    """Names of the submissions that come with the package, sorted."""
    folder = package_folder("submissions")
    return sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))


def _named(asked: _Asked) -> Model | None:
    """A baseline or a bundled submission, if it is called so."""
    model_id = asked.model_id
    kind = "random" if model_id.startswith("random:") else model_id
    if kind in _BASELINES:
        _in_force(asked, Settings(), kind)
        return _BASELINES[kind](model_id)
    if model_id not in bundled():
        return None
    changed = asked.options.explicit() - {"batch_tokens", "batch_size"}  # which change no vector
    name = f"{model_id}-{{fingerprint}}" if changed else model_id
    return _declared(replace(asked, name=name), package_folder("submissions") / model_id)


def _of_scheme(asked: _Asked) -> Model | None:
    """A model of mteb's registry or of a server, if the id begins so."""
    scheme, _, rest = asked.model_id.partition(":")
    if not rest or scheme not in {mteb_registry.NAME, server.NAME}:
        return None
    asked = replace(asked, name=f"{_safe(asked.model_id)}-{{fingerprint}}")
    if scheme == mteb_registry.NAME:
        return _from_mteb(asked, rest, None, Settings())
    url = os.environ.get(SERVER_VARIABLE) or _OPENAI
    # A server of one's own may take requests without a key; OpenAI's takes none.
    key = SERVER_KEY_VARIABLE if os.environ.get(SERVER_KEY_VARIABLE) or url == _OPENAI else None
    return _from_server(asked, Endpoint(url, rest, key), Settings())


def _at_place(asked: _Asked) -> Model | None:
    """A folder, a file of vectors or a factory, if the id is the place of one; called by its name and not its place."""
    path = Path(asked.model_id)
    called = path.resolve().name
    named = replace(asked, name=f"{_safe(called)}-{{fingerprint}}")
    if asked.model_id and path.is_dir():
        if (path / MANIFEST).is_file():
            return _declared(asked, path)
        found = _load(named, _Checkpoint(path, _kind(path, str(path)), origin=_origin(path)))
    elif path.suffix in precomputed.SUFFIXES and path.is_file():
        found = _precomputed(named, path, Settings())
    elif match := _FACTORY.fullmatch(asked.model_id):
        from xlir_bench.encoders import factory

        settings = _in_force(asked, Settings(), "factory")
        found = factory.load(asked.model_id, match["place"], match["name"], asked.device, settings)
        called = display_id(asked.model_id)
    else:
        return None
    return replace(found, info=replace(found.info, id=called))


def _in_force(asked: _Asked, declared: Settings, adapter: str, device: str = "cpu") -> Settings:
    """The settings of a model, options over its manifest.

    Raises:
        InputError: one was set that the adapter does not use.
    """
    settings = asked.options.over(declared, device)
    settings.refuse_unused(adapter, USES[adapter], asked.model_id)
    return settings


def _unknown(model_id: str) -> XlirError:
    if _PATH.match(model_id) and not (set(model_id) <= set("./\\~") or Path(model_id).exists()):
        return MissingResourceError(
            f"{model_id}: no such folder or file: give a folder with weights, or FILE.py:FACTORY"
        )
    if "/" in model_id or model_id.endswith(".py"):
        return InputError(
            f"no model at {model_id!r}: give a folder with weights, FILE.py:FACTORY, or ORGANISATION/NAME of a hub "
            "model"
        )
    known = sorted({*bundled(), *_BASELINES})
    hint = f"known: {', '.join(known)}; or give a folder, FILE.py:FACTORY, or ORGANISATION/NAME of the hub"
    return unknown_name("model", model_id, known, hint)


def _declared(asked: _Asked, folder: Path) -> Model:
    """The model that a folder's manifest declares."""
    from xlir_bench.encoders import manifest
    from xlir_bench.encoders.audited import read_audit

    path = folder / MANIFEST
    declared = manifest.read(path)
    asked = replace(asked, name=asked.name or f"{_safe(declared.name)}-{{fingerprint}}")
    asked = replace(asked, language_support=declared.languages.language_support())
    model = _of_source(asked, declared, folder)
    declaration = declared.details([read_audit(folder / name).summary() for name in declared.audits])
    info = replace(model.info, id=declared.name, details={**model.info.details, **declaration})
    return replace(model, info=info)


def _of_source(asked: _Asked, declared: Manifest, folder: Path) -> Model:
    source, settings = declared.source, declared.settings()
    if not asked.load and (source.mteb is not None or source.server is not None or source.embeddings is not None):
        raise remembered.NotRememberedError
    if declared.adapter == bm25.NAME:
        _in_force(asked, settings, bm25.NAME)
        index = bm25.load(asked.model_id, asked.language_support)
        name = asked.name.replace("{fingerprint}", index.info.fingerprint[:8])
        return replace(index, info=replace(index.info, name=name))
    if source.mteb is not None:
        return _from_mteb(asked, source.mteb, source.revision, settings)
    if source.server is not None:
        endpoint = Endpoint(source.server, source.model or "", source.key, source.dimensions, source.revision)
        return _from_server(asked, endpoint, settings, folder / source.tokenizer if source.tokenizer else None)
    if source.embeddings is not None:
        return _precomputed(asked, folder / source.embeddings, settings)
    if source.hub is not None:
        options = replace(asked.options, backend=asked.options.backend or settings.backend)
        found = _from_hub(source.hub, source.revision, options)
        # What comes with the package was looked up when it was declared.
        origin = None if asked.model_id in bundled() else found.origin
        return _load(asked, replace(found, adapter=declared.adapter, settings=settings, origin=origin))
    weights = folder / (source.folder or ".")
    if not weights.is_dir():
        raise InputError(f"{folder / MANIFEST}: source.folder: there is no folder {weights}")
    return _load(asked, _Checkpoint(weights, declared.adapter, settings))


def _from_hub(hub_id: str, revision: str | None, options: Options) -> _Checkpoint:
    from xlir_bench.encoders import hub

    folder = hub.snapshot(hub_id, revision, options)
    # The hub's cache names a snapshot's folder after its commit.
    return _Checkpoint(folder, _kind(folder, hub_id), revision=folder.name, origin=hub_id)


def _origin(folder: Path) -> str | None:
    """The hub id of a snapshot in the hub's cache, `models--ORGANISATION--NAME/snapshots/COMMIT`."""
    for place in (folder.absolute(), folder.resolve()):
        kind, *name = place.parent.parent.name.split("--")
        if place.parent.name == "snapshots" and kind == "models" and len(name) == 2:
            return "/".join(name)
    return None


def _from_mteb(asked: _Asked, name: str, revision: str | None, settings: Settings) -> Model:
    from xlir_bench.encoders import factory

    meta = mteb_registry.declared(name)
    settings = _in_force(asked, settings, mteb_registry.NAME, pick_device(asked.device))
    made = mteb_registry.make(meta, revision, asked.device, settings)
    loaded = factory.of_mteb(made, mteb_registry.similarity_of(meta, made, settings.similarity), settings.batch_size)
    revision = revision or meta.revision
    registered = mteb_registry.content(meta, revision)
    content = digest_of(registered, factory.probed(loaded.encoder, asked.model_id))
    details = {"registry": meta.name, "licence": meta.license, "parameters": meta.n_parameters}
    loaded = replace(loaded, details={**loaded.details, **details})
    return _model(replace(asked, verify_stored=True), content, loaded, revision)


def _from_server(asked: _Asked, endpoint: Endpoint, settings: Settings, tokenizer: Path | None = None) -> Model:
    settings = _in_force(asked, settings, server.NAME)
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


def _precomputed(asked: _Asked, path: Path, settings: Settings) -> Model:
    settings = _in_force(asked, settings, precomputed.NAME)
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


def _kind(folder: Path, what: str) -> str:
    if (folder / "modules.json").is_file():
        return sentence_transformer.NAME
    if (folder / "config.json").is_file():
        return transformer.NAME
    raise InputError(f"{what} is no model: it has none of {MANIFEST}, modules.json and config.json")


def _load(asked: _Asked, checkpoint: _Checkpoint) -> Model:
    if not asked.load:
        content = content_digest(checkpoint.folder, asked.options.backend or checkpoint.settings.backend)
        return _model(asked, content, remembered.read(_note(asked, checkpoint, content)), checkpoint.revision)
    device = pick_device(asked.device)
    settings = _in_force(asked, checkpoint.settings, checkpoint.adapter, device)
    if checkpoint.adapter in {sentence_transformer.NAME, transformer.NAME}:
        settings = mteb_registry.completed(settings, checkpoint.folder, checkpoint.origin)
    if settings.similarity is None and checkpoint.adapter != sentence_transformer.NAME:
        settings = replace(settings, similarity=undeclared(asked.model_id))
    loaded = ADAPTERS[checkpoint.adapter](checkpoint.folder, settings, device)
    content = content_digest(checkpoint.folder, loaded.fingerprint_fields.get("backend", "torch"))
    loaded = replace(loaded, details={**loaded.details, "bytes": size_of(checkpoint.folder)})
    remembered.write(_note(asked, checkpoint, content), loaded)
    return _model(asked, content, loaded, checkpoint.revision)


def _note(asked: _Asked, checkpoint: _Checkpoint, content: str) -> Path | None:
    """Where what loading a checkpoint gave is kept; None where it also follows from the device."""
    if "auto" in {asked.options.precision, checkpoint.settings.precision}:
        return None
    settings = asked.options.over(checkpoint.settings, "cpu")
    return remembered.note_of(checkpoint.adapter, content, settings, (asked.device, checkpoint.origin))


def _model(asked: _Asked, content: str, loaded: Loaded, revision: str | None) -> Model:
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


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name) or "model"
