"""Where a text is cut that is sent to an embedding server, which keeps its tokenizer to itself.

With a tokenizer (`source.tokenizer` of a manifest) a text is cut after `max_length` tokens exactly. Without one, tokens
are estimated at four bytes of UTF-8 each: four letters of English, two of Russian or Arabic, one and a third of Chinese
or Thai. If the server still refuses a text as too long, it is cut by another eighth until the server takes it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xlir_bench.encoders.checkpoint import Foreign, one_line, package
from xlir_bench.errors import InputError, MissingResourceError

BYTES_PER_TOKEN = 4
_KEPT = 7 / 8
_SHORTEST = 8

_TOO_LONG = re.compile(
    r"too (long|large|many tokens)|(context|sequence|input|prompt|token).{0,40}(length|limit|size|maximum|exceed)"
    r"|(maximum|max|exceed|longer|reduce|limit|at most|less than).{0,60}(token|context|length|sequence|character)",
    re.IGNORECASE | re.DOTALL,
)


def says_too_long(status: int, message: str) -> bool:
    """Whether a server's refusal of one text is about its length."""
    return status == 413 or _TOO_LONG.search(message) is not None


@dataclass(frozen=True)
class Cut:
    """The rule by which texts are cut.

    Attributes:
        max_length: tokens, with the prompt and special tokens; None cuts nothing.
        tokenizer: of the `tokenizers` library; None estimates.
        digest: SHA-256 of the tokenizer's file.
    """

    max_length: int | None = None
    tokenizer: Foreign = None
    digest: str | None = None

    @staticmethod
    def of(max_length: int | None, tokenizer: Path | None) -> Cut:
        """The rule for a length and the file of a tokenizer.

        Args:
            max_length: tokens.
            tokenizer: a `tokenizer.json`, or the folder of one.

        Raises:
            InputError: the file is not a tokenizer, or leaves no room for a text within `max_length`.
            MissingResourceError: there is no such file.
        """
        if tokenizer is None or max_length is None:
            return Cut(max_length)
        file = tokenizer / "tokenizer.json" if tokenizer.is_dir() else tokenizer
        if not file.is_file():
            raise MissingResourceError(f"{file}: no such tokenizer")
        library = package("tokenizers", "a tokenizer of a server's model")
        try:
            loaded = library.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare `Exception`
            raise InputError(f"{file}: not a tokenizer.json ({one_line(error)})") from None
        loaded.no_padding()
        loaded.no_truncation()
        if loaded.num_special_tokens_to_add(False) >= max_length:
            raise InputError(f"{file}: max_length {max_length} leaves no room beside the special tokens")
        return Cut(max_length, loaded, hashlib.sha256(file.read_bytes()).hexdigest())

    def __call__(self, text: str) -> str:
        """The beginning of a text that is sent."""
        if self.max_length is None:
            return text
        if self.tokenizer is None:
            return _first_bytes(text, self.max_length * BYTES_PER_TOKEN)
        kept = text
        while len(self.tokenizer.encode(kept).ids) > self.max_length:
            # The beginning of a text may be cut into more tokens than it was as a part of the whole.
            kept = kept[: min(self._end(kept, self.max_length), len(kept) - 1)]
        return kept

    def _end(self, text: str, most: int) -> int:
        """Where the last token ends that is within the limit."""
        offsets = self.tokenizer.encode(text, add_special_tokens=False).offsets
        room = min(most - self.tokenizer.num_special_tokens_to_add(False), len(offsets))
        return int(offsets[room - 1][1])

    def shorter(self, text: str) -> Iterator[str]:
        """What to try instead of a text that the server refuses as too long; nothing where the cut is exact."""
        size = len(text.encode("utf-8", "surrogatepass"))
        while self.max_length is not None and self.tokenizer is None and size > _SHORTEST:
            size = int(size * _KEPT)
            yield _first_bytes(text, size)

    def declared(self) -> dict[str, Any]:
        """What a result says of the rule; empty where there is none."""
        if self.max_length is None:
            return {}
        how = f"{BYTES_PER_TOKEN} bytes of UTF-8 per token, less where the server refuses"
        return {
            "max_length": self.max_length,
            "cut_by": how if self.digest is None else f"tokenizer {self.digest[:12]}",
        }


class Shortened:
    """The texts that a server took only after they were cut further, by their hash.

    They are kept in a file, since a later run finds their vectors stored and would not know of them.

    Args:
        file: where they are kept; in memory only if it is None or cannot be written.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file, self._lock = file, threading.Lock()
        self._known: set[str] = set()
        if file is not None:
            with suppress(OSError, ValueError):
                self._known.update(file.read_text("ascii").split())

    def add(self, text: str) -> None:
        """Note a text."""
        name = _name(text)
        with self._lock:
            self._known.add(name)
            if self._file is not None:
                with suppress(OSError):
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                    with self._file.open("a", encoding="ascii") as file:
                        file.write(f"{name}\n")

    def __contains__(self, text: object) -> bool:
        return bool(self._known) and isinstance(text, str) and _name(text) in self._known


def _name(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _first_bytes(text: str, most: int) -> str:
    """The longest beginning of whole characters within a number of bytes."""
    if len(text) <= most // 4:
        return text
    content = text.encode("utf-8", "surrogatepass")
    if len(content) <= most:
        return text
    while most and content[most] & 0xC0 == 0x80:
        most -= 1
    return content[:most].decode("utf-8", "surrogatepass")
