"""action.yml, run as a runner would: each step's script in bash, inputs as its environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]
BASELINE = ROOT / "submissions" / "xlir-hybrid-static" / "results" / "xlir-mini.json"


def scripts() -> list[dict]:
    return [step for step in STEPS if "run" in step]


def run_action(folder: Path, **inputs: str) -> tuple[dict[str, int], dict[str, str]]:
    """Run the steps that have an id, in order; gives their exit codes and the action's outputs."""
    values = {name: str(declared.get("default", "")) for name, declared in ACTION["inputs"].items()} | inputs
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    base = {"PATH": path, "HOME": str(folder), "HF_HUB_OFFLINE": "1", "XLIR_BENCH_CACHE": str(folder / "cache")}
    base |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    codes, written = {}, {}
    for step in scripts():
        if "id" in step:
            file = folder / f"{step['id']}.output"
            file.touch()
            asked = {name: _filled(value, {"inputs": values}) for name, value in step.get("env", {}).items()}
            # As GitHub's runner starts `shell: bash`.
            bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            environment = base | asked | {"GITHUB_OUTPUT": str(file)}
            codes[step["id"]] = subprocess.run(bash, cwd=folder, env=environment, check=False).returncode
            written[step["id"]] = dict(line.split("=", 1) for line in file.read_text().splitlines())
    return codes, {name: _filled(output["value"], written) for name, output in ACTION["outputs"].items()}


def _filled(text: str, known: dict[str, dict[str, str]]) -> str:
    """The text with `${{ inputs.x }}` and `${{ steps.y.outputs.x }}` filled in."""
    return re.sub(r"\$\{\{ (?:steps\.)?(\w+)\.(?:outputs\.)?([\w-]+) \}\}", lambda m: known[m[1]][m[2]], text)


def test_no_input_reaches_a_script_as_text():
    assert scripts()
    assert all("${{" not in step["run"] for step in scripts())


def test_every_input_is_used_and_every_output_is_made():
    text = (ROOT / "action.yml").read_text()
    assert all(f"inputs.{name}" in text for name in ACTION["inputs"])
    made = {step["id"]: step["run"] for step in scripts() if "id" in step}
    for output in ACTION["outputs"].values():
        step, name = re.fullmatch(r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}", output["value"]).groups()
        assert f"{name}=" in made[step]


def test_vectors_are_kept_whatever_the_gate_says_under_a_key_of_the_packages_and_the_run():
    """A key is written once, so it names the run; what is restored has the same packages, system and processor."""
    restore, save = (step for step in STEPS if "actions/cache/" in step.get("uses", ""))
    names = [step.get("name") for step in STEPS]
    assert names.index(restore["name"]) < names.index("Measure the candidate") < names.index(save["name"])
    assert names.index(save["name"]) < names.index("Gate")
    assert (save["with"]["key"], save["with"]["path"]) == (restore["with"]["key"], restore["with"]["path"])
    prefix, run = restore["with"]["key"].split("${{ github.run_id }}")
    assert restore["with"]["restore-keys"] == prefix
    assert run == "-${{ github.run_attempt }}"
    assert all(part in prefix for part in ("runner.os", "runner.arch", "steps.vectors.outputs.packages"))
    assert {step["if"] for step in (restore, save)} == {"${{ inputs.cache == 'true' }}"}


def test_what_names_the_vectors_is_the_harness_own_folder_and_a_digest_of_the_packages(tmp_path):
    (step,) = [step for step in scripts() if step.get("id") == "vectors"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "XLIR_BENCH_CACHE": str(tmp_path / "vectors")}
    environment["GITHUB_OUTPUT"] = str(tmp_path / "output")
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    assert subprocess.run(bash, cwd=tmp_path, env=environment, check=False).returncode == 0
    written = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert written["folder"] == str(tmp_path / "vectors")
    assert re.fullmatch(r"[0-9a-f]{16}", written["packages"])


def test_the_installation_is_of_the_action_itself():
    (install,) = [step for step in scripts() if "pip install" in step["run"]]
    assert install["run"].count("$GITHUB_ACTION_PATH") == 2
    assert (ROOT / "constraints.txt").is_file()


@pytest.mark.slow
def test_the_bundled_encoder_passes_and_its_pages_are_built(tmp_path):
    codes, outputs = run_action(tmp_path, model="xlir-hybrid-static", baseline=str(BASELINE))
    assert codes == {"vectors": 0, "run": 0, "gate": 0, "site": 0}
    assert outputs["passed"] == "true"
    assert (tmp_path / outputs["junit"]).is_file()
    assert (tmp_path / outputs["site"] / "index.html").is_file()
    assert "passed" in (tmp_path / "summary.md").read_text()


@pytest.mark.slow
def test_random_vectors_do_not_pass_and_their_pages_are_built_all_the_same(tmp_path):
    codes, outputs = run_action(tmp_path, model="random", baseline=str(BASELINE), output="a folder")
    assert codes == {"vectors": 0, "run": 0, "gate": 1, "site": 0}
    assert outputs["passed"] == "false"
    assert (tmp_path / outputs["site"] / "index.html").is_file()


def test_pages_are_built_from_submissions_on_every_merge():
    workflow = yaml.load((ROOT / ".github" / "workflows" / "pages.yml").read_text(), Loader=yaml.BaseLoader)
    assert workflow["on"]["push"]["branches"] == ["main"]
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["deploy"]["permissions"] == {"pages": "write", "id-token": "write"}
    commands = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    assert "xlir-bench report submissions --output site" in commands
