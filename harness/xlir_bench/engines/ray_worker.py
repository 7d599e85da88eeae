"""What an actor of the cluster is: the model, loaded once, and the unit of work."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlir_bench.collection import Texts
from xlir_bench.encoders import Encoder, Lookup, Model, ModelInfo, encode_texts
from xlir_bench.encoders.checkpoint import package
from xlir_bench.engines.storage import Storage
from xlir_bench.engines.work import Counted, JudgedTexts, ShardWork
from xlir_bench.errors import InputError
from xlir_bench.offline import forbid_network, is_offline
from xlir_bench.retrieval import Search, Shard
from xlir_bench.version import __version__

_SWITCHES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "XLIR_BENCH_OFFLINE")

_PROBES = 16
_ALIKE = 2e-3
"""What float32 on two kinds of processor, or a vector rounded to float16, may differ by; bfloat16 differs by more."""


@dataclass(frozen=True)
class Shared:
    """What all actors have in common; one copy of it is in the object store of each machine.

    Attributes:
        info, search, judged, kept: see `ShardWork`.
        retriever: the model; None where each actor loads its own.
        load: see `RayEngine`.
        token: a file that is seen where vectors are kept; "" where none are.
        version: of this package.
        environment: switches that keep libraries from the network.
    """

    info: ModelInfo
    search: Search
    judged: JudgedTexts
    kept: Storage | None
    retriever: Encoder | Lookup | None
    load: Callable[[str | None], Model] | None
    token: str
    version: str
    environment: dict[str, str]

    @staticmethod
    def of(
        work: ShardWork,
        retriever: Encoder | Lookup | None,
        load: Callable[[str | None], Model] | None,
        token: str,
    ) -> Shared:
        """What work has in common, with the switches of this process."""
        switches = {name: os.environ[name] for name in _SWITCHES if name in os.environ}
        return Shared(work.info, work.search, work.judged, work.kept, retriever, load, token, __version__, switches)


class Worker:
    """An actor.

    Args:
        cores: how many are its own.
        gpu: whether it has one, which is then the only one that it sees.
    """

    def __init__(self, cores: int, gpu: bool) -> None:
        self._cores, self._gpu = max(cores, 1), gpu
        self._work: ShardWork | None = None

    def ready(self, shared: list[Any]) -> None:
        """Load the model.

        Args:
            shared: a reference to what all actors have in common, in a list.

        Raises:
            XlirError: it cannot be loaded, or this machine differs from the one that asks; the message names it.
        """
        self._loaded(shared)

    def count(self, shared: list[Any], shard: Shard, texts: Texts) -> Counted:
        """See `ShardWork`, and `ready` for what is shared."""
        return self._loaded(shared)(shard, texts)

    def _loaded(self, reference: list[Any]) -> ShardWork:
        if self._work is None:  # at first, and after Ray started this actor anew
            shared: Shared = package("ray", "--engine ray").get(reference[0])
            machine = socket.gethostname()
            os.environ.update(shared.environment)
            if is_offline():
                forbid_network()
            if shared.version != __version__:
                raise InputError(f"{machine} has xlir-bench {__version__}, not {shared.version}: install one release")
            if shared.kept is not None and shared.kept.read(shared.token) is None:
                raise InputError(
                    f"{machine} does not see the folder of --keep-embeddings: give one that all machines share, or a "
                    "URL (s3://, gs://)"
                )
            retriever = shared.retriever or self._own_model(shared, machine)
            self._work = ShardWork(
                retriever, shared.info, shared.search, shared.judged, shared.kept, threads=self._cores
            )
        return self._work

    def _own_model(self, shared: Shared, machine: str) -> Encoder | Lookup:
        assert shared.load is not None  # else the model itself was sent
        model = shared.load("cuda" if self._gpu else "cpu")
        retriever = model.retriever
        assert isinstance(retriever, Encoder | Lookup)  # else the program that asks had not come so far
        if model.info.fingerprint != shared.info.fingerprint and not _alike(retriever, shared):
            raise InputError(
                f"{machine} has another model under the name {shared.info.id}: the same files are needed on all "
                "machines, and with --precision auto the same kind of device"
            )
        return retriever


def _alike(retriever: Encoder | Lookup, shared: Shared) -> bool:
    """Whether a model gives judged documents the vectors that they have: some are known by their numbers only."""
    judged, some = shared.judged.texts, slice(0, _PROBES)
    texts = Texts(list(judged.ids[some]), list(judged.texts[some]), list(judged.languages[some]))
    known = shared.judged.vectors[some]
    found = encode_texts(retriever, shared.info, texts, "document").vectors
    if found.shape != known.shape:
        return False
    return bool((np.linalg.norm(found - known, axis=1) <= _ALIKE * np.linalg.norm(known, axis=1)).all())
