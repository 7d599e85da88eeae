"""Settings of this process that code from elsewhere may change, and with them what the code around it computes or says.

A model that sets torch's default type, makes numpy raise, hides warnings or moves to another folder does so for itself:
it finds its own settings again whenever it is called, and nobody else meets them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

_PREFIX = "XLIR_BENCH_"
_LOG = "xlir_bench"
_ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE")
"""Signals by which a person, a system or a reader ends a command."""


class _Setting(NamedTuple):
    """One setting.

    Attributes:
        read: its value now, comparable; None where there is none.
        write: sets it; None is never written.
        given_back: whether the code that chose a value finds it again.
    """

    read: Callable[[], Any]
    write: Callable[[Any], None]
    given_back: bool = True


_of_owner: dict[str, dict[str, Any]] = {}
"""What each owner has chosen that differs from ours, by name of the setting."""


@contextmanager
def own_settings(owner: str) -> Iterator[None]:
    """Code inside has settings of its own; those of before hold again afterwards. The main thread only.

    Args:
        owner: whose code it is; it finds again what it chose when it was last called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = {name: setting.read() for name, setting in _SETTINGS.items()}
    for name, value in _of_owner.pop(owner, {}).items():
        _write(name, value)
    try:
        yield
    finally:
        chosen: dict[str, Any] = {}
        for name, setting in _SETTINGS.items():
            now, before = setting.read(), ours[name]
            if before is None and now is not None:
                before = _FIRST.get(name)
            if before is None or now == before:
                continue
            if setting.given_back and now is not None:
                chosen[name] = now
            _write(name, before)
        _of_owner[owner] = {**_of_owner.get(owner, {}), **chosen}  # with what such a block inside this one left


def _write(name: str, value: Any) -> None:  # noqa: ANN401  (of the setting's own type)
    with suppress(OSError, ValueError, RuntimeError):
        _SETTINGS[name].write(value)


def _folder() -> str | None:
    """The working folder; None if it was removed. Else a relative `--output` would mean another folder from then on."""
    try:
        return os.getcwd()  # noqa: PTH109  (text, to compare)
    except OSError:
        return None


def _variables() -> dict[str, str]:
    """Our own variables. Those of libraries are read when these are loaded, and are the code's business."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}


def _set_variables(values: dict[str, str]) -> None:
    for name in _variables().keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


def _handlers() -> dict[str, Any]:
    found = {name: signal.getsignal(getattr(signal, name)) for name in _ENDINGS if hasattr(signal, name)}
    return {name: handler for name, handler in found.items() if handler is not None}


def _set_handlers(values: dict[str, Any]) -> None:
    for name, handler in values.items():
        signal.signal(getattr(signal, name), handler)


def _raised() -> list[Any]:
    """Filters that make errors of warnings. Others are left: this package says nothing by way of `warnings`."""
    return [entry for entry in warnings.filters if entry[0] == "error"]


def _set_raised(values: list[Any]) -> None:
    warnings.filters[:] = [*values, *(entry for entry in warnings.filters if entry[0] != "error")]  # type: ignore[index]
    with warnings.catch_warnings():  # its end makes the interpreter look at the filters anew
        pass


def _logs() -> tuple[int, int, dict[str, Any]]:
    """What decides whether our own messages are shown."""
    ours = {
        log.name: (log.level, log.disabled, log.propagate, tuple(log.handlers), tuple(log.filters))
        for log in _our_loggers()
    }
    return logging.root.manager.disable, logging.root.level, ours


def _our_loggers() -> list[logging.Logger]:
    found = dict(logging.root.manager.loggerDict).items()
    return [log for name, log in found if isinstance(log, logging.Logger) and name.split(".")[0] == _LOG]


def _set_logs(values: tuple[int, int, dict[str, Any]]) -> None:
    disable, level, ours = values
    logging.disable(disable)
    logging.root.setLevel(level)
    for log in _our_loggers():
        if log.name in ours:
            log.level, log.disabled, log.propagate, handlers, filters = ours[log.name]
            for handler in handlers:  # one that was added is perhaps ours, and is left
                log.addHandler(handler)
            log.filters[:] = filters
        else:  # made meanwhile
            log.disabled = False


def _numpy_errors() -> dict[str, Any] | None:
    numpy = sys.modules.get("numpy")
    return dict(numpy.geterr()) if numpy is not None and hasattr(numpy, "geterr") else None


def _set_numpy_errors(values: dict[str, Any]) -> None:
    sys.modules["numpy"].seterr(**values)


def _of_torch(read: Callable[[Any], Any]) -> Callable[[], Any]:
    """A setting of torch; None while it is not loaded."""

    def value() -> Any:  # noqa: ANN401  (types of torch)
        torch = sys.modules.get("torch")
        return read(torch) if torch is not None and hasattr(torch, "get_default_dtype") else None

    return value


def _to_torch(write: Callable[[Any, Any], object]) -> Callable[[Any], None]:
    def set_to(value: Any) -> None:  # noqa: ANN401  (types of torch)
        write(sys.modules["torch"], value)

    return set_to


_SETTINGS: dict[str, _Setting] = {
    "folder": _Setting(_folder, os.chdir),
    "variables": _Setting(_variables, _set_variables),
    "handlers of signals": _Setting(_handlers, _set_handlers, given_back=False),  # Ctrl-C ends a command at any time
    "warnings that are errors": _Setting(_raised, _set_raised),
    "logs": _Setting(_logs, _set_logs),
    "errors of numpy": _Setting(_numpy_errors, _set_numpy_errors),
    "torch's type": _Setting(
        _of_torch(lambda torch: str(torch.get_default_dtype()).removeprefix("torch.")),
        _to_torch(lambda torch, name: torch.set_default_dtype(getattr(torch, name))),
    ),
    "torch's device": _Setting(
        _of_torch(lambda torch: str(torch.get_default_device())),
        _to_torch(lambda torch, name: torch.set_default_device(None if name == "cpu" else name)),
    ),
    "torch's gradients": _Setting(
        _of_torch(lambda torch: torch.is_grad_enabled()),
        _to_torch(lambda torch, on: torch.set_grad_enabled(on)),
    ),
    "torch's precision": _Setting(
        _of_torch(lambda torch: torch.get_float32_matmul_precision()),
        _to_torch(lambda torch, name: torch.set_float32_matmul_precision(name)),
    ),
    "torch's threads": _Setting(
        _of_torch(lambda torch: torch.get_num_threads()),
        _to_torch(lambda torch, number: torch.set_num_threads(number)),
    ),
}

_FIRST: dict[str, Any] = {
    "errors of numpy": {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
    "torch's type": "float32",
    "torch's device": "cpu",
    "torch's gradients": True,
    "torch's precision": "highest",
}
"""What holds in a library that the code inside was the first to load."""
