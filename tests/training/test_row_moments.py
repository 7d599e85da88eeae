"""Adam on a few rows of a table, against torch's Adam with a parameter for each row."""

from __future__ import annotations

import pytest
import torch

from xlir_bench.training.row_moments import FIRST_DECAY, SECOND_DECAY, RowMoments

ROWS, DIMENSIONS, RATE, EPSILON = 9, 5, 0.03, 1e-8


@pytest.mark.parametrize("counts", [torch.float32, torch.float64])
def test_each_row_moves_as_under_an_adam_of_its_own_that_skips_the_steps_without_it(counts: torch.dtype) -> None:
    torch.manual_seed(0)
    table = torch.randn(ROWS, DIMENSIONS)
    moments = RowMoments(table, EPSILON, counts)
    alone = [torch.nn.Parameter(row.clone()) for row in table]
    adam = torch.optim.Adam(alone, lr=RATE, betas=(FIRST_DECAY, SECOND_DECAY), eps=EPSILON)
    start = table.clone()
    for step in range(200):
        # The rows are touched from every step down to one step in 64; the last never is.
        touched = torch.tensor([row for row in range(ROWS - 1) if step % 2 ** min(row, 6) == 0])
        gradient = torch.randn(len(touched), DIMENSIONS) * 10.0 ** (step % 5 - 2)
        mean, root = moments.age(touched, gradient)
        table[touched] -= RATE * mean / root
        adam.zero_grad(set_to_none=True)
        for row, own in zip(touched.tolist(), gradient, strict=True):
            alone[row].grad = own.clone()
        adam.step()
    torch.testing.assert_close(table, torch.stack([row.detach() for row in alone]), rtol=1e-4, atol=1e-5)
    assert torch.equal(table[-1], start[-1])
    assert (table[:-1] != start[:-1]).all()


def test_the_gradient_that_was_given_is_left_as_it_is() -> None:
    gradient = torch.ones(2, DIMENSIONS)
    RowMoments(torch.zeros(ROWS, DIMENSIONS), EPSILON, torch.float64).age(torch.tensor([1, 3]), gradient)
    assert torch.equal(gradient, torch.ones(2, DIMENSIONS))
