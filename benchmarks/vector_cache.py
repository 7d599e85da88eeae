"""The cache of vectors beside what it was before (a file for each block), SQLite and LMDB.

    python benchmarks/vector_cache.py [--vectors 1000000] [--width 384] [--folder DIR] [--part PART]

speed: vectors are added in blocks of 128 (as answers of a server come) and of 2,048, the store is opened again, and all
are looked up in blocks of 2,048, in the order in which they came and shuffled; then two processes add at once. Each
layout runs in a process of its own, with the file system's cache warm for all of them.

trouble: 20,000 vectors; one byte is changed somewhere in the files; a writer is killed; the files may not grow; the
folder may not be written; there are 64 descriptors. Printed is what is found, and what is lost, wrong or raised.

paid: an encoder whose texts are paid for, on so many texts with 64 descriptors, killed again and again; how many texts
were paid for twice.

dry-run: the time and memory that it takes to count what is stored.

LMDB is compared where the package `lmdb` is installed.
"""

from __future__ import annotations

import importlib.util
import mmap  # noqa: F401  as numpy does later, when a process that may read little can no longer
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import click
import numpy as np
from alone import alone, peak_mib
from vector_layouts import LAYOUTS

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import Model, ModelInfo, VectorCache
from xlir_bench.encoders.cache import keys_of
from xlir_bench.encoders.plan import plan
from xlir_bench.encoders.random_encoder import RandomEncoder

ASKED = 2048
SMALL = 10_000
CHANGES = 60
FORK = multiprocessing.get_context("fork")  # at once; nothing runs beside it
SPAWN = multiprocessing.get_context("spawn")


def made_keys(count: int) -> Any:
    return np.random.default_rng(1).integers(0, 2**63, 2 * count, dtype=np.int64).view("S16")


def made_vectors(at: Any, width: int) -> Any:
    """Vectors that begin with their number and are noise beyond, the same noise for all: what is stored is as large."""
    vectors = np.tile(np.random.default_rng(2).standard_normal(width, np.float32), (len(at), 1))
    vectors[:, 0] = at
    return vectors


def add_all(store: Any, rows: Any, width: int, block: int, keys: Any) -> None:
    for begin in range(0, len(rows), block):
        at = rows[begin : begin + block]
        store.add(keys[at], made_vectors(at, width))


def found_in(store: Any, order: Any, keys: Any) -> tuple[int, int]:
    """How many vectors are found, and how many of them are wrong."""
    found = wrong = 0
    for begin in range(0, len(order), ASKED):
        asked = order[begin : begin + ASKED]
        at, vectors = store.find(keys[asked])
        found += len(at)
        wrong += int((vectors[:, 0] != asked[at].astype(np.float32)).sum()) if len(at) else 0
    return found, wrong


def writing(name: str, folder: Path, count: int, width: int, block: int) -> dict[str, float]:
    keys, rows = made_keys(count), np.arange(count)
    store = LAYOUTS[name](folder, width)
    since = perf_counter()
    add_all(store, rows, width, block, keys)
    return {"seconds": perf_counter() - since}


def reading(name: str, folder: Path, count: int, width: int) -> dict[str, float]:
    keys, rows = made_keys(count), np.arange(count)
    made = peak_mib()
    since = perf_counter()
    store = LAYOUTS[name](folder, width)
    opened = perf_counter()
    assert found_in(store, rows, keys) == (count, 0)
    ordered = perf_counter()
    assert found_in(store, np.random.default_rng(3).permutation(count), keys) == (count, 0)
    return {
        "open": opened - since,
        "in order": ordered - opened,
        "shuffled": perf_counter() - ordered,
        "MiB": peak_mib() - made,
    }


def add_part(name: str, folder: Path, rows: Any, width: int) -> None:
    add_all(LAYOUTS[name](folder, width), rows, width, 128, made_keys(int(rows.max()) + 1))


