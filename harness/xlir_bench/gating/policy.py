"""A policy: what may get worse, and by how much. One YAML file of a few rules."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from xlir_bench.collection import Setting
from xlir_bench.errors import InputError, first_problem
from xlir_bench.languages import distinct
from xlir_bench.measures import parse
from xlir_bench.yaml_files import read_yaml

DEFAULT_POLICY: Final = Path(str(resources.files("xlir_bench.gating") / "policy.yaml"))
"""The policy that travels with the package."""

ANY: Final = "*"
PRIMARY: Final = "primary"


@dataclass(frozen=True)
class Budget:
    """How much may be lost.

    Attributes:
        value: at least 0; in the measure's own unit, or a share of the baseline's figure.
        relative: which of the two.
    """

    value: float
    relative: bool = False

    def __str__(self) -> str:
        return f"{self.value * 100:g} %" if self.relative else f"{self.value:g}"

    def of(self, baseline: float) -> float:
        """The loss that a figure may have, in the measure's unit."""
        return self.value * abs(baseline) if self.relative else self.value


def _budget(written: object) -> object:
    """`0.01` is absolute, `2 %` is of the baseline."""
    if isinstance(written, Budget):
        return written
    text = str(written).strip()
    relative = text.endswith("%")
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r} is no budget: write a number of at least 0, such as 0.01, or a share, such as 2 %")
    return Budget(value / 100 if relative else value, relative)


def _listed(written: object) -> object:
    return [written] if isinstance(written, str) else written


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
Languages = Literal["all", "each"] | Annotated[tuple[str, ...], Field(min_length=1)]


class Rule(BaseModel):
    """What is asked of some figures.

    Attributes:
        suite: names of suites, or "*": every suite that the baseline has.
        setting: settings, or "*": each that the baseline has. Of suite "*", what a suite lacks is passed over.
        measure: names of measures, or "primary": the first measure of each setting.
        query_languages: "all" is one check of the mean over languages; "each" is one check for every language; a list
            is one for each of its languages, named by any tag of it.
        document_languages: likewise, in the cross-lingual setting.
        budget: what may be lost against the baseline; the measure says which direction is a loss.
        floor: the worst figure that passes, whatever the baseline has; for a measure of which less is better it is the
            greatest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: Names = (ANY,)
    setting: Annotated[tuple[Setting | Literal["*"], ...], BeforeValidator(_listed), Field(min_length=1)] = ("*",)
    measure: Names = (PRIMARY,)
    query_languages: Languages = "all"
    document_languages: Languages = "all"
    budget: Annotated[Budget, BeforeValidator(_budget)] | None = None
    floor: float | None = Field(default=None, allow_inf_nan=False)

    @field_validator("query_languages", "document_languages")
    @classmethod
    def _codes_of_languages(cls, tags: Languages) -> Languages:
        try:
            return tags if isinstance(tags, str) else tuple(distinct(tags, "the list"))
        except InputError as error:
            raise ValueError(str(error)) from None

    @field_validator("measure")
    @classmethod
    def _known_measures(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(name if name == PRIMARY else str(parse(name)) for name in names))
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _asks_for_something(self) -> Rule:
        if self.budget is None and self.floor is None:
            raise ValueError("a rule needs a budget, a floor, or both")
        if self.document_languages != "all" and self.setting != ("cross-lingual",):
            raise ValueError("document_languages are of the cross-lingual setting: write `setting: cross-lingual` too")
        return self


class Policy(BaseModel):
    """Rules, and how sure a failure has to be.

    Attributes:
        alpha: the chance that a candidate as good as the baseline fails; adjusted over all checks with a budget.
        rules: of two that are about the same figure, the later one's budget and floor count, where it has them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(default=0.05, gt=0, lt=1)
    rules: tuple[Rule, ...] = Field(min_length=1)


def read_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """The policy that a YAML file declares.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not YAML, or not a policy; the message names the field.
    """
    # Every scalar is text as it is written: `5 %` and `0.01` are both budgets.
    content = read_yaml(path)
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: not a policy: {first_problem(error)}") from None
