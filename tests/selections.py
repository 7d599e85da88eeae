"""A small model, and selections of a suite's languages, settings and measures."""

from __future__ import annotations

import numpy as np

from xlir_bench.encoders import Model, ModelInfo
from xlir_bench.suites import find, load

ALL = ["de", "en", "fi"]


class Letters:
    """How often each letter occurs."""

    def encode(self, texts, *, role, languages):
        vectors = np.zeros((len(texts), 33), np.float32)
        for row, text in enumerate(texts):
            for sign in text:
                vectors[row, ord(sign) % 32] += 1
        return vectors


class Refuses:
    """Fails the test that encodes with it."""

    def encode(self, texts, *, role, languages):
        raise AssertionError("encoded")


def model(retriever=None) -> Model:
    return Model(ModelInfo("letters", "letters", f"{1:064x}"), retriever or Letters())


WHOLE = load(find("xlir-mini"), None, ALL)
SELECTIONS = {
    "full": (ALL, None, None),
    "languages": (["de", "en"], None, None),
    "other languages": (["en", "fi"], None, None),
    "monolingual": (ALL, ["monolingual"], None),
    "multilingual": (ALL, ["multilingual"], None),
    "measures": (ALL, None, ["RR@10"]),
    "all narrowed": (["de", "en"], ["monolingual"], ["AP"]),
}


def asked(selection):
    languages, settings, measures = SELECTIONS[selection]
    suite = find("xlir-mini").with_measures(measures).narrowed(settings)
    return suite, WHOLE if languages == ALL else WHOLE.select(languages)


def figures(result):
    """All that a result says of the model on the data, without the machine, the time and the clock."""
    return result.model_dump(exclude={"timing", "created", "environment"})
