"""Any encoder of the transformers library: its last hidden states, pooled."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xlir_bench.encoders import remote_code
from xlir_bench.encoders.batching import Pace, TokenEncoder, mean_of, padded, token_ids
from xlir_bench.encoders.checkpoint import (
    Foreign,
    Loaded,
    Pooling,
    Settings,
    loading,
    package,
    prompts_of,
    weight_options,
)
from xlir_bench.encoders.converted import safe_weights
from xlir_bench.encoders.kinds import refuse_other_kinds
from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.encoders.weights import read_object
from xlir_bench.errors import InputError

log = logging.getLogger(__name__)

NAME = "transformers"

_POOLINGS: tuple[Pooling, ...] = ("mean", "cls", "pooler", "last-token")
# What sentence-transformers calls them in a Pooling module's configuration, now and before version 6.
_DECLARED: Mapping[str, Pooling] = {
    "mean": "mean",
    "cls": "cls",
    "lasttoken": "last-token",
    "mean_tokens": "mean",
    "cls_token": "cls",
}
_POOLING_CONFIG = "1_Pooling/config.json"


class TransformerEncoder(TokenEncoder):
    """A transformer whose token vectors become one.

    Args:
        model: a transformers model in evaluation mode, on its device.
        tokenizer: its tokenizer.
        pooling: "mean" over all tokens of the text, special ones and prompt included; "cls", the first; "pooler",
            the first through the model's own dense layer and tanh; or "last-token", the last one of the text.
        max_length: tokens after which a text is cut.
        prompts: the text put before each role's texts.
        pace: tokens per batch.
    """

    def __init__(
        self,
        model: Foreign,
        tokenizer: Foreign,
        pooling: Pooling,
        max_length: int,
        prompts: Mapping[Role, str],
        pace: Pace,
    ) -> None:
        self.model, self.tokenizer, self.pooling, self.max_length = model, tokenizer, pooling, max_length
        self.prompts, self.pace = prompts, pace
        self.dimensions = int(model.config.hidden_size)

    def tokenise(self, texts: Sequence[str], role: Role, languages: Sequence[str]) -> list[list[int]]:
        """See `TokenEncoder.tokenise`. The language does not matter."""
        return token_ids(self.tokenizer, [self.prompts[role] + text for text in texts], self.max_length)

    def forward(self, ids: Sequence[Sequence[int]], languages: Sequence[str]) -> Vectors:
        """See `TokenEncoder.forward`."""
        torch = package("torch", NAME)
        with torch.inference_mode():
            tokens, mask = padded(ids, self.tokenizer.pad_token_id or 0, self.model.device)
            output = self.model(input_ids=tokens, attention_mask=mask, **self.extras(tokens, languages))
            if self.pooling == "pooler":
                pooled = output.pooler_output.float()
            elif self.pooling == "cls":
                pooled = output.last_hidden_state[:, 0].float()
            elif self.pooling == "last-token":
                pooled = last_of(output.last_hidden_state, mask).float()
            else:
                pooled = mean_of(output.last_hidden_state.float(), mask)
            vectors: Vectors = pooled.cpu().numpy()
        return vectors

    def extras(self, tokens: Foreign, languages: Sequence[str]) -> dict[str, Any]:
        """What else the model is given, for those that are told the language."""
        return {}


def load(folder: Path, settings: Settings, device: str) -> Loaded:
    """The model in `folder`, with the pooling that the settings or its files declare.

    Where neither does, the mean is taken, which is a guess and is warned of.

    Raises:
        InputError: pickled weights, a checkpoint that is no encoder, weights that are missing, a pooling that this
            adapter does not have, or a folder that transformers cannot load.
        MissingResourceError: a package, or code that the model needs, is not on this machine.
    """
    refuse_other_kinds(folder, settings.pooling)
    pooling = pooling_among(folder, settings, _POOLINGS) if settings.pooling else declared_pooling(folder)
    if pooling is None:
        pooling = "mean"
        undeclared = "pooling" if settings.similarity else "pooling and similarity"
        given = "--pooling" if settings.similarity else "--pooling and --similarity"
        log.warning(
            "%s: the checkpoint declares no %s: the mean of all tokens and %s are taken; give %s to say what is right",
            folder,
            undeclared,
            settings.similarity or "cosine",
            given,
        )
    code = remote_code.fetched(folder, settings)
    model, tokenizer = from_folder(folder, settings, device)
    max_length = _max_length(folder, settings, tokenizer, model)
    prompts = prompts_of(settings)
    encoder = TransformerEncoder(
        model, tokenizer, pooling, max_length, prompts, Pace(device, settings.batch_tokens, most=settings.batch_size)
    )
    return described(NAME, encoder, settings, code)


def described(
    adapter: str, encoder: TransformerEncoder, settings: Settings, fingerprint_fields: Mapping[str, Any]
) -> Loaded:
    """An encoder with what there is to say about it; `fingerprint_fields` are added to those that all have.

    Raises:
        InputError: more dimensions are to be kept than it has.
    """
    encoder.truncate(settings.truncate_dim)
    details = {
        "adapter": adapter,
        "architecture": type(encoder.model).__name__,
        "dimensions": encoder.dimensions,
        "parameters": sum(p.numel() for p in encoder.model.parameters()),
        "device": encoder.pace.device,
    }
    common: dict[str, Any] = {
        "pooling": encoder.pooling,
        "max_length": encoder.max_length,
        "precision": settings.precision,
    }
    if encoder.truncate_dim is not None:
        common["truncate_dim"] = encoder.truncate_dim
    similarity = settings.similarity or "cosine"
    prompts = {str(role): text for role, text in encoder.prompts.items()}
    return Loaded(encoder, prompts, similarity, {**common, **fingerprint_fields}, details)


def from_folder(folder: Path, settings: Settings, device: str) -> tuple[Foreign, Foreign]:
    """The model, in evaluation mode on its device, and its tokenizer.

    Raises:
        InputError: see `load`.
    """
    torch_only(folder, settings)
    weights = str(safe_weights(folder, settings))
    library = package("transformers", NAME)
    trust: dict[str, Any] = {"local_files_only": True, "trust_remote_code": settings.trust_remote_code}
    with loading(folder, "transformers"):
        config = library.AutoConfig.from_pretrained(weights, **trust)
        if config.is_encoder_decoder:
            raise InputError(f"{folder}: {config.model_type} has an encoder and a decoder; this adapter takes encoders")
        tokenizer = library.AutoTokenizer.from_pretrained(weights, **trust)
        model, found = library.AutoModel.from_pretrained(
            weights, config=config, output_loading_info=True, **weight_options(settings), **trust
        )
    # A checkpoint of a language model lacks the pooler, which only `pooling: pooler` looks at.
    unused = () if settings.pooling == "pooler" else ("pooler.",)
    refuse_missing(folder, [name for name in found["missing_keys"] if not name.startswith(unused or "\0")])
    return model.eval().to(device), tokenizer


def refuse_missing(folder: Path, names: Sequence[str]) -> None:
    """Weights that are not in a checkpoint would be random, and the vectors would mean nothing.

    Raises:
        InputError: there are some.
    """
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise InputError(
            f"{folder}: the checkpoint lacks weights of the encoder: {sorted(names)[0]}{more}; is it a checkpoint of "
            "this architecture?"
        )


def torch_only(folder: Path, settings: Settings) -> None:
    """Only sentence-transformers has other backends.

    Raises:
        InputError: another is asked for.
    """
    if settings.backend != "torch":
        raise InputError(f"{folder}: the backend {settings.backend} is for sentence-transformers models only")


def pooling_among(folder: Path, settings: Settings, known: Sequence[Pooling]) -> Pooling:
    """The pooling in force, mean if none is given.

    Raises:
        InputError: the adapter has no such pooling.
    """
    pooling: Pooling = settings.pooling or "mean"
    if pooling not in known:
        raise InputError(f"{folder}: pooling {pooling} is not for this kind of model; it has {', '.join(known)}")
    return pooling


def declared_pooling(folder: Path) -> Pooling | None:
    """The pooling in the configuration of a sentence-transformers Pooling module; None if there is no such file.

    Raises:
        InputError: it is one that this adapter does not have.
    """
    path = folder / _POOLING_CONFIG
    config = read_object(path)
    if not config:
        return None
    mode = config.get("pooling_mode")
    modes = [str(mode)] if isinstance(mode, str) else [str(name) for name in mode or ()]
    # Before version 6: one switch for each.
    switches = {
        name.removeprefix("pooling_mode_"): on for name, on in config.items() if name.startswith("pooling_mode_")
    }
    modes += [name for name, on in switches.items() if on is True]
    pooling = _DECLARED.get(modes[0]) if len(modes) == 1 else None
    if pooling is None or config.get("include_prompt") is False:
        what = " and ".join(modes) if config.get("include_prompt", True) else "pooling without the prompt"
        raise InputError(
            f"{path}: {what or 'no pooling'}, for which the folder needs a modules.json of sentence-transformers; or "
            "say with --pooling what is right"
        )
    return pooling


def last_of(states: Foreign, mask: Foreign | None) -> Foreign:
    """The last token vector that a mask keeps, wherever the padding is, shape (texts, dimensions).

    Args:
        states: shape (texts, tokens, dimensions).
        mask: 1 for a token, 0 for padding, shape (texts, tokens); None where nothing is padding.
    """
    if mask is None:
        return states[:, -1]
    torch = package("torch", NAME)
    positions = torch.arange(mask.shape[1], device=mask.device)
    return states[torch.arange(len(states), device=states.device), (positions * mask).argmax(1)]


def _max_length(folder: Path, settings: Settings, tokenizer: Foreign, model: Foreign) -> int:
    """The manifest's length, else the tokenizer's, within the positions that the model has.

    Raises:
        InputError: the manifest asks for more than the model can take.
    """
    capacity = positions(model) or getattr(model.config, "max_position_embeddings", None)
    own = tokenizer.model_max_length
    # A tokenizer that knows no limit says so with a huge number.
    limits = [limit for limit in (own if own < 1e9 else None, capacity) if limit is not None]
    return length_within(folder, settings, capacity, int(min(limits)) if limits else 512)


def length_within(folder: Path, settings: Settings, capacity: int | None, default: int) -> int:
    """The manifest's length or the default.

    Raises:
        InputError: the manifest asks for more than the model can take.
    """
    if settings.max_length is None:
        return default
    if capacity is not None and settings.max_length > capacity:
        raise InputError(f"{folder}: max_length {settings.max_length} is more than the model's {capacity} positions")
    return settings.max_length


def positions(model: Foreign) -> int | None:
    """How many tokens the model's position table has room for, if it has one."""
    embeddings = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    count = getattr(embeddings, "num_embeddings", None)
    if count is None:
        return None
    # RoBERTa and its kin number positions from the padding index on.
    padding = getattr(embeddings, "padding_idx", None)
    return int(count) - (padding + 1 if padding is not None else 0)
