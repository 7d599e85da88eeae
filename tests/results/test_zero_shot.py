"""Zero-shot, not zero-shot or unknown: from the declaration, and from audits of the training data."""

from __future__ import annotations

import json
import shutil

import pytest

from xlir_bench.encoders import resolve
from xlir_bench.encoders.audited import read_audit
from xlir_bench.errors import InputError
from xlir_bench.evaluation import run
from xlir_bench.leaderboard.encoder_view import zero_shot_words
from xlir_bench.resources import folder
from xlir_bench.results import ModelReference, SuiteReference, zero_shot, zero_shot_on
from xlir_bench.suites import find, load
from xlir_bench.training.audit import audit, keep

SUITE = SuiteReference(name="xquad-r", version=1, fingerprint="f" * 64, languages=("ar", "de"))


def summary(leaked=(0, 0), **changed):
    known = {
        "suite": "xquad-r",
        "version": 1,
        "fingerprint": "f" * 64,
        "languages": ["ar", "de"],
        "sides": ["query", "document"],
        "training": "a" * 64,
        "training_texts": 5,
        "leaked": dict(zip(("ar", "de"), leaked, strict=True)),
    }
    return known | changed


def on(suite=SUITE, **details):
    return zero_shot_on(
        ModelReference(id="m", name="m", revision=None, fingerprint="0" * 64, prompts={}, details=details), suite
    )


@pytest.mark.parametrize(
    ("details", "status", "basis"),
    [
        ({}, "unknown", "none"),
        ({"trained_on": []}, "zero-shot", "declared"),
        ({"trained_on": ["XQuAD"]}, "not zero-shot", "declared"),
        ({"trained_on": ["flores"], "audits": [summary()]}, "zero-shot", "audited"),
        ({"trained_on": ["flores"], "audits": [summary((0, 3))]}, "not zero-shot", "audited"),
        ({"audits": [summary((1, 0))]}, "not zero-shot", "audited"),
        ({"trained_on": ["a", "b"], "audits": [summary()], "unaudited": ["b"]}, "zero-shot", "partly audited"),
        ({"trained_on": ["a", "b"], "audits": [summary((1, 0))], "unaudited": ["b"]}, "not zero-shot", "audited"),
        ({"trained_on": ["a", "b"], "unaudited": ["b"]}, "zero-shot", "declared"),
        ({"trained_on": ["a", "b"], "audits": [summary()], "unaudited": "b"}, "zero-shot", "audited"),
        ({"audits": [summary()]}, "unknown", "none"),
        ({"trained_on": ["lareqa"], "audits": [summary()]}, "not zero-shot", "declared"),
    ],
)
def test_the_status_follows_from_declaration_and_audit(details, status, basis):
    found = on(**details)
    assert (found.status, found.basis) == (status, basis)


@pytest.mark.parametrize(
    "changed",
    [
        {"fingerprint": "e" * 64},
        {"suite": "mlqa-r"},
        {"version": 2},
        {"sides": ["query"]},
        {"leaked": {"ar": 9}},
        {"leaked": None},
        {"leaked": {"ar": "many", "de": 0}},
    ],
)
def test_an_audit_of_other_data_or_of_a_part_says_nothing(changed):
    found = on(trained_on=[], audits=[summary((9, 9)) | changed])
    assert (found.status, found.basis) == ("zero-shot", "declared")


def test_an_audit_of_the_whole_suite_serves_a_result_on_some_of_its_languages():
    german = SuiteReference(name="xquad-r", version=1, fingerprint="d" * 64, languages=("de",))
    assert on(german, trained_on=[], audits=[summary((4, 0))]).basis == "audited"
    assert on(german, trained_on=[], audits=[summary((4, 0))]).status == "zero-shot"
    assert on(german, trained_on=[], audits=[summary((0, 4))]).status == "not zero-shot"


