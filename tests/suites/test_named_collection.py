"""The collection that was named is the one that is measured: places, caches, expected counts, names."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from folders import ASKED, BIRDS, CHINESE, write_folder, write_suite

from xlir_bench.cli.main import cli
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.files import cache_folder
from xlir_bench.suites import expand, fetch, find, forget, load, obtain, pins, shipped
from xlir_bench.suites.load import fetched_folder

JUDGED = [("0", "0", 1), ("1", "1", 1)]


def birds(place: Path, count: int, word: str = "heron") -> Path:
    """A BEIR folder of so many documents."""
    documents = {str(n): f"The {word} number {n} waits for fish." for n in range(count)}
    return write_folder(place, documents, ASKED, JUDGED)


def serve(server, path: str, folder: Path) -> str:
    """Put a BEIR folder on the server; gives the pattern of its addresses."""
    for file in folder.rglob("*.*"):
        server.files[f"{path}/{file.relative_to(folder).as_posix()}"] = file.read_bytes()
    return f"{server.url}{path}/{{file}}"


def served(server, place: Path, name: str, count: int, **source) -> Path:
    """A declaration of a suite of so many documents that the server has."""
    folder = birds(place / "made", count, place.name)
    url = serve(server, f"/{place.name}", folder)
    return write_suite(place / f"{name}.yaml", name=name, source={"reader": "beir", "download": url, **source})


def run(*arguments: object):
    """The command line in this process."""
    return CliRunner().invoke(cli, list(map(str, arguments)))


# A place that was named comes first


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder that has other collections under the same names."""
    birds(tmp_path / "data" / "scifact", 9)
    birds(tmp_path / "data" / "en", 9)
    monkeypatch.setenv("XLIR_BENCH_DATA", str(tmp_path / "data" / "scifact"))
    return tmp_path / "data"


def test_a_folder_is_measured_and_not_the_data_folders_collection_of_its_name(tmp_path, data):
    named = birds(tmp_path / "c" / "scifact", 7)
    assert len(load(find(str(named)), data, ["en"]).documents) == 7
    assert len(load(find(str(named)), None, ["en"]).documents) == 7


def test_a_folder_with_two_languages_is_measured_too(tmp_path, data):
    named = birds(tmp_path / "c" / "scifact", 7)
    done = run(
        "suites", "check", named, "--query-language", "en", "--document-language", "sw", "--data", data, "--json"
    )
    assert json.loads(done.stdout.splitlines()[0])["documents"] == 7


def test_files_beside_a_declaration_are_measured(tmp_path, data):
    birds(tmp_path / "c" / "en", 7)
    declared = write_suite(tmp_path / "c" / "scifact.yaml", source={"reader": "beir", "folder": "en"})
    assert len(load(find(str(declared)), data).documents) == 7
    named_by_folder = write_suite(tmp_path / "c" / "suite.yaml", name="scifact").parent
    assert len(load(find(str(named_by_folder)), data).documents) == 7


def test_a_declaration_without_files_of_its_own_takes_the_data_folders(tmp_path, data):
    (tmp_path / "c").mkdir()
    declared = write_suite(tmp_path / "c" / "mine.yaml", source={"reader": "beir"})
    shutil.copytree(data / "en", data / "mine")
    assert len(load(find(str(declared)), data).documents) == 9


def test_the_files_of_the_package_are_those_of_its_own_suites(tmp_path):
    content = find("xlir-mini").model_dump(mode="json", exclude={"optional_settings", "expect", "machine_translated"})
    stolen = write_suite(tmp_path / "xlir-mini.yaml", **content)
    with pytest.raises(MissingResourceError, match="are in none of"):
        load(find(str(stolen)))
    assert len(load(find("xlir-mini"), languages=["de"]).languages) == 1


# What was fetched belongs to the declaration, and not to its name


def test_a_strangers_suite_of_a_shipped_name_never_becomes_that_suite(server, tmp_path):
    (tmp_path / "evil").mkdir()
    evil = find(str(served(server, tmp_path / "evil", "nfcorpus", 5)))
    fetch(evil)
    assert len(load(evil).documents) == 5
    official = find("nfcorpus")
    with pytest.raises(MissingResourceError, match="are in none of"):
        load(official)
    assert pins(official).first == {}
    assert fetched_folder(official) != fetched_folder(evil)
    assert fetched_folder(evil).name.startswith("nfcorpus-")


