"""A suite is a declaration: what is measured, in which languages and settings, with which measures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from xlir_bench.collection import SETTINGS, Setting
from xlir_bench.errors import InputError, first_problem
from xlir_bench.languages import distinct
from xlir_bench.measures import distinct as distinct_measures
from xlir_bench.suites.beir import BeirSource
from xlir_bench.suites.ir_dataset import IrDatasetsSource
from xlir_bench.suites.lareqa import LareqaSource
from xlir_bench.suites.memory import MemorySource
from xlir_bench.suites.miracl import MiraclSource
from xlir_bench.suites.mteb_task import MtebSource
from xlir_bench.suites.names import check_files
from xlir_bench.suites.source import FileSource, Sha256, codes_of
from xlir_bench.suites.squad import SquadSource
from xlir_bench.suites.translated import MachineTranslation, TranslatedSource
from xlir_bench.suites.xm3600 import Xm3600Source
from xlir_bench.yaml_files import read_yaml

AnySource = Annotated[
    LareqaSource
    | SquadSource
    | BeirSource
    | MiraclSource
    | Xm3600Source
    | MtebSource
    | IrDatasetsSource
    | TranslatedSource
    | MemorySource,
    Field(discriminator="reader"),
]
MOST_OF_NAME = 120
"""Characters of a suite's name: it is a part of names of files."""

Counts = int | dict[str, int]
Measures = Annotated[tuple[str, ...], Field(min_length=1)]
SuiteName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=MOST_OF_NAME)]
_OF_THE_PROGRAM = ("place", "file", "by_layout")
_LIBRARIES = ("mteb", "ir_datasets")


