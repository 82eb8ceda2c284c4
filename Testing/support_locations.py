"""Located scans without a network: curves made from chosen numbers, or from the landmarks that people read."""

from __future__ import annotations

import numpy as np
from CTSliceLocalizerLib.landmarks import BODY_MM, LANDMARKS, body_to_location, interpolate, words
from CTSliceLocalizerLib.results import Coverage, Flag, LandmarkEstimate, ScanLocation


def fake_location(
    z_mm: np.ndarray,
    body_mm: np.ndarray | None = None,
    *,
    top_mm: float = 0.0,
    sigma_mm: float | np.ndarray = 8.0,
    index: np.ndarray | None = None,
    files: tuple[str, ...] = (),
    flags: tuple[Flag, ...] = (),
) -> ScanLocation:
    """A located scan whose body coordinate is ``top_mm - z_mm`` where none is given.

    Args:
        z_mm: (k,) LPS z, increasing.
        body_mm: (k,) body coordinate, decreasing.
        top_mm: LPS z of the top of the head.
        sigma_mm: standard deviation of the body coordinate.
        index: (k,) index of each slice as stored.
        files: file of each slice.
        flags: of the result.
    """
    z_mm = np.asarray(z_mm, dtype=float)
    body_mm = top_mm - z_mm if body_mm is None else np.asarray(body_mm, dtype=float)
    sigma_mm = np.broadcast_to(np.asarray(sigma_mm, dtype=float), z_mm.shape)
    location = body_to_location(body_mm)
    landmarks = []
    for landmark in LANDMARKS:
        inside = body_mm.min() <= landmark.body_mm <= body_mm.max()
        z = float(np.interp(landmark.body_mm, body_mm[::-1], z_mm[::-1])) if inside else None
        landmarks.append(LandmarkEstimate(landmark.name, landmark.location, z, float(sigma_mm.mean()), bool(inside)))
    start, stop = float(location.min()), float(location.max())
    return ScanLocation(
        z_mm=z_mm,
        raw=location,
        location=location,
        sigma=np.full(len(z_mm), 0.01),
        body_mm=body_mm,
        sigma_mm=np.array(sigma_mm),
        index=np.arange(len(z_mm)) if index is None else index,
        files=files,
        landmarks=tuple(landmarks),
        coverage=Coverage(start, stop, f"{words(body_mm.min())} to {words(body_mm.max())}"),
        flags=flags,
        series={"source": "fake", "modality": "CT", "slices": len(z_mm), "z_mm": [float(z_mm[0]), float(z_mm[-1])]},
        model={"name": "fake", "sha256": "0" * 64},
    )


def location_from_landmarks(z_mm: np.ndarray, known: dict[str, float], *, sigma_mm: float = 10.0) -> ScanLocation:
    """A located scan from landmark heights that people read, linear between and beyond them.

    Args:
        z_mm: (k,) LPS z of the slices, increasing.
        known: landmark name to LPS z; at least two.
        sigma_mm: standard deviation that it shall claim.
    """
    numbers = {landmark.name: n for n, landmark in enumerate(LANDMARKS)}
    names = sorted(known, key=lambda name: known[name])
    heights = np.array([known[name] for name in names])
    body = BODY_MM[[numbers[name] for name in names]]
    return fake_location(z_mm, interpolate(z_mm, heights, body), sigma_mm=sigma_mm)
