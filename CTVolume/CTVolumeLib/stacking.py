"""From a heap of slice headers to stacks: which slices belong together, in which order, and where they lie.

Order and geometry come from ImagePositionPatient along the normal of ImageOrientationPatient (DICOM PS3.3 C.7.6.2.1.1),
never from instance numbers, file names or SliceThickness. Patient coordinates already account for the way the patient
lies on the table, so PatientPosition changes nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from .headers import SliceHeader, is_localizer

Note = tuple[str, str]

SAME_PLACE_MM = 0.01
"""Slices closer than this along the normal lie at the same place."""

_EVEN_SHARE = 0.1  # of the spacing: by so much a slice may lie off the even grid
_EVEN_LIMIT_MM = 0.5
_ROUNDED_MM = 0.1  # positions given to one digit lie off by so much, but never more than a quarter of the spacing
_SHEAR_MM = 0.2  # in-plane shift over the whole stack that rounding can't explain
_SAME_ORIENTATION = 0.02  # about 1 degree
_SAME_SPACING_MM = 1e-3


@dataclass(frozen=True)
class Geometry:
    """Where a stack of n slices lies; see CTVolume for the meaning of the fields."""

    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]
    positions: np.ndarray | None
    slice_origins: np.ndarray | None
    notes: tuple[Note, ...]


def groups(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices that can lie in one volume: same series, picture size, pixel spacing and orientation."""
    by_key: dict[Hashable, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        pixels = header.pixels
        picture = (pixels.rows, pixels.columns, pixels.photometric, is_localizer(header))
        by_key[(header.series_uid or header.source.folder, picture)].append(header)
    result = []
    for members in by_key.values():
        result += _by_plane(members)
    return result


def ordered(headers: list[SliceHeader]) -> list[SliceHeader]:
    """Sorted along the normal; at the same place by acquisition and instance number."""
    offsets = along_normal(headers)
    rank = [
        (round(float(offset) / SAME_PLACE_MM), header.acquisition or 0, header.instance or 0, str(header.source))
        for offset, header in zip(offsets, headers)
    ]
    return [headers[index] for index in sorted(range(len(headers)), key=rank.__getitem__)]


def along_normal(headers: list[SliceHeader]) -> np.ndarray:
    """(n,) mm of each slice along the common normal. All need a position and an orientation."""
    _, _, normal = _axes(headers[0])
    return np.array([header.position for header in headers], dtype=float) @ normal


def heights(headers: list[SliceHeader]) -> np.ndarray:
    """(n,) LPS z in mm of the centre of each slice. All need a position, an orientation and a spacing."""
    first = headers[0]
    row, column, _ = _axes(first)
    half = (first.pixels.columns - 1) / 2 * first.spacing[1], (first.pixels.rows - 1) / 2 * first.spacing[0]
    return np.array([header.position[2] for header in headers]) + half[0] * row[2] + half[1] * column[2]


def places_from_slice_location(headers: list[SliceHeader]) -> tuple[list[SliceHeader], tuple[Note, ...]] | None:
    """The slices with positions made up from SliceLocation where the headers have none, or None if that is not safe.

    Args:
        headers: slices of one group of which none has a position.
    """
    locations = [header.slice_location for header in headers]
    if any(location is None for location in locations):
        return None
    if len(headers) > 1 and len({round(location, 2) for location in locations}) < len(locations):
        return None
    instances = [header.instance for header in headers]
    if len(headers) > 2 and None not in instances:  # a location that jumps about in scan order is no location
        steps = np.diff([location for _, location in sorted(zip(instances, locations))])
        if not (np.all(steps > 0) or np.all(steps < 0)):
            return None
    axial = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    placed = []
    for header, location in zip(headers, locations):
        orientation = header.orientation or axial
        normal = np.cross(orientation[:3], orientation[3:])
        place = tuple(float(value) for value in normal * location * (1 if normal[2] >= 0 else -1))
        placed.append(replace(header, position=place, orientation=orientation))
    text = "The headers lack ImagePositionPatient; SliceLocation was used, which may run from head to feet or back."
    return placed, (("no_positions", text),)


def split_acquisitions(headers: list[SliceHeader]) -> tuple[list[list[SliceHeader]], str]:
    """Stacks that lie in the same place apart (phases, repeats, kernels), and by what they were told apart.

    Slices taken station by station also differ in their acquisition number, but lie one after the other: they stay
    together.

    Args:
        headers: slices of one group, with positions.
    """
    headers = _without_copies(headers)
    if len(headers) < 4:
        return [headers], ""
    places = np.round(along_normal(headers) / SAME_PLACE_MM).astype(np.int64)
    for name, words in _TELL_APART:
        by_value: dict[Hashable, list[int]] = defaultdict(list)
        for index, header in enumerate(headers):
            by_value[getattr(header, name)].append(index)
        if 1 < len(by_value) <= len(headers) // 2 and _interleaved(list(by_value.values()), places, headers):
            return _largest_first([[headers[index] for index in part] for part in by_value.values()]), words
    at_place: dict[int, list[int]] = defaultdict(list)
    for index, place in enumerate(places):
        at_place[int(place)].append(index)
    if sum(len(indices) > 1 for indices in at_place.values()) < len(at_place) / 2:
        return [headers], ""
    passes: dict[int, list[SliceHeader]] = defaultdict(list)
    for indices in at_place.values():
        indices.sort(key=lambda index: (headers[index].acquisition_time, headers[index].instance or 0))
        for turn, index in enumerate(indices):
            passes[turn].append(headers[index])
    return _largest_first(list(passes.values())), "order of acquisition"


def geometry(headers: list[SliceHeader]) -> Geometry:
    """Where the slices lie, with notes on all that is not an even, upright stack.

    Args:
        headers: slices in order along the normal, each at a place of its own.
    """
    row, column, normal = _axes(headers[0])
    origins = np.array([header.position for header in headers], dtype=float)
    offsets = origins @ normal
    row_spacing, column_spacing = headers[0].spacing
    notes: list[Note] = []
    between, positions = _between_slices(offsets, headers[0].thickness, notes)
    sheared = _shear(origins, offsets, normal, row, column, notes)
    turned = max(float(np.abs(np.subtract(header.orientation, headers[0].orientation)).max()) for header in headers)
    if turned > 1e-3:
        degrees = math.degrees(turned)
        text = f"The slices are not parallel (up to {degrees:.1f} degrees); the first one's direction is used."
        notes.append(("not_parallel", text))
    return Geometry(
        spacing=(float(column_spacing), float(row_spacing), between),
        origin=tuple(float(value) for value in origins[0]),
        direction=tuple(float(value) for value in np.stack([row, column, normal], axis=1).ravel()),
        positions=offsets if sheared else positions,
        slice_origins=origins if sheared else None,
        notes=tuple(notes),
    )


_TELL_APART = (
    ("temporal", "temporal position"),
    ("acquisition", "acquisition number"),
    ("cardiac_phase", "cardiac phase"),
    ("echo", "echo number"),
    ("kernel", "kernel"),
    ("kvp", "tube voltage"),
    ("image_type", "image type"),
    ("thickness", "slice thickness"),
    ("acquisition_time", "acquisition time"),
)


def _axes(header: SliceHeader) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    row, column = np.array(header.orientation[:3]), np.array(header.orientation[3:])
    return row, column, np.cross(row, column)


def _by_plane(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices of the same orientation and pixel spacing; each compared with the first of a group."""
    found: list[list[SliceHeader]] = []
    for header in headers:
        for group in found:
            turned = _differ(group[0].orientation, header.orientation, _SAME_ORIENTATION)
            if not turned and not _differ(group[0].spacing, header.spacing, _SAME_SPACING_MM):
                group.append(header)
                break
        else:
            found.append([header])
    return found


def _differ(one: tuple[float, ...] | None, other: tuple[float, ...] | None, limit: float) -> bool:
    if one is None or other is None:
        return one is not other
    return max(abs(a - b) for a, b in zip(one, other)) > limit


def _without_copies(headers: list[SliceHeader]) -> list[SliceHeader]:
    """The same instance twice in a folder (copied files) counts once."""
    seen, kept = set(), []
    for header in headers:
        key = (header.sop_uid, header.frame, header.position)
        if header.sop_uid and key in seen:
            continue
        seen.add(key)
        kept.append(header)
    return kept


def _interleaved(parts: list[list[int]], places: np.ndarray, headers: list[SliceHeader]) -> bool:
    """Whether the parts run through the same stretch of the body instead of lying one after the other."""
    parts = sorted((part for part in parts if len(part) > 1), key=len)
    if len(parts) < 2:
        return False
    sets = [set(places[part].tolist()) for part in parts]
    shared = sum(len(one & other) for number, one in enumerate(sets) for other in sets[number + 1 :])
    if shared >= max(2, len(parts[0]) / 4):
        return True
    small, large = places[parts[-2]], places[parts[-1]]
    inside = np.count_nonzero((small > large.min()) & (small < large.max()))
    back = np.count_nonzero((large > small.min()) & (large < small.max()))
    if inside < len(small) / 2 or back < len(small) / 2 or len(small) < 3:
        return False
    # Odd slices first, even ones later is a way to scan one volume; two complete volumes overlap instead.
    own = np.median(np.diff(np.sort(small))) * SAME_PLACE_MM
    steps = np.diff(np.sort(places)) * SAME_PLACE_MM
    uneven = steps.max() > 1.5 * max(steps.min(), SAME_PLACE_MM)
    thickness = headers[parts[-2][0]].thickness
    return uneven or (thickness is not None and own <= 1.5 * thickness)


def _largest_first(parts: list[list[SliceHeader]]) -> list[list[SliceHeader]]:
    return sorted(parts, key=len, reverse=True)


def _between_slices(offsets: np.ndarray, thickness: float | None, notes: list[Note]) -> tuple[float, np.ndarray | None]:
    """Spacing of the slices in mm, and their positions where it is not even."""
    count = len(offsets)
    if count == 1:
        text = "There is only one slice; " + (
            f"its thickness of {thickness:g} mm stands for the spacing." if thickness else "its thickness is unknown."
        )
        notes.append(("one_slice", text))
        return thickness or 1.0, None
    even = (offsets[-1] - offsets[0]) / (count - 1)
    off_grid = np.abs(offsets - (offsets[0] + even * np.arange(count))).max()
    if off_grid <= max(min(_EVEN_SHARE * even, _EVEN_LIMIT_MM), min(_ROUNDED_MM, even / 4)):
        return float(even), None
    steps = np.diff(offsets)
    usual = float(np.median(steps))
    multiples = np.round(steps / usual)
    if np.all(multiples >= 1) and np.all(np.abs(steps - multiples * usual) <= _EVEN_SHARE * usual):
        gaps = np.flatnonzero(multiples > 1)
        missing = int((multiples[gaps] - 1).sum())
        text = (
            f"{missing} of {count + missing} slices {'is' if missing == 1 else 'are'} missing: the spacing is "
            f"{usual:.4g} mm, but {len(gaps)} gap{'s' if len(gaps) > 1 else ''} of up to {steps.max():.4g} mm."
        )
        notes.append(("missing_slices", text))
    else:
        text = f"The slices are unevenly spaced: {steps.min():.4g} to {steps.max():.4g} mm, mostly {usual:.4g} mm."
        notes.append(("uneven_spacing", text))
    return usual, offsets


def _shear(
    origins: np.ndarray, offsets: np.ndarray, normal: np.ndarray, row: np.ndarray, column: np.ndarray, notes: list[Note]
) -> bool:
    """Whether slices are shifted in their plane against each other; gantry tilt does it, evenly."""
    lateral = origins - origins[0] - (offsets - offsets[0])[:, None] * normal
    if len(offsets) < 2 or np.abs(lateral).max() <= _SHEAR_MM:
        return False
    shift = np.stack([lateral @ row, lateral @ column], axis=1)
    slope = ((offsets - offsets[0]) @ shift) / max(float((offsets - offsets[0]) @ (offsets - offsets[0])), 1e-9)
    residual = np.abs(shift - (offsets - offsets[0])[:, None] * slope).max()
    degrees = math.degrees(math.atan(float(np.hypot(*slope))))
    if residual <= max(0.5, 0.1 * np.abs(shift).max()):
        notes.append(("gantry_tilt", f"The gantry was tilted by {degrees:.1f} degrees; the slices are sheared."))
    else:
        shift_mm = float(np.abs(lateral).max())
        notes.append(
            ("shifted_slices", f"Slices are shifted in their plane against each other by up to {shift_mm:.1f} mm.")
        )
    return True
