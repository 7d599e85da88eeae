"""`leaderboard.json`: everything that the site shows, as tables, and the part of it that the index works on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from xlir_bench.languages import known
from xlir_bench.leaderboard.collect import Section
from xlir_bench.leaderboard.pairwise import Pairwise
from xlir_bench.leaderboard.roster import Roster
from xlir_bench.leaderboard.table import Table, by_language, zero_shot_of

SCHEMA_VERSION = 1


def document(sections: Sequence[Section], roster: Roster, tests: Sequence[Pairwise], built: datetime) -> str:
    """The whole leaderboard as JSON.

    Tables have `columns` and `data`, a list per row; `encoder` and `suite` are positions in the tables of these names.
    """
    frames = {
        "encoders": _encoders(roster),
        "suites": _suites(sections),
        "means": _means(sections, roster, tests),
        "bias": _bias(sections, roster),
        "scores": _scores(sections, roster),
        "pairs": _pairs(sections, roster, tests),
    }
    head = json.dumps({"schema_version": SCHEMA_VERSION, "built": built.isoformat(timespec="seconds")})
    tables = (
        f'"{name}":{{"columns":{json.dumps(list(frame.columns))},"data":{_rows(frame)}}}'
        for name, frame in frames.items()
    )
    return f"{head[:-1]},{','.join(tables)}}}\n"


def _rows(frame: pd.DataFrame) -> str:
    return frame.to_json(orient="values", double_precision=8)


def _encoders(roster: Roster) -> pd.DataFrame:
    rows = [
        {
            "name": participant.title,
            "distinguished_by": participant.subtitle,
            "id": participant.entrants[0][1].result.model.id,
            "revision": participant.entrants[0][1].result.model.revision,
            "figures": participant.origin,
            "licence": participant.profile.licence,
            "parameters": participant.profile.parameters,
            "dimensions": participant.profile.dimensions,
            "max_length": participant.profile.max_length,
            "trained_on": participant.profile.trained_on,
            "released": participant.profile.released,
            "reference": participant.profile.reference,
            "page": f"pages/{participant.page}",
        }
        for participant in roster.values()
    ]
    return pd.DataFrame(rows)


def _suites(sections: Sequence[Section]) -> pd.DataFrame:
    rows = [
        {
            "name": section.suite.name,
            "version": section.suite.version or None,
            "data": section.suite.fingerprint or None,
            "languages": section.suite.languages,
            "stale": section.stale,
            "encoders": len(section.entrants),
            "page": f"pages/{page_of(section)}",
        }
        for section in sections
    ]
    return pd.DataFrame(rows)


def page_of(section: Section) -> str:
    """The name of a suite's page."""
    return f"suite-{section.anchor}.html"


def _means(sections: Sequence[Section], roster: Roster, tests: Sequence[Pairwise]) -> pd.DataFrame:
    rows = []
    for number, section in enumerate(sections):
        for position, entrant in enumerate(section.entrants):
            result, encoder = entrant.result, roster[entrant.encoder].number
            declared = zero_shot_of(entrant, section)
            for setting, values in result.summary.items():
                for measure, value in values.items():
                    low, high = (result.intervals or {}).get(setting, {}).get(measure, (None, None))
                    rank = tests[number].ranks.get((setting, measure), {}).get(position)
                    group = tests[number].groups.get((setting, measure), {}).get(position)
                    rows.append((encoder, number, setting, measure, value, low, high, rank, group, declared))
    names = ["encoder", "suite", "setting", "measure", "value", "low", "high", "rank", "group", "zero_shot"]
    return pd.DataFrame(rows, columns=names)


def _bias(sections: Sequence[Section], roster: Roster) -> pd.DataFrame:
    rows = []
    for number, section in enumerate(sections):
        for entrant in section.entrants:
            bias = entrant.result.bias
            for figure, value in bias.summary.items() if bias else ():
                low, high = bias.intervals.get(figure, (None, None)) if bias else (None, None)
                rows.append((roster[entrant.encoder].number, number, figure, value, low, high))
    return pd.DataFrame(rows, columns=["encoder", "suite", "figure", "value", "low", "high"])


def _scores(sections: Sequence[Section], roster: Roster) -> pd.DataFrame:
    frames = []
    for number, section in enumerate(sections):
        numbers = [roster[entrant.encoder].number for entrant in section.entrants]
        scores = section.scores
        frames.append(scores.assign(encoder=scores["encoder"].map(dict(enumerate(numbers))), suite=number))
    if not frames:
        return pd.DataFrame()
    renamed = {"query": "query_language", "document": "document_language"}
    return pd.concat(frames, ignore_index=True).rename(columns=renamed)


