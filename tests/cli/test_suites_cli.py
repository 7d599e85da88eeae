"""`xlir-bench suites`, groups of suites, and --offline, as a person meets them."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from commands import xlir_bench
from made_data import QUESTIONS, SENTENCES, write_beir


@pytest.fixture
def served(parallel_folder, monkeypatch):
    """A parallel collection from a server on loopback; gives its address and the paths that were asked for."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=parallel_folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture
def own_yaml(tmp_path):
    def write(name: str, **changes):
        content = {
            "name": name, "version": 1, "title": "Own", "description": "d", "licence": "CC0-1.0", "citation": "none",
            "languages": ["de", "th"], "source": {"reader": "lareqa"},
            "settings": {"monolingual": ["AP"], "cross-lingual": ["AP"]},
            **changes,
        }  # fmt: skip
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def test_fetch_gets_one_language_shows_its_hash_and_run_needs_nothing_more(own_yaml, served, parallel_folder, tmp_path):
    url, asked = served
    suite = own_yaml("mine", source={"reader": "lareqa", "download": url + "/{file}"})
    assert "th.json: not fetched yet" in xlir_bench("suites", "show", suite).stdout
    done = xlir_bench("suites", "fetch", suite, "--languages", "th", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["new"], report["unpinned"]) == (["th.json"], ["th.json"])
    assert asked == ["/th.json"]
    shown = xlir_bench("suites", "show", suite).stdout
    digest = hashlib.sha256((parallel_folder / "th.json").read_bytes()).hexdigest()
    assert f"th.json: SHA-256 {digest} at the first fetch" in shown
    run = xlir_bench("run", "random", "--suite", suite, "--languages", "th", "--settings", "monolingual", "--offline",
                     "--output", tmp_path / "results", "--json")  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["scores"][0]["documents"] == SENTENCES
    assert len(asked) == 1


def test_run_fetches_what_is_missing_and_offline_does_not(own_yaml, served, tmp_path):
    url, asked = served
    suite = own_yaml("mine", source={"reader": "lareqa", "download": url + "/{file}"})
    arguments = ("run", "random", "--suite", suite, "--output", tmp_path / "results")
    refused = xlir_bench(*arguments, "--offline")
    assert refused.returncode == 3
    assert "are in none of" in refused.stderr
    assert asked == []
    assert xlir_bench(*arguments).returncode == 0
    assert sorted(asked) == ["/de.json", "/th.json"]


def test_offline_is_heard_from_the_environment_too(own_yaml, served):
    url, asked = served
    suite = own_yaml("mine", source={"reader": "lareqa", "download": url + "/{file}"})
    import os

    refused = xlir_bench("suites", "fetch", suite, env={**os.environ, "XLIR_BENCH_OFFLINE": "1"})
    assert (refused.returncode, asked) == (3, [])
    assert "--offline forbids to fetch it" in refused.stderr


def test_a_failure_in_one_suite_of_a_group_does_not_lose_the_rest(own_yaml, tmp_path, parallel_folder):
    good = own_yaml("good")
    missing, bad = (
        own_yaml("missing", source={"reader": "lareqa", "file": "none.{language}.json"}),
        own_yaml("bad", source={"reader": "squad"}),
    )
    group = tmp_path / "all.yaml"
    group.write_text(
        yaml.safe_dump(
            {"name": "all", "title": "t", "description": "d", "suites": [str(p) for p in (missing, good, bad)]}
        )
    )
    (tmp_path / "data" / "good").mkdir(parents=True)
    (tmp_path / "data" / "bad").mkdir()
    for code in ("de", "th"):
        (tmp_path / "data" / "good" / f"{code}.json").write_bytes((parallel_folder / f"{code}.json").read_bytes())
        (tmp_path / "data" / "bad" / f"{code}.json").write_text("{")
    done = xlir_bench("run", "random", "--suite", group, "--data", tmp_path / "data", "--output", tmp_path / "results",
                      "--offline", "--json")  # fmt: skip
    assert [json.loads(line)["suite"]["name"] for line in done.stdout.splitlines()] == ["good"]
    assert done.returncode == 3, done.stderr
    assert "failed: missing: " in done.stderr
    assert "failed: bad: " in done.stderr
    assert "2 of 3 suites failed: missing, bad; the others are finished" in done.stderr
    assert "all: mean of what 1 of 3 suites gave" in done.stderr
    assert (tmp_path / "results" / "index.html").is_file()


def test_an_own_beir_folder_is_measured_by_its_path(tmp_path):
    place = write_beir(tmp_path / "facts")
    done = xlir_bench("run", "bm25", "--suite", place, "--languages", "en", "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    score = next(score for score in json.loads(done.stdout)["scores"] if score["measure"] == "nDCG@10")
    assert (score["queries"], score["documents"]) == (72, 144)
    assert 0.5 < score["value"] < 0.9


def test_check_proves_a_collection_against_its_declaration():
    done = xlir_bench("suites", "check", "xlir-mini", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["holds"] is True
    assert {row["language"]: row["judgements"] for row in report["languages"]} == dict.fromkeys(
        ["ar", "de", "el", "en", "es", "fi", "hi", "ko", "ru", "sw", "th", "tr", "vi", "zh"], 72
    )


def test_check_notices_texts_that_are_not_in_the_languages_script(tmp_path, own_yaml, parallel_folder):
    for code, content in (("de", "de"), ("th", "de")):
        (tmp_path / f"{code}.json").write_bytes((parallel_folder / f"{content}.json").read_bytes())
    done = xlir_bench("suites", "check", own_yaml("mixed"), "--data", tmp_path)
    assert done.returncode == 2
    assert "th: 0% of the letters of its documents are Thai" in done.stderr


def test_check_notices_another_fingerprint(tmp_path, own_yaml, parallel_folder):
    for code in ("de", "th"):
        (tmp_path / f"{code}.json").write_bytes((parallel_folder / f"{code}.json").read_bytes())
    suite = own_yaml("mine", expect={"queries": QUESTIONS, "fingerprint": "0" * 64})
    assert "the fingerprint is not 000000000000" in xlir_bench("suites", "check", suite, "--data", tmp_path).stderr
    assert xlir_bench("suites", "check", suite, "--data", tmp_path, "--languages", "de").returncode == 0


def test_groups_are_listed_and_shown():
    rows = {row["name"]: row for row in json.loads(xlir_bench("suites", "list", "--json").stdout)}
    assert rows["mission"]["suites"] == ["xquad-r", "mlqa-r", "miracl", "beir"]
    assert len(rows["beir"]["suites"]) == 18
    assert yaml.safe_load(xlir_bench("suites", "show", "cqadupstack").stdout)["suites"][0] == "cqadupstack-android"


def test_a_suite_whose_files_are_pinned_says_so():
    shown = json.loads(xlir_bench("suites", "show", "mlqa-r", "--json").stdout)
    assert shown["hashes"] == {"published": 7, "unpublished": [], "first": {}}
    shown = json.loads(xlir_bench("suites", "show", "xm3600", "--json").stdout)
    assert shown["hashes"]["unpublished"] == ["captions.jsonl"]


def test_a_task_of_mteb_whose_data_are_not_here_is_a_missing_resource_offline(tmp_path):
    pytest.importorskip("mteb")
    import os

    done = xlir_bench("run", "random", "--suite", "mteb:SciFact", "--offline", "--output", tmp_path,
                      env={**os.environ, "HF_HOME": str(tmp_path)})  # fmt: skip
    assert done.returncode == 3
    assert "mteb:SciFact: its data cannot be loaded" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
