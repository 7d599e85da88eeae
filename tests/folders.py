"""Small BEIR folders for the tests of readers and checks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

Judged = Iterable[tuple[str, str, object]]

BIRDS = {
    "0": "The heron waits in shallow water for small fish.",
    "1": "Copper wire carries current through the old house.",
    "2": "A baker kneads dough before the sun comes up.",
}
ASKED = {
    "0": "which bird waits for fish in shallow water",
    "1": "what carries current in the house",
    "2": "who kneads dough before sunrise",
}
CHINESE = {"d0": "苍鹭站在浅水里等小鱼。", "d1": "铜线把电流送到旧房子里。", "d2": "面包师在天亮以前揉面团。"}


def write_folder(
    place: Path, documents: Mapping[str, str], queries: Mapping[str, str], judgements: str | Judged
) -> Path:
    """Write corpus.jsonl, queries.jsonl and qrels/test.tsv; judgements as the file's text or as triples."""
    (place / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", documents), ("queries", queries)):
        rows = [json.dumps({"_id": key, "text": text}, ensure_ascii=False) + "\n" for key, text in texts.items()]
        (place / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")
    if not isinstance(judgements, str):
        lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in judgements)]
        judgements = "\n".join(lines) + "\n"
    (place / "qrels" / "test.tsv").write_text(judgements, encoding="utf-8")
    return place


def write_suite(path: Path, **content: object) -> Path:
    """Write a declaration; what is not given is filled in."""
    import yaml

    whole = {
        "name": path.stem, "version": 1, "title": path.stem, "description": "d", "licence": "CC0-1.0",
        "citation": "none", "languages": ["en"], "source": {"reader": "beir", "folder": "en"},
        "settings": {"monolingual": ["nDCG@10"]},
    } | content  # fmt: skip
    path.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")
    return path
