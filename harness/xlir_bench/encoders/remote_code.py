"""Code that a checkpoint needs and that lies in another repository of the hub.

`auto_map` in `config.json` names classes as `OTHER/REPO--module.Class` (gte-multilingual, jina-embeddings, nomic).
Left to itself, transformers fetches the newest code of that repository while it loads the model. Here the code is
fetched first, into the hub's own cache, and the model is then loaded without the network; which code it was is part of
the fingerprint.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from xlir_bench.encoders.checkpoint import Settings, one_line, package
from xlir_bench.encoders.weights import module_folders, read_object
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.offline import VARIABLE, is_offline

_CONFIGS = ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
_REFERENCE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)--(?P<module>[\w./-]+)\.(?P<name>\w+)")


def fetched(folder: Path, settings: Settings) -> dict[str, Any]:
    """Fetch the code of other repositories that a checkpoint names, where it is trusted.

    Args:
        folder: the checkpoint's.
        settings: whether its code is trusted.

    Returns:
        For the fingerprint: `code`, a mapping from ORG/NAME to commit and SHA-256 of the code; empty if there is none.

    Raises:
        InputError: the architecture needs code and is not trusted.
        MissingResourceError: the code is not on this machine and cannot be fetched.
    """
    modules = references(folder)
    if not modules:
        return {}
    if not settings.trust_remote_code:
        _refuse_unknown(folder, modules)
        return {}
    return {"code": {repository: _fetched(folder, repository, names) for repository, names in sorted(modules.items())}}


def references(folder: Path) -> dict[str, set[str]]:
    """Other repositories that the `auto_map` of a checkpoint's configuration files names, with the modules in them."""
    found: dict[str, set[str]] = {}
    for place in (folder, *module_folders(folder, any_code=True)):
        for name in _CONFIGS:
            auto_map = read_object(place / name).get("auto_map")
            if not isinstance(auto_map, dict):
                continue
            for entry in auto_map.values():
                for reference in entry if isinstance(entry, list) else [entry]:
                    match = _REFERENCE.fullmatch(str(reference))
                    if match:
                        found.setdefault(match["repository"], set()).add(match["module"])
    return found


def _refuse_unknown(folder: Path, modules: dict[str, set[str]]) -> None:
    """Say which repository's code would run, where transformers does not know the architecture itself."""
    model_type = read_object(folder / "config.json").get("model_type")
    known = package("transformers.models.auto.configuration_auto", "a transformers checkpoint").CONFIG_MAPPING_NAMES
    if model_type not in known:
        raise InputError(
            f"{folder}: the model needs code of {', '.join(sorted(modules))}, which is not run: read it, then give "
            "--trust-remote-code"
        )


def _fetched(folder: Path, repository: str, modules: set[str]) -> str:
    """Commit and SHA-256 of a repository's code, which is in the hub's cache afterwards."""
    library = package("huggingface_hub", "code of the hub")
    offline = is_offline() or package("huggingface_hub.constants", "code of the hub").HF_HUB_OFFLINE
    try:
        place = Path(library.snapshot_download(repository, allow_patterns=["*.py", "*.json"], local_files_only=offline))
        files = sorted(place.rglob("*.py"))
        lacking = [name for name in sorted(modules) if not (place / f"{name}.py").is_file()]
    except Exception as error:  # of the hub's library and of the network; each means that the code is not here
        raise MissingResourceError(_absent(folder, repository, one_line(error), offline)) from None
    if lacking:
        raise MissingResourceError(_absent(folder, repository, f"{lacking[0]}.py is not there", offline))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(place).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{place.name} {digest.hexdigest()}"


def _absent(folder: Path, repository: str, reason: str, offline: bool) -> str:
    switch = f"without --offline, {VARIABLE} and HF_HUB_OFFLINE" if offline else "when the hub can be reached"
    cache = os.environ.get("HF_HUB_CACHE", "the hub's cache")
    return (
        f"{folder}: the model needs code of {repository}, which is not in {cache} ({reason}): run once {switch}, "
        f"or fetch it with `hf download {repository}`"
    )
