"""What scanners and patients do to a scan, done to the training sequences: size, posture, field of view, noise.

Everything is drawn from one random generator, so a seed gives the same sequence again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

from .slicegrid import AIR_HU, SIZE


@dataclass(frozen=True)
class Strength:
    """How far the augmentation goes; ranges are uniform, probabilities are per sequence."""

    body_scale: tuple[float, float] = (0.86, 1.18)
    plane_stretch: float = 0.08
    rotation_deg: float = 10.0
    shift_mm: float = 24.0
    shear: float = 0.05
    hu_shift: float = 25.0
    hu_gain: float = 0.08
    noise_hu: float = 45.0
    p_left_right: float = 0.5
    p_front_back: float = 0.2
    p_field_of_view: float = 0.35
    p_blur: float = 0.25
    p_thick: float = 0.25
    p_contrast: float = 0.3
    p_unmasked: float = 0.25


def draw_scale(rng: np.random.Generator, strength: Strength) -> float:
    """How much larger than the real patient the augmented one is along the body."""
    return float(np.exp(rng.uniform(*np.log(strength.body_scale))))


def slices(hu: np.ndarray, scale: float, rng: np.random.Generator, strength: Strength) -> tuple[np.ndarray, np.ndarray]:
    """Change the pictures of a sequence, all in the same way but for noise.

    Args:
        hu: (t, 96, 96) HU.
        scale: size of the augmented patient along the body, which its cross-section follows loosely.
        rng: source of randomness.
        strength: ranges.

    Returns:
        (t, 96, 96) float32 HU, and (2,) float32 whether left-right and front-back are swapped.
    """
    flips = rng.random(2) < (strength.p_left_right, strength.p_front_back)
    x = hu.astype(np.float32)
    if rng.random() < strength.p_contrast:
        x = _contrast(x, rng)
    if rng.random() < strength.p_blur:
        x = ndimage.gaussian_filter(x, (rng.uniform(0, 0.6), *[rng.uniform(0.3, 1.0)] * 2))
    if rng.random() < strength.p_thick:
        x = ndimage.uniform_filter1d(x, int(rng.integers(2, 4)), axis=0, mode="nearest")
    x = _warp(x, scale, flips, rng, strength)
    air = x < -900
    x = x * (1 + rng.uniform(-1, 1) * strength.hu_gain) + rng.uniform(-1, 1) * strength.hu_shift
    x += rng.normal(size=x.shape).astype(np.float32) * rng.uniform(0, strength.noise_hu)
    x[air] = AIR_HU
    if rng.random() < strength.p_field_of_view:
        x[:, ~_field_of_view(rng)] = AIR_HU
    return np.clip(x, AIR_HU, 3071), flips.astype(np.float32)


def _warp(x: np.ndarray, scale: float, flips: np.ndarray, rng: np.random.Generator, strength: Strength) -> np.ndarray:
    """One affine map for all slices, as a sparse matrix of bilinear weights."""
    angle = np.deg2rad(rng.uniform(-1, 1) * strength.rotation_deg)
    size = scale**0.7 * np.exp(rng.uniform(-1, 1, 2) * strength.plane_stretch)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, rng.uniform(-1, 1) * strength.shear], [0, 1]])
    mirror = np.where(flips[::-1], -1.0, 1.0)
    matrix = rotation @ shear @ np.diag(mirror / size)
    shift = rng.uniform(-1, 1, 2) * strength.shift_mm / 4.0
    grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")).reshape(2, -1) - (SIZE - 1) / 2
    source = matrix @ grid + (SIZE - 1) / 2 + shift[:, None]
    floor = np.floor(source).astype(int)
    part = source - floor
    rows, columns, weights = [], [], []
    for dy in (0, 1):
        for dx in (0, 1):
            r, c = floor[0] + dy, floor[1] + dx
            inside = (r >= 0) & (r < SIZE) & (c >= 0) & (c < SIZE)
            rows.append(np.flatnonzero(inside))
            columns.append((r * SIZE + c)[inside])
            weights.append((np.abs(1 - dy - part[0]) * np.abs(1 - dx - part[1]))[inside])
    bilinear = sparse.csr_matrix(
        (np.concatenate(weights).astype(np.float32), (np.concatenate(rows), np.concatenate(columns))),
        shape=(SIZE * SIZE, SIZE * SIZE),
    )
    flat = (x - AIR_HU).reshape(len(x), -1)
    return np.ascontiguousarray((bilinear @ flat.T).T).reshape(x.shape) + AIR_HU


def _contrast(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brighter or darker vessels and organs: what lies between fat and bone is stretched."""
    gain = rng.uniform(-0.5, 1.2)
    soft = np.clip(x, 20, 250) - 20
    return x + gain * np.where(x < 250, soft, np.clip(460 - x, 0, 230))


def _field_of_view(rng: np.random.Generator) -> np.ndarray:
    """(96, 96) disc or box outside which a scanner stored nothing."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    y, x = y - rng.uniform(-8, 8), x - rng.uniform(-8, 8)
    radius = rng.uniform(28, 50)
    if rng.random() < 0.6:
        return x**2 + y**2 < radius**2
    return (np.abs(x) < radius) & (np.abs(y) < rng.uniform(28, 50))
