"""mteb's registry: `mteb:NAME`, a model as mteb declares and loads it, and what the registry says about a checkpoint.

What mteb loads cannot be read from a folder, so the model is identified as a factory's is: by mteb's release, the
model's name and revision there, and the vectors that it gives to a few fixed texts; and before stored vectors are used
again, a sample of texts is encoded and compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from xlir_bench.encoders import hub
from xlir_bench.encoders.checkpoint import Foreign, Settings, no_loading_bars, one_line, package, pick_device
from xlir_bench.encoders.identity import digest_of
from xlir_bench.encoders.mteb_protocol import give_prompts, instructions, prompt_type, retrieval_task
from xlir_bench.encoders.protocol import Role, Similarity
from xlir_bench.encoders.similarity import agreed, named, undeclared, wraps_sentence_transformer
from xlir_bench.errors import InputError, MissingResourceError, unknown_name, warn

NAME = "mteb"

_WHO = "a model of mteb's registry"
_ROLES: tuple[Role, ...] = get_args(Role)

# These hand the weights to sentence-transformers, which can be told to read safetensors only.
_SAFE = ("SentenceTransformerEncoderWrapper", "InstructSentenceTransformerModel")

# The values of `model_prompts` are texts with these loaders; with others they may be names of tasks or of adapters.
_PROMPTED = (
    "SentenceTransformerEncoderWrapper",
    "SentenceTransformerMultimodalEncoderWrapper",
    "sentence_transformers_loader",
    "NomicWrapper",
)
_INSTRUCTED = "InstructSentenceTransformerModel"

_KINDS = {
    "cross-encoder": "a cross-encoder: it scores pairs of texts",
    "late-interaction": "a multi-vector model (late interaction): it has a vector per token and compares by MaxSim",
    "sparse": "a sparse encoder: its vectors have the size of a vocabulary",
    "hybrid": "a fusion of a lexical index and an encoder",
}
_MEASURABLE = {"dense", "router"}


@dataclass(frozen=True)
class Facts:
    """What mteb's registry declares about a checkpoint.

    Attributes:
        name: the model's in the registry.
        prompts: what mteb puts before queries and documents of a retrieval task; None where its loader makes prompts
            in a way that is not known here.
        similarity: how vectors are compared; None where the registry does not say.
    """

    name: str
    prompts: Mapping[Role, str] | None
    similarity: Similarity | None


def declared(name: str) -> Foreign:
    """What mteb's registry says about a model, a `mteb.ModelMeta`.

    Raises:
        InputError: it has no such model.
        MissingResourceError: mteb is not installed.
    """
    library = package("mteb", _WHO)
    try:
        return library.get_model_meta(name, fetch_from_hf=False)
    except KeyError:
        known = [meta.name for meta in library.get_model_metas() if meta.name]
        raise unknown_name("model of mteb's registry", name, known, "see mteb.get_model_metas()") from None


def content(meta: Foreign, revision: str | None) -> str:
    """What identifies a model, as far as the registry says: mteb's release, and the model's name and revision."""
    return digest_of("mteb", version("mteb"), str(meta.name), str(revision))


def declared_similarity(meta: Foreign) -> Similarity | None:
    """How a model of the registry compares vectors; None where the registry does not say.

    Args:
        meta: a `mteb.ModelMeta`.

    Raises:
        InputError: it gives no vector per text, or reads no text, or compares vectors in a way that is not known.
    """
    who = f"{NAME}:{meta.name}"
    kinds = list(meta.model_type)
    if not _MEASURABLE.intersection(kinds):
        kind = next((_KINDS[name] for name in kinds if name in _KINDS), f"of the kind {', '.join(kinds)}")
        raise InputError(f"{who} is {kind}; only models that give one dense vector per text can be measured")
    if "text" not in meta.modalities:
        raise InputError(f"{who} reads {', '.join(meta.modalities)}, not text")
    return named(meta.similarity_fn_name, who)


def similarity_of(meta: Foreign, made: Foreign, given: Similarity | None) -> Similarity:
    """How a loaded model of the registry is to be compared.

    mteb compares by the model's `similarity()`; where the registry says nothing, that decides.

    Raises:
        InputError: see `declared_similarity` and `similarity.agreed`.
    """
    who = f"{NAME}:{meta.name}"
    stated = declared_similarity(meta)
    if given is not None:
        return given
    function = getattr(made, "similarity", None)
    if not callable(function):
        return stated or undeclared(who)
    return agreed(stated, function, who, wraps_sentence_transformer(made))


def make(meta: Foreign, revision: str | None, device: str | None, settings: Settings) -> Foreign:
    """The model, loaded by mteb.

    Args:
        meta: what the registry says about it.
        revision: another commit than the registry's.
        device: as typed.
        settings: what applies is prompts, precision if it is not float32, `truncate_dim` and trust.

    Raises:
        InputError: a setting does not apply to what mteb loads, loading may run code or unpickle weights and that was
            not allowed, or mteb fails to load it.
        MissingResourceError: mteb cannot fetch it, or lacks a package for it.
    """
    who = f"{NAME}:{meta.name}"
    loader = getattr(meta.loader, "__name__", str(meta.loader))
    declared_similarity(meta)  # what cannot be measured need not be loaded
    _refuse_unused(who, loader, settings)
    kwargs: dict[str, Any] = {}
    weights: dict[str, Any] = {}
    if not settings.trust_remote_code:
        # A model without parameters (mteb's random baselines) has neither weights nor code.
        safe = (loader in _SAFE or meta.n_parameters == 0) and not meta.loader_kwargs.get("trust_remote_code")
        if not safe:
            raise InputError(
                f"{who}: mteb's loader {loader} may run code that comes with the model or unpickle its "
                "weights: give --trust-remote-code if you trust them"
            )
        if loader in _SAFE:
            weights["use_safetensors"] = True
    own = dict(meta.loader_kwargs.get("model_kwargs") or {})
    if settings.precision != "float32":
        own.pop("torch_dtype", None)
        weights["dtype"] = getattr(package("torch", _WHO), settings.precision)
    if weights:
        kwargs["model_kwargs"] = {**own, **weights}
    if settings.truncate_dim is not None:
        kwargs["embed_dim"] = settings.truncate_dim
    if revision:
        meta = meta.model_copy(update={"revision": revision})
    try:
        with no_loading_bars():
            made = meta.load_model(device=pick_device(device), **kwargs)
    except Exception as error:
        said = hub.explained(f"{meta.name} at {meta.revision}" if meta.revision else str(meta.name), error)
        if said is not None:
            raise said from None
        if isinstance(error, OSError | ImportError):
            raise MissingResourceError(
                f"{who} is not on this machine and cannot be fetched, or lacks a package ({one_line(error)})"
            ) from None
        raise InputError(f"{who}: mteb cannot load it ({one_line(error)})") from error
    if settings.prompts:
        give_prompts(made, settings.prompts, who)
    return made


def _refuse_unused(who: str, loader: str, settings: Settings) -> None:
    """A setting that mteb's loader of this model would pass over is an error."""
    unused = {
        "--no-registry": not settings.registry,
        "--precision (precision)": settings.precision != "float32" and loader not in _SAFE,
        "--truncate-dim (truncate_dim)": settings.truncate_dim is not None and loader not in _SAFE,
    }
    for option, given in unused.items():
        if given:
            raise InputError(
                f"{who}: {option} does not apply to a model that mteb loads with {loader}: leave it out, or give the "
                "model's folder or hub id without mteb: in front"
            )