class Expectation(BaseModel):
    """What a whole suite holds, where that was published.

    Attributes:
        queries, documents, judgements: one number for all languages, or one per language. A judgement is a pair of a
            query and a document in one language, relevant or not.
        fingerprint: of the collection in all its languages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: Counts | None = None
    documents: Counts | None = None
    judgements: Counts | None = None
    fingerprint: Sha256 | None = None

    @field_validator("queries", "documents", "judgements")
    @classmethod
    def _by_code(cls, counts: Counts | None) -> Counts | None:
        if not isinstance(counts, dict):
            return counts
        return dict(zip(codes_of(counts, "the table", unknown=True), counts.values(), strict=True))

    @staticmethod
    def count(counts: Counts | None, code: str, among: Sequence[str]) -> int | None:
        """The number expected for a language; None where nothing is.

        Args:
            counts: one for all languages, or one per language.
            code: the language.
            among: the languages that one number is for: those that have queries, or documents.
        """
        if isinstance(counts, dict):
            return counts.get(code)
        return counts if code in among else None


class Suite(BaseModel):
    """One suite, as its YAML file says.

    Attributes:
        name: how it is asked for; also the folder of its files below a data folder.
        version: raised whenever scores could change; results of two versions are never compared.
        title: for a page.
        description: what it measures, one or two sentences.
        licence: SPDX identifier of the texts.
        citation: where it was published.
        languages: codes of all its languages. They may be declared as any tags (`pt-BR`); a source of files then has
            the tags as `names`. In a file also `{queries: [en], documents: [zh]}`, which gives the source its
            `query_language` and `document_language`.
        source: how it is read.
        settings: per setting, the names of its measures; the first is primary.
        optional_settings: measures by setting, as in `settings`, of settings that are measured on request only.
        expect: published counts; a collection that has others is not measured.
        machine_translated: what was translated by a machine, from what and by which; None where people wrote it all.
        place: the folder that the declaration was found in; its files are searched there first. None for a suite
            that comes with the package or a library.
        file: the declaration, where it was named by its file.
        by_layout: whether nobody declared it: it follows from the layout of the files in `place`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: SuiteName
    version: int = Field(ge=1)
    title: str
    description: str
    licence: str
    citation: str
    languages: tuple[str, ...] = Field(min_length=1)
    source: AnySource
    settings: dict[Setting, Measures] = Field(min_length=1)
    optional_settings: dict[Setting, Measures] = {}
    expect: Expectation = Expectation()
    machine_translated: MachineTranslation | None = None
    place: Path | None = Field(default=None, exclude=True)
    file: Path | None = Field(default=None, exclude=True)
    by_layout: bool = Field(default=False, exclude=True)

    @property
    def key(self) -> str:
        """The name of a suite that travels with the package or is a library's; else the name and where it was found."""
        return self.name if self.place is None else f"{self.name} ({self.place})"

    @property
    def argument(self) -> str:
        """What names it on a command line, from any folder: its file or folder, else its name."""
        return shlex.quote(str(self.file or self.place or self.name))

    def with_measures(self, names: Sequence[str] | None) -> Suite:
        """The suite with these measures in every setting, also the optional ones; the first is primary.

        Args:
            names: of measures; None keeps the suite's own.

        Raises:
            InputError: there is none, one is no measure, or two are the same.
        """
        if names is None:
            return self
        if isinstance(names, str) or not names:
            raise InputError("measures is a list of at least one name, such as ['nDCG@10']")
        measures = distinct_measures(names)
        return self.model_copy(
            update={
                "settings": dict.fromkeys(self.settings, measures),
                "optional_settings": dict.fromkeys(self.optional_settings, measures),
            }
        )

    def narrowed(self, settings: Sequence[str] | None) -> Suite:
        """The suite with only these settings; None keeps all but the optional ones.

        Raises:
            InputError: the suite has none of them.
        """
        if settings is None:
            return self
        every = {**self.settings, **self.optional_settings}
        kept = {setting: every[setting] for setting in SETTINGS if setting in every and setting in settings}
        if not kept:
            hint = self.source.hint_across(self.languages)
            raise InputError(
                f"suite {self.name} has no {' or '.join(settings)} setting; it has {', '.join(every)}"
                f"{'; ' if hint else ''}{hint}"
            )
        return self.model_copy(update={"settings": kept})

    @model_validator(mode="before")
    @classmethod
    def _names_of_languages(cls, content: Any) -> Any:  # noqa: ANN401  (as it was written, whatever it is)
        if not isinstance(content, dict):
            return content
        if isinstance(content.get("languages"), dict):
            content = _with_sides(content)
        tags, source = content.get("languages"), content.get("source")
        if not isinstance(tags, (list, tuple)) or not all(isinstance(tag, str) for tag in tags):
            return content  # the validator of the field says what is wrong with it
        if not isinstance(source, dict) or source.get("reader") in _LIBRARIES:
            return content
        try:
            names = {code: tag for code, tag in distinct(tags, "languages", unknown=True).items() if code != tag}
        except InputError:
            return content  # so it does of a tag that names no language
        if not names or not isinstance(source.get("names", {}), dict):
            return content
        return {**content, "source": {**source, "names": {**names, **source.get("names", {})}}}

    @field_validator("languages")
    @classmethod
    def _codes_of_languages(cls, tags: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return codes_of(tags, "the list", unknown=bool((info.context or {}).get("unknown_language")))

    @field_validator("settings", "optional_settings")
    @classmethod
    def _known_measures(cls, settings: dict[Setting, tuple[str, ...]]) -> dict[Setting, tuple[str, ...]]:
        try:
            return {setting: distinct_measures(settings[setting]) for setting in SETTINGS if setting in settings}
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _several_languages(self) -> Suite:
        if len(self.languages) == 1 and {*self.settings, *self.optional_settings} != {"monolingual"}:
            raise ValueError("a suite of one language has the monolingual setting only")
        return self

    @model_validator(mode="after")
    def _settings_of_the_source(self) -> Suite:
        if (problem := self.source.problem(self.languages)) is not None:
            raise ValueError(problem)
        if isinstance(self.source, FileSource):
            check_files(self.source.files(self.languages))
        queries, documents = self.source.sides(self.languages)
        pairs = [(x, y) for x in queries for y in documents]
        possible = {
            "monolingual": any(x == y for x, y in pairs),
            "cross-lingual": any(x != y for x, y in pairs),
            "multilingual": len(documents) > 1 or len(self.languages) == 1,
        }
        for setting in (*self.settings, *self.optional_settings):
            if not possible[setting]:
                raise ValueError(
                    f"there is no {setting} setting between queries in {' '.join(queries)} and documents in "
                    f"{' '.join(documents)}"
                )
        return self


class Group(BaseModel):
    """Several suites under one name: one command runs them all.

    Attributes:
        name: how it is asked for.
        title: for a page.
        description: what it is for.
        suites: names of suites, or of other groups. The mean over a group gives each of them equal weight.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: SuiteName
    title: str
    description: str
    suites: tuple[str, ...] = Field(min_length=1)


def read_declaration(path: Path) -> Suite | Group:
    """The suite, or the group of suites, that a YAML file declares.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not YAML, or declares neither; the message names the field.
    """
    content = read_yaml(path)
    group = isinstance(content, dict) and "suites" in content
    if isinstance(content, dict) and (own := [name for name in _OF_THE_PROGRAM if name in content]):
        raise InputError(f"{path}: not a {'group' if group else 'suite'}: {own[0]}: Extra inputs are not permitted")
    try:
        return Group.model_validate(content) if group else Suite.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: not a {'group' if group else 'suite'}: {first_problem(error)}") from None


def read_suite(path: Path) -> Suite:
    """The suite that a YAML file declares.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not YAML, or not a suite; the message names the field.
    """
    declared = read_declaration(path)
    if isinstance(declared, Group):
        raise InputError(f"{path}: not a suite but a group of suites: {', '.join(declared.suites)}; name one of them")
    return declared


def declare(content: dict[str, Any]) -> Suite:
    """A suite made from what a library or a folder tells; its language may be `und`, unknown.

    Raises:
        InputError: the parts do not make a suite.
    """
    try:
        return Suite.model_validate(content, context={"unknown_language": True})
    except ValidationError as error:
        raise InputError(f"{content.get('title')}: not a suite: {first_problem(error)}") from None


def _with_sides(content: dict[str, Any]) -> dict[str, Any]:
    """A declaration whose languages are given for queries and documents apart, with a list of all and a source of both.

    Raises:
        ValueError: they are not lists of codes, or the source cannot have them.
    """
    sides, source = content["languages"], content.get("source")
    listed = [sides.get(name) for name in ("queries", "documents")]
    if len(sides) != 2 or not all(
        isinstance(codes, list) and codes and all(isinstance(code, str) for code in codes) for codes in listed
    ):
        raise ValueError("languages: give a list of codes, or {queries: [en], documents: [zh]}")
    queries, documents = listed
    if not isinstance(source, dict) or source.get("reader") != "beir":
        raise ValueError("languages: only the reader beir takes languages of queries and of documents; give a list")
    if len(queries) > 1:
        raise ValueError("languages: queries have one language, documents may have several; declare a suite for each")
    mine = {"query_language": queries[0], "document_language": documents}
    for name, value in mine.items():
        if source.get(name, value) not in (value, value[0] if isinstance(value, list) else value):
            raise ValueError(f"languages: {value} and the source's {name} {source[name]} differ")
    return {**content, "languages": list(dict.fromkeys([*queries, *documents])), "source": {**source, **mine}}
