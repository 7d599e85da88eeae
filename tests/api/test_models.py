"""What `evaluate` takes as a model, and what it leaves of it behind."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

import xlir_bench as xb
from xlir_bench.resources import folder

LANGUAGES = ["de", "en"]
STATIC = str(folder("submissions") / "xlir-hybrid-static")


def hashed_words(texts, width=64):
    out = np.zeros((len(texts), width), np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            out[row, int(hashlib.md5(word.encode()).hexdigest(), 16) % width] += 1
        out[row, 0] += 0.01
    return out


def figures(model, **options):
    return xb.evaluate(model, languages=LANGUAGES, **options).summary["value"].to_dict()


@pytest.fixture(scope="module")
def expected():
    return figures(hashed_words, similarity="cosine")


@pytest.fixture
def static():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(STATIC, device="cpu")


@pytest.fixture(scope="module")
def static_figures():
    return figures("xlir-hybrid-static")


def test_an_option_changes_nothing_in_the_callers_model(static):
    whole = figures(static)
    assert figures(static, truncate_dim=16) != whole
    assert static.truncate_dim is None
    assert figures(static) == whole


def test_a_default_prompt_that_was_set_later_is_put_before_texts_as_the_library_does(static, static_figures):
    class Wrapped:
        def encode_query(self, texts):
            return static.encode_query(texts)

        def encode_document(self, texts):
            return static.encode_document(texts)

    static.prompts = {"zebra": "zebra zebra zebra: "}
    static.default_prompt_name = "zebra"
    assert figures(static) == pytest.approx(figures(Wrapped(), similarity="cosine"))
    assert figures(static) != static_figures


def test_a_failed_run_changes_nothing_either(static):
    static.train()
    with pytest.raises(xb.InputError):
        xb.evaluate(static, languages=["xx"], truncate_dim=16)
    assert static.truncate_dim is None
    assert static.training


def holders():
    import torch

    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.dropout = torch.nn.Dropout(0.5)

        def forward(self, texts):
            return self.dropout(torch.from_numpy(hashed_words(texts)))

    class Holder:
        similarity = "cosine"

        def __init__(self, net):
            self.net = net

        def encode(self, texts, *, role, languages):
            return self.net(texts)

    from functools import partial

    def noise(net, texts):
        return net(texts)

    return Noisy, {
        "module": lambda net: net,
        "attribute": Holder,
        "method": lambda net: net.forward,
        "partial": lambda net: partial(noise, net),
        "closure": lambda net: lambda texts: net(texts),
    }


@pytest.mark.parametrize("kind", ["module", "attribute", "method", "partial", "closure"])
def test_dropout_is_off_in_every_module_that_a_model_runs(kind, expected):
    made, wrap = holders()
    net = made()
    net.train()
    assert figures(wrap[kind](net), similarity="cosine") == expected
    assert net.training
    assert net.dropout.training


class Plain:
    similarity = "cosine"

    def encode(self, sentences, batch_size=32, show_progress_bar=None, **options):
        return hashed_words(sentences)


class Both:
    similarity = "cosine"

    def encode_query(self, texts):
        return hashed_words(texts)

    def encode_document(self, texts):
        return hashed_words(texts)


def test_an_object_whose_encode_takes_texts_alone_is_measured_and_this_is_said(expected, caplog):
    assert figures(Plain(), batch_size=8) == expected
    assert "queries and documents are encoded alike" in caplog.text
    result = xb.evaluate(Plain(), languages=LANGUAGES)
    assert result.stored.model.details["interface"] == "encode"


def test_an_object_with_a_method_for_each_role(expected):
    class Swapped(Both):
        def encode_query(self, texts):
            return hashed_words(texts)[:, ::-1]

    assert figures(Both()) == expected
    assert figures(Swapped()) != expected


@pytest.mark.parametrize("word", ["prompt_type", "task_name", "input_type", "is_query"])
def test_an_encode_that_is_told_the_role_in_its_own_way_is_refused(word):
    namespace: dict[str, object] = {}
    exec(f"class Told:\n    def encode(self, texts, {word}=None):\n        return None\n", namespace)
    with pytest.raises(xb.InputError, match=rf"told the role by {word}.*wrap it in an object"):
        xb.evaluate(namespace["Told"](), languages=LANGUAGES)  # type: ignore[operator]


def test_an_encode_that_needs_more_than_texts_is_refused():
    class Needy:
        def encode(self, texts, extra):
            return None

    with pytest.raises(xb.InputError, match=r"Needy with encode\(texts, extra\) is no model"):
        xb.evaluate(Needy(), languages=LANGUAGES)


@pytest.mark.parametrize("wrapper", ["DataParallel", "compile"])
def test_what_torch_wraps_around_a_sentence_transformer_is_taken_off(static, static_figures, wrapper):
    import torch

    wrapped = torch.nn.DataParallel(static) if wrapper == "DataParallel" else torch.compile(static)
    result = xb.evaluate(wrapped, languages=LANGUAGES)
    assert result.summary["value"].to_dict() == pytest.approx(static_figures, abs=1e-6)
    assert result.stored.model.details["adapter"] == "sentence-transformers"


def test_a_subclass_with_an_encode_of_its_own_is_measured_by_it():
    from sentence_transformers import SentenceTransformer

    class Short(SentenceTransformer):
        """Differs from the library only for texts that no trial of a few words would show."""

        def encode(self, inputs, **options):
            vectors = super().encode(inputs, **options)
            vectors[[row for row, text in enumerate(inputs) if len(text) > 60]] = 1.0
            return vectors

    model = Short(STATIC, device="cpu")
    plain = SentenceTransformer(STATIC, device="cpu")

    def by_hand(texts):
        vectors = plain.encode(texts)
        vectors[[row for row, text in enumerate(texts) if len(text) > 60]] = 1.0
        return vectors

    assert figures(model) == pytest.approx(figures(by_hand, similarity="cosine"), abs=1e-6)


def test_a_hook_makes_another_model_whose_earlier_results_are_not_taken(static, tmp_path):
    before = xb.evaluate(static, languages=LANGUAGES, output=tmp_path)

    def first_half(module, given, out):
        out["sentence_embedding"] = out["sentence_embedding"].clone()
        out["sentence_embedding"][:, 20:] = 0
        return out

    hook = static[0].register_forward_hook(first_half)
    after = xb.evaluate(static, languages=LANGUAGES, output=tmp_path)
    hook.remove()
    assert after.measured_now
    assert after.stored.model.fingerprint != before.stored.model.fingerprint
    assert after.summary["value"].to_dict() != before.summary["value"].to_dict()


def test_autocast_is_part_of_what_a_sentence_transformer_is(static):
    import torch

    usual = xb.evaluate(static, languages=LANGUAGES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = xb.evaluate(static, languages=LANGUAGES)
    assert rounded.stored.model.details["autocast"] == "bfloat16"
    assert rounded.stored.model.fingerprint != usual.stored.model.fingerprint


def test_a_table_of_vectors_knows_the_texts_of_its_collection_only():
    texts = pd.DataFrame({"id": ["a", "b"], "text": ["eins", "zwei"], "language": "de"})
    judged = pd.DataFrame({"query_id": ["a", "b"], "document_id": ["a", "b"], "gain": 1})
    vectors = {"eins": [1.0, 0.0], "zwei": [0.0, 1.0]}
    collection = xb.Collection.from_pandas(texts, texts, judged)
    result = xb.evaluate(lambda given: [vectors[text] for text in given], collection, similarity="cosine")
    assert result.summary.loc[("monolingual", "nDCG@10"), "value"] == 1
    with pytest.raises(xb.InputError, match=r"KeyError: 'eins'"):
        xb.evaluate(lambda given: [{}[text] for text in given], collection, similarity="cosine")


@pytest.mark.parametrize("name", ["SparseEncoder", "CrossEncoder"])
def test_other_kinds_of_models_are_refused_by_their_kind(name):
    import sentence_transformers
    import torch

    made = object.__new__(getattr(sentence_transformers, name))
    torch.nn.Module.__init__(made)
    with pytest.raises(xb.InputError, match=r"this is a (sparse encoder|reranker)"):
        xb.evaluate(made, languages=LANGUAGES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": "cos"}, r"unknown similarity 'cos': did you mean cosine\?"),
        ({"cache_as": "int4"}, "unknown cache_as 'int4'"),
        ({"precision": "float8"}, "unknown precision"),
        ({"batch_size": 0}, "batch_size 0: a whole number from 1"),
        ({"truncate_dim": 1.5}, r"truncate_dim 1\.5: a whole number"),
        ({"batch_size": True}, "batch_size True"),
        ({"output": 3}, "output: a path was expected, not int 3"),
        ({"data": ["x"]}, "data: a path was expected, not list"),
        ({"name": 3}, "name 3: a text was expected"),
        ({"progress": "yes"}, "progress 'yes': True or False"),
        ({"languages": [None]}, "languages"),
        ({"languages": "de"}, "languages is a list"),
        ({"suite": ""}, "no suite"),
    ],
)
def test_values_that_an_option_cannot_have_are_refused(options, message):
    with pytest.raises(xb.InputError, match=message) as caught:
        xb.evaluate(hashed_words, **{"languages": LANGUAGES, **options})
    assert "\n" not in str(caught.value)


def test_places_that_are_no_paths_are_refused(tmp_path):
    for call in (lambda: xb.load(3), lambda: xb.load([tmp_path]), lambda: xb.report(3, tmp_path)):
        with pytest.raises(xb.InputError, match="a path was expected"):
            call()
    with pytest.raises(xb.InputError, match="there are no results"):
        xb.compare([])
