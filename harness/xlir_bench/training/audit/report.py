"""From what overlaps to what has leaked: the rules applied, per language, with the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlir_bench.encoders.audited import (
    AuditedFile,
    AuditedSuite,
    AuditedTraining,
    AuditRecord,
    Finding,
    Overlap,
)
from xlir_bench.training.audit.index import SIDES, SuiteIndex
from xlir_bench.training.audit.rules import ALIKE_IN_LENGTH, COVERED, NEAR, SHINGLE_WORDS, VERBATIM_GRAMS
from xlir_bench.training.audit.scan import Scan, TrainingText
from xlir_bench.training.audit.units import Ints
from xlir_bench.version import __version__

LEAKS = ("verbatim", "covered", "near", "equal")
_MOST_FINDINGS = 1000


@dataclass(frozen=True)
class Shown:
    """A finding with the texts of both sides.

    Attributes:
        finding: what the record says of it.
        suite_text, training_text: the texts.
        places: (file, row, field) of the training text and its equals, the first 1,000.
    """

    finding: Finding
    suite_text: str
    training_text: str
    places: tuple[tuple[str, int, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        places = [list(place) for place in self.places]
        texts = {"suite_text": self.suite_text, "training_text": self.training_text, "places": places}
        return {**self.finding.model_dump(mode="json"), **texts}


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        record: without texts, to be kept and published.
        rows: every pair of a suite's text and a training text that overlap, leaks first.
        examined_s: seconds that reading and comparing took.
    """

    record: AuditRecord
    rows: tuple[Shown, ...]
    examined_s: float

    @property
    def contaminated(self) -> bool:
        """Whether any text of the suite has leaked."""
        return self.record.verdict == "contaminated"


@dataclass(frozen=True)
class Judged:
    """Each text of the suite, judged.

    Attributes:
        leak: index into `LEAKS` of the rule by which it has leaked, -1 if it has not, shape (texts,).
        touched: whether it shares anything with the training data, shape (texts,).
        longest: units of its longest common stretch, shape (texts,).
    """

    leak: Ints
    touched: NDArray[np.bool_]
    longest: Ints


def judge(scan: Scan) -> Judged:
    """Apply the rules."""
    index, pairs = scan.index, scan.pairs
    size = len(index.texts)
    longest, heaviest = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    np.maximum.at(longest, pairs.suite, pairs.overlap)
    np.maximum.at(heaviest, pairs.suite, pairs.weight)
    likeness = np.zeros(size)
    np.maximum.at(likeness, pairs.suite, pairs.likeness)
    short = index.weights < index.rules.gram.weight
    by_rule = (
        heaviest >= VERBATIM_GRAMS * index.rules.gram.weight,
        ~short & (_covered(scan) >= COVERED * index.weights),
        (likeness > 0) & (index.weights >= index.rules.least_near),
        likeness > 0,
    )
    leak = np.full(size, -1, dtype=np.int64)
    for number in reversed(range(len(by_rule))):
        leak[by_rule[number]] = number
    touched = leak >= 0
    touched[index.grams.texts[np.repeat(scan.gram_counts > 0, np.diff(index.grams.bounds))]] = True
    return Judged(leak, touched, longest)


def report(scan: Scan, suite: AuditedSuite, training: AuditedTraining, examined_s: float) -> Audit:
    """The audit of what was scanned.

    Args:
        scan: everything that was read.
        suite: what it was compared with.
        training: what was read.
        examined_s: seconds that it took.
    """
    index, judged = scan.index, judge(scan)
    rows = _rows(scan, judged, training.files)
    rules = index.rules
    record = AuditRecord(
        harness=__version__,
        suite=suite,
        training=training,
        rules={
            "words": rules.words,
            "characters_chinese": rules.gram.units[2],
            "characters_kana": rules.gram.units[3],
            "characters_south_east_asian": rules.gram.units[4],
            "stock": rules.stock,
            "verbatim_grams": VERBATIM_GRAMS,
            "covered": COVERED,
            "shingle_words": SHINGLE_WORDS,
            "near": NEAR,
            "alike_in_length": ALIKE_IN_LENGTH,
        },
        verdict="contaminated" if (judged.leak >= 0).any() else "clean",
        languages=_languages(index, judged),
        findings=tuple(one.finding for one in rows[:_MOST_FINDINGS]),
        findings_left_out=max(0, len(rows) - _MOST_FINDINGS),
    )
    return Audit(record, rows, examined_s)


def _covered(scan: Scan) -> Ints:
    """The weight of each text that grams of few training texts cover, shape (texts,)."""
    index = scan.index
    rare = (scan.gram_counts > 0) & (scan.gram_counts <= index.rules.stock)
    place = np.repeat(rare, np.diff(index.grams.bounds))
    first = index.starts[index.grams.texts[place]]
    changes = np.zeros(len(index.unit_weights) + 1, dtype=np.int64)
    np.add.at(changes, first + index.grams.positions[place], 1)
    np.add.at(changes, first + index.gram_stops[place], -1)
    covered = np.where(np.cumsum(changes)[:-1] > 0, index.unit_weights, 0)
    total = np.concatenate([[0], np.cumsum(covered)])
    return np.asarray(total[index.starts[1:]] - total[index.starts[:-1]])


def _languages(index: SuiteIndex, judged: Judged) -> dict[str, dict[Any, Overlap]]:
    languages, sides = np.asarray(index.texts.languages, dtype=str), np.asarray(index.texts.sides, dtype=str)
    found: dict[str, dict[Any, Overlap]] = {}
    for code in sorted(set(index.texts.languages)):
        for side in SIDES:
            rows = np.flatnonzero((languages == code) & (sides == side))
            if len(rows):
                found.setdefault(code, {})[side] = Overlap(
                    texts=len(rows),
                    touched=int(judged.touched[rows].sum()),
                    leaked=int((judged.leak[rows] >= 0).sum()),
                    too_short=int((index.weights[rows] < index.rules.least_whole).sum()),
                    longest=int(judged.longest[rows].max()),
                )
    return found


def _rows(scan: Scan, judged: Judged, files: Sequence[AuditedFile]) -> tuple[Shown, ...]:
    pairs, texts = scan.pairs, scan.index.texts
    stock = judged.leak[pairs.suite] < 0
    order = np.lexsort((pairs.training, pairs.suite, -pairs.likeness, -pairs.weight, stock))
    rows = []
    for pair in order.tolist():
        suite, training = int(pairs.suite[pair]), int(pairs.training[pair])
        found = scan.training[training]
        leak = int(judged.leak[suite])
        finding = Finding(
            id=texts.ids[suite],
            side=texts.sides[suite],
            language=texts.languages[suite],
            leak=LEAKS[leak] if leak >= 0 else None,
            overlap=int(pairs.overlap[pair]),
            likeness=round(float(pairs.likeness[pair]), 4),
            file=files[found.places[0].file].name,
            row=found.places[0].row,
            field=found.places[0].field,
            copies=scan.copies[training],
            sha256=_digest(found),
        )
        places = tuple((files[place.file].name, place.row, place.field) for place in found.places)
        rows.append(Shown(finding, texts.texts[suite], found.text, places))
    return tuple(rows)


def _digest(found: TrainingText) -> str:
    return hashlib.sha256(found.text.encode("utf-8", "surrogatepass")).hexdigest()
