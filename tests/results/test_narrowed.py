"""Results on one suite with several selections of languages, settings and measures: each is kept."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest
from selections import SELECTIONS, Refuses, asked, figures, model

from xlir_bench.analysis.verified import load_verified
from xlir_bench.errors import InputError
from xlir_bench.evaluation import Output, run
from xlir_bench.results import leaders_path, load_result, ranks_path
from xlir_bench.results.exchange import read_entries
from xlir_bench.results.places import claim

ORDERS = [
    *itertools.chain.from_iterable((("full", one), (one, "full")) for one in list(SELECTIONS)[1:]),
    ("languages", "other languages"),
    ("monolingual", "multilingual"),
    ("monolingual", "measures"),
    ("all narrowed", "languages"),
    ("all narrowed", "monolingual"),
]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Each selection measured in a folder of its own."""
    made = {}
    for selection in SELECTIONS:
        saved = run(model(), *asked(selection), tmp_path_factory.mktemp("fresh"))
        made[selection] = figures(saved.result)
    return made


def kept(folder):
    """Figures of all results of the folder, each of which follows from its ranks."""
    return [figures(load_verified(path, analysis=True)[0]) for path in sorted(folder.glob("*/*.json"))]


@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
def test_of_two_selections_in_one_folder_both_are_kept_with_the_figures_of_a_fresh_folder(tmp_path, fresh, order):
    saved = [run(model(), *asked(selection), tmp_path) for selection in order]
    assert [figures(one.result) for one in saved] == [fresh[selection] for selection in order]
    found = kept(tmp_path)
    for selection, one in zip(order, saved, strict=True):
        assert fresh[selection] in found or not one.measured_now
    plain = load_result(tmp_path / "letters" / "xlir-mini.json")
    assert len(plain.suite.languages) == max(len(one.result.suite.languages) for one in saved)
    if "full" in order and "measures" not in order:
        assert figures(plain) == fresh["full"]
    for selection in order:
        again = run(model(Refuses()), *asked(selection), tmp_path)
        assert not again.measured_now
        assert figures(again.result) == fresh[selection]


def test_the_name_of_a_narrower_result_does_not_depend_on_what_was_there_before(tmp_path):
    narrowed = run(model(), *asked("languages"), tmp_path / "a").path
    run(model(), *asked("full"), tmp_path / "a")
    run(model(), *asked("full"), tmp_path / "b")
    beside = run(model(), *asked("languages"), tmp_path / "b").path
    assert narrowed.name == "xlir-mini.json"
    names = {folder: {path.name for path in (tmp_path / folder).rglob("*.json")} for folder in "ab"}
    assert names["a"] == names["b"] == {"xlir-mini.json", beside.name}
    assert beside.name.startswith("xlir-mini-de-en-")
    assert beside.name == beside.name.lower()


def test_a_part_of_a_finished_result_is_taken_from_it_only_where_the_ranks_are_the_same(tmp_path, fresh):
    full = run(model(), *asked("full"), tmp_path)
    multilingual = run(model(Refuses()), *asked("multilingual"), tmp_path)
    assert not multilingual.measured_now
    assert multilingual.path == full.path
    assert figures(multilingual.result) == fresh["multilingual"]
    monolingual = run(model(), *asked("monolingual"), tmp_path)
    assert monolingual.measured_now
    assert monolingual.path != full.path
    assert figures(load_result(full.path)) == fresh["full"]
    assert leaders_path(full.path).is_file()


def test_runs_of_a_narrower_search_do_not_replace_those_of_a_fuller_one(tmp_path):
    full = run(model(), *asked("full"), Output(tmp_path, 3))
    content = {path: path.read_bytes() for path in full.runs.rglob("*") if path.is_file()}
    narrowed = run(model(), *asked("languages"), Output(tmp_path, 3))
    assert narrowed.runs != full.runs
    assert {path: path.read_bytes() for path in content} == content
    assert run(model(Refuses()), *asked("multilingual"), Output(tmp_path, 3)).runs == full.runs


def test_a_result_that_somebody_put_at_the_place_of_another_is_not_replaced(tmp_path):
    run(model(), *asked("full"), tmp_path)
    narrowed = run(model(), *asked("languages"), tmp_path)
    other = run(model(), *asked("other languages"), tmp_path)
    content = other.path.read_bytes()
    for part in (Path, ranks_path, leaders_path):
        part(other.path).replace(part(narrowed.path))
    with pytest.raises(InputError, match="another result is there"):
        run(model(Refuses()), *asked("languages"), tmp_path)
    assert narrowed.path.read_bytes() == content


def ends_after(operations, action):
    """Do something in a process that ends at once after some operations on files; whether it was stopped."""
    child = os.fork()
    if not child:
        left = itertools.count(operations - 1, -1)

        def counted(real):
            def call(*given, **named):
                found = real(*given, **named)
                if not next(left):
                    os._exit(9)
                return found

            return call

        for name in ("link", "replace", "rename", "unlink"):
            setattr(os, name, counted(getattr(os, name)))
        try:
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_killed_while_a_result_moves_loses_nothing(tmp_path, fresh):
    """After each operation on a file in turn, the process ends: the narrower result is whole, wherever it is."""
    narrowed = run(model(), *asked("languages"), Output(tmp_path / "narrowed", 3))
    ranks = ranks_path(narrowed.path).read_bytes()
    runs = sorted(path.name for path in narrowed.runs.rglob("*.run"))
    full = run(model(), *asked("full"), tmp_path / "full").result
    for operations in itertools.count(1):
        folder = shutil.copytree(tmp_path / "narrowed", tmp_path / str(operations))
        stopped = ends_after(operations, lambda folder=folder: claim(folder, full))
        whole = [path for path in folder.glob("*/*.json") if ranks_path(path).is_file()]
        assert whole
        for path in whole:
            assert figures(load_result(path)) == fresh["languages"]
            assert ranks_path(path).read_bytes() == ranks
            assert leaders_path(path).is_file()
        assert len(read_entries([folder])) == 1
        free = claim(folder, full)
        assert not free.exists()
        [path] = folder.glob("*/*.json")
        assert figures(load_verified(path, analysis=True)[0]) == fresh["languages"]
        assert sorted(path.name for path in folder.rglob("*.run")) == runs
        if not stopped:
            break
    assert operations > 5
