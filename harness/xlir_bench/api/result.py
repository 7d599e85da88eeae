"""What `evaluate` gives, as tables, pictures and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

from xlir_bench.analysis import load_verified
from xlir_bench.analysis.analyse import cells
from xlir_bench.analysis.questions import Questions, ends
from xlir_bench.api.options import as_path
from xlir_bench.api.pages import page_of
from xlir_bench.errors import InputError
from xlir_bench.files import alone_in
from xlir_bench.results import (
    Bias,
    choose,
    claim,
    distinct_names,
    find_results,
    load_ranks,
    load_result,
    ranks_path,
    save_at,
)
from xlir_bench.results import Result as StoredResult
from xlir_bench.results.store import check_writable, remove_unfinished_at
from xlir_bench.retrieval import RankTable

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

Plot = Literal["map", "bias", "languages"]

AnyResults: TypeAlias = "Result | str | Path | Iterable[Result | str | Path | Results]"
"""A result, a result's file, a folder that holds results at any depth, or several of these."""


class Result:
    """One model on one suite.

    Args:
        stored: the figures, as they are written to JSON.
        ranks: what they follow from; read from beside `path` where they are needed, if they are not given.
        path: the result's file, if it was written.
        runs: the folder of its TREC runs, if they were written.
        sample: content of the file by which a model that is code is recognised, if there is one.
        measured_now: False where `evaluate` took a result that an earlier run finished.
    """

    def __init__(
        self,
        stored: StoredResult,
        ranks: RankTable | None = None,
        *,
        path: Path | None = None,
        runs: Path | None = None,
        sample: bytes | None = None,
        measured_now: bool = True,
    ) -> None:
        if ranks is None and path is None:
            raise ValueError("a result needs its ranks, or the file that they lie beside")
        self.stored, self.path, self.runs, self.measured_now = stored, path, runs, measured_now
        self._ranks, self._sample = ranks, sample

    @property
    def model(self) -> str:
        """The name that tables and pages call the model."""
        return self.stored.model.name

    @property
    def suite(self) -> str:
        """The suite's name."""
        return self.stored.suite.name

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that took part, sorted."""
        return self.stored.suite.languages

    @property
    def notes(self) -> tuple[str, ...]:
        """What was remarkable in the collection, one sentence each."""
        return self.stored.notes

    @property
    def bias(self) -> Bias | None:
        """How unevenly languages are treated (docs/measures.md); None where not every language was searched at once."""
        return self.stored.bias

    @property
    def ranks(self) -> RankTable:
        """The rank of every relevant document, which all figures follow from."""
        if self._ranks is None:
            assert self.path is not None
            self._ranks = load_ranks(ranks_path(self.path))
        return self._ranks

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Means over rows, each row with equal weight.

        Index `setting`, `measure`; columns `value`, `low` and `high` (the 95 % interval: cluster bootstrap by
        question), `rows`. The first measure of a setting is its primary one.
        """
        import pandas as pd

        intervals = self.stored.intervals or {}
        rows = []
        for setting, values in self.stored.summary.items():
            of_setting = {(s.query_language, s.document_language) for s in self.stored.scores if s.setting == setting}
            for measure, value in values.items():
                low, high = intervals.get(setting, {}).get(measure, (float("nan"), float("nan")))
                rows.append((setting, measure, value, low, high, len(of_setting)))
        frame = pd.DataFrame(rows, columns=["setting", "measure", "value", "low", "high", "rows"])
        return frame.set_index(["setting", "measure"])

    def to_pandas(self) -> pd.DataFrame:
        """One line for each measure in each row of a setting.

        Columns: `setting`, `query_language`, `document_language` ("*" for the whole pool), `measure`, `value`, `low`
        and `high` (the row's 95 % interval), `queries` (over which the value is a mean), `documents` (of the pool).
        """
        import pandas as pd

        key = ("setting", "query_language", "document_language", "measure")
        columns = (*key, "value", "queries", "documents")
        rows = [[getattr(score, name) for name in columns] for score in self.stored.scores]
        frame = pd.DataFrame(rows, columns=columns)
        unknown = (float("nan"), float("nan"))
        at = [self._intervals_of_rows.get((row[0], row[1], row[2], row[3]), unknown) for row in rows]
        frame.insert(5, "low", [low for low, _ in at])
        frame.insert(6, "high", [high for _, high in at])
        return frame

    def per_query(self) -> pd.DataFrame:
        """One line for each measure of each query in each row of a setting.

        Columns: `setting`, `query_id`, `question` (which versions of one question share), `query_language`,
        `document_language`, `measure`, `value`. A query that a measure is not defined for has no line.
        """
        import pandas as pd

        questions, parts = Questions.of(self.ranks), []
        names = {name: number for number, name in enumerate(questions.names)}
        question_names = list(names)
        for setting, measure in self._measured:
            for (query_language, document_language), column in cells(self.ranks, questions, setting, measure).items():
                parts.append(
                    pd.DataFrame(
                        {
                            "setting": setting,
                            "query_id": questions.query_id[column.rows].astype(str),
                            "question": [question_names[place] for place in questions.cluster[column.rows]],
                            "query_language": query_language,
                            "document_language": document_language,
                            "measure": measure,
                            "value": column.values,
                        }
                    )
                )
        return pd.concat(parts, ignore_index=True)

    def save(self, output: str | Path) -> Path:
        """Write the files that `xlir-bench run --output` writes, with a page of all results in the folder.

        Args:
            output: folder of results.

        Returns:
            The result's file: `OUTPUT/MODEL/SUITE.json`, or one with languages, settings and digits in its name where
            that is a fuller result.

        Raises:
            InputError: a file is at its path that this release cannot read as a result.
            MissingResourceError: no room, or no right to write there.
        """
        folder = as_path(output, "output")
        of_model = folder / self.stored.model.name
        check_writable(of_model)
        with alone_in(of_model):
            path = claim(folder, self.stored)
            remove_unfinished_at(path)
            save_at(path, self.stored, self.ranks, self._sample)
        page_of(folder)
        self.path = path
        return path

    def to_json(self) -> str:
        """The figures with all that identifies them, as the result's file has them."""
        return self.stored.model_dump_json(indent=1)

    def plot(self, kind: Plot = "map") -> alt.Chart | alt.LayerChart:
        """A chart of Altair.

        Args:
            kind: "map" for the primary measure by query language and document language; "languages" for each setting's
                primary measure by query language; "bias" for the figures of bias with their intervals.

        Raises:
            InputError: there is no such chart, or the result has nothing to draw in it.
        """
        from xlir_bench.api import plots

        return plots.plot(self, kind)

    def _repr_html_(self) -> str:
        from xlir_bench.leaderboard import fragment

        return fragment(self.stored)

    def __repr__(self) -> str:
        means = "; ".join(
            f"{setting} {measure} {values[measure]:.4f}"
            for setting, values in self.stored.summary.items()
            if (measure := self.stored.primary.get(setting)) in values
        )
        return f"<Result of {self.model} on {self.suite} ({' '.join(self.languages)}): {means}>"

    @property
    def _measured(self) -> list[tuple[str, str]]:
        return [(setting, measure) for setting, values in self.stored.summary.items() for measure in values]

    @cached_property
    def _intervals_of_rows(self) -> dict[tuple[str, str, str, str], tuple[float, float]]:
        questions = Questions.of(self.ranks)
        figures = {
            (setting, *pair, measure): [column]
            for setting, measure in self._measured
            for pair, column in cells(self.ranks, questions, setting, measure).items()
        }
        return ends(questions.resampled(figures))


