"""Analytic shapes in mm and the painter that renders them on any grid.

A shape knows its box and a signed distance (mm, negative inside, exact at the surface, approximate off it). Points are
x, y, s: x to the patient's left, y to the back, s towards the feet. The coordinates come as arrays that broadcast to
(k, j, i), so a shape computes only in its box and, where it can, only along one axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
from scipy.interpolate import PchipInterpolator

INFINITE = 1e5
"""mm; a bound that no scan reaches."""

Bounds = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


class Shape(Protocol):
    """What the painter needs to know about a shape."""

    def bounds(self) -> Bounds:
        """((x0, x1), (y0, y1), (s0, s1)) in mm."""

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm of broadcastable coordinates, negative inside."""


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, turned in the planes x-y, then x-s, then y-s.

    Attributes:
        centre: x, y, s in mm.
        radii: three half axes in mm.
        turn: degrees in the planes x-y, x-s and y-s.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def bounds(self) -> Bounds:
        """The box in mm."""
        reach = np.sqrt((_rotation(self.turn) ** 2) @ np.square(self.radii))
        return tuple((c - r, c + r) for c, r in zip(self.centre, reach))

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        x, y, s = x - self.centre[0], y - self.centre[1], s - self.centre[2]
        if any(self.turn):
            rotation = _rotation(self.turn)
            x, y, s = (rotation[0, n] * x + rotation[1, n] * y + rotation[2, n] * s for n in range(3))
        squares = (x / self.radii[0]) ** 2 + (y / self.radii[1]) ** 2 + (s / self.radii[2]) ** 2
        return (np.sqrt(squares) - 1) * min(self.radii)

    def grow(self, mm: float) -> Ellipsoid:
        """The same with other half axes."""
        return replace(self, radii=tuple(max(radius + mm, 0.1) for radius in self.radii))


@dataclass(frozen=True)
class Capsule:
    """A straight tube with round ends whose radius changes evenly.

    Attributes:
        start: x, y, s in mm.
        stop: x, y, s in mm.
        start_radius: mm.
        stop_radius: mm.
    """

    start: tuple[float, float, float]
    stop: tuple[float, float, float]
    start_radius: float
    stop_radius: float

    def bounds(self) -> Bounds:
        """The box in mm."""
        first, last = self.start_radius, self.stop_radius
        return tuple((min(a - first, b - last), max(a + first, b + last)) for a, b in zip(self.start, self.stop))

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        along = [b - a for a, b in zip(self.start, self.stop)]
        length = sum(part * part for part in along) or 1e-9
        x, y, s = x - self.start[0], y - self.start[1], s - self.start[2]
        at = np.clip((x * (along[0] / length) + y * (along[1] / length)) + s * (along[2] / length), 0, 1)
        squares = (x - at * along[0]) ** 2 + (y - at * along[1]) ** 2 + (s - at * along[2]) ** 2
        return np.sqrt(squares) - (self.start_radius + at * (self.stop_radius - self.start_radius))

    def grow(self, mm: float) -> Capsule:
        """The same with other radii."""
        return replace(self, start_radius=max(self.start_radius + mm, 0.1), stop_radius=max(self.stop_radius + mm, 0.1))


def tube(points: Sequence[Sequence[float]], radius: float | Sequence[float]) -> list[Capsule]:
    """A chain of capsules through the points.

    Args:
        points: (n, 3) x, y, s in mm.
        radius: mm, one for all or one for each point.
    """
    radii = [radius] * len(points) if isinstance(radius, int | float) else list(radius)
    points = [tuple(float(value) for value in point) for point in points]
    return [Capsule(points[n], points[n + 1], radii[n], radii[n + 1]) for n in range(len(points) - 1)]


def smooth(points: Sequence[Sequence[float]], count: int) -> np.ndarray:
    """(count, n) points on a smooth curve through the given ones, spaced evenly between them."""
    points = np.asarray(points, dtype=float)
    return PchipInterpolator(np.arange(len(points)), points)(np.linspace(0, len(points) - 1, count))


@dataclass(frozen=True)
class Loft:
    """A body of elliptic cross-sections that change smoothly along s; flat at both ends.

    Attributes:
        rows: (s, centre x, centre y, half width, half depth, squareness) in mm, s growing; squareness 0 is an
            ellipse, 1 a rectangle (Fernandez-Guasti's squircle: u + v - squareness u v = 1).
    """

    rows: tuple[tuple[float, ...], ...]

    def bounds(self) -> Bounds:
        """The box in mm."""
        s, x, y, a, b, _ = np.array(self.rows).T
        return (
            (float(np.min(x - a)), float(np.max(x + a))),
            (float(np.min(y - b)), float(np.max(y + b))),
            (float(s[0]), float(s[-1])),
        )

    def section(self, s: np.ndarray) -> tuple[np.ndarray, ...]:
        """Centre x, centre y, half width, half depth and squareness at s, each in the shape of s."""
        first, last = self.rows[0][0], self.rows[-1][0]
        values = _interpolator(self.rows)(np.clip(np.asarray(s, dtype=np.float64), first, last))
        return tuple(values[..., n].astype(np.float32) for n in range(5))

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        centre_x, centre_y, a, b, square = self.section(s)
        u = ((x - centre_x) / a) ** 2
        v = ((y - centre_y) / b) ** 2
        squares = u + v
        if square.any():
            # outside the rectangle the squircle's quadric turns back inside, so u and v are held at 1 there
            squares -= square * np.minimum(u, 1) * np.minimum(v, 1)
        across = (np.sqrt(squares) - 1) * np.minimum(a, b)
        return np.maximum(across, np.maximum(self.rows[0][0] - s, s - self.rows[-1][0]))

    def grow(self, mm: float) -> Loft:
        """The same with other half widths and depths; the ends stay."""
        return Loft(tuple((s, x, y, max(a + mm, 0.5), max(b + mm, 0.5), square) for s, x, y, a, b, square in self.rows))


