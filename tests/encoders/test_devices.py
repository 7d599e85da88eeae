"""Accelerators that this machine need not have: device, precision and budget, and that no tensor is left behind."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from xlir_bench.encoders.batching import Pace, budget_for
from xlir_bench.encoders.checkpoint import best_precision, pick_device
from xlir_bench.encoders.transformer import TransformerEncoder


class NoTokenizer:
    pad_token_id = 1


class Masked(torch.nn.Module):
    """As much of a transformer as touches all that it is given. Those of the library look into the mask's contents."""

    config = SimpleNamespace(hidden_size=16)

    def __init__(self):
        super().__init__()
        self.words, self.dense = torch.nn.Embedding(50, 16), torch.nn.Linear(16, 16)

    @property
    def device(self):
        return self.words.weight.device

    def forward(self, input_ids, attention_mask):
        states = self.dense(self.words(input_ids)) * attention_mask.unsqueeze(-1)
        return SimpleNamespace(last_hidden_state=states, pooler_output=states[:, 0])


@pytest.fixture
def machine(monkeypatch):
    def machine(cuda, mps, native_bfloat16=True):
        def supported(including_emulation=True):
            return native_bfloat16 or including_emulation

        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return machine


@pytest.mark.parametrize(("cuda", "mps", "device"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_the_best_device_there_is(machine, cuda, mps, device):
    machine(cuda, mps)
    assert pick_device(None) == device


def test_the_precision_that_a_device_gains_by(machine):
    machine(True, False)
    assert [best_precision(d) for d in ("cuda", "cuda:1", "mps", "cpu")] == ["bfloat16"] * 2 + ["float16", "float32"]


def test_bfloat16_that_is_only_emulated_gains_nothing(machine):
    machine(True, False, native_bfloat16=False)
    assert best_precision("cuda:0") == "float16"


@pytest.mark.parametrize(("free_gb", "budget"), [(0.5, 8192), (8, 40_000), (80, 131_072)])
def test_the_budget_of_a_gpu_follows_its_free_memory(monkeypatch, free_gb, budget):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(free_gb * 1e9), int(100e9)))
    assert budget_for("cuda:0") == budget


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16", "float32"])
def test_a_forward_pass_stays_on_its_device_until_its_float32_vectors_leave_it(monkeypatch, precision, pooling):
    """Torch's device without contents stands for any other: it refuses tensors of two devices as a real one does."""
    left = []

    def cpu(tensor):
        left.append((tensor.device.type, tensor.dtype))
        return torch.zeros(tensor.shape)

    model = Masked().to("meta", getattr(torch, precision))
    encoder = TransformerEncoder(model, NoTokenizer(), pooling, 24, {"query": "", "document": ""}, Pace("meta", 64))
    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    assert encoder.forward([[2, 7, 8, 3], [2, 3]], ["en", "en"]).shape == (2, 16)
    assert left == [("meta", torch.float32)]


def test_the_device_without_contents_refuses_tensors_of_two_devices():
    with pytest.raises(RuntimeError, match="device"):
        torch.nn.Linear(2, 2, device="meta")(torch.ones(2))
