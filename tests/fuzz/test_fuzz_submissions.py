"""Submissions, imported figures, published results of mteb, and archives of files."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile

import pyarrow.parquet as pq
from guarded import fuzz
from hostile import VALUES, as_json, content_of, documents, edited, edits, spoiled, spoilings
from hypothesis import strategies as st
from made_tables import changed, tables

from xlir_bench import submissions
from xlir_bench.errors import XlirError
from xlir_bench.leaderboard import build, gather
from xlir_bench.results import leaders_path, ranks_path
from xlir_bench.results.exchange.mteb_tasks import MTEB_TASKS
from xlir_bench.submissions.mteb_import import import_mteb
from xlir_bench.suites.unpack import unpack

MANIFEST = {
    "name": "given",
    "adapter": "bm25",
    "licence": "MIT",
    "parameters": 0,
    "trained_on": ["flores"],
    "audits": ["audits/xlir-mini.json"],
    "description": "A lexical baseline.",
}
AUDIT = "submissions/xlir-hybrid-static/audits/xlir-mini.json"
IMPORTED = {
    "schema_version": 1,
    "origin": "mteb",
    "model": {"name": "org/Model", "revision": "1234", "trained_on": ["NQ"], "languages": ["de"]},
    "results": [
        {
            "task": "XQuADRetrieval",
            "split": "validation",
            "dataset_revision": "1",
            "stale": False,
            "subsets": 1,
            "rows": [
                {
                    "setting": "monolingual",
                    "query_language": "de",
                    "document_language": "de",
                    "values": {"nDCG@10": 0.5},
                }
            ],
            "summary": {"monolingual": {"nDCG@10": 0.5}},
        }
    ],
}
NAMES = (
    "results/xlir-mini.json",
    "README.md",
    "submission.yaml",
    "runs/xlir-mini/monolingual/de-de.run",
    "imported.json",
)
FOUL = ("../evil.json", "/tmp/evil.json", "a\0b", "a" * 300, "a\nb.md", "a\u202eb.md", "x.py", "results/.hidden.json")


def _audit():
    from xlir_bench import resources

    return json.loads(
        (resources.folder("submissions") / "xlir-hybrid-static" / "audits" / "xlir-mini.json").read_text()
    )


_FOLDERS = st.fixed_dictionaries(
    {
        "manifest": documents({"": MANIFEST}),
        "result": documents({"": None}, ("json",)),
        "audit": st.tuples(edits | st.just([]), st.just([]) | spoilings),
        "table": st.none() | tables,
        "leaders": st.none() | tables,
        "run": st.none() | spoilings,
        "link": st.none() | st.sampled_from(NAMES),
        "more": st.lists(
            st.sampled_from((*NAMES, "a.py", "b c.md", "results/other.json", "results/x/y/z/w/a.json")), max_size=2
        ),
    }
)


def test_fuzzed_submissions(arena, measured):
    result, table, leaders = (
        json.loads(measured.read_text()),
        pq.read_table(ranks_path(measured)),
        pq.read_table(leaders_path(measured)),
    )
    audit = _audit()
    place = arena.target / "given"

    def examine(drawn):
        shutil.rmtree(place, ignore_errors=True)
        arena.write("given/submission.yaml", content_of({"": MANIFEST}, drawn["manifest"]))
        arena.write("given/README.md", b"# given\n\n" + b"It counts words. " * 20)
        path = arena.write("given/results/xlir-mini.json", content_of({"": result}, drawn["result"]))
        arena.write(
            "given/audits/xlir-mini.json", spoiled(as_json(edited(audit, drawn["audit"][0])), drawn["audit"][1])
        )
        for made, whole, beside in ((drawn["table"], table, ranks_path), (drawn["leaders"], leaders, leaders_path)):
            sink = io.BytesIO()
            pq.write_table(changed(whole, made["edits"] if made else []), sink)
            beside(path).write_bytes(spoiled(sink.getvalue(), made["bytes"] if made else []))
        if drawn["run"] is not None:
            run = b"".join(b"de:q%d Q0 de:%d %d %.3f x\n" % (n, n, n, 1 / (1 + n)) for n in range(50))
            arena.write("given/runs/xlir-mini/monolingual/de-de.run", spoiled(run, drawn["run"]))
        for name in drawn["more"]:
            if not (place / name).exists():
                arena.write(f"given/{name}", b"{}")
        if drawn["link"]:
            (place / drawn["link"]).parent.mkdir(parents=True, exist_ok=True)
            (place / drawn["link"]).unlink(missing_ok=True)
            (place / drawn["link"]).symlink_to(arena.outside / "secret.json")
        _examine_folder(arena, place)

    fuzz(_FOLDERS, examine, share=0.08)


def _examine_folder(arena, place):
    found = arena.examine(lambda: submissions.load(place))
    if isinstance(found, XlirError):
        return
    arena.examine(lambda: submissions.validate(found))
    for entry in found.results:
        arena.examine(lambda entry=entry: submissions.verify(entry, None, found.files), seconds=60)
    gathered = arena.examine(lambda: gather([place], analysis=False))
    if not isinstance(gathered, XlirError):
        arena.examine(lambda: build(gathered.entrants, arena.root / "work" / "site"))


def test_fuzzed_imported_figures(arena):
    valid = {"": IMPORTED}

    def examine(drawn):
        arena.write("given/imported.json", content_of(valid, drawn))
        _examine_folder(arena, arena.target / "given")

    fuzz(documents(valid, ("json",)), examine, share=0.045)


TASK = {
    "task_name": "XQuADRetrieval",
    "dataset_revision": MTEB_TASKS["XQuADRetrieval"].revision,
    "mteb_version": "2.0.0",
    "scores": {
        "validation": [
            {"hf_subset": subset, "languages": [], "main_score": 0.5, "ndcg_at_10": 0.5}
            for subset in MTEB_TASKS["XQuADRetrieval"].subsets
        ]
    },
}
META = {
    "name": "org/Model",
    "revision": "x",
    "license": "mit",
    "n_parameters": 7,
    "training_datasets": ["NQ"],
    "languages": ["deu-Latn"],
}
_MTEB = st.fixed_dictionaries(
    {
        "task": documents({"": TASK}, ("json",)),
        "meta": documents({"": META}, ("json",)),
        "folder": st.sampled_from(("org__Model", "..", "a b", "a" * 200, "\u202e__x", "a__b__c", "\udcff__x")),
        "archive": st.none() | st.tuples(st.sampled_from(("tar", "gz", "xz", "bz2")), st.just([]) | spoilings),
    }
)


def _tar(files, kind, links=()):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w" if kind == "tar" else f"w:{kind}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in links:
            archive.addfile(info)
    return sink.getvalue()


def test_fuzzed_results_of_mteb(arena):
    source = arena.target / "mteb"

    def examine(drawn):
        shutil.rmtree(source, ignore_errors=True)
        shutil.rmtree(arena.root / "work" / "s", ignore_errors=True)
        files = {
            f"results/{drawn['folder']}/12345678/{name}.json": content_of({"": valid}, drawn[key])
            for name, key, valid in (("XQuADRetrieval", "task", TASK), ("model_meta", "meta", META))
        }
        if drawn["archive"] is None:
            for name, content in files.items():
                arena.write(f"mteb/x/{name}" if ".." not in name else "mteb/x/a/b/XQuADRetrieval.json", content)
            given = source
        else:
            kind, changes = drawn["archive"]
            given = arena.write("mteb.tar", spoiled(_tar(files, kind), changes))
        arena.examine(lambda: import_mteb(given, arena.root / "work" / "s"))

    fuzz(_MTEB, examine, share=0.06)


_INSIDE = ("corpus.jsonl", "a/corpus.jsonl", "a/qrels/test.tsv", "a/", "", ".")
_OUTSIDE = ("../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:/x", "..", "a\0b", "\ud800")
_ENTRIES = _INSIDE + _OUTSIDE
_ARCHIVES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(("zip", "stored", "tar", "gz", "xz", "bz2")),
        "whole": st.booleans(),
        "entries": st.lists(st.tuples(st.sampled_from(_ENTRIES), st.integers(0, 5)), max_size=4),
        "link": st.none()
        | st.tuples(st.sampled_from(_ENTRIES), st.sampled_from((b"1", b"2", b"3", b"6", b"L", b"S", b"x", b"g"))),
        "bytes": st.just([]) | spoilings,
    }
)
_SIZES = (0, 1, 100, 10_000, 300_000, 3_000_000)


def _archive(drawn):
    files = dict.fromkeys(("a/corpus.jsonl", "a/qrels/test.tsv"), b"{}\n") if drawn["whole"] else {}
    files |= {name: b"{}\n" * _SIZES[size] for name, size in drawn["entries"]}
    if drawn["kind"] in {"zip", "stored"}:
        sink = io.BytesIO()
        with zipfile.ZipFile(
            sink, "w", zipfile.ZIP_STORED if drawn["kind"] == "stored" else zipfile.ZIP_DEFLATED
        ) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "x"), content[:300_000])
        return spoiled(sink.getvalue(), drawn["bytes"])
    links = []
    if drawn["link"]:
        info = tarfile.TarInfo(drawn["link"][0].encode("utf-8", "replace").decode())
        info.type, info.linkname = drawn["link"][1], "../outside/secret.json"
        links.append(info)
    plain = {name.encode("utf-8", "replace").decode(): content for name, content in files.items()}
    return spoiled(_tar(plain, drawn["kind"], links), drawn["bytes"])


def test_fuzzed_archives(arena):
    wanted = {"a/corpus.jsonl": "corpus.jsonl", "a/qrels/test.tsv": "qrels/test.tsv"}

    def examine(drawn):
        archive = arena.write("archive", _archive(drawn))
        out = arena.root / "work" / "out"
        shutil.rmtree(out, ignore_errors=True)
        arena.examine(lambda: unpack(archive, out, wanted))
        left = {path.relative_to(out).as_posix() for path in out.rglob("*")} if out.exists() else set()
        assert left <= {"corpus.jsonl", "qrels", "qrels/test.tsv"}, left

    fuzz(_ARCHIVES, examine, share=0.045)


def test_every_hostile_value_can_be_written():
    assert all(as_json({"a": value}) for value in VALUES.values())
