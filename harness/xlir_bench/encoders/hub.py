"""Models of the Hugging Face hub: the folder of a snapshot, fetched or already here."""

from __future__ import annotations

from pathlib import Path

from xlir_bench.encoders.checkpoint import Options, package
from xlir_bench.errors import InputError, MissingResourceError

DEFAULT = Options()

_NEEDED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.vocab", "*.bpe", "*.spm", "*.jinja", "artifact.metadata"]
_PICKLED = ["*.bin", "*.pt"]
_CODE = ["*.py"]
_OTHERS = ["onnx", "openvino", "original"]


def snapshot(hub_id: str, revision: str | None, options: Options = DEFAULT) -> Path:
    """The folder of a repository's files at a commit; only what is needed is fetched, and nothing that is here already.

    Pickled weights and code are fetched only where they are trusted, exported weights only for their backend.

    Args:
        hub_id: ORGANISATION/NAME.
        revision: a commit, tag or branch; the newest if none is given.
        options: backend and trust.

    Returns:
        A folder whose name is the commit.

    Raises:
        InputError: this is no valid id.
        MissingResourceError: the repository does not exist, is closed, or cannot be reached, and is not here.
    """
    library = package("huggingface_hub", "a model of the hub")
    errors = package("huggingface_hub.errors", "a model of the hub")
    which = f"{hub_id} at {revision}" if revision else hub_id
    backend = options.backend or "torch"
    allowed = [*_NEEDED, *(_PICKLED + _CODE if options.trust_remote_code else [])]
    if backend != "torch":
        allowed += [f"{backend}/*"]
    ignored = [pattern for name in _OTHERS if name != backend for pattern in (f"{name}/*", f"*/{name}/*")]
    try:
        folder = library.snapshot_download(
            hub_id,
            revision=revision,
            allow_patterns=allowed,
            ignore_patterns=ignored,
        )
    except errors.HFValidationError as error:
        raise InputError(f"{hub_id!r} is no id of a hub model: {' '.join(str(error).split())}") from None
    except errors.GatedRepoError:
        raise MissingResourceError(
            f"{which} is closed to you: ask for access on its page of the hub and log in with `hf auth login`"
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        raise MissingResourceError(
            f"the hub has no model {which}: check the name, or download the folder elsewhere and give its path"
        ) from None
    except (OSError, errors.EntryNotFoundError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MissingResourceError(
            f"the model {which} is not on this machine and the hub cannot be reached ({reason}): connect, or download "
            "the folder on another machine and give its path"
        ) from None
    return Path(folder)
