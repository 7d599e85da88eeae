"""Training a two-path encoder: the losses against plain loops, and the whole on invented languages."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import yaml
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from xlir_bench.encoders.two_path import TwoPath
from xlir_bench.training.export import save_encoder
from xlir_bench.training.student.__main__ import main
from xlir_bench.training.student.contextual import Contextual, Optimiser
from xlir_bench.training.student.distil import contrast
from xlir_bench.training.vocabulary import train_tokenizer

CONCEPTS = 40
TAGS = ("de", "en", "sw")


@cache
def word(concept: int, language: int) -> str:
    rng = np.random.default_rng([concept, language])
    return "".join(rng.choice(list("bdfgklmnprst")) + rng.choice(list("aeiou")) for _ in range(3))


def records(count: int) -> list[dict[str, str]]:
    rng = np.random.default_rng(0)
    rows = [rng.choice(CONCEPTS, size=10, replace=False) for _ in range(count)]
    return [{tag: " ".join(word(int(c), i) for c in row) for i, tag in enumerate(TAGS)} for row in rows]


def save_teacher(folder: Path) -> None:
    """An English encoder that knows the English words, with random weights."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted({word(c, 1) for c in range(CONCEPTS)})]
    ids = {name: row for row, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(ids),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=80,
        initializer_range=0.5,
    )
    raw = folder.with_name("raw")
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(raw)
    fast.save_pretrained(raw)
    read = Transformer(str(raw))
    SentenceTransformer(modules=[read, Pooling(read.get_embedding_dimension())], device="cpu").save(str(folder))


def save_static(folder: Path, texts: list[str], dictionary: bool = True) -> None:
    """Vectors in which all names of a concept are one, a perfect dictionary; or random ones."""
    tokenizer = train_tokenizer(texts, 2400)
    rng = np.random.default_rng(0)
    vectors = 0.01 * rng.standard_normal((tokenizer.get_vocab_size(), CONCEPTS)).astype(np.float32)
    for concept in range(CONCEPTS):
        for language in range(len(TAGS)):
            piece = tokenizer.token_to_id(word(concept, language))
            assert piece is not None, "every invented word is frequent enough to be one piece"
            if dictionary:
                vectors[piece, concept] = 1
    save_encoder(vectors, tokenizer, folder)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with data, a teacher and a static encoder."""
    (tmp_path / "data" / "train").mkdir(parents=True)
    rows = records(240)
    with gzip.open(tmp_path / "data" / "train" / "tico19.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    save_teacher(tmp_path / "teacher")
    save_static(tmp_path / "static", [text for row in rows for text in row.values()])
    return tmp_path


def trained(place: Path, output: str, **settings: object) -> int:
    recipe = place / f"{output}.yaml"
    recipe.write_text(yaml.safe_dump({"name": "small", **settings}), "utf-8")
    folders = [f"--{name}={place / name}" for name in ("data", "teacher", "static")]
    return main([str(recipe), *folders, f"--output={place / output}", f"--work={place / 'work'}"])


SHORT = {"distillation": {"steps": 12, "rows": 32}, "hybrid": {"steps": 4, "rows": 8}}


def found_in_english(place: Path, output: str) -> float:
    """Share of Swahili texts whose contextual vector is nearest to the teacher's vector of their own English text."""
    teacher = SentenceTransformer(str(place / "teacher"), device="cpu")
    model = SentenceTransformer(modules=[TwoPath.load(str(place / output))], device="cpu")
    rows = records(240)[:40]
    student = model.encode([row["sw"] for row in rows])[:, -16:]
    english = teacher.encode([row["en"] for row in rows], normalize_embeddings=True)
    return float(((student @ english.T).argmax(axis=1) == np.arange(40)).mean())


def test_distillation_brings_a_foreign_text_nearest_to_what_the_teacher_reads(place: Path) -> None:
    texts = [text for row in records(240) for text in row.values()]
    save_static(place / "static", texts, dictionary=False)
    none = {"steps": 0}
    assert trained(place, "short", distillation={"steps": 1, "rows": 32}, hybrid=none) == 0
    long = {"steps": 250, "rows": 64, "table_rate": 0.02, "body_rate": 0.002}
    assert trained(place, "long", distillation=long, hybrid=none) == 0
    assert found_in_english(place, "short") < 0.2
    assert found_in_english(place, "long") > 0.3, "chance is 0.025"


