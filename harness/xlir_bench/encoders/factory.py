"""Models that are code: `FILE.py:FACTORY` and `PACKAGE.MODULE:FACTORY`.

A factory takes no arguments, or one named `device`, and returns an object with one of three interfaces:

- ours: `encode(texts, *, role, languages)`;
- BEIR's: `encode_queries(queries, batch_size, **kwargs)` and `encode_corpus(corpus, batch_size, **kwargs)`, where the
  corpus is a list of dictionaries with `title` and `text`;
- mteb's `EncoderProtocol`: `encode(inputs, *, task_metadata, hf_split, hf_subset, prompt_type, **kwargs)`.

How vectors are compared is taken from the object, see `encoders.similarity`: a name in an attribute `similarity` or
`similarity_fn_name`, mteb's `mteb_model_meta`, or a function `similarity(a, b)`.

A `SentenceTransformer` is taken too. What a factory makes cannot be read from a folder, so its fingerprint is the
SHA-256 of the factory's source file and of the vectors that the model gives to a few fixed texts in both roles. New
weights under unchanged code change it, and two models never share stored vectors, whatever they are called.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from xlir_bench.collection import Texts
from xlir_bench.encoders import sentence_transformer
from xlir_bench.encoders.checkpoint import Foreign, Loaded, Settings, one_line, pick_device
from xlir_bench.encoders.encode import encode_texts
from xlir_bench.encoders.mteb_protocol import MtebEncoder, sent_prompts
from xlir_bench.encoders.protocol import Encoder, Model, ModelInfo, Role, Similarity, Vectors
from xlir_bench.encoders.similarity import of_object
from xlir_bench.errors import InputError, XlirError

_EXPECTED = (
    "encode(texts, *, role, languages); BEIR's encode_queries(queries, batch_size, **kwargs) and "
    "encode_corpus(corpus, batch_size, **kwargs); or mteb's EncoderProtocol, encode(inputs, *, task_metadata, "
    "hf_split, hf_subset, prompt_type, **kwargs)"
)
_BATCH = 64

PROBES = (
    ("en", "Where does the river Danube meet the Black Sea?"),
    ("de", "Die Brücke wurde 1842 über den Fluss gebaut."),
    ("ru", "Столица страны расположена на берегу реки."),
    ("el", "Το ποτάμι διασχίζει την παλιά πόλη."),
    ("ar", "يقع المتحف في وسط المدينة القديمة."),
    ("hi", "यह पुस्तक पहली बार कब प्रकाशित हुई थी?"),
    ("th", "แม่น้ำสายนี้ยาวกี่กิโลเมตร"),
    ("zh", "这座城市有多少居民？"),
    ("vi", "Ngọn núi này cao bao nhiêu mét?"),
    ("en", " ".join(f"Its branch {number} is {number * 7} kilometres long." for number in range(1, 41))),
)
"""Language and text of what a factory's model is recognised by. The last is of some 400 tokens: a model that cuts texts
at 256 is another than one that does not."""


class BeirEncoder:
    """A model with BEIR's two methods."""

    def __init__(self, model: Foreign) -> None:
        self.model = model

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions). A document's whole text is its `text`, and its `title` is empty."""
        method = self.model.encode_queries if role == "query" else self.model.encode_corpus
        given = list(texts) if role == "query" else [{"title": "", "text": text} for text in texts]
        any_keyword = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(method).parameters.values())
        quiet = {"show_progress_bar": False} if any_keyword else {}
        vectors: Vectors = method(given, batch_size=_BATCH, **quiet)
        return vectors


def load(model_id: str, place: str, name: str, device: str | None, similarity: Similarity | None = None) -> Model:
    """The model that a factory makes.

    Args:
        model_id: as typed, PLACE:NAME.
        place: a file ending in `.py`, or a module's dotted name.
        name: the factory in it; dots reach into classes.
        device: given to the factory if it has a parameter of this name; the best there is if none is given.
        similarity: what counts instead of what the object declares.

    Raises:
        InputError: no such file, module or attribute; the factory fails, or returns none of the three interfaces; or
            the model returns something else than one finite vector per text, or compares vectors in a way that cannot
            be measured.
    """
    module = _module(model_id, place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"{model_id}: {place} has no {name!r}; name a function that returns an encoder")
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{model_id}: {name!r} is {type(found).__name__}, not a function that returns an encoder")
    loaded = adapted(_made(model_id, found, device), model_id, similarity)
    file = Path(module.__file__ or "")
    source = file.read_bytes() if file.is_file() else module.__name__.encode()
    identity = probed(loaded.encoder, model_id, source)
    stem = Path(place).stem if place.endswith(".py") else place
    safe = re.sub(r"[^\w.-]+", "-", stem)
    info = ModelInfo(
        id=model_id,
        name=f"{safe}-{identity[:8]}",
        fingerprint=identity,
        prompts=loaded.prompts,
        similarity=loaded.similarity,
        details={**loaded.fingerprint_fields, **loaded.details},
    )
    return Model(info, loaded.encoder)


