"""Whatever the gate is given, it ends with 0 or 1 where it judged, and with 2 or 3 where it could not."""

from __future__ import annotations

import json
import sys

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xlir_bench.cli import main as entry
from xlir_bench.results import save

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1 %", "AP", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rules", "alpha", "budget", "floor", "measure", "suite", "setting"]) | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return tmp_path_factory.mktemp("gate")


@pytest.fixture
def runs(make_run, paths):
    """A candidate and a baseline on disk."""
    for name in ("new", "old"):
        run = make_run(name)
        save(run.result, run.ranks, paths / name)
    return paths / "new", paths / "old"


def code_of(*arguments: object) -> int:
    """The exit code of the gate, in this process."""
    before, sys.argv = sys.argv, ["xlir-bench", "gate", *map(str, arguments)]
    try:
        return entry._exit_code()
    finally:
        sys.argv = before


quietly = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quietly
@given(st.binary(max_size=200) | anything.map(lambda value: yaml.safe_dump(value).encode()))
def test_a_policy_of_anything(runs, paths, content):
    (paths / "policy.yaml").write_bytes(content)
    assert code_of(runs[0], "--baseline", runs[1], "--policy", paths / "policy.yaml") == 2


@quietly
@given(st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
def test_a_result_of_anything(runs, paths, content):
    (paths / "result.json").write_bytes(content)
    for side in ((paths / "result.json", "--baseline", runs[1]), (runs[0], "--baseline", paths / "result.json")):
        assert code_of(*side) in {2, 3}


@quietly
@given(st.data())
def test_a_result_with_one_field_changed(runs, paths, data):
    """A field of another type or value is refused, or the figures still follow and it is judged."""
    source = next(runs[0].rglob("*.json"))
    document = json.loads(source.read_text())
    place = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(anything)
    folder = paths / "changed"
    folder.mkdir(exist_ok=True)
    (folder / source.name).write_text(json.dumps(document))
    for suffix in (".parquet", ".leaders.parquet"):
        if source.with_suffix(suffix).exists():
            (folder / source.name).with_suffix(suffix).write_bytes(source.with_suffix(suffix).read_bytes())
    assert code_of(folder / source.name, "--baseline", runs[1]) in {0, 1, 2, 3}


@quietly
@given(st.data())
def test_a_table_of_ranks_that_is_damaged(runs, paths, data):
    source = next(runs[0].rglob("*.json"))
    content = source.with_suffix(".parquet").read_bytes()
    cut = data.draw(st.integers(0, len(content) - 1))
    changed = data.draw(st.sampled_from([content[:cut], content[:cut] + b"\x00" * 20 + content[cut + 20 :]]))
    folder = paths / "damaged"
    folder.mkdir(exist_ok=True)
    (folder / source.name).write_bytes(source.read_bytes())
    (folder / source.name).with_suffix(".parquet").write_bytes(changed)
    assert code_of(folder, "--baseline", runs[1]) in {0, 2, 3}


def test_what_is_not_there_and_what_is_no_file(runs, paths):
    (paths / "empty").mkdir()
    for place in (paths / "nowhere", paths / "nowhere.json", paths / "empty", "/dev/null", paths):
        assert code_of(place, "--baseline", runs[1]) in {2, 3}
        assert code_of(runs[0], "--baseline", place) in {2, 3}
    for policy in (paths / "nowhere.yaml", paths / "empty", "/dev/null"):
        assert code_of(runs[0], "--baseline", runs[1], "--policy", policy) in {2, 3}
    assert code_of(runs[0], "--baseline", runs[1], "--junit", "/proc/none/gate.xml") == 3
    assert code_of() == 2
