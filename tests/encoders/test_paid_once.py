"""No answered text is paid for again, whatever ends a run and however often."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cache_writers import ENVIRONMENT, files
from paid_texts import INFO, PART, BrokenConnectionError, Paid, texts, vectors_of

from xlir_bench.encoders import VectorCache, encode_texts
from xlir_bench.errors import InputError

COUNT = 200_000
SCRIPT = Path(__file__).with_name("paid_texts.py")


def times_paid(ledger, count):
    return np.bincount(np.fromfile(ledger, "<u4"), minlength=count)


def begin(folder, count, seed, life):
    """A run that has 64 descriptors for everything."""
    command = f'ulimit -n 64; exec "{sys.executable}" "{SCRIPT}" cache ledger {count} {seed} {life}'
    return subprocess.Popen(["bash", "-c", command], cwd=folder, env=ENVIRONMENT)


def test_a_run_that_fails_again_and_again_pays_for_every_text_once(tmp_path):
    def broken():
        raise BrokenConnectionError

    count, paid, runs = 20_000, [], 0
    draw = random.Random(3)
    encoded = None
    while encoded is None:
        runs += 1
        encoder = Paid(lambda numbers: paid.extend(numbers.tolist()), runs, draw.randint(1, 30), broken)
        try:
            encoded = encode_texts(encoder, INFO, texts(count), "document", cache=VectorCache(tmp_path))
        except InputError as error:
            if not isinstance(error.__cause__, BrokenConnectionError) or runs > 1000:
                raise
    assert runs > 5
    assert sorted(paid) == list(range(count))
    assert np.array_equal(encoded.vectors, vectors_of(range(count)))


@pytest.mark.skipif(os.name == "nt", reason="has no kill -9")
def test_a_run_that_is_killed_between_two_answers_pays_for_every_text_once(tmp_path):
    count, life = 20_000, 40
    for seed in range(4):
        run = begin(tmp_path, count, seed, life if seed < 3 else 0)
        assert run.wait() == (-signal.SIGKILL if seed < 3 else 0)
    assert (times_paid(tmp_path / "ledger", count) == 1).all()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="has no kill -9")
def test_two_hundred_thousand_texts_killed_at_any_instant_with_64_descriptors(tmp_path):
    """What was answered and not yet handed over when the process died, one answer a kill, is all that is lost."""
    draw = random.Random(5)
    kills = 0
    while True:
        run = begin(tmp_path, COUNT, kills, 0)
        until = time.monotonic() + draw.uniform(2.0, 5.0)
        while run.poll() is None and (kills == 12 or time.monotonic() < until):
            time.sleep(0.01)
        if run.poll() is not None:
            break
        run.kill()
        assert run.wait() == -signal.SIGKILL
        kills += 1
    assert run.returncode == 0
    times = times_paid(tmp_path / "ledger", COUNT)
    assert kills >= 1
    assert times.min() == 1
    assert (times - 1).sum() <= kills * PART
    assert len(files(tmp_path, "keys")) == 1
