"""Where things lie along the body: the maps between a place in the phantom and LPS z, and the truth that follows.

A place is s: mm below the vertex of the average adult that the shapes describe. Three maps lead from it to LPS z: the
breath moves organs along s; stature, posture and the person's own proportions stretch s; the vertex lies at
``vertex_z_mm``. Axial planes stay axial planes under all of them, so the map between two states of a patient is exact
for whole slices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .errors import CTError
from .phantom_parameters import PhantomParameters
from .phantom_tissue import LANDMARK_LOCATION, LANDMARK_MM

if TYPE_CHECKING:
    from .phantom import Phantom

_DOME_TRAVEL = 36.0
"""mm that the right dome moves from full expiration to full inspiration in quiet to deep breathing."""

_NECK = (LANDMARK_MM["C1"], LANDMARK_MM["T1"])


def landmarks_of(parameters: PhantomParameters) -> dict[str, float]:
    """LPS z in mm of the 12 landmarks, from head to feet."""
    s = np.array(list(LANDMARK_MM.values()))
    dome = list(LANDMARK_MM).index("Right dome of diaphragm")
    s[dome] = breathe(s[dome], parameters.breathing)
    return dict(zip(LANDMARK_MM, (float(z) for z in to_z(s, parameters))))


def locations_at(z_mm: np.ndarray, landmarks: Mapping[str, float]) -> np.ndarray:
    """Article location at LPS z: linear between the landmarks, continued beyond the first and the last.

    Args:
        z_mm: any shape.
        landmarks: LPS z in mm by name.
    """
    down = -np.array([landmarks[name] for name in LANDMARK_LOCATION])
    return interpolate(-np.asarray(z_mm, dtype=float), down, np.array(list(LANDMARK_LOCATION.values())))


def displacement(
    first: Phantom | PhantomParameters, second: Phantom | PhantomParameters, tissue: str = "skeleton"
) -> Callable[[np.ndarray | float], np.ndarray]:
    """The exact map along the body from one state of a patient to another: LPS z (first) -> LPS z (second).

    Args:
        first: where z is given.
        second: where it is wanted.
        tissue: ``"skeleton"``, or ``"organs"`` for what the breath moves (lungs, heart, liver, kidneys). The two differ
            only where the breath differs, between carina and iliac crest.

    Raises:
        CTError: an unknown tissue.
    """
    if tissue not in ("skeleton", "organs"):
        raise CTError("bad_tissue", f"The tissue is skeleton or organs, not {tissue!r}.")
    one, two = (getattr(state, "parameters", state) for state in (first, second))

    def moved(z_mm: np.ndarray | float) -> np.ndarray:
        s = from_z(np.asarray(z_mm, dtype=float), one)
        if tissue == "organs":
            s = breathe(unbreathe(s, one.breathing), two.breathing)
        return to_z(s, two)

    return moved


def to_z(s: np.ndarray, parameters: PhantomParameters) -> np.ndarray:
    """LPS z in mm of s (any shape)."""
    knots, below = _stretch(parameters)
    return parameters.vertex_z_mm - interpolate(np.asarray(s, dtype=float), knots, below)


def from_z(z_mm: np.ndarray, parameters: PhantomParameters) -> np.ndarray:
    """S in mm of LPS z (any shape)."""
    knots, below = _stretch(parameters)
    return interpolate(parameters.vertex_z_mm - np.asarray(z_mm, dtype=float), below, knots)


def breathe(s: np.ndarray, breathing: float) -> np.ndarray:
    """Where the breath takes what lies at s at half a breath, mm."""
    return interpolate(np.asarray(s, dtype=float), *_breath_knots(breathing))


def unbreathe(s: np.ndarray, breathing: float) -> np.ndarray:
    """What the breath has taken to s: its place at half a breath, mm."""
    return interpolate(np.asarray(s, dtype=float), *_breath_knots(breathing)[::-1])


def forward(s: np.ndarray, parameters: PhantomParameters) -> np.ndarray:
    """Mm (size 1) to the back by which the bent neck moves neck and head."""
    reach = (_NECK[1] - _NECK[0]) * np.sin(np.radians(parameters.neck_flexion))
    return np.interp(
        s, (_NECK[0] - 20, _NECK[0] + 10, _NECK[1] - 20, _NECK[1] + 15), (-reach, -0.95 * reach, -0.05 * reach, 0)
    )


def interpolate(x: np.ndarray, xp: np.ndarray, fp: np.ndarray) -> np.ndarray:
    """Piecewise linear, continued beyond both ends by the nearest two points."""
    piece = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
    slope = (fp[piece + 1] - fp[piece]) / (xp[piece + 1] - xp[piece])
    return fp[piece] + (x - xp[piece]) * slope


def _stretch(parameters: PhantomParameters) -> tuple[np.ndarray, np.ndarray]:
    """Knots of the map from s to mm below the vertex in this person."""
    knots = np.array(list(LANDMARK_MM.values()))
    factors = np.full(len(knots) - 1, float(parameters.size))
    if parameters.variation:
        rng = np.random.default_rng([parameters.seed, 4])
        factors *= np.clip(1 + parameters.variation * rng.standard_normal(len(factors)), 0.7, 1.3)
    neck = (knots[:-1] >= _NECK[0]) & (knots[1:] <= _NECK[1])
    factors[neck] *= np.cos(np.radians(parameters.neck_flexion))
    # above the vertex and below the hips the body goes on with its size alone
    knots = np.concatenate([[knots[0] - 400], knots, [knots[-1] + 900]])
    factors = np.concatenate([[parameters.size], factors, [parameters.size]])
    below = np.concatenate([[0], np.cumsum(np.diff(knots) * factors)])
    return knots, below - below[1]


def _breath_knots(breathing: float) -> tuple[np.ndarray, np.ndarray]:
    """S of organs at half a breath, and where the breath takes them: most at the dome, nothing at the carina."""
    still = np.array(
        [
            0.0,
            *(LANDMARK_MM[name] for name in ("Bifurcation of trachea", "Right dome of diaphragm")),
            600.0,
            720.0,
            2000.0,
        ]
    )
    return still, still + (breathing - 0.5) * _DOME_TRAVEL * np.array([0, 0, 1.0, 0.55, 0, 0])
