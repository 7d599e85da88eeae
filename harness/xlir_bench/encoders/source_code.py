"""The source code that a factory runs: its module and all that this imports, found without running any of it.

Modules of the interpreter, of site-packages and of this package are left out, except those of the package that the
factory itself belongs to: code that is installed before it is measured changes as well. Imports are read from the
source, wherever in it they stand, so that a module that is imported only when a text is encoded counts too. What cannot
be seen there, such as a module whose name is computed, counts from the time when the factory has run and it is loaded.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import os
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path
from types import ModuleType

from xlir_bench.encoders.identity import digest_of

PREFIX = "_xlir_bench_"
"""How the name of a module begins that was made from FILE.py."""


def _process_start() -> float:
    """When this process began, seconds since the epoch; where the system does not say, when this module was loaded."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        [boot] = [int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line[:6] == "btime "]
        return boot + ticks / os.sysconf("SC_CLK_TCK") - 1.0
    except (OSError, ValueError, IndexError):
        return time.time()


_SINCE = _process_start()
_LIBRARIES = ("site-packages", "dist-packages")
_INTERPRETER = tuple(
    dict.fromkeys(
        Path(place).resolve()
        for place in (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), Path(os.__file__).parent)
    )
)
_OWN = Path(__file__).resolve().parents[1]

_loaded: dict[str, tuple[int, str]] = {}
"""Module -> the object in `sys.modules` and the digest of the source that it was made from."""

_hidden: dict[str, set[str]] = {}
"""Module of a factory -> what it imported in a way that its source does not show."""


@dataclass(frozen=True)
class Source:
    """One module's source, or the bytes of a module that has none.

    Attributes:
        name: as it is imported.
        origin: its file; within an archive, the archive's path and the path in it.
        content: the file's bytes.
        imports: names that it imports, with the packages that they are in. Some may be no modules.
    """

    name: str
    origin: str
    content: bytes
    imports: frozenset[str]

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


class SourceTree:
    """The modules that one module runs.

    Args:
        root: its source.
        package: the package whose modules count even where they are installed; empty for none.
    """

    def __init__(self, root: Source, package: str = "") -> None:
        self.root, self._package = root, package
        self.modules: dict[str, Source] = {}
        self._follow({*root.imports, *_hidden.get(root.origin, ())})

    @staticmethod
    def of_file(path: Path) -> SourceTree:
        """Of FILE.py, which belongs to no package."""
        importlib.invalidate_caches()
        content = path.read_bytes()
        return SourceTree(Source("", str(path.resolve()), content, _imports(content, "", is_package=False)))

    @staticmethod
    def of_module(name: str) -> SourceTree:
        """Of a module by its dotted name. One that has no file is known by its name alone."""
        importlib.invalidate_caches()
        root = _source(name) or Source(name, name, name.encode(), frozenset())
        return SourceTree(root, name.partition(".")[0])

    def fingerprint(self) -> str:
        """SHA-256 of all sources with their names, hexadecimal. The root's place and name do not count."""
        others = sorted((name, one.digest) for name, one in self.modules.items() if name != self.root.name)
        return digest_of(self.root.digest, *(part for pair in others for part in pair))

    def reload_changed(self) -> None:
        """Forget the modules that were loaded from other files or contents than are there now, and what imports them.

        The next import loads them anew. Extension modules cannot be loaded twice and stay.
        """
        tree = {**self.modules, self.root.name: self.root}
        stale = {name for name, source in tree.items() if name in sys.modules and _is_stale(name, source)}
        grown = True
        while grown:
            more = {name for name, source in tree.items() if name not in stale and source.imports & stale}
            grown = bool(more)
            stale |= more
        inside = tuple(f"{name}." for name in stale if name)
        for name in [name for name in sys.modules if name in stale or (inside and name.startswith(inside))]:
            _forget(name)
        importlib.invalidate_caches()

    def remember(self, before: Iterable[str], also: Iterable[str] = ()) -> None:
        """Add what the source does not show: modules loaded since, and the given ones.

        Args:
            before: names of the modules that were loaded before the root was.
            also: further names, e.g. of the module of what a factory made.
        """
        known, seen = set(before), {*self.modules, self.root.name}
        new = {name for name, module in list(sys.modules.items()) if name not in known and not _is_of_library(module)}
        found = {name for name in {*new, *also} - seen if self._source(name)}
        _hidden.setdefault(self.root.origin, set()).update(found)
        self._follow(one for name in found for one in _with_parents(name))
        for name, source in {**self.modules, self.root.name: self.root}.items():
            if name in sys.modules:
                _loaded[name] = id(sys.modules[name]), source.digest

    def _follow(self, names: Iterable[str]) -> None:
        waiting = list(names)
        looked_at: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in looked_at or name in self.modules:
                continue
            looked_at.add(name)
            source = self._source(name)
            if source is not None and name != self.root.name:
                self.modules[name] = source
                waiting += source.imports

    def _source(self, name: str) -> Source | None:
        if name.startswith(PREFIX) or name == "__main__":
            return None
        own = bool(self._package) and (name == self._package or name.startswith(f"{self._package}."))
        if not own and _is_interpreters(name):
            return None
        spec = _spec(name)
        if spec is None or (_is_library(spec) and not own):
            return None
        return _source(name)


