"""The text that a model's authors put before a query and before a document.

`SentenceTransformer.encode_query` looks for a prompt named `query`, and `encode_document` for `document`, `passage` or
`corpus`; what they find is used, the empty text included, which means that the role has no prompt. Authors use other
names too; where the library finds nothing, these are looked for.

Since version 5 the library adds an empty `query` and an empty `document` to the prompts of every model that it loads or
saves. Such an entry is no statement of the authors: it does not hide a prompt under one of the further names. It does
hide `passage` and `corpus`, because `encode_document` would take it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from xlir_bench.encoders.checkpoint import Settings
from xlir_bench.encoders.kinds import SENTENCE_CONFIG
from xlir_bench.encoders.protocol import Role
from xlir_bench.encoders.weights import read_object
from xlir_bench.errors import InputError

log = logging.getLogger(__name__)

_LIBRARY: dict[Role, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}
_FURTHER: dict[Role, tuple[str, ...]] = {
    "query": (
        "retrieval.query",
        "retrieval_query",
        "retrieval-query",
        "Retrieval-query",
        "web_search_query",
        "s2p_query",
        "search_query",
        "search-query",
        "query_prompt",
        "query_instruction",
        "queries",
        "question",
    ),
    "document": (
        "retrieval.passage",
        "retrieval_passage",
        "retrieval-passage",
        "retrieval.document",
        "retrieval_document",
        "retrieval-document",
        "Retrieval-document",
        "search_document",
        "search-document",
        "document_prompt",
        "passage_prompt",
        "doc",
        "documents",
        "passages",
    ),
}
NAMES: dict[Role, tuple[str, ...]] = {role: (*_LIBRARY[role], *_FURTHER[role]) for role in _LIBRARY}
"""Names of prompts by role, in the order in which they are looked for."""

_PADS_SINCE = 5
_ROLES: tuple[Role, ...] = get_args(Role)
# A prompt with one of these in its name is for the other role, so that a role without a prompt is no surprise.
_OF_QUERIES = ("query", "queries", "question")
_OF_DOCUMENTS = ("document", "passage", "corpus", "doc")


@dataclass(frozen=True)
class Declared:
    """The prompts of a checkpoint.

    Attributes:
        texts: by name; empty texts included.
        padded: whether the library may have added an empty `query` and `document` to them.
        where: the checkpoint, for messages.
        default: the name of the prompt that the library takes for a role without one; None where it takes none.
    """

    texts: Mapping[str, str]
    padded: bool = True
    where: str = "the model"
    default: str | None = None


@dataclass(frozen=True)
class Prompts:
    """What is put before texts.

    Attributes:
        texts: by role; empty for none.
        names: under which of the checkpoint's names it was found; None where the user gave the text, or there is none.
    """

    texts: dict[Role, str]
    names: dict[Role, str | None]


def declared_prompts(folder: Path) -> Declared:
    """The prompts in a checkpoint's `config_sentence_transformers.json`.

    Raises:
        InputError: they are not texts by name.
    """
    path = folder / SENTENCE_CONFIG
    about = read_object(path)
    own = about.get("prompts") or {}
    if not isinstance(own, dict) or not all(text is None or isinstance(text, str) for text in own.values()):
        raise InputError(f"{path}: `prompts` must be texts by name")
    versions = about.get("__version__")
    saved_by = str(versions.get("sentence_transformers", "")) if isinstance(versions, dict) else ""
    major = saved_by.partition(".")[0]
    texts = {str(name): text for name, text in own.items() if text is not None}
    return Declared(texts, major.isdecimal() and int(major) >= _PADS_SINCE, str(folder))


def chosen(declared: Declared, settings: Settings) -> Prompts:
    """The prompts in force: the user's text, else the checkpoint's under the user's name, else under a usual name.

    A role for which none was found, although the checkpoint has prompts that may be meant for it, is warned of.

    Args:
        declared: the checkpoint's prompts.
        settings: what the user decided.

    Raises:
        InputError: the user named a prompt that the checkpoint does not have.
    """
    own, who = declared.texts, declared.where
    texts: dict[Role, str] = {}
    names: dict[Role, str | None] = {}
    for role in _ROLES:
        name: str | None = None
        if settings.prompts is not None and role in settings.prompts:
            texts[role] = settings.prompts[role]
        elif settings.prompt_names is not None and role in settings.prompt_names:
            name = settings.prompt_names[role]
            if name not in own:
                known = ", ".join(own) or "none"
                raise InputError(f"{who}: no prompt {name!r} for a {role} (--{role}-prompt-name); its prompts: {known}")
            texts[role] = own[name]
        else:
            name = found(declared, role)
            texts[role] = own[name] if name else ""
            if not texts[role] and (left := _perhaps_meant(own, role, name)):
                log.warning("%s", _warning(who, role, name, left))
        names[role] = name
    return Prompts(texts, names)


def found(declared: Declared, role: Role) -> str | None:
    """The name of the prompt that a checkpoint has for a role, be it empty; None if it has none."""
    own = declared.texts
    usual = next((name for name in _LIBRARY[role] if name in own), None)
    if usual is not None and (own[usual] or not (declared.padded and usual == role)):
        return usual
    further = next((name for name in _FURTHER[role] if own.get(name) or (usual is None and name in own)), None)
    return further or usual or declared.default


def _perhaps_meant(own: Mapping[str, str], role: Role, name: str | None) -> list[str]:
    """Names of prompts that are not empty and may be meant for a role.

    Where the role's prompt is empty, `name` being its name, these are those under its other usual names.
    """
    if name is not None:
        return [other for other in NAMES[role] if own.get(other)]
    others = _OF_DOCUMENTS if role == "query" else _OF_QUERIES
    return [other for other, text in own.items() if text and not any(word in other.lower() for word in others)]


def _warning(who: str, role: Role, name: str | None, left: list[str]) -> str:
    why = f"its prompt {name!r} is empty" if name else f"none of its prompts has a usual name for a {role}"
    return (
        f"{who}: no prompt is put before a {role}: {why}; it has {', '.join(left)}: choose one with "
        f"--{role}-prompt-name, or say --{role}-prompt '' if there is to be none"
    )
