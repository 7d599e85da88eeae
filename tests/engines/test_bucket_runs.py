"""Runs by the command line that keep their vectors and records in a bucket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import fsspec
import pytest

from xlir_bench.suites import find, obtain

ENCODER = """
    import os, signal
    import numpy as np

    class Encoder:
        def encode(self, texts, *, role, languages):
            if os.environ.get("DIE_AT") in texts:
                os.kill(os.getpid(), signal.SIGKILL)
            vectors = np.zeros((len(texts), 64), np.float32)
            for row, text in enumerate(texts):
                for at, character in enumerate(text):
                    vectors[row, (ord(character) * 31 + at % 3) % 64] += 0.1
            rounded = role == "document" and "ROUNDED" in os.environ
            return vectors.astype(np.float16).astype(np.float32) if rounded else vectors
"""


PROGRAM = "from xlir_bench.cli.main import main; main()"


@pytest.fixture
def command(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real program on two languages of the bundled suite, 25 documents to a shard where it streams."""
    encoder = tmp_path / "encoder.py"
    encoder.write_text(textwrap.dedent(ENCODER))

    def run(output: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        given = ["run", f"{encoder}:Encoder", "--languages", "en,th", "--json", *options]
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *given, "--output", str(tmp_path / output)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, **variables},
        )

    return run


def unjudged() -> list[str]:
    """Texts of documents that only a shard of the corpus has, in the corpus's order."""
    collection = obtain(find("xlir-mini"), None, ["en", "th"])
    judged = set(collection.judgements.document.tolist())
    return [text for row, text in enumerate(collection.documents.texts) if row not in judged]


def scores(done: subprocess.CompletedProcess[str]) -> list:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["scores"]


def ranks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.parquet")}


def test_a_run_that_keeps_in_a_bucket_is_killed_and_goes_on(bucket, command, tmp_path):
    def objects(suffix: str) -> list[str]:
        files, root = fsspec.core.url_to_fs(bucket, use_listings_cache=False)
        return [path for path in files.find(root) if path.endswith(suffix)]

    places = ["--keep-embeddings", f"{bucket}/vectors", "--records", f"{bucket}/records"]
    on_bucket = partial(command, "bucket", "--shard-size", "25", *places)
    texts = unjudged()
    killed = on_bucket(DIE_AT=texts[-1])
    assert killed.returncode == -signal.SIGKILL
    assert objects(".counts")
    # A text of the first shard: whoever encodes it again dies.
    resumed = scores(on_bucket(DIE_AT=texts[0]))
    assert len(objects(".half")) == 12
    assert not [path for path in objects("") if "/records/" in path]

    folder = ["--keep-embeddings", str(tmp_path / "vectors"), "--records", str(tmp_path / "records")]
    assert scores(command("folder", "--shard-size", "25", *folder)) == resumed
    assert ranks(tmp_path / "bucket") == ranks(tmp_path / "folder") != {}
    assert scores(command("memory", ROUNDED="1")) == resumed


def test_the_program_says_in_one_line_that_a_bucket_is_not_there(bucket, command):
    wrong = bucket.replace("//bucket/", "//bukcet/")
    done = command("out", "--shard-size", "25", "--keep-embeddings", wrong)
    assert done.returncode == 3
    assert [line for line in done.stderr.splitlines() if "no such bucket" in line]
    assert "Traceback" not in done.stderr
