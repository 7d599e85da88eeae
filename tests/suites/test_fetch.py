"""`suites fetch`: only what is needed, each file checked, from a real server on loopback."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shlex
import shutil
import zipfile

import pytest
from made_data import write_beir

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites import fetch, find, forget, forget_archives, load, obtain, pins
from xlir_bench.suites.beir import BeirSource
from xlir_bench.suites.load import fetched_folder
from xlir_bench.suites.schema import Expectation
from xlir_bench.suites.source import Archive


def changed(name: str, **source):
    """A shipped suite whose files are others, and elsewhere."""
    suite = find(name)
    return suite.model_copy(update={"source": suite.source.model_copy(update=source), "expect": Expectation()})


@pytest.fixture
def xquad_r(server, parallel_folder):
    """XQuAD-R's declaration with other files and their hashes, from the server."""
    hashes = {}
    for path in parallel_folder.glob("*.json"):
        server.files[f"/xquad-r/{path.name}"] = path.read_bytes()
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return changed("xquad-r", download=server.url + "/xquad-r/{file}", sha256=hashes)


def zipped(folder, root: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                archive.write(path, f"{root}/{path.relative_to(folder)}")
    return buffer.getvalue()


@pytest.fixture
def beir_folder(tmp_path):
    """A collection in BEIR's layout."""
    return write_beir(tmp_path / "made" / "en")


@pytest.fixture
def scifact(server, beir_folder):
    """SciFact's declaration with another archive, nothing pinned."""
    server.files["/scifact.zip"] = zipped(beir_folder, "scifact")
    archive = find("scifact").source.archive.model_copy(update={"url": server.url + "/scifact.zip", "md5": None})
    return changed("scifact", archive=archive, sha256={})


def test_only_the_files_of_the_languages_asked_for_are_fetched(server, xquad_r):
    done = fetch(xquad_r, ["de", "th"])
    assert done.new == ("de.json", "th.json")
    assert sorted(path for path, _, _ in server.requests) == ["/xquad-r/de.json", "/xquad-r/th.json"]
    assert load(xquad_r, languages=["de", "th"]).languages == ("de", "th")
    assert done.unpinned == ()


def test_what_is_here_and_right_is_not_fetched_again_and_what_is_damaged_is(server, xquad_r):
    fetch(xquad_r, ["de", "th"])
    (fetched_folder(xquad_r) / "th.json").write_text("damaged")
    server.requests.clear()
    done = fetch(xquad_r, ["de", "th"])
    assert (done.new, done.present) == (("th.json",), ("de.json",))
    assert [path for path, _, _ in server.requests] == ["/xquad-r/th.json"]


def test_a_file_that_is_not_the_published_one_is_not_kept(server, xquad_r):
    server.files["/xquad-r/de.json"] += b" "
    with pytest.raises(InputError, match=r"de\.json: what arrived has SHA-256"):
        fetch(xquad_r, ["de"])
    assert not (fetched_folder(xquad_r) / "de.json").exists()


def test_an_archive_is_fetched_unpacked_and_forgotten(server, scifact, beir_folder):
    done = fetch(scifact)
    assert done.new == ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
    for name in done.new:
        assert (done.folder / name).read_bytes() == (beir_folder / name).read_bytes()
    assert load(scifact).fingerprint == load(find(str(beir_folder))).fingerprint
    forget_archives([scifact])
    assert [path.name for path in (done.folder.parent.parent / "downloads").rglob("*") if path.is_file()] == []


def test_two_suites_of_one_archive_fetch_it_once(server, tmp_path, beir_folder):
    for part in ("android", "gis"):
        shutil.copytree(beir_folder, tmp_path / "cqadupstack" / part)
    server.files["/c.zip"] = zipped(tmp_path / "cqadupstack", "cqadupstack")
    for part in ("android", "gis"):
        archive = find(f"cqadupstack-{part}").source.archive.model_copy(
            update={"url": server.url + "/c.zip", "md5": None}
        )
        fetch(changed(f"cqadupstack-{part}", archive=archive))
    assert len(server.requests) == 1


def test_an_archive_with_another_hash_is_not_unpacked(server, scifact):
    suite = scifact.model_copy(
        update={
            "source": scifact.source.model_copy(
                update={"archive": scifact.source.archive.model_copy(update={"md5": "0" * 32})}
            )
        }
    )
    with pytest.raises(InputError, match="what arrived has MD5"):
        fetch(suite)


def test_a_file_of_an_archive_must_match_its_own_hash_too(server, scifact):
    suite = changed("scifact", archive=scifact.source.archive, sha256={"corpus.jsonl": "0" * 64})
    with pytest.raises(InputError, match=r"corpus\.jsonl: SHA-256 is [0-9a-f]{12}\.\.\., published is 000000000000"):
        fetch(suite)
    assert not (fetched_folder(suite) / "corpus.jsonl").exists()


def test_without_a_published_hash_the_first_fetch_decides(server, scifact, beir_folder):
    assert pins(scifact).first == {}
    done = fetch(scifact)
    corpus = (beir_folder / "corpus.jsonl").read_bytes()
    assert done.unpinned == ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
    assert pins(scifact).first["corpus.jsonl"] == hashlib.sha256(corpus).hexdigest()
    record = json.loads((done.folder / "fetched.json").read_text())["files"]["corpus.jsonl"]
    assert record["url"] == server.url + "/scifact.zip"

    (done.folder / "corpus.jsonl").unlink()
    forget_archives([scifact])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("scifact/corpus.jsonl", corpus + b'{"_id": "new", "text": "slipped in"}\n')
    server.files["/scifact.zip"] = buffer.getvalue()
    with pytest.raises(InputError, match=r"corpus\.jsonl: has SHA-256 .* at the first fetch"):
        fetch(scifact)
    assert not (done.folder / "corpus.jsonl").exists()


def test_files_that_may_not_be_passed_on_are_said_to_be_so():
    with pytest.raises(MissingResourceError, match=r"robust04: its files may not be passed on.*see https://"):
        fetch(find("robust04"))


def test_what_is_nowhere_is_fetched_when_it_is_wanted_and_not_twice(server, xquad_r):
    assert obtain(xquad_r, None, ["th"]).languages == ("th",)
    assert obtain(xquad_r, None, ["th", "de"]).languages == ("de", "th")
    assert len(server.requests) == 2


def test_files_of_ones_own_come_first(server, xquad_r, parallel_folder):
    assert obtain(xquad_r, parallel_folder, ["th"]).languages == ("th",)
    assert server.requests == []


def test_offline_nothing_is_fetched(server, xquad_r, no_network):
    with pytest.raises(MissingResourceError, match=r"are in none of .* published at"):
        obtain(xquad_r, None, ["th"])
    with pytest.raises(MissingResourceError, match="--offline forbids"):
        fetch(xquad_r, ["th"])
    assert server.requests == []


# What nobody published a hash of, from a server that sends something else at first


DOCUMENTS = b"".join(b'{"_id": "d%d", "title": "", "text": "what is said of %d"}\n' % (n, n) for n in range(30))
FILES = {
    "corpus.jsonl": DOCUMENTS,
    "queries.jsonl": b'{"_id": "q0", "text": "of three?"}\n{"_id": "q1", "text": "of four?"}\n',
    "qrels/test.tsv": b"query-id\tcorpus-id\tscore\nq0\td3\t1\nq1\td4\t1\n",
}
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.fixture
def loose(server, tmp_path):
    """A suite of single files without any published hash."""
    for name, content in FILES.items():
        server.files[f"/loose/{name}"] = content
    place = tmp_path / "loose.yaml"
    place.write_text(
        "name: loose\nversion: 1\ntitle: t\ndescription: d\nlicence: CC0-1.0\ncitation: none\nlanguages: [en]\n"
        f"source: {{reader: beir, download: '{server.url}/loose/{{file}}'}}\nsettings: {{monolingual: [nDCG@10]}}\n"
    )
    return find(str(place))


@pytest.mark.parametrize("name", list(FILES))
@pytest.mark.parametrize(
    "wrong",
    [PAGE, b"\n  <HTML>\n", b'{"error": "rate limited"}\n', b"", b"\x1f\x8b\x08cut off", b"Service unavailable", None],
    ids=["page", "bare page", "JSON error", "empty", "not gzip", "text", "cut off"],
)
def test_the_first_hash_is_recorded_of_a_file_that_can_be_read_only(server, loose, name, wrong):
    right = server.files[f"/loose/{name}"]
    server.files[f"/loose/{name}"] = right[: len(right) * 2 // 3 + 2] if wrong is None else wrong
    with pytest.raises(InputError) as raised:
        fetch(loose)
    assert "\n" not in str(raised.value)
    assert name in str(raised.value)
    assert not any((fetched_folder(loose) / other).exists() for other in FILES) or wrong in (PAGE, b"\n  <HTML>\n")
    assert "published is" not in str(raised.value)
    folder = fetched_folder(loose)
    assert not (folder / name).exists()
    assert pins(loose).first == {}
    assert not list(folder.rglob("*.partial*"))
    server.files[f"/loose/{name}"] = right
    fetch(loose)
    assert len(load(loose).queries) == 2
    assert pins(loose).first[name] == hashlib.sha256(right).hexdigest()


def test_a_file_that_changed_since_the_first_fetch_is_told_from_a_published_one_and_can_be_forgotten(server, loose):
    fetch(loose)
    corpus = fetched_folder(loose) / "corpus.jsonl"
    corpus.unlink()
    server.files["/loose/corpus.jsonl"] = DOCUMENTS.replace(b"said", b"told")
    with pytest.raises(InputError, match=r"at the first fetch.*`xlir-bench suites forget \S+loose\.yaml`") as raised:
        fetch(loose)
    assert "published is" not in str(raised.value)
    assert not corpus.exists()
    assert forget(loose) == tuple(FILES)
    assert pins(loose).first == {}
    fetch(loose)
    assert b"told of" in corpus.read_bytes()
    assert forget(loose) == tuple(FILES)
    assert forget(loose) == ()


def test_files_with_a_published_hash_are_not_forgotten(server, loose):
    pinned = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items() if name != "queries.jsonl"}
    suite = loose.model_copy(update={"source": loose.source.model_copy(update={"sha256": pinned})})
    fetch(suite)
    assert forget(suite) == ("queries.jsonl",)
    server.requests.clear()
    assert fetch(suite).new == ("queries.jsonl",)
    assert [path for path, _, _ in server.requests] == ["/loose/queries.jsonl"]


@pytest.mark.parametrize("wrong", [PAGE, b"PK\x03\x04 cut off", b""], ids=["page", "cut off", "empty"])
def test_an_archive_that_is_none_is_not_kept(server, loose, wrong):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"loose/{name}", content)
    source = {"reader": "beir", "archive": {"url": server.url + "/loose.zip", "root": "loose"}}
    suite = loose.model_copy(update={"source": type(loose.source).model_validate(source)})
    server.files["/loose.zip"] = wrong
    with pytest.raises(InputError):
        fetch(suite)
    server.files["/loose.zip"] = buffer.getvalue()
    assert fetch(suite).new == tuple(FILES)
    assert len(load(suite).documents) == 30


