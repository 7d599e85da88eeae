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
