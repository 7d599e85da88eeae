"""Models that the calling program holds in memory: a `SentenceTransformer`, an object with `encode`, a function.

What is taken is what a factory may return (see `encoders.factory`), and a function from a list of texts to vectors.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from xlir_bench.encoders import in_memory, sentence_transformer
from xlir_bench.encoders.adapters import USES
from xlir_bench.encoders.checkpoint import Foreign, Loaded, Options, Settings
from xlir_bench.encoders.factory import (
    adapted,
    declared_fingerprint,
    is_sentence_transformer,
    probed,
    refuse_batch_size,
)
from xlir_bench.encoders.identity import VectorFields, digest_of, identified, rounded
from xlir_bench.encoders.kinds import refuse_other_objects
from xlir_bench.encoders.protocol import Model, ModelInfo, Role, Vectors
from xlir_bench.encoders.resolve import resolve
from xlir_bench.encoders.similarity import undeclared
from xlir_bench.encoders.source_code import SourceTree
from xlir_bench.errors import InputError
from xlir_bench.external_code import external_code

_METHODS = ("encode", "encode_queries")
_LIBRARIES = frozenset({"sentence_transformers", "torch", "transformers"})


class FunctionEncoder:
    """A function from a list of texts to an array of shape (texts, dimensions); queries and documents alike.

    Args:
        function: the function.
    """

    def __init__(self, function: Callable[[list[str]], Any]) -> None:
        self.function = function

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions)."""
        vectors: Vectors = self.function(list(texts))
        return vectors


def model_of(
    given: Foreign, device: str | None = None, options: Options | None = None, name: str | None = None
) -> Model:
    """The model that a program gives: by its id, as for `resolve`, or as an object.

    Args:
        given: an id or a path; a `Model`; a `SentenceTransformer`; an object with `encode(texts, *, role, languages)`,
            with BEIR's or with mteb's interface; or a function `list[str] -> array`.
        device: for an id; an object is where it is.
        options: what is decided over what the model declares. Of an object that is no `SentenceTransformer` the
            similarity alone can be set.
        name: what results call the model; its class or its id by default.

    Raises:
        InputError: it is none of these, or an option does not apply to it.
        MissingResourceError: see `resolve`.
    """
    options = options or Options()
    if isinstance(given, str | Path):
        model = resolve(str(given), device, options)
    elif isinstance(given, Model):
        if options != Options():
            raise InputError(
                f"{given.info.id}: a model that was resolved takes no further options: give them to resolve()"
            )
        model = given
    else:
        model = _of_object(given, device, options)
    return model if name is None else replace(model, info=replace(model.info, name=_safe(name)))


@contextmanager
def in_evaluation_mode(given: Foreign) -> Iterator[None]:
    """Switch off dropout and the like in a torch module, and put every part of it back as it was.

    A model that is being trained is measured as it would be used. What is no torch module is left alone.
    """
    if not in_memory.is_module(given):
        yield
        return
    before = {part: part.training for part in given.modules()}
    given.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def _of_object(made: Foreign, device: str | None, options: Options) -> Model:
    who = _called(made)
    if inspect.isclass(made):
        raise InputError(f"{who} is a class: give an object of it")
    if device is not None:
        raise InputError(f"{who}: device is for models that are given by their id; move the object to it instead")
    with external_code(f"model {who} cannot be used", owner=who):
        declared = declared_fingerprint(who, made)
        # Before the model is used, which may change what it holds.
        held = in_memory.state_of(made) or in_memory.held_by(made)
        loaded, known = _loaded(made, who, options), is_sentence_transformer(made)
        behaviour = "" if declared or known else probed(loaded.encoder, who)
    content = declared or digest_of(_source(made), held, behaviour)
    info = ModelInfo(
        id=who,
        name=f"{_safe(who)}-{{fingerprint}}",
        fingerprint="",
        prompts=loaded.prompts,
        similarity=loaded.similarity,
        details={**loaded.fingerprint_fields, **loaded.details},
        verify_stored=not (known and _of_libraries(made)),
    )
    fields = VectorFields(str(loaded.details["adapter"]), digest_of(who, content), loaded.fingerprint_fields)
    model = Model(identified(info, fields), loaded.encoder)
    if options.stored_as == "float32":
        return model
    return replace(model, info=rounded(model.info, model.language_support, options.stored_as))


def _loaded(made: Foreign, who: str, options: Options) -> Loaded:
    if is_sentence_transformer(made):
        refuse_other_objects(made, who)
        settings = options.over(Settings(), str(made.device))
        settings.refuse_unused("sentence-transformers in memory", USES["object"], who)
        return sentence_transformer.wrapped(made, settings, str(made.device))
    settings = options.over(Settings(), "cpu")
    settings.refuse_unused("factory", USES["factory"], who)
    if callable(made) and not any(hasattr(made, name) for name in _METHODS):
        refuse_other_objects(made, who)
        refuse_batch_size(settings, who)
        details = {"adapter": "factory", "interface": "function"}
        prompts = {"query": "", "document": ""}
        return Loaded(FunctionEncoder(made), prompts, settings.similarity or undeclared(who), {}, details)
    return adapted(made, who, settings)


def _of_libraries(model: Foreign) -> bool:
    """Whether all parts of a torch module are of libraries, so that weights and configurations tell what it does."""
    return all(type(part).__module__.partition(".")[0] in _LIBRARIES for part in model.modules())


def _called(made: Foreign) -> str:
    """What messages and results call an object: the folder or hub id that it says it comes from, or its class."""
    if is_sentence_transformer(made):
        config = getattr(getattr(made, "transformers_model", None), "config", None)
        origin = str(getattr(config, "name_or_path", "") or "")
        return Path(origin).name if origin.startswith(("/", ".")) else origin or type(made).__name__
    kind = made if inspect.isclass(made) or inspect.isroutine(made) else type(made)
    return str(getattr(kind, "__qualname__", type(made).__qualname__)).replace("<locals>.", "")


def _source(made: Foreign) -> str:
    """SHA-256 of the source that an object runs, as far as it can be found, hexadecimal."""
    kind = made if inspect.isroutine(made) else type(made)
    module = str(getattr(kind, "__module__", ""))
    if module == "__main__" or not module:
        # A notebook or an interactive session: there is no module to read, at most the definition itself.
        try:
            return digest_of(inspect.getsource(kind))
        except (OSError, TypeError):
            return ""
    return SourceTree.of_module(module).fingerprint()


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "model"
