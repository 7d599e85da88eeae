"""Checkpoints whose code lies in another repository of the hub, with a hub's cache and a hub of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import hub_server
import numpy as np
import pytest
import transformers
from kinds_of_models import SHAPE, SPECIAL, save_dense
from small_models import save_tokenizer, spread

REPOSITORY = "other/code"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIGURATION = """
from transformers import BertConfig
class OwnConfig(BertConfig):
    model_type = "own_architecture"
"""
MODELING = """
from transformers import BertModel
from .configuration_own import OwnConfig
class OwnModel(BertModel):
    config_class = OwnConfig
"""
SCRIPT = """
import json, sys
from xlir_bench.encoders import Options, resolve
from xlir_bench.errors import XlirError
if sys.argv[3] == "offline":
    from xlir_bench.offline import forbid_network
    forbid_network()
try:
    model = resolve(sys.argv[1], "cpu", Options(pooling="mean" if "bare" in sys.argv[1] else None,
                    trust_remote_code=sys.argv[2] == "trusted"))
    vectors = model.retriever.encode(["w1 w2", "w3"], role="query", languages=["en", "en"])
    print(json.dumps({"vectors": vectors.tolist(), "fingerprint": model.info.fingerprint,
                      "code": model.info.details["code"]}))
except XlirError as error:
    print(json.dumps({"error": str(error), "exit": error.exit_code}))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same weights as BERT's, as BERT with code elsewhere, and the latter with a pooling."""
    root = tmp_path_factory.mktemp("models")
    for name in ("bert", "bare"):
        (root / name).mkdir()
    size = save_tokenizer(root / "bert", SPECIAL, 24)
    save_tokenizer(root / "bare", SPECIAL, 24)
    config = transformers.BertConfig(vocab_size=size, max_position_embeddings=24, pad_token_id=1, **SHAPE)
    model = spread(transformers.BertModel(config))
    for name in ("bert", "bare"):
        model.save_pretrained(root / name)
    save_dense(root / "pooled", root / "bert")
    for name in ("bare", "pooled"):
        path = root / name / "config.json"
        about = json.loads(path.read_text())
        about |= {"model_type": "own_architecture", "architectures": ["OwnModel"]}
        about["auto_map"] = {
            "AutoConfig": f"{REPOSITORY}--configuration_own.OwnConfig",
            "AutoModel": f"{REPOSITORY}--modeling_own.OwnModel",
        }
        path.write_text(json.dumps(about))
    return root


def files(modeling=MODELING):
    return {"configuration_own.py": CONFIGURATION.encode(), "modeling_own.py": modeling.encode()}


def cached(home, content):
    """The hub's cache with one repository, laid out by hand."""
    repository = home / "hub" / f"models--{REPOSITORY.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    for name, data in content.items():
        (repository / "snapshots" / COMMIT / name).write_bytes(data)


def resolved(folder, home, trust="trusted", network="offline", endpoint="http://127.0.0.1:9"):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    environment |= {"HF_HOME": str(home), "HF_ENDPOINT": endpoint, "XLIR_BENCH_CACHE": str(home / "ours")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), trust, network],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip(), done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture
def hub():
    with hub_server.running() as server:
        server.push(REPOSITORY, files(), commit=COMMIT)
        yield server


def by_bert(folders):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    body = Transformer(str(folders / "bert"))
    return SentenceTransformer(modules=[body, Pooling(16)], device="cpu").encode(["w1 w2", "w3"])


@pytest.mark.parametrize("name", ["bare", "pooled"])
def test_the_code_is_fetched_from_the_hub_and_recorded(folders, hub, name, tmp_path):
    found = resolved(folders / name, tmp_path, network="online", endpoint=hub.url)
    assert "error" not in found
    np.testing.assert_allclose(found["vectors"], by_bert(folders), atol=1e-5)
    assert found["code"][REPOSITORY].startswith(COMMIT)
    before = len(hub.asked)
    assert before
    again = resolved(folders / name, tmp_path)
    assert again["fingerprint"] == found["fingerprint"]
    assert len(hub.asked) == before


def test_the_code_in_the_hub_s_cache_is_enough_offline_and_decides_the_fingerprint(folders, tmp_path):
    found = []
    for home, modeling in (("one", MODELING), ("two", MODELING + "\nVERSION = 2\n")):
        cached(tmp_path / home, files(modeling))
        found.append(resolved(folders / "pooled", tmp_path / home))
    np.testing.assert_allclose(found[0]["vectors"], by_bert(folders), atol=1e-5)
    assert found[0]["fingerprint"] != found[1]["fingerprint"]


@pytest.mark.parametrize("content", [{}, {"configuration_own.py": CONFIGURATION.encode()}], ids=["none", "part"])
def test_without_the_code_and_offline_there_is_one_line(folders, tmp_path, content):
    if content:
        cached(tmp_path, content)
    found = resolved(folders / "pooled", tmp_path)
    assert found["exit"] == 3
    assert f"needs code of {REPOSITORY}" in found["error"]
    assert "\n" not in found["error"]


def test_a_hub_that_cannot_be_reached_is_one_line(folders, tmp_path):
    found = resolved(folders / "pooled", tmp_path, network="online")
    assert found["exit"] == 3
    assert f"needs code of {REPOSITORY}" in found["error"]


def test_code_that_is_not_trusted_is_not_run(folders, tmp_path):
    cached(tmp_path, files("raise SystemExit('this ran')"))
    for name in ("bare", "pooled"):
        found = resolved(folders / name, tmp_path, trust="untrusted")
        assert found["exit"] == 2
        assert f"needs code of {REPOSITORY}, which is not run" in found["error"]
