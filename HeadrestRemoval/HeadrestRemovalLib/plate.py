"""A surface from some of its heights: a thin plate, bent as little as they ask for. So skin goes on unseen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import linalg, sparse

_STIFFNESS_MM4 = 26.0
"""Evens out what is as small as a voxel, and no more."""


def fit(height: np.ndarray, weight: np.ndarray, where: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Heights of a thin plate.

    Args:
        height: (k, i) mm.
        weight: (k, i) how far each is to be believed, 0 where none is known; some are above 0.
        where: (k, i) bool: where the plate is wanted.
        size: mm of a sample along k and i.

    Returns:
        (k, i) mm, the mean of what is known outside of ``where``.
    """
    if np.count_nonzero(where.any(axis=0)) > np.count_nonzero(where.any(axis=1)):
        return fit(height.T, weight.T, where.T, size[::-1]).T  # numbered across the shorter side neighbours are nearer
    number = np.full(height.shape, -1)
    number[where] = np.arange(np.count_nonzero(where))
    unit = min(size)
    along, across = (one / unit for one in size)
    bends = (
        ((number[:-2], number[1:-1], number[2:]), np.array([1, -2, 1]) / along**2),
        ((number[:, :-2], number[:, 1:-1], number[:, 2:]), np.array([1, -2, 1]) / across**2),
        (
            (number[:-1, :-1], number[1:, :-1], number[:-1, 1:], number[1:, 1:]),
            np.sqrt(2) * np.array([1, -1, -1, 1]) / (along * across),
        ),
    )
    bend = sparse.vstack([_sums(samples, factors, np.count_nonzero(where)) for samples, factors in bends])
    known = sparse.diags(weight[where].astype(float))
    mean = float(np.average(height, weights=weight))
    # The last term keeps samples that nothing is joined to from being undetermined.
    matrix = known + _STIFFNESS_MM4 / unit**4 * (bend.T @ bend) + 1e-9 * sparse.identity(bend.shape[1])
    result = np.full(height.shape, mean)
    result[where] += _solved(matrix.tocoo(), known @ (height[where] - mean))
    return result


def _solved(matrix: sparse.coo_matrix, values: np.ndarray) -> np.ndarray:
    """(n,) x of matrix x = values; neighbours have near numbers, so that all that is not 0 lies near the diagonal."""
    above = matrix.row <= matrix.col
    row, column = matrix.row[above], matrix.col[above]
    width = int((column - row).max(initial=0))
    bands = np.zeros((width + 1, len(values)))
    bands[width + row - column, column] = matrix.data[above]
    return linalg.solveh_banded(bands, values, overwrite_ab=True, overwrite_b=True)


def _sums(samples: Sequence[np.ndarray], factors: np.ndarray, count: int) -> sparse.csr_matrix:
    """A matrix whose rows are weighted sums of neighbouring samples, of those that are all wanted."""
    numbers = np.stack([one.ravel() for one in samples])
    numbers = numbers[:, (numbers >= 0).all(axis=0)]
    rows = numbers.shape[1]
    place = (np.tile(np.arange(rows), len(numbers)), numbers.ravel())
    return sparse.csr_matrix((np.repeat(factors, rows), place), shape=(rows, count))
