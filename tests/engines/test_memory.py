"""Memory that does not grow with the corpus, under a hard limit."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

RUN = """
    import json, resource
    import numpy as np
    from xlir_bench.encoders import resolve
    from xlir_bench.engines import Streaming, stream
    from xlir_bench.suites import find, load
    import xlir_bench.retrieval.kernel  # its compiler belongs to the program, as the model does

    class Cheap:
        table = np.random.default_rng(0).standard_normal((4096, 384)).astype(np.float32)

        def encode(self, texts, *, role, languages):
            at = np.array([[hash(text) % 4093, len(text)] for text in texts])
            return self.table[at[:, 0]] + 0.1 * self.table[at[:, 1]]

    def size_of(field):
        return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(field))

    from xlir_bench.encoders import Model, ModelInfo
    model = Model(ModelInfo("cheap", "cheap", "a" * 64), Cheap())
    small = load(find({small!r}), languages=["en"])
    stream(model, small, Streaming(1000), across_languages=True)  # threads and compiled code are there from here on
    before = size_of("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (before + 2 * 2**30,) * 2)
    collection = load(find({large!r}), languages=["en"])
    ranks = stream(model, collection, Streaming(), across_languages=True).ranks
    peak = size_of("VmPeak") - before
    print(json.dumps({{"documents": len(collection.documents), "judged": len(ranks), "peak": peak}}))
"""


def write(folder, documents: int, queries: int = 200) -> str:
    """A BEIR folder of short passages; query n is answered by passage n."""
    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w") as file:
        for number in range(documents):
            passage = f"passage {number} of {number % 97} and {number % 89}, " * (1 + number % 5)
            file.write(f'{{"_id": "{number // 7}#{number % 7}", "title": "{number // 7}", "text": "{passage}"}}\n')
    asked = [json.dumps({"_id": f"q{n}", "text": f"what is passage {n}?"}) for n in range(queries)]
    (folder / "queries.jsonl").write_text("\n".join(asked) + "\n")
    rows = [f"q{n}\t{n // 7}#{n % 7}\t1" for n in range(queries)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]) + "\n")
    return str(folder)


@pytest.mark.slow
def test_a_million_documents_are_ranked_within_two_gibibytes_beyond_the_model(tmp_path):
    script = RUN.format(small=write(tmp_path / "small", 3000), large=write(tmp_path / "large", 1_000_000))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert (found["documents"], found["judged"]) == (1_000_000, 200)
    assert found["peak"] < 2 * 2**30
