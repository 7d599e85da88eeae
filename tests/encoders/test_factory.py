"""Models that are code: the three interfaces, each against the library it comes from, and what is said of failures."""

from __future__ import annotations

import sys
from textwrap import dedent

import numpy as np
import pytest

from xlir_bench.collection import Texts
from xlir_bench.encoders import encode_texts, resolve
from xlir_bench.encoders.factory import PROBES, adapted
from xlir_bench.errors import InputError

TEXTS = ["a question", "eine etwas längere Frage", "第三个问题", "b"]

OURS = """
    import numpy as np

    class Toy:
        def __init__(self, scale=1.0):
            self.scale = scale

        def encode(self, texts, *, role, languages):
            return np.array([[len(t), role == "query", len(code)] for t, code in zip(texts, languages)]) * self.scale

    def build():
        return Toy()

    def build_louder():
        return Toy(2.0)

    def build_on(device):
        toy = Toy()
        toy.device = device
        return toy

    class Nested:
        make = Toy
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(source, name="my_model.py"):
        (tmp_path / name).write_text(dedent(source))
        return name

    return write


def encode(model, role="query"):
    texts = Texts([str(row) for row in range(len(TEXTS))], TEXTS, ["en", "de", "zh", "en"])
    return encode_texts(model.retriever, model.info, texts, role).vectors


def test_our_interface(write):
    model = resolve(write(OURS) + ":build", "cpu")
    assert encode(model)[:, 1].tolist() == [1, 1, 1, 1]
    assert encode(model, "document")[:, 1].tolist() == [0, 0, 0, 0]
    assert encode(model)[:, 0].tolist() == [len(text) for text in TEXTS]
    assert model.info.name == f"my_model-{model.info.fingerprint[:8]}"
    assert model.info.details["interface"] == "xlir-bench"


def test_the_device_is_given_to_a_factory_that_takes_one(write):
    assert resolve(write(OURS) + ":build_on", "cpu").retriever.device == "cpu"


def test_a_class_is_a_factory_and_dots_reach_into_classes(write):
    assert encode(resolve(write(OURS) + ":Nested.make")).shape == (4, 3)


def test_a_module_in_the_current_folder_and_one_in_a_package(write, tmp_path):
    write(OURS, "some_plain_module.py")
    (tmp_path / "some_package").mkdir()
    write(OURS, "some_package/inner.py")
    plain, inner = resolve("some_plain_module:build"), resolve("some_package.inner:build")
    assert plain.info.name.startswith("some_plain_module-")
    assert inner.info.name.startswith("some_package.inner-")
    assert plain.info.fingerprint == inner.info.fingerprint  # the same code and the same vectors


def test_a_file_can_import_its_neighbours(write, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    write("WIDTH = 5", "elsewhere/neighbour_of_model.py")
    write(
        """
        import numpy as np
        from neighbour_of_model import WIDTH
        class Model:
            def encode(self, texts, *, role, languages):
                return np.ones((len(texts), WIDTH))
        """,
        "elsewhere/model.py",
    )
    assert encode(resolve("elsewhere/model.py:Model")).shape == (4, 5)


def test_beir_s_interface_against_beir_s_own_class(minilm):
    from beir.retrieval.models import SentenceBERT

    theirs = SentenceBERT(str(minilm), device="cpu")
    loaded = adapted(theirs, "m:f")
    assert loaded.details["interface"] == "beir"
    queries = loaded.encoder.encode(TEXTS, role="query", languages=["en"] * 4)
    documents = loaded.encoder.encode(TEXTS, role="document", languages=["en"] * 4)
    np.testing.assert_allclose(queries, theirs.q_model.encode(TEXTS), atol=1e-5)
    np.testing.assert_allclose(documents, theirs.q_model.encode(TEXTS), atol=1e-5)


def test_beir_s_interface_without_keywords_beyond_the_batch_size(write):
    name = write(
        """
        import numpy as np
        class Model:
            def encode_queries(self, queries: list[str], batch_size: int):
                return np.array([[len(query), 1] for query in queries])
            def encode_corpus(self, corpus: list[dict], batch_size: int = 8):
                return [np.array([len(doc["title"] + doc["text"]), 2.0]) for doc in corpus]
        """
    )
    model = resolve(f"{name}:Model")
    assert encode(model).tolist() == [[len(text), 1] for text in TEXTS]
    assert encode(model, "document").tolist() == [[len(text), 2] for text in TEXTS]


def test_mteb_s_interface_against_mteb_s_own_wrapper(minilm):
    from mteb.models.models_protocols import EncoderProtocol
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(minilm), device="cpu")
    prompts = {"query": "query: ", "document": "passage: "}
    theirs = SentenceTransformerEncoderWrapper(plain, model_prompts=prompts)
    assert isinstance(theirs, EncoderProtocol)
    loaded = adapted(theirs, "m:f")
    assert loaded.details["interface"] == "mteb"
    for role, prompt in prompts.items():
        vectors = loaded.encoder.encode(TEXTS, role=role, languages=["en"] * 4)
        np.testing.assert_allclose(vectors, plain.encode(TEXTS, prompt=prompt), atol=1e-5)


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_mteb_s_random_baseline(write, framework):
    name = write(
        f"""
        import numpy as np
        import torch
        from mteb.models.model_implementations.random_baseline import RandomEncoderBaseline
        def build():
            dtype = torch.float16 if "{framework}" == "torch" else np.float32
            return RandomEncoderBaseline("baseline/random", None, array_framework="{framework}", dtype=dtype)
        """
    )
    vectors = encode(resolve(f"{name}:build"))
    assert vectors.shape == (4, 32)
    assert len(np.unique(vectors[:, 0])) == 4


def test_a_sentence_transformer_is_taken_too(minilm, write):
    name = write(
        f"""
        from sentence_transformers import SentenceTransformer
        def build(device):
            return SentenceTransformer({str(minilm)!r}, device=device)
        """
    )
    model = resolve(f"{name}:build", "cpu")
    assert model.info.details["adapter"] == "sentence-transformers"
    np.testing.assert_allclose(encode(model), encode(resolve(str(minilm), "cpu")), atol=1e-5)


def test_the_fingerprint_follows_code_and_weights(write, tmp_path):
    name = write(OURS)
    plain, louder = resolve(f"{name}:build"), resolve(f"{name}:build_louder")
    assert plain.info.fingerprint != louder.info.fingerprint
    assert resolve(f"{name}:build").info.fingerprint == plain.info.fingerprint
    write(OURS + "\n    # another comment\n")
    assert resolve(f"{name}:build").info.fingerprint != plain.info.fingerprint
    weighted = """
        from pathlib import Path
        import numpy as np
        class Model:
            def encode(self, texts, *, role, languages):
                return np.full((len(texts), 2), float(Path("weights.txt").read_text()))
        """
    write(weighted, "weighted.py")
    fingerprints = []
    for weight in ("1.0", "1.0000001", "1.0"):
        (tmp_path / "weights.txt").write_text(weight)
        fingerprints.append(resolve("weighted.py:Model").info.fingerprint)
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]


def test_the_fingerprint_sees_where_texts_are_cut(write):
    name = write(
        """
        import numpy as np
        class Model:
            length = 256
            def encode(self, texts, *, role, languages):
                return np.array([[hash_of(" ".join(text.split()[: self.length])), 1] for text in texts])
        def hash_of(text):
            return sum(ord(character) * (place + 1) for place, character in enumerate(text))
        def cut_at_128():
            model = Model()
            model.length = 128
            return model
        """
    )
    assert resolve(f"{name}:Model").info.fingerprint != resolve(f"{name}:cut_at_128").info.fingerprint
    assert len({language for language, _ in PROBES}) >= 8


@pytest.mark.parametrize(
    ("source", "factory", "message"),
    [
        ("", "build", "my_model.py has no 'build'"),
        ("build = 3", "build", "'build' is int, not a function"),
        ("def build():\n    return None", "build", "the factory returned NoneType; expected encode(texts, *, role"),
        ("def build(needed):\n    pass", "build", "the factory failed (TypeError: "),
        ("def build():\n    raise OSError('no\\nweights')", "build", "the factory failed (OSError: no weights)"),
        ("def build(:", "build", "cannot be imported (SyntaxError"),
        ("import does_not_exist_at_all", "build", "cannot be imported (ModuleNotFoundError"),
        (
            "class build:\n    def encode(self, texts):\n        pass",
            "build",
            "returned build with encode(texts); expected",
        ),
        ("class build:\n    def encode(self, texts, **more):\n        pass", "build", "BEIR's encode_queries"),
        (
            "class build:\n    def encode_queries(self, queries, batch_size):\n        pass",
            "build",
            "mteb's EncoderProtocol",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(write, source, factory, message):
    name = write(source)
    with pytest.raises(InputError) as raised:
        resolve(f"{name}:{factory}")
    assert message in str(raised.value)
    assert str(raised.value).startswith("my_model.py:")
    assert "\n" not in str(raised.value)


def test_a_missing_file_or_module_is_an_error(write):
    with pytest.raises(InputError, match=r"there is no file nowhere\.py"):
        resolve("nowhere.py:build")
    with pytest.raises(InputError, match=r"no_such_package\.module cannot be imported"):
        resolve("no_such_package.module:build")


def test_bad_vectors_show_at_once(write):
    name = write(
        """
        import numpy as np
        class Model:
            def encode(self, texts, *, role, languages):
                return np.full((len(texts), 2), np.nan)
        """
    )
    with pytest.raises(InputError, match=r"my_model\.py:Model returned NaN for query"):
        resolve(f"{name}:Model")
