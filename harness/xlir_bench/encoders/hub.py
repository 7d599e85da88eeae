"""Models of the Hugging Face hub: the folder of a snapshot, fetched or already here."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from xlir_bench.encoders.checkpoint import Foreign, Options, one_line, package
from xlir_bench.errors import InputError, MissingResourceError, XlirError, warn
from xlir_bench.offline import is_offline
from xlir_bench.suites.stored import remember_hash

DEFAULT = Options()

_NEEDED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.vocab", "*.bpe", "*.spm", "*.jinja", "artifact.metadata"]
_PICKLED = ["*.bin", "*.pt"]
_CODE = ["*.py"]
_OTHERS = ["onnx", "openvino", "original"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WAITS_S = (1.0, 3.0)
"""Seconds before the second and the third try."""
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"

_Result = TypeVar("_Result")


def snapshot(hub_id: str, revision: str | None, options: Options = DEFAULT) -> Path:
    """The folder of a repository's files at a commit; only what is needed is fetched, and nothing that is here already.

    Pickled weights and code are fetched only where they are trusted, exported weights only for their backend. Where the
    hub does not answer, the commit that a branch had when it was last fetched is used, with a warning.

    Args:
        hub_id: ORGANISATION/NAME.
        revision: a commit, tag or branch; the newest if none is given.
        options: backend and trust.

    Returns:
        A folder whose name is the commit.

    Raises:
        InputError: this is no valid id.
        MissingResourceError: the repository or its revision does not exist, is closed, cannot be reached and is not
            here, or what arrived is damaged.
    """
    library = package("huggingface_hub", "a model of the hub")
    constants = package("huggingface_hub.constants", "a model of the hub")
    which = f"{hub_id} at {revision}" if revision else hub_id
    backend = options.backend or "torch"
    allowed = [*_NEEDED, *(_PICKLED + _CODE if options.trust_remote_code else [])]
    if backend != "torch":
        allowed += [f"{backend}/*"]
    ignored = [pattern for name in _OTHERS if name != backend for pattern in (f"{name}/*", f"*/{name}/*")]
    fetch = partial(
        library.snapshot_download, hub_id, revision=revision, allow_patterns=allowed, ignore_patterns=ignored
    )
    try:
        if not (is_offline() or constants.HF_HUB_OFFLINE or _COMMIT.fullmatch(revision or "")):
            _tried(lambda: library.model_info(hub_id, revision=revision))
    except Exception as error:  # see `_explained`
        folder = _last_fetched(fetch, which, error)
    else:
        try:
            folder = Path(fetch())
        except Exception as error:
            raise _explained(which, error) from None
    _check_arrived(folder, which)
    return folder


def _tried(action: Callable[[], _Result]) -> _Result:
    """What an action returns, after some tries where the hub is busy, as its library does for files."""
    for wait in _WAITS_S:
        try:
            return action()
        except Exception as error:
            if _status(error) not in _PASSING:
                raise
        time.sleep(wait)
    return action()


def _last_fetched(fetch: Callable[..., str], which: str, error: Exception) -> Path:
    """The snapshot that is here, where the hub could not say which commit is the newest.

    Raises:
        XlirError: there is none, or the hub said that there is no such revision.
    """
    found = _explained(which, error)
    errors = package("huggingface_hub.errors", "a model of the hub")
    if isinstance(error, errors.RevisionNotFoundError | errors.HFValidationError):
        raise found from None
    try:
        folder = Path(fetch(local_files_only=True))
    except Exception:
        raise found from None
    reason = f"it answered {_status(error)}" if _status(error) else one_line(error)
    warn(f"the hub did not say which commit of {which} is the newest ({reason}): {folder.name}, which is here, is used")
    return folder


def explained(which: str, error: Exception) -> XlirError | None:
    """What an error means that another library raised while it loaded a model, if it is one of the hub or the network.

    Args:
        which: the model, ORGANISATION/NAME, and `at REVISION` where one was asked for.
        error: what the library raised; what caused it counts too.
    """
    roots = {type(cause).__module__.partition(".")[0] for cause in _causes(error)}
    return _explained(which, error) if roots & {"huggingface_hub", "httpx", "httpx2", "requests"} else None


def _explained(which: str, error: Exception) -> XlirError:
    """What an error of the hub's library, of the network below it, or of the disk means, and what to do."""
    errors = package("huggingface_hub.errors", "a model of the hub")
    causes = list(_causes(error))
    hub_id = which.partition(" ")[0]

    def is_any(kind: type[BaseException]) -> bool:
        return any(isinstance(cause, kind) for cause in causes)

    if is_any(errors.HFValidationError):
        return InputError(f"{hub_id!r} is no id of a hub model: {_reason(error)}")
    if any(isinstance(cause, OSError) and cause.errno in _FULL for cause in causes):
        said = f"the model {which} does not fit on the disk: make room; what arrived is kept"
    elif is_any(errors.GatedRepoError):
        said = f"{which} is closed to you: ask for access on its page of the hub and {_LOG_IN}"
    elif is_any(errors.RevisionNotFoundError):
        said = f"the hub has no model {which}: give a commit, tag or branch that {hub_id} has"
    elif _status(error) is not None:
        said = _answered(which, error, _status(error) or 0)
    elif is_any(getattr(errors, "IncompleteSnapshotError", MemoryError)):
        said = f"only a part of the model {which} is on this machine: run once while the hub can be reached"
    else:
        said = (
            f"the model {which} is not on this machine and the hub cannot be reached ({_reason(error)}): connect, or "
            "download the folder on another machine and give its path"
        )
    return MissingResourceError(said)


def _answered(which: str, error: Exception, status: int) -> str:
    """What a status means that the hub answered, and what to do."""
    errors = package("huggingface_hub.errors", "a model of the hub")
    if status == 401 and "credentials" in str(error):
        return f"the hub does not accept your token (401), asked for {which}: {_LOG_IN} anew, or remove the token"
    if any(isinstance(cause, errors.RepositoryNotFoundError) for cause in _causes(error)):
        # The hub gives the same answer for what is private and what does not exist.
        return (
            f"the hub has no model {which}, or it is private: check the name; if it is yours, {_LOG_IN}; or download "
            "the folder elsewhere and give its path"
        )
    if status in {401, 403}:
        return f"the hub refuses {which} ({status}): its terms or your token do not allow it; {_LOG_IN}"
    if status == 404:
        return f"the hub lists a file of {which} that it does not have (404): tell its author, or give a revision"
    if status == 429:
        return f"the hub answers no more requests for now (429), asked for {which}: try again later, or {_LOG_IN}"
    return f"the hub fails at {which} ({status}): try again later; what arrived is kept"


def _check_arrived(folder: Path, which: str) -> None:
    """Raise if a large file is not the one that the hub named: its library compares sizes only.

    Raises:
        MissingResourceError: one is not; it is removed.
    """
    for path in sorted(folder.rglob("*")):
        blob = path.resolve() if path.is_symlink() else path
        if _SHA256.fullmatch(blob.name) and blob.is_file() and remember_hash(blob, "sha256") != blob.name:
            blob.unlink()
            path.unlink()
            raise MissingResourceError(
                f"{path.relative_to(folder)} of the model {which} is damaged: its SHA-256 is not the hub's; it was "
                "removed: run again to fetch it anew"
            )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those that led to it."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _status(error: BaseException) -> int | None:
    """The status of the answer that an error is about; None where there was no answer."""
    answers: list[Foreign] = [getattr(cause, "response", None) for cause in _causes(error)]
    return next((int(answer.status_code) for answer in answers if answer is not None), None)


def _reason(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__).strip()[:300]
