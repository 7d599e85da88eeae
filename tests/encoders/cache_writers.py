"""What the tests of the vector cache share: texts with known vectors, and processes that store them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import xlir_bench
from xlir_bench.encoders.cache import VectorCache, keys_of
from xlir_bench.encoders.random_encoder import RandomEncoder

FINGERPRINT = "0123456789abcdef" * 4
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(xlir_bench.__file__).parents[1])}

WRITER = """
import sys
from pathlib import Path
from xlir_bench.encoders.cache import VectorCache, keys_of
from xlir_bench.encoders.random_encoder import RandomEncoder

folder, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store = VectorCache(folder).store("0123456789abcdef" * 4, "query")
print("ready", flush=True)
for block in range(first, last):
    texts = [f"text {row}" for row in range(50 * block, 50 * block + 50)]
    codes = ["en"] * 50
    store.add(keys_of(texts, codes), RandomEncoder().encode(texts, role="query", languages=codes))
    if len(sys.argv) > 4:
        print(block, flush=True)
"""


def expected(texts):
    return RandomEncoder().encode(texts, role="query", languages=["en"] * len(texts))


def open_store(folder):
    return VectorCache(folder).store(FINGERPRINT, "query")


def english(texts):
    return keys_of(texts, ["en"] * len(texts))


def stored(folder, texts):
    """Positions found and their vectors."""
    return open_store(folder).find(english(texts))


def store(folder, texts):
    open_store(folder).add(english(texts), expected(texts))


def files(folder, suffix):
    return sorted(folder.rglob(f"*.{suffix}"))


def start_writer(folder, first, last, *more):
    """A process that stores blocks of 50 texts, once it has opened the store; with one more argument it says which."""
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(last), *more]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()
    return writer
