"""No network if `--offline` or `XLIR_BENCH_OFFLINE=1` says so, neither for this package nor for its libraries."""

from __future__ import annotations

import os
import sys
from typing import Any

VARIABLE = "XLIR_BENCH_OFFLINE"

_LIBRARIES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
_BY_NAME = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})
_BY_ADDRESS = frozenset({"socket.connect", "socket.sendto"})
_NO = frozenset({"", "0", "false", "no", "off"})
_state = {"forbidden": False}
_set: dict[str, str | None] = {}
_hooks: list[object] = []


def is_offline() -> bool:
    """Whether the network is forbidden, by `forbid_network` or by `XLIR_BENCH_OFFLINE=1`.

    Every value of the variable but 0, false, no, off and the empty string forbids it.
    """
    return _state["forbidden"] or os.environ.get(VARIABLE, "").strip().lower() not in _NO


def forbid_network() -> None:
    """From now on every attempt to open a connection is a ConnectionError, whoever makes it.

    Libraries that have a switch of their own are told by it; below them an audit hook refuses the connection itself.
    Processes that are started later inherit the switches. Sockets between processes of one machine by a file's name
    stay possible.
    """
    for name in (*_LIBRARIES, VARIABLE):
        _set.setdefault(name, os.environ.get(name))
        os.environ[name] = "1"
    _state["forbidden"] = True
    if not _hooks:
        sys.addaudithook(_refuse)  # cannot be taken back, so it asks each time
        _hooks.append(_refuse)


def allow_network() -> None:
    """Take `forbid_network` back, for this process: its environment is what it was before."""
    _state["forbidden"] = False
    for name, value in _set.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _set.clear()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _state["forbidden"]:
        return
    wanted = arguments[0] if event in _BY_NAME else arguments[1] if event in _BY_ADDRESS else None
    # Under an address that is a string there is a process of this machine, not another machine.
    if wanted is not None and (event in _BY_NAME or not isinstance(wanted, str | bytes)):
        # The error of a cable that was pulled: libraries that can do without the network go on.
        raise ConnectionError(f"--offline forbids the network, which was asked for {wanted}")
