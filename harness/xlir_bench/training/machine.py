"""M2M-100 as a translator: a text in one language to the same text in another.

Fan et al. 2020, "Beyond English-Centric Multilingual Machine Translation" (arXiv 2010.11125). The encoder reads
`__xx__ tokens </s>`, and the decoder is made to begin with the target's token. It was trained on sentences, so a text
is cut into sentences, and a sentence that the model has no room for into halves.

What comes out of a piece depends on the piece alone: how long a translation may become is decided by the length of its
own source, and only pieces with the same limit share a batch.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from xlir_bench.encoders import manifest
from xlir_bench.encoders.batching import Rows, batches, budget_for, is_out_of_memory, padded
from xlir_bench.encoders.checkpoint import (
    Foreign,
    Options,
    Settings,
    loading,
    package,
    pick_device,
    weight_options,
)
from xlir_bench.encoders.converted import safe_weights
from xlir_bench.encoders.hub import snapshot
from xlir_bench.encoders.m2m100 import OWN_CODES
from xlir_bench.encoders.resolve import bundled
from xlir_bench.encoders.sources import MANIFEST
from xlir_bench.encoders.transformer import refuse_missing
from xlir_bench.encoders.weights import deciding_files
from xlir_bench.errors import InputError, MissingResourceError
from xlir_bench.languages import described
from xlir_bench.resources import folder as package_folder
from xlir_bench.training.parallel import split_sentences

log = logging.getLogger(__name__)

NAME = "M2M-100"
_LONGEST_PIECE = 256
_LIMIT_STEP = 16
# To be raised when other translations come to be made from the same files: stored ones are then not used again.
_SCHEME = 1


class Translation(NamedTuple):
    """What was made of a text.

    Attributes:
        text: in the target language.
        finished: whether the model came to an end by itself, and was not cut off.
    """

    text: str
    finished: bool


@dataclass
class Machine:
    """A loaded checkpoint.

    Attributes:
        name: what made a translation: `ORGANISATION/NAME@COMMIT`, or of a folder its name and the weights' digest.
        fingerprint: SHA-256 of all that can change a translation: weights, tokenizer, beams, precision. Hexadecimal.
        model: M2M-100, in evaluation mode on its device.
        tokenizer: its tokenizer.
        beams: how many beginnings of a translation are kept while it is searched.
        budget: source tokens of a batch, over all beams; gives way where memory runs out.
    """

    name: str
    fingerprint: str
    model: Foreign
    tokenizer: Foreign
    beams: int
    budget: int

    def check(self, codes: Iterable[str]) -> None:
        """Refuse languages that the model has no code for.

        Raises:
            InputError: there is one.
        """
        foreign = [code for code in codes if OWN_CODES.get(code, code) not in self.tokenizer.lang_code_to_id]
        if foreign:
            named = ", ".join(map(described, foreign))
            raise InputError(f"{self.name} cannot translate {named}: the model has no code for it; leave it out")

    def pieces(self, text: str, language: str) -> list[str]:
        """The sentences of a text, in order; one that is too long for the model in halves."""
        found: list[str] = []
        waiting = [sentence for _, sentence in reversed(split_sentences(text, language))]
        lengths = [len(ids) for ids in self._plain(waiting)]
        while waiting:
            piece, length = waiting.pop(), lengths.pop()
            if length <= self._longest or len(piece) < 2:
                found.append(piece)
                continue
            halves = [half for half in _halves(piece)[::-1] if half]
            waiting += halves
            lengths += [len(ids) for ids in self._plain(halves)]
        return found

    def translate(self, pieces: Sequence[str], source: str, target: str) -> list[Translation]:
        """The translation of each piece, whatever it is batched with.

        Args:
            pieces: texts that are short enough, see `pieces`.
            source: their language, which was checked.
            target: the language wanted, which was checked.

        Raises:
            MissingResourceError: a single piece does not fit into memory.
        """
        begin, end = self._token(source), self.tokenizer.eos_token_id
        ids = [[begin, *plain, end] for plain in self._plain(pieces)]
        by_limit: dict[int, list[int]] = {}
        for row, tokens in enumerate(ids):
            by_limit.setdefault(self._limit(len(tokens)), []).append(row)
        made: dict[int, Translation] = {}
        for limit, rows in sorted(by_limit.items()):
            for at in self._batches([len(ids[row]) for row in rows]):
                chosen = [rows[place] for place in at]
                made.update(self._generated(chosen, ids, limit, self._token(target)))
        return [made[row] for row in range(len(pieces))]

    @property
    def _room(self) -> int:
        return int(self.model.config.max_position_embeddings) - 2

    @property
    def _longest(self) -> int:
        return min(_LONGEST_PIECE, self._room - 2)

    def _limit(self, length: int) -> int:
        """How many tokens a translation may have: generous, in steps, so that many pieces share a batch."""
        wanted = 2 * length + _LIMIT_STEP
        return min(self._room, -(-wanted // _LIMIT_STEP) * _LIMIT_STEP)

    def _token(self, code: str) -> int:
        return int(self.tokenizer.get_lang_id(OWN_CODES.get(code, code)))

    def _plain(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        # A tokenizer warns of texts that are too long for the model, which are cut later.
        quiet = {"verbose": False, "return_attention_mask": False, "add_special_tokens": False}
        plain: list[list[int]] = self.tokenizer(list(texts), **quiet)["input_ids"]
        return plain

    def _batches(self, lengths: Sequence[int]) -> list[Rows]:
        return list(batches(lengths, max(1, self.budget // self.beams)))

    def _generated(
        self, rows: Sequence[int], ids: Sequence[Sequence[int]], limit: int, begin: int
    ) -> dict[int, Translation]:
        """The translations of one batch; in two halves where it does not fit, and smaller batches from then on."""
        try:
            return self._of_batch(rows, ids, limit, begin)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise MissingResourceError(
                    f"{self.model.device} has too little free memory for one sentence: free some, or give --device cpu"
                ) from None
        half = (len(rows) + 1) // 2
        self.budget = min(self.budget, half * max(len(ids[row]) for row in rows) * self.beams)
        log.warning("out of memory: batches of at most %d tokens from here on", self.budget)
        if self.model.device.type == "cuda":
            package("torch", NAME).cuda.empty_cache()
        first = self._generated(rows[:half], ids, limit, begin)
        return {**first, **self._generated(rows[half:], ids, limit, begin)}

    def _of_batch(
        self, rows: Sequence[int], ids: Sequence[Sequence[int]], limit: int, begin: int
    ) -> dict[int, Translation]:
        torch = package("torch", NAME)
        end = self.tokenizer.eos_token_id
        with torch.inference_mode():
            tokens, mask = padded([ids[row] for row in rows], self.tokenizer.pad_token_id, self.model.device)
            output = self.model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens) if mask is None else mask,
                forced_bos_token_id=begin,
                num_beams=self.beams,
                do_sample=False,
                early_stopping=self.beams > 1,
                max_new_tokens=limit,
            ).tolist()
        # An output is </s>, the target's token, the translation, </s>, padding.
        return {
            row: Translation(self.tokenizer.decode(made[2:], skip_special_tokens=True).strip(), end in made[2:])
            for row, made in zip(rows, output, strict=True)
        }


def load(model_id: str, device: str | None = None, options: Options | None = None, beams: int = 5) -> Machine:
    """The translator of a checkpoint.

    Args:
        model_id: a folder, `ORGANISATION/NAME` or `ORGANISATION/NAME@REVISION` of the hub, or the name of a submission
            that is an M2M-100 checkpoint of the hub.
        device: as in `encoders.resolve`.
        options: precision, tokens per batch (over all beams), and whether pickled weights may be read.
        beams: 1 is greedy; the paper's figures are with 5.

    Raises:
        InputError: there is no such model, its weights are pickled or incomplete, or it is another architecture.
        MissingResourceError: it is not here and cannot be fetched, or a package is not installed.
    """
    options = options or Options()
    chosen = pick_device(device)
    settings = options.over(Settings(), chosen)
    folder, name = _found(model_id, options)
    model, tokenizer = _loaded(folder, settings)
    digest = _digest(folder, f"{_SCHEME} {NAME} beams {beams} {settings.precision}")
    budget = options.batch_tokens or budget_for(chosen)
    name = name or f"{folder.resolve().name}@{_digest(folder, '')[:12]}"
    return Machine(name, digest, model.eval().to(chosen), tokenizer, beams, budget)


def _found(model_id: str, options: Options) -> tuple[Path, str]:
    """The folder of a model and, if it is the hub's, its name."""
    if Path(model_id).is_dir():
        return Path(model_id), ""
    hub_id, _, revision = model_id.partition("@")
    if model_id in bundled():
        source = manifest.read(package_folder("submissions") / model_id / MANIFEST).source
        if source.hub is None:
            raise InputError(f"{model_id} is no translation model; give a folder, or ORGANISATION/NAME of the hub")
        hub_id, revision = source.hub, source.revision or ""
    if hub_id.count("/") != 1:
        raise InputError(f"no translation model {model_id!r}: give a folder, or ORGANISATION/NAME of the hub")
    folder = snapshot(hub_id, revision or None, options)
    return folder, f"{hub_id}@{folder.name}"


