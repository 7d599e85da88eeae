"""Runs of a small transformer that are killed (`kill -9`) and begun again.

    python killed_runs.py FOLDER KILLS LANGUAGE...

Every run is a child of this process and measures xlir-mini in some languages and all settings, with runs of its
rankings. Half of the instants are drawn from the time that a whole run takes; the others are steps at which a file
reaches the disk, takes its place or goes, spread evenly over all such steps. What was killed is run again, and its
files are compared to those of a run that was left alone. Prints one JSON line: `kills`, `differences`, `left_over`,
`encoded_again`.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import xlir_bench
from xlir_bench.encoders import VectorCache, encode, resolve
from xlir_bench.evaluation import Output, run
from xlir_bench.leaderboard import rebuild
from xlir_bench.suites import find, load

SPECIAL = ["[CLS]", "[PAD]", "[SEP]", "[UNK]"]
STEPS = ((os, "fsync"), (os, "replace"), (os, "unlink"), (Path, "replace"), (Path, "unlink"))


def save_checkpoint(folder: Path, texts) -> Path:
    """A BERT of random weights whose tokens are the letters of some texts."""
    letters = sorted({letter for text in texts for letter in text if not letter.isspace()})
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    model = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
            pad_token_id=1,
        )
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return folder


def count_steps(die_at: int | None, told: Path) -> None:
    """Count the steps of this process at which files change; die before one of them, or write their number at exit."""
    seen = 0

    def counted(function):
        def call(*arguments, **options):
            nonlocal seen
            seen += 1
            if seen == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for owner, name in STEPS:
        setattr(owner, name, counted(getattr(owner, name)))
    count_steps.write = lambda: told.write_text(str(seen))


def begin(place: Path, checkpoint: Path, languages: list[str], die_at: int | None = None) -> int:
    """The process of a run that keeps all it has below a folder."""
    place.mkdir(exist_ok=True)
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        torch.set_num_threads(1)
        encode.BLOCK = 100
        os.environ["XLIR_BENCH_CACHE"] = str(place / "cache")
        count_steps(die_at, place / "steps")
        suite = find("xlir-mini")
        model = resolve(str(checkpoint), "cpu")
        kept = run(model, suite, load(suite, None, languages), Output(place / "out", 5), cache=VectorCache())
        rebuild(place / "out", analysis=False)
        count_steps.write()
        (place / "encoded").write_text(str(kept.result.timing.texts_encoded))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def finish(process: int) -> bool:
    """Wait for a run; False if it was killed."""
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code == 0


def kept_of(place: Path) -> dict[str, object]:
    """Every file of a result: bytes, but of the result itself all but date and times."""
    found: dict[str, object] = {}
    (model,) = (path for path in (place / "out").iterdir() if path.is_dir() and path.name != "pages")
    for path in sorted(model.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(model))] = path.read_bytes()
    result = json.loads(found["xlir-mini.json"])
    found["xlir-mini.json"] = {name: value for name, value in result.items() if name not in ("created", "timing")}
    return found


def main(folder: Path, kills: int, languages: list[str]) -> dict[str, object]:
    suite = find("xlir-mini")
    collection = load(suite, None, languages)
    xlir_bench.evaluate("random", suite.name, languages=languages)  # so that no child loads what it needs for this
    gc.freeze()
    checkpoint = save_checkpoint(folder / "checkpoint", [*collection.queries.texts, *collection.documents.texts])
    finish(begin(folder / "warm", checkpoint, languages))  # whatever the machine reads for the first time
    since = time.monotonic()
    finish(begin(folder / "whole", checkpoint, languages))
    seconds, steps = time.monotonic() - since, int((folder / "whole" / "steps").read_text())
    whole = kept_of(folder / "whole")
    draw = random.Random(7)
    died, differences, left_over, again = [], [], [], []
    for number in range(kills):
        place = folder / f"killed-{number}"
        if number % 2:
            at = 1 + (number // 2) * steps // max(1, kills // 2)
            instant = f"step {at} of {steps}"
            killed = not finish(begin(place, checkpoint, languages, at))
        else:
            after = seconds * draw.random() ** 2  # more of them while texts are encoded, which comes first
            instant = f"{after:.2f} of {seconds:.2f} s"
            process = begin(place, checkpoint, languages)
            time.sleep(after)
            os.kill(process, signal.SIGKILL)  # until it is waited for, the number is its own
            killed = not finish(process)
        if killed:
            died.append(instant)
        assert finish(begin(place, checkpoint, languages))
        now = kept_of(place)
        differences += [f"{instant}: {name}" for name in sorted({*whole, *now}) if whole.get(name) != now.get(name)]
        left_over += [f"{instant}: {path.name}" for path in (place / "out").rglob(".*")]
        again.append(int((place / "encoded").read_text()))
    encoded = int((folder / "whole" / "encoded").read_text())
    return {
        "kills": died,
        "files": len(whole),
        "differences": differences,
        "left_over": left_over,
        "encoded_again": again,
        "texts": encoded,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
