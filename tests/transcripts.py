"""The blocks of code of a page, run from top to bottom in one folder, and what they print held against the page.

An HTML comment right before a block says what the block needs; comments are not shown on the rendered page.

    <!-- not run: REASON -->         nobody runs it here: it needs a network, a GPU, hours, data that are not here, ...
    <!-- needs: xquad-r ... -->      it runs where these folders of the real data are, as `data/`
    <!-- setup: COMMAND -->          what the reader has already: a function of `SETUPS`, or a command line
    <!-- without: TEXT -->           run without this part of the line, such as an installation
    <!-- words: MODEL = bm25; ... -->  what is put for words of the page, such as those that a reader is to replace
    <!-- file: NAME -->              the block is the content of a file, which is written
    <!-- not compared: REASON -->    run on smaller inputs than the page has, so that only exit codes count
    <!-- exit code: 2 -->            of the last command; else 0, or any other where the page shows an error

A block with lines that begin with `$ ` is commands and their output; any other block whose first word is a program is
commands. A block `text` behind one of Python is its output. Everything else is data, unless it is of kind `text`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from commands import xlir_bench
from markdown_it import MarkdownIt

PROGRAMS = ("xlir-bench", "python", "pip", "ray", "export", "cp", "mv")

_DIRECTIVES = ("not run", "needs", "setup", "without", "words", "file", "not compared", "exit code")
_COMMENT = re.compile(r"<!-- *([^:>]+): *(.*?) *-->", re.DOTALL)
_BOXES = re.compile("[\u2500-\u257f]")
_MEASURED = re.compile(
    r"\b\d[\d,.]*(?= ?(?:s|ms|min|h|minutes|seconds|MiB|GiB|kB|MB|GB|(?:texts|queries|pairs|steps|runs|rows)/s)\b)"
    r"|(?<= in )\d[\d,.]*|\b\d:\d\d:\d\d\b"
)
"""Times, rates and sizes in memory: the machine's. A page says what was measured once."""

_CLIENT = """\
#!{python} -SE
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
stream = server.makefile("rw")
request = dict(arguments=sys.argv[1:], folder=os.getcwd(), environment=dict(os.environ))
print(json.dumps(request), file=stream, flush=True)
out, err, code = json.loads(stream.readline())
sys.stderr.write(err)
sys.stderr.flush()
sys.stdout.write(out)
sys.exit(code)
"""


@dataclass
class Block:
    """One block of code.

    Attributes:
        line: its first line on the page, counted from 1.
        kind: `python`, `commands`, `text` or the name of a format.
        code: its content.
        directives: (name, value) of the comments before it, in order.
        shown: what the block behind it says that it prints, where there is one.
    """

    line: int
    kind: str
    code: str
    directives: list[tuple[str, str]] = field(default_factory=list)
    shown: str | None = None

    def given(self, name: str) -> list[str]:
        """The values of a directive."""
        return [value for found, value in self.directives if found == name]


def blocks(content: str) -> list[Block]:
    """The blocks of a page."""
    found: list[Block] = []
    waiting: list[tuple[str, str]] = []
    adjacent = False
    for token in MarkdownIt("commonmark").parse(content):
        if token.type == "html_block":
            waiting += [(name.strip(), value) for name, value in _COMMENT.findall(token.content)]
            continue
        if token.type not in {"fence", "code_block"}:
            waiting, adjacent = [], False
            continue
        assert token.map is not None
        unknown = [name for name, _ in waiting if name not in _DIRECTIVES]
        assert not unknown, f"line {token.map[0]}: what does {unknown} mean? known: {_DIRECTIVES}"
        block = Block(token.map[0] + 1, _kind(token.info.strip(), token.content), token.content, waiting)
        if block.kind == "text" and adjacent and found[-1].kind == "python" and not waiting:
            found[-1].shown = block.code
        else:
            found.append(block)
        waiting, adjacent = [], True
    return found


def _kind(info: str, code: str) -> str:
    if info in {"console", "bash", "sh"} or (not info and re.search(r"^\$ ", code, re.MULTILINE)):
        return "commands"
    if not info and code.split(maxsplit=1)[0] in PROGRAMS:
        return "commands"
    return info or "text"