def _loaded(folder: Path, settings: Settings) -> tuple[Foreign, Foreign]:
    library = package("transformers", NAME)
    package("sentencepiece", NAME)
    weights = str(safe_weights(folder, settings))
    with loading(folder, "transformers"):
        config = library.AutoConfig.from_pretrained(weights, local_files_only=True)
        if config.model_type != "m2m_100":
            raise InputError(f"{folder}: {config.model_type} is not {NAME}")
        tokenizer = library.M2M100Tokenizer.from_pretrained(weights, local_files_only=True)
        model, found = library.M2M100ForConditionalGeneration.from_pretrained(
            weights, local_files_only=True, output_loading_info=True, **weight_options(settings)
        )
    refuse_missing(folder, sorted(found["missing_keys"]))
    return model, tokenizer


def _digest(folder: Path, use: str) -> str:
    digest = hashlib.sha256(use.encode())
    for path in deciding_files(folder):
        digest.update(b"\0" + path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _halves(piece: str) -> tuple[str, str]:
    """A text cut in two at the space nearest to its middle, or in its middle where there is none."""
    middle = len(piece) // 2
    spaces = [at for at, letter in enumerate(piece) if letter.isspace()]
    cut = min(spaces, key=lambda at: abs(at - middle), default=middle)
    return piece[:cut].strip(), piece[cut:].strip()
