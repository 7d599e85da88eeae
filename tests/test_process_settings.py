"""What code from elsewhere does to the process reaches neither our figures nor our messages."""

from __future__ import annotations

import logging
import logging.config
import os
import signal
import warnings

import numpy as np
import pytest
import torch

from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.encoders import Model, ModelInfo
from xlir_bench.errors import InputError
from xlir_bench.evaluation import evaluate
from xlir_bench.external_code import external_code
from xlir_bench.process_settings import own_settings
from xlir_bench.suites.schema import declare

LOG = logging.getLogger("xlir_bench.some_module")


def switch_off_log():
    LOG.disabled = True


CHANGES = {
    "folder": (lambda: os.chdir("/"), os.getcwd),
    "variable": (lambda: os.environ.update(XLIR_BENCH_OFFLINE="maybe"), lambda: os.environ.get("XLIR_BENCH_OFFLINE")),
    "numpy": (lambda: np.seterr(all="raise"), np.geterr),
    "type": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "device": (lambda: torch.set_default_device("meta"), lambda: str(torch.get_default_device())),
    "gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "threads": (lambda: torch.set_num_threads(3), torch.get_num_threads),
    "precision": (lambda: torch.set_float32_matmul_precision("medium"), torch.get_float32_matmul_precision),
    "logging": (lambda: logging.disable(logging.CRITICAL), lambda: LOG.isEnabledFor(logging.WARNING)),
    "one log": (switch_off_log, lambda: LOG.isEnabledFor(logging.WARNING)),
    "level": (lambda: logging.getLogger().setLevel("CRITICAL"), lambda: LOG.isEnabledFor(logging.WARNING)),
    "all logs": (
        lambda: logging.config.dictConfig({"version": 1, "disable_existing_loggers": True}),
        lambda: LOG.isEnabledFor(logging.WARNING),
    ),
    "warnings": (lambda: warnings.simplefilter("error"), lambda: warnings.filters[0][0] == "error"),
}
ENDINGS = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE") if hasattr(signal, name)]


@pytest.mark.parametrize("what", CHANGES)
def test_a_setting_is_the_codes_own(what):
    change, now = CHANGES[what]
    before = now()
    with external_code("encoder a failed", owner=f"a of {what}"):
        change()
        chosen = now()
    assert now() == before != chosen
    with external_code("encoder b failed", owner="b"):
        assert now() == before
    with external_code("tokenizer of a failed", owner=f"a of {what}"):
        assert now() == chosen
    assert now() == before


@pytest.mark.parametrize("name", ENDINGS)
def test_who_ends_the_command_is_not_for_such_code_to_say(name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with external_code("encoder a failed", owner="a"):
        signal.signal(number, signal.SIG_IGN if before is not signal.SIG_IGN else signal.SIG_DFL)
    assert signal.getsignal(number) is before
    with external_code("encoder a failed", owner="a"):
        assert signal.getsignal(number) is before


def test_a_block_in_a_block_keeps_what_the_code_chose():
    with own_settings("nested"):
        with own_settings("nested"):
            torch.set_default_dtype(torch.float64)
        assert torch.get_default_dtype() == torch.float32
    with own_settings("nested"):
        assert torch.get_default_dtype() == torch.float64


def test_code_that_fails_leaves_nothing_changed():
    def fails():
        torch.set_default_dtype(torch.float64)
        raise RuntimeError("boom")

    with pytest.raises(InputError, match="boom"), external_code("encoder a failed"):
        fails()
    assert torch.get_default_dtype() == torch.float32


SUITE = declare(
    {
        "name": "small", "version": 1, "title": "small", "description": "small", "licence": "none", "citation": "none",
        "languages": ["de", "en"], "source": {"reader": "lareqa"}, "settings": {"multilingual": ["AP"]},
    }
)  # fmt: skip


class Disturbing:
    """Vectors of a text's letters; it may disturb all settings first."""

    def __init__(self, changes=()):
        self.changes = list(changes)

    def encode(self, texts, *, role, languages):
        for change, _ in self.changes:
            change()
        letters = [[text.count(letter) for letter in "abcdefghij"] for text in texts]
        return np.array(letters, np.float32) / np.float32(3)


def test_a_model_that_disturbs_everything_gets_the_figures_of_one_that_does_not(caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"{code}{number}" for code in ("de", "en") for number in range(20)]
    texts = Texts(names, [f"{'abcdefghij'[n % 10] * n} {n}" for n in range(40)], ["de"] * 20 + ["en"] * 20)
    small = Collection(texts, texts, Judgements.of((n, (n + 20) % 40, 1.0) for n in range(40)), names)
    info = ModelInfo("letters", "letters", "1" * 64)
    expected = evaluate(Model(info, Disturbing()), SUITE, small)
    found = evaluate(Model(info, Disturbing(CHANGES.values())), SUITE, small)
    assert found.result.scores == expected.result.scores
    np.testing.assert_array_equal(found.ranks.outranked, expected.ranks.outranked)
    LOG.warning("is heard")
    assert "is heard" in caplog.text
