"""A run on XQuAD-R that is killed again and again: `kill -9` loses one block at most, and no score moves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest

import xlir_bench
from xlir_bench.encoders.encode import BLOCK

KILLS = 20
SECONDS_PER_BLOCK = 0.25
MODEL = """
    import os, time
    from xlir_bench.encoders.random_encoder import RandomEncoder

    class Slow:
        def __init__(self):
            self.encoder = RandomEncoder()

        def encode(self, texts, *, role, languages):
            if len(texts) > 100:  # not the probes
                with open(os.environ["SEEN"], "a") as file:
                    file.write(f"{role} {len(texts)} {hash_of(texts)}\\n")
                time.sleep(0.25)
            return self.encoder.encode(texts, role=role, languages=languages)

    def hash_of(texts):
        import zlib
        return zlib.crc32("\\n".join(texts).encode())
"""


def scores(folder):
    [path] = [path for path in folder.rglob("xquad-r.json") if path.with_suffix(".parquet").is_file()]
    result = json.loads(path.read_text())
    return json.dumps([result["scores"], result["summary"], result["ties"]]).encode()


RUN = """
    import sys
    from pathlib import Path
    from xlir_bench.encoders import VectorCache, resolve
    from xlir_bench.evaluation import run
    from xlir_bench.suites import find, load

    suite = find("xquad-r").narrowed(("monolingual",))
    collection = load(suite, Path(sys.argv[1]))
    model = resolve("slow.py:Slow")
    Path(sys.argv[2] + ".begun").touch()
    run(model, suite, collection, Path(sys.argv[2]), cache=VectorCache())
"""


@pytest.mark.slow
def test_killed_at_twenty_random_instants_a_run_ends_with_the_same_scores_and_re_encodes_one_block_at_most(
    shared_data, tmp_path
):
    (tmp_path / "slow.py").write_text(dedent(MODEL))
    (tmp_path / "run.py").write_text(dedent(RUN))

    def begin(name):
        (tmp_path / f"{name}.begun").unlink(missing_ok=True)
        environment = {
            **os.environ,
            "XLIR_BENCH_CACHE": str(tmp_path / f"{name}-cache"),
            "SEEN": str(tmp_path / f"{name}.seen"),
            "PYTHONPATH": str(Path(xlir_bench.__file__).parents[1]),
        }
        log = (tmp_path / f"{name}.log").open("ab")
        command = [sys.executable, "run.py", str(shared_data), name]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)

    assert begin("whole").wait() == 0, (tmp_path / "whole.log").read_text()
    draw = random.Random(7)
    killed = 0
    for _ in range(KILLS):
        running = begin("killed")
        while not (tmp_path / "killed.begun").exists() and running.poll() is None:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 2.5 * SECONDS_PER_BLOCK))
        if running.poll() is None:
            running.send_signal(signal.SIGKILL)
            killed += 1
        running.wait()
    assert killed > KILLS // 2  # a run that is through before its instant comes is killed no more
    assert begin("killed").wait() == 0, (tmp_path / "killed.log").read_text()
    assert scores(tmp_path / "killed") == scores(tmp_path / "whole")
    blocks = Counter((tmp_path / "killed.seen").read_text().splitlines())
    assert set(blocks) == set((tmp_path / "whole.seen").read_text().splitlines())
    again = sum(blocks.values()) - len(blocks)
    assert again <= killed  # one block each time at most
    assert all(int(block.split()[1]) <= BLOCK for block in blocks)