def completed(settings: Settings, folder: Path, origin: str | None) -> Settings:
    """Settings of a checkpoint with what its files do not say and mteb's registry does, each with a line on stderr.

    Looked up are prompts of a role, where neither the settings nor the checkpoint's configuration have any, and the
    similarity. mteb is loaded only where one of them is open.

    Args:
        settings: in force; what they say counts.
        folder: with the checkpoint's files.
        origin: the hub id that the files come from; None where it is not known, and nothing can be looked up.

    Raises:
        InputError: by the registry, the model gives no vector per text.
    """
    if origin is None or not settings.registry:
        return settings
    configuration = _configuration(folder)
    chosen = {*(settings.prompts or {}), *(settings.prompt_names or {})}
    prompted = any(isinstance(text, str) and text for text in _mapping(configuration.get("prompts")).values())
    open_roles = [role for role in _ROLES if role not in chosen] if not prompted else []
    open_similarity = settings.similarity is None and not configuration.get("similarity_fn_name")
    if not open_roles and not open_similarity:
        return settings
    try:
        facts = facts_of(origin)
    except MissingResourceError:
        warn(f"{origin}: mteb is not installed, so prompts could not be looked up in its registry: pip install mteb")
        return settings
    if facts is None:
        return settings
    if open_similarity and facts.similarity is not None:
        settings = replace(settings, similarity=facts.similarity)
        # Where sentence-transformers' own files are silent, it compares by cosine itself.
        if facts.similarity != "cosine" or not (folder / "modules.json").is_file():
            warn(
                f"{origin}: the checkpoint declares no similarity; mteb's registry says {facts.similarity}; used "
                "(--similarity for another)"
            )
    return _with_prompts(settings, facts, open_roles, origin)


