"""How inputs are varied while a network learns: small turns about the body's axis, shifts, left and right swapped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Strength:
    """How much is varied.

    Attributes:
        degrees: a turn in the plane of the slices is up to this, to either side.
        shift: along each axis, up to this share of its length.
        mirror: whether every second input has left and right swapped; wrong where the side matters.
    """

    degrees: float = 0.0
    shift: float = 0.0
    mirror: bool = False


STRENGTHS: dict[str, Strength | None] = {
    "none": None,
    "rotation": Strength(degrees=20.0),
    "own": Strength(degrees=10.0, shift=0.06, mirror=True),
}


def vary(array: np.ndarray, strength: Strength | None, rng: np.random.Generator) -> np.ndarray:
    """Another view of an input.

    Args:
        array: (k, j, i) values.
        strength: how much, None not at all.
        rng: decides.

    Returns:
        The same shape, float32; beyond the edges the outermost values go on.
    """
    if strength is None:
        return array
    angle = np.radians(rng.uniform(-strength.degrees, strength.degrees))
    shift = rng.uniform(-strength.shift, strength.shift, 3) * array.shape
    mirrored = strength.mirror and bool(rng.integers(2))
    shape = np.array(array.shape, dtype=float)
    # The turn is one of the picture, whose pixels need not be square: a turn in voxels would shear it only a little.
    stretch = shape[2] / shape[1]
    turn = np.array(
        [
            [1.0, 0.0, 0.0],
            [0.0, np.cos(angle), -np.sin(angle) / stretch],
            [0.0, np.sin(angle) * stretch, np.cos(angle)],
        ]
    )
    middle = (shape - 1) / 2
    result = ndimage.affine_transform(array, turn, middle - turn @ middle + shift, order=1, mode="nearest")
    return result[:, :, ::-1] if mirrored else result
