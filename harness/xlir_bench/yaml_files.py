"""Reading YAML: one loader for every file that a person writes.

YAML has rules that change what was written: `no` is false, `012` is ten, `1:30` is ninety, `2024-01-01` is a date, and
of a key that stands twice the last one counts. Here a plain scalar is text, exactly as written, unless it is null (`~`,
`null` or nothing) and, where numbers are asked for, a decimal number or `true` or `false`. Keys are always text. A key
that stands twice is an error, and so are tags, deep nesting, and aliases that expand beyond a bound.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from xlir_bench.errors import InputError, MissingResourceError, at

MOST_NESTING = 40
MOST_VALUES = 50_000
"""Values of a document, those that aliases repeat counted each time."""

MOST_BYTES = 4 << 20

_SURROGATE = re.compile("[\ud800-\udfff]")
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|false")
# At most 17 digits and an exponent of 3: a hash of digits, or of digits and one `e`, is longer and stays text. A number
# that begins with a zero is text too: what was meant, decimal or octal, is not for the reader to decide.
_WHOLE = re.compile(r"[-+]?(?:0|[1-9](?:_?[0-9]){0,16})")
_DIGITS = r"(?:0|[1-9][0-9]{0,16})"
_FRACTION = re.compile(
    rf"[-+]?(?:{_DIGITS}\.[0-9]{{0,17}}|\.[0-9]{{1,17}}|{_DIGITS}(?=[eE]))(?:[eE][-+]?[0-9]{{1,3}})?"
)
_TEXT_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"})
_SCALAR = "tag:yaml.org,2002:"


def read_yaml(path: Path, *, numbers: bool = False) -> Any:  # noqa: ANN401 (YAML is anything)
    """What a YAML file says: dictionaries, lists, text and None.

    Args:
        path: the file.
        numbers: read unquoted decimal numbers, `true` and `false` as such; else they are text, and the schema that the
            document is checked against decides which of its fields are numbers.

    Raises:
        MissingResourceError: there is no such file.
        InputError: it cannot be read, or is not YAML as described above; the message names the line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"{path}: larger than {MOST_BYTES >> 20} MiB, which no file of this kind is")
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise MissingResourceError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return parse_yaml(text, str(path), numbers=numbers)


def parse_yaml(text: str, where: str, *, numbers: bool = False, aliases: bool = True) -> Any:  # noqa: ANN401
    """What a YAML document says; see `read_yaml`.

    Args:
        text: the document.
        where: what to call it in a message.
        numbers: see `read_yaml`.
        aliases: whether anchors and aliases are read.

    Raises:
        InputError: it is not such a document; the message names the line.
    """
    try:
        loader = (_NumberLoader if numbers else _TextLoader)(text)
        loader.aliases = aliases
        return loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = at(where, mark.line + 1 if mark is not None else None)
        raise InputError(f"{place}: not YAML: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"a character that is not allowed, at position {error.position}"
    if isinstance(error, RecursionError):
        return "nested too deep"
    reason = getattr(error, "problem", None) or str(error)
    return " ".join(str(reason).split())


class _TextLoader(yaml.SafeLoader):
    """`SafeLoader` whose scalars are text or null; see the module's description."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (as in yaml)
    numbers = False
    aliases = True

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0
        self._values = 0

    def get_single_data(self) -> Any:  # noqa: ANN401
        """The document, whose size is bounded before anything of it is made."""
        node = self.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return self.construct_document(node)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """See `yaml.composer.Composer`."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if not self.aliases and (isinstance(event, yaml.events.AliasEvent) or getattr(event, "anchor", None)):
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not read", event.start_mark)
        if self._depth >= MOST_NESTING:
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MOST_NESTING}", event.start_mark)
        self._values += 1
        if self._values > MOST_VALUES:  # before the rest is read, which may take minutes
            raise yaml.composer.ComposerError(None, None, f"more than {MOST_VALUES:,} values", event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401  (text or None; the stubs differ)
        """A mapping, every key of which is text and stands once."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is not text", key.start_mark)
            if key.value in seen:
                problem = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
            if key.value != "<<" or key.style is not None:
                key.tag = f"{_SCALAR}str"
            else:
                key.tag = f"{_SCALAR}merge"
        found: yaml.MappingNode = node
        return found

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        """See `yaml.constructor.BaseConstructor`."""
        if node.tag not in _TEXT_TAGS:
            raise yaml.constructor.ConstructorError(None, None, f"the tag {node.tag} is not read", node.start_mark)
        return super().construct_object(node, deep)

    def construct_plain(self, node: yaml.Node) -> Any:  # noqa: ANN401
        """A scalar: text as written, unless it stands without quotes for something else."""
        text: str = node.value
        if _SURROGATE.search(text):  # "\ud83d\ude00", as JSON writes it: two halves of one character
            try:
                text = text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                problem = "half of a surrogate pair, which is no Unicode text"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
        if getattr(node, "style", None) is not None:
            return text
        if _NULL.fullmatch(text):
            return None
        if not self.numbers:
            return text
        if _BOOLEAN.fullmatch(text):
            return text == "true"
        if _WHOLE.fullmatch(text):
            return int(text)
        # One such as 1e999 is larger than any number, and stays text.
        return float(text) if _FRACTION.fullmatch(text) and math.isfinite(float(text)) else text


class _NumberLoader(_TextLoader):
    """The same with numbers, `true` and `false`."""

    numbers = True


_TextLoader.yaml_constructors = {
    **yaml.SafeLoader.yaml_constructors,
    f"{_SCALAR}str": _TextLoader.construct_plain,
}
_NumberLoader.yaml_constructors = dict(_TextLoader.yaml_constructors)


def _check_size(root: yaml.Node) -> None:
    """Refuse a document that repeats itself by aliases beyond a bound, or that contains itself."""
    sizes: dict[int, int] = {}
    open_: set[int] = set()
    waiting: list[tuple[yaml.Node, bool]] = [(root, False)]
    while waiting:
        node, parts_done = waiting.pop()
        parts = _parts(node)
        if parts_done:
            open_.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(part)] for part in parts)
            if sizes[id(node)] > MOST_VALUES:
                problem = f"more than {MOST_VALUES:,} values, those that aliases repeat included"
                raise yaml.composer.ComposerError(None, None, problem, node.start_mark)
        elif id(node) in open_:
            raise yaml.composer.ComposerError(None, None, "an alias of a value inside that value", node.start_mark)
        elif id(node) not in sizes:
            open_.add(id(node))
            waiting.append((node, True))
            waiting += [(part, False) for part in parts if id(part) not in sizes]


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
