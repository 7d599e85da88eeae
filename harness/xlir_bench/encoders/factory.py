"""Models that are code: `FILE.py:FACTORY` and `PACKAGE.MODULE:FACTORY`.

A factory takes no arguments, or one named `device`, and returns an object with one of three interfaces:

- ours: `encode(texts, *, role, languages)`;
- BEIR's: `encode_queries(queries, batch_size, **kwargs)` and `encode_corpus(corpus, batch_size, **kwargs)`, where the
  corpus is a list of dictionaries with `title` and `text`;
- mteb's `EncoderProtocol`: `encode(inputs, *, task_metadata, hf_split, hf_subset, prompt_type, **kwargs)`.

How vectors are compared is taken from the object, see `encoders.similarity`: a name in an attribute `similarity` or
`similarity_fn_name`, mteb's `mteb_model_meta`, or a function `similarity(a, b)`.

A `SentenceTransformer` is taken too.

What a factory makes cannot be read from a folder. It is identified by

- the factory's name, and the source of its module and of every module that this imports (see `source_code`);
- weights, configuration and tokenizer of torch modules, and arrays, that the object is or holds (see `in_memory`);
- unless it is a `SentenceTransformer`, the vectors that it gives to a few fixed texts in both roles.

An object may say itself what it is, by an attribute `fingerprint` or a method of that name without arguments that gives
a text: then that and the factory's name identify it. The environment and the current folder never do. Since none of
this sees everything, such models are marked `verify_stored`.
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
from typing import Any, Literal

from xlir_bench.collection import Texts
from xlir_bench.encoders import in_memory, sentence_transformer, source_code
from xlir_bench.encoders.checkpoint import Foreign, Loaded, Settings, one_line, pick_device
from xlir_bench.encoders.encode import encode_texts
from xlir_bench.encoders.identity import VectorFields, digest_of, identified
from xlir_bench.encoders.kinds import refuse_other_objects
from xlir_bench.encoders.mteb_protocol import MtebEncoder, sent_prompts
from xlir_bench.encoders.protocol import Encoder, Model, ModelInfo, Role, Similarity, Vectors
from xlir_bench.encoders.similarity import of_object
from xlir_bench.encoders.source_code import SourceTree
from xlir_bench.errors import InputError, XlirError
from xlir_bench.process_settings import own_settings

EXPECTED = (
    "encode(texts, *, role, languages); BEIR's encode_queries(queries, batch_size, **kwargs) and "
    "encode_corpus(corpus, batch_size, **kwargs); or mteb's EncoderProtocol, encode(inputs, *, task_metadata, "
    "hf_split, hf_subset, prompt_type, **kwargs)"
)
_BATCH = 64
_folders: set[str] = set()
"""Folders of factories that were put on Python's path."""

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
    """A model with BEIR's two methods.

    Args:
        model: the model.
        batch_size: what they are given as such.
    """

    def __init__(self, model: Foreign, batch_size: int | None = None) -> None:
        self.model, self.batch_size = model, batch_size or _BATCH

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions). A document's whole text is its `text`, and its `title` is empty."""
        method = self.model.encode_queries if role == "query" else self.model.encode_corpus
        given = list(texts) if role == "query" else [{"title": "", "text": text} for text in texts]
        any_keyword = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(method).parameters.values())
        quiet = {"show_progress_bar": False} if any_keyword else {}
        vectors: Vectors = method(given, batch_size=self.batch_size, **quiet)
        return vectors


