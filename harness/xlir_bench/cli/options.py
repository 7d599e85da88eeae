"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

import click

from xlir_bench.cli.globals import set_offline, show_traceback
from xlir_bench.errors import InputError, XlirError, counted, explained

if TYPE_CHECKING:
    from xlir_bench.api.options import EvaluateOptions, ModelOptions

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class EncoderOptions(TypedDict):
    """The fields of `encoders.Options`, as typed."""

    precision: Literal["float32", "bfloat16", "float16", "auto"] | None
    backend: Literal["torch", "onnx", "openvino"] | None
    batch_tokens: int | None
    batch_size: int | None
    trust_remote_code: bool
    stored_as: Literal["float32", "float16"]
    similarity: Literal["cosine", "dot", "euclidean", "manhattan"] | None
    query_prompt: str | None
    document_prompt: str | None
    query_prompt_name: str | None
    document_prompt_name: str | None
    pooling: Literal["mean", "cls", "pooler", "last-token"] | None
    max_length: int | None
    truncate_dim: int | None
    registry: bool


class Sides(TypedDict):
    """The languages of an own folder's two sides, as typed."""

    query_language: str | None
    document_language: tuple[str, ...] | None


class StreamingOptions(TypedDict):
    """The fields of `engines.Streaming`, as typed; None is the default of each."""

    shard_size: int | None
    keep: str | None
    records: str | None
    engine: Literal["local", "ray"] | None


class Listed(click.ParamType[tuple[str, ...]]):
    """Names separated by commas or spaces, e.g. `ar,de`; each may be limited to a choice."""

    name = "LIST"

    def __init__(self, choice: Callable[[], tuple[str, ...]] = tuple) -> None:
        self._choice = choice

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names, without repetition, in the order given."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(str(value).replace(",", " ").split()))
        if not names:
            self.fail("give at least one name", param, ctx)
        choice = self._choice()
        for name in names:
            if choice and name not in choice:
                self.fail(f"{name!r} is not one of {', '.join(choice)}", param, ctx)
        return names


def all_settings() -> tuple[str, ...]:
    """Names of the settings, whose module loads numpy: for `Listed`, so that --help answers at once."""
    from xlir_bench.collection import SETTINGS

    return SETTINGS