@pytest.mark.parametrize("audits", ["text", 5, [None], [{}], {"suite": "xquad-r"}])
def test_details_of_a_stranger_that_are_no_audits_are_passed_over(audits):
    assert on(trained_on=[], audits=audits).basis == "declared"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (zero_shot(None, "xquad-r"), "unknown: nothing was declared of its training data"),
        (zero_shot([], "xquad-r"), "zero-shot, as declared"),
        (zero_shot(["XQuAD"], "xquad-r"), "not zero-shot: it was trained on XQuAD"),
        (
            zero_shot([], "xquad-r", summary()),
            "zero-shot, by an audit: no text of the suite was found in the training data",
        ),
        (
            zero_shot(["a", "b"], "xquad-r", summary(), ["b"]),
            "zero-shot, by an audit: no text of the suite was found in the training data; of b there is the "
            "declaration only",
        ),
        (
            zero_shot([], "xquad-r", summary((1200, 1))),
            "not zero-shot, by an audit: 1,201 of its texts stand in the training data",
        ),
    ],
)
def test_a_page_says_on_what_it_rests(found, words):
    assert zero_shot_words(found) == words


@pytest.fixture
def own_copy(tmp_path):
    """The bundled encoder as a submission of one's own, without audits."""
    copy = tmp_path / "xlir-hybrid-static"
    shutil.copytree(folder("submissions") / copy.name, copy, ignore=shutil.ignore_patterns("results", "audits"))
    manifest = copy / "submission.yaml"
    lines = [line for line in manifest.read_text().splitlines() if not line.startswith("audits:")]
    manifest.write_text("\n".join(lines) + "\n")
    return copy


def test_a_run_states_it_and_states_it_anew_when_an_audit_was_added(own_copy, tmp_path):
    suite = find("xlir-mini")
    collection = load(suite, languages=["de", "en"])

    def stated():
        kept = run(resolve(str(own_copy), "cpu"), suite, collection, tmp_path / "results")
        return kept.result.zero_shot.status, kept.result.zero_shot.basis

    assert stated() == ("zero-shot", "declared")
    leaking = tmp_path / "train.jsonl"
    leaking.write_text("\n".join(json.dumps({"de": text}) for text in collection.documents.texts[:3]))
    record, _ = keep(audit([leaking], suite, collection), tmp_path / "found")
    (own_copy / "audits").mkdir()
    shutil.copy(record, own_copy / "audits")
    manifest = own_copy / "submission.yaml"
    manifest.write_text(manifest.read_text() + "audits: [audits/xlir-mini.json]\n")
    assert stated() == ("not zero-shot", "audited")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), ("{}", "not an audit record: harness: Field required"), ("text", "not an audit record")],
)
def test_an_audit_that_the_manifest_names_must_be_one(own_copy, content, message):
    if content is not None:
        (own_copy / "a.json").write_text(content)
    manifest = own_copy / "submission.yaml"
    manifest.write_text(manifest.read_text() + "audits: [a.json]\n")
    with pytest.raises(InputError, match=message):
        resolve(str(own_copy), "cpu")


def test_what_no_audit_has_read_must_be_among_what_is_declared(own_copy):
    manifest = own_copy / "submission.yaml"
    manifest.write_text(manifest.read_text() + "unaudited: [nobody]\n")
    with pytest.raises(InputError, match="unaudited: nobody is not in trained_on"):
        resolve(str(own_copy), "cpu")


def test_the_encoder_with_a_teacher_says_what_of_its_training_no_audit_has_read():
    details = resolve("xlir-hybrid-minilm", "cpu").info.details
    assert set(details["unaudited"]) == {"MSMARCO", "NQ", "Quora", "squad-train"}
    assert set(details["unaudited"]) < set(details["trained_on"])


def test_the_bundled_encoder_was_audited_on_the_bundled_suite():
    record = read_audit(folder("submissions") / "xlir-hybrid-static" / "audits" / "xlir-mini.json")
    assert record.verdict == "clean"
    assert record.suite.fingerprint == load(find("xlir-mini")).fingerprint
