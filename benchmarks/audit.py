"""An audit of training data against XQuAD-R: ours, sets of tuples of words, and datasketch's MinHash, in one run.

    python benchmarks/audit.py --data DIR [--share 1.0] [--minhash-share 0.03]

DIR holds train/ and xquad-r/. Ours reads all of train/, as `xlir-bench audit DIR/train --suite xquad-r` does, and is
timed over all that it does: reading, folding, grams, near duplicates, hashes of the files. Then the comparing alone is
timed, on texts that are in memory, ours against each of the other two on the same texts (the first rows of each file):

* sets of tuples: words by a regular expression, lower-cased; a set of the suite's 8-grams; every 8-gram of every
  training text is looked up. No near duplicates, no Chinese or Thai, no folding beyond case.
* MinHash: datasketch with 128 permutations over shingles of 3 words, an LSH index of the suite at .8; near duplicates
  alone. `pip install datasketch`; left out where it is not installed.

Seconds are of the processor (one thread), so that other work on the machine does not count, beside those of the clock.
Peak memory is of the process after ours, which comes first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time

import click
import regex
from alone import peak_mib

from xlir_bench.collection import Collection
from xlir_bench.suites import find, load
from xlir_bench.training.audit import Rules, audit
from xlir_bench.training.audit.index import index_of, suite_texts
from xlir_bench.training.audit.report import judge
from xlir_bench.training.audit.rows import Row, texts_of, training_files
from xlir_bench.training.audit.scan import Scan

AIM_S = 60
_WORDS = regex.compile(r"[\p{L}\p{M}\p{N}]+")


def words(text: str) -> list[str]:
    return _WORDS.findall(text.lower())


def timed(work: Callable[[], int]) -> tuple[int, float, float]:
    """What it counts, seconds of the processor, seconds of the clock."""
    clock, processor = perf_counter(), process_time()
    found = work()
    return found, process_time() - processor, perf_counter() - clock


def whole(data: Path, collection: Collection) -> int:
    found = audit([data / "train"], find("xquad-r"), collection)
    return len(found.rows)


def ours(rows: list[Row], collection: Collection) -> int:
    scan = Scan(index_of(suite_texts(collection), Rules()))
    for _ in scan.read(rows):
        pass
    return int(judge(scan).touched.sum())


def tuples(rows: list[Row], collection: Collection) -> int:
    suite: set[tuple[str, ...]] = set()
    for text in suite_texts(collection).texts:
        cut = words(text)
        suite.update(tuple(cut[at : at + 8]) for at in range(len(cut) - 7))
    touched = 0
    for row in rows:
        for _, text in row:
            cut = words(text)
            touched += any(tuple(cut[at : at + 8]) in suite for at in range(len(cut) - 7))
    return touched


def minhash(rows: list[Row], collection: Collection) -> int:
    from datasketch import MinHash, MinHashLSH

    def sketch(text: str) -> MinHash:
        cut = words(text)
        made = MinHash(num_perm=128)
        made.update_batch([" ".join(cut[at : at + 3]).encode() for at in range(max(len(cut) - 2, 1))])
        return made

    index = MinHashLSH(threshold=0.8, num_perm=128)
    for number, text in enumerate(suite_texts(collection).texts):
        index.insert(number, sketch(text))
    return sum(bool(index.query(sketch(text))) for row in rows for _, text in row)


def beginnings(data: Path, share: float) -> Iterator[Row]:
    """The first rows of each file, about this share of its bytes."""
    for number, file in enumerate(training_files([data / "train"])):
        count = sum(1 for _ in texts_of(file, number))
        yield from islice(texts_of(file, number), max(1, round(count * share)))


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder: train/, xquad-r/.")
@click.option("--share", default=1.0, show_default=True, help="Of the training data, for sets of tuples.")
@click.option("--minhash-share", default=0.03, show_default=True, help="Of the training data, for MinHash.")
@click.option("--json", "as_json", is_flag=True)
def main(data: Path, share: float, minhash_share: float, as_json: bool) -> None:
    """Print seconds, memory and ratios."""
    collection = load(find("xquad-r"), data)
    ours([], collection)  # tables of characters, once per process
    pairs, processor, clock = timed(lambda: whole(data, collection))
    memory = peak_mib()
    found: dict[str, object] = {"whole": {"pairs": pairs, "processor_s": processor, "clock_s": clock, "mib": memory}}
    if not as_json:
        click.echo(
            f"all of train/ against XQuAD-R: {processor:.1f} s of one core, {clock:.1f} s by the clock (aim: {AIM_S}), "
            f"{memory:,.0f} MiB; {pairs} pairs overlap"
        )
    for name, work, part in (("sets of tuples", tuples, share), ("datasketch", minhash, minhash_share)):
        rows = list(beginnings(data, part))
        texts = sum(map(len, rows))
        own, here, _ = timed(lambda rows=rows: ours(rows, collection))  # type: ignore[misc]
        try:
            count, there, _ = timed(lambda work=work, rows=rows: work(rows, collection))  # type: ignore[misc]
        except ImportError:
            click.echo(f"{name}: not installed", err=True)
            continue
        found[name] = {"texts": texts, "processor_s": there, "ours_s": here, "ratio": there / here}
        if not as_json:
            click.echo(
                f"{texts:,} texts in memory: xlir-bench {here:.1f} s of one core, {own} texts of the suite touched; "
                f"{name} {there:.1f} s, {count} training texts found; {there / here:.1f} times ours"
            )
    if as_json:
        click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
