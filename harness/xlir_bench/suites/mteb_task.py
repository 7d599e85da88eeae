"""Text retrieval tasks of mteb, read through `mteb.get_task(...).load_data()`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

from xlir_bench.collection import Collection, Judgements, Texts, concatenate
from xlir_bench.columns import Constant
from xlir_bench.errors import InputError, unknown_name
from xlir_bench.languages import UNKNOWN_LANGUAGE, normalise
from xlir_bench.suites.library import (
    LibraryRecords,
    LibrarySource,
    library,
    library_data,
    library_version,
)
from xlir_bench.suites.names import LibraryName
from xlir_bench.suites.stored import positions, read_records

DOCUMENTS_FIRST = frozenset({"BelebeleRetrieval", "MLQARetrieval", "XPQARetrieval"})
"""Tasks whose subsets of two languages name the documents' first; all others name the queries' first."""


class MtebSource(LibrarySource):
    """A text retrieval task of mteb.

    Texts are as mteb gives them to an encoder: a document is its title, a space and its text; a query is followed by
    its instruction where it has one. A query's own id is left out of its ranking where the task says so.

    Attributes:
        task: mteb's name of it.
        split: which split; by default `test`, else the task's first.
        subset: the one subset that is read; None reads all.
    """

    empty_documents: ClassVar[bool] = True

    reader: Literal["mteb"]
    task: LibraryName
    split: LibraryName | None = None
    subset: LibraryName | None = None

    def pairs(self) -> dict[str, tuple[str, str]]:
        """Subset -> the codes of its queries and of its documents, of the subsets that are read.

        Raises:
            MissingResourceError: mteb is not installed.
            InputError: mteb has no such task or subset, or it is no retrieval of texts.
        """
        task = _task(self.task)
        found = subset_languages(self.task, task.metadata)
        if self.subset is None:
            return found
        if self.subset not in found:
            raise unknown_name(f"subset of {self.task}", self.subset, found, f"it has {' '.join(list(found)[:20])}")
        return {self.subset: found[self.subset]}

    def independent(self, languages: Sequence[str]) -> bool:
        """See `Source.independent`."""
        return all(queries == documents for queries, documents in self.pairs().values())

    def collection(self, languages: Sequence[str]) -> Collection:
        """See `LibrarySource.collection`. The languages of queries and of documents must both be asked for."""
        chosen = {name: pair for name, pair in self.pairs().items() if set(pair) <= set(languages)}
        if not chosen:
            raise InputError(f"mteb:{self.task}: no subset is in {' '.join(languages)} alone")
        split = self.split or default_split(_task(self.task).metadata)
        task = _loaded(self.task, split, list(chosen))
        several = len(self.pairs()) > 1
        with library_data(f"mteb:{self.task}"):
            parts = [
                self._part(task, (subset, split), pair, f"{pair[0]}:" if several else "")
                for subset, pair in chosen.items()
            ]
        return concatenate(parts)

    def _part(self, task: Any, place: tuple[str, str], pair: tuple[str, str], prefix: str) -> Collection:  # noqa: ANN401
        subset, split = place
        data = task.dataset[subset][split]
        name = f"mteb:{self.task} {subset} {split}"
        identity = (library_version("mteb"), str(task.metadata.dataset.get("revision")))
        rows = partial(_documents, data["corpus"])
        records = LibraryRecords(name, identity, len(data["corpus"]), rows, pair[1], prefix)
        documents = read_records(records)
        judged = {str(query): row for query, row in data["relevant_docs"].items() if row}
        asked = [(query, text) for query, text in _queries(data["queries"]) if query in judged]
        names = {prefix + document for row in judged.values() for document in row} | {prefix + q for q, _ in asked}
        document_at = positions(documents.ids, names)
        triples = []
        for row, (query, _) in enumerate(asked):
            for document, gain in judged[query].items():
                if prefix + document not in document_at:
                    raise InputError(f"{name}: query {query!r} is judged on {document!r}, which does not exist")
                triples.append((row, document_at[prefix + document], float(gain)))
        own = [(row, document_at[prefix + q], 0.0) for row, (q, _) in enumerate(asked) if prefix + q in document_at]
        ids = [prefix + query for query, _ in asked]
        return Collection(
            Texts(ids, [text for _, text in asked], Constant(pair[0], len(ids))),
            documents,
            Judgements.of(triples),
            list(ids),
            Judgements.of(own if task.ignore_identical_ids else ()),
        )


def subset_languages(name: str, metadata: Any) -> dict[str, tuple[str, str]]:  # noqa: ANN401  (mteb has its own types)
    """Subset -> codes of its queries and its documents."""
    declared = metadata.eval_langs
    subsets = declared if isinstance(declared, dict) else {"default": declared}
    found = {}
    for subset, tags in subsets.items():
        spoken = [normalise(tag) for tag in tags if not tag.endswith("-Code")] or [UNKNOWN_LANGUAGE]
        # Two tags are the two sides of a pair; of any other number, such as three kinds of Norwegian, the first stands.
        first, second = spoken if len(spoken) == 2 and isinstance(declared, dict) else (spoken[0], spoken[0])
        found[subset] = (second, first) if name in DOCUMENTS_FIRST else (first, second)
    return found


def parts_of(name: str) -> tuple[str, ...]:
    """The tasks that a task is the mean of, as CQADupstackRetrieval is of 12; none for a task with data of its own.

    Raises:
        MissingResourceError, InputError: see `MtebSource.pairs`.
    """
    task = _any_task(name)
    aggregate = library("mteb.abstasks.aggregated_task", f"mteb:{name}").AbsTaskAggregate
    return tuple(part.metadata.name for part in task.metadata.tasks) if isinstance(task, aggregate) else ()


def default_split(metadata: Any) -> str:  # noqa: ANN401
    """`test` where the task has it, else its first."""
    return "test" if "test" in metadata.eval_splits else str(metadata.eval_splits[0])


def _any_task(name: str, **chosen: Any) -> Any:  # noqa: ANN401
    mteb = library("mteb", f"mteb:{name}")
    try:
        return mteb.get_task(name, **chosen)
    except KeyError:
        known = [task.metadata.name for task in mteb.get_tasks(task_types=["Retrieval"], exclude_superseded=False)]
        raise unknown_name("task of mteb", name, known, "see mteb's list of retrieval tasks") from None


def _task(name: str, **chosen: Any) -> Any:  # noqa: ANN401
    task = _any_task(name, **chosen)
    retrieval = library("mteb.abstasks.retrieval", f"mteb:{name}")
    if not isinstance(task, retrieval.AbsTaskRetrieval) or list(task.metadata.modalities) != ["text"]:
        raise InputError(f"mteb:{name}: not a retrieval of texts but {task.metadata.type}; only those can be measured")
    return task


def _loaded(name: str, split: str, subsets: list[str]) -> Any:  # noqa: ANN401
    """The task with its data, in mteb's present form."""
    only = {"hf_subsets": subsets} if subsets != ["default"] else {}
    task = _task(name, eval_splits=[split], **only)
    if split not in task.metadata.eval_splits:
        raise InputError(f"mteb:{name}: no split {split!r}; it has {' '.join(task.metadata.eval_splits)}")
    if task.metadata.dataset.get("trust_remote_code"):
        raise InputError(f"mteb:{name}: its data come by running the publisher's code, which is not done for a suite")
    with library_data(f"mteb:{name}"):
        task.load_data()
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    return task


def _documents(corpus: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    for row in corpus:
        title = row.get("title") or ""
        yield str(row["id"]), f"{title} {row['text']}".strip() if title else row["text"].strip()


def _queries(queries: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    """(id, text) of every query, the text as mteb itself puts it together from question, turns and instruction."""
    loaders = library("mteb._create_dataloaders", "a task of mteb")
    types = library("mteb.types", "a task of mteb")
    texts = loaders._retrieval_texts(queries, types.PromptType.query)
    return [(str(query), text) for query, text in zip(queries["id"], texts, strict=True)]
