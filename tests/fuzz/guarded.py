"""What is asked of every reader of an untrusted file, whatever the file holds.

- It ends with a value or with an error of ours (`XlirError`), whose message is short.
- Nothing outside the target folder is written, removed or, where the reader has no business there, opened. Python
  reports each attempt to an audit hook; a folder of files and links beside the target is compared byte by byte for what
  libraries in C do.
- No connection is opened and no process is started.
- Memory grows by less than `MOST_BYTES`. Measured as the peak of resident memory, which counts what pyarrow and numpy
  allocate too. A limit on address space alone would not do: readers turn a failed allocation into an error of ours, and
  libraries reserve more than they use. One is set nevertheless, far above, so that a file that swells ends the test and
  not the machine; and a `MemoryError` anywhere in the chain of an error fails the test.
- It takes less than `MOST_SECONDS`.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from xlir_bench.cli import main as entry
from xlir_bench.errors import XlirError

SECONDS = "XLIR_BENCH_FUZZ_SECONDS"
SEED = "XLIR_BENCH_FUZZ_SEED"
MOST_BYTES = 1 << 30
MOST_SECONDS = 20
LONGEST_MESSAGE = 4100

_TOTAL = 20.0
"""Seconds that all tests of this folder share where `SECONDS` does not say; without it they draw the same inputs each
time."""

_CHUNK = 50
_LIMIT_ABOVE = 6 << 30
_WRITES = frozenset(
    [
        "os.remove",
        "os.rename",
        "os.mkdir",
        "os.rmdir",
        "os.symlink",
        "os.link",
        "os.chmod",
        "os.chown",
        "os.truncate",
        "os.utime",
        "shutil.rmtree",
        "shutil.move",
        "shutil.copyfile",
    ]
)
_NETWORK = frozenset(["socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"])
_PROCESSES = frozenset(["subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"])
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class BrokenPromise(BaseException):
    """A reader did what no input may make it do."""


@dataclass
class Tally:
    """What was tried in one test."""

    examples: int = 0
    accepted: int = 0
    peak: int = 0
    slowest: float = 0.0

    def line(self) -> str:
        return (
            f"{self.examples:,} inputs, {self.accepted:,} accepted, at most {self.peak / 2**20:,.0f} MiB more memory "
            f"and {self.slowest:.1f} s"
        )


@dataclass
class Arena:
    """Folders of one test: `target` holds the inputs; `outside` must stay as it is."""

    root: Path
    tally: Tally = field(default_factory=Tally)
    may_read_outside: bool = False

    def __post_init__(self) -> None:
        for name in ("target", "work", "home", "cache", "tmp", "outside/folder"):
            (self.root / name).mkdir(parents=True)
        (self.outside / "secret.json").write_text('{"secret": 1}')
        (self.outside / "folder" / "en.json").write_text("{}")
        (self.outside / "a link").symlink_to("secret.json")
        (self.outside / "a link of a folder").symlink_to("folder")
        self._before = self._snapshot()

    @property
    def target(self) -> Path:
        return self.root / "target"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    def write(self, name: str, content: bytes) -> Path:
        """A file in the target."""
        path = self.target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def _snapshot(self) -> dict[str, tuple[object, ...]]:
        found: dict[str, tuple[object, ...]] = {"": tuple(sorted(path.name for path in self.root.iterdir()))}
        for path in sorted(self.outside.rglob("*")):
            facts = path.lstat()
            content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(self.outside))] = facts.st_mode, facts.st_mtime_ns, content
        return found

    def examine(self, read: Callable[[], Any], *, seconds: int = MOST_SECONDS) -> Any:
        """What a reader gives, or the error of ours that it raises; any other end fails the test."""
        outcome: Any = None
        begun = time.monotonic()
        with _memory() as memory, _alarm(seconds), _audited(self):
            try:
                outcome = read()
            except XlirError as error:
                outcome = error
        taken = time.monotonic() - begun
        tally = self.tally
        tally.examples += 1
        tally.accepted += not isinstance(outcome, XlirError)
        tally.peak, tally.slowest = max(tally.peak, memory[0]), max(tally.slowest, taken)
        assert memory[0] < MOST_BYTES, f"memory grew by {memory[0] / 2**20:,.0f} MiB"
        assert taken < seconds, f"it took {taken:.1f} s"
        assert self._snapshot() == self._before, "a file outside the target was changed"
        if isinstance(outcome, XlirError):
            _check_message(outcome)
        return outcome

    def run(self, *arguments: object, codes: frozenset[int] = frozenset({0, 2, 3})) -> tuple[int, str, str]:
        """Run a command in this process; its exit code, stdout and stderr."""
        # As `streams.take_over` sets them up.
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", newline="") for _ in range(2))

        def call() -> int:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                before, sys.argv = sys.argv, ["xlir-bench", *map(str, arguments)]
                try:
                    return entry._exit_code()
                finally:
                    sys.argv = before

        code = self.examine(call, seconds=3 * MOST_SECONDS)
        printed, said = (_written(stream) for stream in (out, err))
        self.tally.accepted -= code != 0
        assert code in codes, (code, said[-2000:])
        assert "Traceback" not in said
        assert "not enough memory" not in said
        if code in {2, 3}:
            last = said.splitlines()[-1]
            assert last.startswith(("xlir-bench: error: ", "Error: ")), said[-2000:]
            assert last.isprintable(), last
            assert len(last) < LONGEST_MESSAGE, last
        return code, printed, said


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


def fuzz(strategy: st.SearchStrategy[Any], examine: Callable[[Any], object], *, share: float = 0.035) -> None:
    """Examine inputs for a share of the time that there is, at least a few.

    Hypothesis draws them in chunks, each with a seed of its own. An input that fails is printed, with the seed of its
    chunk; with that in `XLIR_BENCH_FUZZ_SEED` the test begins with that chunk.
    """
    asked = os.environ.get(SECONDS)
    until = time.monotonic() + share * float(asked or _TOTAL)
    seed = int(os.environ.get(SEED) or (time.time_ns() // 1000 % 10**9 if asked else 1))
    while True:
        # One variable, so that what fails is printed as `drawn=...`.
        def once(drawn: Any) -> None:
            examine(drawn)

        made = hypothesis.seed(seed)(hypothesis.given(strategy)(once))
        try:
            hypothesis.settings(
                max_examples=_CHUNK if time.monotonic() + 1 < until else 10,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
                derandomize=False,
            )(made)()
        except BaseException as error:
            error.add_note(f"replay with {SEED}={seed}")
            raise
        seed += 1
        if time.monotonic() > until:
            return


def _check_message(error: XlirError) -> None:
    line = " ".join(str(error).split())
    assert line, "an error without a message"
    assert len(line) < LONGEST_MESSAGE, f"a message of {len(line):,} characters: {line[:300]}"
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        assert not isinstance(link, MemoryError), f"memory ran out: {error}"
        link = link.__cause__ or link.__context__


@contextlib.contextmanager
def _memory() -> Iterator[list[int]]:
    """The growth of the peak of resident memory, in bytes, in a list of one."""
    before, size = _reset_peak()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + _LIMIT_ABOVE, hard))
    found = [0]
    try:
        yield found
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        found[0] = max(0, _status()["VmHWM"] - before)


def _reset_peak() -> tuple[int, int]:
    Path("/proc/self/clear_refs").write_text("5")
    status = _status()
    return status["VmRSS"], status["VmSize"]


def _status() -> dict[str, int]:
    """What Linux says of this process's memory, in bytes."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Vm"))
    return {name.removesuffix(":"): int(size) << 10 for name, size, _ in lines}