def commands(code: str) -> Iterator[tuple[str, list[str] | None]]:
    """Each command of a block, with the lines that it is said to print; None where nothing is said."""
    if not re.search(r"^\$ ", code, re.MULTILINE):
        for line in code.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield line, None
        return
    for one in re.split(r"^\$ ", code.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, *output = one.splitlines()
        lines = [line for line in output if line.strip()]
        yield command, lines or None


def differences(shown: list[str], out: str, err: str) -> list[str]:
    """What of the lines that a page shows was not printed, and which lines of the output it does not show.

    White space, boxes, times and rates do not count; `...` stands for anything in a line, and alone for lines. What
    goes to standard error may be left out.
    """
    left = [[_plain(line) for line in stream.splitlines() if _plain(line)] for stream in (out, err)]
    missing = []
    for line in map(_plain, shown):
        if not line or line == "...":
            continue
        pattern = re.compile(".*".join(map(re.escape, line.split("..."))))
        for stream in left:
            place = next((place for place, printed in enumerate(stream) if pattern.fullmatch(printed)), None)
            if place is not None:
                del stream[place]
                break
        else:
            missing.append(f"is shown, and was not printed: {line}")
    if "..." in map(str.strip, shown):
        return missing
    return missing + [f"was printed, and is not shown: {line}" for line in left[0]]


def _plain(line: str) -> str:
    return " ".join(_MEASURED.sub("0", _BOXES.sub(" ", line)).split())


class Shell:
    """A shell in a folder, in which `xlir-bench` is answered by the process that has loaded the libraries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Shell:
        self._programs = Path(tempfile.mkdtemp())
        address = str(self._programs / "socket")
        self._server = _Server(address, _Request)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        client = self._programs / "xlir-bench"
        client.write_text(_CLIENT.format(python=sys.executable, address=address))
        client.chmod(0o755)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self._programs)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line to its end."""
        path = os.pathsep.join([str(self._programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = os.environ | {"PATH": path, "COLUMNS": "250", "NO_COLOR": "1"}
        streams = {"capture_output": True, "text": True, "timeout": 300}
        return subprocess.run(["bash", "-c", command], cwd=self.folder, env=environment, check=False, **streams)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _Request(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        with contextlib.suppress(BrokenPipeError):
            done = xlir_bench(*asked["arguments"], cwd=asked["folder"], env=asked["environment"])
            self.wfile.write(json.dumps([done.stdout, done.stderr, done.returncode]).encode() + b"\n")


Setups = dict[str, Callable[..., None]]


def prepare(block: Block, shell: Shell, setups: Setups) -> None:
    """Make what the reader of a block has already."""
    for setup in block.given("setup"):
        name, *arguments = setup.split()
        if name in setups:
            setups[name](shell.folder, *arguments)
        else:
            done = shell.run(setup)
            assert done.returncode == 0, f"{setup}: {done.stderr}"


def run_commands(block: Block, shell: Shell) -> list[str]:
    """Run the commands of a block; what differs from the page, a line each."""
    code = as_run(block)
    faults: list[str] = []
    stated = block.given("exit code")
    found = list(commands(code))
    for place, (command, shown) in enumerate(found):
        done = shell.run(command)
        refused = shown is not None and any("xlir-bench: error:" in line for line in shown)
        if stated and place == len(found) - 1:
            right = done.returncode == int(stated[0])
        else:
            right = (done.returncode != 0) == refused
        if not right:
            faults.append(f"$ {command}: exit code {done.returncode}: {done.stderr[-1500:]}")
        elif shown is not None and not block.given("not compared"):
            faults += [f"$ {command}: {line}" for line in differences(shown, done.stdout, done.stderr)]
    return faults


def as_run(block: Block) -> str:
    """The code of a block without what is left out, and with what is put for words of the page."""
    code = block.code
    for part in block.given("without"):
        assert part in code, f"there is no {part!r} to leave out"
        code = code.replace(part, "")
    return _replaced(code, dict(_pairs(block)))


def _pairs(block: Block) -> Iterator[tuple[str, str]]:
    for value in block.given("words"):
        for pair in value.split(";"):
            word, _, replacement = pair.partition(" = ")
            yield word.strip(), replacement.strip()


def _replaced(text: str, words: dict[str, str]) -> str:
    for word, replacement in words.items():
        text, count = re.subn(rf"(?<![\w-]){re.escape(word)}(?![\w-])", lambda _, new=replacement: new, text)
        assert count, f"there is no {word} to replace"
    return text
