"""What the manifest of a submission says about its results, which may be older than the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from xlir_bench.encoders.audited import AuditRecord, read_audit
from xlir_bench.encoders.manifest import Manifest
from xlir_bench.errors import InputError, printable
from xlir_bench.results.exchange import Entry
from xlir_bench.results.schema import ZeroShotStatement
from xlir_bench.results.zero_shot import zero_shot_on
from xlir_bench.submissions.untrusted import File

_DECLARED = ("licence", "languages", "trained_on", "audits", "unaudited")


def as_declared(entry: Entry, manifest: Manifest, name: str, audits: Sequence[AuditRecord]) -> Entry:
    """A result with its model's name, licence, languages and training data as the submission declares them now.

    A result of `xlir-bench run FOLDER` was made before there was a manifest, and states none of this.

    Args:
        entry: a result of the submission.
        manifest: the submission's.
        name: the submission's.
        audits: the records that the manifest names, as far as they can be read.
    """
    model = entry.result.model
    details = {key: value for key, value in model.details.items() if key not in _DECLARED}
    details |= manifest.details([record.summary() for record in audits])
    model = model.model_copy(update={"details": details, "name": name if manifest.name == name else model.name})
    found = zero_shot_on(model, entry.result.suite)
    stated = ZeroShotStatement(status=found.status, basis=found.basis, because=found.because)
    return replace(entry, result=entry.result.model_copy(update={"model": model, "zero_shot": stated}))


def contradiction(before: Entry, now: Entry) -> str | None:
    """What is wrong where a result was found not to be zero-shot and the manifest says otherwise; None otherwise."""
    said, follows = before.result.zero_shot, now.result.zero_shot
    if said is None or follows is None or said.status != "not zero-shot" or follows.status == said.status:
        return None
    return (
        f"states that the model is not zero-shot ({printable(', '.join(said.because))}), and from the manifest follows "
        f"{follows.status}: name this under trained_on, or its audit under audits; if it was a mistake, run it again"
    )


def named_audits(manifest: Manifest, files: Sequence[File]) -> Iterator[AuditRecord]:
    """The audit records that a manifest names and that can be read."""
    inside = {file.name: file.path for file in files}
    for name in manifest.audits:
        with suppress(InputError):
            if name in inside:
                yield read_audit(inside[name])
