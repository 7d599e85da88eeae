"""Execute docs/tutorial.ipynb and store it with what its cells show, without timings and messages of this machine.

Run from anywhere, with the extra `test` installed: python tools/tutorial/execute.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "tutorial.ipynb"


def main() -> None:
    """Rewrite the notebook, if every cell runs."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    kept = {name: notebook.metadata[name] for name in ("kernelspec", "language_info")}
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=300, record_timing=False, resources=resources).execute()
    notebook.metadata = nbformat.from_dict({**kept, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.output_type != "stream"]
    nbformat.write(notebook, NOTEBOOK)


if __name__ == "__main__":
    main()
