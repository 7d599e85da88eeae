"""What takes part in the leaderboard: results measured with this harness, and figures that were published elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xlir_bench.results import ModelReference, Result, Score, SuiteReference, Timing
from xlir_bench.results.exchange.mteb_tasks import MTEB_TASKS
from xlir_bench.submissions import Imported, ImportedModel, ImportedResult

Origin = Literal["measured", "imported"]

_PRIMARY = "nDCG@10"
_LARGEST = 10**15
_UNKNOWN_LICENCES = {"", "none", "not specified", "other", "unknown"}


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of an encoder beside its scores. Text of a stranger: escape it wherever it is shown.

    Attributes:
        licence, reference, released: as stated; None where nothing was.
        parameters, dimensions, max_length: numbers; None where unknown.
        trained_on: names of collections; None where nothing was declared, which is not the same as none.
        card: Markdown; None without one.
        remarks: what is wrong with the submission that it came in, a line each.
    """

    licence: str | None = None
    reference: str | None = None
    released: str | None = None
    parameters: int | None = None
    dimensions: int | None = None
    max_length: int | None = None
    trained_on: tuple[str, ...] | None = None
    card: str | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entrant:
    """One encoder on one suite.

    Attributes:
        result: what it scored. Of an imported one only scores, means, model and suite say anything.
        profile: what is known of the encoder.
        origin: where the figures come from.
        path: the result's file, with the table of ranks beside it; None where there are no ranks to test with.
        task: of an imported one, the name of the task, the split, and the revision of its data.
        missing: of an imported one, the names of rows that were not published. Where there are any, there is no mean.
        stale: whether it is of another revision of the data than the newest.
    """

    result: Result
    profile: Profile
    origin: Origin = "measured"
    path: Path | None = None
    task: tuple[str, str, str | None] | None = None
    missing: tuple[str, ...] = ()
    stale: bool = False

    @property
    def encoder(self) -> tuple[str, str, str]:
        """Its identity: the same on every suite."""
        return self.origin, self.result.model.id, self.result.model.fingerprint


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a site is built from, and what could not be used.

    Attributes:
        entrants: what takes part.
        alignments: what `align --json` printed.
        problems: a line for each submission, or result in one, that is left out.
        refused: a line for each other result that cannot be read, or has a figure that does not follow from its ranks.
    """

    entrants: tuple[Entrant, ...]
    alignments: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[str, ...] = field(default=())
    refused: tuple[str, ...] = field(default=())


def measured(result: Result, path: Path | None = None, card: str | None = None, remarks: Sequence[str] = ()) -> Entrant:
    """A result of this harness; what is known of its encoder stands in `model.details`."""
    details = result.model.details
    trained = details.get("trained_on")
    profile = Profile(
        licence=_licence(details.get("licence")),
        parameters=whole(details.get("parameters")),
        dimensions=whole(details.get("dimensions")),
        max_length=whole(details.get("max_length")),
        trained_on=tuple(map(_text, trained)) if isinstance(trained, list | tuple) else None,
        card=card,
        remarks=tuple(remarks),
    )
    return Entrant(result, profile, path=path)


def imported(published: Imported, name: str) -> list[Entrant]:
    """Every result of an imported submission; `name` is that of its folder."""
    model = published.model
    profile = Profile(
        licence=_licence(model.licence),
        reference=model.reference,
        released=model.released,
        parameters=model.parameters,
        dimensions=model.dimensions,
        max_length=model.max_length,
        trained_on=model.trained_on,
    )
    return [
        Entrant(
            _as_result(model, one, name),
            profile,
            "imported",
            task=(one.task, one.split, one.dataset_revision),
            missing=one.missing,
            stale=one.stale,
        )
        for one in published.results
    ]


def task_suite(entrant: Entrant) -> str | None:
    """Our suite of the same texts and judgements as an imported entrant's task, if there is one."""
    task = MTEB_TASKS.get(entrant.task[0]) if entrant.task else None
    return task.suite if task else None


def whole(value: object) -> int | None:
    """A whole number above 0 as a result's details hold it; None for anything else."""
    plain = isinstance(value, int) and not isinstance(value, bool)
    return value if plain and 0 < value <= _LARGEST else None  # type: ignore[operator,return-value]


def _licence(value: object) -> str | None:
    return _text(value) if isinstance(value, str) and value.strip().lower() not in _UNKNOWN_LICENCES else None


def _text(value: object) -> str:
    """As text that every file can hold: a lone surrogate, which JSON can carry, has no bytes."""
    return str(value).encode("utf-8", "replace").decode()


def _as_result(model: ImportedModel, one: ImportedResult, name: str) -> Result:
    """The same figures in the shape of a result; numbers of queries and documents were not published and are 0."""
    known = MTEB_TASKS.get(one.task)
    pairs = set(known.subsets.values()) if known else {(r.query_language, r.document_language) for r in one.rows}
    languages = tuple(sorted({code for pair in pairs for code in pair}))
    several = known is not None and len(known.splits) > 1
    scores = tuple(
        Score.model_construct(
            setting=row.setting,
            query_language=row.query_language,
            document_language=row.document_language,
            measure=measure,
            value=value,
            queries=0,
            documents=0,
        )
        for row in one.rows
        for measure, value in row.values.items()
    )
    primary = _PRIMARY if any(_PRIMARY in row.values for row in one.rows) else min(one.rows[0].values, default="")
    return Result.model_construct(
        suite=SuiteReference(
            name=f"{one.task} {one.split}" if several else one.task,
            version=0,
            fingerprint=one.dataset_revision or "",
            languages=languages,
        ),
        model=ModelReference(
            id=model.name,
            name=name,
            revision=model.revision,
            fingerprint=f"{model.name}@{model.revision}",
            prompts={},
            details={},
            similarity=model.similarity,
        ),
        harness={"version": f"mteb {one.harness}"} if one.harness else {},
        environment={},
        created="",
        timing=Timing(encode_s=0, rank_s=0, measure_s=0, texts_per_s=None, texts_encoded=0, texts_from_cache=0),
        summary=one.summary,
        primary=dict.fromkeys({row.setting for row in one.rows}, primary),
        ties=0.0,
        scores=scores,
        intervals=None,
        bias=None,
    )
