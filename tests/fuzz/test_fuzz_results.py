"""Results as JSON: read, held against their ranks, exported, and shown on pages."""

from __future__ import annotations

import json
import shutil

from guarded import fuzz
from hostile import content_of, documents

from xlir_bench.analysis import following
from xlir_bench.errors import XlirError
from xlir_bench.leaderboard import build, gather
from xlir_bench.results import find_results, leaders_path, load_ranks, load_result, ranks_path
from xlir_bench.results.exchange import read_entries
from xlir_bench.submissions.submission import read_result


def _documents(measured):
    """A whole result, and one whose parts are few, so that edits meet its other fields."""
    whole = json.loads(measured.read_text())
    few = {**whole, "scores": whole["scores"][:2], "bias": None, "intervals": None}
    return {"whole": whole, "few": few}


def test_fuzzed_results(arena, measured):
    valid = _documents(measured)
    ranks = load_ranks(ranks_path(measured))

    def examine(drawn):
        path = arena.write("r/xlir-mini.json", content_of(valid, drawn))
        arena.examine(lambda: read_result(path))
        arena.examine(lambda: find_results([path.parent], need_ranks=False))
        result = arena.examine(lambda: load_result(path))
        if not isinstance(result, XlirError):
            arena.examine(lambda: following(result, ranks, str(path)))

    fuzz(documents(valid, ("json",)), examine, share=0.07)


def test_fuzzed_results_on_pages_and_in_other_formats(arena, measured):
    from xlir_bench.results.exchange import as_csv, as_json, as_latex, write_mteb, write_parquet, write_trec

    valid = _documents(measured)
    place = arena.target / "r"
    place.mkdir()

    def examine(drawn):
        path = arena.write("r/xlir-mini.json", content_of(valid, drawn))
        found = arena.examine(lambda: gather([place], analysis=False))
        if isinstance(found, XlirError):
            return
        arena.examine(lambda: build(found.entrants, arena.root / "work" / "site", alignments=found.alignments))
        results = [entrant.result for entrant in found.entrants]
        for write in (as_csv, as_json, as_latex):
            arena.examine(lambda write=write: write(results))
        arena.examine(lambda: write_parquet(results, arena.root / "work" / "t.parquet"))
        entries = arena.examine(lambda: read_entries([path]))
        if not isinstance(entries, XlirError):
            arena.examine(lambda: write_mteb(entries, arena.root / "work" / "mteb"))
            if entries[0].has_ranks:
                arena.examine(lambda: write_trec(entries[0], arena.root / "work" / "trec"))

    fuzz(documents(valid, ("json",)), examine, share=0.07)
    for one in (ranks_path, leaders_path):
        shutil.copy(one(measured), one(place / "xlir-mini.json"))
    fuzz(documents(valid, ("json",)), examine, share=0.035)
