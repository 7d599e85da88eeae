"""What the tests of the encoders share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _two_threads():
    """Small models gain nothing from more, and lose much where the cores are busy with something else."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