def _pairs(sections: Sequence[Section], roster: Roster, tests: Sequence[Pairwise]) -> pd.DataFrame:
    rows = []
    for number, (section, found) in enumerate(zip(sections, tests, strict=True)):
        encoders = [roster[entrant.encoder].number for entrant in section.entrants]
        for (a, b), contrasts in found.contrasts.items():
            for (setting, measure, code), one in contrasts.items():
                figures = (one.difference, one.low, one.high, one.p)
                rows.append((number, encoders[a], encoders[b], setting, measure, code, *figures))
    first = ["suite", "a", "b", "setting", "measure", "query_language"]
    return pd.DataFrame(rows, columns=[*first, "difference", "low", "high", "adjusted_p"])


def index_payload(sections: Sequence[Section], roster: Roster, tables: Sequence[Table]) -> dict[str, Any]:
    """What the index's script draws: the tables of `table`, with names of encoders in one place."""
    codes = {code for section in sections for code in section.suite.languages}
    return {
        "encoders": [[p.title, p.subtitle, p.page] for p in roster.values()],
        "suites": [_payload(section, table) for section, table in zip(sections, tables, strict=True)],
        "languages": {code: _name_and_family(code) for code in sorted(codes)},
    }


def _name_and_family(code: str) -> list[str]:
    row = known(code)
    return [code, "other"] if row is None else [row.name, row.family or "other"]


def _payload(section: Section, table: Table) -> dict[str, Any]:
    rows = []
    for row in table.rows:
        values = [
            None if c.value is None else round(c.value, 6) if isinstance(c.value, float) else c.value for c in row.cells
        ]
        intervals = {at: c.interval for at, c in enumerate(row.cells) if c.interval is not None}
        rows.append([row.participant.number, row.gap, values, intervals])
    return {
        "id": section.anchor,
        "name": section.suite.name,
        "edition": section.edition,
        "stale": section.stale,
        "published": section.published,
        "page": page_of(section),
        "groups": [[group.title, group.note, group.span] for group in table.groups],
        "columns": [[c.key, c.label, c.note, c.full, c.group, c.ascending, c.places, c.primary] for c in table.columns],
        "order": table.order,
        "rows": rows,
        "by": by_language(section, table.columns),
    }


def compare_payload(
    sections: Sequence[Section], roster: Roster, tables: Sequence[Table], tests: Sequence[Pairwise]
) -> dict[str, Any]:
    """What the comparison's script draws: means per encoder and suite, and what was tested of each pair."""
    suites: list[dict[str, Any]] = []
    for section, table, found in zip(sections, tables, tests, strict=True):
        kept = [at for at, column in enumerate(table.columns) if _compared(column.key)]
        numbers = [roster[entrant.encoder].number for entrant in section.entrants]
        by = by_language(section, table.columns)
        suites.append(
            {
                "name": section.suite.name,
                "edition": section.edition,
                "stale": section.stale,
                "page": page_of(section),
                "columns": [
                    [c.key, c.label, c.group, c.ascending, c.places] for c in map(table.columns.__getitem__, kept)
                ],
                "rows": {
                    row.participant.number: [
                        None if row.cells[at].value is None else round(float(row.cells[at].value or 0), 6)
                        for at in kept
                    ]
                    for row in table.rows
                },
                "languages": by["languages"],
                "by": {
                    key: {numbers[at]: row for at, row in enumerate(values) if any(v is not None for v in row)}
                    for key, values in by["values"].items()
                },
                "tested": {
                    f"{numbers[a]}:{numbers[b]}": {
                        f"{setting}/{measure}/{code}": [round(x, 6) for x in (one.difference, one.low, one.high, one.p)]
                        for (setting, measure, code), one in contrasts.items()
                        if all(map(math.isfinite, (one.low, one.high)))
                    }
                    for (a, b), contrasts in found.contrasts.items()
                },
            }
        )
    encoders = [[p.title, p.subtitle, p.page, p.origin] for p in roster.values()]
    names = {code: _name_and_family(code)[0] for suite in suites for code in suite["languages"]}
    return {"encoders": encoders, "suites": suites, "languages": names}


def _compared(key: str) -> bool:
    return "/" in key and not key.endswith("/rank")


def embedded(payload: object) -> str:
    """JSON that can stand in a script element: no `<` in it, so that nothing can end the element."""
    plain = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
