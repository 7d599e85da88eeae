"""An encoder whose texts are paid for, as a server's are, that counts them; run by itself it is killed half-way.

    python paid_texts.py CACHE LEDGER TEXTS SEED LIFE

encodes the texts "0", "1", ... through the cache in CACHE, writes the number of each answered text into LEDGER,
and ends by SIGKILL after LIFE answers, if LIFE is not 0.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import numpy as np

from xlir_bench.collection import Texts
from xlir_bench.encoders import ModelInfo, VectorCache, encode_texts

INFO = ModelInfo("paid", "paid", "ef" * 32)
PART = 128


def vectors_of(numbers):
    """Eight numbers that say which text they are of, shape (texts, 8)."""
    numbers = np.asarray(numbers, np.int64)
    return np.stack([numbers % prime for prime in (997, 991, 983, 977, 971, 967, 953, 947)], axis=1).astype(np.float32)


def texts(count):
    names = [str(number) for number in range(count)]
    return Texts(names, names, ["en"] * count)


class BrokenConnectionError(Exception):
    """The connection broke."""


class Paid:
    """Answers requests of 128 texts in any order; each answer is noted before it is handed over.

    Args:
        note: called with the numbers of the texts of each answer.
        seed: of the order.
        life: answers until `end` is called; 0 for no end.
        end: what ends it.
    """

    def __init__(self, note, seed, life=0, end=None):
        self.note, self.order, self.life, self.end = note, random.Random(seed), life, end

    def encode(self, texts, *, role, languages):
        raise AssertionError("texts that are paid for are asked for part by part")

    def encode_parts(self, texts, *, role, languages):
        starts = list(range(0, len(texts), PART))
        self.order.shuffle(starts)
        for start in starts:
            at = np.arange(start, min(start + PART, len(texts)))
            numbers = np.array([int(texts[row]) for row in at])
            self.note(numbers)
            yield at, vectors_of(numbers)
            self.life -= 1
            if self.life == 0:
                self.end()


def kill_this_process():
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    cache, ledger, count, seed, life = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    with Path(ledger).open("ab", buffering=0) as file:
        paid = Paid(lambda numbers: file.write(numbers.astype("<u4").tobytes()), seed, life, kill_this_process)
        encoded = encode_texts(paid, INFO, texts(count), "document", cache=VectorCache(Path(cache)))
    assert np.array_equal(encoded.vectors, vectors_of(range(count)))


if __name__ == "__main__":
    main()
