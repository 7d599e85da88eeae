"""BM25, the lexical baseline: no vectors, but scores of a query against a pool.

Each language of the pool is an index of its own: how rare a word is and how long a document is are counted among the
documents of that language, as they would be in an engine that serves the language, not diluted by ten others. The
scores of all indexes are then compared as they are, in one pool. That is crude, for scores of two indexes are not on
one scale, but it is what a lexical engine has to offer across languages, and what a baseline should show. Documents of
one language that have equal texts tie exactly, since their scores are summed in the same order.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import regex

from xlir_bench.collection import Texts
from xlir_bench.encoders.checkpoint import Foreign, package
from xlir_bench.encoders.identity import VectorFields, digest_of, identified
from xlir_bench.encoders.protocol import LanguageSupport, Model, ModelInfo
from xlir_bench.languages import LANGUAGES

NAME = "bm25"
K1 = 1.5
B = 0.75
METHOD = "lucene"
TOKENS = (
    "NFKC, lower case; words of letters, marks and digits; bigrams of characters in scripts without spaces "
    "(Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan)"
)
"""Part of the fingerprint: to be changed with `tokenise`."""

# Scripts of the language table that put no space between words, and the characters that their words are written in:
# those of a Unicode script, without its punctuation where it has some. The mark of a long vowel belongs to no script,
# but stands within Japanese words only. In Tibetan and Dzongkha a mark (tsheg) ends each syllable and cuts the run.
_SPACELESS = {
    "Thai": r"\p{Thai}",
    "Hans": r"\p{Han}",
    "Hant": r"\p{Han}",
    "Jpan": r"\p{Han}\p{Hiragana}\p{Katakana}\u30FC",
    "Laoo": r"[\p{Lao}&&[\p{L}\p{M}\p{N}]]",
    "Khmr": r"[\p{Khmer}&&[\p{L}\p{M}\p{N}]]",
    "Mymr": r"[\p{Myanmar}&&[\p{L}\p{M}\p{N}]]",
    "Tibt": r"[\p{Tibetan}&&[\p{L}\p{M}\p{N}]]",
}
_CLASS = "".join(sorted({_SPACELESS[row.script] for row in LANGUAGES.values() if row.script in _SPACELESS}))
_RUN = regex.compile(
    rf"(?P<spaceless>[{_CLASS}][{_CLASS}\p{{M}}]*)|(?:(?![{_CLASS}])[\p{{L}}\p{{M}}\p{{N}}])+", regex.V1
)
_CHARACTER = regex.compile(r"\X")


def tokenise(text: str) -> list[str]:
    r"""The tokens of a query or a document.

    Words are runs of letters, combining marks and digits (`\p{L}\p{M}\p{N}`): without the marks, a vowel sign would cut
    a Hindi word in two. Runs of a script that puts no space between words (Thai, Lao, Khmer, Burmese, Tibetan, Chinese,
    Japanese) become overlapping pairs of characters, a character being a letter with its marks; a run of one character
    is a token itself.
    """
    tokens: list[str] = []
    for run in _RUN.finditer(unicodedata.normalize("NFKC", text).lower()):
        if run["spaceless"] is None:
            tokens.append(run[0])
            continue
        characters = _CHARACTER.findall(run[0])
        if len(characters) == 1:
            tokens.append(run[0])
        else:
            tokens += [first + second for first, second in pairwise(characters)]
    return tokens


class BM25:
    """Lucene's BM25 as `bm25s` computes it, with k1 = 1.5 and b = 0.75."""

    def index(self, documents: Sequence[str], languages: Sequence[str]) -> BM25Index:
        """An index over `documents`, one set of statistics per language."""
        vocabulary: dict[str, int] = {}
        tokens = [[vocabulary.setdefault(t, len(vocabulary)) for t in tokenise(text)] for text in documents]
        sparse = package("scipy.sparse", "BM25")
        weights = sparse.csr_matrix((len(vocabulary), len(documents)), dtype=np.float32)
        for rows in Texts(languages, documents, languages).rows_by_language.values():
            weights = weights + _weights([tokens[row] for row in rows], rows, weights.shape)
        return BM25Index(vocabulary, weights)


class BM25Index:
    """The weight of every token in every document of a pool.

    Args:
        vocabulary: the row of each token.
        weights: a scipy CSR matrix, shape (tokens, documents).
    """

    def __init__(self, vocabulary: dict[str, int], weights: Foreign) -> None:
        self._vocabulary = vocabulary
        self._weights = weights

    def scores(self, queries: Sequence[str], languages: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (queries, documents); zeros where no token of the query is known. `languages` is not used."""
        sparse = package("scipy.sparse", "BM25")
        known = [[self._vocabulary[t] for t in tokenise(text) if t in self._vocabulary] for text in queries]
        starts = np.concatenate([[0], np.cumsum([len(row) for row in known], dtype=np.int64)])
        columns = np.array([column for row in known for column in row], dtype=np.int64)
        counts = sparse.csr_matrix(
            (np.ones(len(columns), np.float32), columns, starts), shape=(len(queries), self._weights.shape[0])
        )
        # A token that occurs twice counts twice; sorted tokens make the order of summation the same everywhere.
        counts.sum_duplicates()
        scores: npt.NDArray[np.float32] = (counts @ self._weights).toarray()
        return scores


def load(model_id: str, language_support: LanguageSupport | None = None) -> Model:
    """The model of `bm25`.

    Args:
        model_id: as typed.
        language_support: as a manifest declares it; every language if none is given.
    """
    settings = {"method": METHOD, "k1": K1, "b": B, "tokens": TOKENS}
    support = language_support or LanguageSupport()
    info = ModelInfo(
        id=model_id,
        name="bm25",
        fingerprint="",
        similarity="dot",
        details={"adapter": NAME, "statistics": "per document language", "trained_on": [], **settings},
    )
    fields = VectorFields(NAME, digest_of(NAME), settings, support)
    return Model(identified(info, fields), BM25(), support)


def _weights(tokens: list[list[int]], rows: npt.NDArray[np.int64], shape: tuple[int, int]) -> Foreign:
    """The weights that one language's documents give their tokens, in the columns `rows` of the whole pool's matrix."""
    sparse = package("scipy.sparse", "BM25")
    if not any(tokens):
        return sparse.csr_matrix(shape, dtype=np.float32)
    index = package("bm25s", "BM25").BM25(k1=K1, b=B, method=METHOD)
    every_token = {number: number for number in range(shape[0])}
    index.index((tokens, every_token), create_empty_token=False, show_progress=False)
    # bm25s keeps (documents, tokens) by column, which read by row is (tokens, documents).
    data, indices, starts = (index.scores[part] for part in ("data", "indices", "indptr"))
    return sparse.csr_matrix((data, rows[indices], starts), shape=shape, dtype=np.float32)
