"""Nothing stale is reported: changed code, damaged ranks, files of other releases, and collections of one name."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from textwrap import dedent

import ir_measures
import pytest
from commands import xlir_bench

from xlir_bench.cli.main import main

ENCODER = """
    import re
    import zlib

    import numpy as np
    import weights

    class Bag:
        def encode(self, texts, *, role, languages):
            rows = []
            for text, language in zip(texts, languages, strict=True):
                words = re.findall(r"\\w+", text.lower())
                drawn = [np.random.default_rng(zlib.crc32(word.encode())).normal(size=64) for word in words]
                vector = np.sum(drawn, axis=0)
                rows.append(vector * weights.OF[language] if role == "document" and language in weights.OF else vector)
            return np.stack(rows)

    def build():
        return Bag()
"""


class _Open(io.StringIO):
    """Can be read after the command has closed it."""

    def close(self) -> None:
        self.flush()


@pytest.fixture
def cli(tmp_path, monkeypatch):
    """Runs the command in this process and an empty folder, with one cache for all runs."""
    for name in [name for name in os.environ if name.startswith("GITHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def cli(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["xlir-bench", *map(str, arguments)])
        out, err = _Open(), _Open()
        handler = logging.StreamHandler(err)  # as a program without a handler of its own prints warnings
        handler.setLevel(logging.WARNING)
        logging.getLogger().addHandler(handler)
        try:
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main()
        finally:
            logging.getLogger().removeHandler(handler)
        return subprocess.CompletedProcess(sys.argv, int(ended.value.code or 0), out.getvalue(), err.getvalue())

    return cli


@pytest.fixture
def command(tmp_path):
    """Runs the installed command, each time in a process of its own."""
    return partial(xlir_bench, cwd=tmp_path, env={"XLIR_BENCH_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"})


def values(path: Path, measure: str = "AP") -> dict[str, float]:
    scores = json.loads(path.read_text())["scores"]
    return {s["query_language"]: s["value"] for s in scores if s["measure"] == measure}


@pytest.mark.parametrize("way", ["cli", "command"])
def test_a_change_in_an_imported_file_is_measured_and_stops_the_gate_though_the_cache_is_kept(request, tmp_path, way):
    cli = request.getfixturevalue(way)
    (tmp_path / "encoder.py").write_text(dedent(ENCODER))
    (tmp_path / "weights.py").write_text('OF = {"sw": +1}')
    run = ("run", "encoder.py:build", "--languages", "sw,en", "--settings", "monolingual", "--output")
    assert cli(*run, "old").returncode == 0
    (tmp_path / "weights.py").write_text('OF = {"sw": -1}')
    assert cli(*run, "new").returncode == 0
    assert cli(*run, "fresh", "--no-cache").returncode == 0
    old, new, fresh = (next((tmp_path / name).glob("encoder-*/xlir-mini.json")) for name in ("old", "new", "fresh"))
    assert values(new) == values(fresh)
    assert values(new)["en"] == values(old)["en"]
    assert values(new)["sw"] < values(old)["sw"] / 2
    assert new.parent.name == fresh.parent.name != old.parent.name
    (tmp_path / "policy.yaml").write_text(
        "rules:\n  - {measure: AP, setting: monolingual, query_languages: each, budget: 0.03}\n"
    )
    gate = cli("gate", "new", "--baseline", "old", "--policy", "policy.yaml")
    assert gate.returncode == 1, gate.stderr
    assert "nothing was compared" not in gate.stdout
    itself = cli("gate", "new", "--baseline", "fresh", "--policy", "policy.yaml")
    assert itself.returncode == 0
    digits = json.loads(new.read_text())["model"]["fingerprint"][:12]
    assert f"candidate and baseline are the same model (fingerprint {digits}): nothing was compared" in itself.stdout


def test_a_change_that_no_fingerprint_sees_is_measured_with_a_warning_and_the_gate_says_so(cli, tmp_path):
    (tmp_path / "encoder.py").write_text(
        dedent(ENCODER)
        .replace("import weights", "import json\nfrom pathlib import Path")
        .replace("weights.OF", "json.loads(Path('weights.json').read_text())")
    )
    (tmp_path / "weights.json").write_text('{"sw": 1}')
    run = ("run", "encoder.py:build", "--languages", "sw,en", "--settings", "monolingual", "--output")
    assert cli(*run, "old").returncode == 0
    shutil.copytree(tmp_path / "old", tmp_path / "kept")
    (tmp_path / "weights.json").write_text('{"sw": -1}')
    again = cli(*run, "old")
    assert again.returncode == 0
    assert "gives other vectors than those that were stored of it" in again.stderr
    assert "finished by an earlier run" not in again.stderr
    now, before = (next((tmp_path / name).glob("encoder-*/xlir-mini.json")) for name in ("old", "kept"))
    assert values(now)["sw"] < values(before)["sw"] / 2
    gate = json.loads(cli("gate", "old", "--baseline", "kept", "--json").stdout)
    assert gate["same_model"]
    assert "rank differently" in gate["notice"]
    assert "finished by an earlier run" in cli(*run, "old").stderr


@pytest.fixture
def bm25(cli, tmp_path):
    """The path of a finished result, and what runs it again."""
    run = ("run", "bm25", "--languages", "de,en", "--output", "out")
    assert cli(*run).returncode == 0
    path = tmp_path / "out" / "bm25" / "xlir-mini.json"
    return path, lambda *more: cli(*run, *more)


def beside(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


@pytest.mark.parametrize("name", ["xlir-mini.parquet", "xlir-mini.leaders.parquet"])
@pytest.mark.parametrize("harm", ["removed", "garbage", "cut short"])
def test_a_result_whose_ranks_or_leaders_are_missing_or_damaged_is_measured_again(cli, bm25, name, harm):
    path, again = bm25
    good = beside(path)
    if harm == "removed":
        path.with_name(name).unlink()
    else:
        path.with_name(name).write_bytes(b"garbage" if harm == "garbage" else good[name][: len(good[name]) // 2])
    repaired = again()
    assert repaired.returncode == 0, repaired.stderr
    assert "finished by an earlier run" not in repaired.stderr
    assert "is measured again" in repaired.stderr
    assert beside(path).keys() == good.keys()
    assert cli("gate", "out", "--baseline", "out").returncode == 0
    assert "finished by an earlier run" in again().stderr


def test_ranks_of_another_model_or_other_queries_are_not_the_result_s_own(cli, bm25, tmp_path):
    path, again = bm25
    for model, languages in (("random", "de,en"), ("bm25", "de,el")):
        assert cli("run", model, "--languages", languages, "--output", "other").returncode == 0
        for name in ("xlir-mini.parquet", "xlir-mini.leaders.parquet"):
            shutil.copy(tmp_path / "other" / model / name, path.with_name(name))
        assert "is measured again" in again().stderr
        assert "finished by an earlier run" in again().stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not json", "not a result"),
        (b'{"schema_version": 99}', "a result of schema 99"),
        (b'{"schema_version": 0}', "a result of schema 0"),
        (b'{"my": "notes"}', "not a result"),
    ],
)
def test_a_file_that_is_no_result_of_this_release_is_never_overwritten_silently(bm25, content, says):
    path, again = bm25
    path.write_bytes(content)
    refused = again()
    assert refused.returncode == 2
    assert len(refused.stderr.strip().splitlines()) <= 2  # what is measured, and why not
    assert says in refused.stderr
    assert "--overwrite" in refused.stderr
    assert path.read_bytes() == content
    replaced = again("--overwrite")
    assert replaced.returncode == 0, replaced.stderr
    assert json.loads(path.read_text())["model"]["name"] == "bm25"


WORDS = {"legal": ["judge", "court", "appeal", "statute"], "medical": ["fever", "nurse", "dose", "lung"]}


@pytest.fixture
def fields(tmp_path):
    """Two collections in folders `legal/en` and `medical/en`; in one, half of the questions are answered elsewhere."""
    for field, words in WORDS.items():
        folder = tmp_path / field / "en"
        (folder / "qrels").mkdir(parents=True)
        rows = [{"_id": f"d{n}", "title": "", "text": f"{word} number {n}"} for n, word in enumerate(words)]
        (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
        rows = [{"_id": f"q{n}", "text": word} for n, word in enumerate(words)]
        (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
        answers = [(n + (field == "medical" and n % 2)) % 4 for n in range(4)]
        lines = [f"q{n}\td{answer}\t1" for n, answer in enumerate(answers)]
        (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *lines]))
    return "legal/en", "medical/en"


def found_by_data(folder: Path) -> dict[str, tuple[Path, float]]:
    results = [path for path in folder.rglob("*.json") if path.with_suffix(".parquet").is_file()]
    return {
        json.loads(path.read_text())["suite"]["fingerprint"]: (path, values(path, "RR@10")["en"]) for path in results
    }


def test_two_collections_in_folders_of_one_name_are_both_measured_and_both_kept(cli, fields, tmp_path):
    both = cli("run", "bm25", "--suite", fields[0], "--suite", fields[1], "--output", "out", "--json", "--top-k", 4)
    assert both.returncode == 0, both.stderr
    said = {r["suite"]["fingerprint"]: r for r in map(json.loads, both.stdout.splitlines())}
    found = found_by_data(tmp_path / "out")
    assert len(said) == len(found) == 2
    assert len({value for _, value in found.values()}) == 2
    for path, value in found.values():
        runs = path.with_suffix(".runs") / "monolingual"
        [qrels], [ranking] = runs.glob("*.qrels"), runs.glob("*.run")
        computed = ir_measures.calc_aggregate(
            [ir_measures.RR], ir_measures.read_trec_qrels(str(qrels)), ir_measures.read_trec_run(str(ranking))
        )
        assert computed[ir_measures.RR] == pytest.approx(value)
    again = cli("run", "bm25", "--suite", fields[1], "--suite", fields[0], "--output", "out", "--top-k", 4)
    assert again.stderr.count("finished by an earlier run") == 2


def test_a_collection_of_the_same_name_measured_later_replaces_nothing(cli, fields, tmp_path):
    assert cli("run", "bm25", "--suite", fields[0], "--output", "out").returncode == 0
    [(first, value)] = found_by_data(tmp_path / "out").values()
    content = first.read_bytes()
    later = cli("run", "bm25", "--suite", fields[1], "--output", "out")
    assert later.returncode == 0
    assert "is a result on other data" in later.stderr
    found = found_by_data(tmp_path / "out")
    assert len(found) == 2
    assert content in {path.read_bytes() for path, _ in found.values()}
    # The plain path has what was measured last; the other result is found where it is, without being measured.
    assert json.loads(first.read_text())["suite"]["fingerprint"] != json.loads(content)["suite"]["fingerprint"]
    back = cli("run", "bm25", "--suite", fields[0], "--output", "out")
    [place] = [line.split(" ")[1] for line in back.stderr.splitlines() if "finished by an earlier run" in line]
    assert (tmp_path / place).read_bytes() == content
    assert values(tmp_path / place, "RR@10")["en"] == value
    assert found_by_data(tmp_path / "out").keys() == found.keys()


def test_everything_downstream_tells_collections_of_one_name_apart(cli, fields, tmp_path):
    suites = ("--suite", fields[0], "--suite", fields[1])
    for model in ("bm25", "random"):
        assert cli("run", model, *suites, "--output", "out").returncode == 0
    assert cli("run", "bm25", "--suite", fields[0], "--output", "alone").returncode == 0
    (tmp_path / "policy.yaml").write_text("rules:\n  - {suite: en, setting: monolingual, measure: RR@10, floor: 0.5}\n")
    report = json.loads(cli("gate", "out/bm25", "--baseline", "alone/bm25", "--policy", "policy.yaml", "--json").stdout)
    assert {check["verdict"] for check in report["checks"]} == {"passed"}
    names = {check["suite"] for check in report["checks"]}
    assert len(names) == 2
    compared = cli("compare", "out", "--json")
    assert compared.returncode == 2
    for name in names:
        assert name in compared.stderr
        one = cli("compare", "out", "--suite", name, "--json")
        assert one.returncode == 0, one.stderr
    for form in ("trec", "mteb"):
        assert (
            cli(
                "export", "out", "--format", form, "--output", form, *(["--depth", "all"] * (form == "trec"))
            ).returncode
            == 0
        )
    assert len(list((tmp_path / "trec" / "bm25").rglob("*.run"))) == 2
    assert len(list((tmp_path / "mteb").rglob("en*.json"))) == 4
    assert cli("report", "out", "--output", "site").returncode == 0


def test_a_folder_that_is_named_is_read_though_the_data_folder_has_one_of_its_name(cli, fields, tmp_path, monkeypatch):
    monkeypatch.setenv("XLIR_BENCH_DATA", str(tmp_path / "medical"))
    done = cli("run", "bm25", "--suite", "legal/en", "--data", "medical", "--output", "out")
    assert done.returncode == 0, done.stderr
    [(_, value)] = found_by_data(tmp_path / "out").values()
    assert value == 1.0


def test_the_mean_over_a_group_takes_each_collection_of_one_name_by_itself(cli, fields, tmp_path):
    (tmp_path / "both.yaml").write_text("{name: both, title: both, description: both, suites: [legal/en, medical/en]}")
    done = cli("run", "bm25", "--suite", "both.yaml", "--output", "out")
    assert done.returncode == 0, done.stderr
    mean = sum(value for _, value in found_by_data(tmp_path / "out").values()) / 2
    assert f"RR@10 {mean:.4f}" in done.stderr


def test_one_collection_under_two_names_of_its_folder_is_measured_once(cli, fields, tmp_path):
    done = cli("run", "bm25", "--suite", fields[0], "--suite", tmp_path / fields[0], "--output", "out", "--json")
    assert len(done.stdout.splitlines()) == 1
    assert [path.name for path, _ in found_by_data(tmp_path / "out").values()] == ["en.json"]


def test_fewer_languages_of_a_suite_do_not_replace_the_result_on_all_of_them(cli, tmp_path):
    for languages in ("de,en,el", "de"):
        assert cli("run", "random", "--languages", languages, "--output", "out").returncode == 0
    results = [
        json.loads(path.read_text())["suite"]["languages"] for path in (tmp_path / "out").rglob("xlir-mini*.json")
    ]
    assert sorted(map(tuple, results)) == [("de",), ("de", "el", "en")]
    assert "finished by an earlier run" in cli("run", "random", "--languages", "de,en,el", "--output", "out").stderr


def test_another_similarity_is_not_finished_but_uses_the_stored_vectors(cli, tmp_path, minilm):
    folder = tmp_path / "model"
    folder.mkdir()
    for similarity in ("cosine", "dot"):
        (folder / "submission.yaml").write_text(
            f"name: mine\nadapter: sentence-transformers\nlicence: MIT\nsimilarity: {similarity}\n"
            f"source: {{folder: {os.path.relpath(minilm, folder)}}}\n"
        )
        done = cli("run", "model", "--languages", "de", "--settings", "monolingual", "--output", "out", "--json")
        assert done.returncode == 0, done.stderr
        assert "finished" not in done.stderr
        result = json.loads(done.stdout)
        assert (result["timing"]["texts_encoded"] == 0) == (similarity == "dot")