def _with_prompts(settings: Settings, facts: Facts, open_roles: list[Role], origin: str) -> Settings:
    if not open_roles:
        return settings
    if facts.prompts is None:
        warn(
            f"{origin}: the checkpoint has no prompts; mteb's registry says that it uses instructions, which its own "
            "loader makes: give --query-prompt and --document-prompt"
        )
        return settings
    found = {role: text for role in open_roles if (text := facts.prompts[role])}
    if not found:
        return settings
    listed = ", ".join(f"{role} {text!r}" for role, text in found.items())
    warn(f"{origin}: the checkpoint has no prompts; mteb's registry has: {listed}; used (--no-registry for none)")
    return replace(settings, prompts={**dict.fromkeys(open_roles, ""), **found, **(settings.prompts or {})})


def facts_of(name: str) -> Facts | None:
    """What the registry says about a checkpoint of the hub; None if it does not know the name.

    Raises:
        InputError: the model gives no vector per text.
        MissingResourceError: mteb is not installed.
    """
    library = package("mteb", _WHO)
    try:
        meta = library.get_model_meta(name, fetch_from_hf=False)
    except KeyError:
        return None
    return Facts(meta.name, _prompts(meta), declared_similarity(meta))


def _prompts(meta: Foreign) -> Mapping[Role, str] | None:
    encoder = package("mteb.models.abs_encoder", _WHO)
    loader, kwargs = getattr(meta.loader, "__name__", str(meta.loader)), meta.loader_kwargs
    task = retrieval_task().metadata
    if loader in _PROMPTED:
        prompts = kwargs.get("model_prompts")
        return {role: encoder.get_prompt(prompts, task, prompt_type(role)) or "" for role in _ROLES}
    if loader == _INSTRUCTED:
        found = instructions(_instruct_wrapper(kwargs))
        return {role: found[role] for role in _ROLES}
    return None if meta.use_instructions else {"query": "", "document": ""}


def _instruct_wrapper(kwargs: Mapping[str, Any]) -> Foreign:
    """What `InstructSentenceTransformerModel` makes prompts by, without the model."""
    library = package("mteb.models.abs_encoder", _WHO)
    base: Any = library.AbsEncoder
    wrapper = type("_Instructions", (base,), {"encode": lambda self, inputs, **context: None})()
    wrapper.instruction_template = kwargs.get("instruction_template")
    wrapper.prompts_dict = kwargs.get("prompts_dict")
    if kwargs.get("prompt_priority") is not None:
        wrapper.prompt_priority = [library.PromptSource.from_str(source) for source in kwargs["prompt_priority"]]
    wrapper.apply_instruction_to_passages = kwargs.get("apply_instruction_to_passages", True)
    return wrapper


def _configuration(folder: Path) -> Mapping[str, Any]:
    """What `config_sentence_transformers.json` says; nothing where it is not there or not to be read."""
    try:
        return _mapping(json.loads((folder / "config_sentence_transformers.json").read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
