"""Imported figures beside measured ones: marked, never mixed with older data, averaged only where complete."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from xml.etree import ElementTree

import pandas as pd
import pytest

from xlir_bench.leaderboard import gather
from xlir_bench.leaderboard.collect import sections
from xlir_bench.leaderboard.entrant import imported, measured
from xlir_bench.leaderboard.site import Site
from xlir_bench.results.exchange.mteb_tasks import MTEB_TASKS
from xlir_bench.submissions.imported import FILE, Imported, summary

BUILT = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
XQUAD = MTEB_TASKS["XQuADRetrieval"]


def published(name="org/model", *, task=XQUAD, revision=None, left_out=(), value=0.5, **model):
    """An encoder's imported figures on one task."""
    rows = [
        {
            "setting": "monolingual" if query == document else "cross-lingual",
            "query_language": query,
            "document_language": document,
            "values": {"nDCG@10": value, "R@100": min(1.0, value + 0.2)},
        }
        for subset, (query, document) in task.subsets.items()
        if subset not in left_out
    ]
    data = task.revision if revision is None else revision
    result = {
        "task": task.name,
        "split": task.splits[0],
        "dataset_revision": data,
        "stale": data != task.revision,
        "suite": task.suite,
        "subsets": len(task.subsets),
        "missing": list(left_out),
        "rows": rows,
    }
    made = Imported.model_validate(
        {"origin": "mteb", "model": {"name": name, "revision": "0123456789"} | model, "results": [result]}
    )
    complete = made.results[0].model_copy(update={"summary": {} if left_out else summary(made.results[0].rows)})
    return made.model_copy(update={"results": (complete,)})


@pytest.fixture
def xquad(make_result):
    """A measured result on our suite of the same texts."""
    languages = tuple(sorted({query for query, _ in XQUAD.subsets.values()}))
    return make_result(
        "measured", suite={"name": "xquad", "languages": languages}, measures={"monolingual": ["nDCG@10"]}
    )


def leaderboard(entrants):
    return json.loads(dict(Site(entrants, BUILT).files())["leaderboard.json"])


def frame(table):
    return pd.DataFrame(table["data"], columns=table["columns"])


class TestSections:
    def test_imported_figures_share_the_table_of_our_suite_of_the_same_data(self, xquad):
        (section,) = sections([measured(xquad), *imported(published(), "a")])
        assert section.origins == {"measured", "imported"}
        assert section.suite.name == "xquad"

    @pytest.mark.parametrize("change", ["revision", "languages", "no suite"])
    def test_they_stand_apart_where_data_or_languages_differ_or_we_have_no_such_suite(self, xquad, make_result, change):
        revision = "f" * 40 if change == "revision" else None
        task = MTEB_TASKS["SciFact"] if change == "no suite" else XQUAD
        other = xquad if change != "languages" else make_result(suite={"name": "xquad", "languages": ("ar", "en")})
        found = sections([measured(other), *imported(published(revision=revision, task=task), "a")])
        assert sorted(len(section.entrants) for section in found) == [1, 1]

    def test_stale_figures_come_last_in_a_table_of_their_own(self):
        old = imported(published(revision="f" * 40, value=0.9), "old")
        found = sections([*old, *imported(published("org/new"), "new")])
        assert [section.stale for section in found] == [False, True]
        assert [section.entrants[0].result.model.name for section in found] == ["new", "old"]

    def test_an_incomplete_encoder_has_no_mean_and_comes_after_those_that_have_one(self, xquad):
        partial = imported(published(left_out=("ar",), value=1.0), "partial")
        (section,) = sections([measured(xquad), *partial])
        assert [entrant.result.model.id for entrant in section.entrants] == ["measured", "org/model"]
        means = frame(leaderboard([measured(xquad), *partial])["means"])
        assert list(means["encoder"].unique()) == [0]


class TestData:
    def test_leaderboard_json_has_every_mean_score_and_encoder(self, xquad):
        found = leaderboard([measured(xquad), *imported(published(licence="mit", parameters=7), "a")])
        encoders, means, scores = (frame(found[name]) for name in ("encoders", "means", "scores"))
        assert list(encoders["figures"]) == ["measured", "imported"]
        assert list(encoders["licence"].fillna("none stated")) == ["none stated", "mit"]
        mean = means[(means["encoder"] == 0) & (means["measure"] == "nDCG@10")]["value"].item()
        assert mean == pytest.approx(xquad.summary["monolingual"]["nDCG@10"], abs=1e-7)
        own = scores[scores["encoder"] == 0]
        assert sorted(own["value"]) == pytest.approx(sorted(s.value for s in xquad.scores), abs=1e-7)

    @pytest.mark.parametrize(("trained_on", "expected"), [(None, "unknown"), ([], "yes"), (["XQuAD"], "no")])
    def test_says_whether_an_encoder_is_zero_shot_as_it_declares(self, trained_on, expected):
        found = leaderboard(imported(published(trained_on=trained_on), "a"))
        assert set(frame(found["means"])["zero_shot"]) == {expected}

    def test_a_figure_that_is_not_finite_is_null(self, make_result):
        result = make_result(summary={"monolingual": {"AP": float("nan")}})
        assert frame(leaderboard([measured(result)])["means"])["value"].tolist() == [None]


