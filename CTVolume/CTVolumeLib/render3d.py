"""A scan as a volume-rendered picture, seen from any side: for reports and documents, without a graphics card.

The classic recipe (Levoy, IEEE CG&A 8(3):29, 1988): each voxel gets a colour and an opacity from its HU, light by the
gradient, and rays gather them from front to back. Rays run along the rows of a grid that is turned with the eye.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .volume import CTVolume

STEPS_HU = (-700.0, -450.0, -150.0, 60.0, 200.0, 500.0, 3071.0)
OPACITIES = (0.0, 0.06, 0.16, 0.22, 0.5, 0.85, 0.95)
COLORS = (
    (0.62, 0.66, 0.72), (0.66, 0.68, 0.72), (0.86, 0.66, 0.54), (0.83, 0.56, 0.46), (0.92, 0.83, 0.70),
    (0.97, 0.94, 0.87), (1.0, 1.0, 1.0),
)  # fmt: skip
"""Opacity of a millimetre and colour (RGB) at each of the steps: foam grey, skin, flesh, bone."""

_AMBIENT, _DIFFUSE, _SHINE = 0.30, 0.75, 0.15
_SMOOTH_MM = 1.8
_GAMMA = 1.35


def shaded(
    volume: CTVolume,
    azimuth: float = 0.0,
    elevation: float = 0.0,
    pixel_mm: float = 1.5,
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """A picture of the whole scan, parallel rays, head up.

    Args:
        volume: any volume that ``as_axial`` takes.
        azimuth: degrees from which it is looked at: 0 from the front, 90 from the patient's left, 180 from behind.
        elevation: degrees; above 0 is seen from above.
        pixel_mm: side of a pixel, and the step along the ray.
        background: RGB, 0 to 1.

    Returns:
        (rows, columns, 3) uint8.
    """
    hu = _turned(volume.as_axial(), azimuth, elevation, pixel_mm)
    smooth = ndimage.gaussian_filter(hu, _SMOOTH_MM / pixel_mm)
    opacity = 1 - (1 - np.interp(smooth, STEPS_HU, OPACITIES).astype(np.float32)) ** np.float32(pixel_mm)
    rows, depth, columns = hu.shape
    picture, through = np.zeros((rows, columns, 3), np.float32), np.ones((rows, columns), np.float32)
    # towards the eye is -j; the light comes from the left of the eye and from above
    light = np.array([0.45, -0.80, -0.40], np.float32)
    light /= np.linalg.norm(light)
    half = (light + np.array([0, -1, 0], np.float32)) / np.linalg.norm(light + np.array([0, -1, 0], np.float32))
    for j in range(1, depth - 1):
        layer = opacity[:, j]
        if not layer.any() or through.max() < 0.01:
            continue
        normal = -np.stack(
            [np.gradient(smooth[:, j], axis=0), (smooth[:, j + 1] - smooth[:, j - 1]) / 2,
             np.gradient(smooth[:, j], axis=1)], axis=-1,
        )  # fmt: skip
        length = np.linalg.norm(normal, axis=-1)
        normal /= np.maximum(length, 1e-3)[..., None]
        diffuse = np.clip(normal @ light, 0, 1)
        shine = np.clip(normal @ half, 0, 1) ** 24
        lit = (_AMBIENT + _DIFFUSE * diffuse)[..., None] * _colors(smooth[:, j]) + (_SHINE * shine)[..., None]
        share = through * layer
        picture += share[..., None] * lit
        through *= 1 - layer
    picture += through[..., None] * np.asarray(background, np.float32)
    bright = np.clip(picture[::-1], 0, 1) ** (1 / _GAMMA)
    return np.rint(bright * 255).astype(np.uint8)


def _colors(hu: np.ndarray) -> np.ndarray:
    table = np.asarray(COLORS)
    return np.stack([np.interp(hu, STEPS_HU, table[:, n]) for n in range(3)], axis=-1).astype(np.float32)


def _turned(volume: CTVolume, azimuth: float, elevation: float, pixel_mm: float) -> np.ndarray:
    """(k, j, i) HU on a cube of pixels whose j points away from the eye and i to its right."""
    around, up = np.radians(azimuth), np.radians(elevation)
    # unit vectors in LPS: from the left to the right of the picture, away from the eye, and up the picture
    away = np.array([-np.sin(around) * np.cos(up), np.cos(around) * np.cos(up), -np.sin(up)])
    right = np.array([np.cos(around), np.sin(around), 0.0])
    upwards = np.cross(right, away)
    z_mm = volume.superior()
    corners = np.array([volume.spacing[0], volume.spacing[1]]) * np.array(volume.array.shape[:0:-1])
    size = np.array([corners[0], corners[1], abs(float(z_mm[-1] - z_mm[0])) + volume.spacing[2]])
    reach = [float(np.abs(axis) @ size) for axis in (upwards, away, right)]
    shape = [max(3, int(np.ceil(length / pixel_mm))) for length in reach]
    steps = np.stack([upwards, away, right], axis=1) * pixel_mm
    to_index = np.diag(1 / np.array([volume.spacing[0], volume.spacing[1], _step(z_mm, volume.spacing[2])]))
    matrix = (to_index @ steps)[::-1]  # rows k, j, i
    centre = (np.array(volume.array.shape) - 1) / 2
    offset = centre - matrix @ ((np.array(shape) - 1) / 2)
    return ndimage.affine_transform(
        volume.array.astype(np.float32), matrix, offset, tuple(shape), order=1, mode="constant", cval=-1024
    )


def _step(z_mm: np.ndarray, spacing: float) -> float:
    return float(np.median(np.diff(z_mm))) if len(z_mm) > 1 else spacing
