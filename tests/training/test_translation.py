"""Machine translation through transformers, on small checkpoints that are made here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
import small_models
import torch
import toy_translator
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from toy_translator import WORDS

from xlir_bench.encoders import Options
from xlir_bench.errors import InputError
from xlir_bench.training import machine
from xlir_bench.training.machine import Translation
from xlir_bench.training.quality import Quality, fault, loops
from xlir_bench.training.store import Pair, as_tables, write_pairs
from xlir_bench.training.translation import BLOCK, Work

ENGLISH = WORDS["en"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """It has learned its dictionary."""
    return toy_translator.save(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Path:
    """Random weights, whose translations are of any length."""
    return toy_translator.save(tmp_path_factory.mktemp("random"), steps=0)


def greedy_by_hand(folder: Path, text: str, target: str, steps: int) -> list[int]:
    """The most probable token at each step, the first being the target's, by whole forward passes on one text alone."""
    model = transformers.M2M100ForConditionalGeneration.from_pretrained(folder).eval()
    tokenizer = transformers.M2M100Tokenizer.from_pretrained(folder, src_lang="en")
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    made = [tokenizer.eos_token_id, tokenizer.get_lang_id(target)]
    while made[-1] != tokenizer.eos_token_id and len(made) - 1 < steps:
        with torch.no_grad():
            logits = model(input_ids=ids, decoder_input_ids=torch.tensor([made])).logits[0, -1]
        made.append(int(logits.argmax()))
    return made


def test_every_word_becomes_that_of_the_language_that_was_asked_for(checkpoint):
    loaded = machine.load(str(checkpoint), "cpu")
    for target in ("sw", "de"):
        made = loaded.translate(ENGLISH, "en", target)
        assert made == [Translation(word, True) for word in WORDS[target]]


@pytest.mark.parametrize("text", ["river.", "night. water.", "child. road. house. bread. tower. city."])
def test_greedy_translation_is_the_most_probable_token_at_each_step(untrained, text):
    loaded = machine.load(str(untrained), "cpu", beams=1)
    [made] = loaded.translate([text], "en", "tr")
    tokenizer = transformers.M2M100Tokenizer.from_pretrained(untrained)
    expected = greedy_by_hand(untrained, text, "tr", steps=30)
    assert made.text == tokenizer.decode(expected[2:], skip_special_tokens=True).strip()
    assert made.finished == (expected[-1] == tokenizer.eos_token_id)


@pytest.mark.parametrize("beams", [1, 3])
def test_neither_batch_nor_padding_nor_order_matters(untrained, beams):
    pieces = [" ".join(ENGLISH[: 1 + row % 7]) for row in range(10)] + ENGLISH[:2]
    together = machine.load(str(untrained), "cpu", beams=beams).translate(pieces, "en", "sw")
    alone = machine.load(str(untrained), "cpu", Options(batch_tokens=1), beams)
    assert [alone.translate([piece], "en", "sw")[0] for piece in pieces] == together
    assert alone.translate(pieces[::-1], "en", "sw")[::-1] == together


def test_memory_that_runs_out_makes_smaller_batches_and_the_same_translations(checkpoint, monkeypatch):
    loaded = machine.load(str(checkpoint), "cpu", beams=1)
    expected = loaded.translate(ENGLISH, "en", "sw")
    sizes = []
    generate = loaded.model.generate

    def scarce(input_ids, **options):
        sizes.append(len(input_ids))
        if len(input_ids) > 3:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return generate(input_ids=input_ids, **options)

    monkeypatch.setattr(loaded.model, "generate", scarce)
    assert loaded.translate(ENGLISH, "en", "sw") == expected
    assert sizes[0] == 10
    sizes.clear()
    assert loaded.translate(ENGLISH, "en", "sw") == expected
    assert max(sizes) <= 3


def test_a_text_is_cut_into_sentences_and_a_long_sentence_into_halves(tmp_path):
    small_models.save_m2m100(tmp_path, ["the river meets the sea", "the old town by the bridge"] * 20)
    loaded = machine.load(str(tmp_path), "cpu")
    assert loaded.pieces("The river. Is it old? A town!", "en") == ["The river.", "Is it old?", "A town!"]
    assert loaded.pieces("一座城市。多少居民？", "zh") == ["一座城市。", "多少居民？"]
    room = loaded.model.config.max_position_embeddings - 2
    for long, joint in ((" ".join(["the river meets the sea"] * 50), " "), ("the" * 100, "")):
        pieces = loaded.pieces(long, "en")
        assert len(pieces) > 1
        assert joint.join(pieces) == long
        assert all(len(loaded.tokenizer(piece)["input_ids"]) <= room for piece in pieces)
        assert all(made.text is not None for made in loaded.translate(pieces, "en", "sw"))


