"""A comparison of a model with itself says so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from xlir_bench.analysis import compare, load_run
from xlir_bench.cli.main import cli
from xlir_bench.encoders import Model, ModelInfo
from xlir_bench.errors import InputError
from xlir_bench.evaluation import run
from xlir_bench.suites import find, load


class Letters:
    """Counts of letters, of which the first few count for more."""

    def __init__(self, weight=1.0):
        self.weight = weight

    def encode(self, texts, *, role, languages):
        scale = np.array([self.weight, self.weight, *[1.0] * 6])
        return np.array([[text.count(letter) + 1 for letter in "aeinrstu"] for text in texts]) * scale


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Results by (name, fingerprint) of encoders in Finnish and English."""
    suite = find("xlir-mini").narrowed(["monolingual"])
    collection = load(suite, languages=["en", "fi"])
    output = tmp_path_factory.mktemp("results")

    def measured(name, mark, weight=1.0):
        return run(Model(ModelInfo(name, name, mark * 64), Letters(weight)), suite, collection, output).path

    return {"one": measured("one", "a"), "again": measured("again", "a"), "changed": measured("changed", "a", 9.0),
            "other": measured("other", "b")}  # fmt: skip


def test_two_results_of_one_fingerprint_are_named(stored):
    found = compare([load_run(stored["one"]), load_run(stored["again"])])
    assert found.same_model == (("one", "again"),)
    assert found.notices == (f"one and again are the same model (fingerprint {'a' * 12}): nothing was compared",)


def test_one_fingerprint_with_other_ranks_hides_a_change(stored):
    [notice] = compare([load_run(stored["one"]), load_run(stored["changed"])]).notices
    assert "rank differently" in notice


def test_two_models_have_no_notice(stored):
    assert compare([load_run(stored["one"]), load_run(stored["other"])]).notices == ()


def test_the_command_prints_the_notice_and_has_it_in_its_json(stored):
    files = [str(stored["one"]), str(stored["again"])]
    assert "nothing was compared" in CliRunner().invoke(cli, ["compare", *files]).output
    assert json.loads(CliRunner().invoke(cli, ["compare", *files, "--json"]).output)["same_model"] == [["one", "again"]]


def test_the_same_result_twice_is_refused_as_the_same_model(stored):
    with pytest.raises(InputError, match="one occurs twice with one fingerprint"):
        compare([load_run(stored["one"]), load_run(stored["one"])])
