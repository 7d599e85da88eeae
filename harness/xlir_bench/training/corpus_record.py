"""What the commands that train on a corpus share: their threads, and the record beside the encoder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from xlir_bench.training.corpus import Corpus, record_counts
from xlir_bench.training.heldout import HeldOutScores


def use_threads(threads: int | None) -> None:
    """Compute with so many CPU threads; None leaves it to the libraries."""
    if threads is not None:
        # The tokenizers' own pool reads the variable when it first starts.
        os.environ["RAYON_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)


def write_record(
    folder: Path, settings: Mapping[str, object], corpus: Corpus, seconds: float, scores: HeldOutScores
) -> None:
    """Write `training.json` into an encoder's folder, and print it.

    Args:
        folder: of the encoder.
        settings: what was asked for, under its name.
        corpus: what it was trained on.
        seconds: of training.
        scores: of the encoder as it is stored, on held-out records.
    """
    record = {
        **settings,
        "minutes": round(seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "records": dict(record_counts(corpus)),
        "held_out": {name: round(value, 4) for name, value in asdict(scores).items()},
    }
    text = json.dumps(record, indent=1) + "\n"
    (folder / "training.json").write_text(text, encoding="utf-8")
    print(text, end="")
