"""Valid documents made hostile: named values and edits, so that an input that fails is printed in a line and replayed.

An edit is a tuple of small numbers and names. Hypothesis draws edits, shrinks them, and prints those that fail.
"""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import yaml
from hypothesis import strategies as st

_DIGITS, _OVERFLOW = "@5,000 digits@", "@1e999@"
_RAW = {f'"{_DIGITS}"': "9" * 5000, f'"{_OVERFLOW}"': "1e999"}
"""Numbers that Python cannot hold, or cannot print; they stand in the text only."""


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "zero": 0,
    "minus zero": -0.0,
    "minus one": -1,
    "a half": 0.5,
    "nan": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "1e308": 1e308,
    "1e999": _OVERFLOW,
    "2**31": 2**31,
    "2**63": 2**63,
    "minus 2**63": -(2**63),
    "2**200": 2**200,
    "5,000 digits": _DIGITS,
    "no text": "",
    "a blank": " ",
    "a million letters": "a" * 10**6,
    "a million blanks": " " * 10**6,
    "a NUL": "a\0b",
    "a lone surrogate": "a\ud800",
    "a parent": "../outside",
    "parents": "../../../../../../../../etc/passwd",
    "a parent inside": "a/../../outside/secret.json",
    "an absolute path": "/etc/passwd",
    "a home": "~/secret.json",
    "a variable": "$HOME/%PATH%",
    "a backslash": "..\\outside",
    "a file address": "file:///etc/passwd",
    "an address": "http://127.0.0.1:9/{file}",
    "a date": "2024-01-01",
    "a time": "1:30",
    "octal": "012",
    "hexadecimal": "0x1f",
    "underscores": "1_000",
    "no": "no",
    "a confusable": "\u0435n",
    "full width": "\uff45\uff4e",
    "a ligature": "\ufb01",
    "right to left": "a\u202eb",
    "a byte order mark": "\ufeffen",
    "a line feed": "a\nb: c",
    "a line separator": "a\u2028b",
    "an escape": "a\x1b[2Jb",
    "a script": "<script>alert(1)</script>",
    "a format": "{0.__class__.__mro__}",
    "braces": "{language}{file}{split}",
    "a percent": "%s%n %",
    "a pattern": "(a+)+$",
    "a star": "*",
    "a list": [],
    "a list of one": [0],
    "a list of a text": ["en"],
    "a list of a list": [[[]]],
    "nested 39": _nested(39),
    "nested 60": _nested(60),
    "nested 900": _nested(900),
    "a table": {},
    "a table of one": {"a": 1},
    "a table without a name": {"": ""},
    "a long list": list(range(3000)),
    "a long list of texts": [str(number) for number in range(3000)],
    "a large table": {f"k{number}": number for number in range(3000)},
    "mteb": "mteb",
    "all": "all",
}

ACTIONS = ("replace", "delete", "twice", "rename", "exchange", "wrap", "unwrap")

edits = st.lists(
    st.tuples(st.integers(0, 999), st.sampled_from(ACTIONS), st.sampled_from(sorted(VALUES))), min_size=1, max_size=4
)
"""Edits of a document: a place, what is done there, and with which value."""


def edited(document: Any, changes: list[tuple[int, str, str]]) -> Any:
    """A copy of a document of dictionaries and lists with some edits made."""
    document = {"root": copy.deepcopy(document)}
    for at, action, name in changes:
        places = list(_places(document))
        container, key = places[at % len(places)]
        _edit(container, key, action, copy.deepcopy(VALUES[name]), places[(at * 7 + 3) % len(places)])
        if "root" not in document:
            document["root"] = None
    return document["root"]


def _places(document: Any, limit: int = 4000) -> Any:
    waiting: list[Any] = [document]
    seen = 0
    while waiting and seen < limit:
        container = waiting.pop()
        for key in list(container) if isinstance(container, dict) else range(len(container)):
            seen += 1
            yield container, key
            if isinstance(container[key], dict | list) and container[key]:
                waiting.append(container[key])


def _edit(container: Any, key: Any, action: str, value: Any, other: tuple[Any, Any]) -> None:
    if action == "replace":
        container[key] = value
    elif action == "delete":
        del container[key]
    elif action == "twice" and isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))
    elif action == "rename" and isinstance(container, dict):
        container[value if isinstance(value, str) else json.dumps(value)[:50]] = container.pop(key)
    elif action == "exchange":
        container[key] = copy.deepcopy(other[0][other[1]])
    elif action == "wrap":
        container[key] = [container[key]]
    elif action == "unwrap" and isinstance(container[key], dict | list) and container[key]:
        inner = container[key]
        container[key] = next(iter(inner.values())) if isinstance(inner, dict) else inner[0]
    else:
        container[key] = value


def as_json(document: Any) -> bytes:
    """A document as JSON, with the numbers that only JSON can hold."""
    text = json.dumps(document)
    for marked, raw in _RAW.items():
        text = text.replace(marked, raw)
    return text.encode()


