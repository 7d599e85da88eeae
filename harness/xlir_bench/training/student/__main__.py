"""Train a two-path encoder by a recipe.

    python -m xlir_bench.training.student RECIPE --data DIR --teacher FOLDER --output FOLDER

`DIR` holds `train/` and `qa/` (see `corpus.SOURCES`), the teacher is an English sentence-transformers folder with a
BERT body. A run cut off goes on with the stage it was in.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from xlir_bench.encoders.two_path import TwoPath
from xlir_bench.errors import XlirError
from xlir_bench.progress import bar
from xlir_bench.resources import folder as package_folder
from xlir_bench.training.corpus import Corpus, load_corpus
from xlir_bench.training.corpus_record import use_threads, write_record
from xlir_bench.training.heldout import Embeddings, HeldOutScores, score
from xlir_bench.training.student.recipe import Sources, read_student_recipe, train_student

_STATIC = "xlir-hybrid-static"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m xlir_bench.training.student", description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and qa/")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the English encoder")
    parser.add_argument("--static", type=Path, help=f"folder of the static encoder (default: the bundled {_STATIC})")
    parser.add_argument("--output", type=Path, required=True, help="folder of the encoder")
    parser.add_argument("--work", type=Path, help="folder for finished stages (default: OUTPUT.work)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all)")
    options = parser.parse_args(arguments)
    use_threads(options.threads)
    started = time.monotonic()
    try:
        recipe = read_student_recipe(options.recipe)
        corpus = load_corpus(options.data)
        static = options.static or package_folder("submissions") / _STATIC
        work = options.work or options.output.with_name(options.output.name + ".work")
        with bar() as progress:
            encoder = train_student(recipe, Sources(corpus, options.teacher, static, work), progress)
    except XlirError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    encoder.save(str(options.output))
    seconds = time.monotonic() - started
    settings = {"recipe": recipe.model_dump(mode="json")}
    write_record(options.output, settings, corpus, seconds, _scores(corpus, options.output))
    return 0


def _scores(corpus: Corpus, folder: Path) -> HeldOutScores:
    """How the stored encoder does on held-out records."""
    model = SentenceTransformer(modules=[TwoPath.load(str(folder))], device="cpu")

    def encode(texts: Sequence[str]) -> Embeddings:
        return np.asarray(model.encode(list(texts), batch_size=128, show_progress_bar=False), dtype=np.float32)

    return score(encode, corpus.held_out_aligned, corpus.held_out_questions)


if __name__ == "__main__":
    raise SystemExit(main())
