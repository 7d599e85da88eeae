"""Every pair at once, against `xlir-bench compare`, which takes one pair after the other."""

from __future__ import annotations

import pytest
from leaderboard.measured_runs import make

from xlir_bench.analysis import compare, load_run
from xlir_bench.leaderboard.collect import sections
from xlir_bench.leaderboard.entrant import measured
from xlir_bench.leaderboard.pairwise import pairwise
from xlir_bench.results import load_result


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return make(tmp_path_factory.mktemp("results"), {"good": 0.1, "twin": 0.1, "bad": 5.0})


@pytest.fixture(scope="module")
def section(paths):
    (found,) = sections([measured(load_result(path), path) for path in paths])
    return found


@pytest.fixture(scope="module")
def tested(section):
    return pairwise(section)


@pytest.fixture(scope="module")
def one_by_one(section):
    """`compare` of the same runs in the same order."""
    return compare([load_run(entrant.path) for entrant in section.entrants])


def test_differences_intervals_and_p_are_those_of_compare(section, tested, one_by_one):
    names = [entrant.result.model.name for entrant in section.entrants]
    assert one_by_one.settings
    for difference in one_by_one.settings:
        pair = names.index(difference.a), names.index(difference.b)
        found = tested.contrasts[pair][difference.setting, difference.measure, "*"]
        assert found.difference == pytest.approx(difference.difference, abs=1e-9)
        assert (found.low, found.high) == pytest.approx(difference.interval, abs=1e-5)
        assert found.p == pytest.approx(difference.adjusted_p)


def test_differences_by_query_language_are_those_of_compare(section, tested, one_by_one):
    names = [entrant.result.model.name for entrant in section.entrants]
    by_query = [d for d in one_by_one.by_language if d.document_language == "*"]
    assert by_query
    for difference in by_query:
        pair = names.index(difference.a), names.index(difference.b)
        found = tested.contrasts[pair][difference.setting, difference.measure, difference.query_language]
        assert found.difference == pytest.approx(difference.difference, abs=1e-9)
        assert found.p == pytest.approx(difference.adjusted_p)


def test_ranks_and_letters_are_those_of_compare(section, tested, one_by_one):
    names = [entrant.result.model.name for entrant in section.entrants]
    assert one_by_one.standings
    for standing in one_by_one.standings:
        position = names.index(standing.encoder)
        assert tested.ranks[standing.setting, standing.measure][position] == standing.rank
        letters = tested.groups[standing.setting, standing.measure]
        others = {
            s.encoder: s.groups
            for s in one_by_one.standings
            if (s.setting, s.measure) == (standing.setting, standing.measure)
        }
        for other, theirs in others.items():
            shared = bool(set(letters[position]) & set(letters[names.index(other)]))
            assert shared == bool(set(standing.groups) & set(theirs))


def test_encoders_without_ranks_are_counted_and_not_ranked(paths):
    entrants = [measured(load_result(path), path if n else None) for n, path in enumerate(paths)]
    (section,) = sections(entrants)
    found = pairwise(section)
    unranked = next(at for at, entrant in enumerate(section.entrants) if entrant.path is None)
    assert found.untested == 1
    assert all(unranked not in ranks for ranks in found.ranks.values())


def test_a_table_of_ranks_that_cannot_be_read_is_named_and_leaves_the_others_tested(paths, tmp_path, caplog):
    broken = tmp_path / "xlir-mini.json"
    broken.write_bytes(paths[0].read_bytes())
    broken.with_suffix(".parquet").write_bytes(b"PAR1 no")
    entrants = [measured(load_result(paths[0]), broken), *(measured(load_result(path), path) for path in paths[1:])]
    (section,) = sections(entrants)
    assert len(pairwise(section).contrasts) == 1
    assert f"{broken.with_suffix('.parquet')}: not a table of ranks" in caplog.text
