"""The declaration of an encoder: `submission.yaml`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from xlir_bench.encoders.adapters import SOURCES, SourceKind
from xlir_bench.encoders.checkpoint import MEASURING, Backend, Pooling, Precision, Settings
from xlir_bench.encoders.protocol import LanguageSupport, Role, Similarity
from xlir_bench.errors import InputError
from xlir_bench.languages import distinct, language
from xlir_bench.yaml_files import read_yaml

FILE = "submission.yaml"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Part):
    """Where the model is: exactly one of five places, with what belongs to it.

    Attributes:
        folder: weights, relative to the manifest's folder.
        hub: weights in a repository of the Hugging Face hub, `revision` being a commit.
        mteb: a name in mteb's registry, `revision` optional.
        server: the address of a server with OpenAI's interface, up to `/embeddings`, with `model`, and optionally `key`
            (the name of an environment variable), `dimensions`, `revision`, and `tokenizer` (a `tokenizer.json` or its
            folder, relative to the manifest's folder, by which texts are cut after `max_length` tokens).
        embeddings: a file or folder of vectors, relative to the manifest's folder; see `encoders.precomputed`.
    """

    folder: str | None = None
    hub: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    mteb: str | None = None
    server: str | None = None
    embeddings: str | None = None
    revision: str | None = None
    model: str | None = None
    key: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")] | None = None
    dimensions: Annotated[int, Field(gt=0)] | None = None
    tokenizer: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        places = [name for name in _PLACES if getattr(self, name) is not None]
        if len(places) != 1:
            raise ValueError(f"give one of {', '.join(_PLACES)}")
        place = places[0]
        for name, owners in _BELONGS.items():
            if getattr(self, name) is not None and place not in owners:
                raise ValueError(f"{name} belongs to {' or '.join(owners)}; {place} has none")
        if place == "hub" and not re.fullmatch(r"[0-9a-f]{40}", self.revision or ""):
            raise ValueError("hub needs revision, a commit of 40 hexadecimal digits, so that the model cannot change")
        if place == "server" and not self.model:
            raise ValueError("server needs model, what the server calls it")
        return self

    @property
    def kind(self) -> SourceKind:
        """Which adapters can use it."""
        if self.folder is not None or self.hub is not None:
            return "weights"
        return "mteb" if self.mteb is not None else "server" if self.server is not None else "embeddings"


_PLACES = ("folder", "hub", "mteb", "server", "embeddings")
_BELONGS = {
    "revision": ("hub", "mteb", "server"),
    "model": ("server",),
    "key": ("server",),
    "dimensions": ("server",),
    "tokenizer": ("server",),
}


class AllBut(_Part):
    """Every language except a few."""

    codes: Annotated[tuple[str, ...], Field(alias="all-but")]


class Languages(_Part):
    """Which languages the model knows.

    Attributes:
        supported: `all`, a list of codes, or `{all-but: [codes]}`. Any tags are read, and become codes.
        fallback: what a text in another language is treated as: a code; `as-is` for a model that is never told the
            language; or `error`, which refuses a suite that has such texts.
    """

    supported: Literal["all"] | tuple[str, ...] | AllBut = "all"
    fallback: str = "error"

    @field_validator("supported", mode="before")
    @classmethod
    def _of_three_forms(cls, value: object) -> object:
        # Without this, what is wrong would be told once for each of the three forms.
        if (
            value == "all"
            or isinstance(value, (list, AllBut))
            or (isinstance(value, dict) and set(value) == {"all-but"})
        ):
            return value
        raise ValueError("write all, [codes] or {all-but: [codes]}")

    @field_validator("supported")
    @classmethod
    def _known(cls, value: Literal["all"] | tuple[str, ...] | AllBut) -> Literal["all"] | tuple[str, ...] | AllBut:
        if value == "all":
            return value
        if isinstance(value, AllBut):
            return AllBut.model_validate({"all-but": _codes(value.codes)})
        return _codes(value)

    @field_validator("fallback")
    @classmethod
    def _fallback_known(cls, value: str) -> str:
        return value if value in {"error", "as-is"} else _codes([value])[0]

    def language_support(self) -> LanguageSupport:
        """The same, as the adapters and the runner ask for it."""
        if isinstance(self.supported, AllBut):
            return LanguageSupport(unknown=frozenset(self.supported.codes), fallback=self.fallback)
        known = None if self.supported == "all" else frozenset(self.supported)
        return LanguageSupport(known=known, fallback=self.fallback)


class Prompts(_Part):
    """The text put before each query and each document."""

    query: str = ""
    document: str = ""


class Manifest(_Part):
    """One encoder, declared.

    Attributes:
        name: what the command line and the leaderboard call it; a folder's name.
        source: where its weights are; the manifest's own folder unless told otherwise.
        adapter: which kind of model it is.
        pooling: how token vectors become one; the checkpoint's choice, or mean, if it is not given.
        max_length: tokens after which a text is cut.
        prompts: none given means the checkpoint's own.
        similarity: how vectors are compared.
        precision: of weights and computation.
        backend: torch, or an ONNX or OpenVINO export of a sentence-transformers model.
        truncate_dim: the first so many dimensions of each vector are kept.
        languages: what the model knows.
        licence: of the weights, as an SPDX identifier where there is one.
        parameters: how many the model has.
        trained_on: names of the collections it was trained on; zero-shot is derived from them and from the audits.
        audits: records of `xlir-bench audit` on its training data, relative to the manifest's folder.
        unaudited: which names in `trained_on` stand for texts that these audits were not given.
        description: one sentence.
        contact: who answers questions about it: an e-mail address or a URL.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)]
    source: Source = Source(folder=".")
    adapter: str
    pooling: Pooling | None = None
    max_length: Annotated[int, Field(gt=0)] | None = None
    prompts: Prompts | None = None
    similarity: Similarity | None = None
    precision: Precision = "float32"
    backend: Backend = "torch"
    truncate_dim: Annotated[int, Field(gt=0)] | None = None
    languages: Languages = Languages()
    licence: Annotated[str, Field(min_length=1)]
    parameters: Annotated[int, Field(ge=0)] | None = None
    trained_on: tuple[str, ...] = ()
    audits: tuple[Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)*\.json$")], ...] = ()
    unaudited: tuple[str, ...] = ()
    description: str | None = None
    contact: str | None = None

    @field_validator("adapter")
    @classmethod
    def _registered(cls, value: str) -> str:
        if value not in SOURCES:
            raise ValueError(f"no adapter {value!r}; there are {', '.join(sorted(SOURCES))}")
        return value

    @model_validator(mode="after")
    def _source_fits(self) -> Manifest:
        wanted = SOURCES[self.adapter]
        if wanted == "none":
            if "source" in self.model_fields_set:
                raise ValueError(f"the adapter {self.adapter} has no source")
        elif self.source.kind != wanted:
            raise ValueError(f"the adapter {self.adapter} needs a source of {wanted}, not of {self.source.kind}")
        return self

    @model_validator(mode="after")
    def _unaudited_is_declared(self) -> Manifest:
        strangers = [name for name in self.unaudited if name not in self.trained_on]
        if strangers:
            raise ValueError(f"unaudited: {', '.join(strangers)} is not in trained_on")
        return self

    def settings(self) -> Settings:
        """What the adapter is told."""
        prompts: dict[Role, str] | None = None
        if self.prompts is not None:
            prompts = {"query": self.prompts.query, "document": self.prompts.document}
        return Settings(
            pooling=self.pooling,
            max_length=self.max_length,
            prompts=prompts,
            similarity=self.similarity,
            precision=self.precision,
            language_support=self.languages.language_support(),
            backend=self.backend,
            truncate_dim=self.truncate_dim,
            explicit=frozenset(self.model_fields_set) & MEASURING,
        )

    def details(self, audits: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What a result says of the model because the manifest declares it.

        Args:
            audits: summaries of the records that `audits` names.
        """
        found: dict[str, Any] = {
            "licence": self.licence,
            "languages": self.languages.model_dump(mode="json", by_alias=True),
        }
        # Nothing said about training data is not the same as none.
        if "trained_on" in self.model_fields_set:
            found["trained_on"] = list(self.trained_on)
        if audits:
            found["audits"] = list(audits)
        if self.unaudited:
            found["unaudited"] = list(self.unaudited)
        return found


def read(path: Path) -> Manifest:
    """The manifest in a file.

    Args:
        path: a `submission.yaml`.

    Raises:
        MissingResourceError: there is no such file.
        InputError: not YAML, or a field that is wrong, missing or unknown.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: fields such as `name: my-encoder` were expected")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_first_fault(error)}") from None


def _first_fault(error: ValidationError) -> str:
    faults = error.errors(include_url=False)
    first = faults[0]
    field = ".".join(str(part) for part in first["loc"]) or "the manifest"
    kinds: dict[str, str] = {
        "extra_forbidden": f"unknown field {field}; known: {', '.join(Manifest.model_fields)}"
        if len(first["loc"]) == 1
        else f"unknown field {field}",
        "missing": f"the field {field} is missing",
    }
    reason = kinds.get(first["type"]) or f"{field}: {first['msg'].removeprefix('Value error, ')}"
    more = len(faults) - 1
    return f"{reason} (and {more} more)" if more else reason


def _codes(tags: Sequence[str]) -> tuple[str, ...]:
    # Only listed languages: of a slip such as `tee` for `te`, which is a language too, nothing would be heard later.
    try:
        return tuple(language(code).code for code in distinct(tags, "the list"))
    except InputError as error:
        raise ValueError(str(error)) from None
