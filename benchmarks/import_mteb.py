"""Reading mteb's published results: `xlir-bench import mteb` beside mteb's own `ResultCache`, on the same files.

    python benchmarks/import_mteb.py FOLDER_OR_ARCHIVE

Each runs in a process of its own; seconds and peak memory include the start of Python and the imports. An archive is
unpacked first for mteb, which reads folders only; that time does not count.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

OURS = """
from pathlib import Path
from xlir_bench.submissions.mteb_import import import_mteb
print(sum(import_mteb(Path({source!r}), Path({output!r})).results.values()))
"""
THEIRS = """
import logging, warnings
warnings.simplefilter("ignore"); logging.disable()
import mteb
found = mteb.ResultCache({source!r}).load_results(include_remote=False, require_model_meta=False)
print(sum(len(model.task_results) for model in found.model_results))
"""
_PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"


def measure(script: str) -> tuple[float, int, int]:
    """Seconds, MiB and results of a script in its own process."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script + _PEAK], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begin
    results, mebibytes = done.stdout.split()[-2:]
    return seconds, int(mebibytes), int(results)


def main() -> None:
    """Print both, and the ratio."""
    source = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        folder = source
        if source.is_file():
            folder = Path(scratch) / "unpacked"
            with tarfile.open(source) as archive:
                archive.extractall(folder, filter="data")
        ours = measure(OURS.format(source=str(source), output=f"{scratch}/submissions"))
        theirs = measure(THEIRS.format(source=str(folder)))
    for name, (seconds, mebibytes, results) in (("xlir-bench import mteb", ours), ("mteb.ResultCache", theirs)):
        print(f"{name:24} {seconds:7.1f} s {mebibytes:7,} MiB {results:7,} results")
    print(f"ratio: {theirs[0] / ours[0]:.1f} times faster, {theirs[1] / ours[1]:.1f} times less memory")


if __name__ == "__main__":
    main()
