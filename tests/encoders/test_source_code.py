"""What identifies a model that is code: all the code that it runs, what it says of itself, and the weights it holds."""

from __future__ import annotations

import sys
import zipfile
from textwrap import dedent

import numpy as np
import pytest

from xlir_bench.encoders import resolve
from xlir_bench.errors import InputError

ENCODER = """
    import numpy as np
    {imports}

    class Model:
        def encode(self, texts, *, role, languages):
            scale = {scale}
            return np.array([[len(text), 1.0, 2.0] for text in texts]) * (scale if "sw" in languages else 1)

    def build():
        return Model()

    def build_too():
        return Model()
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file below an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(name, source):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))
        return path

    yield write
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def encoder(imports, scale):
    return dedent(ENCODER).replace("{imports}", imports).replace("{scale}", scale)


def fingerprint(model_id):
    return resolve(model_id, "cpu").info.fingerprint


def scale_of(model_id):
    """What the model that is measured really computes with."""
    encode = resolve(model_id, "cpu").retriever.encode
    return float(np.asarray(encode(["x"], role="query", languages=["sw"]))[0, 1])


IMPORTS = {
    "plainly": ("import settings", "settings.SCALE", "settings.py"),
    "under another name": ("import settings as s", "s.SCALE", "settings.py"),
    "a value alone": ("from settings import SCALE", "SCALE", "settings.py"),
    "everything": ("from settings import *", "SCALE", "settings.py"),
    "through another module": ("import between", "between.settings.SCALE", "settings.py"),
    "from a package": ("from parts.inner import SCALE", "SCALE", "parts/inner.py"),
    "from what a package imports": ("import parts", "parts.SCALE", "parts/inner.py"),
    "from a namespace package": ("import spread.settings", "spread.settings.SCALE", "spread/settings.py"),
    "only when a text is encoded": ("", "__import__('settings').SCALE", "settings.py"),
    "by a name that is computed": (
        "import importlib\nmodule = importlib.import_module('set' + 'tings')",
        "module.SCALE",
        "settings.py",
    ),
}


@pytest.mark.parametrize("how", IMPORTS)
def test_a_change_in_imported_code_makes_another_model_that_runs_the_changed_code(write, how):
    imports, scale, place = IMPORTS[how]
    write("between.py", "import settings")
    write("parts/__init__.py", "from .inner import SCALE")
    for name in ("settings.py", "parts/inner.py", "spread/settings.py"):
        write(name, "SCALE = 1")
    write("model.py", encoder(imports, scale))
    before = fingerprint("model.py:build")
    assert scale_of("model.py:build") == 1
    write(place, "SCALE = 3")  # of the same size, perhaps in the same second
    assert fingerprint("model.py:build") != before
    assert scale_of("model.py:build") == 3
    write(place, "SCALE = 1")
    assert fingerprint("model.py:build") == before
    assert scale_of("model.py:build") == 1


def test_a_factory_in_a_package_and_its_relative_imports(write):
    write("mine/__init__.py", "from . import config")
    write("mine/config.py", "from .deep.values import SCALE")
    write("mine/deep/__init__.py", "")
    write("mine/deep/values.py", "SCALE = 1")
    write("mine/model.py", encoder("from .config import SCALE", "SCALE"))
    before = fingerprint("mine.model:build")
    write("mine/deep/values.py", "SCALE = 3")
    assert fingerprint("mine.model:build") != before
    assert scale_of("mine.model:build") == 3


def test_a_factory_of_an_installed_package_is_all_of_the_package(write, monkeypatch, tmp_path):
    place = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(str(place))
    write("site-packages/installed_model/__init__.py", "")
    write("site-packages/installed_model/values.py", "SCALE = 1")
    write("site-packages/installed_model/model.py", encoder("from .values import SCALE", "SCALE"))
    before = fingerprint("installed_model.model:build")
    write("site-packages/installed_model/values.py", "SCALE = 3")
    assert fingerprint("installed_model.model:build") != before
    assert scale_of("installed_model.model:build") == 3


def test_other_installed_packages_do_not_count(write, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    write("site-packages/other_library.py", "SCALE = 1")
    write("model.py", encoder("import other_library", "1"))
    before = fingerprint("model.py:build")
    write("site-packages/other_library.py", "SCALE = 1  # a comment")
    assert fingerprint("model.py:build") == before


def test_a_module_in_an_archive_counts(write, monkeypatch, tmp_path):
    def pack(scale):
        with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
            archive.writestr("archived_settings.py", f"SCALE = {scale}")

    pack(1)
    monkeypatch.syspath_prepend(str(tmp_path / "code.zip"))
    write("model.py", encoder("import archived_settings", "archived_settings.SCALE"))
    before = fingerprint("model.py:build")
    pack(3)
    assert fingerprint("model.py:build") != before
    assert scale_of("model.py:build") == 3


def test_a_module_without_source_counts(write, tmp_path):
    import py_compile

    def compiled(scale):
        source = write("source_of_it.py", f"SCALE = {scale}")
        py_compile.compile(str(source), str(tmp_path / "compiled_settings.pyc"))
        source.unlink()

    compiled(1)
    write("model.py", encoder("import compiled_settings", "compiled_settings.SCALE"))
    before = fingerprint("model.py:build")
    compiled(3)
    assert fingerprint("model.py:build") != before
    assert scale_of("model.py:build") == 3


def test_equal_neighbours_of_two_factories_are_each_their_own(write):
    for folder, scale in (("one", 1), ("other", 3)):
        write(f"{folder}/model.py", encoder("import settings", "settings.SCALE"))
        write(f"{folder}/settings.py", f"SCALE = {scale}")
    assert [scale_of(f"{folder}/model.py:build") for folder in ("one", "other", "one")] == [1, 3, 1]
    assert fingerprint("one/model.py:build") != fingerprint("other/model.py:build")


@pytest.mark.parametrize("name", ["build_too", "Model", "partial", "Maker.static", "maker.method"])
def test_two_factories_of_one_file_are_two_models(write, name):
    write(
        "model.py",
        encoder("import functools", "1")
        + dedent(
            """
            partial = functools.partial(build)

            class Maker:
                @staticmethod
                def static():
                    return Model()

                def method(self):
                    return Model()

            maker = Maker()
            """
        ),
    )
    first, second = resolve("model.py:build").info, resolve(f"model.py:{name}").info
    assert first.fingerprint != second.fingerprint
    assert first.name != second.name
    assert second.name == f"model-{second.fingerprint[:8]}"


def test_place_environment_and_current_folder_do_not_count(write, monkeypatch, tmp_path):
    write("here/model.py", encoder("import settings", "settings.SCALE"))
    write("here/settings.py", "SCALE = 1")
    first = fingerprint("here/model.py:build")
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.setenv("SOME_VARIABLE", "1")
    monkeypatch.chdir(tmp_path / "there")
    assert fingerprint("model.py:build") == first


DECLARING = """
    import numpy as np
    from pathlib import Path

    class Model:
        {said}
        def encode(self, texts, *, role, languages):
            return np.array([[len(text), 1.0] for text in texts])

    def build():
        return Model()

    def build_too():
        return Model()
