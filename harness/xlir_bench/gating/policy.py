"""A policy: what may get worse, and by how much. One YAML file of a few rules."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from xlir_bench.analysis.fairness import FIGURES, known_figure, without_cutoff
from xlir_bench.collection import Setting
from xlir_bench.errors import InputError, printable
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
        document_languages: the same for the languages of documents; in the cross-lingual setting, and for figures of
            bias that are of a document language.
        bias: names of figures of bias, with or without their cut-off, in place of settings and measures.
        budget: what may be lost against the baseline; the measure says which direction is a loss. A figure of bias
            that should have a certain value loses what it moves away from it.
        floor: the worst figure that passes, whatever the baseline has; for a measure of which less is better it is the
            greatest, and for a figure that should have a certain value none may lie further from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: Names = (ANY,)
    setting: Annotated[tuple[Setting | Literal["*"], ...], BeforeValidator(_listed), Field(min_length=1)] = ("*",)
    measure: Names = (PRIMARY,)
    query_languages: Languages = "all"
    document_languages: Languages = "all"
    bias: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
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

    @field_validator("bias")
    @classmethod
    def _known_figures(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(known_figure(name) for name in names))
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _asks_for_something(self) -> Rule:
        if self.budget is None and self.floor is None:
            raise ValueError("a rule needs a budget, a floor, or both")
        if self.bias:
            self._check_bias()
        elif "bias" in self.model_fields_set:
            raise ValueError(
                "field bias: there is no name in it; write a figure of bias such as AWRF, or a list of these"
            )
        elif self.document_languages != "all" and self.setting != ("cross-lingual",):
            raise ValueError("document_languages are of the cross-lingual setting: write `setting: cross-lingual` too")
        return self

    def _check_bias(self) -> None:
        if more := self.model_fields_set & {"setting", "measure"}:
            raise ValueError(
                f"a rule has bias or {' and '.join(sorted(more))}, not both: figures of bias have no setting"
            )
        for name in self.bias:
            figure = FIGURES[without_cutoff(name)]
            if figure.by_document and self.document_languages == "all":
                raise ValueError(f"{name} is of each document language: write `document_languages: each`, or a list")
            if not figure.by_document and self.document_languages != "all":
                raise ValueError(f"{name} has no document languages: leave out `document_languages`")
            if not figure.by_query and self.query_languages != "all":
                raise ValueError(f"{name} is of all query languages at once: leave out `query_languages`")


class Policy(BaseModel):
    """Rules, and how sure a failure has to be.

    Attributes:
        alpha: the chance that a candidate as good as the baseline fails; adjusted over all checks with a budget.
        rules: of two that are about the same figure, the later one's budget and floor count, where it has them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(default=0.05, gt=0, lt=1)
    rules: tuple[Rule, ...] = Field(min_length=1)

    _source: str = PrivateAttr(default="the policy")

    @property
    def source(self) -> str:
        """The file that it was read from, for messages."""
        return self._source

    @property
    def is_shipped(self) -> bool:
        """Whether it is the policy that is shipped, which is for suites of any kind."""
        return self._source == str(DEFAULT_POLICY)


_LANGUAGES = "all, each, or a list of languages such as [sw, th]"
_ACCEPTED: Final = {
    "alpha": "a number above 0 and below 1, such as 0.05",
    "rules": "a list of at least one rule, such as [{measure: primary, budget: 0.01}]",
    "suite": 'the name of a suite, a list of names, or "*"',
    "setting": 'monolingual, cross-lingual, multilingual, a list of these, or "*"',
    "measure": "a measure such as AP or nDCG@10, a list of these, or primary",
    "bias": "a figure of bias such as AWRF or language_advantage.spread, or a list of these",
    "query_languages": _LANGUAGES,
    "document_languages": _LANGUAGES,
    "budget": "a number of at least 0, such as 0.01, or a share, such as 2 %",
    "floor": "a number",
}
"""Field -> what may be written there."""


def read_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """The policy that a YAML file declares.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it is not YAML, or not a policy; the message names the field.
    """
    # Every scalar is text as it is written: `5 %` and `0.01` are both budgets.
    content = read_yaml(path)
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: not a policy: {_explained(error)}") from None
    policy._source = str(path)
    return policy


def _explained(error: ValidationError) -> str:
    """The first thing that is wrong: the rule by its number, the field, what may be written there."""
    # Of a list that has a wrong rule pydantic says also that it is too short: only right ones count for it.
    problems = [
        problem
        for number, problem in enumerate(error.errors(include_url=False))
        if not (number and problem["type"] == "too_short")
    ]
    # A field that may hold several types has a problem for each of them.
    places = dict.fromkeys(problem["loc"][: 3 if problem["loc"][:1] == ("rules",) else 1] for problem in problems)
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    first = problems[0]
    place, written, kind = first["loc"], printable(repr(first["input"]), 60), first["type"]
    of_rule = place[:1] == ("rules",) and len(place) > 1
    where = f"rule {int(place[1]) + 1}" if of_rule else "the document"
    at_field = place[2:3] if of_rule else place[:1]
    field = str(at_field[0]) if at_field else ""
    if kind == "value_error":
        return f"{where}{', field ' + field if field else ''}: {first['msg'].removeprefix('Value error, ')}{more}"
    if not field:
        what = "of fields, such as {measure: primary, budget: 0.01}" if of_rule else "with `rules`, and perhaps `alpha`"
        return f"{where}: {written} was found where a mapping {what}, was expected{more}"
    if kind == "extra_forbidden":
        known = tuple(Rule.model_fields if of_rule else Policy.model_fields)
        near = get_close_matches(field, known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        return f"{where} has an unknown field {printable(field, 60)!r}: {meant}fields: {', '.join(known)}{more}"
    found = "is missing" if kind == "missing" else f"does not take {written}"
    return f"{where}, field {field} {found}: write {_ACCEPTED[field]}{more}"
