"""The table of well-known checkpoints in docs/encoders.md, from the fields of their configuration files.

    python docs/checkpoints/table.py           writes the table
    python docs/checkpoints/table.py --check   fails if the page has another one

`checkpoints.json` holds, for each checkpoint, the fields that decide and the public source that they were taken from:
`config.json`, the classes in `modules.json`, the pooling, and `config_sentence_transformers.json`. They are laid out as
a folder, and the functions that `xlir-bench run` uses read them. Prompts and similarity that a checkpoint does not
declare are looked up in mteb's registry, as for a model of the hub.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.encoders.kinds import SENTENCE_CONFIG, kind_of
from xlir_bench.encoders.prompts import chosen, declared_prompts
from xlir_bench.encoders.transformer import declared_pooling

PAGE = Path(__file__).resolve().parents[1] / "encoders.md"
FIXTURES = Path(__file__).with_name("checkpoints.json")
BEGIN, END = "<!-- checkpoints: begin -->", "<!-- checkpoints: end -->"
CLASSES = {
    "Transformer": "sentence_transformers.models.Transformer",
    "Pooling": "sentence_transformers.models.Pooling",
    "Dense": "sentence_transformers.models.Dense",
    "Normalize": "sentence_transformers.models.Normalize",
    "MLMTransformer": "sentence_transformers.sparse_encoder.models.MLMTransformer",
    "SpladePooling": "sentence_transformers.sparse_encoder.models.SpladePooling",
}


@dataclass(frozen=True)
class Row:
    """What the harness makes of a checkpoint.

    Attributes:
        name: its repository.
        kind: see `encoders.kinds`.
        similarity: of its vectors; None for other kinds than dense.
        prompts: by role; None for other kinds than dense.
        pooling: as sentence-transformers calls it; None for other kinds.
        modules: what follows the pooling.
        registry: which of prompts and similarity mteb's registry says.
        guessed: whether nothing declares the pooling.
    """

    name: str
    kind: str
    similarity: str | None = None
    prompts: dict[str, str] | None = None
    pooling: str | None = None
    modules: tuple[str, ...] = ()
    registry: frozenset[str] = frozenset()
    guessed: bool = False


def fixtures() -> list[dict[str, Any]]:
    """The fields of every checkpoint."""
    return json.loads(FIXTURES.read_text("utf-8"))


def lay_out(fixture: dict[str, Any], folder: Path) -> Path:
    """Write the configuration files of a checkpoint."""
    for name in ("config.json", SENTENCE_CONFIG):
        if name in fixture:
            (folder / name).write_text(json.dumps(fixture[name]), "utf-8")
    modules = [
        {"type": CLASSES.get(name, name), "path": "" if row == 0 else f"{row}_{name}"}
        for row, name in enumerate(fixture.get("modules", ()))
    ]
    if modules:
        (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    if "pooling" in fixture:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": fixture["pooling"]}), "utf-8")
    if fixture.get("artifact"):
        (folder / "artifact.metadata").write_text("{}", "utf-8")
    return folder


def registered(name: str) -> tuple[dict[str, str], str | None]:
    """Prompts by role and similarity in mteb's registry; empty and None where it does not say."""
    import mteb

    try:
        meta = mteb.get_model_meta(name, fetch_from_hf=False)
    except KeyError:
        return {}, None
    given = meta.loader_kwargs or {}
    template = given.get("instruction_template")
    prompts = given.get("model_prompts") or ({"query": template} if isinstance(template, str) else {})
    return {role: prompts.get(role, "") for role in ("query", "document") if prompts}, meta.similarity_fn_name


def row_of(fixture: dict[str, Any]) -> Row:
    """What the harness makes of a checkpoint."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = lay_out(fixture, Path(temporary))
        kind = kind_of(folder).kind
        if kind != "dense":
            return Row(fixture["name"], kind)
        prompts = {str(role): text for role, text in chosen(declared_prompts(folder), Settings()).texts.items()}
        pooling = declared_pooling(folder)
    similarity = fixture.get(SENTENCE_CONFIG, {}).get("similarity_fn_name")
    looked_up, compared = registered(fixture["name"])
    used = set()
    if not fixture.get(SENTENCE_CONFIG, {}).get("prompts") and any(looked_up.values()):
        prompts = looked_up
        used.add("prompts")
    if similarity is None and compared is not None and str(compared) != "cosine":
        similarity = str(compared)
        used.add("similarity")
    modules = tuple(fixture.get("modules", ())[2:])
    return Row(
        fixture["name"], kind, similarity or "cosine", prompts, pooling or "mean", modules, frozenset(used), not pooling
    )


def table() -> str:
    """The table, in Markdown."""
    lines = [
        "| checkpoint | kind | similarity | before a query | before a document | pooling |",
        "|---|---|---|---|---|---|",
    ]
    for row in map(row_of, fixtures()):
        cells = [f"`{row.name}`", row.kind]
        if row.prompts is None:
            cells += ["refused", "", "", ""]
        else:
            source = " *" if "prompts" in row.registry else ""
            cells.append(f"{row.similarity}{' *' if 'similarity' in row.registry else ''}")
            cells += [f"{_quoted(row.prompts[role])}{source}" for role in ("query", "document")]
            guess = " (a guess, warned of)" if row.guessed else ""
            cells.append(", ".join([f"{row.pooling}{guess}", *row.modules]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    shown = text.replace("\n", "\\n")
    return f"`{shown}`" if text else "nothing"


def main() -> None:
    """Write the table into the page, or compare it."""
    parser = argparse.ArgumentParser(description="Write the table of checkpoints into docs/encoders.md.")
    parser.add_argument("--check", action="store_true", help="Compare, and write nothing.")
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if not parser.parse_args().check:
        PAGE.write_text(new, "utf-8")
    elif new != page:
        sys.exit(f"{PAGE}: the table of checkpoints is not what {Path(__file__).name} writes; run it")


if __name__ == "__main__":
    main()
