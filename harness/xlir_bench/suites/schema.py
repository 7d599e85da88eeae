"""A suite is a declaration: what is measured, in which languages and settings, with which measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from xlir_bench.collection import SETTINGS, Setting
from xlir_bench.errors import InputError, MissingResourceError, at, first_problem
from xlir_bench.languages import language
from xlir_bench.measures import parse
from xlir_bench.suites.beir import BeirSource
from xlir_bench.suites.lareqa import LareqaSource
from xlir_bench.suites.squad import SquadSource

Source = Annotated[LareqaSource | SquadSource | BeirSource, Field(discriminator="reader")]
Counts = int | dict[str, int]


class Expectation(BaseModel):
    """How many texts each language has, where that was published: one number for all, or one per language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: Counts | None = None
    documents: Counts | None = None

    @staticmethod
    def count(counts: Counts | None, code: str) -> int | None:
        """The number expected for a language; None where nothing is."""
        return counts.get(code) if isinstance(counts, dict) else counts


class Suite(BaseModel):
    """One suite, as its YAML file says.

    Attributes:
        name: how it is asked for; also the folder of its files below a data folder.
        version: raised whenever scores could change; results of two versions are never compared.
        title: for a page.
        description: what it measures, one or two sentences.
        licence: SPDX identifier of the texts.
        citation: where it was published.
        languages: codes of all its languages.
        source: how it is read.
        settings: per setting, the names of its measures; the first is primary.
        expect: published counts, checked by `suites check`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: int = Field(ge=1)
    title: str
    description: str
    licence: str
    citation: str
    languages: tuple[str, ...] = Field(min_length=1)
    source: Source
    settings: dict[Setting, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(min_length=1)
    expect: Expectation = Expectation()

    def narrowed(self, settings: Sequence[str] | None) -> Suite:
        """The suite with only these settings; None keeps all.

        Raises:
            InputError: the suite has none of them.
        """
        if settings is None:
            return self
        kept = {setting: names for setting, names in self.settings.items() if setting in settings}
        if not kept:
            raise InputError(
                f"suite {self.name} has no {' or '.join(settings)} setting; it has {', '.join(self.settings)}"
            )
        return self.model_copy(update={"settings": kept})

    @field_validator("languages")
    @classmethod
    def _known_languages(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            _as_value_error(language, code)
        if len(set(codes)) < len(codes):
            raise ValueError("a language is listed twice")
        return codes

    @field_validator("settings")
    @classmethod
    def _known_measures(cls, settings: dict[Setting, tuple[str, ...]]) -> dict[Setting, tuple[str, ...]]:
        for names in settings.values():
            for name in names:
                _as_value_error(parse, name)
        return {setting: settings[setting] for setting in SETTINGS if setting in settings}

    @model_validator(mode="after")
    def _several_languages(self) -> Suite:
        if len(self.languages) == 1 and set(self.settings) != {"monolingual"}:
            raise ValueError("a suite of one language has the monolingual setting only")
        return self


def read_suite(path: Path) -> Suite:
    """The suite that a YAML file declares.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not YAML, or not a suite; the message names the field.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingResourceError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        raise InputError(f"{at(path, line)}: not YAML: {getattr(error, 'problem', error)}") from None
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: not a suite: {first_problem(error)}") from None


def _as_value_error(check: object, name: str) -> None:
    """Run a check whose refusal pydantic should report with the field's place."""
    try:
        check(name)  # type: ignore[operator]
    except InputError as error:
        raise ValueError(str(error)) from None
