"""What identifies a neural model that is in memory: its weights, its configuration and its tokenizer."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from xlir_bench.encoders.checkpoint import Foreign
from xlir_bench.encoders.identity import digest_of

_OF_LIBRARY = ("prompts", "default_prompt_name", "max_seq_length", "truncate_dim", "tokenizer_kwargs")
_BY_CALL = ("truncation", "padding")
"""Parts of a tokenizer's state that every call sets anew."""


def state_of(model: Foreign) -> str | None:
    """SHA-256 over weights, configuration and tokenizer of a torch module, hexadecimal; None for anything else.

    Of a `SentenceTransformer` and its relatives the modules' own configurations, the prompts, the greatest length and
    `truncate_dim` count as well. An exported model, whose weights torch does not see, gives None.

    Args:
        model: whatever a factory made.
    """
    if not is_module(model):
        return None
    tensors = list(_tensors(model))
    if not tensors:
        return None
    return digest_of(*tensors, json.dumps(_configuration(model), sort_keys=True, default=_plain), *_tokenizers(model))


def held_by(made: Foreign) -> str:
    """SHA-256 over the torch modules, tensors and arrays that an object holds in its attributes, hexadecimal.

    Weights that code loads from a file thus count, though the file is not looked at.
    """
    found: list[str] = []
    for name, value in sorted(getattr(made, "__dict__", {}).items(), key=lambda pair: str(pair[0])):
        state = state_of(value)
        if state is None and isinstance(value, np.ndarray) and value.dtype != object:
            state = _array(value)
        if state is None and _is_tensor(value):
            state = _tensor(value)
        if state is not None:
            found += [str(name), state]
    return digest_of(*found)


def modules_of(made: Foreign) -> list[Foreign]:
    """The torch modules that an object is, holds in its attributes, or runs: what a function or a method refers to."""
    found, waiting, seen = [], [made], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if is_module(value):
            found.append(value)
        elif value is made or inspect.isroutine(value) or isinstance(value, partial):
            waiting += _referred_to(value)
    return found


def _referred_to(made: Foreign) -> Iterator[Foreign]:
    yield from getattr(made, "__dict__", {}).values()
    if isinstance(made, partial):
        yield from (made.func, *made.args, *made.keywords.values())
    if inspect.ismethod(made):
        yield from (made.__self__, made.__func__, *getattr(made.__self__, "__dict__", {}).values())
    if inspect.isfunction(made):
        with suppress(ValueError):  # a variable that has no value yet
            variables = inspect.getclosurevars(made)
            yield from (*variables.nonlocals.values(), *variables.globals.values())


def is_module(value: Foreign) -> bool:
    """Whether it is a torch module; without torch nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _tensors(model: Foreign) -> Iterator[str]:
    for name, value in model.state_dict().items():
        yield name
        yield _tensor(value) if _is_tensor(value) else repr(value)


def _is_tensor(value: Foreign) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _tensor(value: Foreign) -> str:
    torch = sys.modules["torch"]
    plain = value.detach()
    if plain.is_sparse:
        plain = plain.to_dense()
    if plain.is_quantized:
        plain = plain.dequantize()
    raw = plain.cpu().contiguous().reshape(-1).view(torch.uint8) if plain.numel() else torch.empty(0, dtype=torch.uint8)
    return _sha(f"{value.dtype} {tuple(value.shape)}", raw.numpy().data)


def _array(value: Foreign) -> str:
    return _sha(f"{value.dtype} {value.shape}", np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)


def _sha(kind: str, content: memoryview) -> str:
    digest = hashlib.sha256(kind.encode() + b"\0")
    digest.update(content)
    return digest.hexdigest()


def _configuration(model: Foreign) -> dict[str, Any]:
    """What decides how weights are used: of the whole, and of each part that describes itself."""
    parts: dict[str, Any] = {"class": _name(model)}
    parts |= {name: getattr(model, name) for name in _OF_LIBRARY if _has(model, name)}
    for name, part in model.named_modules():
        described: dict[str, Any] = {"class": _name(part)}
        if callable(getattr(part, "get_config_dict", None)):
            described["config"] = part.get_config_dict()
        config: Foreign = getattr(part, "config", None)
        if callable(getattr(config, "to_dict", None)):
            # Where it was loaded from, and with which release, decides nothing.
            described["architecture"] = {
                key: value
                for key, value in config.to_dict().items()
                if key not in {"_name_or_path", "transformers_version"}
            }
        for extra in ("max_seq_length", "do_lower_case", "p", "eps"):
            if isinstance(getattr(part, extra, None), (bool, int, float)):
                described[extra] = getattr(part, extra)
        parts[f"module {name}"] = described
    return parts


def _plain(value: object) -> str:
    """A value that JSON does not know. What is printed with its address in memory counts by its type alone."""
    printed = repr(value)
    return f"{type(value).__module__}.{type(value).__qualname__}" if " at 0x" in printed else printed


def _has(model: Foreign, name: str) -> bool:
    try:
        return getattr(model, name, None) is not None
    except Exception:  # properties of others
        return False


def _name(value: Foreign) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _tokenizers(model: Foreign) -> Iterator[str]:
    """Descriptions of the tokenizers that a model and its parts hold."""
    seen: list[Foreign] = []  # one tokenizer may be held by several parts
    for part in model.modules():
        for name in ("tokenizer", "processor"):
            if _has(part, name) and not any(getattr(part, name) is one for one in seen):
                seen.append(getattr(part, name))
                yield _described(seen[-1])


def _described(tokenizer: Foreign) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None) or tokenizer
    settings = {
        name: repr(getattr(tokenizer, name, None))
        for name in ("model_max_length", "padding_side", "truncation_side", "special_tokens_map", "do_lower_case")
    }
    if callable(getattr(backend, "to_str", None)):
        state = json.loads(backend.to_str())
        for name in _BY_CALL:
            state.pop(name, None)
        return json.dumps([_name(tokenizer), settings, state], sort_keys=True)
    vocabulary = tokenizer.get_vocab() if callable(getattr(tokenizer, "get_vocab", None)) else {}
    # Where files of the tokenizer lie does not count; what is in them does.
    own = {
        str(name): _plain(value)
        for name, value in getattr(tokenizer, "init_kwargs", {}).items()
        if not str(name).endswith(("_file", "_path"))
    }
    pieces = getattr(tokenizer, "sp_model", None)
    model = hashlib.sha256(pieces.serialized_model_proto()).hexdigest() if pieces is not None else None
    return json.dumps([_name(tokenizer), settings, vocabulary, own, model], sort_keys=True)
