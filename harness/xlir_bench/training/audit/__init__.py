"""Contamination: which texts of a suite stand in training data, and where.

    texts -> units (folded words or characters) -> grams -> looked up in the suite's -> pairs -> judged by the rules

Training data are read once and never held; see `audit` for what is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from xlir_bench.collection import Collection
from xlir_bench.encoders.audited import AuditedFile, AuditedSuite, AuditedTraining
from xlir_bench.files import replacing
from xlir_bench.progress import SILENT, Progress
from xlir_bench.suites import Suite
from xlir_bench.training.audit.index import SIDES, Side, index_of, suite_texts
from xlir_bench.training.audit.report import Audit, Shown, report
from xlir_bench.training.audit.rows import TrainingFile, file_digest, texts_of, training_files
from xlir_bench.training.audit.rules import Rules
from xlir_bench.training.audit.scan import Scan

RECORD = "{suite}.json"
ROWS = "{suite}.rows.jsonl"

__all__ = ["SIDES", "Audit", "Rules", "Shown", "Side", "audit", "keep"]


def audit(
    training: Sequence[Path],
    suite: Suite,
    collection: Collection,
    *,
    rules: Rules | None = None,
    sides: Sequence[Side] = SIDES,
    progress: Progress = SILENT,
) -> Audit:
    """Hold training data against a suite.

    In memory are the suite's texts as units and grams (75 MB for the 26,104 of XQuAD-R), one block of training texts
    (1 million characters) with its arrays, and the training texts that overlap.

    Args:
        training: files, and folders of files, of any kind that `rows.SUFFIXES` lists.
        suite: what `collection` was loaded from.
        collection: all of the suite's languages or a part of them.
        rules: the lengths that decide.
        sides: queries, documents, or both.
        progress: called with the number of training texts read.

    Raises:
        MissingResourceError: a file or folder is not there.
        InputError: a file is not what its name says; the message names the line.
    """
    since = perf_counter()
    files = training_files(training)
    scan = Scan(index_of(suite_texts(collection, sides), rules or Rules()))
    stage = progress.stage("comparing training data", sum(_kib(file) for file in files), "KiB")
    audited = []
    for number, file in enumerate(files):
        read = sum(scan.read(texts_of(file, number)))
        audited.append(AuditedFile(name=file.name, sha256=file_digest(file.path), texts=read))
        stage.advance(_kib(file))
    digest = hashlib.sha256("".join(sorted(file.sha256 for file in audited)).encode())
    compared = AuditedSuite(
        name=suite.name,
        version=suite.version,
        fingerprint=collection.fingerprint,
        languages=collection.languages,
        sides=tuple(sides),
    )
    whole = AuditedTraining(
        fingerprint=digest.hexdigest(), texts=scan.texts, characters=scan.characters, files=tuple(audited)
    )
    return report(scan, compared, whole, perf_counter() - since)


def keep(found: Audit, folder: Path) -> tuple[Path, Path]:
    """Write the record, and beside it the rows with their texts, one JSON object per line.

    The rows are for whoever mends the training data: they hold texts that may not be passed on.

    Raises:
        MissingResourceError: they cannot be written.
    """
    name = found.record.suite.name
    record, rows = folder / RECORD.format(suite=name), folder / ROWS.format(suite=name)
    with replacing(rows) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in found.rows:
            file.write(json.dumps(row.as_dict(), ensure_ascii=False) + "\n")
    with replacing(record) as temporary:
        temporary.write_text(found.record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return record, rows


def _kib(file: TrainingFile) -> int:
    return -(-file.size // 1024)
