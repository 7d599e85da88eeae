"""YAML from elsewhere: suites, groups, policies, manifests, recipes and grids."""

from __future__ import annotations

import yaml
from guarded import fuzz
from hostile import content_of, documents

from xlir_bench.encoders import manifest
from xlir_bench.errors import XlirError
from xlir_bench.gating import read_policy
from xlir_bench.suites import load
from xlir_bench.suites.fetch import pins
from xlir_bench.suites.schema import Suite, read_declaration
from xlir_bench.suites.source import FileSource

_COMMON = """
name: given
version: 1
title: Given
description: A suite.
licence: MIT
citation: none
"""
SUITES = {
    "lareqa": yaml.safe_load(
        _COMMON
        + """
languages: [de, en, pt-BR]
source: {reader: lareqa, url: "https://example.org"}
settings: {monolingual: [AP, R@1], cross-lingual: [AP], multilingual: [AP, R@10, rank_distance]}
optional_settings: {}
expect: {queries: 72, documents: {de: 144, en: 144}}
"""
    ),
    "beir": yaml.safe_load(
        _COMMON
        + """
languages: [en]
source:
  reader: beir
  split: test
  self_matches: removed
  archive: {url: "https://example.org/a.zip", root: a, md5: 5f7d1de60b170fc8027bb7898e2efca1}
  sha256: {corpus.jsonl: f4a47c54e01f9dfe7f0cbbcae0e1df17c5a90d6553f3a9d5b1ba32184545b3d8}
settings: {monolingual: [nDCG@10, R@100, RR@10]}
expect: {fingerprint: ca30e29ace9c0163c2a26d6418c04aae0b1cb4b387bb635afcfe3833fd80b930}
"""
    ),
    "two sides": yaml.safe_load(
        _COMMON
        + """
languages: {queries: [en], documents: [zh]}
source: {reader: beir, corpus: corpus.jsonl, queries: queries.jsonl, qrels: "qrels/{split}.tsv"}
settings: {cross-lingual: [nDCG@10]}
"""
    ),
    "miracl": yaml.safe_load(
        _COMMON
        + """
languages: [ar, bn]
source:
  reader: miracl
  split: dev
  shards: {ar: 5, bn: 1}
  download: {miracl-: "https://example.org/{file}"}
settings: {monolingual: [nDCG@10]}
"""
    ),
    "group": {"name": "g", "title": "G", "description": "Some.", "suites": ["scifact", "xlir-mini"]},
}
POLICIES = {
    "default": yaml.safe_load(
        "{alpha: 0.05, rules: [{measure: primary, budget: 0.01}, {query_languages: each, budget: 5 %, floor: 0.2}, "
        "{suite: [xlir-mini], setting: cross-lingual, measure: [AP, nDCG@10], document_languages: [de, en], floor: 0}]}"
    )
}
MANIFESTS = {
    "folder": yaml.safe_load(
        "{name: a, source: {folder: .}, adapter: sentence-transformers, prompts: {query: q, document: d}, "
        "similarity: cosine, languages: {fallback: as-is, supported: [ar, bn]}, licence: MIT, parameters: 5, "
        "trained_on: [flores], audits: [audits/a.json], unaudited: [flores], description: D., truncate_dim: 8}"
    ),
    "hub": yaml.safe_load(
        "{name: b, source: {hub: a/b, revision: 791dc1c6d300846c9a747d4bd11fcc7f369b750e}, adapter: m2m100, "
        "pooling: mean, max_length: 512, languages: {supported: {all-but: [mi, te]}, fallback: error}, licence: MIT}"
    ),
    "server": yaml.safe_load(
        "{name: c, adapter: openai, licence: MIT, source: {server: 'https://example.org/v1', model: m, key: KEY, "
        "dimensions: 8, tokenizer: tokenizer.json}}"
    ),
}
RECIPES = {
    "static": yaml.safe_load(
        "{start: static, data: [train.parquet], strategy: hybrid, alpha: 0.5, steps: 4, batch: 5, seed: 1, "
        "static: {dimensions: 16, pieces: 20000, latent: 8}, early_stopping: {pairs: [dev.parquet], every: 1}}"
    ),
    "transformer": yaml.safe_load(
        "{start: {folder: model, adapter: transformers, pooling: mean, max_length: 64}, data: [train.parquet], "
        "epochs: 1.5, lr: 1.0e-4, loss: {name: cached-mnrl, scale: 20}, augmentation: {temperature: 0.5}}"
    ),
}
GRIDS = {
    "sweep": yaml.safe_load(
        "{base: {start: static, data: [t.parquet], steps: 4}, grid: {alpha: [0, 0.5], static.latent: [8, 9]}, "
        "also: [{strategy: contrastive}], seeds: [1, 2], held_out: [dev.parquet]}"
    )
}


def _accepted(arena, read, name, content):
    """What a reader makes of some content, where it accepts it."""
    path = arena.write(name, content)
    outcome = arena.examine(lambda: read(path))
    return None if isinstance(outcome, XlirError) else outcome


def test_fuzzed_suites(arena):
    for code in ("de", "en"):
        arena.write(f"data/{code}.json", b'{"version": "1", "data": []}')
    (arena.root / "target" / "outside").mkdir()

    def examine(drawn):
        suite = _accepted(arena, read_declaration, "given.yaml", content_of(SUITES, drawn))
        if isinstance(suite, Suite) and isinstance(suite.source, FileSource):
            arena.examine(lambda: load(suite, arena.target / "data"))
            arena.examine(lambda: pins(suite))

    fuzz(documents(SUITES), examine, share=0.08)


def test_fuzzed_policies(arena):
    fuzz(documents(POLICIES), lambda drawn: _accepted(arena, read_policy, "p.yaml", content_of(POLICIES, drawn)))


def test_fuzzed_manifests(arena):
    def examine(drawn):
        found = _accepted(arena, manifest.read, "submission.yaml", content_of(MANIFESTS, drawn))
        if found is not None:
            arena.examine(found.settings)

    fuzz(documents(MANIFESTS), examine)


def test_fuzzed_recipes(arena):
    from xlir_bench.training.recipe import read_recipe

    def examine(drawn):
        recipe = _accepted(arena, read_recipe, "recipe.yaml", content_of(RECIPES, drawn))
        if recipe is not None:
            arena.examine(lambda: (recipe.row_plan(), recipe.steps_over(1000), recipe.fingerprint(["a"])))

    arena.write("model/config.json", b"{}")
    arena.may_read_outside = True  # data and models are where the recipe says
    fuzz(documents(RECIPES), examine)


def test_fuzzed_grids(arena):
    from xlir_bench.training.grid import read_grid

    arena.may_read_outside = True  # so is its base
    fuzz(documents(GRIDS), lambda drawn: _accepted(arena, read_grid, "grid.yaml", content_of(GRIDS, drawn)))
