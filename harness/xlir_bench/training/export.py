"""A static encoder as a sentence-transformers folder: safetensors and JSON only, no code.

The vectors are stored as 8-bit integers with one scale per piece, under the names (`embeddings`, `weights`) that
`StaticEmbedding.load` multiplies out into float32 again: a quarter of the size, and vectors that differ by less
than one percent.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer

from xlir_bench.files import remove_folder
from xlir_bench.training.heldout import Embeddings, Encode
from xlir_bench.training.start import Vectors

_LARGEST = 127
_CARD = "README.md"  # sentence-transformers writes one of its own; ours is written by hand


def quantised(vectors: Vectors) -> tuple[NDArray[np.int8], Vectors]:
    """Round every row to 8-bit integers: `integers * scales[:, None]` is close to `vectors`.

    Returns:
        Integers of the shape of `vectors`, and scales of shape (pieces,).
    """
    scales = np.maximum(np.abs(vectors).max(axis=1), 1e-12) / _LARGEST
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def save_encoder(vectors: Vectors, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the encoder; files of other names in the folder stay as they are.

    Everything is written beside the folder first and moved in at the end, file by file, the list of modules
    last: a run cut off leaves the folder as it was, or without a readable encoder, never with half of one.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as beside:
        module = StaticEmbedding(tokenizer, embedding_weights=torch.from_numpy(vectors))
        model = SentenceTransformer(modules=[module], device="cpu", similarity_fn_name="cosine")
        model.save(beside, create_model_card=False)
        integers, scales = quantised(vectors)
        tensors = {"embeddings": torch.from_numpy(integers), "weights": torch.from_numpy(scales)}
        save_file(tensors, Path(beside) / "model.safetensors")
        tokenizer.save(str(Path(beside) / "tokenizer.json"), pretty=False)
        (Path(beside) / _CARD).unlink(missing_ok=True)
        folder.mkdir(exist_ok=True)
        (folder / "modules.json").unlink(missing_ok=True)
        for path in sorted(Path(beside).iterdir(), key=lambda path: path.name == "modules.json"):
            if path.is_dir():
                remove_folder(folder / path.name)
            else:
                path.chmod(0o644)  # safetensors writes for its owner alone
            path.replace(folder / path.name)


def encoder_of(folder: Path) -> Encode:
    """Load a saved encoder as a function from texts to vectors of unit length."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)

    def encode(texts: Sequence[str]) -> Embeddings:
        vectors = model.encode(list(texts), batch_size=256, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    return encode
