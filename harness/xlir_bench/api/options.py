"""The options of `evaluate`: those of `xlir-bench run`, by the same names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from xlir_bench.encoders import Options, Similarity, VectorCache
from xlir_bench.encoders.checkpoint import Backend, Pooling, Precision
from xlir_bench.engines import Streaming
from xlir_bench.engines.storage import check_installed
from xlir_bench.errors import InputError, unknown_name


class ModelOptions(TypedDict, total=False):
    """What is decided about a model over what it declares; see docs/encoders.md.

    Attributes:
        device: "cpu", "cuda", "cuda:1", "mps"; the best there is by default. Not for an object, which is where it is.
        precision: of weights and computation; "auto" takes half where the device gains by it.
        backend: of a sentence-transformers model in a folder.
        batch_tokens: tokens per batch, padding included.
        batch_size: texts per batch, at most; for objects with BEIR's or mteb's interface the size that they are given.
        trust_remote_code: run code that comes with the model, and read pickled weights.
        cache_as: type of stored vectors; "float16" rounds all vectors of the run.
        similarity: how vectors are compared; what the model declares by default.
        query_prompt: text put before each query; "" for none.
        document_prompt: text put before each document.
        query_prompt_name: which of the model's own prompts is put before each query.
        document_prompt_name: and before each document.
        pooling: of a checkpoint of transformers.
        max_length: tokens after which a text is cut.
        truncate_dim: dimensions of each vector that are kept.
        registry: take prompts from mteb's registry where a checkpoint has none; True by default.
    """

    device: str | None
    precision: Precision | Literal["auto"] | None
    backend: Backend | None
    batch_tokens: int | None
    batch_size: int | None
    trust_remote_code: bool
    cache_as: Literal["float32", "float16"]
    similarity: Similarity | None
    query_prompt: str | None
    document_prompt: str | None
    query_prompt_name: str | None
    document_prompt_name: str | None
    pooling: Pooling | None
    max_length: int | None
    truncate_dim: int | None
    registry: bool


class EvaluateOptions(ModelOptions, total=False):
    """`ModelOptions`, and where data, vectors and results are.

    Attributes:
        name: what results call the model.
        data: folder searched first for a suite's files.
        query_language: of a folder whose queries and documents are in different languages.
        document_language: of such a folder, one or several.
        cache: read and keep vectors of earlier runs; True by default for a model that is given by its id, and False for
            an object, which may change from one call to the next.
        output: folder that results are written to, with a page of all of them; a result that an earlier run finished
            there is taken from it. None writes nothing.
        top_k: also write the first documents of every ranking as TREC runs; needs `output`.
        overwrite: replace a file at a result's path that this release cannot read as a result.
        shard_size: documents of a shard, for a corpus that is not to be held in memory; see docs/scale.md.
        keep_embeddings: where vectors of shards are kept.
        records: where the counts of finished shards are kept.
        engine: what works on the shards: this process ("local"), or a Ray cluster.
        progress: draw a bar per stage on standard error.
    """

    name: str | None
    data: str | Path | None
    query_language: str | None
    document_language: str | tuple[str, ...] | list[str] | None
    cache: bool | None
    output: str | Path | None
    top_k: int | None
    overwrite: bool
    shard_size: int | None
    keep_embeddings: str | Path | None
    records: str | Path | None
    engine: Literal["local", "ray"] | None
    progress: bool


_KNOWN = frozenset(EvaluateOptions.__annotations__) | frozenset(ModelOptions.__annotations__)
_COUNTS = frozenset({"batch_tokens", "batch_size", "max_length", "truncate_dim", "top_k", "shard_size"})
_SWITCHES = frozenset({"trust_remote_code", "registry", "cache", "overwrite", "progress"})
_TEXTS = frozenset(
    {"device", "name", "query_language"}
    | {f"{role}_{what}" for role in ("query", "document") for what in ("prompt", "prompt_name")}
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "precision": (*get_args(Precision), "auto"),
    "backend": get_args(Backend),
    "cache_as": ("float32", "float16"),
    "similarity": get_args(Similarity),
    "pooling": get_args(Pooling),
    "engine": ("local", "ray"),
}
_STREAMING = ("shard_size", "keep_embeddings", "records", "engine")


def check(options: EvaluateOptions) -> None:
    """Refuse options that do not exist, with the nearest that do, and values that an option cannot have.

    Raises:
        InputError: there is one.
    """
    for name, value in options.items():
        if name not in _KNOWN:
            raise unknown_name("option", name, _KNOWN, "see xlir_bench.EvaluateOptions")
        if value is None:
            continue
        if name in _COUNTS and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
            raise InputError(f"{name} {value!r}: a whole number from 1 was expected")
        if name in _SWITCHES and not isinstance(value, bool):
            raise InputError(f"{name} {value!r}: True or False was expected")
        if name in _TEXTS and not isinstance(value, str):
            raise InputError(f"{name} {value!r}: a text was expected")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise unknown_name(name, str(value), _CHOICES[name], f"known: {', '.join(_CHOICES[name])}")


def refuse_others(options: Mapping[str, object], kind: type) -> None:
    """Refuse options that a function does not take, with the nearest that it does.

    Args:
        options: as given.
        kind: a `TypedDict` of those that it takes.

    Raises:
        InputError: there is one.
    """
    for name in options:
        if name not in kind.__annotations__:
            raise unknown_name("option", name, kind.__annotations__, f"see xlir_bench.{kind.__name__}")


def as_path(given: object, what: str) -> Path:
    """A path that was given as such or as a text.

    Raises:
        InputError: it is neither.
    """
    if not isinstance(given, str | Path) or not str(given):
        raise InputError(f"{what}: a path was expected, not {type(given).__name__} {given!r}")
    return Path(given)


def encoder_options(options: EvaluateOptions) -> Options:
    """The part that `encoders.Options` holds."""
    given: dict[str, Any] = {
        name: int(value) if name in _COUNTS else value  # also numpy's
        for name, value in dict[str, Any](options).items()
        if name in ModelOptions.__annotations__ and name not in ("device", "cache_as") and value is not None
    }
    return Options(**given, stored_as=options.get("cache_as", "float32"))


def storage_of_vectors(options: EvaluateOptions, model_id: str | None) -> VectorCache | Streaming | None:
    """Where vectors are kept, and how a corpus is streamed if any option says so.

    Args:
        options: as given.
        model_id: the id that the model was given by; None for an object.

    Raises:
        InputError: an engine of several processes for a model that only this one holds.
    """
    keeping = options.get("cache")
    kept = model_id is not None if keeping is None else keeping
    cache = VectorCache(stored_as=options.get("cache_as", "float32")) if kept else None
    given: dict[str, Any] = {name: options.get(name) for name in _STREAMING if options.get(name) is not None}
    if not given:
        return cache
    engine = given.pop("engine", None)
    for place in (given.get("keep_embeddings"), given.get("records")):
        if place is not None:
            check_installed(str(place))
    if "keep_embeddings" in given:
        given["keep"] = str(given.pop("keep_embeddings"))
    if "records" in given:
        given["records"] = str(given["records"])
    if engine == "ray":
        given["engine"] = _ray(model_id, options)
    return Streaming(**given, cache=cache)


def _ray(model_id: str | None, options: EvaluateOptions) -> Any:  # noqa: ANN401 (an `Engine`, whose module loads much)
    from xlir_bench.encoders import resolve
    from xlir_bench.engines import RayEngine, ray

    ray.check_installed()
    if model_id is None:
        raise InputError("engine 'ray' needs a model that its workers can load: give an id instead of an object")
    device = options.get("device")
    return RayEngine(partial(resolve, _from_anywhere(model_id), options=encoder_options(options)), device)


def _from_anywhere(model_id: str) -> str:
    """The id as a process in another folder has to give it."""
    from xlir_bench.encoders import bundled

    place, colon, factory = model_id.rpartition(":") if ".py:" in model_id else (model_id, "", "")
    path = Path(place)
    return f"{path.resolve()}{colon}{factory}" if model_id not in bundled() and path.exists() else model_id
