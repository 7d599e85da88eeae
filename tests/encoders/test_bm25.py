"""BM25: bm25s is the oracle, query by query and language by language."""

from __future__ import annotations

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_data import articles

from xlir_bench.encoders import resolve
from xlir_bench.encoders.bm25 import BM25, tokenise


def oracle(documents, languages, query):
    """bm25s's own scores of one query: an index per language, each asked alone."""
    scores = np.zeros(len(documents), np.float32)
    tokens = tokenise(query)
    for code in set(languages):
        rows = [row for row, language in enumerate(languages) if language == code]
        index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
        index.index([tokenise(documents[row]) for row in rows], show_progress=False)
        if tokens:
            scores[rows] = index.get_scores(tokens)
    return scores


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Die Größe der Brücke, 3.500 m!", ["die", "größe", "der", "brücke", "3", "500", "m"]),
        ("हिन्दी में कितने", ["हिन्दी", "में", "कितने"]),
        ("北京大学 in 1898年", ["北京", "京大", "大学", "in", "1898", "年"]),
        ("ที่นี่", ["ที่นี่"]),
        ("น้ำตก", ["น้ํา", "าต", "ตก"]),
        ("データは2つ", ["デー", "ータ", "タは", "2", "つ"]),
        ("GPT-4在中国", ["gpt", "4", "在中", "中国"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("ພາສາລາວ", ["ພາ", "າສ", "ສາ", "າລ", "ລາ", "າວ"]),
        ("ភាសាខ្មែរ។ ភាសា", ["ភាសា", "សាខ្មែ", "ខ្មែរ", "ភាសា"]),
        ("မြန်မာ၊ ၁၉၄၈", ["မြန်", "န်မ", "မာ", "၁၉", "၉၄", "၄၈"]),
        ("བོད་སྐད་ཡིག།", ["བོད", "སྐད", "ཡིག"]),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", ["full", "width"]),
        ("e\u0301te\u0301", ["\u00e9t\u00e9"]),
        ("?! …", []),
        ("", []),
    ],
)
def test_tokens(text, tokens):
    assert tokenise(text) == tokens


def test_a_vowel_sign_never_stands_alone():
    import unicodedata

    for text in ("กินข้าวที่บ้าน", "विश्वविद्यालय की स्थापना", "বাংলা ভাষা", "తెలుగు భాష"):
        assert all(not unicodedata.category(token[0]).startswith("M") for token in tokenise(text))


WORDS = st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "中文字", "ไทย", "नमस्ते", "ü"]), max_size=8).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(WORDS, st.sampled_from(["en", "zh"])), min_size=1, max_size=12),
    st.lists(WORDS, min_size=1, max_size=4),
)
def test_scores_are_those_of_bm25s(documents, queries):
    texts, codes = [text for text, _ in documents], [code for _, code in documents]
    for code in set(codes):
        if not any(tokenise(text) for text, language in documents if language == code):
            texts, codes = [*texts, "ab"], [*codes, code]  # bm25s divides by the mean length
    found = BM25().index(texts, codes).scores(queries, ["en"] * len(queries))
    assert found.dtype == np.float32
    for row, query in enumerate(queries):
        np.testing.assert_allclose(found[row], oracle(texts, codes, query), atol=1e-5)


def test_scores_are_those_of_bm25s_on_prose_of_four_languages():
    documents, codes, queries = [], [], []
    for code in ("de", "hi", "th", "zh"):
        for paragraph in (paragraph for article in articles(code, 2) for paragraph in article["paragraphs"]):
            sentences = [paragraph["context"][start:end] for start, end in paragraph["sentence_breaks"]]
            documents += sentences
            codes += [code] * len(sentences)
            queries.append(paragraph["qas"][0]["question"])
    found = BM25().index(documents, codes).scores(queries, [""] * len(queries))
    for row in range(0, len(queries), 5):
        np.testing.assert_allclose(found[row], oracle(documents, codes, queries[row]), rtol=1e-5, atol=1e-5)


def test_equal_texts_of_one_language_tie_exactly():
    generator = np.random.default_rng(0)
    words = [f"w{number}" for number in range(40)]
    texts = [" ".join(generator.choice(words, 12)) for _ in range(50)]
    queries = [" ".join(generator.choice(words, 9)) for _ in range(50)]
    scores = BM25().index([*texts, *texts], ["en"] * 100).scores(queries, ["en"] * 50)
    assert np.array_equal(scores[:, :50], scores[:, 50:])
    alone = BM25().index([*texts, *texts], ["en"] * 100).scores(queries[7:8], ["en"])
    assert np.array_equal(alone[0], scores[7])


def test_statistics_are_those_of_the_document_s_own_language():
    index = BM25().index(["rare", "word", "rare", "rare"], ["en", "en", "de", "de"])
    scores = index.scores(["rare"], ["en"])[0]
    assert scores[0] > scores[2] == scores[3] > 0
    assert scores[1] == 0


def test_a_query_without_a_known_token_scores_nothing():
    index = BM25().index(["one two", "!!"], ["en", "de"])
    assert index.scores(["never seen", "", "?"], ["en"] * 3).tolist() == [[0, 0]] * 3
    assert BM25().index(["!!"], ["en"]).scores(["a"], ["en"]).tolist() == [[0]]


def test_it_says_what_it_is():
    info = resolve("bm25").info
    assert (info.name, info.similarity) == ("bm25", "dot")
    assert info.details["method"] == "lucene"
    assert (info.details["k1"], info.details["b"]) == (1.5, 0.75)
