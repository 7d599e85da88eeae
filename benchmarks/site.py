"""The site of several hundred imported encoders and the measured ones: time to build, size, time to interaction.

    python benchmarks/site.py RESULTS_OR_SUBMISSIONS...

Time to interaction is from the request of the index to the first sort by a click being drawn, in headless Chromium.
"""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
import time
from pathlib import Path

from xlir_bench.leaderboard import build, gather

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    places = [Path(place) for place in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        begin = time.perf_counter()
        found = gather(places)
        page = build(found.entrants, output, alignments=found.alignments)
        seconds = time.perf_counter() - begin
        encoders = {entrant.encoder for entrant in found.entrants}
        files = [path for path in output.rglob("*") if path.is_file()]
        total = sum(path.stat().st_size for path in files)
        print(
            f"{len(encoders):,} encoders, {len(found.entrants):,} results: {len(files):,} files, {total / 1e6:.0f} MB"
        )
        print(f"built in {seconds:.1f} s")
        print(f"index: {len(gzip.compress(page.read_bytes())) / 1e3:.0f} kB compressed")
        print(f"interactive after {interaction(page):.2f} s")


def interaction(page: Path) -> float:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        tab = browser.new_page()
        tab.goto("about:blank")
        begin = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="domcontentloaded")
        tab.locator("#board thead").get_by_role("button", name="Encoder").click()
        tab.locator("#board th[aria-sort][data-key=name]").wait_for()
        seconds = time.perf_counter() - begin
        browser.close()
    return seconds


if __name__ == "__main__":
    main()
