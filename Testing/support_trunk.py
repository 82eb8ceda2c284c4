"""A trunk made of a few shapes, on a table: small scans whose patient and equipment are known exactly."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells
from CTVolumeLib.volume import CTVolume

AIR, LUNG, FOAM, FAT, MUSCLE, SHELL, BONE = -1000, -850, -850, -100, 50, 100, 500
SPACING = (2.0, 2.0, 3.0)
SHAPE = (30, 120, 140)
MIDDLE = (50, 70)
"""Row and column of the trunk's axis."""


def places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slice, row and column of each voxel."""
    return np.meshgrid(*(np.arange(size) for size in SHAPE), indexing="ij")


def ellipse(row: float, column: float, rows: float, columns: float) -> np.ndarray:
    """(k, j, i) bool: a cylinder along z."""
    _, j, i = places()
    return ((j - row) / rows) ** 2 + ((i - column) / columns) ** 2 <= 1


def trunk(hu: np.ndarray) -> np.ndarray:
    """Draw muscle in a layer of fat, with two lungs and a spine; returns all that is inside the skin."""
    row, column = MIDDLE
    inside = ellipse(row, column, 32, 48)
    hu[inside] = FAT
    hu[ellipse(row, column, 27, 43)] = MUSCLE
    for side in (-1, 1):
        hu[ellipse(row - 2, column + 20 * side, 18, 14)] = LUNG
    hu[ellipse(row + 18, column, 6, 6)] = BONE
    return inside


def table(hu: np.ndarray, row: int = 90) -> np.ndarray:
    """Draw a table of foam in a shell with its surface in a row; returns it."""
    _, j, i = places()
    whole = (j >= row) & (j < row + 14) & (i >= 12) & (i < 128)
    hu[whole] = SHELL
    hu[(j >= row + 2) & (j < row + 12) & (i >= 14) & (i < 126)] = FOAM
    return whole


def scan(noise: float = 8.0, draw=()) -> tuple[CTVolume, list[np.ndarray]]:
    """A scan with noise of what some functions draw, and what each of them drew."""
    hu = np.full(SHAPE, AIR, np.float32)
    drawn = [function(hu) for function in draw]
    hu += np.random.default_rng(3).normal(0, noise, SHAPE)
    return CTVolume(np.rint(hu).astype(np.int16), SPACING), drawn


def cells_from(hu: np.ndarray, spacing: tuple[float, float, float] = SPACING) -> Cells:
    """HU as cells, one voxel each."""
    return Cells(hu.astype(np.int16), spacing, (1, 1, 1))
