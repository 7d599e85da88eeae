"""Reading a corpus of short passages: texts per second and peak memory, beside `beir` and `datasets` on the same file.

    python benchmarks/reading.py [--sizes 100000,1000000,10000000] [--folder DIR]

Each figure is one process of its own, so that peak memory is that of one loader. Ours reads BEIR's folder, converts it,
checks ids and finds the fingerprint; "again" is the second time, from the converted columns. `beir` gives a dict;
`datasets` writes its own Arrow cache. Time should grow with the size, and our peak memory should not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SENTENCE = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were her all she there would their we him been has when who will more no if out so said what up its about"
)
WORDS = SENTENCE.split()
LOADERS = ("ours", "ours, again", "beir", "datasets")
LARGEST_DICT = 1_000_000


def write_corpus(folder: Path, size: int) -> None:
    """A BEIR folder: `size` passages of 20 words with a title, one query."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    draw = random.Random(size)
    with (folder / "corpus.jsonl").open("w") as file:
        for number in range(size):
            text = " ".join(draw.choices(WORDS, k=20))
            file.write(f'{{"_id": "{number // 7}#{number % 7}", "title": "Title {number // 7}", "text": "{text}"}}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "who?"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\t0#0\t1\n")


def load_ours(folder: Path) -> int:
    from xlir_bench.suites import find, load

    collection = load(find(str(folder)), languages=["en"])
    assert len(collection.fingerprint) == 64
    return len(collection.documents)


def load_beir(folder: Path) -> int:
    from beir.datasets.data_loader import GenericDataLoader

    corpus, _, _ = GenericDataLoader(str(folder)).load(split="test")
    return len(corpus)


def load_datasets(folder: Path) -> int:
    import datasets

    datasets.disable_progress_bars()
    files = str(folder / "corpus.jsonl")
    return len(datasets.load_dataset("json", data_files=files, split="train", cache_dir=str(folder / "datasets")))


def child(loader: str, folder: Path) -> None:
    """Load once and print seconds, texts and peak memory."""
    sys.stdout, printed = sys.stderr, sys.stdout  # loaders may print
    began = time.perf_counter()
    loaded = {"beir": load_beir, "datasets": load_datasets}.get(loader, load_ours)(folder)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": seconds, "texts": loaded, "peak": peak}), file=printed)


def measured(loader: str, folder: Path) -> dict[str, float]:
    """What a process of its own reports."""
    environment = {
        **os.environ, "XLIR_BENCH_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
    }  # fmt: skip
    command = [sys.executable, __file__, "--child", loader, "--folder", str(folder)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{loader} failed:\n{finished.stderr[-2000:]}")
    return json.loads(finished.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100000,1000000,10000000")
    parser.add_argument("--folder", type=Path, help="where to write the corpora; a temporary folder by default")
    parser.add_argument("--child", choices=LOADERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.folder)
        return
    root = arguments.folder or Path(tempfile.mkdtemp(prefix="reading-"))
    print(f"{'passages':>10}  {'loader':<12} {'seconds':>8} {'texts/s':>10} {'MB/s':>6} {'peak MB':>8}  ours is")
    try:
        for size in map(int, arguments.sizes.split(",")):
            folder = root / f"corpus-{size}"
            write_corpus(folder, size)
            megabytes = (folder / "corpus.jsonl").stat().st_size / 1e6
            ours: dict[str, float] = {}
            for loader in LOADERS:
                if loader == "beir" and size > LARGEST_DICT:
                    print(
                        f"{size:>10,}  {loader:<12} not run: its dict of dicts needs about 0.7 GB per million passages"
                    )
                    continue
                found = measured(loader, folder)
                assert found["texts"] == size
                ours = ours or found
                ratio = (
                    f"{found['seconds'] / ours['seconds']:.1f} x faster, {found['peak'] / ours['peak']:.1f} x smaller"
                )
                rate = f"{size / found['seconds']:>10,.0f} {megabytes / found['seconds']:>6,.0f}"
                beside = ratio if not loader.startswith("ours") else ""
                print(
                    f"{size:>10,}  {loader:<12} {found['seconds']:>8.2f} {rate} {found['peak'] / 1e6:>8,.0f}  {beside}"
                )
            shutil.rmtree(folder)
    finally:
        if not arguments.folder:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
