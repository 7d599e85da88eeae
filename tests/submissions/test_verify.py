"""Figures follow from ranks, ranks from the suite's judgements, and ranks from the encoder; what does not is named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import GivenScores

from xlir_bench import submissions
from xlir_bench.collection import Collection, Judgements, Texts
from xlir_bench.errors import InputError
from xlir_bench.results import load_ranks, ranks_path
from xlir_bench.results.exchange import write_trec
from xlir_bench.results.store import _write_ranks
from xlir_bench.retrieval import Unanswered, count_outranked
from xlir_bench.submissions.rerun import rerun
from xlir_bench.submissions.tables import impossible, read_ranks


def verdict(folder, **options):
    loaded = submissions.load(folder)
    return submissions.verify(loaded.results[0], files=loaded.files, **options)


def wrong(folder) -> list[str]:
    return [one.figure for one in verdict(folder).differences]


def rewrite(folder, change):
    path = folder / "results" / "xlir-mini.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def rerank(folder, **fields):
    """Change columns of the table of ranks."""
    path = ranks_path(folder / "results" / "xlir-mini.json")
    _write_ranks(replace(load_ranks(path), **fields), path)


def table(folder):
    return load_ranks(ranks_path(folder / "results" / "xlir-mini.json"))


def test_every_figure_of_a_true_result_follows(complete):
    found = verdict(complete)
    assert found.holds, found.differences[:5]
    assert found.figures > 1000
    assert found.against == ["the judgements of xlir-mini"]


@given(where=st.integers(0, 10**6), by=st.sampled_from([1e-3, -1e-3, 0.1, 1e-4]))
@settings(max_examples=15, deadline=None)
def test_any_score_that_was_touched_is_named(made, tmp_path_factory, where, by):
    folder = tmp_path_factory.mktemp("touched") / "lexical"
    shutil.copytree(made, folder)
    named = []

    def touch(document):
        row = document["scores"][where % len(document["scores"])]
        row["value"] += by
        named.append(f"{row['setting']} {row['query_language']}-{row['document_language']} {row['measure']}")

    rewrite(folder, touch)
    assert wrong(folder) == named


def test_queries_that_are_added_as_without_a_relevant_document_are_named(complete):
    """Zeros of queries that the suite does not have would lower a mean, and fewer of them raise it."""
    number = int(table(complete).query.max()) + 1
    rerank(complete, unanswered=Unanswered.listed([(number, "en:made-up", "made-up", "en", "en", "en:0.0.0")]))
    assert "queries without a relevant document" in wrong(complete)
    assert any(figure.startswith("monolingual en-en") for figure in wrong(complete))


def test_a_mean_that_was_touched_is_named(complete):
    rewrite(complete, lambda document: document["summary"]["multilingual"].update(AP=0.99))
    assert wrong(complete) == ["summary multilingual AP"]


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        (lambda d: d.update(ties=0.5), "ties"),
        (lambda d: d["scores"][0].update(queries=71), "monolingual ar-ar AP, queries"),
        (lambda d: d["scores"][0].update(documents=9), "monolingual ar-ar AP, documents"),
        (lambda d: d["intervals"]["monolingual"].update(AP=[0.1, 0.2]), "intervals monolingual_AP_0"),
        (lambda d: d["bias"]["summary"].update({next(iter(d["bias"]["summary"])): 7.0}), "bias summary_"),
        (lambda d: d["scores"].append(d["scores"][0]), "scores"),
        (lambda d: d["scores"].append({**d["scores"][0], "measure": "Made@Up"}), "monolingual ar-ar Made@Up"),
        (lambda d: d["scores"].append({**d["scores"][0], "query_language": "<b>"}), "monolingual <b>-ar AP"),
    ],
)
def test_counts_intervals_bias_and_invented_rows_are_recomputed_too(complete, change, figure):
    rewrite(complete, change)
    assert any(name.startswith(figure) for name in wrong(complete))


def test_a_row_that_was_left_out_to_raise_the_mean_is_named(complete):
    def hide(document):
        document["scores"] = [row for row in document["scores"] if row["query_language"] != "sw"]

    rewrite(complete, hide)
    assert "multilingual sw-* AP" in wrong(complete)


def test_hard_queries_cannot_be_left_out_of_the_ranks(complete):
    ranks = table(complete)
    keep = ranks.question != ranks.question[0]
    names = [one.name for one in dataclasses.fields(ranks) if isinstance(getattr(ranks, one.name), np.ndarray)]
    rerank(complete, **{name: getattr(ranks, name)[keep] for name in names}, leaders=None)
    (complete / "results" / "xlir-mini.leaders.parquet").unlink()
    assert "judgements left out" in wrong(complete)


def test_judgements_cannot_be_invented_or_changed(complete):
    ranks = table(complete)
    ids = ranks.document_id.copy()
    ids[0] = "ar:never"
    rerank(complete, document_id=ids, gain=np.where(np.arange(len(ranks)) == 5, 2.0, ranks.gain))
    found = wrong(complete)
    assert {"judgements left out", "judgements that the suite has not", "judgements changed"} <= set(found)


def test_data_of_another_fingerprint_are_not_the_suites(complete):
    rewrite(complete, lambda document: document["suite"].update(fingerprint="ab" * 32))
    assert wrong(complete) == ["data fingerprint"]


def test_a_suite_that_is_not_here_leaves_a_note(complete):
    rewrite(complete, lambda document: document["suite"].update(name="mteb:Never"))
    assert "was not compared" in verdict(complete).notes[0] or "were not compared" in verdict(complete).notes[0]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_counts_of_real_rankings_are_possible(seed):
    random = np.random.default_rng(seed)
    documents = random.integers(2, 12)
    codes = random.choice(["ar", "de", "th"], documents).tolist()
    collection = Collection(
        Texts(["q0", "q1"], ["x", "y"], ["ar", "de"]),
        Texts([f"d{n}" for n in range(documents)], ["t"] * documents, codes),
        Judgements.of((q, d, 1.0) for q in (0, 1) for d in range(documents) if d == q or random.random() < 0.5),
        ["q0", "q1"],
    )
    scores = random.integers(0, 4, (2, documents))
    assert impossible(count_outranked(GivenScores(scores), collection, across_languages=True)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda counts: counts + 10**6, "outside its pool"),
        (lambda counts: np.where(counts >= 0, -1, counts), "outside its pool"),
        (lambda counts: np.zeros_like(counts), "its counts belong to no order"),
        (lambda counts: counts[::-1], None),
    ],
)
def test_ranks_that_no_ranking_can_have_are_refused(complete, change, reason):
    ranks = table(complete)
    forged = np.ascontiguousarray(change(ranks.outranked)).astype(np.int32)
    rerank(complete, outranked=forged)
    found = verdict(complete)
    assert not found.holds
    if reason:
        assert reason in str(found.differences[0].recomputed)


def test_first_documents_that_contradict_the_counts_are_refused(complete):
    ranks = table(complete)
    assert impossible(ranks) is None
    place = ranks.leaders.place.copy()
    place[:, 0] = sum(ranks.pool_sizes) - 1 - place[:, 0]
    forged = replace(ranks, leaders=replace(ranks.leaders, place=place))
    assert impossible(forged) == "the first documents are others"


def test_a_better_rank_in_one_language_alone_belongs_to_no_order(complete):
    ranks = table(complete)
    first = np.flatnonzero(ranks.query == ranks.query[0])
    deepest = first[np.argmax(ranks.rank_in_pool[first])]
    forged = ranks.outranked.copy()
    own = ranks.languages.index(ranks.document_language[deepest])
    forged[deepest, (own + 1) % len(ranks.languages)] = 0
    assert impossible(replace(ranks, outranked=forged)) == "its counts belong to no order"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"\x80\x04\x95." * 50])
def test_a_table_that_is_none_is_one_difference(complete, content):
    ranks_path(complete / "results" / "xlir-mini.json").write_bytes(content)
    assert wrong(complete) == ["the table of ranks"]


def test_a_table_that_swells_is_refused_before_it_is_in_memory(complete, tmp_path):
    path = ranks_path(complete / "results" / "xlir-mini.json")
    pq.write_table(pa.table({"query": pa.array(np.zeros(9_000_000, np.int32))}), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="more than 8,000,000 rows"):
        read_ranks(complete / "results" / "xlir-mini.json")
    long = pa.array(["x" * 2000]).take(pa.array(np.zeros(1000, np.int64)))
    pq.write_table(pa.table({"query_id": long.dictionary_encode()}), path)
    with pytest.raises(InputError, match="an id of more than"):
        read_ranks(complete / "results" / "xlir-mini.json")


def test_runs_of_a_submission_must_not_contradict_its_ranks(complete, tmp_path):
    entry = submissions.load(complete).results[0]
    write_trec(entry, tmp_path, settings=["monolingual"])
    (complete / "runs").mkdir()
    shutil.copytree(tmp_path / "lexical" / "xlir-mini", complete / "runs" / "xlir-mini")
    assert verdict(complete).holds
    run = complete / "runs" / "xlir-mini" / "monolingual" / "de-de.run"
    lines = run.read_text().splitlines()
    judged = next(n for n, line in enumerate(lines) if "unjudged" not in line and line.split()[3] != "1")
    columns = lines[judged].split()
    lines[judged] = " ".join([*columns[:4], "999", columns[5]])
    run.write_text("\n".join(lines))
    figures = [one.said for one in verdict(complete).differences if "de-de.run" in one.figure]
    assert len(figures) == 1
    run.write_text("not a run\n")
    assert "not a line of a run" in str(verdict(complete).differences[0].recomputed)


def test_the_encoder_gives_its_own_ranks_again(complete):
    loaded = submissions.load(complete)
    found = rerun(loaded, loaded.results[0], 30)
    assert (found.equal, found.largest, found.queries) == (1.0, 0, 30)
    assert found.holds


def test_ranks_that_another_encoder_gave_are_not_its_own(complete):
    ranks = table(complete)
    shuffled = np.random.default_rng(1).integers(0, 144, ranks.outranked.shape).astype(np.int32)
    rerank(complete, outranked=shuffled)
    loaded = submissions.load(complete)
    from xlir_bench.submissions import rerun as room

    forged = table(complete)
    again = count_of(loaded)
    assert not room.compare("x", forged, again).holds


def count_of(loaded):
    """The ranks of a true sample."""
    from xlir_bench.encoders import resolve
    from xlir_bench.evaluation import evaluate
    from xlir_bench.submissions.rerun import sample
    from xlir_bench.suites import find, load

    suite = find("xlir-mini")
    return evaluate(resolve("bm25"), suite, sample(load(suite), loaded.results[0], 30)).ranks


@pytest.mark.parametrize(
    "source",
    [
        "adapter: openai\nsource: {server: 'http://127.0.0.1:9/v1', model: x}",
        "adapter: mteb\nsource: {mteb: some/model}",
    ],
)
def test_an_encoder_that_is_no_weights_is_never_run_from_a_submission(complete, source):
    manifest = (complete / "submission.yaml").read_text().replace("adapter: bm25", source)
    (complete / "submission.yaml").write_text(manifest)
    loaded = submissions.load(complete)
    assert loaded.manifest is not None, loaded.findings
    with pytest.raises(InputError, match="only encoders with weights of their own"):
        rerun(loaded, loaded.results[0], 5)


def columns(table):
    """Ways to spoil a column: without it, empty, text, not numbers, lists."""
    size = len(table)
    for place, name in enumerate(table.column_names):
        yield table.drop([name])
        yield table.set_column(place, name, pa.nulls(size, table.schema.field(name).type))
        yield table.set_column(place, name, pa.array(["<script>"] * size))
        yield table.set_column(place, name, pa.array(np.full(size, np.nan)))
        yield table.set_column(place, name, pa.array([[[1]]] * size))
    for header in (
        b"[" * 10**5,
        b"null",
        b"{}",
        b'{"languages": [[1]], "pool_sizes": [1]}',
        b'{"languages": [], "pool_sizes": "x"}',
    ):
        yield table.replace_schema_metadata({b"xlir-bench": header})
    yield table.slice(0, 0)


def test_a_table_with_columns_of_any_other_kind_never_follows_and_never_crashes(complete):
    path = ranks_path(complete / "results" / "xlir-mini.json")
    whole = pq.read_table(path)
    for number, spoiled in enumerate(columns(whole)):
        if {*whole.column_names} - {*spoiled.column_names} <= {"rank_in_language", "ahead"} and len(
            spoiled.column_names
        ) < len(whole.column_names):
            continue  # these follow from the others, or are not needed
        pq.write_table(spoiled, path)
        assert not verdict(complete).holds, number
