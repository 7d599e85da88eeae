"""The notebook docs/tutorial.ipynb runs from its first cell to its last, and shows the tables that are stored in it."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"


def outputs(notebook) -> list[tuple[str, list[dict]]]:
    """Of each cell with code: its source, and what it shows."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [(cell.source, [one for one in cell.outputs if one.output_type != "stream"]) for cell in cells]


def shown(of_cell: list[dict]) -> list[str]:
    """The words of a cell's outputs; a picture counts as its kind."""
    texts = ["image/png" if "image/png" in one["data"] else one["data"]["text/plain"] for one in of_cell]
    return " ".join(texts).split()


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(stored, tmp_path_factory):
    """A copy, executed in a folder of its own; an error in a cell is raised here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLIR_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        resources = {"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}}
        return NotebookClient(nbformat.from_dict(stored), timeout=300, resources=resources).execute()


def test_every_cell_runs_and_shows_what_is_stored(stored, executed):
    for (source, before), (_, now) in zip(outputs(stored), outputs(executed), strict=True):
        assert shown(now) == shown(before), source


def test_it_shows_its_subjects(executed):
    of_source = {source: " ".join(shown(found)) for source, found in outputs(executed)}
    assert sum(text == "image/png" for text in of_source.values()) == 3
    found = " ".join(of_source.values())
    for word in ("monolingual", "cross-lingual", "rank_distance", "same_language_lift@10", "adjusted_p", "Success@1"):
        assert word in found


def test_nothing_of_a_machine_is_stored_in_it(stored):
    content = NOTEBOOK.read_text(encoding="utf-8")
    assert len(content) < 1_000_000
    plain = re.sub(r'"image/png": "[^"]*"', "", content)
    assert not re.findall(r"/(?:home|root|tmp|usr|work|Users)/|object at 0x|\d{4}-\d\d-\d\dT\d\d:", plain)
    assert not [one for cell in stored.cells for one in cell.get("outputs", []) if one.output_type == "stream"]
    assert set(stored.metadata) == {"kernelspec", "language_info"}
