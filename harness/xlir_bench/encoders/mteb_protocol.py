"""Models with mteb's interface, which are given what `mteb.evaluate` gives them on a retrieval task.

mteb's wrappers find a prompt by the task: its name, its type, whether a text is a query or a document, the task's own
prompt, and last the prompt of the task's class. Here a task of type `Retrieval` takes part that declares no prompt, as
mteb's own XQuADRetrieval and MLQARetrieval do, so that an instruct model gets the instruction of mteb's class for
retrieval tasks. Prompts that a model has for one task of mteb by name are not used.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, get_args

from xlir_bench.encoders.checkpoint import Foreign, package
from xlir_bench.encoders.protocol import Role, Vectors
from xlir_bench.errors import InputError

_WHO = "a model with mteb's interface"
_BATCH = 64
_ROLES: tuple[Role, ...] = get_args(Role)
_PROBE = "Where does the river meet the sea?"


@cache
def retrieval_task() -> Foreign:
    """The task that a model is told it takes part in: a subclass of mteb's `AbsTaskRetrieval`.

    mteb looks up the prompt of a task's class among the classes that exist, so this one is kept.

    Raises:
        MissingResourceError: mteb is not installed.
    """
    retrieval = package("mteb.abstasks.retrieval", _WHO).AbsTaskRetrieval
    metadata = package("mteb.abstasks.task_metadata", _WHO).TaskMetadata(
        name="XLIRBench",
        description="Cross-lingual retrieval with xlir-bench.",
        dataset={"path": "xlir-bench", "revision": "1"},
        type="Retrieval",
        category="t2t",
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )
    return type("XLIRBench", (retrieval,), {"metadata": metadata, "__doc__": metadata.description})


def prompt_type(role: Role) -> Foreign:
    """What mteb calls a role."""
    types = package("mteb.types", _WHO).PromptType
    return types.query if role == "query" else types.document


class MtebEncoder:
    """A model with mteb's `EncoderProtocol`.

    Args:
        model: the model.
        task: metadata of the task that it is told it takes part in; those of `retrieval_task` by default.
        options: given to every call of its `encode`, as mteb's `encode_kwargs`.
    """

    def __init__(self, model: Foreign, task: Foreign = None, options: Mapping[str, Any] | None = None) -> None:
        self.model = model
        self._task = retrieval_task().metadata if task is None else task
        self._options = {"batch_size": _BATCH, "show_progress_bar": False, **(options or {})}

    def encode(self, texts: Sequence[str], *, role: Role, languages: Sequence[str]) -> Vectors:
        """Shape (texts, dimensions)."""
        datasets = package("datasets", _WHO)
        data = package("torch.utils.data", _WHO)
        # As mteb does: queries have a second column of that name, documents are stripped and have their body beside it.
        columns = {"id": [str(row) for row in range(len(texts))]}
        if role == "query":
            columns |= {"text": list(texts), "query": list(texts)}
        else:
            columns |= {"text": [text.strip() for text in texts], "body": list(texts)}
        vectors: Vectors = self.model.encode(
            data.DataLoader(datasets.Dataset.from_dict(columns), batch_size=self._options["batch_size"]),
            task_metadata=self._task,
            hf_split="test",
            hf_subset="default",
            prompt_type=prompt_type(role),
            **self._options,
        )
        return vectors


def sent_prompts(model: Foreign) -> dict[str, str] | None:
    """The text that a model puts before queries and documents, by role; None where that cannot be known.

    Where the model is a wrapper around a `SentenceTransformer`, a text is encoded in each role, and what reaches
    `SentenceTransformer.encode` is looked at. Of other wrappers mteb's own functions are asked.
    """
    inner = inner_sentence_transformer(model)
    if inner is None:
        return _by_mtebs_functions(model)
    found = {}
    for role in _ROLES:
        prompt = _seen(model, inner, role)
        if prompt is None:
            return None
        found[str(role)] = prompt
    return found


def give_prompts(model: Foreign, prompts: Mapping[Role, str], who: str) -> None:
    """Have a loaded model put other texts before its queries or documents; a role that is not named keeps its own.

    Raises:
        InputError: the model's wrapper takes no prompts.
    """
    refused = InputError(
        f"{who}: its loader takes no prompts of others: leave out --query-prompt and --document-prompt"
    )
    inner = inner_sentence_transformer(model)
    if inner is None:
        raise refused
    if hasattr(model, "apply_instruction_to_passages"):
        own = model.get_task_instruction
        keep_bare = "document" not in prompts and not model.apply_instruction_to_passages

        def instruction(task_metadata: Foreign, prompt_type: Foreign) -> str:
            role: Role = "query" if prompt_type.value == "query" else "document"
            if role in prompts:
                return prompts[role]
            text: str = own(task_metadata, prompt_type)
            return text

        model.get_task_instruction = instruction
        model.apply_instruction_to_passages = not keep_bare
    else:
        # Of what may name a prompt, only the name of the task comes before this.
        named = {f"Retrieval-{role}": text for role, text in prompts.items()}
        model.model_prompts = {**(getattr(model, "model_prompts", None) or {}), **named}
        inner.prompts = {**(inner.prompts or {}), **named}
    sent = sent_prompts(model)
    if sent is None or any(sent[role] != text for role, text in prompts.items()):
        raise refused


def inner_sentence_transformer(model: Foreign) -> Foreign | None:
    """The `SentenceTransformer` that a wrapper of mteb has as its `model`."""
    library = sys.modules.get("sentence_transformers")
    inner = getattr(model, "model", None)
    return inner if library is not None and isinstance(inner, library.SentenceTransformer) else None


def _seen(model: Foreign, inner: Foreign, role: Role) -> str | None:
    """What stands before a text where it reaches the sentence-transformers model; None if nothing reaches it."""
    calls: list[dict[str, Any]] = []
    encode: Callable[..., Any] = inner.encode
    parameters = inspect.signature(encode)

    def recording(*arguments: object, **keywords: object) -> object:
        calls.append(dict(parameters.bind(*arguments, **keywords).arguments))
        return encode(*arguments, **keywords)

    inner.encode = recording
    try:
        MtebEncoder(model).encode([_PROBE], role=role, languages=["en"])
    except Exception:  # whatever foreign code raises; it raises it again when it is asked for vectors
        return None
    finally:
        del inner.encode
    if not calls:
        return None
    call = calls[0]
    texts = call[next(iter(parameters.parameters))]
    text = texts if isinstance(texts, str) else texts[0]
    if not isinstance(text, str) or not text.endswith(_PROBE):
        return None
    prompt = call.get("prompt")
    if prompt is None:
        name = call.get("prompt_name")
        prompt = inner.prompts.get(inner.default_prompt_name if name is None else name)
    return (prompt or "") + text.removesuffix(_PROBE)


def _by_mtebs_functions(model: Foreign) -> dict[str, str] | None:
    encoder = package("mteb.models.abs_encoder", _WHO)
    if not isinstance(model, encoder.AbsEncoder):
        return None
    task = retrieval_task().metadata
    if model.model_prompts:
        return {role: encoder.get_prompt(model.model_prompts, task, prompt_type(role)) or "" for role in _ROLES}
    if model.instruction_template or model.prompts_dict:
        return instructions(model)
    meta = getattr(model, "mteb_model_meta", None)
    return None if getattr(meta, "use_instructions", False) else {"query": "", "document": ""}


def instructions(model: Foreign) -> dict[str, str]:
    """What an instruct wrapper of mteb puts before a query and before a document of a retrieval task."""
    task = retrieval_task().metadata
    found = {str(role): str(model.get_task_instruction(task, prompt_type(role)) or "") for role in _ROLES}
    return found if getattr(model, "apply_instruction_to_passages", True) else {**found, "document": ""}