def load(model_id: str, place: str, name: str, device: str | None, settings: Settings | None = None) -> Model:
    """The model that a factory makes.

    Args:
        model_id: as typed, PLACE:NAME.
        place: a file ending in `.py`, or a module's dotted name.
        name: the factory in it; dots reach into classes.
        device: given to the factory if it has a parameter of this name; the best there is if none is given.
        settings: similarity and batch size, instead of what the object declares.

    Raises:
        InputError: no such file, module or attribute; the factory fails, or returns none of the three interfaces; or
            the model returns something else than one finite vector per text, or compares vectors in a way that cannot
            be measured.
    """
    _reach_neighbours(model_id, place)
    tree = _tree(model_id, place)
    tree.reload_changed()
    before = set(sys.modules)
    with source_code.without_bytecode():
        with own_settings(model_id):  # messages of ours below are not to be hidden by it
            made = _made(model_id, _factory(model_id, place, name), device)
        declared = declared_fingerprint(model_id, made)
        # Before the model is used, which may change what it holds.
        state = in_memory.state_of(made)
        held = state or in_memory.held_by(made)
        loaded = adapted(made, model_id, settings)
        plain = state is not None and is_sentence_transformer(made) and not sentence_transformer.is_altered(made)
        known = declared is not None or plain
        behaviour = "" if known else probed(loaded.encoder, model_id)
    tree.remember(before, [kind.__module__ for kind in type(made).__mro__])
    content = declared or digest_of(tree.fingerprint(), held, behaviour)
    stem = Path(place).stem if place.endswith(".py") else place
    safe = re.sub(r"[^\w.-]+", "-", stem)
    info = ModelInfo(
        id=model_id,
        name=f"{safe}-{{fingerprint}}",
        fingerprint="",
        prompts=loaded.prompts,
        similarity=loaded.similarity,
        details={**loaded.fingerprint_fields, **loaded.details},
        verify_stored=True,
    )
    fields = VectorFields(str(loaded.details["adapter"]), digest_of(name, content), loaded.fingerprint_fields)
    return Model(identified(info, fields), loaded.encoder)


def adapted(made: Foreign, model_id: str, settings: Settings | None = None) -> Loaded:
    """What a factory returned, behind our protocol.

    Args:
        made: the object.
        model_id: as typed, for messages.
        settings: similarity and batch size, instead of what the object declares.

    Raises:
        InputError: it has none of the three interfaces, or compares vectors in a way that cannot be measured.
    """
    refuse_other_objects(made, model_id)
    settings = settings or Settings()
    similarity = settings.similarity
    if is_sentence_transformer(made):
        return sentence_transformer.wrapped(made, settings, str(made.device))
    interface = interface_of(made)
    if interface == "xlir-bench":
        refuse_batch_size(settings, model_id)
        return of_interface(interface, made, of_object(made, model_id, similarity))
    if interface == "beir":
        return of_interface(interface, BeirEncoder(made, settings.batch_size), of_object(made, model_id, similarity))
    if interface == "mteb":
        return of_mteb(made, of_object(made, model_id, similarity), settings.batch_size)
    raise InputError(f"{model_id}: the factory returned {what_it_is(made)}; expected {EXPECTED}")


def interface_of(made: Foreign) -> Literal["xlir-bench", "beir", "mteb"] | None:
    """Which of the three interfaces an object has."""
    encode = getattr(made, "encode", None)
    if callable(encode) and _takes(encode, "role", [], role="query", languages=[]):
        return "xlir-bench"
    if callable(getattr(made, "encode_queries", None)) and callable(getattr(made, "encode_corpus", None)):
        return "beir"
    context = {"task_metadata": None, "hf_split": "", "hf_subset": "", "prompt_type": None}
    return "mteb" if callable(encode) and _takes(encode, "task_metadata", [], **context) else None


def what_it_is(made: Foreign) -> str:
    """The type of an object, with the signature of its `encode`, for messages."""
    encode = getattr(made, "encode", None)
    return type(made).__name__ + (f" with encode{signature_of(encode)}" if callable(encode) else "")


def refuse_batch_size(settings: Settings, model_id: str) -> None:
    """Refuse a batch size for a model that is called with as many texts as the harness likes.

    Raises:
        InputError: one was set.
    """
    if settings.batch_size is not None:
        raise InputError(f"{model_id}: batch_size (--batch-size) would have no effect: its code makes its own batches")


def of_mteb(made: Foreign, similarity: Similarity, batch_size: int | None = None) -> Loaded:
    """An object with mteb's interface, with the prompts that it sends."""
    given = {} if batch_size is None else {"batch_size": batch_size}
    encoder, prompts = MtebEncoder(made, options=given), sent_prompts(made)
    loaded = of_interface("mteb", encoder, similarity)
    if prompts is None:
        return replace(loaded, details={**loaded.details, "prompts": "made by the model's own code"})
    return replace(loaded, prompts=prompts)


