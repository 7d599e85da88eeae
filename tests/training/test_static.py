"""The static encoder: its vocabulary, its start, its loss, and one whole training on invented languages."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from xlir_bench.errors import MissingResourceError
from xlir_bench.training.corpus import Corpus, load_corpus, make_candidates
from xlir_bench.training.export import encoder_of, quantised, save_encoder
from xlir_bench.training.heldout import full_ranking, ranks_of, score
from xlir_bench.training.parallel import AlignedRecord, QuestionRecord
from xlir_bench.training.start import inverse_document_frequency, latent_directions, record_matrix
from xlir_bench.training.static import Plan, contrastive_gradient, main, train
from xlir_bench.training.vocabulary import balanced_sample, encode_ragged, folding, train_tokenizer

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


@cache
def word(concept: int, language: int) -> str:
    """An invented word: every concept has another name in every language."""
    rng = np.random.default_rng([concept, language])
    return "".join(rng.choice(list(CONSONANTS)) + rng.choice(list(VOWELS)) for _ in range(3))


def invented(records: int) -> list[AlignedRecord]:
    """Records of eight concepts in three languages that share no word."""
    rng = np.random.default_rng(0)
    rows = [rng.choice(60, size=8, replace=False) for _ in range(records)]
    tags = ("de", "en", "sw")
    return [
        AlignedRecord(
            "tico19",
            {tag: " ".join(word(int(concept), i) for concept in row) for i, tag in enumerate(tags)},
        )
        for row in rows
    ]


def asked(count: int) -> list[QuestionRecord]:
    rng = np.random.default_rng(1)
    questions = []
    for _ in range(count):
        concepts = rng.choice(60, size=18, replace=False)
        sentences = [" ".join(word(int(c), 1) for c in concepts[i : i + 6]) for i in (0, 6, 12)]
        questions.append(QuestionRecord("tquad", "en", sentences[1][:20], tuple(sentences), 1))
    return questions


TINY = Plan(steps=60, rows=64, dimensions=48, latent=16, pieces=2400, sample=200_000, seed=3)


def similarity_of_translations(vectors: np.ndarray, tokenizer: object, records: list[AlignedRecord]) -> float:
    """Mean cosine of translations, less that of texts that are none."""

    def unit(tag: str) -> np.ndarray:
        ids, offsets = encode_ragged(tokenizer, [record.texts[tag] for record in records])
        sums = np.add.reduceat(vectors[ids], offsets[:-1], axis=0)
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    cosine = unit("de") @ unit("sw").T
    return float(np.diag(cosine).mean() - cosine[~np.eye(len(cosine), dtype=bool)].mean())


def corpus_of(records: list[AlignedRecord], questions: list[QuestionRecord]) -> Corpus:
    return Corpus(records, questions, [], [])


def test_training_brings_translations_it_has_not_seen_closer() -> None:
    records = invented(400)
    corpus = corpus_of(records[:300], asked(40))
    untrained, tokenizer = train(corpus, Plan(**{**asdict_of(TINY), "steps": 0, "shared": 0.0}))
    trained, _ = train(corpus, TINY)
    before = similarity_of_translations(untrained, tokenizer, records[300:])
    after = similarity_of_translations(trained, tokenizer, records[300:])
    assert before < 0.1
    assert after > 0.5


def asdict_of(plan: Plan) -> dict[str, float]:
    return {name: getattr(plan, name) for name in plan.__dataclass_fields__}


def test_the_same_seed_gives_the_same_vectors() -> None:
    corpus = corpus_of(invented(100), asked(20))
    plan = Plan(**{**asdict_of(TINY), "steps": 8})
    first, again = train(corpus, plan)[0], train(corpus, plan)[0]
    assert np.array_equal(first, again)


def test_the_written_out_gradient_is_that_of_symmetric_cross_entropy() -> None:
    torch.manual_seed(0)
    sums = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)
    unit = torch.nn.functional.normalize(sums, dim=1)
    scores = 7.0 * unit[:6] @ unit[6:].T
    target = torch.arange(6)
    entropy = torch.nn.functional.cross_entropy
    expected = (entropy(scores, target) + entropy(scores.T, target)) / 2
    expected.backward()
    loss, gradient = contrastive_gradient(sums.detach(), 7.0)
    assert loss == pytest.approx(expected.item(), abs=1e-9)
    torch.testing.assert_close(gradient, sums.grad)


def test_latent_directions_bring_words_of_the_same_records_together() -> None:
    candidates = make_candidates(invented(300), [])
    vocabulary = {name: i for i, name in enumerate(sorted({w for t in candidates.texts for w in t.split()}))}
    rows = [[vocabulary[w] for w in text.split()] for text in candidates.texts]
    ids = np.array([piece for row in rows for piece in row], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, rows)])
    idf = inverse_document_frequency(ids, offsets, len(vocabulary))
    directions = latent_directions(record_matrix(ids, offsets, candidates.records, idf), 50, seed=0)
    german = [vocabulary[word(concept, 0)] for concept in range(60)]
    swahili = [vocabulary[word(concept, 2)] for concept in range(60)]
    nearest = (directions[german] @ directions[swahili].T).argmax(axis=1)
    assert (nearest == np.arange(60)).mean() > 0.9


def test_weighing_records_leaves_the_texts_as_they_are() -> None:
    ids, offsets = np.array([3, 1, 3, 0, 0, 2], dtype=np.int32), np.array([0, 3, 6])
    before = ids.copy()
    matrix = record_matrix(ids, offsets, np.array([0, 0]), np.ones(4, dtype=np.float32))
    assert np.array_equal(ids, before)
    assert matrix.shape == (1, 4)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Ποιός;", "ποιος "),
        ("مُحَمَّد", "محمد"),
        ("١٩٤٥ and १९४५", "1945 and 1945"),
        ("Tiếng Việt", "tiếng việt"),
        ("สวัสดี", "สวัสดี"),
        ("한국어", "한국어"),
        ("a\x00b", "a b"),
    ],
)
def test_folding_joins_what_reads_the_same_and_keeps_marks_that_tell_words_apart(text: str, folded: str) -> None:
    assert folding().normalize_str(text) == folded


def test_frequent_words_and_all_years_are_single_pieces() -> None:
    texts = ["when the company started, the company was small"] * 50 + ["公司成立于北京"] * 20
    tokenizer = train_tokenizer(texts, 2400)
    assert tokenizer.encode("When, the company!").tokens == ["when", "the", "company"]
    assert tokenizer.encode("1789年").tokens[0] == "1789"
    assert tokenizer.get_vocab_size() <= 2400


def test_a_small_language_gets_more_than_its_share_of_the_sample() -> None:
    texts = {"en": [f"{i:010}" for i in range(10_000)], "yo": [f"y{i:09}" for i in range(100)]}
    sample = balanced_sample(texts, 5000, temper=0.5, seed=0)
    assert sum(text.startswith("y") for text in sample) == pytest.approx(5000 / 11 / 10, abs=2)
    assert sample == balanced_sample(texts, 5000, temper=0.5, seed=0)


def test_eight_bits_keep_every_vector_within_one_percent() -> None:
    vectors = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float32)
    vectors[7] = 0
    integers, scales = quantised(vectors)
    assert np.linalg.norm(integers * scales[:, None] - vectors) < 0.01 * np.linalg.norm(vectors)


def test_a_saved_folder_loads_without_this_package_and_keeps_foreign_files(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["one two three"] * 9, 2200)
    vectors = np.random.default_rng(0).standard_normal((tokenizer.get_vocab_size(), 8)).astype(np.float32)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "README.md").write_text("a card")
    save_encoder(vectors, tokenizer, tmp_path / "encoder")
    names = {path.name for path in (tmp_path / "encoder").iterdir()}
    assert {"modules.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert (tmp_path / "encoder" / "README.md").read_text() == "a card"
    encoded = SentenceTransformer(str(tmp_path / "encoder"), device="cpu").encode(["one two"])
    pieces = tokenizer.encode("one two").ids
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded[0], vectors[pieces].mean(axis=0), atol=0.05)
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"], "nothing temporary is left"


def test_the_command_trains_scores_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train").mkdir()
    with gzip.open(tmp_path / "train" / "tico19.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(record.texts) + "\n" for record in invented(200))
    with gzip.open(tmp_path / "train" / "unknown.jsonl.gz", "wt") as out:
        out.write("not read\n")
    (tmp_path / "qa").mkdir()
    with gzip.open(tmp_path / "qa" / "tquad.jsonl.gz", "wt") as out:
        line = {"language": "tr", "question": "who", "passage": "it was me.", "answer": "me", "answer_start": 7}
        out.write(json.dumps(line) + "\n")
    options = ["--steps", "5", "--rows", "16", "--pieces", "2300", "--dimensions", "16"]
    assert main(["--data", str(tmp_path), "--output", str(tmp_path / "out"), *options]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["plan"]["steps"] == 5
    assert 0 <= record["held_out"]["crosslingual"] <= 1
    assert encoder_of(tmp_path / "out")(["x"]).shape == (1, 16)


def test_a_folder_without_any_source_is_said_to_be_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MissingResourceError, match="neither train/ nor qa/"):
        load_corpus(tmp_path)
    assert main(["--data", str(tmp_path), "--output", str(tmp_path / "out")]) == 3
    assert "neither" in capsys.readouterr().err


def test_no_text_is_both_trained_on_and_held_out(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for name in ("flores_devtest", "tatoeba_test_noLASER"):
        with gzip.open(tmp_path / "train" / f"{name}.jsonl.gz", "wt") as out:
            for i, record in enumerate(invented(200)):
                out.write(json.dumps({**record.texts, "fr": f"{name} {i}"}) + "\n")
    corpus = load_corpus(tmp_path)
    trained = {text for record in corpus.aligned for text in record.texts.values()}
    apart = {text for record in corpus.held_out_aligned for text in record.texts.values()}
    assert apart
    assert not trained & apart


def test_ranks_count_the_documents_before_the_relevant_one() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.3]], dtype=np.float32)
    assert ranks_of(scores, np.array([2, 1])).tolist() == [2, 1]


def test_average_precision_and_rank_distance_of_a_full_ranking() -> None:
    scores = np.array([[4.0, 3.0, 2.0, 1.0]], dtype=np.float32)
    relevant = np.array([[True, False, True, False]])
    assert full_ranking(scores, relevant) == (pytest.approx((1 + 2 / 3) / 2), 2.0)


def test_an_encoder_that_ignores_language_scores_one_on_held_out_records() -> None:
    concept_of = {word(concept, language): concept for concept in range(60) for language in range(3)}

    def encode(texts: list[str]) -> np.ndarray:
        bags = np.zeros((len(texts), 60), dtype=np.float32)
        for row, text in enumerate(texts):
            for token in text.split():
                if token in concept_of:
                    bags[row, concept_of[token]] += 1
        return bags / np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1e-9)

    scores = score(encode, invented(30), [])
    assert scores.monolingual > 0.9
    assert scores.crosslingual > 0.9
    assert np.isnan(scores.questions)