"""


@pytest.mark.parametrize(
    "said", ["fingerprint = Path('version').read_text()", "def fingerprint(self): return Path('version').read_text()"]
)
def test_an_object_may_say_what_it_is(write, said):
    write("version", "weights 1")
    write("model.py", dedent(DECLARING).replace("{said}", said))
    first, other = fingerprint("model.py:build"), fingerprint("model.py:build_too")
    assert first != other  # the factory's name counts
    write("model.py", dedent(DECLARING).replace("{said}", said) + "\n# a comment\n")
    assert fingerprint("model.py:build") == first
    write("version", "weights 2")
    assert fingerprint("model.py:build") != first


@pytest.mark.parametrize("said", ["fingerprint = 3", "fingerprint = ''", "def fingerprint(self, needed): return 'x'"])
def test_a_fingerprint_that_is_no_text_is_one_line(write, said):
    write("model.py", dedent(DECLARING).replace("{said}", said))
    with pytest.raises(InputError, match=r"model\.py:build: its fingerprint") as raised:
        resolve("model.py:build")
    assert "\n" not in str(raised.value)


def test_weights_that_code_loads_into_an_array_count_whatever_they_do_to_a_few_texts(write, tmp_path):
    write(
        "model.py",
        """
        import numpy as np

        class Model:
            def __init__(self):
                self.weights = np.load("weights.npy")
            def encode(self, texts, *, role, languages):
                return np.array([[len(text), self.weights[7] if "rare" in text else 1] for text in texts])
        """,
    )
    found = []
    for last in (1.0, 2.0, 1.0):
        np.save(tmp_path / "weights.npy", np.r_[np.zeros(7), last])
        found.append(fingerprint("model.py:Model"))
    assert found[0] == found[2] != found[1]


def add_to_a_weight(model):
    import torch

    with torch.no_grad():
        next(model.parameters())[5, 0] += 1e-3


CHANGES = {
    "a weight": add_to_a_weight,
    "the length": lambda model: setattr(model, "max_seq_length", 32),
    "the prompts": lambda model: setattr(model, "prompts", {"query": "query: ", "document": ""}),
    "the dimensions": lambda model: setattr(model, "truncate_dim", 64),
    "the tokenizer": lambda model: model.tokenizer.add_tokens(["unheardof"]),
}


def test_a_sentence_transformer_in_memory_is_its_weights_configuration_and_tokenizer(minilm):
    from sentence_transformers import SentenceTransformer

    from xlir_bench.encoders.in_memory import state_of

    def state(change):
        model = SentenceTransformer(str(minilm), device="cpu")
        change(model)
        return state_of(model)

    plain = state(lambda model: None)
    assert state(lambda model: model.encode(["use changes nothing"])) == plain
    found = [state(change) for change in CHANGES.values()]
    assert plain not in found
    assert len(set(found)) == len(CHANGES)