@contextmanager
def without_bytecode() -> Iterator[None]:
    """Write no `.pyc` files: one is taken for that of a later source with the same second and size."""
    usual = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = usual


def _source(name: str) -> Source | None:
    """The source of a module, by what an import would find now; None where it has no file."""
    spec = _spec(name)
    if spec is None or spec.origin in {None, "built-in", "frozen", "namespace"}:
        return None
    content = _content(spec)
    if content is None:
        return None
    is_package = spec.submodule_search_locations is not None
    parents = _with_parents(name) - {name}
    return Source(name, str(spec.origin), content, _imports(content, name, is_package=is_package) | parents)


def _content(spec: ModuleSpec) -> bytes | None:
    with contextlib.suppress(OSError, ImportError, AttributeError):
        return bytes(spec.loader.get_data(spec.origin))  # type: ignore[union-attr]
    with contextlib.suppress(OSError):
        return Path(str(spec.origin)).read_bytes()
    return None


def _spec(name: str) -> ModuleSpec | None:
    """Where an import would find a module, without importing the packages that it is in."""
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    at = ""
    for part in name.split("."):
        at = f"{at}.{part}" if at else part
        spec = _found(at, path)
        if spec is None:
            # Made by code rather than found, e.g. by a module that puts itself into `sys.modules` under a name.
            return getattr(sys.modules.get(name), "__spec__", None)
        path = list(spec.submodule_search_locations) if spec.submodule_search_locations is not None else []
    return spec


def _found(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        if find is None:
            continue
        with contextlib.suppress(Exception):  # finders of others
            spec: ModuleSpec | None = find(name, path, None)
            if spec is not None:
                return spec
    return None


def _is_library(spec: ModuleSpec) -> bool:
    """Whether a module is one of the interpreter, of site-packages or of this package."""
    if spec.origin in {"built-in", "frozen"}:
        return True
    # The parts of a namespace package may lie in several places.
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return bool(places) and all(_is_library_place(str(place)) for place in places)


@cache
def _is_library_place(place: str) -> bool:
    path = Path(place)
    # As it is named, too: site-packages may be a link.
    return any(
        any(part in _LIBRARIES for part in one.parts) or any(one.is_relative_to(top) for top in (_OWN, *_INTERPRETER))
        for one in (path, path.resolve())
    )


def _is_of_library(module: ModuleType) -> bool:
    """As `_is_library`, of a module that is loaded, as far as can be seen at once."""
    spec = getattr(module, "__spec__", None)
    return isinstance(spec, ModuleSpec) and _is_library(spec)


def _is_interpreters(name: str) -> bool:
    """Whether a name is the interpreter's, and nothing of that name was put before it."""
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names and (top not in sys.modules or _is_of_library(sys.modules[top]))


def _imports(content: bytes, name: str, *, is_package: bool) -> frozenset[str]:
    """Names that source code imports, absolute; none where it cannot be read."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    package = name if is_package else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                with contextlib.suppress(ImportError):
                    base = importlib.util.resolve_name("." * node.level + base, package) if package else base
            found.add(base)
            found.update(f"{base}.{alias.name}" if base else alias.name for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call):
            found.update(_named_import(node, package))
    return frozenset(one for name in found if name for one in _with_parents(name))


def _named_import(call: ast.Call, package: str) -> Iterator[str]:
    """The module of `importlib.import_module("NAME")` and `__import__("NAME")`."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in {"import_module", "__import__"} or not call.args:
        return
    given = call.args[0]
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        with contextlib.suppress(ImportError, ValueError):
            yield importlib.util.resolve_name(given.value, package or None)


def _with_parents(name: str) -> set[str]:
    """A dotted name, and those of the packages that it is in."""
    parts = name.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}


def _is_stale(name: str, source: Source) -> bool:
    module = sys.modules[name]
    if _origin(module) != source.origin:
        return True
    known = _loaded.get(name)
    if known is not None and known[0] == id(module):
        return known[1] != source.digest
    return _changed_at(source.origin) >= _SINCE


def _origin(module: ModuleType) -> str | None:
    spec = getattr(module, "__spec__", None)
    return str(spec.origin) if spec is not None and spec.origin is not None else getattr(module, "__file__", None)


def _changed_at(origin: str) -> float:
    """When a file, or the archive that it is in, was last written; seconds since the epoch."""
    for path in (Path(origin), *Path(origin).parents):
        with contextlib.suppress(OSError):
            found = path.stat()
            return max(found.st_mtime, found.st_ctime)
    return 0.0


def _forget(name: str) -> None:
    module = sys.modules[name]
    origin = _origin(module) or ""
    if origin.endswith(tuple(EXTENSION_SUFFIXES)):
        return
    del sys.modules[name]
    parent, _, child = name.rpartition(".")
    if parent in sys.modules and getattr(sys.modules[parent], child, None) is module:
        delattr(sys.modules[parent], child)
    if origin.endswith(".py"):
        with contextlib.suppress(OSError, NotImplementedError):
            Path(importlib.util.cache_from_source(origin)).unlink(missing_ok=True)
