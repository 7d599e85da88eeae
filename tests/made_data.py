"""Test collections made on the spot from the texts of xlir-mini, in the layouts that published collections have.

The main tests use them where xlir-mini itself is too small, so that they need
neither XQuAD-R nor SciFact nor MIRACL.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from xlir_bench.resources import folder as package_folder

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
"""XQuAD-R's languages, all of which xlir-mini has."""

COPIES = 8
QUESTIONS, SENTENCES = 72 * COPIES, 144 * COPIES
"""Per language, of what `write_lareqa` and `write_squad` write by default."""


@cache
def _paragraphs(code: str) -> list[dict[str, Any]]:
    content = json.loads((package_folder("suites") / "xlir-mini" / f"{code}.json").read_text("utf-8"))
    return [paragraph for article in content["data"] for paragraph in article["paragraphs"]]


def _names(copies: int) -> list[str]:
    """Invented names, one per copy: they make the copies' texts differ, and are the same in every language."""
    rng = random.Random(5)
    return ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(3)).title() for _ in range(copies)]


def articles(code: str, copies: int = COPIES) -> Iterator[dict[str, Any]]:
    """xlir-mini's articles of one language, each `copies` times, about something with another name each time.

    Every sentence and question begins with the name of its copy; sentence breaks and answers are moved accordingly.
    """
    for name in _names(copies):
        for number, paragraph in enumerate(_paragraphs(code)):
            context, breaks, starts = "", [], []
            for start, end in paragraph["sentence_breaks"]:
                begin = len(context)
                starts.append((start, begin + len(name) + 2))
                context += f"{name}: {paragraph['context'][start:end]} "
                breaks.append([begin, len(context) - 1])
            qas = []
            for question in paragraph["qas"]:
                answer = question["answers"][0]
                old, new = max(pair for pair in starts if pair[0] <= answer["answer_start"])
                moved = {"text": answer["text"], "answer_start": answer["answer_start"] - old + new}
                qas.append(
                    {
                        "id": f"{name}-{question['id']}",
                        "question": f"{name}: {question['question']}",
                        "answers": [moved],
                    }
                )
            yield {
                "title": f"{name}-{number}",
                "paragraphs": [{"context": context.rstrip(), "sentence_breaks": breaks, "qas": qas}],
            }


def write_lareqa(folder: Path, languages: Sequence[str] = LANGUAGES, copies: int = COPIES) -> Path:
    """A parallel collection in XQuAD-R's layout: `<code>.json` with paragraphs, sentence breaks and questions."""
    folder.mkdir(parents=True, exist_ok=True)
    for code in languages:
        content = {"version": "1", "data": list(articles(code, copies))}
        (folder / f"{code}.json").write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    return folder


def write_squad(folder: Path, languages: Sequence[str] = LANGUAGES, copies: int = COPIES) -> Path:
    """The same in XQuAD's layout, `xquad.<code>.json`: SQuAD's, without sentence breaks."""
    folder.mkdir(parents=True, exist_ok=True)
    for code in languages:
        data = list(articles(code, copies))
        for article in data:
            for paragraph in article["paragraphs"]:
                del paragraph["sentence_breaks"]
        (folder / f"xquad.{code}.json").write_text(json.dumps({"data": data}, ensure_ascii=False), "utf-8")
    return folder


def write_beir(folder: Path, code: str = "en") -> Path:
    """Six sentences of each paragraph with the paragraph's number as title, in SciFact's layout; gains 1 and 2."""
    documents, queries, judged = [], [], []
    for number, paragraph in enumerate(_paragraphs(code)):
        for place, (start, end) in enumerate(paragraph["sentence_breaks"]):
            text = paragraph["context"][start:end]
            documents.append({"_id": f"{number}-{place}", "title": f"Paragraph {number}", "text": text, "metadata": {}})
        for question in paragraph["qas"]:
            queries.append({"_id": question["id"], "text": question["question"], "metadata": {}})
            at = question["answers"][0]["answer_start"]
            place = max(row for row, (start, _) in enumerate(paragraph["sentence_breaks"]) if start <= at)
            judged.append((question["id"], f"{number}-{place}", 2))
            judged.append((question["id"], f"{number}-{(place + 1) % 6}", 1))
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    for name, rows in (("corpus.jsonl", documents), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in judged)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def write_questions(path: Path, code: str, copies: int = COPIES) -> Path:
    """Questions with their passages, as `pairs build --qa` reads them."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for article in articles(code, copies):
            (paragraph,) = article["paragraphs"]
            for question in paragraph["qas"]:
                answer = question["answers"][0]
                row = {
                    "language": code,
                    "question": question["question"],
                    "passage": paragraph["context"],
                    "answer": answer["text"],
                    "answer_start": answer["answer_start"],
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def write_aligned(path: Path, languages: Sequence[str]) -> Path:
    """Aligned sentences, one record per line, as `pairs build --aligned` reads them."""
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(len(_paragraphs("en"))):
            for place in range(6):
                record = {}
                for code in languages:
                    paragraph = _paragraphs(code)[number]
                    start, end = paragraph["sentence_breaks"][place]
                    record[code] = paragraph["context"][start:end]
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return path
