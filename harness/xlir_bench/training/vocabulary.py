"""One subword vocabulary for many languages and scripts, fit for a static encoder.

A static encoder adds up one vector per piece, so a frequent word should be one piece, whatever its language, and
a word should keep its piece at the start, inside a compound and in a script without spaces. Hence:

* text is folded (case, digits of all scripts, Greek accents, Arabic vowel signs; punctuation becomes a space);
* pieces carry no mark of the beginning of a word;
* candidates come from byte-pair merges, which keep frequent words whole (the substring seeds of the usual Unigram
  trainer lose words that no longer word continues), and become a Unigram model, which segments Chinese, Japanese
  and Thai by likelihood, after two rounds of counting on their own segmentation (hard EM; Kudo, arXiv 1804.10959);
* numbers from 0 to 2050 are always whole: they are the same word in every language.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

UNKNOWN = "[UNK]"
_LARGEST_NUMBER = 2050
_NUMBER_COUNT = 50.0  # a number is worth one piece even where the training texts never hold it
_UNKNOWN_LOG_PROBABILITY = -30.0
_SURPLUS = 1.15  # candidates per final piece
_LONGEST_PIECE = 16
_LARGEST_ALPHABET = 6000
_BLOCK = 20_000
# First digits of Arabic-Indic, Persian, Devanagari, Bengali, Telugu and Thai.
_ZEROS = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0C66, 0x0E50)


def folding() -> normalizers.Normalizer:
    """Return the normaliser: what two texts may differ in and still read the same."""
    digits = [
        normalizers.Replace(Regex("[" + "".join(chr(zero + digit) for zero in _ZEROS) + "]"), str(digit))
        for digit in range(10)
    ]
    return normalizers.Sequence(
        [
            normalizers.NFKD(),
            normalizers.Lowercase(),
            # Greek drops its accents in capitals and Arabic its vowel signs in most texts; elsewhere
            # (Vietnamese, Hindi, Thai) marks tell words apart and stay.
            normalizers.Replace(Regex("(?<=[\u0370-\u03ff])[\u0300-\u036f]+"), ""),
            normalizers.Replace(Regex("[\u064b-\u065f\u0670\u0640\u200b-\u200f\u2060\ufeff\u00ad]"), ""),
            *digits,
            normalizers.NFC(),
            normalizers.Replace(Regex(r"[\p{P}\p{S}\p{Cc}]+"), " "),
        ]
    )


def splitting() -> pre_tokenizers.PreTokenizer:
    """Return the pre-tokeniser: words, with numbers and alphabetic runs inside other scripts set apart."""
    runs = Regex(r"\p{N}+|[\p{Latin}\p{Greek}\p{Cyrillic}\u0300-\u036f]+")
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(runs, "isolated")])


def balanced_sample(texts: Mapping[str, Sequence[str]], characters: int, temper: float, seed: int) -> list[str]:
    """Draw distinct texts so that a language's share of code points is its size to the power `temper`.

    Args:
        texts: texts by language.
        characters: code points to draw in all; a small language may give fewer than its share.
        temper: 1 keeps the proportions, 0 makes all languages equal.
        seed: the same seed draws the same texts.
    """
    rng = random.Random(seed)
    shares = {language: sum(map(len, texts[language])) ** temper for language in sorted(texts)}
    drawn: list[str] = []
    for language, share in shares.items():
        candidates = list(dict.fromkeys(texts[language]))
        rng.shuffle(candidates)
        left = characters * share / sum(shares.values())
        for text in candidates:
            if left <= 0:
                break
            drawn.append(text)
            left -= len(text)
    return drawn


def train_tokenizer(texts: Sequence[str], size: int) -> Tokenizer:
    """Train the vocabulary.

    Args:
        texts: a sample balanced over languages.
        size: number of pieces at most, the unknown piece (id 0) included.

    Returns:
        A Unigram tokenizer with `folding` and `splitting`.
    """
    candidates = Tokenizer(models.BPE(unk_token=UNKNOWN))
    _prepare(candidates)
    trainer = trainers.BpeTrainer(
        vocab_size=int(size * _SURPLUS),
        special_tokens=[UNKNOWN],
        max_token_length=_LONGEST_PIECE,
        min_frequency=3,
        limit_alphabet=_LARGEST_ALPHABET,
        show_progress=False,
    )
    candidates.train_from_iterator(texts, trainer)
    vocabulary = candidates.get_vocab()
    pieces = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    pieces += [number for number in map(str, range(_LARGEST_NUMBER + 1)) if number not in vocabulary]
    first = _unigram(pieces, _counts(candidates, texts, pieces))
    counts = _counts(first, texts, pieces)
    kept = _most_frequent(pieces, counts, size)
    return _unigram([pieces[i] for i in kept], counts[kept])


def encode_ragged(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Turn texts into piece ids, end to end.

    Returns:
        `ids` of shape (pieces of all texts,), and `offsets` of shape (texts + 1,): text i is
        `ids[offsets[i]:offsets[i + 1]]`.
    """
    blocks: list[NDArray[np.int32]] = []
    lengths: list[int] = []
    for start in range(0, len(texts), _BLOCK):
        encodings = tokenizer.encode_batch_fast(list(texts[start : start + _BLOCK]), add_special_tokens=False)
        rows = [encoding.ids for encoding in encodings]
        lengths += map(len, rows)
        blocks.append(np.fromiter((piece for row in rows for piece in row), dtype=np.int32))
    offsets = np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))]).astype(np.int64)
    return (np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.int32)), offsets


def _prepare(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = folding()
    tokenizer.pre_tokenizer = splitting()


def _counts(tokenizer: Tokenizer, texts: Sequence[str], pieces: Sequence[str]) -> NDArray[np.float64]:
    counts = np.zeros(len(pieces))
    for start in range(0, len(texts), _BLOCK):
        ids, _ = encode_ragged(tokenizer, texts[start : start + _BLOCK])
        counts += np.bincount(ids, minlength=len(pieces))
    numbers = np.array([_is_number(piece) for piece in pieces])
    return np.where(numbers, np.maximum(counts, _NUMBER_COUNT), counts)


def _most_frequent(pieces: Sequence[str], counts: NDArray[np.float64], size: int) -> list[int]:
    """Positions of the pieces to keep: every single character and number, then by count."""
    always = [i for i, piece in enumerate(pieces) if i == 0 or len(piece) == 1 or _is_number(piece)]
    chosen = set(always)
    others = [int(i) for i in np.argsort(-counts, kind="stable") if int(i) not in chosen]
    return sorted(always + others[: max(size - len(always), 0)])


def _unigram(pieces: Sequence[str], counts: NDArray[np.float64]) -> Tokenizer:
    logs = np.log(counts + 0.5) - math.log(float(counts.sum()) + 0.5)
    # Two decimals are plenty for a segmentation, and halve the file.
    scored = [(piece, round(float(log), 2)) for piece, log in zip(pieces, logs, strict=True)]
    scored[0] = (UNKNOWN, _UNKNOWN_LOG_PROBABILITY)
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=0))
    _prepare(tokenizer)
    return tokenizer


def _is_number(piece: str) -> bool:
    return piece.isascii() and piece.isdigit()
