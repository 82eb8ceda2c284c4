"""Straps that lie on the skin of the head without a gap: told by what they show along their whole length.

Where a strap lies, HU rises to that of skin later than beside it, by less than a ray can tell from skin that is blurred
or thick. But a strap follows a plane round the head, is as wide all along, and ends at two edges: averaged over sectors
of the head, both edges show in most sectors. Nothing of a patient does that, all around.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from .grid import Factors, Step
from .labels import OTHER, PATIENT
from .rays import Rays, voxels_near
from .shapes import reached

_SECTORS = 24
"""Parts of 15 degrees, about 2 cm of the skin."""

_SLANTS, _FINER = np.arange(-3, 4) * 0.08, np.arange(-7, 8) * 0.04
"""Mm up for each mm to the left, and to the back, of the planes that straps may follow; finer once one is found."""

_STEEP = (-0.9, 0.7)
"""How steep skin may be, as the part of its direction inwards that points up: flat tops are cut by the picture's end,
and beneath the chin blurred slices make skin rise late."""

_LATEST_MM = 5.0
"""A layer thicker than this counts as this, so that an ear does not outweigh the skin around it."""

_EDGE_MM = 6.0
"""So much on either side of an edge is compared."""

_WIDTH_MM = (9.0, 50.0)
"""Straps are as wide as this."""

_LATER_MM = 0.3
"""By so much later HU rises on the strap's side of an edge."""

_AROUND, _SURELY = 12, 2.5
"""In so many sectors both edges have to show, and over all sectors by so many standard errors.

In 85 scans of heads without straps both show in 11 sectors at most.
"""

_ANOTHER_AROUND, _ANOTHER_SURELY = 9, 2.0
"""Likewise, for one more strap where there is one."""

_MOST_MM, _LEAST_MM = 1.5, -1.0
"""What a single sector may count for and against a strap."""

_FEWEST = 2
"""Rays in a sector, on one side of an edge: with fewer nothing is known."""

_OVERLAP = 0.2
"""What shares more than this of its rays with a strap is another view of it."""

_CLEARLY = 0.67
"""In a row of the strap HU rises later than beside it by this share of what it does in the middle."""

_EAR_MM = 20.0
"""Deeper than an ear is long lie sinuses, whose walls rays see, too."""

_BRIDGED = 2
"""Over so many sectors a strap goes on where nothing shows, as over an ear."""

_FAINT_HU = -150
"""What is denser is skin or fat."""

_THICK_MM = 3.1
"""No voxel that reaches deeper is taken: most straps are no thicker, and skin may be as faint where it is blurred."""

_OUTSIDE_MM, _AIR_HU = (3.0, 12.0), -850
"""From there to there outside a strap is air; hair and what stands off it are denser."""

_BEFORE_MM = 4.0
"""The strap's blurred outer edge reaches so far out."""


@dataclass(frozen=True, eq=False)
class Strap:
    """A strap.

    Attributes:
        slant: mm up for each mm to the left and to the back.
        height: mm from the first slice, in the plane, of its lower and upper edge.
        sectors: (n,) bool: where it lies around the head.
        centre: mm along j and i: of the sectors.
        rays: (n,) bool: that start on it.
    """

    slant: tuple[float, float]
    height: tuple[float, float]
    sectors: np.ndarray
    centre: np.ndarray
    rays: np.ndarray

    def holds(self, place: np.ndarray) -> np.ndarray:
        """(n,) bool: which places (n, 3), mm along k, j, i, lie in its plane, between its edges and in its sectors."""
        height = _height(place, self.centre, self.slant)
        return (height >= self.height[0]) & (height < self.height[1]) & self.sectors[_sector(place, self.centre)]