def speed(names: list[str], folder: Path, count: int, width: int) -> None:
    for block in (128, 2048):
        click.echo(f"\n{count:,} vectors of {width} in blocks of {block:,}; in brackets times xlir-bench")
        click.echo(
            f"{'':13}{'add':>16}{'open':>9}{'in order':>16}{'shuffled':>16}{'files':>9}{'MB':>8}{'MiB held':>10}"
        )
        ours: dict[str, float] = {}
        for name in names:
            place = folder / "speed"
            told = {"add": alone(writing, name, place, count, width, block)["seconds"]}
            paths = [path for path in place.rglob("*") if path.is_file()]
            size = sum(path.stat().st_blocks * 512 for path in paths)
            told |= alone(reading, name, place, count, width)
            shutil.rmtree(place)
            ours = ours or told
            timed = [f"{told[key]:8.1f} ({told[key] / ours[key]:4.1f})" for key in ("add", "in order", "shuffled")]
            click.echo(
                f"{name:13}{timed[0]:>16}{told['open']:9.2f}{timed[1]:>16}{timed[2]:>16}"
                f"{len(paths):9,}{size / 1e6:8,.0f}{told['MiB']:10,.0f}"
            )
    count //= 5
    click.echo(f"\ntwo processes, {count:,} vectors each in blocks of 128, half of them the same")
    for name in names:
        place = folder / "both"
        LAYOUTS[name](place, width).close()
        halves = [np.arange(count), np.arange(count // 2, count // 2 + count)]
        since = perf_counter()
        both = [SPAWN.Process(target=add_part, args=(name, place, rows, width)) for rows in halves]
        for process in both:
            process.start()
        for process in both:
            process.join()
        seconds = perf_counter() - since
        found, wrong = found_in(
            LAYOUTS[name](place, width), np.arange(count // 2 + count), made_keys(count // 2 + count)
        )
        click.echo(f"{name:13}{seconds:8.1f} s  {found:,} of {count // 2 + count:,} found, {wrong} wrong")
        shutil.rmtree(place)


def outcome(work: Any, *arguments: Any) -> str:
    """What a process says of its work in one line, its exception, or the signal that ended it."""
    receiving, sending = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_say, args=(sending, work, arguments))
    process.start()
    sending.close()
    try:
        said = receiving.recv()
    except EOFError:
        said = ""
    process.join()
    return said or f"killed by {signal.Signals(-process.exitcode).name}" if process.exitcode < 0 else said


def _say(sending: Any, work: Any, arguments: tuple[Any, ...]) -> None:
    try:
        sending.send(work(*arguments))
    except Exception as error:
        sending.send(f"{type(error).__name__}: {error}"[:60])


def look(name: str, folder: Path, width: int) -> str:
    found, wrong = found_in(LAYOUTS[name](folder, width), np.arange(SMALL), made_keys(SMALL))
    return f"{wrong} wrong" if wrong else f"{SMALL - found} lost"


def add_limited(name: str, folder: Path, width: int, limit: tuple[int, int] | None) -> str:
    store = LAYOUTS[name](folder, width)
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(limit[0], (limit[1], limit[1]))
    try:
        add_all(store, np.arange(SMALL), width, 128, made_keys(SMALL))
        store.close()
        store = LAYOUTS[name](folder, width)
        found, wrong = found_in(store, np.arange(SMALL), made_keys(SMALL))
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:60]
    return f"{found} found, {wrong} wrong"


def read_as_nobody(name: str, folder: Path, width: int) -> str:
    if os.geteuid() == 0:
        os.setuid(65534)
    return look(name, folder, width)


def change_a_byte(folder: Path, draw: random.Random) -> None:
    """In any file, larger ones more often; half of the times near its beginning, where databases have inner pages."""
    paths = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in {"lock.mdb", "model.json"}
    ]
    [path] = draw.choices(paths, [path.stat().st_size for path in paths])
    with path.open("r+b") as file:
        position = draw.randrange(min(path.stat().st_size, draw.choice([1 << 16, 1 << 40])))
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1 << draw.randrange(8)]))


def after_changes(name: str, whole: Path, place: Path, width: int) -> str:
    came: Counter[str] = Counter()
    draw = random.Random(4)
    for _ in range(CHANGES):
        shutil.copytree(whole, place)
        change_a_byte(place, draw)
        said = outcome(look, name, place, width)
        came[said if not said.endswith("lost") or int(said.split()[0]) < 2 else "more than 1 lost"] += 1
        shutil.rmtree(place)
    return "; ".join(f"{count} x {said}" for said, count in came.most_common())


def after_a_kill(name: str, place: Path, width: int) -> str:
    """What a second run finds that adds the same again."""
    killed = FORK.Process(target=add_limited, args=(name, place, width, None))
    killed.start()
    sleep(0.5)
    killed.kill()
    killed.join()
    return outcome(add_limited, name, place, width, None)


