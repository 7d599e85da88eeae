"""Adam (Kingma and Ba, arXiv 1412.6980) for a table of which a step touches a few rows."""

from __future__ import annotations

import torch

FIRST_DECAY, SECOND_DECAY = 0.9, 0.99


class RowMoments:
    """Adam's moments of every row of a table.

    A row's moments age only with the steps that touch it, so that a rare piece moves as far per use as a frequent one,
    and a row that is never touched stays where it starts.

    Args:
        table: the moments are of its shape, (rows, dimensions).
        epsilon: what the root of the second moment is raised by.
        counts: type in which uses are counted, and the moments' bias is computed.
    """

    def __init__(self, table: torch.Tensor, epsilon: float, counts: torch.dtype) -> None:
        self.first, self.second = torch.zeros_like(table), torch.zeros_like(table)
        self.uses = torch.zeros(len(table), dtype=counts)
        self._epsilon = epsilon

    def age(self, rows: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take in the gradient of some rows.

        Args:
            rows: distinct, shape (touched,).
            gradient: shape (touched, dimensions).

        Returns:
            The first moment and the root of the second, both without their bias, the root raised by epsilon; of the
            gradient's shape. Adam moves a row against their quotient times the learning rate (algorithm 1).
        """
        self.uses[rows] += 1
        uses = self.uses[rows][:, None]
        first = self.first[rows].mul_(FIRST_DECAY).add_(gradient, alpha=1 - FIRST_DECAY)
        second = self.second[rows].mul_(SECOND_DECAY).addcmul_(gradient, gradient, value=1 - SECOND_DECAY)
        self.first[rows], self.second[rows] = first, second
        mean = first / (1 - FIRST_DECAY**uses).to(first.dtype)
        root = (second / (1 - SECOND_DECAY**uses).to(second.dtype)).sqrt_().add_(self._epsilon)
        return mean, root
