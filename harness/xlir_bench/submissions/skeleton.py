"""The beginning of a submission: a manifest with every field explained, and a card to write."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from xlir_bench.encoders.manifest import FILE as MANIFEST
from xlir_bench.errors import InputError
from xlir_bench.files import replacing
from xlir_bench.results import find_results, judged_path, leaders_path, ranks_path
from xlir_bench.submissions.submission import CARD, RESULTS, read_result

TO_WRITE = "TO WRITE:"
"""What marks a place of the card that still waits for its author."""

_MANIFEST = """\
# One encoder, declared. `xlir-bench submit validate {folder}` says what is still missing.
name: {name}
# Where the weights are: {{hub: ORGANISATION/NAME, revision: <commit of 40 digits>}}, or {{folder: .}} for this folder.
source: {source}
# sentence-transformers, transformers, ... : see docs/encoders.md.
adapter: sentence-transformers
# What is put before each text, exactly; leave it out for the checkpoint's own.
# prompts: {{query: "", document: ""}}
languages:
  supported: all
# Of the weights: an SPDX expression such as MIT or CC-BY-SA-4.0, or LicenseRef-NAME with the terms in {card}.
licence:
# How many parameters the model has.
parameters:
# Names of all collections that it was trained on, those of its base model included; [] says that there are none.
# From this follows on which suites it is zero-shot.
trained_on:
# Records of `xlir-bench audit` on its training data, e.g. [audits/xquad-r.json].
# audits: []
# Which names in trained_on stand for texts that these audits were not given, such as a base model's.
# unaudited: []
# One sentence.
description:
"""

_CARD = """\
# {name}

## What it is

<!-- TO WRITE: architecture, size, base model, who made it. -->

## Training

<!-- TO WRITE: on which data, with which loss and batches; what was done about the test suites' texts. -->

## Intended use and limits

<!-- TO WRITE: for what and in which languages it is meant, where it fails. -->
"""


def new(name: str, folder: Path, hub: str | None = None, results: Path | None = None) -> Path:
    """Write the skeleton of a submission.

    Args:
        name: of the submission: lower-case letters, digits, `.`, `_`, `-`.
        folder: the folder of submissions.
        hub: ORGANISATION/NAME@COMMIT of the hub, if the weights are there.
        results: a folder of results of the encoder, which are copied with their ranks.

    Returns:
        The submission's folder.

    Raises:
        InputError: the name is none, is taken, or `hub` or a result is not one.
        MissingResourceError: it cannot be written, or there are no results.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,79}", name) or ".." in name:
        raise InputError(f"{name!r} cannot be a submission's name: use up to 80 of a-z 0-9 . _ - and begin with one")
    place = folder / name
    if place.exists():
        raise InputError(f"{place} exists already; choose another name, or edit what is there")
    source = "{folder: .}"
    if hub is not None:
        match = re.fullmatch(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})", hub)
        if match is None:
            raise InputError(f"{hub!r} is not ORGANISATION/NAME@COMMIT with a commit of 40 hexadecimal digits")
        source = f"{{hub: {match[1]}, revision: {match[2]}}}"
    found = find_results([results]) if results is not None else []
    for path in found:
        read_result(path)
    manifest = _MANIFEST.format(name=name, folder=place, source=source, card=CARD)
    for file, text in ((CARD, _CARD.format(name=name)), (MANIFEST, manifest)):
        with replacing(place / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for path in found:
        for part in (ranks_path(path), leaders_path(path), judged_path(path), path):
            if part.is_file():
                with replacing(place / RESULTS / part.name) as temporary:
                    shutil.copyfile(part, temporary)
    return place
