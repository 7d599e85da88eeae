"""Archives that should not be trusted."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from xlir_bench.errors import InputError
from xlir_bench.suites.unpack import Bounds, unpack

WANTED = {"scifact/corpus.jsonl": "corpus.jsonl", "scifact/qrels/test.tsv": "qrels/test.tsv"}
GOOD = {
    "scifact/corpus.jsonl": b"{}\n",
    "scifact/qrels/test.tsv": b"a\tb\t1\n",
    "scifact/qrels/train.tsv": b"not wanted",
}


def as_zip(path, files=GOOD, **extra):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, **extra}.items():
            archive.writestr(name, content)
    return path


def as_tar(path, files=GOOD, members=()):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in members:
            archive.addfile(info)
    return path


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("make", [as_zip, as_tar])
def test_only_the_wanted_files_are_taken_out(tmp_path, make):
    unpack(make(tmp_path / "archive"), tmp_path / "out", WANTED)
    assert tree(tmp_path / "out") == {"corpus.jsonl": b"{}\n", "qrels/test.tsv": b"a\tb\t1\n"}


FOUL = ["../evil", "scifact/../../evil", "/etc/evil", "scifact\\..\\evil", "C:/evil", "C:evil", "..", "a/../../b"]


@pytest.mark.parametrize("name", FOUL)
@pytest.mark.parametrize("make", [as_zip, as_tar])
def test_an_entry_that_leads_out_spoils_the_archive(tmp_path, make, name):
    archive = make(tmp_path / "archive", {**GOOD, name: b"evil"})
    with pytest.raises(InputError, match="leads out of the folder; the archive is not trusted"):
        unpack(archive, tmp_path / "in" / "out", WANTED)
    assert tree(tmp_path) == {"archive": archive.read_bytes()}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_file_spoil_it(tmp_path, kind):
    info = tarfile.TarInfo("scifact/link")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(InputError, match=r"is a (link|device); the archive is not trusted"):
        unpack(as_tar(tmp_path / "archive", GOOD, [info]), tmp_path / "out", WANTED)


def test_a_wanted_file_that_is_a_link_is_not_followed(tmp_path):
    info = tarfile.TarInfo("scifact/corpus.jsonl")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    files = {name: content for name, content in GOOD.items() if name != info.name}
    with pytest.raises(InputError, match="is a link"):
        unpack(as_tar(tmp_path / "archive", files, [info]), tmp_path / "out", WANTED)


def test_a_link_in_a_zip_file_spoils_it(tmp_path):
    info = zipfile.ZipInfo("scifact/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    as_zip(tmp_path / "archive")
    with zipfile.ZipFile(tmp_path / "archive", "a") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        unpack(tmp_path / "archive", tmp_path / "out", WANTED)


@pytest.mark.parametrize("make", [as_zip, as_tar])
def test_a_bomb_is_stopped_while_it_unpacks(tmp_path, make):
    archive = make(tmp_path / "archive", {**GOOD, "scifact/corpus.jsonl": bytes(200 << 20)})
    assert archive.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="as a zip bomb does; not unpacked"):
        unpack(archive, tmp_path / "out", WANTED)
    assert tree(tmp_path / "out") == {}


def test_a_zip_file_that_lies_about_its_sizes_is_stopped_too(tmp_path):
    path = as_zip(tmp_path / "archive", {**GOOD, "scifact/corpus.jsonl": bytes(4 << 20)})
    content = path.read_bytes()
    path.write_bytes(content.replace((4 << 20).to_bytes(4, "little"), (16).to_bytes(4, "little")))
    with pytest.raises(InputError):
        unpack(path, tmp_path / "out", WANTED, Bounds(bytes=1 << 20))
    assert tree(tmp_path / "out") == {}


def test_too_many_entries_are_refused(tmp_path):
    archive = as_zip(tmp_path / "archive", {f"f{n}": b"" for n in range(50)})
    with pytest.raises(InputError, match="more than 40 entries"):
        unpack(archive, tmp_path / "out", WANTED, Bounds(members=40))


def test_a_wanted_file_that_is_not_there_is_named_and_nothing_is_left(tmp_path):
    archive = as_zip(tmp_path / "archive", {"scifact/corpus.jsonl": b"{}"})
    with pytest.raises(InputError, match=r"holds no scifact/qrels/test\.tsv"):
        unpack(archive, tmp_path / "out", WANTED)
    assert tree(tmp_path / "out") == {}


@pytest.mark.parametrize("make", [as_zip, as_tar])
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_an_archive_that_was_cut_off_is_refused(tmp_path, make, keep):
    archive = make(tmp_path / "archive", {**GOOD, "scifact/corpus.jsonl": bytes(range(256)) * 400})
    content = archive.read_bytes()
    archive.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(InputError, match=r"damaged, or no archive|holds no"):
        unpack(archive, tmp_path / "out", WANTED)
    assert tree(tmp_path / "out") == {}


def test_bytes_that_changed_inside_are_noticed(tmp_path):
    archive = as_zip(tmp_path / "archive", {**GOOD, "scifact/corpus.jsonl": b"abcdefgh" * 4 + bytes(range(200))})
    content = bytearray(archive.read_bytes())
    content[80] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(InputError):
        unpack(archive, tmp_path / "out", WANTED)


def header(name, kind, size, content=b""):
    """One entry of a tar file, its content filled up to whole blocks."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def extended(**fields):
    """A pax header with these fields."""
    records = b""
    for name, value in fields.items():
        record = f" {name}={value}\n".encode()
        length = len(record) + len(str(len(record) + 2))
        records += f"{length}".encode() + record
    return header("pax", tarfile.XHDTYPE, len(records), records)


FILE = header("scifact/corpus.jsonl", tarfile.REGTYPE, 3, b"{}\n")
EXTENSIONS = {
    "a header of gigabytes": (header("pax", tarfile.XHDTYPE, 3 << 30), "a header of 3,221,225,472 bytes"),
    "a name of gigabytes": (header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 3 << 30), "a header of"),
    "a sparse file": (header("scifact/corpus.jsonl", tarfile.GNUTYPE_SPARSE, 3, b"{}\n"), "is a sparse file"),
    "a sparse file of pax": (extended(**{"GNU.sparse.major": 1, "GNU.sparse.minor": 0}) + FILE, "is a sparse file"),
    "headers without end": (extended(comment="x") * 5000 + FILE, ""),
}


@pytest.mark.parametrize("kind", EXTENSIONS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_headers_of_a_tar_file_that_swell_or_hide_holes_are_refused(tmp_path, kind, packed):
    content, said = EXTENSIONS[kind]
    path = tmp_path / "archive.tar"
    path.write_bytes(gzip.compress(content + bytes(1024)) if packed else content + bytes(1024))
    with pytest.raises(InputError, match=f"archive.tar: .*{said}") as error:
        unpack(path, tmp_path / "out", {"scifact/corpus.jsonl": "corpus.jsonl"})
    assert "\n" not in str(error.value)
    assert tree(tmp_path / "out") == {}


def test_long_names_are_read(tmp_path):
    name = "scifact/" + "x" * 200
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / f"{form}.tar"
        with tarfile.open(path, "w", format=form) as archive:
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"ok"))
        unpack(path, tmp_path / "out", {name: f"{form}"})
        assert (tmp_path / "out" / f"{form}").read_bytes() == b"ok"
