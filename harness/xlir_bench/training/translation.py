"""Many texts translated, block by block: what is finished stays finished, and what is bad is left out and counted.

    <cache>/translations/<machine's fingerprint>/<source>-<target>/<digest of the pieces>.json

A block holds 256 sentences and is written whole. Its name is the digest of what was translated, so a run that was cut
off finds its finished blocks again, and so does another run that needs the same ones.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from xlir_bench.files import cache_folder, replacing
from xlir_bench.interrupts import keeps
from xlir_bench.progress import SILENT, Progress
from xlir_bench.training.machine import Translation
from xlir_bench.training.parallel import WITHOUT_SPACES
from xlir_bench.training.quality import Fault, Quality, fault

DEFAULT_QUALITY = Quality()
BLOCK = 256
"""Sentences that are translated before they are written."""


class Translator(Protocol):
    """What translates; see `machine.Machine`."""

    @property
    def name(self) -> str:
        """What made a translation."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that can change a translation."""
        ...

    def check(self, codes: Iterable[str]) -> None:
        """Refuse languages that cannot be translated."""
        ...

    def pieces(self, text: str, language: str) -> list[str]:
        """A text in parts that are short enough."""
        ...

    def translate(self, pieces: Sequence[str], source: str, target: str) -> list[Translation]:
        """The translation of each part."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """A translation that was left out."""

    source: str
    target: str
    fault: Fault
    text: str
    translation: str


@dataclass
class Report:
    """What a run translated, and what it left out and why.

    Attributes:
        translated: target language -> distinct texts that were translated, refused ones included.
        refusals: every translation that was left out.
    """

    translated: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)

    def refused(self, target: str) -> dict[str, int]:
        """Fault -> texts refused for it in a language, the most frequent first."""
        found = Counter[str](refusal.fault for refusal in self.refusals if refusal.target == target)
        return dict(found.most_common())

    def rows(self) -> list[dict[str, object]]:
        """One plain row per target language."""
        return [
            {"language": code, "texts": count, "kept": count - sum(refused.values()), "refused": refused}
            for code, count in sorted(self.translated.items())
            for refused in [self.refused(code)]
        ]

    def write_refusals(self, path: Path) -> None:
        """Every refused translation with its text and its fault, as JSON lines."""
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(refusal), ensure_ascii=False) + "\n" for refusal in self.refusals)


@dataclass(frozen=True)
class Work:
    """How texts are translated.

    Attributes:
        translator: what translates.
        quality: what is kept; None keeps everything that is not empty.
        report: is added to.
        progress: where stages are announced.
    """

    translator: Translator
    quality: Quality | None = DEFAULT_QUALITY
    report: Report = field(default_factory=Report)
    progress: Progress = SILENT

    def kept(self, texts: Iterable[str], source: str, target: str) -> dict[str, str]:
        """Text -> its translation, for each distinct text whose translation is good enough.

        Raises:
            InputError: the translator does not know a language.
            MissingResourceError: the cache cannot be written.
        """
        kept: dict[str, str] = {}
        self.translator.check([source, target])
        for text, made in _translated(self, list(dict.fromkeys(texts)), source, target).items():
            self.report.translated[target] += 1
            found = self._fault(text, made, source, target)
            if found is None:
                kept[text] = made.text
            else:
                self.report.refusals.append(Refusal(source, target, found, text, made.text))
        return kept

    def _fault(self, text: str, made: Translation, source: str, target: str) -> Fault | None:
        if self.quality is None:
            return None if made.text.strip() else "empty"
        found = fault(text, made.text, source, target, self.quality)
        # A loop is never finished; its own name says more.
        return found or (None if made.finished else "unfinished")


@keeps("what was translated is kept: the same command goes on from there")
def _translated(work: Work, texts: Sequence[str], source: str, target: str) -> dict[str, Translation]:
    """Every text's translation, put together from those of its pieces."""
    pieces_of = {text: work.translator.pieces(text, source) for text in texts}
    distinct = {piece for pieces in pieces_of.values() for piece in pieces}
    # Pieces of one length share a block, and so a batch; the text breaks ties, so that blocks are the same next time.
    ordered = sorted(distinct, key=lambda piece: (len(piece), piece))
    folder = cache_folder() / "translations" / work.translator.fingerprint / f"{source}-{target}"
    stage = work.progress.stage(f"translating {source} to {target}", len(ordered), "sentences")
    made: dict[str, Translation] = {}
    for begin in range(0, len(ordered), BLOCK):
        block = ordered[begin : begin + BLOCK]
        made.update(zip(block, _block(work.translator, folder, block, source, target), strict=True))
        stage.advance(len(block))
    joint = "" if target in WITHOUT_SPACES else " "
    return {
        text: Translation(
            joint.join(made[piece].text for piece in pieces), all(made[piece].finished for piece in pieces)
        )
        for text, pieces in pieces_of.items()
    }


def _block(translator: Translator, folder: Path, pieces: Sequence[str], source: str, target: str) -> list[Translation]:
    """The translations of a block: those on disk, else made now and written."""
    path = folder / f"{hashlib.sha256(json.dumps(pieces).encode()).hexdigest()}.json"
    try:
        return [Translation(str(text), bool(finished)) for text, finished in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        # Not there yet, or damaged: then it is made again.
        pass
    made = translator.translate(pieces, source, target)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
    return made