@dataclass(frozen=True)
class Sheet:
    """All that lies on one side of a bowl or plane: sign * (s - depth(x, y)) < 0.

    Attributes:
        apex: x, y, s in mm where the bowl is highest.
        reach: mm along x and y at which the bowl has sunk by ``drop``.
        drop: mm.
        below: True for the side towards the feet.
    """

    apex: tuple[float, float, float]
    reach: tuple[float, float]
    drop: float
    below: bool

    def bounds(self) -> Bounds:
        """The box in mm, without end but for the apex."""
        everywhere = (-INFINITE, INFINITE)
        return everywhere, everywhere, (self.apex[2], INFINITE) if self.below else everywhere

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        bowl = ((x - self.apex[0]) / self.reach[0]) ** 2 + ((y - self.apex[1]) / self.reach[1]) ** 2
        depth = (s - self.apex[2]) - self.drop * bowl
        # halfway down the bowl's wall the distance is about 0.7 of the depth
        return depth * (-0.7 if self.below else 0.7)


@dataclass(frozen=True)
class Slab:
    """All between two values of one coordinate.

    Attributes:
        axis: 0 for x, 1 for y, 2 for s.
        first: mm.
        last: mm.
    """

    axis: int
    first: float
    last: float

    def bounds(self) -> Bounds:
        """The box in mm."""
        return tuple((self.first, self.last) if n == self.axis else (-INFINITE, INFINITE) for n in range(3))

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        value = (x, y, s)[self.axis]
        return np.maximum(self.first - value, value - self.last)


@dataclass(frozen=True)
class Above:
    """All that lies towards the head of a slanted plane: s < depth + slope . (x, y).

    Attributes:
        slope: mm along s for each mm along x and y.
        depth: s in mm at x = y = 0.
    """

    slope: tuple[float, float]
    depth: float

    def bounds(self) -> Bounds:
        """The box in mm, without end."""
        return ((-INFINITE, INFINITE),) * 3

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        steep = np.sqrt(1 + self.slope[0] ** 2 + self.slope[1] ** 2)
        return (s - (self.depth + self.slope[0] * x + self.slope[1] * y)) / np.float32(steep)


@dataclass(frozen=True)
class Both:
    """What lies in all of the shapes."""

    shapes: tuple[Shape, ...]

    def bounds(self) -> Bounds:
        """The box in mm."""
        boxes = [shape.bounds() for shape in self.shapes]
        return tuple((max(box[n][0] for box in boxes), min(box[n][1] for box in boxes)) for n in range(3))

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        result = self.shapes[0].distance(x, y, s)
        for shape in self.shapes[1:]:
            result = np.maximum(result, shape.distance(x, y, s))
        return result


@dataclass(frozen=True)
class Either:
    """What lies in any of the shapes."""

    shapes: tuple[Shape, ...]

    def bounds(self) -> Bounds:
        """The box in mm."""
        boxes = [shape.bounds() for shape in self.shapes]
        return tuple((min(box[n][0] for box in boxes), max(box[n][1] for box in boxes)) for n in range(3))

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        result = self.shapes[0].distance(x, y, s)
        for shape in self.shapes[1:]:
            result = np.minimum(result, shape.distance(x, y, s))
        return result


@dataclass(frozen=True)
class Without:
    """What lies in the first shape and not in the second."""

    shape: Shape
    hole: Shape

    def bounds(self) -> Bounds:
        """The box in mm."""
        return self.shape.bounds()

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        return np.maximum(self.shape.distance(x, y, s), -self.hole.distance(x, y, s))


@dataclass(frozen=True)
class Shell:
    """A wall of even thickness on both sides of a shape's surface."""

    shape: Shape
    thickness: float

    def bounds(self) -> Bounds:
        """The box in mm."""
        half = self.thickness / 2
        return tuple((first - half, last + half) for first, last in self.shape.bounds())

    def distance(self, x: np.ndarray, y: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Signed distance in mm."""
        return np.abs(self.shape.distance(x, y, s)) - self.thickness / 2


@lru_cache(maxsize=64)
def _rotation(turn: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(3)
    for (first, second), degrees in zip(((0, 1), (0, 2), (1, 2)), turn):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        step = np.eye(3)
        step[first, first] = step[second, second] = cos
        step[first, second], step[second, first] = -sin, sin
        matrix = matrix @ step
    return matrix.astype(np.float32)


@lru_cache(maxsize=256)
def _interpolator(rows: tuple[tuple[float, ...], ...]) -> PchipInterpolator:
    table = np.array(rows)
    return PchipInterpolator(table[:, 0], table[:, 1:])