def test_an_archive_whose_files_cannot_be_read_is_fetched_again(server, loose):
    def packed(corpus):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in {**FILES, "corpus.jsonl": corpus}.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    source = {"reader": "beir", "archive": {"url": server.url + "/loose.zip"}}
    suite = loose.model_copy(update={"source": type(loose.source).model_validate(source)})
    server.files["/loose.zip"] = packed(PAGE)
    with pytest.raises(InputError, match=r"cannot be read as fetched, and nothing of it was kept"):
        fetch(suite)
    server.files["/loose.zip"] = packed(DOCUMENTS)
    fetch(suite)
    assert len(load(suite).documents) == 30


def test_the_command_line_forgets_and_fetches_again(server, loose, tmp_path):
    from click.testing import CliRunner

    from xlir_bench.cli.main import cli

    place = str(tmp_path / "loose.yaml")
    assert CliRunner().invoke(cli, ["suites", "fetch", place]).exit_code == 0
    said = CliRunner().invoke(cli, ["suites", "forget", place])
    assert (said.exit_code, said.stdout) == (
        0,
        "loose: 3 files forgotten: corpus.jsonl, queries.jsonl, qrels/test.tsv\n",
    )
    assert "3 files fetched, 0 already here" in CliRunner().invoke(cli, ["suites", "fetch", place]).stdout