def of_interface(interface: str, encoder: Encoder, similarity: Similarity) -> Loaded:
    """Code puts its own prompts before its texts, if any: none are known here."""
    details = {"adapter": "factory", "interface": interface}
    return Loaded(encoder, {"query": "", "document": ""}, similarity, {}, details)


def _reach_neighbours(model_id: str, place: str) -> None:
    """Let what lies beside a factory be imported, as from a script, and before what lies beside earlier factories.

    It stays so: a model may import something when it encodes.
    """
    path = Path(place)
    is_file = place.endswith(".py")
    if is_file and not path.is_file():
        raise InputError(f"{model_id}: there is no file {place}")
    folder = str(path.resolve().parent if is_file else Path.cwd())
    if folder in sys.path and folder not in _folders:
        return
    at = min((sys.path.index(entry) for entry in _folders if entry in sys.path), default=len(sys.path))
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(at, folder)
    _folders.add(folder)


def _tree(model_id: str, place: str) -> SourceTree:
    try:
        return SourceTree.of_file(Path(place)) if place.endswith(".py") else SourceTree.of_module(place)
    except OSError as error:
        raise InputError(f"{model_id}: {place} cannot be read ({error.strerror})") from None


def _factory(model_id: str, place: str, name: str) -> Callable[..., Any]:
    found: Any = _module(model_id, place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"{model_id}: {place} has no {name!r}; name a function that returns an encoder")
        found = getattr(found, part)
    if not callable(found):
        raise InputError(f"{model_id}: {name!r} is {type(found).__name__}, not a function that returns an encoder")
    factory: Callable[..., Any] = found
    return factory


def _module(model_id: str, place: str) -> ModuleType:
    """The module of the factory, run now."""
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        # Under a name of its own, for two files of one name are two modules.
        path = Path(place)
        digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
        unique = f"{source_code.PREFIX}{digest}_{path.stem}"
        spec = importlib.util.spec_from_file_location(unique, path)
        if spec is None or spec.loader is None:
            raise InputError(f"{model_id}: {place} is no Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module
        # Compiled here: a loader may take bytecode of an earlier source of the same second and size.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except XlirError:
        raise
    except Exception as error:
        raise InputError(f"{model_id}: {place} cannot be imported ({one_line(error)})") from error
    return module


def declared_fingerprint(model_id: str, made: Foreign) -> str | None:
    """What an object says that it is; None where it says nothing.

    Raises:
        InputError: it says something else than a text.
    """
    said = getattr(made, "fingerprint", None)
    if said is None:
        return None
    try:
        said = said() if callable(said) else said
    except Exception as error:
        raise InputError(f"{model_id}: its fingerprint() failed ({one_line(error)})") from error
    if not isinstance(said, str) or not said:
        raise InputError(
            f"{model_id}: its fingerprint is {said!r}; give a text, or a method without arguments that gives one"
        )
    return digest_of("declared", said)


def _made(model_id: str, factory: Callable[..., Any], device: str | None) -> Foreign:
    signature = signature_of(factory)
    # Looking for the best device loads torch, which a factory that takes none may well do without.
    given = {"device": pick_device(device)} if signature is not None and "device" in signature.parameters else {}
    try:
        return factory(**given)
    except XlirError:
        raise
    except Exception as error:
        raise InputError(f"{model_id}: the factory failed ({one_line(error)})") from error


def probed(encoder: Encoder, model_id: str) -> str:
    """SHA-256 of the vectors that a model gives to `PROBES` in both roles, hexadecimal.

    Raises:
        InputError: it does not return one finite vector per text.
    """
    digest = hashlib.sha256()
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
    signature = signature_of(method)
    if signature is None or keyword not in signature.parameters:
        return False
    try:
        signature.bind(*arguments, **keywords)
    except TypeError:
        return False
    return True


def signature_of(method: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of something that is called; None where Python cannot tell."""
    try:
        return inspect.signature(method)
    except (TypeError, ValueError):
        return None


def is_sentence_transformer(made: Foreign) -> bool:
    """Whether an object is a `SentenceTransformer`."""
    # One cannot have been made without its module being loaded.
    library = sys.modules.get("sentence_transformers")
    return library is not None and isinstance(made, library.SentenceTransformer)
