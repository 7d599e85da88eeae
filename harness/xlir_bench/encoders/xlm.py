"""XLM checkpoints, and MASS's encoder saved as one: each token is told its language through an embedding.

Conneau and Lample 2019, "Cross-lingual Language Model Pretraining" (arXiv 1901.07291); Song et al. 2019, "MASS"
(arXiv 1905.02450), whose encoder has XLM's architecture. Where the model was trained on several languages with language
embeddings, `langs` is set from each text's language; where it has none (XLM-17, XLM-100), the language only chooses the
tokenizer's rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xlir_bench.encoders.batching import Pace
from xlir_bench.encoders.checkpoint import Foreign, Loaded, Settings, loading, package, prompts_of
from xlir_bench.encoders.protocol import LanguageSupport, Role
from xlir_bench.encoders.transformer import (
    TransformerEncoder,
    described,
    from_folder,
    length_within,
    pooling_among,
)
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.languages import LANGUAGES

NAME = "xlm"

# What a text's words are cut with where there are no spaces, a package and its module; see transformers' XLMTokenizer.
_SEGMENTERS = {"zh": ("rjieba", "rjieba"), "th": ("pythainlp", "pythainlp"), "ja": ("kytea", "Mykytea")}
# The only place where transformers looks for the model of KyTea, which comes with its source and not with its package.
_KYTEA_MODEL = "local/share/kytea/model.bin"


class XlmEncoder(TransformerEncoder):
    """See the module. `language_ids` is empty where the model is not told the language."""

    language_ids: Mapping[str, int]
    language_support: LanguageSupport

    def tokenise(self, texts: Sequence[str], role: Role, languages: Sequence[str]) -> list[list[int]]:
        """See `TokenEncoder.tokenise`.

        Raises:
            InputError: the model has no id for a language, and no fallback is declared.
            MissingResourceError: what cuts the words of a language is not installed.
        """
        prompted = [self.prompts[role] + text for text in texts]
        treated = [self.language_support.treated_as(code, "XLM") for code in languages]
        if not hasattr(self.tokenizer, "moses_pipeline"):  # a tokenizer.json knows no languages
            return super().tokenise(texts, role, treated)
        for code in sorted(set(treated) & set(_SEGMENTERS)):
            _check_segmenter(code)
        begin, end = self.tokenizer.bos_token_id, self.tokenizer.sep_token_id
        return [
            [begin, *self._tokens(text, code)[: self.max_length - 2], end]
            for text, code in zip(prompted, treated, strict=True)
        ]

    def extras(self, tokens: Foreign, languages: Sequence[str]) -> dict[str, Any]:
        """The language of every token, shape (texts, longest)."""
        if not self.language_ids:
            return {}
        torch = package("torch", NAME)
        ids = [self.language_ids[self.language_support.treated_as(code, "XLM")] for code in languages]
        return {"langs": torch.tensor(ids, device=tokens.device).unsqueeze(1).expand_as(tokens)}

    def _tokens(self, text: str, code: str) -> list[int]:
        # Through the tokenizer's public call every text would be treated as English.
        pieces = self.tokenizer._tokenize(text, lang=code)
        ids: list[int] = self.tokenizer.convert_tokens_to_ids(pieces)
        return ids


def load(folder: Path, settings: Settings, device: str) -> Loaded:
    """The XLM checkpoint in `folder`.

    Raises:
        InputError: pickled weights, weights that are missing, another architecture, or a fallback that the model has no
            id for.
        MissingResourceError: a package is not installed.
    """
    pooling = pooling_among(folder, settings, ("mean", "cls"))
    library = package("transformers", NAME)
    with loading(folder, "transformers"):
        config = library.AutoConfig.from_pretrained(str(folder), local_files_only=True)
    if config.model_type != "xlm":
        raise InputError(f"{folder}: {config.model_type} is not XLM")
    if not (folder / "tokenizer.json").is_file():
        package("sacremoses", NAME)
    model, tokenizer = from_folder(folder, settings, device)
    capacity = int(config.max_position_embeddings)
    max_length = length_within(folder, settings, capacity, min(capacity, int(min(tokenizer.model_max_length, 1e9))))
    pace = Pace(device, settings.batch_tokens, most=settings.batch_size)
    encoder = XlmEncoder(model, tokenizer, pooling, max_length, prompts_of(settings), pace)
    told_languages = config.n_langs > 1 and config.use_lang_emb
    encoder.language_ids = dict(getattr(config, "lang2id", None) or {}) if told_languages else {}
    if told_languages and not encoder.language_ids:
        raise InputError(f"{folder / 'config.json'}: the model has language embeddings but no lang2id to choose by")
    encoder.language_support = _supported(settings.language_support, encoder.language_ids)
    return described(NAME, encoder, settings, {"fallback": encoder.language_support.fallback})


def _check_segmenter(code: str) -> None:
    """Ask before transformers does, which logs how to build what it misses and then raises.

    Raises:
        MissingResourceError: what cuts the words of a language is not installed.
    """
    name, module = _SEGMENTERS[code]
    language = LANGUAGES[code].name
    if find_spec(module) is None:
        raise MissingResourceError(
            f"XLM's tokenizer cuts {language} ({code}) with the package {name}: pip install {name}, or leave the "
            "language out with --languages"
        )
    if code == "ja" and not (Path.home() / _KYTEA_MODEL).is_file():
        raise MissingResourceError(
            f"XLM's tokenizer cuts {language} ({code}) with KyTea, whose model is looked for at "
            f"~/{_KYTEA_MODEL} only: build KyTea with --prefix=$HOME/local, or leave the language out with --languages"
        )


def _supported(declared: LanguageSupport, language_ids: Mapping[str, int]) -> LanguageSupport:
    """What the model has ids for, with the declared fallback.

    Raises:
        InputError: the fallback is no language of the model.
    """
    if not language_ids:
        return declared
    if declared.fallback != "error" and declared.fallback not in language_ids:
        known = " ".join(sorted(language_ids))
        raise InputError(f"languages.fallback: this XLM model has no id for {declared.fallback!r}; it has {known}")
    return LanguageSupport(
        known=frozenset(code for code in language_ids if declared.knows(code)), fallback=declared.fallback
    )
