"""What results, pages and tables call a model: never a path, which says nothing to a reader and is somebody's own."""

from __future__ import annotations

import re

_FACTORY = re.compile(r"(?P<place>.+\.py):(?P<factory>[^\\/:]+)", re.DOTALL)
_PATH = re.compile(r"[\\/~]|\.{1,2}(?:[\\/]|$)|[A-Za-z]:[\\/]|file:")


def display_id(model_id: str) -> str:
    """An id without the folders of a path: `file.py:factory`, or the last part of a path; other ids as they are.

    A relative path such as `models/mine` cannot be told from a hub's ORG/NAME: who knows that it is a folder says so
    by a dot before it.
    """
    if match := _FACTORY.fullmatch(model_id):
        return f"{_last(match['place'])}:{match['factory']}"
    return _last(model_id) if _PATH.match(model_id) else model_id


def safe_name(name: str) -> str:
    """A name for a folder: letters, digits, `.`, `_` and `-`, with neither `.` nor `-` at its ends."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "model"


def _last(path: str) -> str:
    parts = [part for part in re.split(r"[\\/]+", path) if part not in {"", ".", "..", "~"}]
    return parts[-1] if parts else "model"