def adapted(made: Foreign, model_id: str, similarity: Similarity | None = None) -> Loaded:
    """What a factory returned, behind our protocol.

    Args:
        made: the object.
        model_id: as typed, for messages.
        similarity: what counts instead of what the object declares.

    Raises:
        InputError: it has none of the three interfaces, or compares vectors in a way that cannot be measured.
    """
    if _is_sentence_transformer(made):
        return sentence_transformer.wrapped(made, Settings(similarity=similarity), str(made.device))
    encode = getattr(made, "encode", None)
    if callable(encode) and _takes(encode, "role", [], role="query", languages=[]):
        return _of_interface("xlir-bench", made, of_object(made, model_id, similarity))
    if callable(getattr(made, "encode_queries", None)) and callable(getattr(made, "encode_corpus", None)):
        return _of_interface("beir", BeirEncoder(made), of_object(made, model_id, similarity))
    context = {"task_metadata": None, "hf_split": "", "hf_subset": "", "prompt_type": None}
    if callable(encode) and _takes(encode, "task_metadata", [], **context):
        return of_mteb(made, of_object(made, model_id, similarity))
    signature = f" with encode{_signature(encode)}" if callable(encode) else ""
    raise InputError(f"{model_id}: the factory returned {type(made).__name__}{signature}; expected {_EXPECTED}")


def of_mteb(made: Foreign, similarity: Similarity) -> Loaded:
    """An object with mteb's interface, with the prompts that it sends."""
    encoder, prompts = MtebEncoder(made), sent_prompts(made)
    loaded = _of_interface("mteb", encoder, similarity)
    if prompts is None:
        return replace(loaded, details={**loaded.details, "prompts": "made by the model's own code"})
    return replace(loaded, prompts=prompts)


def _of_interface(interface: str, encoder: Encoder, similarity: Similarity) -> Loaded:
    """Code puts its own prompts before its texts, if any: none are known here."""
    details = {"adapter": "factory", "interface": interface}
    return Loaded(encoder, {"query": "", "document": ""}, similarity, {}, details)


def _module(model_id: str, place: str) -> ModuleType:
    """The module of the factory, run now; its neighbours can be imported, as they can from a script."""
    path = Path(place)
    is_file = place.endswith(".py")
    if is_file and not path.is_file():
        raise InputError(f"{model_id}: there is no file {place}")
    neighbours = str(path.resolve().parent if is_file else Path.cwd())
    if neighbours not in sys.path:
        sys.path.append(neighbours)
    try:
        if not is_file:
            return importlib.import_module(place)
        # Under a name of its own, for two files of one name are two modules.
        unique = f"_xlir_bench_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}_{path.stem}"
        spec = importlib.util.spec_from_file_location(unique, path)
        if spec is None or spec.loader is None:
            raise InputError(f"{model_id}: {place} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module
        spec.loader.exec_module(module)
    except XlirError:
        raise
    except Exception as error:
        raise InputError(f"{model_id}: {place} cannot be imported ({one_line(error)})") from error
    return module


def _made(model_id: str, factory: Callable[..., Any], device: str | None) -> Foreign:
    signature = _signature(factory)
    # Looking for the best device loads torch, which a factory that takes none may well do without.
    given = {"device": pick_device(device)} if signature is not None and "device" in signature.parameters else {}
    try:
        return factory(**given)
    except XlirError:
        raise
    except Exception as error:
        raise InputError(f"{model_id}: the factory failed ({one_line(error)})") from error


def probed(encoder: Encoder, model_id: str, source: bytes) -> str:
    """The fingerprint of a model that cannot be read from files: SHA-256 of `source` and of its vectors of `PROBES`.

    Raises:
        InputError: it does not return one finite vector per text.
    """
    digest = hashlib.sha256(hashlib.sha256(source).digest())
    probes = Texts(
        [f"probe-{number}" for number in range(len(PROBES))],
        [text for _, text in PROBES],
        [language for language, _ in PROBES],
    )
    unknown = ModelInfo(model_id, model_id, fingerprint="")
    roles: tuple[Role, ...] = ("query", "document")
    for role in roles:
        vectors = encode_texts(encoder, unknown, probes, role).vectors
        digest.update(f"{role} {vectors.shape}".encode())
        digest.update(vectors.tobytes())
    return digest.hexdigest()


def _takes(method: Callable[..., Any], keyword: str, *arguments: Foreign, **keywords: Foreign) -> bool:
    """Whether `method` can be called so, and names `keyword` among its parameters.

    `**kwargs` alone is not enough: much that takes anything ignores the role, or fails on it later.
    """
    signature = _signature(method)
    if signature is None or keyword not in signature.parameters:
        return False
    try:
        signature.bind(*arguments, **keywords)
    except TypeError:
        return False
    return True


def _signature(method: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(method)
    except (TypeError, ValueError):
        return None


def _is_sentence_transformer(made: Foreign) -> bool:
    # One cannot have been made without its module being loaded.
    library = sys.modules.get("sentence_transformers")
    return library is not None and isinstance(made, library.SentenceTransformer)
