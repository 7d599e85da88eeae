"""Files beside a result are examined once, and again when their content is another."""

from __future__ import annotations

import pytest

from xlir_bench.analysis import intact
from xlir_bench.encoders import resolve
from xlir_bench.evaluation import run
from xlir_bench.results import leaders_path, ranks_path
from xlir_bench.suites import find, load


@pytest.fixture
def again(tmp_path):
    """Runs the floor into one folder."""
    suite = find("xlir-mini")
    collection = load(suite, languages=["de", "en"])
    return lambda: run(resolve("random"), suite, collection, tmp_path)


def test_what_was_found_intact_is_not_computed_anew(again, monkeypatch):
    again()
    assert not again().measured_now
    monkeypatch.setattr(intact, "load_ranks", lambda _: pytest.fail("computed again"))
    assert not again().measured_now


@pytest.mark.parametrize("file_of", [ranks_path, leaders_path])
@pytest.mark.parametrize("harm", ["cut", "missing"])
def test_a_file_that_changed_since_is_examined(again, file_of, harm):
    again()
    path = file_of(again().path)
    path.write_bytes(path.read_bytes()[:-100]) if harm == "cut" else path.unlink()
    assert again().measured_now


def test_what_was_damaged_when_it_was_examined_is_not_remembered(again):
    path = ranks_path(again().path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert again().measured_now
    path.write_bytes(whole[:-100])
    assert again().measured_now
