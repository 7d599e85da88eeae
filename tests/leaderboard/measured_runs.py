"""Real runs of simulated encoders on the bundled suite, with their ranks beside them."""

from __future__ import annotations

import re

import numpy as np

from xlir_bench.encoders import Model, ModelInfo
from xlir_bench.evaluation import run
from xlir_bench.suites import find, load

LANGUAGES = ["de", "en", "tr"]


class WordEncoder:
    """Words hashed into a few dimensions, with noise: the more of it, the worse."""

    def __init__(self, noise: float) -> None:
        self.noise = noise

    def encode(self, texts, *, role, languages):
        vectors = np.zeros((len(texts), 64), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                vectors[row, sum(map(ord, word)) % 64] += 1
            vectors[row] += self.noise * np.random.default_rng(sum(map(ord, text))).standard_normal(64)
        return vectors


def make(output, noises):
    """Run an encoder per name and noise; gives their result files."""
    suite = find("xlir-mini")
    collection = load(suite, None, LANGUAGES)
    return [
        run(Model(ModelInfo(name, name, f"{name:0<64}"), WordEncoder(noise)), suite, collection, output).path
        for name, noise in noises.items()
    ]
