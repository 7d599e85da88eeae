"""M2M-100's encoder half: a translation model that is told the language of what it reads.

Fan et al. 2020, "Beyond English-Centric Multilingual Machine Translation" (arXiv 2010.11125). A text is read as
`__xx__ tokens </s>`, xx being its language. Only the encoder's weights are read from the checkpoint, and none may be
missing. The vector of a text is the mean of the encoder's last states: `pooling: mean` over all of them, `mean-of-text`
without that of the language token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from xlir_bench.encoders.batching import Pace, mean_of, padded
from xlir_bench.encoders.checkpoint import Foreign, Loaded, Settings, loading, package, prompts_of
from xlir_bench.encoders.converted import safe_weights
from xlir_bench.encoders.protocol import LanguageSupport, Role, Vectors
from xlir_bench.encoders.transformer import (
    TransformerEncoder,
    described,
    length_within,
    pooling_among,
    refuse_missing,
    torch_only,
)
from xlir_bench.errors import InputError

NAME = "m2m100"

OWN_CODES = {"fil": "tl", "nb": "no", "nso": "ns"}
_ENCODER = ("model.encoder.", "encoder.")
_SHARED = ("model.shared.weight", "shared.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
_COMPUTED = "embed_positions."


class M2M100Encoder(TransformerEncoder):
    """See the module. Texts in languages that the model has no code for are treated as `language_support` says."""

    language_support: LanguageSupport = LanguageSupport()

    def tokenise(self, texts: Sequence[str], role: Role, languages: Sequence[str]) -> list[list[int]]:
        """See `TokenEncoder.tokenise`.

        Raises:
            InputError: the model has no code for a language, and no fallback is declared.
        """
        begin = {code: self._language_token(code) for code in sorted(set(languages))}
        plain = self.tokenizer(
            [self.prompts[role] + text for text in texts],
            add_special_tokens=False,
            truncation=True,
            max_length=self.max_length - 2,
            return_attention_mask=False,
        )["input_ids"]
        end = self.tokenizer.eos_token_id
        return [[begin[code], *ids, end] for code, ids in zip(languages, plain, strict=True)]

    def forward(self, ids: Sequence[Sequence[int]], languages: Sequence[str]) -> Vectors:
        """See `TokenEncoder.forward`."""
        torch = package("torch", NAME)
        with torch.inference_mode():
            tokens, mask = padded(ids, self.tokenizer.pad_token_id, self.model.device)
            states = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state.float()
            if self.pooling == "mean-of-text":
                states, mask = states[:, 1:], mask[:, 1:] if mask is not None else None
            vectors: Vectors = mean_of(states, mask).cpu().numpy()
        return vectors

    def _language_token(self, code: str) -> int:
        treated = self.language_support.treated_as(code, "M2M-100")
        return int(self.tokenizer.get_lang_id(OWN_CODES.get(treated, treated)))


def load(folder: Path, settings: Settings, device: str) -> Loaded:
    """The encoder of the M2M-100 checkpoint in `folder`.

    Raises:
        InputError: pickled weights, weights that are missing, another architecture, or a fallback that the model has no
            code for.
        MissingResourceError: a package is not installed.
    """
    torch_only(folder, settings)
    weights = safe_weights(folder, settings)
    pooling = pooling_among(folder, settings, ("mean", "mean-of-text"))
    library = package("transformers", NAME)
    package("sentencepiece", NAME)
    with loading(folder, "transformers"):
        config = library.AutoConfig.from_pretrained(str(weights), local_files_only=True)
        if config.model_type != "m2m_100":
            raise InputError(f"{folder}: {config.model_type} is not M2M-100")
        tokenizer = library.M2M100Tokenizer.from_pretrained(str(weights), local_files_only=True)
        model = _encoder(weights, config, settings)
    language_support = _supported(settings.language_support, set(tokenizer.lang_code_to_id))
    max_length = length_within(folder, settings, config.max_position_embeddings, config.max_position_embeddings)
    prompts = prompts_of(settings)
    pace = Pace(device, settings.batch_tokens, most=settings.batch_size)
    encoder = M2M100Encoder(model.to(device), tokenizer, pooling, max_length, prompts, pace)
    encoder.language_support = language_support
    return described(NAME, encoder, settings, {"fallback": language_support.fallback})


def _encoder(folder: Path, config: Foreign, settings: Settings) -> Foreign:
    """The encoder with its weights, in evaluation mode on the CPU."""
    torch = package("torch", NAME)
    module = package("transformers.models.m2m_100.modeling_m2m_100", NAME)
    model = module.M2M100Encoder(config).to(getattr(torch, settings.precision))
    wanted = {name for name in model.state_dict() if not name.startswith(_COMPUTED)}
    weights = {name: tensor for name, tensor in _weights(folder) if name in wanted}
    refuse_missing(folder, sorted(wanted - set(weights)))
    model.load_state_dict(weights, strict=False)
    return model.eval()


def _weights(folder: Path) -> Iterator[tuple[str, Foreign]]:
    """The encoder's weights in the checkpoint, by their names in the encoder; the embedding may be a shared one."""
    embedding: Foreign = None
    for name, tensor in _tensors(folder):
        prefix = next((prefix for prefix in _ENCODER if name.startswith(prefix)), None)
        if prefix is not None:
            yield name.removeprefix(prefix), tensor
        elif name in _SHARED and embedding is None:
            # All of these are one matrix; whichever name it was saved under, the encoder's own entry comes to the same.
            embedding = tensor
            yield "embed_tokens.weight", tensor


def _tensors(folder: Path) -> Iterator[tuple[str, Foreign]]:
    """Every tensor that may be the encoder's, read one at a time: the decoder is never in memory."""
    open_file = package("safetensors", NAME).safe_open
    for path in sorted(folder.glob("*.safetensors")):
        with open_file(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (the file is no mapping)
                if name.startswith(_ENCODER) or name in _SHARED:
                    yield name, file.get_tensor(name)


def _supported(declared: LanguageSupport, codes: set[str]) -> LanguageSupport:
    """What the model has codes for, with the declared fallback.

    Raises:
        InputError: the fallback is no language of the model.
    """
    known = codes | {ours for ours, own in OWN_CODES.items() if own in codes}
    fallback = declared.fallback
    if fallback != "error" and fallback not in known:
        raise InputError(f"languages.fallback: M2M-100 has to be told a language, and has no code for {fallback!r}")
    return LanguageSupport(known=frozenset(code for code in known if declared.knows(code)), fallback=fallback)