def as_yaml(document: Any) -> bytes:
    """A document as YAML in block style; its aliases stay, as they are written of a value that stands twice."""
    try:
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10**9)
    except RecursionError:
        return as_json(document)  # which is YAML too
    for marked, raw in _RAW.items():
        text = text.replace(f"'{marked[1:-1]}'", raw)
    return text.encode("utf-8", "surrogatepass")


SNIPPETS: dict[str, bytes] = {
    "an alias of nothing": b"\nx: *nothing\n",
    "a value inside itself": b"\nx: &a [*a]\n",
    "laughs": b"\nl: "
    + b"\n".join(
        b"&%c [%s]" % (97 + n, b",".join([b"*%c" % (96 + n)] * 9) if n else b"x,x,x,x,x,x,x,x,x") for n in range(1)
    )
    + b"\n"
    + b"\n".join(b"m%d: &%c [%s]" % (n, 97 + n, b",".join([b"*%c" % (96 + n)] * 9)) for n in range(1, 12))
    + b"\n",
    "a merge": b"\n<<: {name: other}\n",
    "a merge of itself": b"\nx: &a {<<: *a}\n",
    "a tag of Python": b"\nx: !!python/object/apply:os.system ['true']\n",
    "a tag": b"\nx: !!binary AAAA\n",
    "a set": b"\nx: !!set {a, b}\n",
    "a timestamp": b"\nx: !!timestamp 2001-01-01\n",
    "another document": b"\n---\na: 1\n",
    "a directive": b"%YAML 9.9\n---\n",
    "a key that is a list": b"\n? [a, b]\n: c\n",
    "a key twice": b"\nname: a\nname: b\n",
    "brackets": b"[" * 3000,
    "braces": b"{a: " * 3000,
    "objects": b'{"a":' * 3000,
    "dashes": b"- " * 3000,
    "a comment": b"# " + b"x" * 100_000 + b"\n",
    "a folded text": b"\nx: >+9\n" + b" a\n" * 1000,
    "NULs": b"\0" * 64,
    "a NaN": b"NaN",
    "an infinity": b"-Infinity",
    "a surrogate": b'"\\ud800"',
    "half a surrogate": b"\xed\xa0\x80",
    "a byte order mark": b"\xef\xbb\xbf",
    "an end of a text": b'"',
    "blanks": b" " * 100_000,
    "tabs": b"\t\t",
    "many lines": b"\n" * 100_000,
    "a number of many digits": b"1" * 10_000,
}

spoilings = st.lists(
    st.tuples(
        st.sampled_from(("flip", "cut", "put", "take", "repeat", "move", "utf-16", "mark", "swap ends")),
        st.integers(0, 2**20),
        st.binary(max_size=8) | st.sampled_from(sorted(SNIPPETS)),
    ),
    max_size=3,
)
"""Changes of a file's bytes: what is done, a place, and bytes or the name of a snippet."""


def spoiled(content: bytes, changes: list[tuple[str, int, bytes | str]]) -> bytes:
    """A file's content with some changes of its bytes made."""
    for action, place, given in changes:
        more = SNIPPETS[given] if isinstance(given, str) else given
        at = place % (len(content) + 1)
        if action == "flip" and content:
            at %= len(content)
            content = content[:at] + bytes([content[at] ^ (1 << place % 8)]) + content[at + 1 :]
        elif action == "cut":
            content = content[:at]
        elif action == "put":
            content = content[:at] + more + content[at:]
        elif action == "take":
            content = content[:at] + content[at + 1 + place % 37 :]
        elif action == "repeat":
            content = content[:at] + content[at // 2 : at] * (1 + place % 5) + content[at:]
        elif action == "move":
            content = content[at:] + content[:at]
        elif action == "utf-16":
            content = content.decode("utf-8", "replace").encode(("utf-16", "utf-16-le", "utf-32")[place % 3])
        elif action == "mark":
            content = b"\xef\xbb\xbf" + content
        elif content:
            content = content[-1:] + content[1:-1] + content[:1]
    return content


@st.composite
def documents(draw: st.DrawFn, valid: dict[str, Any], styles: tuple[str, ...] = ("yaml", "json")) -> dict[str, Any]:
    """What makes a hostile document: the name of a valid one, edits, a style, and changes of its bytes."""
    return {
        "of": draw(st.sampled_from(sorted(valid))),
        "edits": draw(edits | st.just([])),
        "style": draw(st.sampled_from(styles)),
        "bytes": draw(st.just([]) | spoilings),
    }


def content_of(valid: dict[str, Any], made: dict[str, Any]) -> bytes:
    """The bytes of a document that `documents` drew."""
    document = edited(valid[made["of"]], made["edits"]) if made["edits"] else valid[made["of"]]
    return spoiled((as_yaml if made["style"] == "yaml" else as_json)(document), made["bytes"])
