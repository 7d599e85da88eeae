"""AP, nDCG@10 and R@100 of XQuAD-R's 13,090 queries over the whole pool: xlir-bench, pytrec_eval and ranx, one run.

    pip install -c constraints.txt '.[test]'   # pytrec_eval and ranx
    python benchmarks/measures.py --data DIR [--queries 200]

All three start from the same matrix of scores (13,090 x 13,014) and end with one value per query and measure. The peers
want dictionaries or typed runs of every scored document: 170 million entries, more than memory holds. They are measured
on a sample of queries and extrapolated; their time is split into making their input and evaluating it, and the ratio of
the evaluation alone is printed beside the whole. ranx compiles its kernels before it is timed, as xlir-bench does.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
import numpy as np

from xlir_bench.collection import Collection
from xlir_bench.encoders import encode_texts, resolve
from xlir_bench.measures import parse
from xlir_bench.retrieval import DenseScorer, count_outranked
from xlir_bench.suites import find, load

NAMES = ("AP", "nDCG@10", "R@100")
AIM = 50


class Given:
    """A scorer that hands out rows of a finished matrix, so that no product is timed.

    The first search brings the columns into the order of the pool, in which a scorer would have made them.
    """

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores
        self._pool: np.ndarray | None = None

    def over(self, documents: np.ndarray) -> Any:
        if self._pool is None:
            self._pool = np.ascontiguousarray(self._scores[:, documents])
        pool = self._pool
        return lambda queries: pool[queries[0] : queries[-1] + 1]


def ours(collection: Collection, given: Given) -> tuple[float, dict[str, np.ndarray]]:
    """Seconds, and the values of each measure in query order."""
    start = perf_counter()
    table = count_outranked(given, collection, across_languages=True)
    rows = list(table.rows("multilingual"))
    values = {name: np.concatenate([parse(name)(row.judged) for row in rows]) for name in NAMES}
    seconds = perf_counter() - start
    order = np.argsort(np.concatenate([row.queries for row in rows]))
    return seconds, {name: found[order] for name, found in values.items()}


def _inputs(collection: Collection, scores: np.ndarray, queries: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = collection.documents.ids
    run = {collection.queries.ids[q]: dict(zip(names, scores[q].tolist(), strict=True)) for q in queries}
    qrels: dict[str, dict[str, int]] = {collection.queries.ids[q]: {} for q in queries}
    judgements = collection.judgements
    for q, d in zip(judgements.query.tolist(), judgements.document.tolist(), strict=True):
        if collection.queries.ids[q] in qrels:
            qrels[collection.queries.ids[q]][names[d]] = 1
    return qrels, run


def trec(collection: Collection, scores: np.ndarray, queries: list[int]) -> tuple[float, float, dict[str, np.ndarray]]:
    """Seconds of making the input, seconds of evaluating, values."""
    import pytrec_eval

    start = perf_counter()
    qrels, run = _inputs(collection, scores, queries)
    made = perf_counter()
    found = pytrec_eval.RelevanceEvaluator(qrels, {"map", "ndcg_cut.10", "recall.100"}).evaluate(run)
    done = perf_counter()
    keys = dict(zip(NAMES, ("map", "ndcg_cut_10", "recall_100"), strict=True))
    values = {name: np.array([found[collection.queries.ids[q]][key] for q in queries]) for name, key in keys.items()}
    return made - start, done - made, values


def ranx(collection: Collection, scores: np.ndarray, queries: list[int]) -> tuple[float, float, dict[str, np.ndarray]]:
    """Likewise."""
    from ranx import Qrels, Run, evaluate

    start = perf_counter()
    qrels, run = _inputs(collection, scores, queries)
    typed_qrels, typed_run = Qrels(qrels), Run(run)
    made = perf_counter()
    keys = dict(zip(NAMES, ("map", "ndcg@10", "recall@100"), strict=True))
    evaluate(typed_qrels, typed_run, list(keys.values()))
    done = perf_counter()
    values = {
        name: np.array([typed_run.scores[key][collection.queries.ids[q]] for q in queries])
        for name, key in keys.items()
    }
    return made - start, done - made, values


@click.command()
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Folder with xquad-r/.")
@click.option("--queries", default=200, show_default=True, help="Queries that the peers measure.")
@click.option("--runs", default=3, show_default=True, help="Runs; the median counts.")
@click.option("--json", "as_json", is_flag=True)
def main(data: Path, queries: int, runs: int, as_json: bool) -> None:
    """Print seconds and ratios."""
    if missing := [name for name in ("pytrec_eval", "ranx") if find_spec(name) is None]:
        raise click.ClickException(f"{' and '.join(missing)} not installed: pip install -c constraints.txt '.[test]'")
    collection = load(find("xquad-r"), data)
    model = resolve("random")
    sides = ((collection.queries, "query"), (collection.documents, "document"))
    vectors = [encode_texts(model.retriever, model.info, side, role).vectors for side, role in sides]
    total, pool = len(collection.queries), len(collection.documents)
    scores = DenseScorer(*vectors, "cosine").over(np.arange(pool))(np.arange(total))
    sample = np.linspace(0, total - 1, queries).round().astype(int).tolist()

    given = Given(scores)
    ours(collection, given)  # compiles, and orders the columns
    here = [ours(collection, given) for _ in range(runs)]
    seconds = median(found[0] for found in here)
    report: dict[str, Any] = {"xlir-bench": {"seconds": seconds}}
    click.echo(f"xlir-bench: {seconds:.2f} s for {total:,} queries x {pool:,} documents, {', '.join(NAMES)}")
    for name, peer in (("pytrec_eval", trec), ("ranx", ranx)):
        peer(collection, scores, sample[:3])
        found = [peer(collection, scores, sample) for _ in range(runs)]
        made, judged = (median(run[part] for run in found) * total / queries for part in (0, 1))
        difference = max(float(np.abs(here[0][1][m][sample] - found[0][2][m]).max()) for m in NAMES)
        report[name] = {"input_s": made, "evaluate_s": judged, "ratio": (made + judged) / seconds}
        click.echo(
            f"{name}: {made + judged:.0f} s (input {made:.0f}, evaluation {judged:.0f}; {queries} queries measured); "
            f"{(made + judged) / seconds:.0f} times slower, the evaluation alone {judged / seconds:.0f} (aim: {AIM}); "
            f"greatest difference of a value {difference:.1e}"
        )
    if as_json:
        click.echo(json.dumps(report))


if __name__ == "__main__":
    main()
