"""`xlir-bench run`, killed again and again: `kill -9` loses one block at most, and no score moves."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pyarrow.parquet as pq
import pytest

import xlir_bench
from xlir_bench.encoders.encode import BLOCK

KILLS = 20
MODEL = """
    import hashlib, os, time
    from xlir_bench.encoders.random_encoder import RandomEncoder

    class Counting:
        def __init__(self):
            self.encoder = RandomEncoder()

        def encode(self, texts, *, role, languages):
            if len(texts) > 100:  # not the probes
                block = hashlib.sha256("\\n".join([role, *texts]).encode()).hexdigest()
                with open(os.environ["SEEN"], "a") as file:
                    file.write(f"{role} {len(texts)} {block}\\n")
                time.sleep(0.1)
            return self.encoder.encode(texts, role=role, languages=languages)
"""


class Runs:
    """Runs of the command line that share a folder of results and a cache of vectors."""

    def __init__(self, folder: Path, name: str, suite: Path) -> None:
        self.folder, self.name, self.suite = folder, name, suite

    def begin(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "XLIR_BENCH_CACHE": str(self.folder / f"{self.name}-cache"),
            "SEEN": str(self.seen),
            "PYTHONPATH": str(Path(xlir_bench.__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
        }
        command = [
            str(Path(sys.executable).with_name("xlir-bench")),
            "run",
            "counting.py:Counting",
            "--suite",
            str(self.suite),
        ]
        command += ["--output", self.name, "--offline"]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def finish(self) -> float:
        """Run to the end; seconds."""
        since = time.monotonic()
        assert self.begin().wait() == 0, (self.folder / f"{self.name}.log").read_text()
        return time.monotonic() - since

    def interrupt(self, after: float) -> bool:
        """Kill a run so many seconds after it began; False if it was through by then."""
        running = self.begin()
        try:
            running.wait(after)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
        return running.wait() == -signal.SIGKILL

    def forget_results(self) -> None:
        shutil.rmtree(self.folder / self.name)

    @property
    def seen(self) -> Path:
        return self.folder / f"{self.name}.seen"

    @property
    def blocks(self) -> Counter[str]:
        return Counter(self.seen.read_text().splitlines()) if self.seen.exists() else Counter()

    def scores(self) -> bytes:
        """What a result says of the model, as bytes: everything but its date, timing and machine."""
        result = json.loads(self.result.read_text())
        for varying in ("created", "timing", "environment"):
            del result[varying]
        return json.dumps(result).encode()

    def ranks(self):
        return pq.read_table(self.result.with_suffix(".parquet"))

    @property
    def result(self) -> Path:
        [path] = (self.folder / self.name).rglob("parallel.json")
        return path


@pytest.mark.slow
def test_killed_at_twenty_random_instants_a_run_ends_with_the_same_scores_and_re_encodes_one_block_at_most_each_time(
    parallel_folder, tmp_path
):
    (tmp_path / "counting.py").write_text(dedent(MODEL))
    whole, killed = Runs(tmp_path, "whole", parallel_folder), Runs(tmp_path, "killed", parallel_folder)
    whole.finish()  # compiles what is compiled once
    whole.seen.unlink()
    shutil.rmtree(tmp_path / "whole-cache")
    whole.forget_results()
    seconds = whole.finish()
    draw = random.Random(7)
    kills = 0
    while kills < KILLS:
        again = killed.blocks.total() - len(killed.blocks)
        if killed.interrupt(draw.uniform(0.2, 1.0) * seconds):
            kills += 1
        else:
            # Through before its instant came: the next one begins anew, with nothing stored.
            assert killed.scores() == whole.scores()
            assert killed.ranks().equals(whole.ranks())
            killed.forget_results()
            shutil.rmtree(tmp_path / "killed-cache")
            killed.seen.unlink()
            continue
        assert killed.blocks.total() - len(killed.blocks) <= again + 1
    killed.finish()
    assert killed.scores() == whole.scores()
    assert killed.ranks().equals(whole.ranks())
    assert set(killed.blocks) == set(whole.blocks)
    assert all(int(block.split()[1]) <= BLOCK for block in killed.blocks)