def take(labels: np.ndarray, hu: np.ndarray, rays: Rays, step: Step, factors: Factors) -> None:
    """Give to the equipment the straps on the skin that were taken for the patient.

    Args:
        labels: (k, j, i) uint8; is changed.
        hu: (k, j, i) the scan.
        rays: all over the head.
        step: mm along k, j, i.
        factors: voxels in a cell along k, j, i.
    """
    for strap in find(rays, step, step[0] * factors[0]):
        own = rays.of(strap.rays)
        own = own.of(_free(hu, own, step))
        if not len(own.begin):
            continue
        near = voxels_near(labels, own, step, factors)
        value, depth = hu[near.box][near.where], near.depth - own.begin[near.ray]
        found = (value < _FAINT_HU) & (depth > -_BEFORE_MM) & (depth + step[1] / 2 < _THICK_MM) & near.beside
        found &= strap.holds(near.place * step)
        kind = labels[near.box]
        free, soft = kind != PATIENT, np.zeros(kind.shape, bool)
        soft[near.where] = found
        kind[reached(free, free | soft) & (kind == PATIENT)] = OTHER


def _free(hu: np.ndarray, rays: Rays, step: Step) -> np.ndarray:
    """(n,) bool: rays that come through air; others start beneath hair or a strap that stands off it."""
    out = rays.begin[:, None] - np.arange(*_OUTSIDE_MM)
    place = np.rint(rays.start[:, :, None] + (rays.inward / step)[:, :, None] * out[:, None, :]).astype(int)
    place = np.clip(place, 0, np.array(hu.shape)[:, None] - 1)
    return (hu[place[:, 0], place[:, 1], place[:, 2]] < _AIR_HU).all(axis=1)


def find(rays: Rays, step: Step, row_mm: float) -> list[Strap]:
    """The straps on the skin.

    Args:
        rays: all over the head.
        step: mm along k, j, i.
        row_mm: height of a cell.
    """
    place = rays.start * step + rays.inward * rays.begin[:, None]
    centre = np.median(place[:, 1:], axis=0)
    level = (rays.inward[:, 0] > _STEEP[0]) & (rays.inward[:, 0] < _STEEP[1]) & _outermost(place, centre, row_mm)
    layer, sector = np.minimum(rays.layer, _LATEST_MM), _sector(place, centre)

    if not level.any():
        return []

    def bands(slants: np.ndarray) -> Iterator[tuple[np.ndarray, tuple[float, float], tuple[float, float]]]:
        for slant in product(slants, slants):
            for both, edges in _bands(_height(place, centre, slant)[level], layer[level], sector[level], row_mm):
                yield both, slant, edges

    if not any(_shows(both, _AROUND, _SURELY) for both, _, _ in bands(_SLANTS)):
        return []
    straps: list[Strap] = []
    taken = np.zeros(len(place), bool)
    for both, slant, edges in sorted(bands(_FINER), key=lambda one: -one[0].mean()):
        sectors = _sectors(both)
        around, height = level & sectors[sector], _height(place, centre, slant)
        own = around & (height >= edges[0]) & (height < edges[1])
        if not own.any() or np.count_nonzero(own & taken) >= _OVERLAP * np.count_nonzero(own):
            continue
        edges = _trimmed(edges, height[around], layer[around], row_mm)
        own &= (height >= edges[0]) & (height < edges[1])
        straps.append(Strap(slant, edges, sectors, centre, own))
        taken |= own
    return straps


