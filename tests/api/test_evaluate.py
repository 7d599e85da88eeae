"""`xlir_bench` as a library: models in memory, the tables of a result, files, comparisons."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import xlir_bench as xb
from xlir_bench.cli.main import cli
from xlir_bench.resources import folder

LANGUAGES = ["de", "en", "th"]


def hashed_words(texts):
    """A bag of hashed words: deterministic, no weights."""
    out = np.zeros((len(texts), 64), np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            out[row, int(hashlib.md5(word.encode()).hexdigest(), 16) % 64] += 1
        out[row, 0] += 0.01
    return out


class Words:
    similarity = "dot"

    def encode(self, texts, *, role, languages):
        return hashed_words(texts)


@pytest.fixture(scope="module")
def result():
    return xb.evaluate(hashed_words, languages=LANGUAGES, similarity="cosine")


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, xlir_bench; dir(xlir_bench);"
        "print([n for n in ('torch', 'mteb', 'pandas', 'numpy', 'ir_measures') if n in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_is_there():
    for name in xb.__all__:
        assert getattr(xb, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        xb.evalute  # noqa: B018


def test_the_api_and_the_command_give_the_same_figures(tmp_path):
    ours = xb.evaluate("xlir-hybrid-static", "xlir-mini", languages=LANGUAGES, output=tmp_path / "api")
    ran = CliRunner().invoke(
        cli,
        ["run", "xlir-hybrid-static", "--languages", ",".join(LANGUAGES), "--output", str(tmp_path / "command")],
        catch_exceptions=False,
    )
    assert ran.exit_code == 0
    [theirs] = xb.load(tmp_path / "command")
    same = {"exclude": {"timing", "created"}}
    assert theirs.stored.model_dump(**same) == ours.stored.model_dump(**same)
    names = [
        sorted(str(p.relative_to(tmp_path / one)) for p in (tmp_path / one).rglob("*")) for one in ("api", "command")
    ]
    assert names[0] == names[1]


def test_the_summary_is_the_mean_of_the_rows_within_its_interval(result):
    table = result.to_pandas()
    assert list(table.columns) == [
        "setting",
        "query_language",
        "document_language",
        "measure",
        "value",
        "low",
        "high",
        "queries",
        "documents",
    ]
    means = table.groupby(["setting", "measure"])["value"].mean()
    for key, row in result.summary.iterrows():
        assert row["value"] == pytest.approx(means[key])
        assert row["low"] <= row["value"] <= row["high"]
        assert row["rows"] == (table[["setting", "measure"]] == list(key)).all(axis=1).sum()
    assert (table["low"] <= table["value"] + 1e-9).all()
    assert (table["value"] <= table["high"] + 1e-9).all()


def test_per_query_values_have_the_rows_as_their_means(result):
    per_query = result.per_query()
    keys = ["setting", "query_language", "document_language", "measure"]
    means, sizes = per_query.groupby(keys)["value"].mean(), per_query.groupby(keys).size()
    for row in result.to_pandas().itertuples():
        key = (row.setting, row.query_language, row.document_language, row.measure)
        assert means[key] == pytest.approx(row.value)
        assert sizes[key] == row.queries
    assert per_query["query_id"].str.startswith(("de:", "en:", "th:")).all()


def test_an_object_a_function_and_mtebs_names_of_the_same_vectors_agree(result):
    other = xb.evaluate(Words(), languages=LANGUAGES, similarity="cosine")
    assert other.summary["value"].to_dict() == result.summary["value"].to_dict()
    assert other.stored.model.fingerprint != result.stored.model.fingerprint
    assert xb.evaluate(Words(), languages=LANGUAGES).stored.model.similarity == "dot"


def test_a_sentence_transformer_has_the_figures_of_its_folder():
    from sentence_transformers import SentenceTransformer

    place = folder("submissions") / "xlir-hybrid-static"
    held = xb.evaluate(SentenceTransformer(str(place), device="cpu"), languages=LANGUAGES)
    by_id = xb.evaluate("xlir-hybrid-static", languages=LANGUAGES)
    assert held.summary["value"].to_dict() == pytest.approx(by_id.summary["value"].to_dict(), abs=1e-6)


def test_a_model_in_training_is_measured_without_dropout_and_goes_on_training():
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dropout

    static = SentenceTransformer(str(folder("submissions") / "xlir-hybrid-static"), device="cpu")
    model = SentenceTransformer(modules=[*static, Dropout(0.5)], device="cpu")
    model.train()
    frozen = next(iter(model.children()))
    frozen.eval()
    before = {part: part.training for part in model.modules()}
    first = xb.evaluate(model, languages=["de", "en"])
    second = xb.evaluate(model, languages=["de", "en"])
    assert first.summary["value"].to_dict() == second.summary["value"].to_dict()
    assert first.stored.model.fingerprint == second.stored.model.fingerprint
    assert {part: part.training for part in model.modules()} == before
    with torch.no_grad():
        next(model.parameters()).add_(0.5)
    changed = xb.evaluate(model, languages=["de", "en"])
    assert changed.stored.model.fingerprint != first.stored.model.fingerprint


def test_prompts_of_an_object_are_options_too():
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder("submissions") / "xlir-hybrid-static"), device="cpu")
    prompted = xb.evaluate(model, languages=["de", "en"], query_prompt="what about: ")
    assert prompted.stored.model.prompts["query"] == "what about: "
    plain = xb.evaluate(model, languages=["de", "en"])
    assert plain.stored.model.prompts["query"] == ""
    assert plain.stored.model.fingerprint != prompted.stored.model.fingerprint


def test_the_batch_size_changes_no_figure_and_is_given_to_code_that_takes_one():
    sizes = set()

    class Beir:
        similarity = "cosine"

        def encode_queries(self, queries, batch_size, **options):
            sizes.add(batch_size)
            return hashed_words(queries)

        def encode_corpus(self, corpus, batch_size, **options):
            sizes.add(batch_size)
            return hashed_words([one["text"] for one in corpus])

    few, many = (xb.evaluate(Beir(), languages=["de", "en"], batch_size=size) for size in (7, 100))
    assert few.summary.equals(many.summary)
    assert sizes == {7, 100}
    with pytest.raises(xb.InputError, match=r"batch_size .* would have no effect"):
        xb.evaluate(Words(), languages=["de", "en"], batch_size=7)


def test_measures_replace_those_of_the_suite():
    result = xb.evaluate(hashed_words, languages=["de", "en"], measures=["nDCG@10", "R@100"], similarity="cosine")
    assert [key[1] for key in result.summary.index] == ["nDCG@10", "R@100"] * 3
    assert set(result.stored.primary.values()) == {"nDCG@10"}


def test_several_suites_give_results(tmp_path):
    results = xb.evaluate("random", ["xlir-mini"], languages=["de", "en"])
    assert isinstance(results, xb.Results)
    assert len(results) == 1
    assert list(results.summary.index.names) == ["model", "suite", "setting", "measure"]
    assert results.save(tmp_path)[0].is_file()
    assert len(xb.load(tmp_path)) == 1


def test_saved_results_are_read_again_whole(result, tmp_path):
    path = result.save(tmp_path)
    [again] = xb.load(tmp_path)
    assert again.stored == result.stored
    assert again.path == path
    assert (tmp_path / "index.html").is_file()
    assert again.per_query().equals(result.per_query())


def test_a_comparison_is_a_table_and_latex(result):
    other = xb.evaluate("random", languages=LANGUAGES)
    comparison = xb.compare([other, result])
    table = comparison.to_pandas()
    row = table[(table["setting"] == "multilingual") & (table["measure"] == "AP")].iloc[0]
    means = [one.summary.loc[("multilingual", "AP"), "value"] for one in (other, result)]
    assert row["difference"] == pytest.approx(means[1] - means[0])
    assert row["low"] <= row["difference"] <= row["high"]
    assert r"\begin{tabular}" in comparison.to_latex()


def test_the_gate_says_no_to_a_worse_candidate(result):
    other = xb.evaluate("random", languages=LANGUAGES)
    assert not xb.gate(other, result).passed
    assert xb.gate(result, result).passed


def test_a_report_is_a_site(result, tmp_path):
    result.save(tmp_path / "results")
    site = xb.report([tmp_path / "results"], tmp_path / "site")
    assert site.index == tmp_path / "site" / "index.html"
    assert site.left_out == ()


def test_a_notebook_gets_html_that_escapes_names(result):
    named = xb.evaluate(hashed_words, languages=["de", "en"], similarity="cosine", name="<b>mine</b>")
    shown = named._repr_html_()
    assert "<b>mine" not in shown
    assert "AP by language" in shown
    assert "https://" not in shown


@pytest.mark.parametrize("kind", ["map", "languages", "bias"])
def test_plots_are_charts_that_can_be_drawn(result, kind, tmp_path):
    chart = result.plot(kind)
    chart.save(tmp_path / "chart.svg")
    assert "<svg" in (tmp_path / "chart.svg").read_text()


class WrongShape:
    def encode(self, texts, *, role, languages):
        return np.zeros((len(texts) - 1, 3))


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (WrongShape(), {}, r"shape \(\d+, 3\) for \d+ texts"),
        (Words, {}, "Words is a class: give an object of it"),
        (object(), {}, "object is no model; expected a function of texts; encode"),
        (hashed_words, {"suite": "xlir-mni"}, "did you mean xlir-mini"),
        (hashed_words, {"languages": ["xx"]}, "language of suite xlir-mini"),
        (hashed_words, {"settings": ["bilingual"]}, "unknown setting 'bilingual'"),
        (hashed_words, {"settings": "monolingual"}, "settings is a list"),
        (hashed_words, {"measures": ["nDGC@10"]}, "nDGC@10"),
        (hashed_words, {"measures": []}, "measures is a list"),
        (hashed_words, {"similarty": "dot"}, "did you mean similarity"),
        (hashed_words, {"pooling": "cls"}, "would have no effect"),
        (hashed_words, {"device": "cpu"}, "move the object to it"),
        (hashed_words, {"top_k": 5}, "give output as well"),
        (hashed_words, {"suite": "beir"}, "is a group of 29 suites"),
        (hashed_words, {"suite": 3}, "not int"),
        ("bm52", {}, "did you mean bm25"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(given, options, message):
    with pytest.raises(xb.XlirError, match=message) as caught:
        xb.evaluate(given, **options)
    assert "\n" not in str(caught.value)


def test_a_program_that_uses_the_package_keeps_its_own_logging():
    code = (
        "import logging; logging.basicConfig(format='mine: %(message)s');"
        "from xlir_bench.errors import warn; warn('look');"
        "print(logging.getLogger('xlir_bench').handlers)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("[]\n", "mine: look\n")
