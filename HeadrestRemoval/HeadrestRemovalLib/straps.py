"""Straps that lie on the skin of the head without a gap: told by what they show along their whole length.

Where a strap lies, HU rises to that of skin later than beside it, by less than a ray can tell from skin that is blurred
or thick. But a strap follows a plane round the head, is as wide all along, and ends at two edges: averaged over sectors
of the head, both edges show in most sectors, and the outline steps out there. Nothing of a patient does both, all
around. Where the one does not show, as HU does not over firm cheeks, the other tells how far the strap goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from scipy import ndimage

from .grid import Factors, Step
from .labels import HEADREST, OTHER, PATIENT
from .rays import Rays, from_air, voxels_near
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

_STANDS_OUT_MM, _STEPS_SURELY = 0.3, 3.0
"""By so much, and so many standard errors, the outline steps out, too: folds of the neck and blurred skin do not."""

_MOST_MM, _LEAST_MM = 1.5, -1.0
"""What a single sector may count for and against a strap."""

_FEWEST = 2
"""Rays in a sector, on one side of an edge: with fewer nothing is known."""

_OVERLAP = 0.2
"""What shares more than this of its rays with a strap is another view of it."""

_BRIDGED = 3
"""Over so many sectors a strap goes on where nothing can be told, as over an ear, but not over bare skin."""

_EARLIER_MM = 0.4
"""Where HU rises earlier than beside it by more than this the skin beside it is no measure."""

_SEEN_MM = 0.9
"""So much, of what HU rises later and the outline steps out together, is a strap: half of a thin one."""

_STEP_MM = (-1.0, 3.0)
"""What a single sector may count against and for a step of the outline: noses and ears step by more."""

_FAINT_HU = -100
"""What is denser is skin."""

_ALIKE_HU = 180
"""Likewise what is denser by this than most of the strap in the slice, at whose edge it is blurred."""

_MOST, _MOST_OF_THICK = 50, 75
"""Most: so much of it in percent. Of a thick one half may be its blurred outer edge; of a thin one all is blurred."""

_OVERSHOT_HU = 170
"""What lies before a strap is the strap, denser than most of it by up to this where a sharp kernel overshoots."""

_THICK_MM = 3.1
"""No voxel is taken whose middle lies deeper, or farther from air in its slice, unless a strap shows to be thicker."""

_SOFT_HU, _CORNER_MM = -300, 0.9
"""What is fainter is no skin that lies beneath a strap, so much farther from air in any direction than it is thick."""

_DIP_HU, _FEW_RAYS = 60, 50
"""Where HU falls by more beneath a strap, or in fewer places, it doesn't tell how thick the strap is."""

_SOONEST, _THICKER_MM, _BLURRED_MM = 25, 3.5, 1.1
"""A strap is thicker where tissue begins later than so many mm in all but that share of its rays, in percent: by the
mm that these tell, and a part that is blurred."""

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
        own = own.of(_free(labels, hu, own, step))
        if not len(own.begin):
            continue
        thick_mm = _thick(own)
        near = voxels_near(labels, own, step, factors)
        kind, depth = labels[near.box], near.depth - own.begin[near.ray]
        deepest = np.maximum(depth, from_air(labels, hu, near, step, thick_mm))
        value = hu[near.box][near.where]
        own_place = (depth > -_BEFORE_MM) & strap.holds(near.place * step)
        found = own_place & (deepest < thick_mm) & near.beside & (value < _FAINT_HU)
        if not found.any():
            continue
        k = near.where[0]
        most = partial(np.percentile, q=_MOST_OF_THICK if thick_mm > _THICK_MM else _MOST)
        usual = ndimage.labeled_comprehension(value[found], k[found], np.arange(len(kind)), most, float, np.nan)
        found &= value < usual[k] + _ALIKE_HU
        reach = np.zeros(len(own.begin))
        np.maximum.at(reach, near.ray[found], deepest[found])
        before = own_place & near.beside & (deepest < reach[near.ray] - step[1] / 2)
        found |= before & (value < usual[k] + _OVERSHOT_HU)
        # In corners of voxels, and where it slants, a strap is farther from the air in its slice than it is thick.
        soft_mm = thick_mm + _CORNER_MM
        bare = from_air(labels, hu, near, step, soft_mm, in_slice=False) < soft_mm
        found |= own_place & bare & (depth < thick_mm) & (value < _SOFT_HU)
        free, soft = kind != PATIENT, np.zeros(kind.shape, bool)
        soft[near.where] = found
        kind[reached(free, free | soft) & (kind == PATIENT)] = OTHER


def _thick(rays: Rays) -> float:
    """Mm that no voxel of a strap lies deeper than; the rays are those that start on it."""
    layer = rays.layer[rays.dip <= _DIP_HU]
    soonest = float(np.percentile(layer, _SOONEST)) if len(layer) >= _FEW_RAYS else 0.0
    return soonest + _BLURRED_MM if soonest > _THICKER_MM else _THICK_MM


def _free(labels: np.ndarray, hu: np.ndarray, rays: Rays, step: Step) -> np.ndarray:
    """(n,) bool: rays that come through air or a holder; others start beneath hair or a strap that stands off it."""
    out = rays.begin[:, None] - np.arange(*_OUTSIDE_MM)
    place = np.rint(rays.start[:, :, None] + (rays.inward / step)[:, :, None] * out[:, None, :]).astype(int)
    place = np.clip(place, 0, np.array(hu.shape)[:, None] - 1)
    at = place[:, 0], place[:, 1], place[:, 2]
    return ((hu[at] < _AIR_HU) | (labels[at] == HEADREST)).all(axis=1)


