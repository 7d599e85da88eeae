"""Keys, tokens and passwords taken out of what is said.

Servers and libraries repeat in their messages what they were sent. A secret is what a variable of the environment holds
whose name ends so (`OPENAI_API_KEY`, `HF_TOKEN`, ...), what was `remember`ed, the password of an address, and what
follows `Bearer` or `Basic`. It is found in any case, and as URLs, JSON, HTML and base64 write it.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

SHOWN = "***"

_NAMES = re.compile(r"(?:.*_)?(?:api)?(?:key|token|secret|pat|pass)|.*(?:password|passwd)", re.IGNORECASE)
_PROXIES = re.compile(r"(?:https?|all|ftp)_proxy", re.IGNORECASE)
_SHORTEST = 8
"""Letters of a value of the environment: a shorter one is a setting, and would be found in ordinary words."""

_IN_ADDRESSES = re.compile(r"(?<=://)[^\s/@\"'<>]*:[^\s/@\"'<>]*(?=@)")
_IN_HEADERS = re.compile(r"\b(bearer|basic)(\s+)(?=\S*[0-9])[\w+/=.~-]{16,}", re.IGNORECASE)

_remembered: set[str] = set()


def remember(secret: str) -> None:
    """Take this out of every message from now on, wherever it came from."""
    if secret.strip():
        _remembered.add(secret.strip())


def redacted(text: str) -> str:
    """A text without secrets."""
    pattern = _pattern(frozenset(_secrets()))
    if pattern is not None:
        text = pattern.sub(SHOWN, text)
    if "://" in text:
        text = _IN_ADDRESSES.sub(SHOWN, text)
    return _IN_HEADERS.sub(rf"\1\2{SHOWN}", text)


def _secrets() -> set[str]:
    found = set(_remembered)
    for name, value in os.environ.items():
        if _NAMES.fullmatch(name) and len(value.strip()) >= _SHORTEST and not value.startswith(("/", "~")):
            found.add(value.strip())
        elif _PROXIES.fullmatch(name) and "@" in value:
            found.update(filter(None, [_password(value)]))
    return found


def _password(address: str) -> str | None:
    try:
        password = urlsplit(address).password
    except ValueError:
        return None
    return unquote(password) if password and len(password) >= _SHORTEST // 2 else None


@lru_cache(maxsize=8)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    """What matches any of the secrets in any of their forms, the longest first."""
    forms = {form for secret in secrets for form in _forms(secret)}
    if not forms:
        return None
    return re.compile("|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form)))), re.IGNORECASE)


def _forms(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1]
    forms = {secret, quote(secret), quote(secret, safe=""), escaped, escaped.replace("/", "\\/"), html.escape(secret)}
    content = secret.encode("utf-8", "surrogateescape")
    if len(content) >= _SHORTEST:
        for before in range(3):  # where it stands in groups of three bytes decides its letters
            coded = base64.b64encode(bytes(before) + content + bytes(-(before + len(content)) % 3)).decode()
            whole = coded[(before * 8 + 5) // 6 : (before + len(content)) * 8 // 6]
            forms |= {whole, whole.replace("+", "-").replace("/", "_")}
    return forms
