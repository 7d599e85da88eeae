"""What a result says of what was measured: the suite's data, the model, the machine."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from xlir_bench.collection import Collection, Texts
from xlir_bench.cores import available_cores
from xlir_bench.encoders import Encoder, Lookup, Model
from xlir_bench.encoders.protocol import Abridging, Role
from xlir_bench.results import ModelReference, SuiteReference, ZeroShotStatement, zero_shot_on
from xlir_bench.suites import Suite


def reference(suite: Suite, collection: Collection) -> SuiteReference:
    """What identifies the data of a result."""
    return SuiteReference(
        name=suite.name,
        version=suite.version,
        fingerprint=collection.fingerprint,
        languages=collection.languages,
    )


def described(model: Model, collection: Collection | None = None) -> ModelReference:
    """The model; with a collection that it has encoded, also how many of its texts were not read whole."""
    info, details = model.info, model.info.details
    if collection is not None and isinstance(model.retriever, Abridging):
        sides: tuple[tuple[Role, Texts], ...] = (("query", collection.queries), ("document", collection.documents))
        counts = {role: found for role, side in sides if (found := model.retriever.abridged(side.texts, role=role))}
        details = {**details, "abridged": counts} if counts else details
    return ModelReference(
        id=info.id,
        name=info.name,
        revision=info.revision,
        fingerprint=info.fingerprint,
        prompts=info.prompts,
        details=details,
        similarity=info.similarity if isinstance(model.retriever, Encoder | Lookup) else None,
    )


def zero_shot_statement(model: Model, suite: Suite, collection: Collection) -> ZeroShotStatement:
    """What follows from the model's declaration and from audits of its training data."""
    found = zero_shot_on(described(model), reference(suite, collection))
    return ZeroShotStatement(status=found.status, basis=found.basis, because=found.because)


@cache
def environment() -> dict[str, str]:
    """What a reader of timings wants to know: interpreter, machine, versions of the libraries that compute."""
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": str(available_cores()),
    }
    for name in ("numpy", "torch", "transformers", "sentence-transformers", "bm25s"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
