"""The ranks of a collection, in memory or shard by shard."""

from __future__ import annotations

from time import perf_counter

from xlir_bench.collection import Collection
from xlir_bench.encoders import Encoder, Lookup, Model, VectorCache, encode_texts
from xlir_bench.encoders.encode import keeping_vectors
from xlir_bench.encoders.returned import check_same_width
from xlir_bench.encoders.verification import StoredCheck
from xlir_bench.engines.records import Records
from xlir_bench.engines.stream import STREAMED_ABOVE, Streamed, Streaming, stream
from xlir_bench.progress import SILENT, Progress
from xlir_bench.retrieval import DenseScorer, Heads, LexicalScorer, Scorer, count_outranked


def ranked(
    model: Model,
    collection: Collection,
    cache: VectorCache | Streaming | None,
    *,
    across_languages: bool,
    heads: Heads,
    progress: Progress = SILENT,
) -> Streamed:
    """Ranks of the collection: shard by shard where that was asked for or it is large, else at once.

    Args:
        model: ranks.
        collection: is ranked.
        cache: where vectors are kept, or how the corpus is streamed; None keeps nothing.
        across_languages: whether queries also search documents of other languages.
        heads: what is kept of the tops of rankings.
        progress: called with the number of texts encoded and queries ranked.

    Raises:
        InputError: the model gave something that is not a vector, or a score that is not a number.
    """
    streaming = cache if isinstance(cache, Streaming) else None
    large = len(collection.documents) > STREAMED_ABOVE and isinstance(model.retriever, Encoder | Lookup)
    if streaming is None and large:
        streaming = Streaming(cache=cache if isinstance(cache, VectorCache) else None)
    if streaming is not None:
        return stream(model, collection, streaming, across_languages=across_languages, heads=heads, progress=progress)
    since = perf_counter()
    texts_cache = cache_of_texts(cache, model)
    check = StoredCheck.of(model, collection)
    if check is not None:
        texts_cache = check.usable(texts_cache)
    with keeping_vectors(texts_cache, model.info):
        scorer, encoded, from_cache = _scorer(model, collection, texts_cache, check, progress)
        encode_s = perf_counter() - since
        ranks = count_outranked(scorer, collection, across_languages=across_languages, heads=heads, progress=progress)
    return Streamed(ranks, encode_s, encoded, from_cache, Records(None), check)


def cache_of_texts(cache: VectorCache | Streaming | None, model: Model) -> VectorCache | None:
    """Where the vectors of all texts are kept; None where a corpus is streamed, or there are none."""
    return cache if isinstance(cache, VectorCache) and isinstance(model.retriever, Encoder) else None


def _scorer(
    model: Model,
    collection: Collection,
    cache: VectorCache | None,
    check: StoredCheck | None,
    progress: Progress,
) -> tuple[Scorer, int, int]:
    """Scores of the collection by the model, with the number of texts that were encoded and that the cache held."""
    retriever = model.retriever
    if not isinstance(retriever, Encoder | Lookup):
        return LexicalScorer(retriever, collection), 0, 0
    documents = encode_texts(retriever, model.info, collection.documents, "document", cache=cache, progress=progress)
    queries = encode_texts(retriever, model.info, collection.queries, "query", cache=cache, progress=progress)
    check_same_width(model.info, queries.vectors, documents.vectors)
    if check is not None:
        check.learn("query", queries.vectors)
        check.learn("document", documents.vectors)
    scorer = DenseScorer(queries.vectors, documents.vectors, model.info.similarity)
    return scorer, queries.encoded + documents.encoded, queries.from_cache + documents.from_cache