def find(rays: Rays, step: Step, row_mm: float) -> list[Strap]:
    """The straps on the skin.

    Args:
        rays: all over the head.
        step: mm along k, j, i.
        row_mm: height of a cell.
    """
    place = rays.start * step + rays.inward * rays.begin[:, None]
    centre = np.median(place[:, 1:], axis=0)
    level = (rays.inward[:, 0] > _STEEP[0]) & (rays.inward[:, 0] < _STEEP[1])
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
    out = np.hypot(place[:, 1] - centre[0], place[:, 2] - centre[1])
    for both, slant, edges in sorted(bands(_FINER), key=lambda one: -one[0].mean()):
        height = _height(place, centre, slant)

        def between(sectors: np.ndarray, low: float, high: float, height: np.ndarray = height) -> np.ndarray:
            return level & sectors[sector] & (height >= low) & (height < high)

        own = between(both > _LATER_MM, *edges)
        if np.count_nonzero(own & taken) >= _OVERLAP * np.count_nonzero(own):
            continue
        taken |= own
        edges, stands_out = _outline(edges, both > _LATER_MM, height[level], out[level], sector[level], row_mm)
        later = _later(edges, height[level], layer[level], sector[level])
        steps = stands_out[later > _LATER_MM]
        if not steps.size or steps.mean() < max(_STANDS_OUT_MM, _STEPS_SURELY * steps.std() / np.sqrt(steps.size)):
            continue
        sectors = _sectors(both, later, stands_out)
        own = between(sectors, *edges)
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


def _outline(
    edges: tuple[float, float], lies: np.ndarray, height: np.ndarray, out: np.ndarray, sector: np.ndarray, row_mm: float
) -> tuple[tuple[float, float], np.ndarray]:
    """Where the outline steps out at a strap's lower edge and back at its upper one, and by how much.

    Args:
        edges: mm, lower and upper, right to a row.
        lies: (sectors,) bool: where the strap surely lies.
        height: (n,) mm of the rays.
        out: (n,) mm from the middle of the head to where they begin.
        sector: (n,) of the rays.
        row_mm: height of a row.

    Returns:
        The edges; (sectors,) mm by which the strap stands out there.
    """
    found, stands_out = [], np.zeros(_SECTORS)
    for edge, sign in zip(edges, (1, -1)):
        near = [edge + shift * row_mm for shift in (0, -1, 1)]
        steps = [sign * _step(one, height, out, sector, row_mm) for one in near]
        steps = np.clip(np.nan_to_num(steps), *_STEP_MM)
        best = int(steps[:, lies].mean(axis=1).argmax())
        found.append(near[best])
        stands_out += steps[best] / 2
    return (found[0], found[1]) if found[1] - found[0] > row_mm else edges, stands_out


def _later(edges: tuple[float, float], height: np.ndarray, layer: np.ndarray, sector: np.ndarray) -> np.ndarray:
    """(sectors,) mm by which HU rises later between two edges than beside them, at the lesser one; 0 unknown."""

    def mean(low: float, high: float) -> np.ndarray:
        there = (height >= low) & (height < high)
        count, total = (np.bincount(sector[there], weight, _SECTORS) for weight in (None, layer[there]))
        return np.where(count >= _FEWEST, total / np.maximum(count, 1), np.nan)

    low, high = edges
    inside = mean(low, low + _EDGE_MM), mean(high - _EDGE_MM, high)
    beside = mean(low - _EDGE_MM, low), mean(high, high + _EDGE_MM)
    return np.nan_to_num(np.minimum(inside[0] - beside[0], inside[1] - beside[1]))


def _step(edge: float, height: np.ndarray, out: np.ndarray, sector: np.ndarray, row_mm: float) -> np.ndarray:
    """(sectors,) mm by which the outline steps out from below an edge to above it, beyond its slope; NaN unknown."""
    row = np.floor((height - edge) / row_mm).astype(int) + 2
    near = (row >= 0) & (row < 4)
    at = row[near] * _SECTORS + sector[near]
    count, total = (np.bincount(at, weight, 4 * _SECTORS).reshape(4, _SECTORS) for weight in (None, out[near]))
    one, two, three, four = np.where(count >= _FEWEST, total / np.maximum(count, 1), np.nan)
    return 1.5 * (three - two) - 0.5 * (four - one)


def _sectors(both: np.ndarray, later: np.ndarray, stands_out: np.ndarray) -> np.ndarray:
    """Where around the head a strap lies: where it shows in two of three neighbours, and short ways between.

    Args:
        both: (sectors,) mm by which HU rises later, where the strap was found.
        later: (sectors,) mm likewise, between its edges.
        stands_out: (sectors,) mm by which the outline steps out there.
    """
    even = later > -_EARLIER_MM
    shows = (both > _LATER_MM) | (even & (later + stands_out > _SEEN_MM))
    bare = even & ~shows & (stands_out < _SEEN_MM)
    lies = shows.astype(int) + np.roll(shows, 1) + np.roll(shows, -1) >= 2
    closed = lies.copy()
    for gap in range(1, _BRIDGED + 1):
        for first in range(_SECTORS):
            between = (first + 1 + np.arange(gap)) % _SECTORS
            if lies[first] and lies[(first + gap + 1) % _SECTORS] and not bare[between].any():
                closed[between] = True
    return closed


def _height(place: np.ndarray, centre: np.ndarray, slant: tuple[float, float]) -> np.ndarray:
    """(n,) mm along k of places (n, 3), down the slant to the centre."""
    return place[:, 0] - slant[0] * (place[:, 2] - centre[1]) - slant[1] * (place[:, 1] - centre[0])


def _sector(place: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(n,) int: in which part of the way around the centre places (n, 3) lie."""
    angle = np.arctan2(place[:, 2] - centre[1], place[:, 1] - centre[0])
    return ((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