@dataclass(frozen=True, repr=False)
class Results(Sequence[Result]):
    """Several results, in order.

    Attributes:
        results: the results.
    """

    results: Sequence[Result]

    @overload
    def __getitem__(self, place: int) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> Results: ...

    def __getitem__(self, place: int | slice) -> Result | Results:
        """One result, or a part of them."""
        return Results(self.results[place]) if isinstance(place, slice) else self.results[place]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    @property
    def summary(self) -> pd.DataFrame:
        """The summaries of all, with `model` and `suite` in front of their index."""
        return self._joined((one, one.summary.reset_index()) for one in self.results).set_index(
            ["model", "suite", "setting", "measure"]
        )

    def to_pandas(self) -> pd.DataFrame:
        """The long tables of all, with columns `model` and `suite` in front."""
        return self._joined((one, one.to_pandas()) for one in self.results)

    def save(self, output: str | Path) -> list[Path]:
        """`Result.save` of each."""
        return [one.save(output) for one in self.results]

    def _repr_html_(self) -> str:
        return "\n".join(one._repr_html_() for one in self.results)

    def __repr__(self) -> str:
        return f"Results({list(self.results)!r})"

    def _joined(self, parts: Iterable[tuple[Result, pd.DataFrame]]) -> pd.DataFrame:
        import pandas as pd

        frames = []
        for one, frame in parts:
            frame.insert(0, "model", one.model)
            frame.insert(1, "suite", one.suite)
            frames.append(frame)
        if not frames:
            raise InputError("there are no results")
        return pd.concat(frames, ignore_index=True)


