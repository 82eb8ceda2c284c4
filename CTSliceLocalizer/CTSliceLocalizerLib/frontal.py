"""Pictures of the body from the front, drawn straight along the spine, and what networks say of them.

A few landmarks are plain in such a picture, as in a radiograph, that are hard to tell in single slices. For each kind
of picture (a view: ``skeleton``, ``airway``) there is a network of its own, which sees nothing else, so that it can't
lean on what lies elsewhere in each patient. What it says is joined with what the slices say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.special import log_softmax, logsumexp

from .curve import Sequence
from .landmarks import NAMES

BONE_HU = 180.0
_MIDDLE = slice(30, 66)
"""Columns among which the spine is looked for: slices are centred on the body."""
_NEAR = 2
"""Cells to each side of the spine's middle that are taken for spine."""
_FRONT = 0.4
"""So much of the bone near the middle lies in front of what is meant: the breastbone and most vertebral bodies."""


@dataclass(frozen=True)
class View:
    """One kind of picture and its network.

    Attributes:
        name: of the network among a model's parts.
        half: cells that the picture shows to each side of the spine.
        channels: of the picture.
        picture: draws it: (t, 96, 96) HU on the networks' grid -> (t, width, channels) float32, 0 to 1, in either
            order along the body.
        shows: landmarks that the network is asked for.
        share: how much more than the slices the picture counts for where those lie.
        body_share: what slices and picture each count for the place of a slice: the two err together, so for less than
            independent looks; None where the picture is not asked for that.
    """

    name: str
    half: int
    channels: int
    picture: Callable[[np.ndarray], np.ndarray]
    shows: tuple[str, ...]
    share: float
    body_share: float | None

    @property
    def width(self) -> int:
        """Cells that the picture shows from right to left."""
        return 2 * self.half + 1


def spine(hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the spine lies in each slice.

    Args:
        hu: (t, 96, 96) HU on the networks' grid.

    Returns:
        (t,) column of its middle; (t,) row somewhat behind the middle of its vertebral bodies.
    """
    bone = hu > BONE_HU
    thickness = gaussian_filter(bone[:, :, _MIDDLE].sum(axis=1, dtype=np.float32), (5.0, 1.5), mode="nearest")
    middle = gaussian_filter1d(thickness.argmax(axis=1).astype(np.float32), 3.0, mode="nearest")
    column = _MIDDLE.start + np.rint(middle).astype(int)
    columns = column[:, None] + np.arange(-_NEAR, _NEAR + 1)
    near = bone[np.arange(len(hu))[:, None], :, columns].sum(axis=1, dtype=np.float32)
    along = np.cumsum(gaussian_filter(near, (2.0, 0.7), mode="nearest"), axis=1)
    return column, np.argmax(along >= _FRONT * np.maximum(along[:, -1:], 1e-3), axis=1)


def joined(slices: Sequence, said: Sequence, view: View) -> Sequence:
    """What slices and picture say together: products of their probabilities.

    Args:
        slices: by the context network.
        said: of the same cells, by the network of the view.
        view: which.
    """
    shown = np.isin(NAMES, view.shows)
    inside, cells = _inside(slices.landmarks)
    inside_by_view, cells_by_view = _inside(said.landmarks)
    cells = log_softmax(cells + np.where(shown, view.share, 0.0) * cells_by_view, axis=0)
    body = slices.body
    if view.body_share is not None:
        body = view.body_share * (log_softmax(body, axis=1) + log_softmax(said.body, axis=1))
    return Sequence(body=body, landmarks=cells + inside + np.where(shown, inside_by_view, 0.0))


def _inside(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(12,) log-odds that the scan shows each landmark, and (g, 12) log-probability of each cell if it does.

    The logit of "nowhere in this scan" is 0.
    """
    return logsumexp(logits, axis=0), log_softmax(logits, axis=0)
