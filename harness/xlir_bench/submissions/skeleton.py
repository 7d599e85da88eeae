"""The beginning of a submission: a manifest with every field explained, and a card."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from xlir_bench.encoders.manifest import FILE as MANIFEST
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.results import find_results, judged_path, leaders_path, ranks_path
from xlir_bench.submissions.measured import measured_model
from xlir_bench.submissions.submission import CARD, RESULTS, read_result

TO_WRITE = "TO WRITE:"
"""What marks a place of the card that still waits for its author."""

_MANIFEST = """\
# One encoder, declared. `xlir-bench submit validate {folder}` says what is still missing.
{name}
{source}# sentence-transformers, transformers, ... : see docs/encoders.md.
{adapter}
# How texts are encoded and compared; what is left out is the checkpoint's own.
{settings}
{languages}
# Of the weights: an SPDX expression such as MIT or CC-BY-SA-4.0, or LicenseRef-NAME with the terms in {card}.
{licence}
# How many parameters the model has.
{parameters}
# Names of all collections that it was trained on, those of its base model included; [] says that there are none.
# From this follows on which suites it is zero-shot.
{trained_on}
# Records of `xlir-bench audit` on its training data, e.g. [audits/xquad-r.json].
# audits: []
# Which names in trained_on stand for texts that these audits were not given, such as a base model's.
# unaudited: []
# One sentence.
{description}
# Who answers questions about it: an e-mail address or a URL.
{contact}
"""

_SOURCE = """\
# Where the weights are: {hub: ORGANISATION/NAME, revision: <commit of 40 digits>}, or {folder: .} for this folder.
"""

_FIELDS = ("name", "adapter", "languages", "licence", "parameters", "trained_on", "description", "contact")

_UNKNOWN = {"source": {"folder": "."}, "adapter": "sentence-transformers", "languages": {"supported": "all"}}
"""What a manifest says where there are no results yet, or they do not say it."""

_CARD = """\
# {name}

## What it is

<!-- TO WRITE: architecture, size, base model, who made it. -->

## Training

<!-- TO WRITE: on which data, with which loss and batches; what was done about the test suites' texts. -->

## Intended use and limits

<!-- TO WRITE: for what and in which languages it is meant, where it fails. -->
"""


def new(
    name: str, folder: Path, hub: str | None = None, results: Path | None = None, weights: Path | None = None
) -> Path:
    """Begin a submission: its manifest, its card, and the results.

    What follows from the results is filled in, and weights in a folder are copied unless `hub` says where they are, so
    that licence, training data, description and contact are left.

    Args:
        name: of the submission: lower-case letters, digits, `.`, `_`, `-`.
        folder: the folder of submissions.
        hub: ORGANISATION/NAME@COMMIT of the hub, if the weights are there.
        results: a result of the encoder or a folder of them, which are copied with their ranks.
        weights: the folder of the encoder; by default one of its name in the working folder.

    Returns:
        The submission's folder.

    Raises:
        InputError: the name is none, is taken, `hub` or a result is not one, or the results are of several encoders
            or of one that a submission cannot hold.
        MissingResourceError: it cannot be written, or there are no results.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,79}", name) or ".." in name:
        raise InputError(f"{name!r} cannot be a submission's name: use up to 80 of a-z 0-9 . _ - and begin with one")
    place = folder / name
    if place.exists():
        raise InputError(f"{place} exists already; choose another name, or edit what is there")
    source = _hub_source(hub) if hub is not None else None
    found = find_results([results]) if results is not None else []
    measured = measured_model([read_result(path) for path in found], source, weights) if found else None
    fields = measured.fields if measured is not None else {"source": source or _UNKNOWN["source"]}
    files = dict(measured.files) if measured is not None else {}
    for path in found:
        parts = (path, ranks_path(path), leaders_path(path), judged_path(path))
        files |= {f"{RESULTS}/{part.name}": part for part in parts if part.is_file()}
    card = measured.card(name) if measured is not None else _CARD.format(name=name)
    with _whole(place) as made:
        for file, origin in files.items():
            (made / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, made / file)
        if MANIFEST in files:  # the encoder's folder has one
            text = re.sub(r"^name:.*$", f"name: {name}", (made / MANIFEST).read_text("utf-8"), flags=re.MULTILINE)
        else:
            text = _manifest(name, place, fields)
        (made / MANIFEST).write_text(text, "utf-8")
        if CARD not in files:
            (made / CARD).write_text(card, "utf-8")
    return place


def _hub_source(hub: str) -> dict[str, str]:
    match = re.fullmatch(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})", hub)
    if match is None:
        raise InputError(f"{hub!r} is not ORGANISATION/NAME@COMMIT with a commit of 40 hexadecimal digits")
    return {"hub": match[1], "revision": match[2]}


def _manifest(name: str, place: Path, fields: Mapping[str, Any]) -> str:
    """The manifest's text; a field that nothing says is left empty, for the author to fill in."""
    known = {**(_UNKNOWN if "adapter" not in fields else {"languages": _UNKNOWN["languages"]}), **fields, "name": name}
    lines = {field: _line(field, known.get(field)) for field in _FIELDS}
    lines["source"] = f"{_SOURCE}{_line('source', known.pop('source'))}\n" if "source" in known else ""
    settings = [_line(key, value) for key, value in known.items() if key not in _FIELDS]
    lines["settings"] = "\n".join(settings) or '# prompts: {query: "", document: ""}'
    return _MANIFEST.format(folder=place, card=CARD, **lines)


def _line(name: str, value: object) -> str:
    if value is None:
        return f"{name}:"
    in_a_list = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10_000)
    return f"{name}: {in_a_list.strip()[1:-1]}"


@contextmanager
def _whole(place: Path) -> Iterator[Path]:
    """A temporary folder that becomes `place` if the block ends well; else nothing is left.

    Raises:
        MissingResourceError: something cannot be read or written.
    """
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(place)
    except OSError as error:
        raise MissingResourceError(f"cannot write {place}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
