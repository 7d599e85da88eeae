"""What an encoder returned: a matrix with one finite row per text, or an error that says what came instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xlir_bench.collection import Texts
from xlir_bench.encoders.checkpoint import Foreign
from xlir_bench.encoders.protocol import Encoder, Lookup, ModelInfo, Role, Vectors
from xlir_bench.errors import InputError, XlirError, one_line
from xlir_bench.external_code import external_code
from xlir_bench.streams import stdout_to_stderr

_QUOTED = 60
_NOT_NUMBERS = {
    "b": "true and false",
    "c": "complex numbers",
    "S": "bytes",
    "U": "text",
    "M": "dates",
    "m": "time differences",
}


@dataclass(frozen=True)
class Batch:
    """Texts that an encoder is given at once, and who it is.

    Attributes:
        info: the encoder.
        role: queries or documents.
        texts, languages, ids: of equal length, at least one text.
    """

    info: ModelInfo
    role: Role
    texts: Sequence[str]
    languages: Sequence[str]
    ids: Sequence[str]

    def quoted(self, row: int) -> str:
        """One text as a message names it: role, beginning and id."""
        text = " ".join(self.texts[row].split())
        shown = text if len(text) <= _QUOTED else f"{text[: _QUOTED - 1]}…"
        return f'{self.role} "{shown}" (id {self.ids[row]})'

    def __str__(self) -> str:
        count = len(self.texts)
        return f"{count} text{'s' if count > 1 else ''} beginning with {self.quoted(0)}"


def encoded(encoder: Encoder, batch: Batch) -> Vectors:
    """Vectors of a batch, shape (texts, dimensions).

    Raises:
        InputError: the encoder raised something, or returned something else than one finite vector per text.
    """
    with external_code(f"encoder {batch.info.id} failed", f"on {batch}", owner=batch.info.id):
        returned = encoder.encode(list(batch.texts), role=batch.role, languages=list(batch.languages))
    return checked(returned, batch)


def looked_up(lookup: Lookup, info: ModelInfo, texts: Texts, role: Role) -> Vectors:
    """Vectors that go by the texts' ids, shape (texts, dimensions), in memory of their own.

    Raises:
        InputError: see `encoded`; or there is no vector for an id.
    """
    batch = Batch(info, role, texts.texts, texts.languages, texts.ids)
    if not len(texts):
        return np.empty((0, 0), np.float32)
    with external_code(f"{info.id} failed", f"on {batch}", owner=info.id):
        returned = lookup.lookup(texts.ids, role=role)
    return np.array(checked(returned, batch), np.float32, order="C")


def checked(returned: object, batch: Batch) -> Vectors:
    """`returned` as a float32 matrix.

    Raises:
        InputError: it is not one finite row per text; the message names the encoder, the text and what came.
    """
    who = f"encoder {batch.info.id} returned"
    count = len(batch.texts)
    expected = f"a matrix of shape ({count}, dimensions) was expected"
    try:
        with stdout_to_stderr():  # objects that compute when they are read run the encoder's code here
            matrix = as_matrix(returned)
    except (XlirError, KeyboardInterrupt):
        raise
    except BaseException as error:
        said = one_line(error)
        reason = said.partition(": ")[2] or said if isinstance(error, TypeError | ValueError) else said
        raise InputError(
            f"{who} {type(returned).__name__} that is not a matrix of numbers for {batch} ({reason}); {expected}"
        ) from error
    if matrix.ndim != 2 or len(matrix) != count or not matrix.shape[1]:
        came = f"an array of shape {matrix.shape}" if matrix.ndim else type(returned).__name__
        raise InputError(f"{who} {came} for {batch}; {expected}")
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        wrong = int(np.flatnonzero(~finite)[0])
        value = "NaN" if np.isnan(matrix[wrong]).any() else "infinity"
        raise InputError(f"{who} {value} for {batch.quoted(wrong)}")
    return matrix


def as_matrix(returned: Foreign) -> npt.NDArray[np.float32]:
    """What an encoder returned, as a float32 array of whatever shape it has.

    Arrays, nested lists, data frames, tensors of any precision and device, and lists of these are understood. Sparse
    matrices are not: a sparse model is another kind of retriever, which would be measured as a dense one.

    Raises:
        TypeError: sparse, or not real numbers; the message says what.
        ValueError: rows of different lengths, masked values, or values that float32 rounds to zero vectors.
    """
    _refuse_sparse(returned)
    if hasattr(returned, "detach"):
        returned = _of_tensor(returned)
    elif isinstance(returned, list | tuple):
        for row in returned:
            _refuse_sparse(row)
        if any(hasattr(row, "detach") for row in returned):
            returned = np.stack([as_matrix(row) for row in returned])
        elif any(np.ma.is_masked(row) for row in returned):
            raise ValueError("masked values have no number")
    if np.ma.is_masked(returned):
        raise ValueError("masked values have no number")
    array = np.asarray(returned)
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise TypeError(_not_numbers(array))
    with np.errstate(over="ignore", under="ignore"):  # beyond float32 is infinite, and is named as such
        matrix = np.asarray(array, dtype=np.float32)
    if array.dtype.kind == "f" and array.dtype.itemsize > 4 and matrix.ndim == 2:
        vanished = array.any(axis=1) & ~matrix.any(axis=1)
        if vanished.any():
            raise ValueError(f"row {int(np.flatnonzero(vanished)[0])} is so small that float32 makes it zero")
    return matrix


def check_same_width(info: ModelInfo, queries: Vectors, documents: Vectors) -> None:
    """Refuse queries and documents whose vectors cannot be compared, shape (texts, dimensions) each.

    Raises:
        InputError: they have different numbers of dimensions.
    """
    if len(queries) and len(documents) and queries.shape[1] != documents.shape[1]:
        raise InputError(
            f"encoder {info.id} returned {queries.shape[1]} dimensions for queries and {documents.shape[1]} for "
            "documents; both need the same"
        )


def _refuse_sparse(returned: Foreign) -> None:
    layout = str(getattr(returned, "layout", "torch.strided"))
    sparse = layout.startswith("torch.sparse") or hasattr(returned, "toarray") or hasattr(returned, "todense")
    if sparse or (hasattr(returned, "dtypes") and hasattr(returned, "sparse")):
        raise TypeError("a sparse matrix; sparse vectors are not measured as dense ones")


def _of_tensor(tensor: Foreign) -> Foreign:
    """A torch tensor as an array of the same numbers."""
    if getattr(tensor, "is_nested", False):
        raise ValueError("a nested tensor, whose rows may have different lengths")
    if tensor.is_complex():
        raise TypeError(f"{_NOT_NUMBERS['c']} of type {tensor.dtype}, not real numbers")
    tensor = tensor.detach().cpu()
    if getattr(tensor, "is_quantized", False):
        tensor = tensor.dequantize()
    # numpy has no bfloat16 and no float8, so the tensor becomes float32 before it becomes an array.
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()
    return tensor.resolve_neg().numpy()


def _not_numbers(array: npt.NDArray[np.generic]) -> str:
    kind = _NOT_NUMBERS.get(array.dtype.kind)
    if kind is not None:
        return f"{kind} of type {array.dtype}, not real numbers"
    if array.dtype.kind == "O" and array.size:
        first = array.ravel()[0]
        return f"Python objects such as {type(first).__name__}, not real numbers"
    return f"values of type {array.dtype}, not real numbers"
