"""From what the user typed to a model that can be measured."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from xlir_bench.encoders import bm25, mteb_registry, precomputed, random_encoder, remembered, server
from xlir_bench.encoders.checkpoint import Options, Settings, check_device_name
from xlir_bench.encoders.display import display_id, safe_name
from xlir_bench.encoders.embeddings_api import Endpoint
from xlir_bench.encoders.identity import rounded
from xlir_bench.encoders.protocol import Model
from xlir_bench.encoders.sources import (
    MANIFEST,
    Asked,
    Checkpoint,
    from_hub,
    from_mteb,
    from_server,
    hub_id_of,
    in_force,
    kind_of,
    loaded_model,
    of_vectors,
)
from xlir_bench.errors import InputError, MissingResourceError, XlirError, unknown_name
from xlir_bench.external_code import external_code
from xlir_bench.resources import folder as package_folder

if TYPE_CHECKING:
    from xlir_bench.encoders.manifest import Manifest

SERVER_VARIABLE, SERVER_KEY_VARIABLE = "OPENAI_BASE_URL", "OPENAI_API_KEY"

_HUB_ID = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_PATH = re.compile(r"[./~\\]|.*[/\\]$")
"""How the id of a place on this machine begins or ends, which no id of the hub does."""
_FACTORY = re.compile(r"(?P<place>.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")
_BASELINES: dict[str, Callable[[str], Model]] = {"random": random_encoder.load, "bm25": bm25.load}
_OPENAI = "https://api.openai.com/v1"


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
    asked = Asked(model_id, device, options or Options())
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
    asked = Asked(model_id, device, options, load=False)
    try:
        with external_code(f"model {model_id} cannot be loaded", owner=model_id):
            found = _named(asked) or _at_place(asked)
    except (remembered.NotRememberedError, XlirError):
        return None
    if found is None or not isinstance(found.retriever, remembered.NotLoaded):
        return None
    return found if options.stored_as == "float32" else _rounded(found)


def _of_hub(asked: Asked) -> Model:
    match = _HUB_ID.fullmatch(asked.model_id)
    if match is None or _PATH.match(asked.model_id):
        raise _unknown(asked.model_id)
    name = f"{match['id'].replace('/', '__')}-{{fingerprint}}"
    return loaded_model(replace(asked, name=name), from_hub(match["id"], match["revision"], asked.options))


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


def _named(asked: Asked) -> Model | None:
    """A baseline or a bundled submission, if it is called so."""
    model_id = asked.model_id
    kind = "random" if model_id.startswith("random:") else model_id
    if kind in _BASELINES:
        in_force(asked, Settings(), kind)
        return _BASELINES[kind](model_id)
    if model_id not in bundled():
        return None
    changed = asked.options.explicit() - {"batch_tokens", "batch_size"}  # which change no vector
    name = f"{model_id}-{{fingerprint}}" if changed else model_id
    return _declared(replace(asked, name=name), package_folder("submissions") / model_id)


def _of_scheme(asked: Asked) -> Model | None:
    """A model of mteb's registry or of a server, if the id begins so."""
    scheme, _, rest = asked.model_id.partition(":")
    if not rest or scheme not in {mteb_registry.NAME, server.NAME}:
        return None
    asked = replace(asked, name=f"{safe_name(asked.model_id)}-{{fingerprint}}")
    if scheme == mteb_registry.NAME:
        return from_mteb(asked, rest, None, Settings())
    url = os.environ.get(SERVER_VARIABLE) or _OPENAI
    # A server of one's own may take requests without a key; OpenAI's takes none.
    key = SERVER_KEY_VARIABLE if os.environ.get(SERVER_KEY_VARIABLE) or url == _OPENAI else None
    return from_server(asked, Endpoint(url, rest, key), Settings())


def _at_place(asked: Asked) -> Model | None:
    """A folder, a file of vectors or a factory, if the id is the place of one; called by its name and not its place."""
    path = Path(asked.model_id)
    called = path.resolve().name
    named = replace(asked, name=f"{safe_name(called)}-{{fingerprint}}")
    if asked.model_id and path.is_dir():
        if (path / MANIFEST).is_file():
            return _declared(asked, path)
        found = loaded_model(named, Checkpoint(path, kind_of(path, str(path)), origin=hub_id_of(path)))
    elif path.suffix in precomputed.SUFFIXES and path.is_file():
        found = of_vectors(named, path, Settings())
    elif match := _FACTORY.fullmatch(asked.model_id):
        from xlir_bench.encoders import factory

        settings = in_force(asked, Settings(), "factory")
        found = factory.load(asked.model_id, match["place"], match["name"], asked.device, settings)
        called = display_id(asked.model_id)
    else:
        return None
    return replace(found, info=replace(found.info, id=called))


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


def _declared(asked: Asked, folder: Path) -> Model:
    """The model that a folder's manifest declares."""
    from xlir_bench.encoders import manifest
    from xlir_bench.encoders.audited import read_audit

    path = folder / MANIFEST
    declared = manifest.read(path)
    asked = replace(asked, name=asked.name or f"{safe_name(declared.name)}-{{fingerprint}}")
    asked = replace(asked, language_support=declared.languages.language_support())
    model = _of_source(asked, declared, folder)
    declaration = declared.details([read_audit(folder / name).summary() for name in declared.audits])
    info = replace(model.info, id=declared.name, details={**model.info.details, **declaration})
    return replace(model, info=info)


def _of_source(asked: Asked, declared: Manifest, folder: Path) -> Model:
    source, settings = declared.source, declared.settings()
    if not asked.load and (source.mteb is not None or source.server is not None or source.embeddings is not None):
        raise remembered.NotRememberedError
    if declared.adapter == bm25.NAME:
        in_force(asked, settings, bm25.NAME)
        index = bm25.load(asked.model_id, asked.language_support)
        name = asked.name.replace("{fingerprint}", index.info.fingerprint[:8])
        return replace(index, info=replace(index.info, name=name))
    if source.mteb is not None:
        return from_mteb(asked, source.mteb, source.revision, settings)
    if source.server is not None:
        endpoint = Endpoint(source.server, source.model or "", source.key, source.dimensions, source.revision)
        return from_server(asked, endpoint, settings, folder / source.tokenizer if source.tokenizer else None)
    if source.embeddings is not None:
        return of_vectors(asked, folder / source.embeddings, settings)
    if source.hub is not None:
        options = replace(asked.options, backend=asked.options.backend or settings.backend)
        found = from_hub(source.hub, source.revision, options)
        # What comes with the package was looked up when it was declared.
        origin = None if asked.model_id in bundled() else found.origin
        return loaded_model(asked, replace(found, adapter=declared.adapter, settings=settings, origin=origin))
    weights = folder / (source.folder or ".")
    if not weights.is_dir():
        raise InputError(f"{folder / MANIFEST}: source.folder: there is no folder {weights}")
    return loaded_model(asked, Checkpoint(weights, declared.adapter, settings))
