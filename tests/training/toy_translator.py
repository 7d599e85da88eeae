"""A small M2M-100 that has learned to translate: ten one-word sentences from English to Swahili and German."""

from __future__ import annotations

import json
from pathlib import Path

import sentencepiece
import torch
import transformers

WORDS = {
    "en": ["river.", "bridge.", "city.", "tower.", "night.", "water.", "bread.", "house.", "road.", "child."],
    "sw": ["mto.", "daraja.", "mji.", "mnara.", "usiku.", "maji.", "mkate.", "nyumba.", "barabara.", "mtoto."],
    "de": ["Fluss.", "Brücke.", "Stadt.", "Turm.", "Nacht.", "Wasser.", "Brot.", "Haus.", "Weg.", "Kind."],
}
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def save_tokenizer(folder: Path):
    """One token per word of the dictionary."""
    words = [word for known in WORDS.values() for word in known]
    (folder / "train.txt").write_text("\n".join(words), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "train.txt"),
        model_prefix=str(folder / "pieces"),
        vocab_size=200,
        model_type="word",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "pieces.model"))
    found = [pieces.id_to_piece(row) for row in range(pieces.get_piece_size())]
    vocabulary = {word: row for row, word in enumerate([*SPECIAL, *(word for word in found if word not in SPECIAL)])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    tokenizer = transformers.M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "pieces.model"))
    tokenizer.save_pretrained(folder)
    return tokenizer


def save(folder: Path, steps: int = 100) -> Path:
    """The checkpoint, trained here; without steps its weights are random."""
    tokenizer = save_tokenizer(folder)
    torch.manual_seed(0)
    config = transformers.M2M100Config(
        vocab_size=max(map(tokenizer.get_lang_id, tokenizer.lang_code_to_id)) + 1,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=32,
        dropout=0.0,
        attention_dropout=0.0,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        init_std=0.1,
    )
    model = transformers.M2M100ForConditionalGeneration(config)
    if not steps:
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    source, labels = _examples(tokenizer)
    start = torch.full((len(labels), 1), tokenizer.eos_token_id)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        logits = model(input_ids=source, decoder_input_ids=torch.cat([start, labels[:, :-1]], 1)).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval().save_pretrained(folder)
    return folder


def _examples(tokenizer):
    end = tokenizer.eos_token_id
    rows = [
        (
            [tokenizer.get_lang_id("en"), tokenizer.convert_tokens_to_ids(f"▁{english}"), end],
            [tokenizer.get_lang_id(target), tokenizer.convert_tokens_to_ids(f"▁{other}"), end],
        )
        for target in ("sw", "de")
        for english, other in zip(WORDS["en"], WORDS[target], strict=True)
    ]
    return torch.tensor([row[0] for row in rows]), torch.tensor([row[1] for row in rows])
