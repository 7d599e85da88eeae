"""`mteb:NAME`: a model as mteb's own registry declares and loads it.

What mteb loads cannot be read from a folder, so the model is identified as a factory's is: by mteb's release, the
model's name and revision there, and the vectors that it gives to a few fixed texts; and before stored vectors are used
again, a sample of texts is encoded and compared.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from xlir_bench.encoders.checkpoint import Foreign, Options, no_loading_bars, one_line, package, pick_device
from xlir_bench.encoders.identity import digest_of
from xlir_bench.errors import InputError, MissingResourceError, unknown_name

NAME = "mteb"

# These hand the weights to sentence-transformers, which can be told to read safetensors only.
_SAFE = ("SentenceTransformerEncoderWrapper", "InstructSentenceTransformerModel")


def declared(name: str) -> Foreign:
    """What mteb's registry says about a model, a `mteb.ModelMeta`.

    Raises:
        InputError: it has no such model.
        MissingResourceError: mteb is not installed.
    """
    library = package("mteb", "a model of mteb's registry")
    try:
        return library.get_model_meta(name, fetch_from_hf=False)
    except KeyError:
        known = [meta.name for meta in library.get_model_metas() if meta.name]
        raise unknown_name("model of mteb's registry", name, known, "see mteb.get_model_metas()") from None


def content(meta: Foreign, revision: str | None) -> str:
    """What identifies a model, as far as the registry says: mteb's release, and the model's name and revision."""
    return digest_of("mteb", version("mteb"), str(meta.name), str(revision))


def make(meta: Foreign, revision: str | None, device: str | None, options: Options) -> Foreign:
    """The model, loaded by mteb.

    Raises:
        InputError: loading it may run code or unpickle weights and that was not allowed, or mteb fails to load it.
        MissingResourceError: mteb cannot fetch it, or lacks a package for it.
    """
    loader = getattr(meta.loader, "__name__", str(meta.loader))
    kwargs: dict[str, Any] = {}
    if not options.trust_remote_code:
        # A model without parameters (mteb's random baselines) has neither weights nor code.
        safe = (loader in _SAFE or meta.n_parameters == 0) and not meta.loader_kwargs.get("trust_remote_code")
        if not safe:
            raise InputError(
                f"mteb:{meta.name}: mteb's loader {loader} may run code that comes with the model or unpickle its "
                "weights: give --trust-remote-code if you trust them"
            )
        if loader in _SAFE:
            own = meta.loader_kwargs.get("model_kwargs") or {}
            kwargs["model_kwargs"] = {**own, "use_safetensors": True}
    if revision:
        meta = meta.model_copy(update={"revision": revision})
    try:
        with no_loading_bars():
            return meta.load_model(device=pick_device(device), **kwargs)
    except (OSError, ImportError) as error:
        raise MissingResourceError(
            f"mteb:{meta.name} is not on this machine and cannot be fetched, or lacks a package ({one_line(error)})"
        ) from None
    except Exception as error:
        raise InputError(f"mteb:{meta.name}: mteb cannot load it ({one_line(error)})") from error