def test_two_declarations_of_one_name_share_no_file_no_hash_and_no_forgetting(server, tmp_path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
    one, two = (find(str(served(server, tmp_path / place, "same", n))) for place, n in (("one", 5), ("two", 6)))
    fetch(one)
    fetch(two)
    assert (len(load(one).documents), len(load(two).documents)) == (5, 6)
    assert pins(one).first.keys() == pins(two).first.keys()
    assert pins(one).first["corpus.jsonl"] != pins(two).first["corpus.jsonl"]
    forget(one)
    assert pins(one).first == {}
    assert len(load(two).documents) == 6
    again = find(str(shutil.copy(tmp_path / "two" / "same.yaml", tmp_path / "same.yaml")))
    server.requests.clear()
    assert fetch(again).new == ()
    assert server.requests == []


def test_what_is_said_of_a_suite_does_not_move_its_files(server, tmp_path):
    path = served(server, tmp_path, "same", 5)
    fetch(find(str(path)))
    source = find(str(path)).source.model_dump(mode="json", exclude_defaults=True)
    other = write_suite(path, name="same", title="Other", version=2, expect={"documents": 5}, source=source)
    assert fetched_folder(find(str(other))).is_dir()


@pytest.mark.parametrize("pinned", [False, True])
def test_what_an_earlier_version_fetched_is_taken_if_its_hash_is_the_published_one(server, tmp_path, caplog, pinned):
    suite = find(str(served(server, tmp_path, "same", 5)))
    earlier = cache_folder() / "suites" / "same"
    shutil.copytree(tmp_path / "made", earlier)
    if pinned:
        names = suite.source.files(["en"])
        hashes = {name: hashlib.sha256((earlier / name).read_bytes()).hexdigest() for name in names}
        suite = suite.model_copy(update={"source": suite.source.model_copy(update={"sha256": hashes})})
    (earlier / "queries.jsonl").write_bytes(b'{"_id": "0", "text": "slipped in"}\n')
    with pytest.raises(
        MissingResourceError, match=r"What an earlier version put into .*same is taken by `suites fetch`"
    ):
        load(suite)
    fetch(suite)
    asked = sorted(path.rpartition("/")[2] for path, _, _ in server.requests)
    assert asked == (["queries.jsonl"] if pinned else ["corpus.jsonl", "queries.jsonl", "test.tsv"])
    assert "slipped in" not in load(suite).queries.texts
    assert "matches no published hash: not read" in caplog.text


def test_an_archive_in_the_cache_is_checked_against_the_hash_of_whoever_uses_it(server, tmp_path):
    def packed(count: int) -> bytes:
        buffer = io.BytesIO()
        folder = birds(tmp_path / str(count), count)
        with zipfile.ZipFile(buffer, "w") as archive:
            for file in folder.rglob("*.*"):
                archive.write(file, file.relative_to(folder).as_posix())
        return buffer.getvalue()

    right, wrong = packed(6), packed(5)
    archive = {"url": server.url + "/a.zip"}
    loose = write_suite(tmp_path / "loose.yaml", source={"reader": "beir", "archive": archive})
    archive = {**archive, "sha256": hashlib.sha256(right).hexdigest()}
    strict = write_suite(tmp_path / "strict.yaml", source={"reader": "beir", "archive": archive})
    server.files["/a.zip"] = wrong
    obtain(find(str(loose)), None, None)
    server.files["/a.zip"] = right
    assert len(obtain(find(str(strict)), None, None).documents) == 6


# What is measured is what was expected


def declared(tmp_path: Path, **expect: object) -> Path:
    """A declaration, and 3 documents, 2 queries and 2 judgements in each of two languages."""
    write_folder(tmp_path / "en", BIRDS, ASKED, JUDGED)
    chinese = dict(zip(BIRDS, CHINESE.values(), strict=True))
    write_folder(tmp_path / "zh", chinese, {"0": "什么鸟等小鱼", "1": "什么把电流送到房子里"}, JUDGED)
    return write_suite(tmp_path / "own.yaml", languages=["en", "zh"], expect=expect,
                       source={"reader": "beir", "folder": "{language}"})  # fmt: skip


WRONG = [
    ({"documents": {"en": 3, "zh": 4}}, "zh: 3 documents, published 4"),
    ({"queries": 3}, "en: 2 queries, published 3; zh: 2 queries, published 3"),
    ({"judgements": {"zh": 9}}, "zh: 2 judgements, published 9"),
    ({"documents": 3, "fingerprint": "0" * 64}, "the fingerprint is not 000000000000"),
]


@pytest.mark.parametrize(("expect", "message"), WRONG)
@pytest.mark.parametrize(
    "command", [("run", "random", "--output", "out", "--suite"), ("run", "random", "--dry-run", "--suite"),
                ("align", "random", "--suite"), ("suites", "check")]
)  # fmt: skip
def test_a_collection_with_other_counts_is_refused_in_one_line(tmp_path, monkeypatch, command, expect, message):
    monkeypatch.chdir(tmp_path)
    done = run(*command, declared(tmp_path, **expect))
    assert isinstance(done.exception, InputError), done.output
    assert message.partition(",")[0] in str(done.exception)
    assert not (tmp_path / "out" / "random").exists()


def test_the_expected_collection_is_loaded(tmp_path):
    right = declared(tmp_path, queries=2, documents={"en": 3, "zh": 3}, judgements=2)
    fingerprint = load(find(str(right))).fingerprint
    content = {"languages": ["en", "zh"], "source": {"reader": "beir", "folder": "{language}"}}
    write_suite(right, **content, expect={"queries": 2, "fingerprint": fingerprint})
    assert len(load(find(str(right))).documents) == 6


def test_of_some_languages_their_own_counts_are_compared(tmp_path):
    path = declared(tmp_path, documents={"en": 3, "zh": 4}, fingerprint="0" * 64)
    assert len(load(find(str(path)), languages=["en"]).documents) == 3
    with pytest.raises(InputError, match="zh: 3 documents, published 4"):
        load(find(str(path)), languages=["zh"])


def test_a_language_that_is_expected_and_not_there_is_refused(tmp_path):
    path = declared(tmp_path, queries={"en": 2, "zh": 2})
    (tmp_path / "zh" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    (tmp_path / "zh" / "corpus.jsonl").write_text("")
    with pytest.raises(InputError, match="zh: 0 queries, published 2"):
        load(find(str(path)))


def test_counts_that_depend_on_the_other_languages_are_compared_of_all_of_them(tmp_path):
    documents = {"a": "first", "b": "second", "c": "third"}
    judged = [("0", "a", 1), ("1", "c", 1)]
    folder = write_folder(tmp_path / "en", documents, ASKED, judged)
    tags = {"a": "zh", "b": "zh", "c": "fa"}
    rows = [json.dumps({"_id": key, "text": text, "language": tags[key]}) for key, text in documents.items()]
    (folder / "corpus.jsonl").write_text("\n".join(rows))
    languages, settings = {"queries": ["en"], "documents": ["zh", "fa"]}, {"cross-lingual": ["nDCG@10"]}
    expect = {"queries": 2, "documents": {"zh": 2, "fa": 1}, "judgements": 0}
    path = write_suite(
        tmp_path / "own.yaml", languages=languages, settings=settings, expect={**expect, "judgements": 2}
    )
    assert len(load(find(str(path))).queries) == 2
    assert len(load(find(str(path)), languages=["en", "zh"]).documents) == 2
    write_suite(tmp_path / "own.yaml", languages=languages, settings=settings, expect={**expect, "queries": 3})
    with pytest.raises(InputError, match="en: 2 queries, published 3"):
        load(find(str(path)))


# One name, one suite


@pytest.fixture
def two_of_one_name(tmp_path):
    """Two declarations of one name, with different data."""
    for place, count in (("one", 5), ("two", 6)):
        birds(tmp_path / place / "en", count)
        write_suite(tmp_path / place / "same.yaml", name="same")
    return tmp_path / "one" / "same.yaml", tmp_path / "two" / "same.yaml"


@pytest.mark.parametrize("command", [("run", "random", "--output", "out"), ("suites", "fetch"), ("suites", "forget")])
def test_two_declarations_of_one_name_are_refused_by_every_command_that_takes_several(
    tmp_path, monkeypatch, two_of_one_name, command
):
    monkeypatch.chdir(tmp_path)
    option = ["--suite"] if command[0] == "run" else []
    done = run(*command, *(part for path in two_of_one_name for part in (*option, path)))
    assert isinstance(done.exception, InputError)
    message = (
        f"two suites are named same, of {tmp_path / 'one'} and of {tmp_path / 'two'}: give one of them another name"
    )
    assert str(done.exception).startswith(message)
    assert not (tmp_path / "out").exists()


def test_a_group_of_two_declarations_of_one_name_is_refused(tmp_path, two_of_one_name):
    members = list(map(str, two_of_one_name))
    group = tmp_path / "both.yaml"
    group.write_text(json.dumps({"name": "both", "title": "b", "description": "b", "suites": members}))
    for command in (("suites", "check"), ("run", "random", "--output", tmp_path / "out", "--suite")):
        assert "two suites are named same" in str(run(*command, group).exception)


@pytest.mark.parametrize("name", ["scifact", "xlir-mini"])
def test_a_shipped_suite_and_a_declaration_or_a_folder_of_its_name_are_refused(tmp_path, name):
    folder = birds(tmp_path / "c" / name, 5)
    declaration = write_suite(tmp_path / "c" / f"{name}.yaml")
    for other in (folder, declaration):
        with pytest.raises(InputError, match=f"two suites are named {name}, of this release or of a library and of "):
            expand([name, str(other)])
    with pytest.raises(InputError, match=f"two suites are named {name}"):
        expand([str(folder), str(declaration)])


def test_one_declaration_named_twice_is_one_suite(tmp_path, monkeypatch, two_of_one_name):
    monkeypatch.chdir(tmp_path)
    first, _ = two_of_one_name
    assert len(expand([str(first), "one/same.yaml", str(first)])) == 1
    assert len(expand(["scifact", "scifact", "beir"])) == len(expand(["beir"]))


def test_a_collection_of_a_shipped_name_is_told_from_the_shipped_one(tmp_path):
    assert "scifact" in shipped()
    folder = birds(tmp_path / "c" / "scifact", 5)
    done = run("run", "random", "--suite", folder, "--languages", "en", "--output", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert f"random on scifact ({folder})" in done.stderr
    [result] = (tmp_path / "out" / "random").glob("*.json")
    assert result.name.startswith("scifact-")