def test_a_language_without_a_code_is_named(checkpoint):
    loaded = machine.load(str(checkpoint), "cpu")
    loaded.check(["en", "fil", "sw", "yo"])
    with pytest.raises(InputError, match=r"cannot translate Telugu \(te\)"):
        loaded.check(["en", "te"])


def test_pickled_weights_other_architectures_and_unknown_names_are_refused(checkpoint, tmp_path):
    for path in checkpoint.iterdir():
        if path.suffix in {".json", ".model"}:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    torch.save(load_file(checkpoint / "model.safetensors"), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled only.*--trust-remote-code"):
        machine.load(str(tmp_path), "cpu")
    trusted = machine.load(str(tmp_path), "cpu", Options(trust_remote_code=True))
    assert trusted.translate(ENGLISH, "en", "sw") == [Translation(word, True) for word in WORDS["sw"]]
    other = tmp_path / "bert"
    config = transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    transformers.BertModel(config).save_pretrained(other)
    with pytest.raises(InputError, match="bert is not M2M-100"):
        machine.load(str(other), "cpu")
    with pytest.raises(InputError, match="no translation model 'nothing'"):
        machine.load("nothing", "cpu")


def test_beams_weights_and_precision_make_another_fingerprint(checkpoint, untrained):
    asked = [(checkpoint, 1, None), (checkpoint, 2, None), (untrained, 1, None), (checkpoint, 1, "bfloat16")]
    found = [machine.load(str(place), "cpu", Options(precision=kind), beams) for place, beams, kind in asked]
    assert len({loaded.fingerprint for loaded in found}) == 4
    assert found[0].fingerprint == machine.load(str(checkpoint), "cpu", beams=1).fingerprint


def texts(count: int) -> list[str]:
    """Different texts of several sentences, enough for several blocks of different sentences."""
    return [f"river{number}. bridge. city." for number in range(count)]


class Counting:
    """A translator that upper-cases, counts, and can be cut off."""

    name, fingerprint = "toy@1", "f" * 64

    def __init__(self, most: int | None = None) -> None:
        self.done, self.most = 0, most

    def check(self, codes):
        pass

    def pieces(self, text, language):
        return [f"{piece}." for piece in text.split(".") if piece]

    def translate(self, pieces, source, target):
        if self.most is not None and self.done + len(pieces) > self.most:
            raise KeyboardInterrupt
        self.done += len(pieces)
        return [Translation(piece.strip().upper(), True) for piece in pieces]


def test_a_run_that_was_cut_off_does_only_what_is_left_and_ends_alike():
    whole = Work(Counting(), quality=None).kept(texts(700), "en", "sw")
    other = Counting(most=2 * BLOCK)
    other.fingerprint = "e" * 64
    with pytest.raises(KeyboardInterrupt):
        Work(other, quality=None).kept(texts(700), "en", "sw")
    resumed = Counting()
    resumed.fingerprint = "e" * 64
    assert Work(resumed, quality=None).kept(texts(700), "en", "sw") == whole
    assert resumed.done == 702 - 2 * BLOCK
    again = Counting()
    again.fingerprint = "e" * 64
    Work(again, quality=None).kept(texts(700), "en", "sw")
    assert again.done == 0


def test_a_damaged_block_is_made_again(monkeypatch, tmp_path):
    monkeypatch.setenv("XLIR_BENCH_CACHE", str(tmp_path))
    Work(Counting(), quality=None).kept(["a. b."], "en", "sw")
    [block] = tmp_path.rglob("*.json")
    for damage in ("[[", '[["A."]]', '"text"', "[1]"):
        block.write_text(damage)
        again = Counting()
        assert Work(again, quality=None).kept(["a. b."], "en", "sw") == {"a. b.": "A. B."}
        assert again.done == 2


@pytest.mark.slow
def test_a_run_killed_by_sigkill_resumes_to_the_same_bytes(checkpoint, tmp_path):
    pairs = [Pair(f"river {n} bridge", f"city {n} tower {n}", "en", "en", str(n), "toy") for n in range(1000)]
    store = tmp_path / "toy.parquet"
    write_pairs(store, as_tables(pairs))
    command = [sys.executable, "-c", "from xlir_bench.cli.main import main; main()", "pairs", "translate", str(store)]
    command += ["--to", "sw", "--model", str(checkpoint), "--beams", "1", "--no-filter", "--device", "cpu"]

    def arguments(name: str) -> dict:
        environment = {**os.environ, "XLIR_BENCH_CACHE": str(tmp_path / name), "OMP_NUM_THREADS": "1"}
        return {"args": [*command, "--output", str(tmp_path / f"{name}.parquet")], "env": environment}

    subprocess.run(**arguments("whole"), check=True, capture_output=True)
    process = subprocess.Popen(**arguments("cut"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    blocks = tmp_path / "cut" / "translations"
    deadline = time.monotonic() + 300
    while len(list(blocks.rglob("[!.]*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in blocks.rglob("[!.]*.json")}
    assert 2 <= len(finished) < 8
    assert not (tmp_path / "cut.parquet").exists()
    subprocess.run(**arguments("cut"), check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert (tmp_path / "cut.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_what_is_refused_is_left_out_counted_and_written_down(checkpoint, tmp_path):
    work = Work(machine.load(str(checkpoint), "cpu"))
    # None of these words is in its dictionary, and it has learned to say one word.
    unknown = "zebra zebra zebra zebra zebra zebra zebra zebra."
    kept = work.kept(["river. bridge.", "night.", unknown, "night."], "en", "sw")
    assert kept == {"river. bridge.": "mto. daraja.", "night.": "usiku."}
    assert work.report.rows() == [{"language": "sw", "texts": 3, "kept": 2, "refused": {"length": 1}}]
    work.report.write_refusals(tmp_path / "refused.jsonl")
    [line] = (tmp_path / "refused.jsonl").read_text("utf-8").splitlines()
    refusal = json.loads(line)
    assert (refusal["text"], refusal["fault"], refusal["source"], refusal["target"]) == (unknown, "length", "en", "sw")


LENGTHY = "The bridge across the river was built by the people of the old town in the last year of the war."


@pytest.mark.parametrize(
    ("text", "translation", "target", "expected"),
    [
        (LENGTHY, "Daraja la mto lilijengwa na watu wa mji wa zamani katika mwaka wa mwisho wa vita.", "sw", None),
        (LENGTHY, "这座横跨河流的桥是由老城的居民在战争的最后一年建造的。", "zh", None),
        (LENGTHY, "Мост через реку был построен жителями старого города в последний год войны.", "ru", None),
        (LENGTHY, " ", "sw", "empty"),
        (LENGTHY, LENGTHY.upper(), "sw", "copy"),
        (LENGTHY, LENGTHY.replace("river", "mto"), "sw", "copy"),
        (LENGTHY, "The bridge across the river was built by people.", "ru", "copy"),
        (LENGTHY, "Daraja la mto lilijengwa na watu wa mji.", "ru", "script"),
        (LENGTHY, "Мост через реку был построен жителями старого города.", "sw", "script"),
        (LENGTHY, "Daraja.", "sw", "length"),
        (LENGTHY, "桥" * 1 + "这座横跨河流的桥是由老城的居民在战争的最后一年建造的" * 4, "zh", "loop"),
        ("The bridge.", "Daraja la mto lilijengwa na watu wa mji wa zamani katika mwaka wa vita.", "sw", "length"),
        (LENGTHY, "Daraja la mto la mto la mto la mto lilijengwa na watu wa mji wa zamani.", "sw", "loop"),
        ("1842", "1842", "sw", None),
        ("3 + 4", "3 + 4", "zh", None),
        ("Ankara", "Ankara", "sw", "copy"),
    ],
)
def test_a_translation_is_judged_by_its_length_its_script_and_its_loops(text, translation, target, expected):
    assert fault(text, translation, "en", target, Quality()) == expected


@given(st.text(max_size=40), st.text(min_size=2, max_size=30).filter(lambda piece: any(c.isalpha() for c in piece)))
@settings(max_examples=200, deadline=None)
def test_a_piece_four_times_in_a_row_is_a_loop_wherever_it_stands(before, piece):
    assert loops(before + piece * 4)


def test_a_loop_of_the_text_itself_is_no_fault():
    chorus = "la la la la la la la la"
    assert fault(chorus, "lo lo lo lo lo lo lo lo", "en", "es", Quality()) is None
    assert not loops("-------- 1000000000000")


@pytest.mark.parametrize(("name", "most"), [("flores_devtest", 0.002), ("tatoeba_test_noLASER", 0.003)])
def test_what_people_translated_is_nearly_always_kept(shared_data, name, most):
    from xlir_bench.training.parallel import read_aligned

    refused = total = 0
    records = islice(read_aligned(shared_data / "train" / f"{name}.jsonl.gz"), 0, 20_000, 10)
    for record in (record for record in records if "en" in record.texts):
        for code, text in record.texts.items():
            if code != "en":
                total += 1
                refused += fault(record.texts["en"], text, "en", code, Quality()) is not None
    assert total > 500
    assert refused <= most * total