def commands_in(message: str) -> list[str]:
    """The commands that a message names between backquotes."""
    return [found for found in re.findall(r"`xlir-bench ([^`]*)`", message) if " " in found]


@pytest.mark.usefixtures("loose")
def test_what_a_message_says_to_type_is_found_from_any_folder(server, tmp_path, monkeypatch):
    place = tmp_path / "my suites" / "it's mine.yaml"
    place.parent.mkdir()
    place.write_text(
        "name: loose\nversion: 1\ntitle: t\ndescription: d\nlicence: CC0-1.0\ncitation: none\nlanguages: [en]\n"
        f"source: {{reader: beir, download: '{server.url}/loose/{{file}}'}}\nsettings: {{monolingual: [nDCG@10]}}\n"
    )
    monkeypatch.chdir(place.parent)
    suite = find(place.name)
    with pytest.raises(MissingResourceError) as missing:
        load(suite)
    fetch(suite)
    (fetched_folder(suite) / "corpus.jsonl").unlink()
    server.files["/loose/corpus.jsonl"] = DOCUMENTS.replace(b"said", b"told")
    with pytest.raises(InputError) as changed:
        fetch(suite)
    monkeypatch.chdir(tmp_path)
    typed = [shlex.split(command) for raised in (missing, changed) for command in commands_in(str(raised.value))]
    assert [command[:2] for command in typed] == [["suites", "fetch"], ["suites", "forget"]]
    assert all(find(command[2]) == suite for command in typed)


