"""The floor: vectors that know nothing of their text but which one it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from xlir_bench.encoders.identity import VectorFields, digest_of, identified
from xlir_bench.encoders.protocol import Model, ModelInfo, Role, Vectors
from xlir_bench.errors import InputError

DIMENSIONS = 64


class RandomEncoder:
    """Each text's vector is drawn from the standard normal distribution by a generator that the text itself seeds.

    The draws come from SHAKE-256 over seed and text, so they are the same on every machine and with every version of
    every library. A query that equals a document gets the document's vector.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, 64). Neither role nor language matters."""
        prefix = f"{self.seed}\n".encode()
        drawn = b"".join(
            hashlib.shake_256(prefix + text.encode("utf-8", "surrogatepass")).digest(8 * DIMENSIONS) for text in texts
        )
        # Box and Muller: two uniform numbers make two normal ones. The top 53 bits fill a float's mantissa.
        uniform = (np.frombuffer(drawn, "<u8").reshape(len(texts), 2, DIMENSIONS // 2) >> 11) * 2.0**-53
        radius = np.sqrt(-2.0 * np.log1p(-uniform[:, 0]))
        angle = 2.0 * np.pi * uniform[:, 1]
        return np.hstack([radius * np.cos(angle), radius * np.sin(angle)]).astype(np.float32)


def load(model_id: str) -> Model:
    """The model of `random` or `random:SEED`.

    Raises:
        InputError: the seed is no whole number of 0 or more.
    """
    _, _, seed_text = model_id.partition(":")
    if seed_text and not (seed_text.isascii() and seed_text.isdigit()):
        raise InputError(f"model {model_id!r}: the seed must be a whole number, e.g. random:7")
    seed = int(seed_text or 0)
    info = ModelInfo(
        id=model_id,
        name=f"random-{seed}" if seed else "random",
        fingerprint="",
        details={"adapter": "random", "dimensions": DIMENSIONS, "parameters": 0, "trained_on": [], "seed": seed},
    )
    settings = {"seed": seed, "dimensions": DIMENSIONS}
    fields = VectorFields("random", digest_of("Box-Muller on SHAKE-256"), settings)
    return Model(identified(info, fields), RandomEncoder(seed))
