"""How a model that is code compares its vectors: what it declares, and what its own function computes.

A declaration is a name, as an attribute `similarity` or `similarity_fn_name`, or in mteb's `ModelMeta`. A function
`similarity(a, b)`, which the protocols of mteb and of sentence-transformers have, is called with a few small random
vectors, and its scores are compared with the four that can be measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from xlir_bench.encoders.checkpoint import Foreign, one_line
from xlir_bench.encoders.protocol import Similarity
from xlir_bench.errors import InputError, warn

Scores = npt.NDArray[np.float64]

KNOWN: tuple[Similarity, ...] = get_args(Similarity)

_SAME_AS: dict[str, Similarity] = {
    "cos": "cosine",
    "cos_sim": "cosine",
    "dot_score": "dot",
    "dot_product": "dot",
    "euclidean_sim": "euclidean",
    "manhattan_sim": "manhattan",
}
"""What BEIR and the functions of sentence-transformers call them."""

_CHOICE = f"give --similarity {'|'.join(KNOWN)}"


def undeclared(who: str) -> Similarity:
    """Cosine, with a warning that nothing says so."""
    warn(f"{who} declares no similarity; measured with cosine: give --similarity if it was trained for another")
    return "cosine"


def named(name: object, who: str) -> Similarity | None:
    """The similarity of a name, or of a member of an enumeration whose value is the name; None for None.

    Args:
        name: as a library declares it, e.g. "dot", `SimilarityFunction.DOT_PRODUCT` or `ScoringFunction.COSINE`.
        who: the model, for the message.

    Raises:
        InputError: it is none of the four.
    """
    if name is None:
        return None
    text = str(name.value if isinstance(name, Enum) else name)
    plain = text.lower()
    for known in KNOWN:
        if plain == known or _SAME_AS.get(plain) == known:
            return known
    if plain.endswith("maxsim"):
        raise InputError(
            f"{who} is a multi-vector model (late interaction): it compares token vectors by {text}, and only models "
            "that give one vector per text can be measured"
        )
    if plain == "custom":
        raise InputError(f"{who} compares vectors by a function of its own (custom), which is not known: {_CHOICE}")
    raise InputError(f"{who} compares vectors by {text!r}; known are {', '.join(KNOWN)}: {_CHOICE}")


def computed(function: Callable[..., Any], who: str) -> Similarity:
    """Which of the four similarities a function computes.

    Args:
        function: from two matrices, (m, dimensions) and (n, dimensions), to scores, (m, n).
        who: the model, for the message.

    Raises:
        InputError: it fails, or its scores are none of the four.
    """
    rng = np.random.default_rng(0)
    queries = rng.standard_normal((4, 8)).astype(np.float32) * np.array([[0.5], [1], [2], [3]], np.float32)
    documents = rng.standard_normal((5, 8)).astype(np.float32) * np.array([[3], [0.3], [1], [2], [0.7]], np.float32)
    found = _called(function, queries, documents, who)
    for similarity in KNOWN:
        expected = _scores(queries, documents, similarity)
        # A model may compute in half precision.
        if found.shape == expected.shape and np.allclose(found, expected, rtol=0.02, atol=0.02):
            return similarity
    raise InputError(
        f"{who} compares vectors by a function similarity() of its own, whose scores are none of {', '.join(KNOWN)}: "
        f"{_CHOICE} if one of them ranks as it does"
    )


def of_object(made: Foreign, who: str, given: Similarity | None = None) -> Similarity:
    """How the vectors of a factory's object are to be compared.

    The first of these decides: `given`; an attribute `similarity` that is a name; `similarity_fn_name`;
    `mteb_model_meta.similarity_fn_name`; the function `similarity`; cosine, with a warning.

    Args:
        made: the object.
        who: the model, for messages.
        given: what the person who runs it decided.

    Raises:
        InputError: it declares a similarity that cannot be measured, or its function `similarity` computes another one
            than it declares.
    """
    if given is not None:
        return given
    own = getattr(made, "similarity", None)
    function = own if callable(own) and not isinstance(own, Enum) else None
    declarations = (
        None if function is not None else own,
        getattr(made, "similarity_fn_name", None),
        getattr(getattr(made, "mteb_model_meta", None), "similarity_fn_name", None),
    )
    declared = next((found for name in declarations if (found := named(name, who)) is not None), None)
    if function is None or _waits_for_mteb(made, function):
        return declared or undeclared(who)
    return agreed(declared, function, who, wraps_sentence_transformer(made))


def agreed(declared: Similarity | None, function: Callable[..., Any], who: str, defaulted: bool = False) -> Similarity:
    """What a model declares, if its function `similarity` computes that; what it computes, if nothing is declared.

    Args:
        declared: by a name.
        function: the model's.
        who: the model, for messages.
        defaulted: the function is that of a wrapped sentence-transformers model, which is cosine where the checkpoint
            says nothing. A declaration outweighs cosine then, and is outweighed by anything else, with a warning.

    Raises:
        InputError: the function computes none of the four, or not what is declared.
    """
    found = computed(function, who)
    if declared is None or declared == found:
        return found
    if defaulted:
        chosen = declared if found == "cosine" else found
        warn(f"{who} declares {declared}, and its checkpoint computes {found}; measured with {chosen}: {_CHOICE}")
        return chosen
    raise InputError(f"{who} declares {declared}, but its function similarity() computes {found}: {_CHOICE}")


def wraps_sentence_transformer(made: Foreign) -> bool:
    """Whether the object's attribute `model` is a `SentenceTransformer`."""
    # One cannot have been made without its module being loaded.
    library = sys.modules.get("sentence_transformers")
    return library is not None and isinstance(getattr(made, "model", None), library.SentenceTransformer)


def _waits_for_mteb(made: Foreign, function: Callable[..., Any]) -> bool:
    """Whether the function fails for want of `mteb_model_meta`, which mteb sets when it loads a model itself."""
    if getattr(made, "mteb_model_meta", function) is not None:
        return False
    try:
        function(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    except AttributeError:
        return True
    except Exception:  # whatever foreign code raises; it is asked again, with tensors
        return False
    return False


def _called(
    function: Callable[..., Any], queries: npt.NDArray[np.float32], documents: npt.NDArray[np.float32], who: str
) -> Scores:
    """What a function gives for arrays, or for tensors if it takes no arrays."""
    try:
        try:
            found = function(queries, documents)
        except Exception:  # whatever foreign code raises for a type that it does not expect
            torch = sys.modules.get("torch")
            if torch is None:
                raise
            found = function(torch.from_numpy(queries), torch.from_numpy(documents))
        if hasattr(found, "detach"):
            found = found.detach().float().cpu().numpy()
        return np.asarray(found, dtype=np.float64)
    except Exception as error:
        raise InputError(f"{who}: its function similarity() fails ({one_line(error)}): {_CHOICE}") from error


def _scores(queries: npt.NDArray[np.float32], documents: npt.NDArray[np.float32], similarity: Similarity) -> Scores:
    x, y = queries.astype(np.float64), documents.astype(np.float64)
    if similarity == "cosine":
        x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    if similarity in {"cosine", "dot"}:
        products: Scores = x @ y.T
        return products
    apart = x[:, None] - y[None]
    distances: Scores = np.sqrt((apart**2).sum(axis=2)) if similarity == "euclidean" else np.abs(apart).sum(axis=2)
    return -distances
