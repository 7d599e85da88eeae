"""What makes a submission complete, said until it is."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from xlir_bench import report, submissions
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.submissions.validate import spdx


def edit(folder, **fields):
    """Change or, with None, remove fields of a manifest."""
    path = folder / "submission.yaml"
    declared = yaml.safe_load(path.read_text()) | fields
    path.write_text(yaml.safe_dump({name: value for name, value in declared.items() if value is not None}))


def rewrite(folder, change):
    """Change the document of the only result."""
    path = folder / "results" / "xlir-mini.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_a_real_run_with_manifest_and_card_is_complete(complete, errors):
    assert errors(complete) == []
    assert submissions.load(complete).kind == "measured"


def test_a_skeleton_without_results_says_all_that_is_missing(errors, tmp_path):
    text = "\n".join(errors(submissions.new("mine", tmp_path)))
    for expected in (
        "licence: is not",
        "trained_on: is not",
        "description: is not",
        "source.folder: no weights",
        "3 places",
        "holds no result",
    ):
        assert expected in text


def test_a_manifest_alone_declares_an_encoder_and_is_checked_as_such(complete, errors):
    shutil.rmtree(complete / "results")
    (complete / "README.md").unlink()
    assert (submissions.load(complete).kind, errors(complete)) == ("declared", [])
    edit(complete, licence="gemma")
    assert "licence: not an SPDX expression" in errors(complete)[0]


def test_a_skeleton_never_writes_over_what_is_there(tmp_path):
    submissions.new("mine", tmp_path)
    with pytest.raises(InputError, match="exists already"):
        submissions.new("mine", tmp_path)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "UPPER", ".hidden", "a..b", "x" * 81, "<b>"])
def test_a_skeleton_has_a_plain_name(tmp_path, name):
    with pytest.raises(InputError, match="cannot be a submission's name"):
        submissions.new(name, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_hub_model_is_named_with_its_commit(tmp_path):
    place = submissions.new("e5", tmp_path, hub=f"intfloat/e5@{'a' * 40}")
    assert yaml.safe_load((place / "submission.yaml").read_text())["source"] == {
        "hub": "intfloat/e5",
        "revision": "a" * 40,
    }
    with pytest.raises(InputError, match="commit of 40"):
        submissions.new("e6", tmp_path, hub="intfloat/e5@main")


@pytest.mark.parametrize("licence", ["MIT", "CC-BY-SA-4.0", "Apache-2.0 OR MIT", "LicenseRef-gemma"])
def test_a_licence_is_an_spdx_expression(licence):
    assert spdx(licence) is None


@pytest.mark.parametrize("licence", ["gemma", "open source", "CC-BY-SA 4.0", "<b>"])
def test_another_licence_is_refused(complete, errors, licence):
    edit(complete, licence=licence)
    assert "licence: not an SPDX expression" in errors(complete)[0]


def test_training_data_have_to_be_declared_even_where_there_are_none(complete, errors):
    edit(complete, trained_on=None)
    assert "trained_on: is not filled in" in errors(complete)[0]


def test_the_name_is_the_folders(complete, errors):
    edit(complete, name="another")
    assert "they must be equal" in errors(complete)[0]


@pytest.mark.parametrize("folder", ["..", "../lexical", "/etc", "a/../..", "nothing", "results"])
def test_weights_lie_in_the_submission(complete, errors, folder):
    edit(complete, adapter="transformers", source={"folder": folder})
    assert any("source.folder" in line for line in errors(complete))


def test_a_card_has_to_say_something(complete, errors):
    (complete / "README.md").write_text("# x\n")
    assert "says next to nothing" in errors(complete)[0]
    (complete / "README.md").unlink()
    assert "is missing" in errors(complete)[0]


def test_a_result_without_ranks_cannot_be_checked(complete, errors):
    (complete / "results" / "xlir-mini.parquet").unlink()
    assert "no figure can be checked" in errors(complete)[0]


def test_no_result_at_all(complete, errors):
    (complete / "results" / "xlir-mini.json").unlink()
    assert "holds no result" in errors(complete)[0]


def test_a_part_of_the_languages_is_no_complete_result(complete, errors):
    def narrow(document):
        document["suite"]["languages"].remove("sw")

    rewrite(complete, narrow)
    assert any("lacks languages of the suite: sw" in line for line in errors(complete))


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (lambda row: row["setting"] != "cross-lingual", "lacks the cross-lingual setting"),
        (lambda row: row["measure"] != "rank_distance", "lacks 14 figures of the multilingual setting"),
        (lambda row: (row["setting"], row["query_language"]) != ("monolingual", "sw"), "no monolingual row for sw"),
    ],
)
def test_rows_and_measures_that_are_left_out_are_named(complete, errors, kept, expected):
    def drop(document):
        document["scores"] = [row for row in document["scores"] if kept(row)]

    rewrite(complete, drop)
    assert any(expected in line for line in errors(complete))


def test_another_version_of_the_suite_is_refused(complete, errors):
    rewrite(complete, lambda document: document["suite"].update(version=9))
    assert any("version 9 of the suite" in line for line in errors(complete))


def test_a_result_of_another_adapter_or_prompt_is_not_that_of_the_manifest(complete, errors):
    rewrite(complete, lambda document: document["model"]["details"].update(adapter="server"))
    edit(complete, prompts={"query": "q: ", "document": ""})
    text = "\n".join(errors(complete))
    assert "made with the adapter server" in text
    assert "the manifest declares others" in text


def test_a_model_of_mtebs_registry_is_one_of_the_adapter_mteb(complete, errors):
    rewrite(complete, lambda document: document["model"]["details"].update(adapter="factory", registry="org/name"))
    edit(complete, adapter="mteb", source={"mteb": "org/name"})
    assert errors(complete) == []


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_score_that_is_no_number_is_refused(complete, errors, value):
    path = complete / "results" / "xlir-mini.json"
    text = path.read_text()
    place = text.index('"value"')
    end = text.index(",", place)
    path.write_text(f'{text[:place]}"value": {value}{text[end:]}')
    assert any("xlir-mini.json" in line for line in errors(complete))
    assert submissions.load(complete).results == ()


def test_script_in_a_suite_s_name_reaches_no_file_and_no_suite(complete, errors):
    rewrite(complete, lambda document: document["suite"].update(name="../../<script>"))
    findings = submissions.validate(submissions.load(complete))
    assert any("is not of this release" in one.what for one in findings)


def test_one_that_was_trained_on_a_suite_is_said_not_to_be_zero_shot(complete):
    edit(complete, trained_on=["xlir-mini"])
    findings = submissions.validate(submissions.load(complete))
    assert [one.what for one in findings if one.severity == "note"] == ["not zero-shot: it was trained on xlir-mini"]


@pytest.mark.parametrize(
    ("trained_on", "suite", "holds"),
    [
        ([], "xquad-r", True),
        (None, "xquad-r", None),
        (["XQuADRetrieval"], "xquad-r", False),
        (["xquad"], "XQuADRetrieval", False),
        (["SQuAD train"], "xquad-r", True),
        (["MIRACLRetrievalHardNegatives"], "miracl", False),
        (["MrTidyRetrieval"], "miracl", False),
        (["FEVER", "NanoFEVERRetrieval", "FEVER-NL"], "climate-fever", True),
        (["FEVERHardNegatives"], "fever", False),
        (["MLQARetrieval"], "mlqa-r", False),
        (["FiQA2018"], "fiqa", False),
    ],
)
def test_zero_shot_follows_from_the_declaration(trained_on, suite, holds):
    assert submissions.zero_shot(trained_on, suite).holds is holds


def test_submissions_are_found_in_a_folder_of_them(complete):
    (complete.parent / "notes").mkdir()
    assert submissions.find([complete.parent]) == [complete]
    assert submissions.find([complete]) == [complete]
    with pytest.raises(MissingResourceError, match="no submission in it"):
        submissions.find([complete.parent / "notes"])


def forget_the_declaration(document):
    """As `run` writes the result of a folder without a manifest."""
    document["model"] |= {"id": "./lexical", "name": "lexical-1a2b3c4d"}
    for field in ("trained_on", "licence", "languages"):
        document["model"]["details"].pop(field, None)
    document["zero_shot"] = {"status": "unknown", "basis": "none", "because": []}


def test_what_a_manifest_declares_stands_in_results_that_are_older_than_it(complete, errors):
    rewrite(complete, forget_the_declaration)
    assert errors(complete) == []
    (entry,) = submissions.load(complete).results
    assert entry.result.model.name == "lexical"
    assert entry.result.model.details["licence"] == "Apache-2.0"
    assert (entry.result.zero_shot.status, entry.result.zero_shot.basis) == ("zero-shot", "declared")


def test_a_page_shows_what_the_manifest_declares(complete, tmp_path):
    rewrite(complete, forget_the_declaration)
    report([complete.parent], tmp_path / "site")
    (encoder,) = json.loads((tmp_path / "site" / "leaderboard.json").read_text())["encoders"]["data"]
    columns = json.loads((tmp_path / "site" / "leaderboard.json").read_text())["encoders"]["columns"]
    shown = dict(zip(columns, encoder, strict=True))
    assert (shown["name"], shown["licence"], shown["trained_on"]) == ("lexical", "Apache-2.0", [])


def test_a_leak_that_a_run_stated_cannot_be_left_out_of_the_manifest(complete, errors):
    stated = {"status": "not zero-shot", "basis": "declared", "because": ["xlir-mini"]}
    rewrite(complete, lambda document: document.update(zero_shot=stated))
    (line,) = errors(complete)
    assert "states that the model is not zero-shot (xlir-mini)" in line
    assert "name this under trained_on" in line
    edit(complete, trained_on=["xlir-mini"])
    assert errors(complete) == []