@contextlib.contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise BrokenPromise(f"it takes more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


_watching: list[Arena] = []
_seen: list[str] = []
_hooked: list[object] = []


@contextlib.contextmanager
def _audited(arena: Arena) -> Iterator[None]:
    if not _hooked:
        sys.addaudithook(_hear)  # cannot be taken back, so it looks at `_watching`
        _hooked.append(_hear)
    _seen.clear()
    _watching.append(arena)
    try:
        yield
    finally:
        _watching.pop()
        # Noted, for a reader may have caught what the hook raised.
        assert not _seen, _seen[0]


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    arena = _watching[-1]
    problem = None
    if event in _NETWORK:
        if not isinstance(arguments[-1], str | bytes) or event.startswith("socket.get"):
            problem = f"{event} {arguments[1:]}"
    elif event in _PROCESSES:
        problem = f"{event} {arguments[:2]}"
    elif event == "open":
        problem = _opened(arena, *arguments)
    elif event in _WRITES:
        problem = next((f"{event} {p}" for p in _paths(arguments) if not _inside(arena, p)), None)
    if problem is not None:
        _seen.append(problem)
        raise BrokenPromise(problem)


def _paths(arguments: tuple[Any, ...]) -> list[str]:
    return [os.fsdecode(one) for one in arguments if isinstance(one, str | bytes | os.PathLike)]


def _opened(arena: Arena, path: object, mode: object, flags: object) -> str | None:
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    place = os.fsdecode(path)
    writes = isinstance(flags, int) and flags & _WRITE_FLAGS
    if writes and not _inside(arena, place):
        return f"opened for writing: {place}"
    whole = _whole(place)
    if not arena.may_read_outside and (whole.startswith(f"{arena.outside}/") or whole == "/etc/passwd"):
        return f"opened: {place}"
    return None


def _whole(path: str) -> str:
    return os.path.normpath(Path.cwd() / path)  # links stay: each is opened by the name that it is given


def _inside(arena: Arena, path: str) -> bool:
    whole = _whole(path)
    if whole in {"/dev/null"} or "__pycache__" in whole or whole.startswith(tempfile.gettempdir() + "/numba"):
        return True
    return whole.startswith(f"{arena.root}/") and not whole.startswith(f"{arena.outside}/")
