"""One step through sentence-transformers' trainer and our batches equals the same step written out in PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from pair_stores import table
from small_models import save_tokenizer, spread

pytest.importorskip("accelerate")
from xlir_bench.progress import SILENT
from xlir_bench.training.job import Job
from xlir_bench.training.recipe import Recipe
from xlir_bench.training.store import Pair
from xlir_bench.training.strategies import RowBatches, Rows
from xlir_bench.training.transformer_run import fit

LR, DECAY, SCALE, LONGEST_GRADIENT = 1e-2, 0.1, 20.0, 1.0


def words(numbers: Any) -> str:
    return " ".join(f"w{int(number)}" for number in numbers)


def pairs() -> list[Pair]:
    rng = np.random.default_rng(0)
    return [
        Pair(
            words(rng.integers(0, 40, 4)), words(rng.integers(0, 40, 7)), "en", code, str(at), "a",
            (words(rng.integers(0, 40, 5)),),
        )
        for at in range(60)
        for code in ("en" if at % 2 else "de",)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    size = save_tokenizer(folder, ["[CLS]", "[PAD]", "[SEP]", "[UNK]"], 32)
    config = transformers.BertConfig(
        vocab_size=size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=1,
    )  # fmt: skip
    spread(transformers.BertModel(config, add_pooling_layer=False)).save_pretrained(folder)
    return folder


def pooled(model: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    states = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1).float()
    mean = (states * mask).sum(1) / mask.sum(1)
    return mean / mean.norm(dim=1, keepdim=True)


Tensors = dict[str, torch.Tensor]


def written_out(start: Path, rows: list[Pair], recipe: Recipe) -> tuple[float, Tensors, Tensors]:
    """Loss, gradient, and weights after one step of AdamW (arXiv 1711.05101) with a clipped gradient, on one batch."""
    model = transformers.AutoModel.from_pretrained(start, add_pooling_layer=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(start)
    queries = pooled(model, tokenizer, ["query: " + pair.query for pair in rows])
    documents = pooled(model, tokenizer, ["passage: " + pair.document for pair in rows])
    pool = documents
    if recipe.negatives:
        pool = torch.cat([documents, pooled(model, tokenizer, ["passage: " + pair.negatives[0] for pair in rows])])
    scores = SCALE * queries @ pool.T
    diagonal = torch.arange(len(rows))
    loss = (torch.logsumexp(scores, dim=1) - scores[diagonal, diagonal]).mean()
    if recipe.loss.symmetric:
        backwards = SCALE * documents @ queries.T
        loss = (loss + (torch.logsumexp(backwards, dim=1) - backwards[diagonal, diagonal]).mean()) / 2
    loss.backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients.values()))
    factor = min(1.0, LONGEST_GRADIENT / (norm.item() + 1e-6))
    after = {}
    for name, weight in model.named_parameters():
        gradient = gradients[name] * factor
        decayed = weight.detach()
        if not (name.endswith("bias") or "LayerNorm" in name):
            decayed = decayed * (1 - LR * DECAY)
        # After one step both moments, freed from their bias, are the gradient and its square.
        after[name] = decayed - LR * gradient / (gradient.abs() + 1e-8)
    return loss.item(), gradients, after


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"negatives": 1},
        {"loss": {"scale": SCALE, "symmetric": True}},
        {"loss": {"name": "cached-mnrl", "scale": SCALE, "mini_batch": 3}},
        {"strategy": "X-Y"},
    ],
    ids=["plain", "hard negatives", "symmetric", "cached", "cross-lingual"],
)
def test_loss_gradient_and_weights_of_one_step(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    fields = {
        "start": {"folder": str(start)}, "data": ["-"], "strategy": "X-X", "steps": 1, "batch": 8, "lr": LR,
        "weight_decay": DECAY, "schedule": "constant", "warmup": 0.0,
        "prefixes": {"query": "query: ", "document": "passage: "},
    }  # fmt: skip
    recipe = Recipe.model_validate({**fields, **change})
    rows = pairs()
    store = table(rows)
    batches = RowBatches(Rows.of_table(store, recipe.negatives), recipe.row_plan(), recipe.seed)
    job = Job(recipe, store, "", batches, 1, None, tmp_path, SILENT)
    gradients: list[torch.Tensor] = []
    clip = torch.nn.utils.clip_grad_norm_

    def noted(parameters: Any, *given: Any, **named: Any) -> torch.Tensor:
        every = list(parameters)
        gradients.extend(one.grad.clone() for one in every if one.grad is not None)
        return clip(every, *given, **named)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", noted)
    diary = fit(job)

    chosen = [rows[row] for row in batches.batch(0).rows]
    assert len(chosen) == 8
    loss, expected_gradients, after = written_out(start, chosen, recipe)
    assert diary.losses == [{"step": 1, batches.kind(0): pytest.approx(loss, rel=1e-5)}]
    for found, expected in zip(gradients, expected_gradients.values(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-3)
    length = torch.sqrt(sum((gradient**2).sum() for gradient in expected_gradients.values())).item()
    trained = transformers.AutoModel.from_pretrained(job.model, add_pooling_layer=False).state_dict()
    compared = 0
    for name, expected in after.items():
        # A gradient that is 0 but for rounding (attention does not see its keys' bias) has no certain direction; words
        # that are not in the batch have none at all, and only decay.
        gradient = expected_gradients[name]
        sure = (gradient.abs() > 1e-5 * length) | ((gradient == 0) & ("word_embeddings" in name))
        torch.testing.assert_close(trained[name][sure], expected[sure], atol=2e-5, rtol=1e-4)
        compared += int(sure.sum())
    assert compared > 0.8 * sum(weight.numel() for weight in after.values())
