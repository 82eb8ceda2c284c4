"""The 12 landmarks, the article's location scale, and the body coordinate that the program reckons with.

The location scale (0 at the top of the head, .5 at the head of the femur) is the one of the article "Building a CT
slice localizer with Keras". It is far from uniform in mm, so inside the program a place is a body coordinate in mm:
the distance below the top of the head in an average adult. The distances between landmarks behind it are means over
the annotated scans that the model is trained on.

The dome of the diaphragm moves with the breath by several centimetres, so it is no fixed point of the body coordinate:
its place there is a mean, and the program finds it by its own evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Landmark:
    """One landmark.

    Attributes:
        name: as in labels.json and in every table.
        key: the key that labels it in the annotation panel.
        location: on the article's scale.
        body_mm: body coordinate, mm below the top of the head of an average adult.
        level: which slice it is, in words; the data that the shipped model is trained on were read so.
    """

    name: str
    key: str
    location: float
    body_mm: float
    level: str


LANDMARKS = (
    Landmark("Top of head", "`", 0.0, 0.0, "topmost slice of the skin"),
    Landmark("Center of orbit", "1", 0.05, 112.0, "middle of the eyeballs, mean of both sides"),
    Landmark("C1", "2", 0.1, 175.0, "anterior arch and dens"),
    Landmark("C7", "3", 0.15, 278.0, "middle of the vertebral body"),
    Landmark("T1", "4", 0.16, 295.5, "middle of the vertebral body"),
    Landmark("Aortic arch", "5", 0.2, 358.5, "middle of the slices that show the arch as one band"),
    Landmark("Bifurcation of trachea", "6", 0.225, 386.5, "from above, first slice with two separate main bronchi"),
    Landmark("Right dome of diaphragm", "7", 0.275, 476.0, "topmost slice of the right dome"),
    Landmark("T12", "8", 0.325, 534.0, "middle of the vertebral body"),
    Landmark("L1", "9", 0.35, 564.0, "middle of the vertebral body"),
    Landmark("Tip of iliac crest", "0", 0.425, 678.0, "topmost slice of the crests, mean of both sides"),
    Landmark("Head of femur", "-", 0.5, 824.0, "middle of the heads, mean of both sides"),
)

NAMES = tuple(landmark.name for landmark in LANDMARKS)
LOCATIONS = np.array([landmark.location for landmark in LANDMARKS])
BODY_MM = np.array([landmark.body_mm for landmark in LANDMARKS])


def interpolate(x: np.ndarray | float, xp: np.ndarray, fp: np.ndarray) -> np.ndarray:
    """Piecewise linear through the points, continued beyond both ends by the nearest two.

    Args:
        x: where to evaluate, any shape.
        xp: (n,) increasing, n >= 2.
        fp: (n,) values at xp.
    """
    x, xp, fp = np.asarray(x, dtype=float), np.asarray(xp, dtype=float), np.asarray(fp, dtype=float)
    piece = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
    slope = (fp[piece + 1] - fp[piece]) / (xp[piece + 1] - xp[piece])
    return fp[piece] + (x - xp[piece]) * slope


def body_to_location(body_mm: np.ndarray | float) -> np.ndarray:
    """Body coordinate in mm to the article's location scale."""
    return interpolate(body_mm, BODY_MM, LOCATIONS)


def location_to_body(location: np.ndarray | float) -> np.ndarray:
    """The article's location scale to the body coordinate in mm."""
    return interpolate(location, LOCATIONS, BODY_MM)


_REGIONS = (
    (20.0, "vertex"),
    (150.0, "head"),
    (200.0, "upper neck"),
    (265.0, "neck"),
    (305.0, "lower neck"),
    (350.0, "upper chest"),
    (400.0, "mid chest"),
    (470.0, "lower chest"),
    (520.0, "dome of the diaphragm"),
    (556.0, "upper abdomen, about T12"),
    (590.0, "upper abdomen, about L1"),
    (670.0, "mid abdomen"),
    (720.0, "iliac crests"),
    (800.0, "pelvis"),
    (870.0, "femoral heads"),
    (float("inf"), "thighs"),
)


def words(body_mm: float) -> str:
    """The region of a body coordinate in words, such as ``"lower neck"``; vertebra counts vary, hence "about"."""
    return next(name for limit, name in _REGIONS if body_mm < limit)
