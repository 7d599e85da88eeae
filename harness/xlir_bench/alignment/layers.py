"""What a transformer makes of a text after each of its layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xlir_bench.encoders import Encoder, Role, Vectors
from xlir_bench.encoders.batching import TokenEncoder, batches, budget_for, mean_of, padded
from xlir_bench.encoders.checkpoint import Foreign, package
from xlir_bench.encoders.m2m100 import M2M100Encoder
from xlir_bench.encoders.sentence_transformer import SentenceTransformerEncoder
from xlir_bench.encoders.transformer import TransformerEncoder
from xlir_bench.errors import InputError, counted
from xlir_bench.external_code import external_code


def layer_vectors(
    model_id: str, encoder: Encoder, texts: Sequence[str], languages: Sequence[str], role: Role
) -> list[Vectors]:
    """The mean of the token vectors after the embeddings (layer 0) and after each layer.

    Whatever the encoder's own pooling is, layers are compared by the mean; what it makes of the last one is not here.

    Returns:
        One matrix per layer, (texts, dimensions).

    Raises:
        InputError: the encoder is no transformer whose layers can be asked for.
    """
    if not isinstance(encoder, TokenEncoder):
        raise InputError(f"{model_id} has no layers to look at: --layers is for transformers encoders")
    transformer, padding = _parts(model_id, encoder)
    torch = package("torch", "a transformer")
    with external_code(f"the tokenizer of {model_id} failed", f"on {counted(len(texts), 'texts')}", owner=model_id):
        ids = encoder.tokenise(texts, role, languages)
    device = str(next(transformer.parameters()).device)
    layers: list[Vectors] = []
    with (
        external_code(f"encoder {model_id} failed", f"on {counted(len(texts), 'texts')}", owner=model_id),
        torch.inference_mode(),
    ):
        for at in batches([len(row) for row in ids], budget_for(device.partition(":")[0])):
            tokens, mask = padded([ids[row] for row in at], padding, device)
            extras = encoder.extras(tokens, [languages[row] for row in at]) if hasattr(encoder, "extras") else {}
            states = transformer(input_ids=tokens, attention_mask=mask, output_hidden_states=True, **extras)
            for number, state in enumerate(states.hidden_states):
                pooled = mean_of(state.float(), mask).cpu().numpy()
                if number == len(layers):
                    layers.append(np.empty((len(texts), pooled.shape[1]), np.float32))
                layers[number][at] = pooled
    return layers


def _parts(model_id: str, encoder: TokenEncoder) -> tuple[Foreign, int]:
    """The transformer itself and the id that pads."""
    if isinstance(encoder, TransformerEncoder | M2M100Encoder):
        return encoder.model, encoder.tokenizer.pad_token_id or 0
    if isinstance(encoder, SentenceTransformerEncoder):
        inner = getattr(encoder.model[0], "auto_model", None) or getattr(encoder.model[0], "model", None)
        if inner is not None and hasattr(inner, "config"):
            return inner, encoder.model.tokenizer.pad_token_id or 0
    raise InputError(f"{model_id} has no layers to look at: --layers is for transformers encoders")
