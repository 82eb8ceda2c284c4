"""Augmentation: what scanners and patients do to a scan, done to the training data.

``slices`` is the project's own, for sequences in HU: size, posture, field of view, contrast, noise. ``article`` is that
of the article, for single 8-bit pictures. All of it is drawn from seeds, so the same seed gives the same data again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from scipy import ndimage, sparse

from .slicegrid import AIR_HU, CELL_MM, SIZE

ARTICLE_DEGREES = (15.0, 0.15)
"""Rotation and shear."""
ARTICLE_PART = 0.15
"""Shift, as a part of the side, and zoom."""
ARTICLE_GRAY = 1.0


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
    p_skeleton: float = 0.15
    p_hidden: float = 0.2
    p_slide: float = 0.5
    slide_mm: float = 28.0


STRENGTHS: dict[str, Strength | None] = {
    "own": Strength(),
    # What the article did to single pictures, done to a whole stretch: no scanner, noise or contrast in it.
    "article": Strength(
        body_scale=(1.0, 1.0),
        plane_stretch=0.15,
        rotation_deg=15.0,
        shift_mm=0.15 * SIZE * CELL_MM,
        shear=0.0026,
        hu_shift=0.0,
        hu_gain=0.0,
        noise_hu=0.0,
        p_left_right=0.5,
        p_front_back=0.0,
        p_field_of_view=0.0,
        p_blur=0.0,
        p_thick=0.0,
        p_contrast=0.0,
        p_unmasked=0.0,
        p_skeleton=0.0,
        p_hidden=0.0,
        p_slide=0.0,
    ),
    "none": None,
}
"""Augmentation of sequences by name."""


def draw_scale(rng: np.random.Generator, strength: Strength) -> float:
    """How much larger than the real patient the augmented one is along the body."""
    return float(np.exp(rng.uniform(*np.log(strength.body_scale))))


def slide(
    hu: np.ndarray, position: np.ndarray, body_mm: np.ndarray, rng: np.random.Generator, strength: Strength
) -> tuple[np.ndarray, np.ndarray] | None:
    """Organs of chest and abdomen moved along the spine, as breathing and build move them.

    The front of the body comes from other slices than its back, so that vertebrae and organs no longer tell each other.

    Args:
        hu: (g, 96, 96) pictures of the scan.
        position: (t,) where between them the stretch is.
        body_mm: (t,) body coordinate there.
        rng: source of randomness.
        strength: ranges.

    Returns:
        (t, 96, 96) float32 HU, and (t,) mm by which the front was moved towards the head; None for unmoved.
    """
    inside = np.interp(body_mm, (380.0, 460.0, 600.0, 680.0), (0.0, 1.0, 1.0, 0.0))
    if rng.random() >= strength.p_slide or not inside.any():
        return None
    moved = rng.uniform(-1, 1) * strength.slide_mm * inside
    back = between(hu, position)
    front = between(hu, np.clip(position - moved / CELL_MM, 0, len(hu) - 1))
    rows = np.flatnonzero((back > -300).any(axis=(0, 2)))
    if not len(rows):
        return None
    wall = rows[0] + rng.uniform(0.5, 0.62) * (rows[-1] - rows[0])
    share = np.clip((wall - np.arange(SIZE)) / 4 + 0.5, 0, 1).astype(np.float32)[None, :, None]
    return share * front + (1 - share) * back, moved


def between(pictures: np.ndarray, position: np.ndarray) -> np.ndarray:
    """(t, 96, 96) pictures at fractional indices, linear between neighbours."""
    low = np.minimum(position.astype(int), len(pictures) - 2)
    part = (position - low).astype(np.float32)[:, None, None]
    return pictures[low] * (1 - part) + pictures[low + 1] * part


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
    if rng.random() < strength.p_skeleton:
        x = _skeleton(x, rng)
    elif rng.random() < strength.p_contrast:
        x = _contrast(x, rng)
    if rng.random() < strength.p_hidden:
        x = _hidden(x, rng)
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


def article(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Change single pictures as the article did with Keras' ``ImageDataGenerator``, in TensorFlow.

    The article's text does not give the ranges; they are those of its authors' code for the image classifier that it
    builds on: rotation 15 degrees, shift 15 % of the side, shear 0.15 degrees, zoom 15 % for each axis by itself, one
    gray value up or down, half of the pictures mirrored, edges repeated.

    Args:
        pictures: (n, size, size, 1) gray 0..255, any real type.
        seed: (2,) integers; the same seed changes the pictures in the same way.

    Returns:
        (n, size, size, 1) float32 in the range of each picture.
    """
    x = tf.cast(pictures, tf.float32)
    count, size = tf.shape(x)[0], tf.cast(tf.shape(x)[1], tf.float32)
    # The columns are rotation, shear, shift right, shift down, zoom right, zoom down, gray, mirrored.
    u = tf.random.stateless_uniform((count, 8), tf.cast(seed, tf.int32), minval=-1.0, maxval=1.0)
    angle, shear = (u[:, column] * degrees * np.pi / 180 for column, degrees in enumerate(ARTICLE_DEGREES))
    matrix = article_matrices(angle, shear, u[:, 2:4] * ARTICLE_PART * size, 1 + u[:, 4:6] * ARTICLE_PART, size)
    x = tf.raw_ops.ImageProjectiveTransformV3(
        images=x,
        transforms=matrix,
        output_shape=tf.shape(x)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    lowest, highest = (f(x, axis=(1, 2, 3), keepdims=True) for f in (tf.reduce_min, tf.reduce_max))
    x = tf.clip_by_value(x + (u[:, 6] * ARTICLE_GRAY)[:, None, None, None], lowest, highest)
    return tf.where((u[:, 7] > 0)[:, None, None, None], x[:, :, ::-1], x)


def article_matrices(
    angle: tf.Tensor, shear: tf.Tensor, shift: tf.Tensor, zoom: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """Where each pixel of the result is from: rotated, then shifted, sheared and zoomed about the middle.

    Args:
        angle: (n,) radians.
        shear: (n,) radians.
        shift: (n, 2) pixels to the right and down.
        zoom: (n, 2) to the right and down.
        size: pixels of a side.

    Returns:
        (n, 8) coefficients as ``ImageProjectiveTransformV3`` takes them.
    """
    one, zero = tf.ones_like(angle), tf.zeros_like(angle)

    def matrices(first: list, second: list) -> tf.Tensor:
        return tf.stack([tf.stack(row, axis=-1) for row in (first, second, [zero, zero, one])], axis=-2)

    whole = (
        matrices([tf.cos(angle), -tf.sin(angle), zero], [tf.sin(angle), tf.cos(angle), zero])
        @ matrices([one, zero, shift[:, 0]], [zero, one, shift[:, 1]])
        @ matrices([one, -tf.sin(shear), zero], [zero, tf.cos(shear), zero])
        @ matrices([zoom[:, 0], zero, zero], [zero, zoom[:, 1], zero])
    )
    middle = (size - 1) / 2
    offset = whole[:, :2, 2] + middle - middle * (whole[:, :2, 0] + whole[:, :2, 1])
    rows = tf.concat([whole[:, :2, :2], offset[:, :, None]], axis=2)
    return tf.concat([tf.reshape(rows, (-1, 6)), tf.stack([zero, zero], axis=1)], axis=1)


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


def _skeleton(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bones alone: what is softer becomes one gray, so that they must tell the place."""
    soft = (x > -950) & (x < rng.uniform(130, 220))
    return np.where(soft, np.float32(rng.uniform(0, 60)), x)


def _hidden(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A box of the body without contents, as metal, tumours and effusions hide what is there."""
    size = np.array([rng.integers(3, 11), rng.integers(6, 25), rng.integers(6, 25)])
    first = [int(rng.integers(-(part // 2), length - part // 2)) for part, length in zip(size, x.shape)]
    box = tuple(slice(max(0, low), low + part) for low, part in zip(first, size))
    x = x.copy()
    x[box] = np.where(x[box] > -950, np.float32(rng.uniform(-100, 150)), x[box])
    return x


def _field_of_view(rng: np.random.Generator) -> np.ndarray:
    """(96, 96) disc or box outside which a scanner stored nothing."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    y, x = y - rng.uniform(-8, 8), x - rng.uniform(-8, 8)
    radius = rng.uniform(28, 50)
    if rng.random() < 0.6:
        return x**2 + y**2 < radius**2
    return (np.abs(x) < radius) & (np.abs(y) < rng.uniform(28, 50))
