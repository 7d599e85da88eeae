"""Matrix products on one thread each, many of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def one_thread_per_product() -> Iterator[None]:
    """Within it, a matrix product runs on the thread that asks for it, so that threads may each have their own.

    It concerns the whole process. Where a library cannot be told, products only take turns.
    """
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@cache
def _libraries() -> Any:  # noqa: ANN401  (threadpoolctl has no types)
    import scipy.linalg.cython_blas  # noqa: F401  (compiled code takes its products from there: it is to be told too)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
