"""Published results of mteb become submissions marked imported; nothing is averaged or mixed that must not be."""

from __future__ import annotations

import io
import json
import math
import tarfile

import pytest

from xlir_bench import submissions
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.results.exchange.mteb_tasks import MTEB_TASKS
from xlir_bench.submissions import imported
from xlir_bench.submissions.mteb_import import import_mteb

MLQA = MTEB_TASKS["MLQARetrieval"]
XQUAD = MTEB_TASKS["XQuADRetrieval"]


def task(name="XQuADRetrieval", split="validation", revision=XQUAD.revision, subsets=None, value=lambda subset: 0.5):
    rows = [
        {"hf_subset": subset, "languages": [], "main_score": value(subset), "ndcg_at_10": value(subset)}
        for subset in (subsets if subsets is not None else MTEB_TASKS[name].subsets)
    ]
    return {"task_name": name, "dataset_revision": revision, "mteb_version": "2.0.0", "scores": {split: rows}}


def published(folder, files, model="org__Model", revision="1234567890abcdef"):
    place = folder / "results" / model / revision
    place.mkdir(parents=True, exist_ok=True)
    for name, document in files.items():
        (place / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def only(output):
    (folder,) = submissions.find([output])
    return submissions.load(folder).imported


def test_an_import_is_marked_with_its_origin_and_revision(tmp_path):
    meta = {"name": "org/Model", "revision": "x", "license": "mit", "n_parameters": 7, "training_datasets": ["NQ"]}
    published(tmp_path, {"XQuADRetrieval.json": task(), "model_meta.json": meta})
    report = import_mteb(tmp_path, tmp_path / "s")
    found = only(tmp_path / "s")
    assert report.submissions == ["org__model.12345678"]
    assert (found.origin, found.model.name, found.model.revision) == ("mteb", "org/Model", "1234567890abcdef")
    assert (found.model.licence, found.model.parameters, found.model.trained_on) == ("mit", 7, ("NQ",))
    assert submissions.load(tmp_path / "s" / "org__model.12345678").kind == "imported"


def test_in_mlqa_the_first_language_of_a_subset_is_the_corpus_and_the_second_the_query(tmp_path):
    revision = MLQA.revision
    values = {"ara-deu": 0.25}
    document = task("MLQARetrieval", "test", revision, value=lambda subset: values.get(subset, 0.5))
    import_mteb(published(tmp_path, {"MLQARetrieval.json": document}), tmp_path / "s")
    (result,) = only(tmp_path / "s").results
    (row,) = [row for row in result.rows if row.values["nDCG@10"] == 0.25]
    assert (row.query_language, row.document_language, row.setting) == ("de", "ar", "cross-lingual")
    assert result.summary == {
        "monolingual": {"nDCG@10": 0.5},
        "cross-lingual": {"nDCG@10": pytest.approx((41 * 0.5 + 0.25) / 42)},
    }


def test_an_encoder_with_a_part_of_the_subsets_is_shown_and_never_averaged(tmp_path):
    report = import_mteb(published(tmp_path, {"XQuADRetrieval.json": task(subsets=["de", "th"])}), tmp_path / "s")
    (result,) = only(tmp_path / "s").results
    assert (result.complete, result.summary, len(result.rows)) == (False, {}, 2)
    assert set(result.missing) == set(XQUAD.subsets) - {"de", "th"}
    assert report.results == {"complete": 0, "partial": 1, "stale": 0}


@pytest.mark.parametrize("revision", ["0" * 40, None, "None", "main"])
def test_another_or_no_revision_of_the_data_is_stale(tmp_path, revision):
    import_mteb(published(tmp_path, {"XQuADRetrieval.json": task(revision=revision)}), tmp_path / "s")
    (result,) = only(tmp_path / "s").results
    assert result.stale
    assert result.dataset_revision == (revision if revision == "0" * 40 else None)


def test_splits_that_the_task_does_not_evaluate_are_left_out(tmp_path):
    document = task()
    document["scores"]["train"] = document["scores"]["validation"]
    import_mteb(published(tmp_path, {"XQuADRetrieval.json": document}), tmp_path / "s")
    assert [result.split for result in only(tmp_path / "s").results] == ["validation"]


def test_the_layout_of_before_1_11_is_read(tmp_path):
    old = {
        "mteb_dataset_name": "SciFact",
        "dataset_revision": None,
        "mteb_version": "0.0.2",
        "test": {"ndcg_at_10": 0.6},
    }
    import_mteb(published(tmp_path, {"SciFact.json": old}), tmp_path / "s")
    (result,) = only(tmp_path / "s").results
    assert (result.task, result.stale, result.summary) == ("SciFact", True, {"monolingual": {"nDCG@10": 0.6}})


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[" * 10**5,
        "[]",
        "{}",
        task("MLQARetrieval"),
        task(value=lambda _: 64.5),
        task(value=lambda _: math.nan),
        task(value=lambda _: math.inf),
        {**task(), "dataset_revision": "x" * 10**5},
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_does_not_stop_the_others(tmp_path, document):
    good = {"task_name": "SciFact", "dataset_revision": "x", "mteb_version": "1"} | {
        "scores": {"test": [{"hf_subset": "default", "ndcg_at_10": 0.5}]}
    }
    published(tmp_path, {"XQuADRetrieval.json": document, "SciFact.json": good})
    report = import_mteb(tmp_path, tmp_path / "s")
    assert [result.task for result in only(tmp_path / "s").results] == ["SciFact"]
    assert len(report.problems) == 1


@pytest.mark.parametrize("scores", [{"validation": [[1], "x", {}]}, {"validation": 3}, [1], {}])
def test_a_file_without_scores_of_the_task_adds_nothing(tmp_path, scores):
    published(tmp_path, {"XQuADRetrieval.json": {**task(), "scores": scores}})
    with pytest.raises(InputError, match="no results of mteb"):
        import_mteb(tmp_path, tmp_path / "s")


def test_names_in_an_archive_point_nowhere(tmp_path):
    with tarfile.open(tmp_path / "a.tar.xz", "w:xz") as archive:
        for name in (
            "results/../../x/XQuADRetrieval.json",
            "/a/b/XQuADRetrieval.json",
            "r/<b>/'\"/XQuADRetrieval.json",
        ):
            content = json.dumps(task()).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("r/m/v/XQuADRetrieval.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    report = import_mteb(tmp_path / "a.tar.xz", tmp_path / "in" / "s")
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["s"]
    assert sorted(path.name for path in (tmp_path / "in" / "s").iterdir()) == sorted(report.submissions)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for name in report.submissions)


def test_a_measured_submission_is_never_written_over(tmp_path):
    published(tmp_path, {"XQuADRetrieval.json": task()})
    (tmp_path / "s" / "org__model.12345678").mkdir(parents=True)
    (tmp_path / "s" / "org__model.12345678" / "submission.yaml").write_text("name: x")
    (name,) = import_mteb(tmp_path, tmp_path / "s").submissions
    assert name != "org__model.12345678"
    assert [path.name for path in (tmp_path / "s" / "org__model.12345678").iterdir()] == ["submission.yaml"]


def test_what_is_no_archive_and_what_holds_nothing_is_refused(tmp_path):
    (tmp_path / "x.tar").write_text("no archive")
    with pytest.raises(InputError, match="neither a folder nor a tar archive"):
        import_mteb(tmp_path / "x.tar", tmp_path / "s")
    with pytest.raises(MissingResourceError, match="no such file"):
        import_mteb(tmp_path / "none", tmp_path / "s")
    with pytest.raises(InputError, match="no results of mteb"):
        import_mteb(tmp_path, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_mean_that_is_not_that_of_the_rows_is_refused(tmp_path):
    import_mteb(published(tmp_path, {"XQuADRetrieval.json": task()}), tmp_path / "s")
    path = tmp_path / "s" / "org__model.12345678" / "imported.json"
    path.write_text(
        path.read_text().replace(
            '"summary":{"monolingual":{"nDCG@10":0.5}}', '"summary":{"monolingual":{"nDCG@10":0.9}}'
        )
    )
    with pytest.raises(InputError, match="the means are not those of the rows"):
        imported.read(path)


@pytest.fixture(scope="module")
def all_published(shared_data_module, tmp_path_factory):
    output = tmp_path_factory.mktemp("imported")
    return import_mteb(shared_data_module / "mteb-results" / "results.tar.xz", output), output


@pytest.fixture(scope="module")
def shared_data_module(request):
    return request.getfixturevalue("shared_data")


def test_every_published_encoder_with_a_result_is_imported(all_published):
    report, output = all_published
    assert len(report.submissions) > 400
    assert report.problems == []
    loaded = [submissions.load(folder) for folder in submissions.find([output])]
    assert all(one.imported is not None and not one.findings for one in loaded)


def test_xquad_is_averaged_for_the_complete_encoders_only(all_published):
    _, output = all_published
    results = [
        result
        for folder in submissions.find([output])
        for result in submissions.load(folder).imported.results
        if result.task == "XQuADRetrieval"
    ]
    # Counted in the published files by hand: 178 files, of which 136 have 12 subsets, 28 one and 14 two.
    assert len(results) == 178
    assert sum(bool(result.summary) for result in results) == 136
    assert {len(result.rows) for result in results if not result.summary} == {1, 2}


def test_means_are_those_that_mteb_makes_of_the_same_files(all_published, shared_data, tmp_path):
    mteb = pytest.importorskip("mteb")
    _, output = all_published
    with tarfile.open(shared_data / "mteb-results" / "results.tar.xz") as archive:
        wanted = [m for m in archive if "intfloat__multilingual-e5-small/" in m.name and m.name.endswith(".json")]
        archive.extractall(tmp_path, wanted, filter="data")
    (folder,) = [one for one in submissions.find([output]) if one.name.startswith("intfloat__multilingual-e5-small.")]
    found = submissions.load(folder).imported
    compared = 0
    for path in tmp_path.rglob("*.json"):
        if path.name == "model_meta.json":
            continue
        theirs = mteb.results.TaskResult.from_disk(path)
        for result in [one for one in found.results if one.task == theirs.task_name and one.complete]:
            values = [row.values["nDCG@10"] for row in result.rows]
            assert sum(values) / len(values) == pytest.approx(theirs.get_score(splits=[result.split]), abs=1e-9)
            assert result.dataset_revision == theirs.dataset_revision or result.dataset_revision is None
            compared += 1
    assert compared >= 15