class TestFeed:
    def test_has_an_entry_per_measured_result_the_newest_first(self, make_result):
        results = [make_result(name, created=f"2026-01-0{day}T00:00:00Z") for name, day in (("a", 1), ("b", 2))]
        site = Site([measured(result) for result in results], BUILT, address="https://example.org/board/")
        root = ElementTree.fromstring(dict(site.files())["feed.atom"])
        atom = {"a": "http://www.w3.org/2005/Atom"}
        assert [e.text for e in root.findall("a:entry/a:title", atom)] == [
            "b on xquad-r version 1",
            "a on xquad-r version 1",
        ]
        assert root.find("a:updated", atom).text == "2026-01-02T00:00:00Z"
        links = [e.get("href") for e in root.findall("a:entry/a:link", atom)]
        assert all(link.startswith("https://example.org/board/pages/encoder-") for link in links)
        assert len({e.text for e in root.iterfind(".//a:id", atom)}) == 3

    def test_is_well_formed_whatever_a_result_calls_itself(self, make_result):
        result = make_result("<b>&\x00\x0b\ufffe", created="yesterday")
        assert ElementTree.fromstring(dict(Site([measured(result)], BUILT).files())["feed.atom"]) is not None


class TestGathering:
    def write(self, folder, document):
        folder.mkdir(parents=True)
        (folder / FILE).write_text(document.model_dump_json(), "utf-8")

    def test_takes_imported_submissions_and_alignments_from_folders(self, tmp_path):
        self.write(tmp_path / "a", published())
        (tmp_path / "x.align.json").write_text('{"model": "m", "suite": "s", "pairs": []}')
        found = gather([tmp_path])
        assert [entrant.origin for entrant in found.entrants] == ["imported"]
        assert [one["model"] for one in found.alignments] == ["m"]

    @pytest.mark.parametrize("content", ["", "[" * 100_000, '{"origin": "mteb"}', "\x00", '{"a": NaN}'])
    def test_a_submission_that_cannot_be_read_is_named_and_stops_nothing(self, tmp_path, content):
        self.write(tmp_path / "good", published())
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / FILE).write_text(content, "utf-8")
        found = gather([tmp_path])
        assert len(found.entrants) == 1
        assert [problem.partition(":")[0] for problem in found.problems] == ["bad"]


class TestHostileSubmissions:
    def submit(self, folder, result):
        (folder / "results").mkdir(parents=True)
        (folder / "submission.yaml").write_text("name: x\n", "utf-8")
        (folder / "results" / "xquad-r.json").write_text(json.dumps(result), "utf-8")

    @pytest.mark.parametrize(
        "change",
        [
            {"summary": {"monolingual": {"AP": float("inf")}}},
            {"ties": float("nan")},
            {"suite": {"name": "s", "version": 10**400, "fingerprint": "f", "languages": ["en"]}},
            {
                "timing": {
                    "encode_s": 1e400,
                    "rank_s": 0,
                    "measure_s": 0,
                    "texts_per_s": 1,
                    "texts_encoded": 1,
                    "texts_from_cache": 0,
                }
            },
        ],
    )
    def test_figures_that_no_run_gives_are_named_and_stop_no_other(self, make_result, tmp_path, change):
        good = json.loads(make_result("good").model_dump_json())
        self.submit(tmp_path / "bad", good | change)
        self.submit(tmp_path / "good", good)
        found = gather([tmp_path])
        assert [entrant.result.model.id for entrant in found.entrants] == ["good"]
        assert any("bad" in problem for problem in found.problems)

    def test_details_of_any_shape_are_shown_as_text(self, make_result):
        details = {
            "licence": "\ud800",
            "trained_on": ["\udfff", {"a": 1}],
            "parameters": 10**400,
            "x": [[{"y": float("inf")}]],
        }
        result = make_result(model={"details": {}}).model_copy(deep=True)
        result = result.model_copy(update={"model": result.model.model_copy(update={"details": details})})
        pages = dict(Site([measured(result)], BUILT).files())
        assert all(b"\xed\xa0" not in content for content in pages.values())
        assert json.loads(pages["leaderboard.json"])["encoders"]["data"][0]

    def test_a_card_made_to_be_slow_is_drawn(self, make_result):
        for text in ("[" * 200_000, "> " * 100_000, "*a **a " * 30_000, "`" * 200_000):
            assert dict(Site([measured(make_result(), card=text)], BUILT).files())
