"""Collections that ir_datasets knows: read through it, without its own downloads."""

from __future__ import annotations

import json
from collections import namedtuple

import pytest
from made_data import write_beir

from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.suites import find, load

ir_datasets = pytest.importorskip("ir_datasets", reason="install the extra `ir_datasets`")

Document = namedtuple("Document", "doc_id title text")
Document.default_text = lambda self: f"{self.title} {self.text}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A collection in BEIR's layout."""
    return write_beir(tmp_path_factory.mktemp("beir") / "en")


@pytest.fixture
def registered(folder):
    """Its files as a dataset that ir_datasets knows, languages stated and not stated."""
    from ir_datasets.formats import BaseDocs, BaseQueries, GenericQuery, TrecQrel, TrecQrels
    from ir_datasets.util import LocalDownload

    def make(query_language, document_language):
        class Documents(BaseDocs):
            def docs_iter(self):
                for line in (folder / "corpus.jsonl").open():
                    row = json.loads(line)
                    yield Document(row["_id"], row["title"], row["text"])

            def docs_cls(self):
                return Document

            def docs_count(self):
                return 144

            def docs_lang(self):
                return document_language

        class Queries(BaseQueries):
            def queries_iter(self):
                for line in (folder / "queries.jsonl").open():
                    row = json.loads(line)
                    yield GenericQuery(row["_id"], row["text"])

            def queries_cls(self):
                return GenericQuery

            def queries_lang(self):
                return query_language

        class Qrels(TrecQrels):
            def qrels_iter(self):
                for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
                    query, document, gain = line.split("\t")
                    yield TrecQrel(query, document, int(gain), "0")

        return ir_datasets.Dataset(Documents(), Queries(), Qrels(LocalDownload(folder / "qrels" / "test.tsv"), {}))

    for name, languages in (
        ("local/made", ("en", "en")),
        ("local/unstated", (None, None)),
        ("local/clir", ("de", "en")),
    ):
        if name not in ir_datasets.registry._registered:
            ir_datasets.registry.register(name, make(*languages))


def test_it_is_the_collection_that_the_beir_reader_reads(registered, folder):
    ours, theirs = load(find(str(folder))), load(find("ir_datasets:local/made"))
    assert list(theirs.documents.ids) == ours.documents.ids
    assert list(theirs.documents.texts) == ours.documents.texts
    assert theirs.fingerprint == ours.fingerprint


def test_languages_are_those_that_it_states_or_the_options(registered):
    assert find("ir_datasets:local/unstated").languages == ("und",)
    assert load(find("ir_datasets:local/unstated"), languages=["en"]).languages == ("en",)
    crossing = find("ir_datasets:local/clir")
    assert (crossing.languages, list(crossing.settings)) == (("de", "en"), ["cross-lingual"])
    collection = load(crossing)
    assert (set(collection.queries.languages), set(collection.documents.languages)) == ({"de"}, {"en"})


def test_a_dataset_of_the_library_is_declared_without_its_data():
    suite = find("ir_datasets:miracl/ar/dev")
    assert (suite.name, suite.languages) == ("ir_datasets.miracl.ar.dev", ("ar",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ir_datasets:beir/scifct/test", r"dataset of ir_datasets 'beir/scifct/test': did you mean beir/scifact/test"),
        ("ir_datasets:beir/scifact", "it has no judgements; name a part of it that has"),
    ],
)  # fmt: skip
def test_what_the_library_does_not_have_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        find(name)


def test_data_that_are_not_here_are_a_missing_resource(no_network):
    with pytest.raises(MissingResourceError, match="ir_datasets:vaswani: its data cannot be loaded"):
        load(find("ir_datasets:vaswani"))


def toy(name, judged, query_language="en", document_language="en"):
    """Register a small dataset in which query and document q1 share an id."""
    from ir_datasets.formats import BaseDocs, BaseQueries, GenericQuery, TrecQrel, TrecQrels
    from ir_datasets.util import LocalDownload

    class Documents(BaseDocs):
        def docs_iter(self):
            yield from (Document(key, "", f"text {key}") for key in ("q1", "d2", "d3"))

        def docs_cls(self):
            return Document

        def docs_count(self):
            return 3

        def docs_lang(self):
            return document_language

    class Queries(BaseQueries):
        def queries_iter(self):
            yield from (GenericQuery(key, f"about {key}") for key in ("q1", "q2"))

        def queries_cls(self):
            return GenericQuery

        def queries_lang(self):
            return query_language

    class Qrels(TrecQrels):
        def qrels_iter(self):
            yield from (TrecQrel(query, document, gain, "0") for query, document, gain in judged)

    dataset = ir_datasets.Dataset(Documents(), Queries(), Qrels(LocalDownload("none"), {}))
    if name not in ir_datasets.registry._registered:
        ir_datasets.registry.register(name, dataset)


def test_a_querys_own_id_is_left_out_in_arguana_and_quora_and_where_it_is_declared():
    from xlir_bench.suites.ir_dataset import IrDatasetsSource

    judged = [("q1", "q1", 1), ("q1", "d2", 1), ("q2", "d2", -1)]
    toy("beir/quora/toy", judged)
    toy("beir/fiqa/toy", judged)
    quora, fiqa = (load(find(f"ir_datasets:beir/{name}/toy")) for name in ("quora", "fiqa"))
    assert (quora.relevant.tolist(), fiqa.relevant.tolist()) == ([False, True, False], [True, True, False])
    declared = IrDatasetsSource(reader="ir_datasets", id="beir/fiqa/toy", self_matches="removed")
    assert declared.collection(["en"]).fingerprint == quora.fingerprint
    assert quora.unanswered.tolist() == fiqa.unanswered.tolist() == [1]


def test_its_judgements_are_read_with_the_same_care_as_a_files():
    toy("local/conflict", [("q1", "d2", 1), ("q1", "d2", 2)])
    with pytest.raises(InputError, match=r"ir_datasets:local/conflict:2: .* gain 2 here and 1 in line 1"):
        load(find("ir_datasets:local/conflict"))
    toy("local/repeated", [("q1", "d2", 1), ("q1", "d2", 1)])
    assert "repeats an earlier judgement" in load(find("ir_datasets:local/repeated")).notes[0]


def test_a_language_that_the_library_does_not_state_is_not_taken_from_the_other_side():
    toy("local/half", [("q1", "d2", 1)], "en", None)
    collection = load(find("ir_datasets:local/half"))
    assert (set(collection.queries.languages), set(collection.documents.languages)) == ({"en"}, {"und"})