def _bands(
    height: np.ndarray, layer: np.ndarray, sector: np.ndarray, row_mm: float
) -> Iterator[tuple[np.ndarray, tuple[float, float]]]:
    """For each pair of edges that may be a strap's (sectors,) mm by which the lesser edge shows, and their heights."""
    row = np.floor(height / row_mm + 0.5).astype(int)
    lowest = row.min()
    rows = row.max() - lowest + 1
    at = (row - lowest) * _SECTORS + sector
    count, total = (
        np.pad(np.bincount(at, weight, rows * _SECTORS).reshape(rows, _SECTORS).cumsum(axis=0), ((1, 0), (0, 0)))
        for weight in (None, layer)
    )
    side = max(1, round(_EDGE_MM / row_mm))
    number, amount = count[side:] - count[:-side], total[side:] - total[:-side]
    mean = np.where(number >= _FEWEST, amount / np.maximum(number, 1), np.nan)
    later = mean[side:] - mean[:-side]  # above each edge than below it
    lower, upper = (
        np.flatnonzero(np.count_nonzero(one > _LATER_MM, axis=1) >= _ANOTHER_AROUND) for one in (later, -later)
    )  # fmt: skip
    for one, two in product(lower, upper):
        if not _WIDTH_MM[0] <= (two - one) * row_mm <= _WIDTH_MM[1]:
            continue
        both = np.clip(np.nan_to_num(np.minimum(later[one], -later[two]), nan=_LEAST_MM), _LEAST_MM, _MOST_MM)
        if _shows(both, _ANOTHER_AROUND, _ANOTHER_SURELY):
            yield both, ((lowest + side + one - 0.5) * row_mm, (lowest + side + two - 0.5) * row_mm)


def _shows(both: np.ndarray, around: int, surely: float) -> bool:
    return bool(np.count_nonzero(both > _LATER_MM) >= around and both.mean() > surely * both.std() / np.sqrt(_SECTORS))


def _trimmed(edges: tuple[float, float], height: np.ndarray, layer: np.ndarray, row_mm: float) -> tuple[float, float]:
    """The edges without rows that may be skin beside the strap.

    Args:
        edges: mm, lower and upper.
        height: (n,) mm of the rays in the strap's sectors.
        layer: (n,) mm of theirs.
        row_mm: height of a row.
    """

    def mean(low: float, high: float) -> float:
        there = layer[(height >= low) & (height < high)]
        return float(there.mean()) if there.size else 0.0

    low, high = edges
    inside = mean(low + (high - low) / 4, high - (high - low) / 4)
    below, above = mean(low - _EDGE_MM, low), mean(high, high + _EDGE_MM)
    while low + row_mm < high and mean(low, low + row_mm) < below + _CLEARLY * (inside - below):
        low += row_mm
    while low + row_mm < high and mean(high - row_mm, high) < above + _CLEARLY * (inside - above):
        high -= row_mm
    return low, high


def _sectors(both: np.ndarray) -> np.ndarray:
    """Where around the head a strap lies: where its edges show in two of three neighbours, and short ways between."""
    shows = both > _LATER_MM
    lies = shows.astype(int) + np.roll(shows, 1) + np.roll(shows, -1) >= 2
    closed = lies.copy()
    for gap in range(1, _BRIDGED + 1):
        for first in range(_SECTORS):
            if lies[first] and lies[(first + gap + 1) % _SECTORS]:
                closed[(first + 1 + np.arange(gap)) % _SECTORS] = True
    return closed


def _outermost(place: np.ndarray, centre: np.ndarray, row_mm: float) -> np.ndarray:
    """(n,) bool: places (n, 3) that lie no deeper than an ear within what is farthest out in their row and sector."""
    at = np.rint(place[:, 0] / row_mm).astype(int).clip(0) * _SECTORS + _sector(place, centre)
    away = np.hypot(place[:, 1] - centre[0], place[:, 2] - centre[1])
    farthest = np.zeros(at.max() + 1)
    np.maximum.at(farthest, at, away)
    return away > farthest[at] - _EAR_MM


def _height(place: np.ndarray, centre: np.ndarray, slant: tuple[float, float]) -> np.ndarray:
    """(n,) mm along k of places (n, 3), down the slant to the centre."""
    return place[:, 0] - slant[0] * (place[:, 2] - centre[1]) - slant[1] * (place[:, 1] - centre[0])


def _sector(place: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(n,) int: in which part of the way around the centre places (n, 3) lie."""
    angle = np.arctan2(place[:, 2] - centre[1], place[:, 1] - centre[0])
    return ((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