@pytest.mark.parametrize("stated", [True, False])
def test_a_source_bounds_what_is_downloaded_for_it(server, loose, stated):
    source = loose.source.model_copy(update={"max_bytes": len(DOCUMENTS) - 1})
    bounded = loose.model_copy(update={"source": source})
    assert fetched_folder(bounded) == fetched_folder(loose)
    if not stated:
        server.announce = -1
    with pytest.raises(MissingResourceError, match=rf"more than {len(DOCUMENTS) - 1:,} bytes, the `max_bytes` of"):
        fetch(bounded)
    assert not (fetched_folder(loose) / "corpus.jsonl").exists()
    assert not list(fetched_folder(loose).rglob("*.partial"))
    enough = loose.source.model_copy(update={"max_bytes": max(map(len, FILES.values()))})
    assert fetch(loose.model_copy(update={"source": enough})).new


def test_the_bound_of_a_source_holds_for_its_archive(server, loose):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    server.files["/whole.zip"] = buffer.getvalue()
    source = BeirSource(reader="beir", archive=Archive(url=f"{server.url}/whole.zip"), max_bytes=100)
    with pytest.raises(MissingResourceError, match="more than 100 bytes, the `max_bytes` of"):
        fetch(loose.model_copy(update={"source": source}))
    fetch(loose.model_copy(update={"source": source.model_copy(update={"max_bytes": len(buffer.getvalue())})}))


@pytest.mark.parametrize("wrong", ["0", "-1", "much", "1.5", ".inf", "[1]"])
def test_a_bound_is_a_whole_number_above_0(loose, tmp_path, wrong):
    declared = (tmp_path / "loose.yaml").read_text().replace("reader: beir", f"reader: beir, max_bytes: {wrong}")
    (tmp_path / "loose.yaml").write_text(declared)
    with pytest.raises(InputError, match="max_bytes"):
        find(str(tmp_path / "loose.yaml"))
