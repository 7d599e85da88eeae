"""`audit`: which texts of a suite stand in training data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from xlir_bench.api.collection import Collection
from xlir_bench.api.evaluating import checked_languages, one_suite_of
from xlir_bench.api.options import as_path, refuse_others
from xlir_bench.errors import unknown_name
from xlir_bench.progress import SILENT, bar
from xlir_bench.suites import DEFAULT_SUITE, obtain
from xlir_bench.training.audit import SIDES, Audit, Rules, Side
from xlir_bench.training.audit import audit as hold_against

_ONLY: dict[str, Side] = {"queries": "query", "documents": "document"}


class AuditOptions(TypedDict, total=False):
    """What an audit looks at, and when texts count as the same; docs/audit.md.

    Attributes:
        languages: a part of the suite's languages.
        data: folder searched first for the suite's files.
        only: only these texts of the suite; a very large pool need not be in memory then.
        words: length of a gram, in words; 8 by default.
        stock: a gram in more texts than this is a stock phrase; 10 by default.
        progress: draw a bar per stage on standard error.
    """

    languages: Sequence[str] | None
    data: str | Path | None
    only: Literal["queries", "documents"] | None
    words: int
    stock: int
    progress: bool


def audit(
    training: str | Path | Sequence[str | Path],
    suite: str | Path | Collection = DEFAULT_SUITE,
    **options: Unpack[AuditOptions],
) -> Audit:
    """Find the texts of a suite in training data.

    Args:
        training: a file or a folder, or several: JSON lines, JSON, plain text, all with `.gz` too, and Parquet.
        suite: whose texts are looked for.
        options: see `AuditOptions`.

    Returns:
        The verdict and every pair of texts that overlap; `contaminated` says whether any text has leaked.

    Raises:
        InputError: something given is wrong, or a file is not what its name says.
        MissingResourceError: a file or folder is not there.

    Examples:
        >>> import tempfile, pathlib
        >>> import xlir_bench as xb
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     clean = pathlib.Path(folder, "train.txt")
        ...     _ = clean.write_text("nothing of the suite stands here")
        ...     xb.audit(clean, languages=["en"]).contaminated
        False
    """
    refuse_others(options, AuditOptions)
    only = options.get("only")
    if only is not None and only not in _ONLY:
        raise unknown_name("kind of texts", str(only), _ONLY, f"known: {', '.join(_ONLY)}")
    chosen = one_suite_of(suite)
    languages, data = options.get("languages"), options.get("data")
    places = training if isinstance(training, list | tuple) else [training]
    rules = Rules(options.get("words", Rules().words), options.get("stock", Rules().stock))
    with bar() if options.get("progress") else nullcontext(SILENT) as progress:
        collection = obtain(
            chosen,
            None if data is None else as_path(data, "data"),
            None if languages is None else checked_languages(languages),
            progress=progress,
        )
        return hold_against(
            [as_path(place, "training data") for place in places],
            chosen,
            collection,
            rules=rules,
            sides=SIDES if only is None else (_ONLY[only],),
            progress=progress,
        )
