"""The classic recipe for lungs, step by step, as tutorials on chest CT teach it: to learn from and to compare with.

Threshold; the air around the body from the corners; the largest solid part of each slice, whose holes are lung; the
largest pockets of air; filled minus unfilled. It fails where lungs touch something as dense or where the table encloses
air; ``lungs.segment`` is what to use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .shapes import IN_SLICE, largest

BACKGROUNDS = ("corner", "corners", "edges")


@dataclass(frozen=True)
class RecipeOptions:
    """The recipe's choices.

    Attributes:
        threshold_hu: what is darker is air or lung.
        background: the air around the body is what is connected to the first "corner" (as the first tutorials had it;
            it misses air that the table cuts off), to all eight "corners", or to all side "edges".
        fill: whether the solid part of each slice is filled, so that vessels are inside.
        pockets: how many of the largest pockets of air are kept.
    """

    threshold_hu: float = -320.0
    background: str = "corners"
    fill: bool = True
    pockets: int = 1


@dataclass(frozen=True, eq=False)
class Recipe:
    """What each step gives, all (k, j, i) bool on the axial volume's grid.

    Attributes:
        air: darker than the threshold.
        body: what is not the air around the patient.
        filled: pockets of air, with what is dense in them.
        unfilled: pockets of air without that.
    """

    air: np.ndarray
    body: np.ndarray
    filled: np.ndarray
    unfilled: np.ndarray

    def difference(self) -> np.ndarray:
        """(k, j, i) bool: filled minus unfilled, the vessels and nodules."""
        return self.filled & ~self.unfilled


def follow(volume: CTVolume, options: RecipeOptions | None = None) -> Recipe:
    """Do the recipe's steps.

    Args:
        volume: a CT; its slices are brought into axial order.
        options: the choices.
    """
    options = options or RecipeOptions()
    air = volume.as_axial().array < options.threshold_hu
    around = around_the_body(air, options.background)
    body = ~around
    inner = air & body
    filled = fill_solid(inner) if options.fill else inner
    return Recipe(air, body, keep_pockets(filled, options.pockets), keep_pockets(inner, options.pockets))


def around_the_body(air: np.ndarray, background: str) -> np.ndarray:
    """The air that is connected to a corner, to all corners, or to the side edges."""
    labels, count = ndimage.label(air)
    ends = (0, -1)
    if background == "corner":
        seeds = labels[:1, 0, 0]
    elif background == "corners":
        seeds = np.array([labels[k, j, i] for k in ends for j in ends for i in ends])
    else:
        seeds = np.concatenate([labels[:, ends].ravel(), labels[:, :, ends].ravel()])
    chosen = np.isin(np.arange(count + 1), seeds)
    chosen[0] = False
    return chosen[labels]


def fill_solid(inner: np.ndarray) -> np.ndarray:
    """All that is not the largest solid part of its slice: the pockets of air with what they enclose."""
    labels, count = ndimage.label(~inner, IN_SLICE)
    slices = len(inner)
    owner = np.zeros(count + 1, int)
    for k, plane in enumerate(labels):
        owner[np.unique(plane)] = k
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    best = np.zeros(slices, int)
    for number in np.argsort(sizes):  # the last one written for a slice is the largest
        best[owner[number]] = number
    solid = np.zeros(count + 1, bool)
    solid[best] = True
    solid[0] = False
    return ~solid[labels]


def keep_pockets(mask: np.ndarray, count: int) -> np.ndarray:
    """The largest connected parts."""
    if count == 1:
        return largest(mask)
    labels, found = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=found + 1)
    sizes[0] = 0
    kept = np.zeros(found + 1, bool)
    kept[np.argsort(-sizes)[:count]] = True
    kept[0] = False
    return kept[labels]