class Measures(click.ParamType[tuple[str, ...]]):
    """Names of measures separated by commas, e.g. `nDCG@10,AP(rel=2)`."""

    name = "MEASURES"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The canonical names, in the order given."""
        from xlir_bench.measures import distinct, split

        return value if isinstance(value, tuple) else distinct(split(str(value)))


measures: Decorator = click.option(
    "--measures",
    type=Measures(),
    help="Instead of the suite's, in every setting, as ir_measures writes them, e.g. 'nDCG@10,AP(rel=2),RR@10'; the "
    "first is primary.",
)
data: Decorator = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder searched first for a suite's files, as DIR/SUITE/ or DIR/ itself.  [env: XLIR_BENCH_DATA]",
)
languages: Decorator = click.option("--languages", type=Listed(), help="Only these, e.g. ar,de,en.")
measured_languages: Decorator = click.option(
    "--languages", type=Listed(), help="Results on exactly these, e.g. de,en.  [default: on the most there are]"
)
_SIDES: tuple[Decorator, ...] = (
    click.option("--query-language", metavar="CODE", help="Of a folder whose documents are in another language."),
    click.option("--document-language", type=Listed(), help="Of the documents there; several need a field `language`."),
)
device: Decorator = click.option("--device", help="cpu, cuda, cuda:1, mps.  [default: the best there is]")
no_cache: Decorator = click.option("--no-cache", is_flag=True, help="Neither read nor keep vectors of earlier runs.")
seed: Decorator = click.option("--seed", type=int, default=0, show_default=True)
offline: Decorator = click.option(
    "--offline",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=set_offline,
    help="Open no connection, whatever is missing.  [env: XLIR_BENCH_OFFLINE]",
)
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="JSON on stdout, and nothing else there.")


def display_names(names: tuple[str, ...]) -> dict[str, str]:
    """Name -> what to write in its place, from `NAME=SHOWN`.

    Raises:
        InputError: one is not written so.
    """
    found: dict[str, str] = {}
    for written in names:
        name, equals, shown = written.partition("=")
        if not equals or not name or not shown.strip():
            raise InputError(f"--name {written}: write NAME=SHOWN, such as xquad-r=XQuAD-R")
        found[name] = shown
    return found


def count(name: str, default: int, meaning: str) -> Decorator:
    """The option of a number that may be zero."""
    return click.option(name, type=click.IntRange(min=0), default=default, show_default=True, help=meaning)


@contextmanager
def noted(failures: dict[str, XlirError], name: str) -> Iterator[None]:
    """Note what stops a suite or a model, so that the next one has its turn.

    Args:
        failures: name -> what stopped it; is added to.
        name: of the suite or the model.
    """
    try:
        yield
    except XlirError as error:
        failures[name] = error
    except Exception as error:
        failures[name] = explained(error)


def report_failures(failures: Mapping[str, XlirError], number: int, what: str = "suites") -> None:
    """Raise the only failure, or print all of them and raise one with the highest exit code.

    Args:
        failures: name of what failed -> what stopped it.
        number: how many there were, failed or not.
        what: they are.

    Raises:
        XlirError: there are failures.
    """
    if not failures:
        return
    if number == 1:
        raise next(iter(failures.values()))
    for name, error in failures.items():
        show_traceback(error)
        click.echo(f"failed: {name}: {' '.join(str(error).split())}", err=True)
    worst = max(failures.values(), key=lambda error: error.exit_code)
    raise type(worst)(
        f"{len(failures)} of {counted(number, what)} failed: {', '.join(failures)}; the others are finished"
    ) from None


_ENCODER: tuple[Decorator, ...] = (
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        help="Of weights and computation; auto takes half where the device gains by it.  [default: the manifest's]",
    ),
    click.option(
        "--backend", type=click.Choice(["torch", "onnx", "openvino"]), help="Of a sentence-transformers model."
    ),
    click.option("--batch-tokens", type=click.IntRange(min=1), help="Tokens per batch.  [default: by device]"),
    click.option("--batch-size", type=click.IntRange(min=1), help="Texts per batch, at most."),
    click.option(
        "--trust-remote-code", is_flag=True, help="Run code that comes with the model, and read pickled weights."
    ),
    click.option(
        "--cache-as",
        "stored_as",
        type=click.Choice(["float32", "float16"]),
        default="float32",
        show_default=True,
        help="Type of stored vectors; float16 rounds all vectors of the run.",
    ),
    click.option(
        "--similarity",
        type=click.Choice(["cosine", "dot", "euclidean", "manhattan"]),
        help="How vectors are compared.  [default: what the model declares, else cosine]",
    ),
    click.option("--query-prompt", metavar="TEXT", help="Put before each query; '' for none.  [default: the model's]"),
    click.option("--document-prompt", metavar="TEXT", help="Put before each document."),
    click.option("--query-prompt-name", metavar="NAME", help="Which of the model's own prompts queries get."),
    click.option("--document-prompt-name", metavar="NAME", help="Which of the model's own prompts documents get."),
    click.option(
        "--pooling",
        type=click.Choice(["mean", "cls", "pooler", "last-token"]),
        help="Of a transformers checkpoint.  [default: what its files declare]",
    ),
    click.option("--max-length", type=click.IntRange(min=1), help="Tokens after which a text is cut."),
    click.option("--truncate-dim", type=click.IntRange(min=1), help="Keep the first N dimensions of each vector."),
    click.option(
        "--registry/--no-registry",
        default=True,
        help="Take prompts from mteb's registry where a checkpoint has none.  [default: registry]",
    ),
)


_STREAMING: tuple[Decorator, ...] = (
    click.option(
        "--shard-size",
        type=click.IntRange(min=1),
        help="Documents per shard: the corpus is encoded and counted shard by shard, and never held in memory.  "
        "[default: 131,072 for a corpus of more than 1,000,000 documents; others are held in memory]",
    ),
    click.option(
        "--keep-embeddings",
        "keep",
        metavar="DIR|URL",
        help="Stream, and keep the vectors of documents there as float16 (which rounds them): a folder, or s3://, "
        "gs://, file:// through fsspec.",
    ),
    click.option(
        "--records",
        metavar="DIR|URL",
        help="Stream, and keep there what a run that is cut off goes on from.  [default: in the cache folder]",
    ),
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        help="Stream, on this machine or on a Ray cluster: that of RAY_ADDRESS, else one of this machine's GPUs.",
    ),
)


def sides(command: Callable[..., Any]) -> Callable[..., Any]:
    """The languages of an own folder's queries and documents, gathered into one argument `sides`."""
    return gathered(command, "sides", _SIDES, tuple(Sides.__annotations__))


def of_model(chosen: EncoderOptions) -> ModelOptions:
    """The options of a model as `xlir_bench.evaluate` takes them."""
    given: Any = {name: value for name, value in chosen.items() if name != "stored_as"}
    return cast("ModelOptions", {**given, "cache_as": chosen["stored_as"]})


def of_streaming(chosen: StreamingOptions) -> EvaluateOptions:
    """The options of a corpus that is not held in memory, as `xlir_bench.evaluate` takes them."""
    given: Any = {name: value for name, value in chosen.items() if name != "keep"}
    return cast("EvaluateOptions", {**given, "keep_embeddings": chosen["keep"]})


def of_work(chosen: StreamingOptions) -> str:
    """The options given that say how documents are encoded and counted, or where that is kept."""
    names = {"shard_size": "--shard-size", "keep": "--keep-embeddings", "records": "--records", "engine": "--engine"}
    return " and ".join(names[name] for name, value in chosen.items() if value is not None)


def encoder(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a model, gathered into one argument `encoder_options`."""
    return gathered(command, "encoder_options", _ENCODER, tuple(EncoderOptions.__annotations__))


def streaming(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a corpus that is not held in memory, gathered into one argument `streaming_options`."""
    return gathered(command, "streaming_options", _STREAMING, tuple(StreamingOptions.__annotations__))


def gathered(
    command: Callable[..., Any], into: str, group: tuple[Decorator, ...], names: tuple[str, ...]
) -> Callable[..., Any]:
    """A command with a group of options, which it is given as one argument.

    Args:
        command: what takes them.
        into: name of the argument.
        group: the options.
        names: of their values; the argument's keys.
    """

    def called(**arguments: Any) -> Any:  # noqa: ANN401  (whatever the command takes and returns)
        chosen = {name: arguments.pop(name) for name in names}
        return command(**{into: chosen}, **arguments)

    decorated: Callable[..., Any] = update_wrapper(called, command)
    for decorate in reversed(group):
        decorated = decorate(decorated)
    return decorated
