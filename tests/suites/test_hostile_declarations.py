"""What a suite's YAML from a stranger can and cannot do; docs/suites.md has the list."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from folders import ASKED, BIRDS, write_folder, write_suite

from xlir_bench.cli.main import cli
from xlir_bench.errors import InputError
from xlir_bench.files import cache_folder, within
from xlir_bench.suites import fetch, find, forget, load, obtain
from xlir_bench.suites.load import fetched_folder
from xlir_bench.suites.names import filled

OUTSIDE = [
    "/etc/passwd", "../up.json", "a/../../up.json", "a/..", "..", "./a.json", "a//b.json", "a/", "..\\up.json",
    "a\\b.json", "C:/up.json", "C:up.json", "a:stream", "nul\x00.json", "line\nbreak.json", "bell\x07.json",
    "right\u202eto-left.json", ".bashrc", "a/.ssh/id", "x.pth ", " x", "a /b", "a./b", "dot.", "x" * 201,
    "é" * 101, "/".join(["deep"] * 201), "fetched.json", "FETCHED.json", "corpus.jsonl.partial", "a.partial.json",
]  # fmt: skip
PLACEHOLDERS = [
    "{nope}.json", "{language:>3000000000}", "{language!r}", "{language.__class__}", "{0}", "{}", "{", "a}b",
    "{{language}}", "{language", "{file}.json",
]  # fmt: skip
ADDRESSES = [
    "file:///etc/passwd", "ftp://example.org/a", "//example.org/a", "example.org/a", "javascript:alert(1)", "http://",
    "https:///path", "http://[::1", "http://a.example/\nHost: b", "http://a.example/\x00", "http://a.example/{nope}",
    "http://a.example/{file:>9}", f"http://a.example/{'x' * 2000}", "{file}", "HTTP\\://a",
]  # fmt: skip


def refusal(path: Path) -> str:
    """The one line that refuses a declaration."""
    with pytest.raises(InputError) as raised:
        find(str(path))
    said = str(raised.value)
    assert said.isprintable(), said
    assert len(said) < 4001
    return said


# Names


FIELDS = {
    "file": {"reader": "squad"}, "corpus": {"reader": "beir"}, "queries": {"reader": "beir"},
    "qrels": {"reader": "beir"}, "folder": {"reader": "beir"}, "split": {"reader": "beir"},
}  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("field", FIELDS)
def test_a_name_that_leads_elsewhere_is_refused_when_the_declaration_is_read(tmp_path, field, name):
    path = write_suite(tmp_path / "evil.yaml", source={**FIELDS[field], field: name})
    assert f"source.{FIELDS[field]['reader']}.{field}: " in refusal(path)


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_in_tables_hashes_and_archives_are_refused_alike(tmp_path, name):
    url = "http://127.0.0.1:9/a"
    for place, source in (
        ("sha256", {"sha256": {name: "0" * 64}}),
        ("md5", {"md5": {name: "0" * 32}}),
        ("archive.root", {"archive": {"url": url, "root": name}}),
        ("names", {"names": {"en": name}}),
    ):
        path = write_suite(tmp_path / "evil.yaml", source={"reader": "beir", **source})
        assert place in refusal(path)


@pytest.mark.parametrize("beginning", ["../", "/", "..", "a/../", "C:/", "\\"])
def test_beginnings_of_names_are_refused_alike(tmp_path, beginning):
    source = {"reader": "beir", "download": {beginning: "http://127.0.0.1:9/{file}"}}
    assert "download" in refusal(write_suite(tmp_path / "evil.yaml", source=source))


@pytest.mark.parametrize(
    "source",
    [
        {"reader": "squad", "file": "{language}.json", "names": {"en": "fetched"}},
        {"reader": "squad", "file": "{language}{language}{language}", "names": {"en": "x" * 100}},
        {"reader": "beir", "qrels": "qrels/{split}", "split": "corpus.partial"},
        {"reader": "beir", "corpus": "a", "queries": "a/b"},
        {"reader": "miracl", "split": "../../x"},
        {"reader": "miracl", "shards": {"en": 10**12}},
        {"reader": "miracl", "shards": {"en": -1}},
    ],
)
def test_what_the_parts_of_a_name_make_together_is_refused_too(tmp_path, source):
    refusal(write_suite(tmp_path / "evil.yaml", source=source))


@pytest.mark.parametrize("name", ["", "../up", "/abs", "a/b", "A", "x" * 121, "a\n", ".a", "a b"])
def test_the_name_of_a_suite_is_one_part_of_a_path(tmp_path, name):
    assert "name: " in refusal(write_suite(tmp_path / "evil.yaml", name=name))


@pytest.mark.parametrize("field", ["place", "by_layout"])
def test_what_the_program_notes_of_a_suite_is_no_field_of_a_declaration(tmp_path, field):
    assert f"{field}: Extra inputs" in refusal(write_suite(tmp_path / "evil.yaml", **{field: "/etc"}))


def test_usual_names_are_still_read(tmp_path):
    source = {"reader": "beir", "folder": "parts/{language}", "corpus": "Korpus ä-1.0_é.jsonl.gz", "split": "test-1.0",
              "qrels": "{language}/{split}.tsv", "archive": {"url": "https://a.org/b", "root": "x/y-1"}}  # fmt: skip
    suite = find(str(write_suite(tmp_path / "own.yaml", source=source)))
    assert suite.source.files(["en"]) == [
        "parts/en/Korpus ä-1.0_é.jsonl.gz", "parts/en/queries.jsonl", "parts/en/en/test-1.0.tsv",
    ]  # fmt: skip


# Templates and addresses


@pytest.mark.parametrize("template", PLACEHOLDERS)
@pytest.mark.parametrize(("reader", "field"), [("squad", "file"), ("lareqa", "file"), ("beir", "folder")])
def test_an_unknown_placeholder_is_refused_and_makes_no_large_text(tmp_path, reader, field, template):
    path = write_suite(tmp_path / "evil.yaml", source={"reader": reader, field: template})
    began = time.monotonic()
    assert "it may have {language}" in refusal(path)
    assert time.monotonic() - began < 20


def test_placeholders_are_replaced_once_and_as_text():
    assert filled("{a}-{b}-{a}", a="{b}", b="{a}") == "{b}-{a}-{b}"


@pytest.mark.parametrize("url", ADDRESSES)
@pytest.mark.parametrize("field", ["download", "url", "archive"])
def test_addresses_are_http_or_https(tmp_path, field, url):
    path = write_suite(
        tmp_path / "evil.yaml", source={"reader": "beir", field: {"url": url} if field == "archive" else url}
    )
    assert f"source.beir.{field}" in refusal(path)


# Writing


VICTIM = "export PATH=/usr/bin\n"


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "home" / ".bashrc"
    path.parent.mkdir()
    path.write_text(VICTIM)
    return path


@pytest.fixture
def loose(server, tmp_path):
    """A suite of single files and, under /a.zip, of an archive."""
    folder = write_folder(tmp_path / "served", BIRDS, ASKED, [("0", "0", 1)])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in folder.rglob("*.*"):
            name = path.relative_to(folder).as_posix()
            server.files[f"/{name}"] = path.read_bytes()
            archive.writestr(name, path.read_bytes())
    server.files["/a.zip"] = buffer.getvalue()
    place = tmp_path / "yaml"
    place.mkdir()
    source = {"reader": "beir", "download": server.url + "/{file}"}
    return find(str(write_suite(place / "loose.yaml", source=source)))


def with_source(suite, **source):
    return suite.model_copy(update={"source": suite.source.model_copy(update=source)})


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", [["suites", "fetch"], ["suites", "check"], ["suites", "show"], ["suites", "forget"],
                                     ["run", "random", "--output", "out", "--suite"]])  # fmt: skip
def test_no_command_writes_where_a_declaration_leads(server, tmp_path, victim, monkeypatch, command):
    server.files["/evil"] = b"rm -rf ~\n"
    monkeypatch.chdir(tmp_path)
    for name in (str(victim), "../../../home/.bashrc", "../evil.pth"):
        source = {"reader": "squad", "file": name, "download": server.url + "/evil"}
        path = write_suite(tmp_path / "evil.yaml", source=source)
        before = everything(tmp_path)
        done = CliRunner().invoke(cli, [*command, str(path)])
        assert isinstance(done.exception, InputError), done.exception
        assert everything(tmp_path).keys() - before.keys() == set()
    assert victim.read_text() == VICTIM
    assert server.requests == []


@pytest.mark.parametrize("from_archive", [False, True])
def test_a_fetch_proves_each_place_though_the_declaration_was_not_checked(server, loose, victim, from_archive):
    # model_copy does not validate: the proof does not lean on the reading of the YAML.
    for name in (str(victim), os.path.relpath(victim, cache_folder() / "suites" / "x")):
        server.files[f"/{name}"] = b"rm -rf ~\n"
        suite = with_source(loose, corpus=name)
        if from_archive:
            suite = with_source(suite, download=None, archive=find("scifact").source.archive.model_copy(
                update={"url": server.url + "/a.zip", "md5": None, "root": ""}))  # fmt: skip
        with pytest.raises(InputError):
            fetch(suite)
        assert victim.read_text() == VICTIM


@pytest.mark.parametrize("link", ["corpus.jsonl", "corpus.jsonl.partial", "corpus.jsonl.partial.json", "qrels",
                                  "fetched.json"])  # fmt: skip
def test_a_link_in_the_cache_is_not_written_through(loose, victim, link):
    folder = fetched_folder(loose)
    folder.mkdir(parents=True)
    (folder / link).symlink_to(victim.parent if link == "qrels" else victim)
    with pytest.raises(InputError, match=r"leads out of this folder, by its name or by a link|damaged"):
        fetch(loose)
    assert everything(victim.parent) == {str(victim): VICTIM.encode()}


def test_forgetting_removes_nothing_outside(loose, victim):
    for corpus in (str(victim), os.path.relpath(victim, fetched_folder(loose))):
        suite = with_source(loose, corpus=corpus)
        fetched_folder(suite).mkdir(parents=True)
        with pytest.raises(InputError, match="leads out of this folder"):
            forget(suite)
    assert victim.read_text() == VICTIM


def test_a_cache_that_is_a_link_itself_is_written(loose, tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path / "link"))
    assert len(fetch(loose).new) == 3


@pytest.mark.parametrize("name", ["..", "", ".", "a/../../b", "/etc/passwd", "a\0b", "round/x"])
def test_the_proof_of_a_place_itself(tmp_path, name):
    (tmp_path / "round").symlink_to(tmp_path / "round")
    with pytest.raises(InputError, match="leads out"):
        within(tmp_path, name)


@pytest.mark.parametrize("ending", ["/..", "/.", "/", "/%00", "/a%2f..%2f..%2fb", f"/{'x' * 300}", "/a;b"])
def test_an_archive_is_kept_under_a_plain_name_whatever_its_address(server, loose, ending):
    server.files[ending] = server.files["/a.zip"]
    archive = {"url": server.url + ending}
    source = type(loose.source).model_validate({"reader": "beir", "archive": archive})
    fetch(loose.model_copy(update={"source": source}))
    kept = [path for path in (cache_folder() / "downloads").rglob("*") if path.is_file()]
    assert [len(path.relative_to(cache_folder()).parts) for path in kept] == [3]


# Reading


def test_a_declaration_reads_no_file_outside_its_data_folder(tmp_path):
    write_folder(tmp_path / "secret", BIRDS, ASKED, [("0", "0", 1)])
    (tmp_path / "public").mkdir()
    for folder in ("../secret", str(tmp_path / "secret")):
        path = write_suite(tmp_path / "public" / "evil.yaml", source={"reader": "beir", "folder": folder})
        assert "source.beir.folder" in refusal(path)


def test_links_in_a_data_folder_are_its_owners_and_read(tmp_path):
    whole = write_folder(tmp_path / "disk", BIRDS, ASKED, [("0", "0", 1)])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "en").symlink_to(whole)
    assert len(load(find(str(write_suite(tmp_path / "mine" / "own.yaml")))).documents) == len(BIRDS)


@pytest.mark.parametrize("special", ["/dev/zero", "pipe"])
def test_devices_and_pipes_are_no_files(tmp_path, special):
    place = write_folder(tmp_path / "mine" / "en", BIRDS, ASKED, [("0", "0", 1)])
    (place / "corpus.jsonl").unlink()
    if special == "pipe":
        os.mkfifo(place / "corpus.jsonl")
    else:
        (place / "corpus.jsonl").symlink_to(special)
    suite = find(str(write_suite(tmp_path / "mine" / "own.yaml")))
    with pytest.raises(Exception, match="no such file"):
        obtain(suite, None, None)


# Libraries


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "x" * 201, "a\x1b[2J", "os.system('x')", "{0}", "a\nb"])
@pytest.mark.parametrize(("reader", "field"), [("mteb", "task"), ("ir_datasets", "id")])
def test_a_library_is_asked_for_what_it_lists_and_nothing_else(tmp_path, reader, field, name):
    pytest.importorskip(reader)
    path = write_suite(tmp_path / "evil.yaml", source={"reader": reader, field: name})
    done = CliRunner().invoke(cli, ["suites", "check", str(path)])
    assert isinstance(done.exception, InputError), done.exception
    assert str(done.exception).isprintable()


@pytest.mark.parametrize("field", ["trust_remote_code", "revision", "path", "factory", "module", "code"])
@pytest.mark.parametrize(("reader", "what"), [("mteb", "task"), ("ir_datasets", "id"), ("beir", "split")])
def test_a_source_has_no_field_that_names_code(tmp_path, reader, what, field):
    path = write_suite(tmp_path / "evil.yaml", source={"reader": reader, what: "x", field: "true"})
    assert f"source.{reader}.{field}: Extra inputs" in refusal(path)


def test_a_task_whose_data_are_the_publishers_code_is_refused(monkeypatch):
    mteb = pytest.importorskip("mteb")
    from xlir_bench.suites.mteb_task import _loaded

    task = mteb.get_task("SciFact")
    monkeypatch.setattr(task.metadata, "dataset", {**task.metadata.dataset, "trust_remote_code": True})
    monkeypatch.setattr(mteb, "get_task", lambda *_, **__: task)
    monkeypatch.setattr(type(task), "load_data", lambda *_, **__: pytest.fail("its code would run"))
    with pytest.raises(InputError, match="its data come by running the publisher's code"):
        _loaded("SciFact", "test", ["default"])


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch pwned']", "name: !!python/name:os.system",
        "a: &a [x, x]\nb: &b [*a, *a]\nname: *b", "&a [*a]", "source: [",
    ],
)  # fmt: skip
def test_yaml_makes_no_objects(tmp_path, text):
    (tmp_path / "evil.yaml").write_text(text)
    refusal(tmp_path / "evil.yaml")


def test_a_page_shows_no_control_characters_of_a_declaration(tmp_path):
    path = write_suite(tmp_path / "evil.yaml", title="\x1b[2Jgone", description="\x1b]0;title\x07")
    done = CliRunner().invoke(cli, ["suites", "show", str(path)])
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    assert json.loads(CliRunner().invoke(cli, ["suites", "show", str(path), "--json"]).stdout)["name"] == "evil"