def read_only(name: str, whole: Path, width: int) -> str:
    paths = [whole.parent, whole, *whole.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    said = outcome(read_as_nobody, name, whole, width)
    for path in paths:
        path.chmod(0o755)
    return said


def trouble(names: list[str], folder: Path, width: int) -> None:
    click.echo(f"\ntrouble with {SMALL:,} vectors of {width}")
    for name in names:
        whole = folder / name
        outcome(add_limited, name, whole, width, None)
        told = {
            f"{CHANGES} changed bytes": after_changes(name, whole, folder / "changed", width),
            "64 descriptors": outcome(add_limited, name, folder / "few", width, (resource.RLIMIT_NOFILE, 64)),
            "5 MB a file": outcome(add_limited, name, folder / "full", width, (resource.RLIMIT_FSIZE, 5 * 10**6)),
            "read-only folder": read_only(name, whole, width),
            "kill -9 on the way": after_a_kill(name, folder / "killed", width),
        }
        for what, said in told.items():
            click.echo(f"{name:13}{what:20}{said}")
        for place in folder.iterdir():
            shutil.rmtree(place)


def texts_of(count: int) -> Texts:
    names = [str(number) for number in range(count)]
    return Texts(names, names, ["en"] * count)


def dry_run(folder: Path, count: int, width: int) -> dict[str, float]:
    """What a dry run takes where all is stored, and what it takes without a cache."""
    texts = texts_of(count)
    collection = Collection(texts_of(0), texts, Judgements.of([]), [])
    model = Model(ModelInfo("stored", "stored", "ab" * 32, details={"dimensions": width}), RandomEncoder())
    told = {}
    for what, cache in (("without", None), ("with", VectorCache(folder))):
        since = perf_counter()
        planned = plan(model, collection, cache)
        told |= {what: perf_counter() - since, f"{what} MiB": peak_mib()}
    return {**told, "stored": planned.stored}


def dry_runs(folder: Path, count: int, width: int) -> None:
    store = VectorCache(folder).store("ab" * 32, "document")
    for begin in range(0, count, ASKED):
        at = np.arange(begin, min(begin + ASKED, count))
        store.add(keys_of([str(number) for number in at], ["en"] * len(at)), made_vectors(at, width))
    told = alone(dry_run, folder, count, width)
    click.echo(
        f"\na dry run finds {told['stored']:,} of {count:,} texts stored: {told['with']:.1f} s and "
        f"{told['with MiB'] - told['without MiB']:.0f} MiB more at the peak; {told['without']:.1f} s without a cache"
    )


def paid(folder: Path, count: int) -> None:
    script = Path(__file__).parents[1] / "tests" / "encoders" / "paid_texts.py"
    draw, kills = random.Random(6), 0
    since = perf_counter()
    while True:
        command = f'ulimit -n 64; exec "{sys.executable}" "{script}" cache ledger {count} {kills} 0'
        run = subprocess.Popen(["bash", "-c", command], cwd=folder)
        try:
            run.wait(draw.uniform(5.0, 30.0) if kills < 10 else None)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            kills += 1
            continue
        break
    assert run.returncode == 0
    times = np.bincount(np.fromfile(folder / "ledger", "<u4"), minlength=count)
    click.echo(
        f"\n{count:,} texts that are paid for, 64 descriptors, {kills} times killed, {perf_counter() - since:.0f} s: "
        f"{int((times == 0).sum())} never paid for, {int((times - 1).sum())} again "
        f"(at most {128 * kills}: one answer a kill, not handed over yet)"
    )


@click.command(help=__doc__)
@click.option("--vectors", "count", default=1_000_000, show_default=True)
@click.option("--width", default=384, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where to write, 2 GB; a temporary folder by default.")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(["speed", "trouble", "paid", "dry-run"]), help="All by default."
)
def main(count: int, width: int, folder: Path | None, parts: tuple[str, ...]) -> None:
    names = [name for name in LAYOUTS if name != "LMDB" or importlib.util.find_spec("lmdb")]
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        place = Path(temporary)
        if not parts or "speed" in parts:
            speed(names, place, count, width)
        if not parts or "trouble" in parts:
            trouble(names, place, width)
        if not parts or "paid" in parts:
            (place / "paid").mkdir()
            paid(place / "paid", count)
        if not parts or "dry-run" in parts:
            dry_runs(place / "dry", count, width)


if __name__ == "__main__":
    main()
