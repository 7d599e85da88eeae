"""Suites that nobody declared: from a folder's layout, or from what a library says of its data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xlir_bench.errors import InputError
from xlir_bench.languages import UNKNOWN_LANGUAGE, distinct, is_listed, normalise
from xlir_bench.suites.beir import BeirSource, has_corpus, splits
from xlir_bench.suites.ir_dataset import IrDatasetsSource
from xlir_bench.suites.mteb_task import MtebSource, parts_of
from xlir_bench.suites.schema import MOST_OF_NAME, Group, Suite, declare, read_suite
from xlir_bench.suites.translated import DECLARATION

_MEASURES = ["nDCG@10", "R@100", "RR@10"]
_PARALLEL_MEASURES = {"monolingual": ["AP", "R@1"], "cross-lingual": ["AP", "R@1"]}
_POOL_MEASURES = {"multilingual": ["AP", "R@10", "rank_distance"]}
# Names of files that can only be languages: `de`, `pt-BR`, `zh_Hant`, and not `metadata` or `fetched`.
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_MTEB = re.compile(r"(?P<task>[^/@]+)(/(?P<subset>[^@]+))?(@(?P<split>.+))?")


def declared_by_library(name: str) -> Suite | Group | None:
    """The suite of `mteb:TASK`, `mteb:TASK/SUBSET`, each with `@SPLIT` or without, or of `ir_datasets:ID`.

    A task whose subsets are each in one language of its own is one suite. Any other task is a group with a suite per
    subset, since each of its subsets has its own pool.

    Returns:
        None where the name begins with neither library.

    Raises:
        MissingResourceError: the library is not installed.
        InputError: the library has no such thing.
    """
    library, _, rest = name.partition(":")
    if library == "ir_datasets":
        return _of_ir_datasets(rest)
    if library == "mteb":
        match = _MTEB.fullmatch(rest)
        if match is None:
            raise InputError(f"{name}: expected mteb:TASK, mteb:TASK/SUBSET or mteb:TASK@SPLIT")
        return _of_mteb(name, match["task"], match["subset"], match["split"])
    return None


def declared_by_folder(path: Path) -> Suite:
    """The suite of a folder: declared by its `suite.yaml`, or by the layout of BEIR or LAReQA.

    A BEIR folder, a folder of BEIR folders by language, and a folder in LAReQA's layout need no declaration. Folders
    and files are named by any tag of their language (`pt-BR`, `zho`); the suite has its code (`pt`, `zh`). A BEIR
    folder whose name is no listed language is in `und`, to be named when loading.

    Raises:
        InputError: the folder has none of these layouts, its declaration is wrong, a folder or file with a collection
            has a name that is no listed language, or two name the same.
    """
    place = path.resolve()
    if (place / DECLARATION).is_file():
        return read_suite(place / DECLARATION).model_copy(update={"place": place})
    if has_corpus(place):
        code = normalise(place.name) if is_listed(place.name) else UNKNOWN_LANGUAGE
        source = {"reader": "beir", "split": _split(place)}
        return _own(place, [code], source, {"monolingual": _MEASURES})
    by_language = sorted({child.parent.name for child in place.glob("*/corpus.jsonl*") if has_corpus(child.parent)})
    if by_language:
        languages = _languages(place, by_language)
        source = {"reader": "beir", "folder": "{language}", "split": _split(place / by_language[0])}
        settings = {"monolingual": _MEASURES} | ({"multilingual": _MEASURES} if len(by_language) > 1 else {})
        return _own(place, languages, source, settings)
    files = sorted(child.stem for child in place.glob("*.json") if _TAG.fullmatch(child.stem))
    if files:
        languages = _languages(place, files)
        settings = {**_PARALLEL_MEASURES, **_POOL_MEASURES} if len(files) > 1 else {"monolingual": ["AP", "R@1"]}
        return _own(place, languages, {"reader": "lareqa"}, settings)
    raise InputError(
        f"{path}: no collection: expected corpus.jsonl with queries.jsonl and qrels/, folders of these named by "
        f"language code, <language code>.json in LAReQA's layout, or a suite's {DECLARATION}"
    )


def _languages(place: Path, names: list[str]) -> list[str]:
    """The names of folders or files, each a tag of another listed language, in the order of the languages' codes.

    Raises:
        InputError: a name is no listed language, or two name the same.
    """
    strange = [name for name in names if not is_listed(name)]
    if strange:
        raise InputError(
            f"{place}: not named by a listed language: {', '.join(strange)}; rename them to tags of their languages "
            "(de, pt-BR), or move them away; a collection of one language can be given by itself, with --languages CODE"
        )
    found = distinct(names, f"{place}:")
    return [found[code] for code in sorted(found)]


def between(suite: Suite, query_language: str, document_languages: Sequence[str]) -> Suite:
    """An own collection with its queries in one language and its documents in others.

    Its settings are those that there are pairs of languages for, each with the measures of the suite's first setting.

    Args:
        suite: of one BEIR folder.
        query_language: a code.
        document_languages: one or several; of several, each record of the corpus names its own in the field `language`.

    Raises:
        InputError: the suite is not of one BEIR folder of one's own, or a language is unknown.
    """
    source = suite.source
    single = isinstance(source, BeirSource) and source.query_language is None and "{language}" not in source.folder
    if not single or suite.place is None:
        raise InputError(
            f"{suite.name}: --query-language and --document-language are for a BEIR folder of one's own; in a suite's "
            "YAML write `languages: {queries: [en], documents: [zh]}`"
        )
    query_language, document_languages = normalise(query_language), list(distinct(document_languages, suite.name))
    measures = list(next(iter(suite.settings.values())))
    possible = {
        "monolingual": query_language in document_languages,
        "cross-lingual": any(code != query_language for code in document_languages),
        "multilingual": len(document_languages) > 1,
    }
    content = suite.model_dump(exclude={"optional_settings", "languages", "settings"}, exclude_defaults=True)
    content["languages"] = {"queries": [query_language], "documents": list(document_languages)}
    content["settings"] = {setting: measures for setting, there in possible.items() if there}
    content["source"]["reader"] = source.reader
    return declare({**content, "place": suite.place, "file": suite.file, "by_layout": suite.by_layout})


def with_sides(
    suites: Sequence[Suite], query_language: str | None, document_language: str | Sequence[str] | None
) -> list[Suite]:
    """The suites, with their queries in one language and their documents in others where that was asked for.

    Raises:
        InputError: only one side was named, or a suite cannot have two.
    """
    if query_language is None and document_language is None:
        return list(suites)
    if query_language is None or document_language is None:
        raise InputError("--query-language and --document-language belong together: give both")
    documents = [document_language] if isinstance(document_language, str) else list(document_language)
    return [between(suite, query_language, documents) for suite in suites]


def _split(place: Path) -> str:
    """`test` where there is one, else the only split."""
    found = splits(place)
    if "test" in found or not found:
        return "test"
    if len(found) > 1:
        raise InputError(f"{place / 'qrels'}: no test.tsv but {', '.join(found)}; declare the split in a suite's YAML")
    return found[0]


def _own(place: Path, languages: list[str], source: dict[str, Any], settings: dict[str, list[str]]) -> Suite:
    return declare(
        {
            "name": _as_name(place.name),
            "version": 1,
            "title": place.name,
            "description": f"The collection in {place}.",
            "licence": "not stated",
            "citation": "none",
            "languages": languages,
            "source": source,
            "settings": settings,
            "place": place,
            "by_layout": True,
        }
    )


def _of_ir_datasets(name: str) -> Suite:
    source = IrDatasetsSource(reader="ir_datasets", id=name)
    spoken = sorted(set(source.languages()))
    setting = "monolingual" if len(spoken) == 1 else "cross-lingual"
    return declare(
        {
            "name": _as_name(f"ir_datasets.{name}"),
            "version": 1,
            "title": f"{name}, by ir_datasets",
            "description": f"What the library ir_datasets knows as {name}.",
            "licence": "see https://ir-datasets.com",
            "citation": f"https://ir-datasets.com/{name.partition('/')[0]}",
            "languages": spoken,
            "source": source.model_dump(),
            "settings": {setting: _MEASURES},
        }
    )


def _of_mteb(asked: str, task: str, subset: str | None, split: str | None) -> Suite | Group:
    at_split = f"@{split}" if split else ""
    source = MtebSource(reader="mteb", task=task, subset=subset, split=split)
    parts = parts_of(task) if subset is None else ()
    if parts:
        return _group(asked, task, [f"mteb:{name}{at_split}" for name in parts])
    pairs = source.pairs()
    of_documents = [documents for _, documents in pairs.values()]
    if len(pairs) > 1 and (any(q != d for q, d in pairs.values()) or len(set(of_documents)) < len(pairs)):
        return _group(asked, task, [f"mteb:{task}/{name}{at_split}" for name in pairs])
    spoken = sorted({code for pair in pairs.values() for code in pair})
    crossing = any(query != document for query, document in pairs.values())
    return declare(
        {
            "name": _as_name(asked.replace(":", ".")),
            "version": 1,
            "title": f"{task}, by mteb",
            "description": f"mteb's task {task}" + (f", subset {subset}." if subset else "."),
            "licence": "see mteb's description of the task",
            "citation": "see mteb's description of the task",
            "languages": spoken,
            "source": source.model_dump(),
            "settings": {"cross-lingual" if crossing else "monolingual": _MEASURES},
        }
    )


def _group(asked: str, task: str, members: list[str]) -> Group:
    return Group(
        name=_as_name(asked.replace(":", ".")),
        title=f"{task}, by mteb",
        description=f"mteb's task {task}: a suite for each of its {len(members)} parts.",
        suites=tuple(members),
    )


def _as_name(text: str) -> str:
    """A suite's name from any text: lower case, and a dot for what a name cannot have."""
    return re.sub(r"[^a-z0-9._-]+", ".", text.lower()).strip("._-")[:MOST_OF_NAME] or "own"
