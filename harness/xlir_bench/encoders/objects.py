"""Models that the calling program holds in memory: a `SentenceTransformer`, an object with `encode`, a function.

What is taken is what a factory may return (see `encoders.factory`), and a function from a list of texts to vectors.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from xlir_bench.encoders import in_memory, sentence_transformer
from xlir_bench.encoders.adapters import USES
from xlir_bench.encoders.checkpoint import Foreign, Loaded, Options, Settings
from xlir_bench.encoders.display import safe_name
from xlir_bench.encoders.factory import (
    EXPECTED,
    adapted,
    declared_fingerprint,
    interface_of,
    is_sentence_transformer,
    of_interface,
    probed,
    refuse_batch_size,
    signature_of,
    what_it_is,
)
from xlir_bench.encoders.identity import VectorFields, digest_of, identified, rounded
from xlir_bench.encoders.kinds import refuse_other_objects
from xlir_bench.encoders.protocol import Encoder, Model, ModelInfo, Role, Vectors
from xlir_bench.encoders.resolve import resolve
from xlir_bench.encoders.similarity import of_object, undeclared
from xlir_bench.encoders.source_code import SourceTree
from xlir_bench.errors import InputError, warn
from xlir_bench.external_code import external_code

_METHODS = ("encode", "encode_query", "encode_queries")
_TELLS_ROLE = frozenset(
    {"role", "prompt_type", "task", "task_name", "task_type", "input_type", "text_type", "is_query", "query", "mode"}
)
"""What parameters are called by which an `encode` of other libraries is told what texts are for."""
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
            with BEIR's or with mteb's interface, with `encode_query` and `encode_document`, or with `encode(texts)`,
            which is then used for queries and documents alike; or a function `list[str] -> array`.
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
    return model if name is None else replace(model, info=replace(model.info, name=safe_name(name)))


class PlainEncoder:
    """An object whose `encode` takes texts and is told no role.

    Args:
        model: the object; with both `encode_query` and `encode_document` each role has its own.
        options: given to every call.
    """

    def __init__(self, model: Foreign, options: Mapping[str, Any]) -> None:
        self.model, self._options = model, options

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions)."""
        name = f"encode_{role}" if _has_both_roles(self.model) else "encode"
        vectors: Vectors = getattr(self.model, name)(list(texts), **self._options)
        return vectors


@contextmanager
def in_evaluation_mode(given: Foreign) -> Iterator[None]:
    """Switch off dropout and the like in all torch modules that a model consists of, and put them back as they were.

    A model that is being trained is measured as it would be used. What an option sets in a `SentenceTransformer`, and
    what its `encode` sets, is put back as well.
    """
    modules = in_memory.modules_of(given)
    training = {part: part.training for module in modules for part in module.modules()}
    dimensions = {module: module.truncate_dim for module in modules if is_sentence_transformer(module)}
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, was in training.items():
            part.training = was
        for module, kept in dimensions.items():
            module.truncate_dim = kept


def _of_object(given: Foreign, device: str | None, options: Options) -> Model:
    made = _unwrapped(given)
    who = _called(made)
    if inspect.isclass(made):
        raise InputError(f"{who} is a class: give an object of it")
    refuse_other_objects(made, who, "this is")
    if device is not None:
        raise InputError(f"{who}: device is for models that are given by their id; move the object to it instead")
    with external_code(f"model {who} cannot be used", owner=who):
        declared = declared_fingerprint(who, made)
        # Before the model is used, which may change what it holds.
        held = in_memory.state_of(made) or in_memory.held_by(made)
        loaded = _loaded(made, who, options)
        known = is_sentence_transformer(made) and not sentence_transformer.is_altered(made)
        behaviour = "" if declared or known else _behaviour(loaded.encoder, who)
    of_libraries = known and _of_libraries(made)
    content = declared or digest_of("" if of_libraries else _source(made), held, behaviour)
    info = ModelInfo(
        id=who,
        name=f"{safe_name(who)}-{{fingerprint}}",
        fingerprint="",
        prompts=loaded.prompts,
        similarity=loaded.similarity,
        details={**loaded.fingerprint_fields, **loaded.details},
        verify_stored=not of_libraries,
    )
    fields = VectorFields(str(loaded.details["adapter"]), digest_of(who, content), loaded.fingerprint_fields)
    model = Model(identified(info, fields), loaded.encoder)
    if options.stored_as == "float32":
        return model
    return replace(model, info=rounded(model.info, model.language_support, options.stored_as))


def _unwrapped(made: Foreign) -> Foreign:
    """The model in what torch wraps around one to run it elsewhere or faster."""
    torch = sys.modules.get("torch")
    while torch is not None and in_memory.is_module(made):
        if isinstance(made, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
            made = made.module
        elif is_sentence_transformer(getattr(made, "_orig_mod", None)):
            made = made._orig_mod  # of torch.compile, whose encode() is that of the model as it was
        else:
            break
    return made


def _behaviour(encoder: Encoder, who: str) -> str:
    """What a model gives to fixed texts, hexadecimal; empty for one that cannot encode them.

    A table of vectors, for example, knows the texts of one collection only. What is wrong with a model is said of the
    caller's own texts.
    """
    try:
        return probed(encoder, who)
    except InputError:
        return ""


def _loaded(made: Foreign, who: str, options: Options) -> Loaded:
    if is_sentence_transformer(made):
        settings = options.over(Settings(), str(made.device))
        settings.refuse_unused("sentence-transformers in memory", USES["object"], who)
        return sentence_transformer.wrapped(made, settings, str(made.device))
    settings = options.over(Settings(), "cpu")
    settings.refuse_unused("factory", USES["factory"], who)
    if interface_of(made) is not None:
        return adapted(made, who, settings)
    if callable(made) and not any(hasattr(made, name) for name in _METHODS):
        refuse_batch_size(settings, who)
        return of_interface("function", FunctionEncoder(made), settings.similarity or undeclared(who))
    return _of_plain(made, who, settings)


def _of_plain(made: Foreign, who: str, settings: Settings) -> Loaded:
    """An object that encodes texts without being told a role, as those of many libraries do.

    Raises:
        InputError: it has no `encode` that takes a list of texts alone, or one that is told the role in its own way:
            without it, prompts would be left out.
    """
    encode: Foreign = getattr(made, "encode", None)
    signature = signature_of(encode)
    names = set(list(signature.parameters)[1:]) if signature is not None else set()
    both = _has_both_roles(made)
    if not both and (told := sorted(names & _TELLS_ROLE)):
        raise InputError(
            f"{who}: {what_it_is(made)} is told the role by {told[0]}, and how is not known: wrap it in an object with "
            "encode(texts, *, role, languages)"
        )
    if not both and not _takes_texts(signature):
        expected = f"a function of texts; encode(texts); {EXPECTED}"
        raise InputError(f"{who}: {what_it_is(made)} is no model; expected {expected}")
    if not both:
        warn(f"{who}: its encode() is told no role: queries and documents are encoded alike, by encode(texts)")
    if settings.batch_size is not None and "batch_size" not in names:
        refuse_batch_size(settings, who)
    given = {"batch_size": settings.batch_size} if settings.batch_size is not None else {}
    similarity = of_object(made, who, settings.similarity)
    return of_interface("encode_query, encode_document" if both else "encode", PlainEncoder(made, given), similarity)


def _takes_texts(signature: inspect.Signature | None) -> bool:
    try:
        return signature is not None and signature.bind([]) is not None
    except TypeError:
        return False


def _has_both_roles(made: Foreign) -> bool:
    return all(callable(getattr(made, name, None)) for name in ("encode_query", "encode_document"))


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
