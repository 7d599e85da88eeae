"""`--offline` and `XLIR_BENCH_OFFLINE=1` hold for every command: no library opens a connection behind them."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest
from commands import every_command

LEAVES = [names for names, command in every_command() if not isinstance(command, click.Group)]

# Notes each attempt to reach another address, and whether the network was forbidden when it was made.
WATCH = """
import atexit, json, os, sys
seen = []

def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        wanted = arguments[0]
    elif event in ("socket.connect", "socket.sendto"):
        wanted = arguments[1]
    else:
        return
    if event.startswith("socket.get") or not isinstance(wanted, (str, bytes)):
        offline = sys.modules.get("xlir_bench.offline")
        seen.append([event, str(wanted), offline is not None and offline._state["forbidden"]])

sys.addaudithook(watch)
from xlir_bench.cli import main as entry

def note():
    offline = sys.modules.get("xlir_bench.offline")
    forbidden = bool(offline and offline._state["forbidden"])
    state = {"seen": seen, "forbidden": forbidden, "hub": os.environ.get("HF_HUB_OFFLINE")}
    open("seen.json", "w").write(json.dumps(state))

atexit.register(note)
entry.main()
"""


@pytest.fixture(scope="module")
def server():
    """The address of a server on this machine, and how many have connected to it."""
    connected = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            connected.append(self.client_address)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}", connected
        listening.shutdown()


def arguments_of(names: tuple[str, ...], folder: Path, url: str) -> list[str]:
    """Arguments with which a command would reach for the network, where it ever does."""
    from xlir_bench.resources import folder as package_folder

    hub = "sentence-transformers/nothing-by-this-name"
    (folder / "recipe.yaml").write_text(f"start: {{hub: {hub}, revision: {'0' * 40}}}\ndata: [a.parquet]\nsteps: 1\n")
    (folder / "grid.yaml").write_text("base: recipe.yaml\ngrid: {batch: [10]}\nsuite: scifact\n")
    submission = folder / "stranger"
    submission.mkdir(exist_ok=True)
    (submission / "submission.yaml").write_text(
        f"name: stranger\nsource: {{hub: {hub}, revision: {'0' * 40}}}\nadapter: transformers\nlicence: mit\n"
    )
    assert package_folder("suites").is_dir()
    return {
        ("run",): [hub, "--output", "out"],
        ("suites", "fetch"): ["scifact"],
        ("suites", "show"): ["scifact"],
        ("suites", "check"): ["scifact"],
        ("suites", "translate"): ["xlir-mini", "--to", "yo"],
        ("report",): ["nowhere", "--output", "site"],
        ("cache", "prune"): ["--all"],
        ("compare",): ["nowhere"],
        ("gate",): ["nowhere", "--baseline", "nowhere"],
        ("align",): [hub],
        ("pairs", "build"): ["out.parquet", "--aligned", "nowhere"],
        ("pairs", "info"): ["nowhere.parquet"],
        ("pairs", "translate"): ["nowhere.parquet", "--to", "yo"],
        ("audit",): ["recipe.yaml", "--suite", "scifact"],
        ("export",): ["nowhere", "--format", "json"],
        ("import", "mteb"): ["nowhere"],
        ("train", "recipe"): ["recipe.yaml"],
        ("train", "sweep"): ["grid.yaml"],
        ("submit", "new"): ["fresh", "--hub", f"{hub}@{'0' * 40}"],
        ("submit", "validate"): ["stranger"],
        ("submit", "verify"): ["stranger", "--rerun", "3"],
    }.get(names, [])


def watched(folder: Path, arguments: list[str], environment: dict[str, str]) -> dict[str, object]:
    """What a command tried, and whether the network was forbidden at its end."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")}
    finished = subprocess.run(
        [sys.executable, "-c", WATCH, *arguments],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "Traceback" not in finished.stderr, finished.stderr
    assert finished.returncode in {0, 2, 3}, finished.stderr
    return json.loads((folder / "seen.json").read_text())


@pytest.mark.parametrize("names", LEAVES, ids=" ".join)
def test_the_variable_holds_for_every_command(names, tmp_path, server):
    url, connected = server
    environment = {
        "XLIR_BENCH_OFFLINE": "1",
        "HF_ENDPOINT": url,
        "HF_HOME": str(tmp_path / "hub"),
        "OPENAI_BASE_URL": f"{url}/v1",
    }
    found = watched(tmp_path, [*names, *arguments_of(names, tmp_path, url)], environment)
    assert found["forbidden"]
    assert found["hub"] == "1"
    assert all(forbidden for _, _, forbidden in found["seen"]), found["seen"]
    assert connected == []


@pytest.mark.parametrize("place", ["before the command", "after it", "at its end"])
def test_the_option_holds_wherever_it_is_written(place, tmp_path, server):
    url, connected = server
    environment = {"OPENAI_BASE_URL": f"{url}/v1"}
    arguments = {
        "before the command": ["--offline", "align", "openai:model"],
        "after it": ["align", "--offline", "openai:model"],
        "at its end": ["align", "openai:model", "--offline"],
    }[place]
    found = watched(tmp_path, arguments, environment)
    assert found["forbidden"]
    assert connected == []


@pytest.mark.parametrize("value", ["0", "", "false", "no"])
def test_a_variable_that_says_no_forbids_nothing(value, tmp_path):
    found = watched(tmp_path, ["suites", "list"], {"XLIR_BENCH_OFFLINE": value})
    assert not found["forbidden"]
