"""Headrest, table or something else, by where it lies and how far it goes on.

The table is what lies behind the trunk, or goes on in the same place along it. The headrest is what lies behind and
beside the head and is no table. All else, in front of or beside the patient, is something else: sheets, cables, a mask.
"""

from __future__ import annotations

import numpy as np
from CTVolumeLib.cells import Cells

from .body import Body
from .components import components
from .constant import presence
from .labels import EQUIPMENT, HEADREST, OTHER, TABLE
from .shapes import ALL_AROUND, grow

_BACK_MM = 30.0
"""Tables are hollow, so that their sides rise beside the back."""

_BESIDE_SHARE = 0.35
"""Of the depth of a head: what lies farther to the front is not what carries it."""

_STEADY, _LENGTH_MM = 0.6, 40.0
_WIDE_MM = 300.0
_SIDEWAYS = 0.5
"""Few people lie on their side, and holders rise beside a head."""

_SMALL_ML = 60.0
_MOST_BEHIND = 0.25
"""Of all equipment: less that lasts from slice to slice on one side is a mask or a sheet, and carries nobody."""


def tell_apart(mask: np.ndarray, body: Body, cells: Cells) -> np.ndarray:
    """(k, j, i) uint8: ``HEADREST``, ``TABLE`` or ``OTHER`` where there is equipment, else 0.

    Args:
        mask: (k, j, i) bool: equipment.
        body: the patient.
        cells: the scan.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.uint8)
    steady = presence(mask, cells) > _STEADY
    turns = _turns_to_back(mask & steady, body.mask, _MOST_BEHIND * np.count_nonzero(mask))
    turned, inside, steady = (np.rot90(array, turns, (1, 2)) for array in (mask, body.mask, steady))
    step = cells.spacing[1] if turns % 2 == 0 else cells.spacing[0]
    across = cells.spacing[0] if turns % 2 == 0 else cells.spacing[1]
    front, back = _front_and_back(inside)
    if body.head.any():
        # At the vertex a slice shows little of the head; what is beside that is beside the head, too.
        front = np.where(body.head, front[body.head].min(), front)
        back = np.where(body.head, back[body.head].max(), back)
    rows = np.arange(turned.shape[1])[None, :]
    behind = rows > (back - _BACK_MM / step)[:, None]
    beside = rows > (front + _BESIDE_SHARE * (back - front))[:, None]
    head = body.head[:, None]
    as_table = (behind & ~head)[:, :, None] | (steady & (behind | (beside & ~head))[:, :, None] & ~head[:, :, None])
    kind = np.where(
        as_table, np.uint8(TABLE), np.where((beside & head)[:, :, None], np.uint8(HEADREST), np.uint8(OTHER))
    )
    kind[_goes_on_from_the_trunk(turned, behind, body.head, cells)] = TABLE
    if body.head.all():
        kind[_wide(turned, across) & (head & behind)[:, :, None]] = TABLE
    kind[~turned] = 0
    # Behind the table there is nothing but table.
    table = kind == TABLE
    below = table.any(axis=1, keepdims=True) & (rows[:, :, None] >= table.argmax(axis=1)[:, None])
    kind[below & turned & behind[:, :, None]] = TABLE
    return _of_one_kind(np.ascontiguousarray(np.rot90(kind, -turns, (1, 2))), cells)


def _turns_to_back(mask: np.ndarray, body: np.ndarray, least: float) -> int:
    """Quarter turns of the slices after which most of the equipment lies behind the patient, in the last rows.

    None where no more than ``least`` cells lie there.
    """
    found = []
    for turns in (0, 2, 1, 3):
        turned, inside = np.rot90(mask, turns, (1, 2)), np.rot90(body, turns, (1, 2))
        _, back = _front_and_back(inside)
        behind = np.arange(turned.shape[1])[None, :] > back[:, None]
        found.append((np.count_nonzero(turned & behind[:, :, None]) * (1.0 if turns % 2 == 0 else _SIDEWAYS), turns))
    count, turns = max(found, key=lambda one: one[0])
    return turns if count > least else 0


def _front_and_back(body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last row of the body in each slice, (k,); slices without it have those of the nearest with it."""
    rows = body.any(axis=2)
    filled = np.flatnonzero(rows.any(axis=1))
    nearest = filled[np.abs(np.arange(len(body))[:, None] - filled[None, :]).argmin(axis=1)]
    first, last = rows.argmax(axis=1), rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    return first[nearest].astype(float), last[nearest].astype(float)


def _goes_on_from_the_trunk(mask: np.ndarray, behind: np.ndarray, head: np.ndarray, cells: Cells) -> np.ndarray:
    """Behind the head what goes on, slice by slice, from the table behind the trunk."""
    result = np.zeros_like(mask)
    trunk = np.flatnonzero(~head)
    if len(trunk) * cells.spacing[2] < _LENGTH_MM or not head.any():
        return result
    near = trunk[-max(3, round(2 * _LENGTH_MM / cells.spacing[2])) :]  # the part of it next to the head
    going = (mask & behind[:, :, None])[near].mean(axis=0) > _STEADY
    beside = grow(mask, cells.step_mm, cells.step_mm)
    for k in range(near[0], len(mask)):
        going &= beside[k]
        result[k] = grow(going[None], cells.step_mm, cells.step_mm)[0] & mask[k]
    return result & head[:, None, None]


def _wide(mask: np.ndarray, step: float) -> np.ndarray:
    """Rows in which equipment is as wide as only a table is."""
    columns = np.arange(mask.shape[2])
    first = np.where(mask, columns, mask.shape[2]).min(axis=2)
    last = np.where(mask, columns, -1).max(axis=2)
    return (((last - first) * step > _WIDE_MM) & (mask.sum(axis=2) * step > 0.8 * _WIDE_MM))[:, :, None] & mask


def _of_one_kind(kind: np.ndarray, cells: Cells) -> np.ndarray:
    """Small parts get the kind that most of them have."""
    parts = components(kind > 0, cells, ALL_AROUND)
    commonest = np.argmax([parts.share(kind == one) for one in range(max(EQUIPMENT) + 1)], axis=0)
    small = parts.chosen(parts.millilitres < _SMALL_ML)
    result = kind.copy()
    result[small] = commonest[parts.labels[small]]
    return result
