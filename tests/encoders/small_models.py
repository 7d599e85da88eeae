"""Small checkpoints with random weights, saved by the libraries that read the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = [f"w{row}" for row in range(40)] + ["query:", "passage:"]
TEXTS = ["w1", "w2 w3 w4 w5 w6", "w7 " * 30, "w8 w9", *(f"w{row} " * (row % 11 + 1) for row in range(40))]


def spread(model):
    """Weights so large that vectors differ: the usual start is so small that every vector is nearly the same."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def save_tokenizer(folder, special, limit):
    """Word-level, with a token before and after each text, as BERT and XLM-R have them."""
    begin, pad, end, unknown = special
    ids = {word: row for row, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, ids[begin]), (end, ids[end])]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=unknown,
        pad_token=pad,
        cls_token=begin,
        sep_token=end,
        model_max_length=limit,
    )
    fast.save_pretrained(folder)
    return len(ids)


def save_m2m100(folder: Path, sentences) -> Path:
    """M2M-100, encoder and decoder, with a SentencePiece model trained on `sentences`."""
    import sentencepiece

    prefix = str(folder / "sentencepiece.bpe")
    (folder / "train.txt").write_text("\n".join(sentences), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "train.txt"),
        model_prefix=prefix,
        vocab_size=300,
        model_type="bpe",
        minloglevel=2,
        hard_vocab_limit=False,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    words = [pieces.id_to_piece(row) for row in range(pieces.get_piece_size())]
    vocabulary = {word: row for row, word in enumerate([*special, *(w for w in words if w not in special)])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    tokenizer = transformers.M2M100Tokenizer(str(folder / "vocab.json"), f"{prefix}.model")
    tokenizer.save_pretrained(folder)
    config = transformers.M2M100Config(
        vocab_size=len(vocabulary) + len(tokenizer.lang_code_to_id) + 8,
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
    )
    spread(transformers.M2M100ForConditionalGeneration(config)).save_pretrained(folder)
    return folder


def save_xlm(folder: Path, language_embeddings: bool = True, others: Mapping[str, str] = MappingProxyType({})) -> Path:
    """XLM with a vocabulary of characters and three languages, and `others`: further codes and their characters."""
    letters = "".join(dict.fromkeys("abcdefghijklmnopqrstuvwxyz" + "".join(others.values())))
    words = ["<s>", "</s>", "<pad>", "<unk>", *letters, *(f"{letter}</w>" for letter in letters), "th", "the</w>"]
    (folder / "vocab.json").write_text(json.dumps({word: row for row, word in enumerate(words)}))
    (folder / "merges.txt").write_text("t h 10\nth e</w> 9\n")
    languages = {code: row for row, code in enumerate(["de", "en", "tr", *others])}
    tokenizer = transformers.XLMTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        lang2id=languages,
        id2lang={number: code for code, number in languages.items()},
    )
    tokenizer.save_pretrained(folder)
    config = transformers.XLMConfig(
        vocab_size=len(tokenizer),
        emb_dim=16,
        n_layers=2,
        n_heads=2,
        max_position_embeddings=40,
        n_langs=len(languages),
        use_lang_emb=language_embeddings,
        lang2id=languages,
        id2lang={number: code for code, number in languages.items()},
    )
    spread(transformers.XLMModel(config)).save_pretrained(folder)
    return folder
