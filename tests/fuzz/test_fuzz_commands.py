"""The commands themselves, on hostile files: exit codes that are documented, and one line of what is wrong."""

from __future__ import annotations

import io
import json
import shutil

import pyarrow.parquet as pq
from guarded import fuzz
from hostile import VALUES, as_json, content_of, documents, edited, edits, spoiled, spoilings
from hypothesis import strategies as st
from made_tables import changed, tables
from test_fuzz_declarations import POLICIES, SUITES
from test_fuzz_submissions import IMPORTED, MANIFEST

from xlir_bench.results import leaders_path, ranks_path

JUDGED = frozenset({0, 1, 2, 3})


def _copied(measured, folder):
    folder.mkdir(parents=True)
    for one in (lambda path: path, ranks_path, leaders_path):
        shutil.copy(one(measured), folder / one(measured).name)
    return folder / measured.name


def test_fuzzed_policies_given_to_the_gate(arena, measured):
    result = _copied(measured, arena.target / "r")

    def examine(drawn):
        policy = arena.write("policy.yaml", content_of(POLICIES, drawn))
        arena.run("gate", result, "--baseline", measured, "--policy", policy, codes=JUDGED)

    fuzz(documents(POLICIES), examine)


_RESULTS = st.fixed_dictionaries(
    {
        "result": documents({"": None}, ("json",)),
        "table": st.none() | tables,
        "command": st.sampled_from(("gate", "gate of a baseline", "compare", "report", "csv", "mteb", "trec", "latex")),
    }
)


def test_fuzzed_results_given_to_commands(arena, measured):
    valid, table = {"": json.loads(measured.read_text())}, pq.read_table(ranks_path(measured))
    result = _copied(measured, arena.target / "r")
    out = arena.root / "work" / "out"
    commands = {
        "gate": ("gate", result, "--baseline", measured),
        "gate of a baseline": ("gate", measured, "--baseline", result, "--json"),
        "compare": ("compare", result, measured),
        "report": ("report", result.parent, "--output", out),
        "csv": ("export", result, "--format", "csv"),
        "mteb": ("export", result, "--format", "mteb", "--output", out),
        "trec": ("export", result, "--format", "trec", "--output", out),
        "latex": ("export", result, "--format", "latex"),
    }

    def examine(drawn):
        result.write_bytes(content_of(valid, drawn["result"]))
        sink = io.BytesIO()
        pq.write_table(changed(table, drawn["table"]["edits"] if drawn["table"] else []), sink)
        ranks_path(result).write_bytes(spoiled(sink.getvalue(), drawn["table"]["bytes"] if drawn["table"] else []))
        arena.run(*commands[drawn["command"]], codes=JUDGED if drawn["command"].startswith("gate") else JUDGED - {1})

    fuzz(_RESULTS, examine, share=0.06)


_SUBMISSIONS = st.fixed_dictionaries(
    {
        "manifest": documents({"": MANIFEST}),
        "imported": st.none() | documents({"": IMPORTED}, ("json",)),
        "result": documents({"": None}, ("json",)),
        "command": st.sampled_from(("validate", "verify", "report")),
        "json": st.booleans(),
    }
)


def test_fuzzed_submissions_given_to_commands(arena, measured):
    valid, place = {"": json.loads(measured.read_text())}, arena.target / "given"

    def examine(drawn):
        shutil.rmtree(place, ignore_errors=True)
        _copied(measured, place / "results")
        arena.write("given/submission.yaml", content_of({"": MANIFEST}, drawn["manifest"]))
        arena.write("given/README.md", b"# given\n\n" + b"It counts words. " * 20)
        arena.write("given/results/xlir-mini.json", content_of(valid, drawn["result"]))
        if drawn["imported"]:
            arena.write("given/imported.json", content_of({"": IMPORTED}, drawn["imported"]))
        flags = ["--json"] if drawn["json"] and drawn["command"] != "report" else []
        if drawn["command"] == "report":
            arena.run("report", place, "--output", arena.root / "work" / "site")
        else:
            arena.run("submit", drawn["command"], place, *flags)

    fuzz(_SUBMISSIONS, examine, share=0.045)


_COLLECTIONS = st.fixed_dictionaries(
    {
        "suite": documents(SUITES),
        "corpus": st.just([]) | spoilings,
        "queries": st.just([]) | spoilings,
        "qrels": st.just([]) | spoilings,
        "record": st.sampled_from(sorted(VALUES)),
        "article": edits | st.just([]),
        "command": st.sampled_from(("suites check", "suites show", "run")),
    }
)


def test_fuzzed_suites_given_to_commands(arena):
    article = {
        "version": "1",
        "data": [
            {
                "paragraphs": [
                    {
                        "context": "One. Two.",
                        "sentence_breaks": [[0, 4], [5, 9]],
                        "sentences": ["One.", "Two."],
                        "qas": [{"id": "q", "question": "What?", "answers": [{"answer_start": 5, "text": "Two"}]}],
                    }
                ]
            }
        ],
    }

    def examine(drawn):
        records = [{"_id": str(n), "title": "", "text": f"text {n}"} for n in range(20)]
        records.append({"_id": "x", "title": "", "text": VALUES[drawn["record"]]})
        lines = b"".join(as_json(record) + b"\n" for record in records)
        arena.write("d/corpus.jsonl", spoiled(lines, drawn["corpus"]))
        arena.write("d/queries.jsonl", spoiled(lines, drawn["queries"]))
        qrels = b"query-id\tcorpus-id\tscore\n" + b"".join(b"%d\t%d\t1\n" % (n, n) for n in range(20))
        arena.write("d/qrels/test.tsv", spoiled(qrels, drawn["qrels"]))
        for code in ("de", "en", "pt-BR"):
            arena.write(f"d/{code}.json", spoiled(as_json(edited(article, drawn["article"])), drawn["corpus"][:1]))
        suite = arena.write("d/suite.yaml", content_of(SUITES, drawn["suite"]))
        given = suite if drawn["corpus"] or drawn["suite"]["edits"] else suite.parent
        if drawn["command"] == "run":
            arena.run("run", "random", "--suite", given, "--dry-run", "--offline")
        else:
            arena.run(*drawn["command"].split(), given)

    fuzz(_COLLECTIONS, examine, share=0.075)