def load(*places: str | Path) -> Results:
    """Read results, each with its figures computed again from the ranks beside it.

    Args:
        places: result files, and folders that hold them at any depth.

    Raises:
        MissingResourceError: there is no result, or one lacks its ranks.
        InputError: one is damaged, or has a figure that does not follow from its ranks.
    """
    return Results([_read(path) for path in find_results([as_path(place, "a result's place") for place in places])])


def results_of(given: AnyResults) -> list[Result]:
    """The results that an argument names: `Result`s, files, folders, or a list of these.

    Raises:
        InputError: it is none of these.
        MissingResourceError, InputError: see `load`.
    """
    return [one if isinstance(one, Result) else _read(one) for one in _named(given)]


def results_of_one_suite(
    given: AnyResults, suite: str | None = None, languages: Sequence[str] | None = None
) -> list[Result]:
    """The results on one suite that an argument names, of each model the fullest that all models have.

    Args:
        given: see `results_of`; results on other suites are not read.
        suite: the suite's name, with digits of the data where several collections have it.
        languages: see `results.choose`.

    Raises:
        InputError: see `results_of`; or there are results on several suites, or none on `suite` or `languages`.
        MissingResourceError, InputError: see `load`.
    """
    there = list(_named(given))
    if not there:
        raise InputError("there are no results")
    stored = [one.stored if isinstance(one, Result) else load_result(one) for one in there]
    names = distinct_names([one.suite for one in stored])
    asked = [at for at, one in enumerate(stored) if suite in (None, one.suite.name, names[at])]
    if not asked:
        raise InputError(f"no result of suite {suite!r}; there are results of {', '.join(sorted(set(names)))}")
    models: dict[str, list[int]] = {}
    for at in asked:
        models.setdefault(stored[at].model.name, []).append(at)
    sides = [[(place_of(there[at]), stored[at]) for at in side] for side in models.values()]
    of_sides = zip(models.values(), choose(sides, languages), strict=True)
    asked = sorted(side[place] for side, kept in of_sides for place in kept)
    found = {names[at] for at in asked}
    if suite is None and len(found) > 1:
        raise InputError(f"the results are of several suites ({', '.join(sorted(found))}): give --suite")
    if len(found) > 1:
        raise InputError(f"the results of {suite} are on different data: give --suite {' or '.join(sorted(found))}")
    chosen = [there[at] for at in asked]
    return [one if isinstance(one, Result) else _read(one) for one in chosen]


def place_of(one: Result | Path) -> str:
    """What to call a result in a message: its file, or what it is of."""
    path = one.path if isinstance(one, Result) else one
    return str(path) if path is not None else repr(one)


def _named(given: AnyResults) -> Iterator[Result | Path]:
    if isinstance(given, Result):
        yield given
    elif isinstance(given, str | Path):
        yield from find_results([Path(given)])
    elif isinstance(given, Iterable):
        for part in given:
            yield from _named(part)
    else:
        raise InputError(f"a Result, a path, or a list of these was expected, not {type(given).__name__}")


def _read(path: Path) -> Result:
    stored, ranks = load_verified(path)
    return Result(stored, ranks, path=path, measured_now=False)
