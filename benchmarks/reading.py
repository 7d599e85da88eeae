"""Reading a corpus of short passages: texts per second and peak memory, beside `beir` and `datasets` on the same file.

    python benchmarks/reading.py [--sizes 100000,1000000,10000000] [--folder DIR]

Each figure is one process of its own, so that peak memory is that of one loader. Ours reads BEIR's folder, converts it,
checks ids and finds the fingerprint; "again" is the second time, from the converted columns. `beir` gives a dict;
`datasets` writes its own Arrow cache. Time should grow with the size, and our peak memory should not.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

from alone import alone

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


def load_once(loader: str, folder: Path) -> dict[str, float]:
    """Seconds and texts of one loader."""
    with redirect_stdout(sys.stderr):  # loaders may print
        began = time.perf_counter()
        loaded = {"beir": load_beir, "datasets": load_datasets}.get(loader, load_ours)(folder)
        return {"seconds": time.perf_counter() - began, "texts": loaded}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="100000,1000000,10000000")
    parser.add_argument("--folder", type=Path, help="where to write the corpora; a temporary folder by default")
    arguments = parser.parse_args()
    root = arguments.folder or Path(tempfile.mkdtemp(prefix="reading-"))
    print(f"{'passages':>10}  {'loader':<12} {'seconds':>8} {'texts/s':>10} {'MB/s':>6} {'peak MB':>8}  ours is")
    try:
        for size in map(int, arguments.sizes.split(",")):
            folder = root / f"corpus-{size}"
            write_corpus(folder, size)
            os.environ.update(XLIR_BENCH_CACHE=str(folder / "cache"), HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
            megabytes = (folder / "corpus.jsonl").stat().st_size / 1e6
            ours: dict[str, float] = {}
            for loader in LOADERS:
                if loader == "beir" and size > LARGEST_DICT:
                    print(
                        f"{size:>10,}  {loader:<12} not run: its dict of dicts needs about 0.7 GB per million passages"
                    )
                    continue
                found = alone(load_once, loader, folder)
                assert found["texts"] == size
                ours = ours or found
                memory = found["peak_mib"] / ours["peak_mib"]
                ratio = f"{found['seconds'] / ours['seconds']:.1f} x faster, {memory:.1f} x smaller"
                rate = f"{size / found['seconds']:>10,.0f} {megabytes / found['seconds']:>6,.0f}"
                beside = ratio if not loader.startswith("ours") else ""
                peak = found["peak_mib"] * 2**20 / 1e6
                print(f"{size:>10,}  {loader:<12} {found['seconds']:>8.2f} {rate} {peak:>8,.0f}  {beside}")
            shutil.rmtree(folder)
    finally:
        if not arguments.folder:
            shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