def test_a_piece_starts_as_the_english_word_that_it_stands_next_to(place: Path) -> None:
    frozen = {"steps": 1, "rows": 32, "table_rate": 1e-9, "body_rate": 1e-9}
    assert trained(place, "start", distillation=frozen, hybrid={"steps": 0}) == 0
    model = TwoPath.load(str(place / "start"))
    table = model.body.get_input_embeddings().weight.detach()
    for concept in range(CONCEPTS):
        english, foreign = (table[model.tokenizer.convert_tokens_to_ids(word(concept, i))] for i in (1, 2))
        assert torch.nn.functional.cosine_similarity(english, foreign, dim=0) > 0.9


def test_the_same_recipe_gives_the_same_bytes_and_shares_its_distillation(place: Path) -> None:
    assert trained(place, "first", **SHORT) == 0
    assert trained(place, "again", **SHORT) == 0
    kept = sorted(path.name for path in (place / "work").iterdir())
    (place / "work").rename(place / "away")
    assert trained(place, "anew", **SHORT) == 0
    weights = [(place / name / "model.safetensors").read_bytes() for name in ("first", "again", "anew")]
    assert weights[0] == weights[1] == weights[2]
    assert trained(place, "sibling", **{**SHORT, "hybrid": {"steps": 4, "rows": 8, "alpha": 1.0}}) == 0
    assert sorted(path.name for path in (place / "work").iterdir()) == kept
    assert (place / "sibling" / "model.safetensors").read_bytes() != weights[0]


def test_the_record_tells_the_recipe_and_the_held_out_scores(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trained(place, "told", **SHORT) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["recipe"]["hybrid"]["alpha"] == 0.5
    assert 0 <= record["held_out"]["crosslingual"] <= 1
    assert record == json.loads((place / "told" / "training.json").read_text())


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"hybrid": {"alpha": 2}}, "hybrid.alpha"), ({"distilation": {}}, "distilation"), ({"seed": "x"}, "seed")],
)
def test_a_wrong_recipe_names_the_field(
    place: Path, capsys: pytest.CaptureFixture[str], settings: dict[str, object], message: str
) -> None:
    assert trained(place, "wrong", **settings) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_a_missing_teacher_is_a_missing_resource(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "teacher" / "modules.json").unlink()
    assert trained(place, "none", **SHORT) == 3
    assert "teacher" in capsys.readouterr().err


def test_the_contrast_is_infonce_without_what_the_teacher_takes_for_the_same() -> None:
    rng = np.random.default_rng(0)
    own, others = rng.standard_normal((4, 6)), rng.standard_normal((9, 6))
    others[3] = own[1] + 0.01 * rng.standard_normal(6)
    student = rng.standard_normal((4, 6))
    own, others, student = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (own, others, student))
    total = 0.0
    for row in range(4):
        rivals = [v for i, v in enumerate([*own, *others]) if i != row and v @ own[row] <= 0.9]
        scores = [20 * student[row] @ own[row], *(20 * student[row] @ v for v in rivals)]
        total += np.log(np.sum(np.exp(scores))) - scores[0]
    found = contrast(*(torch.from_numpy(m) for m in (student, own, others)))
    assert float(found) == pytest.approx(total / 4, rel=1e-9)


def test_one_step_moves_used_rows_as_adam_would_and_leaves_the_others() -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    body = transformers.BertModel(config, add_pooling_layer=False)
    table = torch.randn(12, 8)
    path = Contextual(table.clone(), body)
    first, second = path.laid_out([np.array([1, 2], np.int32)]), path.laid_out([np.array([2, 3, 3], np.int32)])
    readings = [path.read(first), path.read(second)]
    loss = (readings[0].vectors @ readings[1].vectors.T).sum()
    Optimiser(path, table_rate=0.1, body_rate=1e-3).step(loss, readings, share=0.5)
    used = {1, 2, 3, 9, 10}  # pieces and the two special ones around each text
    moved = (path.table - table).abs().amax(dim=1)
    assert {row for row in range(12) if moved[row] > 0} == used
    # The first step of Adam is the rate in the direction of the gradient's sign.
    torch.testing.assert_close(moved[sorted(used)], torch.full((5,), 0.05), rtol=1e-2, atol=1e-3)
