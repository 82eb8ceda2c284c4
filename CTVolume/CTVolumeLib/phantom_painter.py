"""Draws shapes into Hounsfield units and labels on any grid, each in its box and in small pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .phantom_shapes import Shape

_CHUNK = 1 << 19
"""Voxels painted at once: small enough to stay in the processor's cache, which halves the time of large shapes."""


@dataclass(frozen=True)
class Paint:
    """A shape, what it is made of, and in which coordinates it is drawn.

    Attributes:
        shape: where.
        hu: Hounsfield units of the material.
        label: what the voxels inside become in the label picture, or None to leave them.
        frame: ``"body"`` (moves with the skeleton), ``"organ"`` (moves with the breath as well) or ``"world"``.
        only: labels that may be painted over, or None for all.
        share: 1 covers what was there, less mixes with it.
        grain: HU of the material's own coarse texture.
    """

    shape: Shape
    hu: float
    label: int | None = None
    frame: str = "body"
    only: tuple[int, ...] | None = None
    share: float = 1.0
    grain: float = 0.0


class Painter:
    """Draws shapes one over the other into HU and labels.

    Args:
        shape: (k, j, i) of the grid.
        frames: name to the coordinates x, y, s, each an array that broadcasts to (k, j, i).
        edge: mm over which an edge is blurred: the size of a pixel.
    """

    def __init__(self, shape: tuple[int, int, int], frames: dict[str, tuple[np.ndarray, ...]], edge: float) -> None:
        self.hu = np.full(shape, -1000, dtype=np.float32)
        self.labels = np.zeros(shape, dtype=np.uint8)
        self._edge = edge
        self._frames = {
            name: tuple(part.astype(np.float32) for part in coordinates) for name, coordinates in frames.items()
        }
        self._extents = {
            name: tuple(_extents(part, axis) for part, axis in zip(coordinates, (2, 1, 0)))
            for name, coordinates in self._frames.items()
        }

    def paint(self, paint: Paint) -> None:
        """Draw one shape over what is there."""
        ranges = []
        for (first, last), (lowest, highest) in zip(paint.shape.bounds(), self._extents[paint.frame]):
            inside = np.flatnonzero((highest >= first - self._edge) & (lowest <= last + self._edge))
            if len(inside) == 0:
                return
            ranges.append(slice(int(inside[0]), int(inside[-1]) + 1))
        cut_i, cut_j, cut_k = ranges
        step = max(1, _CHUNK // ((cut_i.stop - cut_i.start) * (cut_j.stop - cut_j.start)))
        for start in range(cut_k.start, cut_k.stop, step):
            self._paint_box(paint, (slice(start, min(start + step, cut_k.stop)), cut_j, cut_i))

    def _paint_box(self, paint: Paint, box: tuple[slice, slice, slice]) -> None:
        parts = [
            part[tuple(cut if size > 1 else slice(None) for cut, size in zip(box, part.shape))]
            for part in self._frames[paint.frame]
        ]
        distance = paint.shape.distance(*parts)
        cover = np.clip(0.5 - distance / self._edge, 0, 1)
        hu, labels = self.hu[box], self.labels[box]
        if paint.only is not None:
            cover = cover * np.isin(labels, paint.only)
        if paint.share != 1:
            cover = cover * paint.share
        material = paint.hu if not paint.grain else paint.hu + paint.grain * _grain(*parts)
        hu += cover * (material - hu)
        if paint.label is not None:
            inside = distance < 0
            if paint.only is not None:
                inside = inside & np.isin(labels, paint.only)
            labels[np.broadcast_to(inside, labels.shape)] = paint.label


def _extents(part: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest coordinate at each index of the axis."""
    others = tuple(n for n in range(3) if n != axis)
    return part.min(axis=others), part.max(axis=others)


def _grain(x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
    """A coarse texture in [-1, 1] that belongs to the body, not to the grid: waves that do not repeat nearby."""
    first = np.sin(x * 0.31 + 1.7 * np.sin(y * 0.11)) * np.sin(y * 0.27 + 1.3 * np.sin(s * 0.07 + x * 0.05))
    second = np.sin((x + y) * 0.62 + 2.1 * np.sin(s * 0.13)) * np.sin((x - y) * 0.53 + s * 0.19)
    return 0.6 * first + 0.4 * second
