"""Values of DICOM elements straight from their bytes, forgiving: what makes no sense is missing, never an exception.

Only technical elements are listed here, so no patient's name or ID is ever decoded and none can get into a message.
Free text is taken only where it has the form or the words that the technical value must have.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TAGS = {
    "image_type": 0x00080008,
    "sop_class": 0x00080016,
    "sop_uid": 0x00080018,
    "acquisition_date_time": 0x0008002A,
    "acquisition_time": 0x00080032,
    "modality": 0x00080060,
    "series_description": 0x0008103E,
    "thickness": 0x00180050,
    "kvp": 0x00180060,
    "echo": 0x00180086,
    "tilt": 0x00181120,
    "kernel": 0x00181210,
    "patient_position": 0x00185100,
    "series_uid": 0x0020000E,
    "acquisition": 0x00200012,
    "instance": 0x00200013,
    "position": 0x00200032,
    "orientation": 0x00200037,
    "frame_of_reference": 0x00200052,
    "temporal": 0x00200100,
    "slice_location": 0x00201041,
    "cardiac_phase": 0x00209241,
    "samples": 0x00280002,
    "photometric": 0x00280004,
    "frames": 0x00280008,
    "rows": 0x00280010,
    "columns": 0x00280011,
    "spacing": 0x00280030,
    "allocated": 0x00280100,
    "stored": 0x00280101,
    "signed": 0x00280103,
    "padding": 0x00280120,
    "padding_limit": 0x00280121,
    "intercept": 0x00281052,
    "slope": 0x00281053,
    "overlay_bit": 0x60000102,
    "shared_groups": 0x52009229,
    "frame_groups": 0x52009230,
    "frame_acquisition": 0x00209156,
    "frame_temporal": 0x00209128,
}
"""The elements that are read. Nothing else is."""

_MISSING = ("", None, True)

_KNOWN_WORDS = frozenset(
    re.findall(
        "[a-z]+",
        "abdomen angio arterial ax axial axl becken body bone bones brain cap chest contrast cor coronal ct cta "
        "delay delayed dose hals head helical high hr hrct iv kernel kopf liver localizer low lung lungs mediastinum "
        "mm nativ native neck pelvis phase plain portal recon routine sag sagittal scan scout sequence series sharp "
        "skull smooth soft spine spiral standard std surview thick thin thorax tissue topogram venous w whole with "
        "without wo",
    )
)


class Elements:
    """Values of elements by their raw bytes; whatever makes no sense is missing."""

    def __init__(self, found: Mapping[int, tuple[str, Any, bool]], dataset: Dataset | None = None) -> None:
        """Take raw elements.

        Args:
            found: VR (or an empty string), value and whether it is little endian, by tag.
            dataset: what they are from; without it there are no sequences.
        """
        self._found = found
        self._dataset = dataset

    @classmethod
    def of(cls, dataset: Dataset) -> Elements:
        """The elements of a data set."""
        found = {}
        for tag in dataset.keys():  # noqa: SIM118 - values() would decode
            element = dataset.get_item(tag)
            little = getattr(element, "is_little_endian", True)  # only elements that are not decoded have it
            found[int(tag)] = (element.VR or "", element.value, little)
        return cls(found, dataset)

    def _raw(self, tag: int) -> tuple[str, Any, bool]:
        return self._found.get(tag, _MISSING)

    def text(self, name: str) -> str:
        """The value as text, or an empty one."""
        _, value, _ = self._raw(TAGS[name])
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        return value.strip(" \0\t\r\n") if isinstance(value, str) else ""

    def word(self, name: str, pattern: str) -> str:
        """A text of the form that the standard prescribes, or nothing."""
        return _word(self.text(name), pattern)

    def numbers(self, name: str) -> tuple[float, ...]:
        """All values as finite numbers, or none."""
        vr, value, little = self._raw(TAGS[name])
        if value is None:
            return ()
        if isinstance(value, bytes):
            return _stored_numbers(vr, value, little)
        return _finite(value if isinstance(value, (list, tuple)) or hasattr(value, "__iter__") else [value])

    def number(self, name: str) -> float | None:
        """The first value."""
        numbers = self.numbers(name)
        return numbers[0] if numbers else None

    def integer(self, name: str) -> int | None:
        """An integer; 2 bytes without a known type are taken as a binary number, as US is stored."""
        vr, value, little = self._raw(TAGS[name])
        if isinstance(value, bytes) and len(value) == 2 and vr not in ("IS", "DS", "SS", "CS", "LO", "SH"):
            return int.from_bytes(value, "little" if little else "big")
        number = self.number(name)
        return int(number) if number is not None and number == int(number) else None

    def pixel_value(self, name: str, signed: bool) -> int | None:
        """A pixel value, stored as US or SS; files often name the wrong one of the two."""
        _, value, little = self._raw(TAGS[name])
        if isinstance(value, bytes) and len(value) == 2:
            return int.from_bytes(value, "little" if little else "big", signed=signed)
        return None

    def sequence(self, tag: int) -> list[Elements]:
        """The items of a sequence."""
        if self._dataset is None:
            return []
        try:
            element = self._dataset.get(tag)
            return [Elements.of(item) for item in (element.value if element is not None else ()) or ()]
        except Exception:  # a damaged sequence is a missing one
            return []

    def vector(self, name: str, count: int) -> tuple[float, ...] | None:
        """Exactly so many coordinates or cosines within reason."""
        numbers = self.numbers(name)
        return numbers if len(numbers) == count and max(map(abs, numbers)) < 1e6 else None

    def millimeters(self, name: str) -> float | None:
        """A positive length."""
        number = self.number(name)
        return number if number is not None and 0 < number < 1e4 else None

    def spacing(self) -> tuple[float, float] | None:
        """Mm between rows and between columns."""
        numbers = self.numbers("spacing")
        return numbers if len(numbers) == 2 and all(1e-3 < number < 1e3 for number in numbers) else None

    def orientation(self) -> tuple[float, ...] | None:
        """Unit vectors of a row and of a column; slightly skew ones, as rounding makes them, are made perpendicular."""
        numbers = self.vector("orientation", 6)
        if numbers is None:
            return None
        return _perpendicular(numbers)

    def padding(self, signed: bool) -> tuple[int, int] | None:
        """Range of stored values that stand for "no picture here"."""
        value = self.pixel_value("padding", signed)
        if value is None:
            return None
        limit = self.pixel_value("padding_limit", signed)
        return (value, value) if limit is None else (min(value, limit), max(value, limit))

    def harmless(self, name: str) -> str | None:
        """A free text only if each of its words is a common technical one: people type names there."""
        text = self.text(name)
        words = re.findall(r"[^\W\d_]+", text)
        known = words and len(text) <= 64 and all(word.lower() in _KNOWN_WORDS for word in words)
        return text if known and not re.search(r"\d{4,}", text) else None


# Most values are the same in all slices of a series, so what has been made of them is kept for a while.


@lru_cache(maxsize=1024)
def _word(text: str, pattern: str) -> str:
    return text if re.fullmatch(pattern, text) else ""


@lru_cache(maxsize=1024)
def _stored_numbers(vr: str, value: bytes, little: bool) -> tuple[float, ...]:
    """The numbers that the bytes of an element stand for, or none."""
    code = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}.get(vr)
    if not code:
        return _finite(value.decode("latin-1").strip(" \0").split("\\"))
    count = len(value) // struct.calcsize(code)
    return _finite(struct.unpack(f"{'<' if little else '>'}{count}{code}", value[: count * struct.calcsize(code)]))


def _finite(values: Iterable[Any]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(item) for item in values)
    except (TypeError, ValueError, OverflowError):
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()


@lru_cache(maxsize=256)
def _perpendicular(numbers: tuple[float, ...]) -> tuple[float, ...] | None:
    """Unit vectors at right angles, or None where they are too far from that."""
    row, column = np.array(numbers[:3]), np.array(numbers[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.9 or max(lengths) > 1.1 or abs(row @ column) > 0.02:
        return None
    row /= lengths[0]
    column -= row * (row @ column)
    column /= np.linalg.norm(column)
    return (*map(float, row), *map(float, column))
