"""`submit new --from` leaves nothing to fill in but what only the author knows."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from xlir_bench import submissions
from xlir_bench.errors import InputError
from xlir_bench.resources import folder

AUTHORS = {"licence": "MIT", "trained_on": [], "description": "One.", "contact": "https://example.org"}

SERVER = {"server": "http://localhost/v1", "model": "m"}


def declared(place) -> dict:
    return yaml.safe_load((place / "submission.yaml").read_text())


def fill_in(place) -> None:
    """Write behind each empty field of the manifest, as an author does, what only the author knows."""
    lines = (place / "submission.yaml").read_text().splitlines()
    empty = [line for line in lines if line.removesuffix(":") in AUTHORS]
    lines = [f"{line} {json.dumps(AUTHORS[line[:-1]])}" if line in empty else line for line in lines]
    assert sorted(line[:-1] for line in empty) == sorted(AUTHORS)
    (place / "submission.yaml").write_text("\n".join(lines))


@pytest.fixture
def of_model(complete, tmp_path):
    """Results whose model is what the arguments say; the rest is of a real run."""

    def results(adapter: str, details=None, **model):
        place = tmp_path / "results" / "made"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(complete / "results", place)
        path = place / "xlir-mini.json"
        document = json.loads(path.read_text())
        document["model"] |= model
        document["model"]["details"] = {"adapter": adapter, **(details or {})}
        path.write_text(json.dumps(document))
        return place

    return results


def test_one_edit_is_left(complete, tmp_path, errors):
    place = submissions.new("mine", tmp_path / "new", results=complete / "results")
    assert len(errors(place)) == 2  # licence, description: trained_on is known of BM25
    text = (place / "submission.yaml").read_text()
    (place / "submission.yaml").write_text(
        text.replace("licence:\n", "licence: MIT\n").replace("description:\n", "description: One.\n")
    )
    assert errors(place) == []
    assert declared(place)["adapter"] == "bm25"
    assert "source" not in declared(place)


def test_the_folder_of_a_model_is_copied_with_what_was_measured(of_model, tmp_path, errors):
    weights = tmp_path / "my-encoder"
    shutil.copytree(folder("submissions") / "xlir-hybrid-static", weights)
    for name in ("submission.yaml", "README.md"):
        (weights / name).unlink()
    (weights / "old.bin").write_bytes(b"x")
    results = of_model(
        "sentence-transformers",
        {"parameters": 5, "max_length": 128, "truncate_dim": 64, "dimensions": 64},
        id="my-encoder",
        prompts={"query": "query: ", "document": ""},
        similarity="dot",
    )
    place = submissions.new("mine", tmp_path / "new", results=results, weights=weights)
    fill_in(place)
    assert errors(place) == []
    assert (place / "model.safetensors").read_bytes() == (weights / "model.safetensors").read_bytes()
    assert not (place / "old.bin").exists()
    found = declared(place)
    assert found["source"] == {"folder": "."}
    assert found["prompts"] == {"query": "query: ", "document": ""}
    assert {name: found[name] for name in ("similarity", "max_length", "truncate_dim", "parameters")} == {
        "similarity": "dot",
        "max_length": 128,
        "truncate_dim": 64,
        "parameters": 5,
    }
    card = (place / "README.md").read_text()
    value = json.loads((results / "xlir-mini.json").read_text())["summary"]["monolingual"]["AP"]
    assert f"xlir-mini, monolingual: mean AP {value:.3f}" in card


def test_the_manifest_of_a_models_folder_is_kept_under_the_new_name(of_model, tmp_path):
    bundled = folder("submissions") / "xlir-hybrid-static"
    results = of_model("sentence-transformers", id="xlir-hybrid-static")
    place = submissions.new("mine", tmp_path / "new", results=results, weights=bundled)
    assert declared(place) == declared(bundled) | {"name": "mine"}
    assert (place / "README.md").read_text() == (bundled / "README.md").read_text()
    assert sorted(path.name for path in (place / "results").iterdir()) == sorted(p.name for p in results.iterdir())


@pytest.mark.parametrize(
    ("adapter", "details", "model", "source"),
    [
        ("transformers", {}, {"id": "org/name", "revision": "a" * 40}, {"hub": "org/name", "revision": "a" * 40}),
        ("transformers", {}, {"id": "org/name@main", "revision": "b" * 40}, {"hub": "org/name", "revision": "b" * 40}),
        ("factory", {"registry": "org/name"}, {"id": "mteb:x", "revision": "r"}, {"mteb": "org/name", "revision": "r"}),
        ("openai", SERVER, {"id": "openai:m"}, SERVER),
    ],
)
def test_the_source_is_where_the_measured_model_was(of_model, tmp_path, adapter, details, model, source):
    place = submissions.new("mine", tmp_path / "new", results=of_model(adapter, details, **model))
    assert declared(place)["source"] == source


def test_a_model_that_is_code_is_refused_and_nothing_is_left(of_model, tmp_path):
    with pytest.raises(InputError, match="runs code of yours: a submission runs none"):
        submissions.new("mine", tmp_path / "new", results=of_model("factory", id="my_encoder.py:build"))
    assert not (tmp_path / "new").exists()


def test_results_of_two_models_are_refused_with_their_names(complete, of_model):
    results = of_model("sentence-transformers", fingerprint="0" * 64, name="another")
    shutil.copytree(complete / "results", results.parent / "bm25")
    with pytest.raises(InputError, match=r"of 2 models \(another, bm25\)"):
        submissions.new("mine", results.parent / "new", results=results.parent)
