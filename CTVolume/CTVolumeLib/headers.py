"""What a DICOM header says about one slice: where it lies, how its pixels are stored, what they mean.

Only technical elements are read, straight from their bytes: a value of the wrong type is a missing value, never an
exception, and no patient's name or ID is ever decoded, so none can get into a message or a log.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from .sources import Files, Source

HEAD_BYTES = 1 << 15
"""Nearly every CT header is shorter; longer ones are read again, whole."""

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)

_TAGS = {
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
_GROUPS = {  # functional group: (its sequence, the elements in it)
    "measures": (0x00289110, ("spacing", "thickness")),
    "orientation": (0x00209116, ("orientation",)),
    "position": (0x00209113, ("position",)),
    "values": (0x00289145, ("intercept", "slope")),
}
_FRAME_CONTENT = 0x00209111
_PIXEL_TAGS = {0x7FE00008: "f4", 0x7FE00009: "f8", 0x7FE00010: ""}
_LONG_LENGTH = (b"OB", b"OW", b"OF", b"OD", b"OV", b"OL", b"UN", b"SQ", b"UC", b"UR", b"UT", b"SV", b"UV")
_KNOWN_WORDS = frozenset(
    [
        "abdomen",
        "abd",
        "angio",
        "arterial",
        "axial",
        "ax",
        "axl",
        "body",
        "bone",
        "bones",
        "brain",
        "cap",
        "chest",
        "contrast",
        "cor",
        "coronal",
        "ct",
        "cta",
        "delayed",
        "delay",
        "head",
        "helical",
        "hr",
        "hrct",
        "iv",
        "kernel",
        "liver",
        "localizer",
        "low",
        "dose",
        "lung",
        "lungs",
        "mediastinum",
        "mm",
        "native",
        "neck",
        "pelvis",
        "phase",
        "portal",
        "recon",
        "routine",
        "sag",
        "sagittal",
        "scan",
        "scout",
        "sequence",
        "series",
        "sharp",
        "skull",
        "smooth",
        "soft",
        "spine",
        "spiral",
        "standard",
        "std",
        "surview",
        "thick",
        "thin",
        "thorax",
        "tissue",
        "topogram",
        "venous",
        "w",
        "with",
        "without",
        "wo",
        "whole",
        "plain",
        "nativ",
        "hals",
        "kopf",
        "becken",
    ]
)


class NotDicomError(Exception):
    """The bytes are no DICOM data set."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the pixels are stored, and where in the file. ``offset`` is None where they have to be unpacked first."""

    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    signed: bool
    floats: str
    overlay_bits: bool
    transfer_syntax: str
    little_endian: bool
    encapsulated: bool
    frames: int
    offset: int | None
    length: int


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One slice: a file, or one frame of a multi-frame file. Elements that are missing or unreadable are None."""

    source: Source
    frame: int
    pixels: PixelFormat
    series_uid: str
    sop_uid: str
    modality: str
    image_type: tuple[str, ...]
    position: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, float] | None
    thickness: float | None
    slice_location: float | None
    slope: float | None
    intercept: float | None
    padding: tuple[int, int] | None
    instance: int | None
    acquisition: int | None
    acquisition_time: str
    temporal: int | None
    echo: int | None
    cardiac_phase: float | None
    kvp: float | None
    kernel: str
    tilt: float | None
    patient_position: str
    frame_of_reference: str
    series_description: str | None
    problem: tuple[str, str] | None


def read_headers(source: Source, files: Files) -> list[SliceHeader]:
    """The slices in a file: none for DICOM that is no image, several for multi-frame files.

    Raises:
        NotDicomError: not a DICOM file.
        OSError: the file can't be read.
        Exception: whatever a damaged header makes pydicom raise.
    """
    data = files.read(source, 0, HEAD_BYTES)
    if not looks_like_dicom(data):
        raise NotDicomError
    size = len(data) if len(data) < HEAD_BYTES else files.size(source)
    dataset, place = None, None
    try:
        dataset, place = _parse(data)
    except Exception:
        if size == len(data):
            raise
    if place is None and size > len(data):  # the header is longer than the piece, or deflated
        data = files.read(source)
        dataset, place = _parse(data)
    return _slices(source, dataset, place, size)


def looks_like_dicom(data: bytes) -> bool:
    """Whether a file that starts with these bytes may be DICOM, with or without the preamble of 128 bytes."""
    if data[128:132] == b"DICM":
        return True
    if len(data) < 16:
        return False
    if struct.unpack("<H", data[:2])[0] not in (2, 8) and struct.unpack(">H", data[:2])[0] != 8:
        return False
    length = struct.unpack("<I", data[4:8])[0]
    return bool(re.fullmatch(rb"[A-Z]{2}", data[4:6])) or length < 256


def is_localizer(header: SliceHeader) -> bool:
    """An overview picture (scout, topogram, surview) by its image type."""
    words = " ".join(header.image_type).upper()
    return any(word in words for word in ("LOCALIZER", "SURVIEW", "SCOUT", "TOPOGRAM"))


class _Elements:
    """Values of elements by their raw bytes; whatever makes no sense is missing."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def _raw(self, tag: int) -> tuple[str, Any, bool]:
        if tag not in self.dataset:
            return "", None, True
        element = self.dataset.get_item(tag)
        if isinstance(element, RawDataElement):
            return element.VR or "", element.value, element.is_little_endian
        return element.VR, element.value, True

    def text(self, name: str) -> str:
        _, value, _ = self._raw(_TAGS[name])
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        return value.strip(" \0\t\r\n") if isinstance(value, str) else ""

    def word(self, name: str, pattern: str) -> str:
        """A text of the form that the standard prescribes, or nothing."""
        text = self.text(name)
        return text if re.fullmatch(pattern, text) else ""

    def numbers(self, name: str) -> tuple[float, ...]:
        vr, value, little = self._raw(_TAGS[name])
        if value is None:
            return ()
        if isinstance(value, bytes):
            order = "<" if little else ">"
            code = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}.get(vr)
            if code:
                count = len(value) // struct.calcsize(code)
                values = struct.unpack(f"{order}{count}{code}", value[: count * struct.calcsize(code)])
            else:
                values = value.decode("latin-1").strip(" \0").split("\\")
        else:
            values = value if isinstance(value, (list, tuple)) or hasattr(value, "__iter__") else [value]
        try:
            numbers = tuple(float(item) for item in values)
        except (TypeError, ValueError, OverflowError):
            return ()
        return numbers if all(np.isfinite(numbers)) else ()

    def number(self, name: str) -> float | None:
        numbers = self.numbers(name)
        return numbers[0] if numbers else None

    def integer(self, name: str) -> int | None:
        """An integer; 2 bytes without a known type are taken as a binary number, as US is stored."""
        vr, value, little = self._raw(_TAGS[name])
        if isinstance(value, bytes) and len(value) == 2 and vr not in ("IS", "DS", "SS", "CS", "LO", "SH"):
            return int.from_bytes(value, "little" if little else "big")
        number = self.number(name)
        return int(number) if number is not None and number == int(number) else None

    def pixel_value(self, name: str, signed: bool) -> int | None:
        """A pixel value, stored as US or SS; files often name the wrong one of the two."""
        _, value, little = self._raw(_TAGS[name])
        if isinstance(value, bytes) and len(value) == 2:
            return int.from_bytes(value, "little" if little else "big", signed=signed)
        return None

    def sequence(self, tag: int) -> list[_Elements]:
        try:
            element = self.dataset.get(tag)
            return [_Elements(item) for item in (element.value if element is not None else ()) or ()]
        except Exception:  # a damaged sequence is a missing one
            return []


def _parse(data: bytes) -> tuple[Dataset, tuple[int, str, int] | None]:
    """Header, and (offset, kind, length) of the pixels in ``data``, or None where they were not met."""
    stream = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote the values that they complain about
        dataset = dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(_TAGS.values()))
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if syntax == DeflatedExplicitVRLittleEndian:
        return dataset, None
    start = stream.tell()
    implicit, little = dataset.original_encoding
    order = "<" if little else ">"
    if start + 12 > len(data):
        return dataset, None
    group, element = struct.unpack(f"{order}HH", data[start : start + 4])
    tag = group << 16 | element
    if tag not in _PIXEL_TAGS:
        return dataset, None
    if implicit or data[start + 4 : start + 6] not in _LONG_LENGTH:
        length, offset = struct.unpack(f"{order}I", data[start + 4 : start + 8])[0], start + 8
    else:
        length, offset = struct.unpack(f"{order}I", data[start + 8 : start + 12])[0], start + 12
    return dataset, (offset, _PIXEL_TAGS[tag], length)


def _slices(source: Source, dataset: Dataset, place: tuple[int, str, int] | None, size: int) -> list[SliceHeader]:
    elements = _Elements(dataset)
    if elements.integer("rows") is None and place is None and not _is_ct_image(elements):
        return []  # a report, a DICOMDIR, a structure set
    pixels = _pixel_format(dataset, elements, place, size)
    header = SliceHeader(
        source=source,
        frame=0,
        pixels=pixels,
        series_uid=elements.word("series_uid", r"[0-9.]{1,64}"),
        sop_uid=elements.word("sop_uid", r"[0-9.]{1,64}"),
        modality=elements.word("modality", r"[A-Z0-9_ ]{1,16}"),
        image_type=tuple(elements.text("image_type").upper().split("\\")),
        position=_exactly(elements.numbers("position"), 3),
        orientation=_orientation(elements),
        spacing=_spacing(elements),
        thickness=_positive(elements.number("thickness")),
        slice_location=elements.number("slice_location"),
        slope=elements.number("slope"),
        intercept=elements.number("intercept"),
        padding=_padding(elements, pixels.signed),
        instance=elements.integer("instance"),
        acquisition=elements.integer("acquisition"),
        acquisition_time=elements.word("acquisition_date_time", r"[0-9.+-]+")
        or elements.word("acquisition_time", r"[0-9.:]+"),
        temporal=elements.integer("temporal"),
        echo=elements.integer("echo"),
        cardiac_phase=elements.number("cardiac_phase"),
        kvp=elements.number("kvp"),
        kernel=elements.word("kernel", r"[\w+\-./ ]{1,20}(\\[\w+\-./ ]{1,8})?"),
        tilt=elements.number("tilt"),
        patient_position=elements.word("patient_position", r"[A-Z]{2,4}"),
        frame_of_reference=elements.word("frame_of_reference", r"[0-9.]{1,64}"),
        series_description=_harmless(elements.text("series_description")),
        problem=None,
    )
    header = replace(header, problem=_problem(header, place, size, elements))
    frames = elements.sequence(_TAGS["frame_groups"])
    if frames and header.problem is None:
        return _frames(header, frames, elements.sequence(_TAGS["shared_groups"]))
    return [header]


def _pixel_format(dataset: Dataset, elements: _Elements, place: tuple[int, str, int] | None, size: int) -> PixelFormat:
    implicit, little = dataset.original_encoding
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", "")) if hasattr(dataset, "file_meta") else ""
    if not syntax:
        syntax = str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian)
    offset, floats, length = place or (None, "", 0)
    encapsulated = length == 0xFFFFFFFF
    if offset is not None and (encapsulated or offset + length > size):
        length = size - offset
    allocated = elements.integer("allocated") or 0
    return PixelFormat(
        rows=elements.integer("rows") or 0,
        columns=elements.integer("columns") or 0,
        samples=elements.integer("samples") or 1,
        photometric=elements.word("photometric", r"[A-Z0-9_ ]{1,16}"),
        allocated=allocated,
        stored=elements.integer("stored") or allocated,
        signed=elements.integer("signed") == 1,
        floats=floats,
        overlay_bits=bool(elements.integer("overlay_bit")),
        transfer_syntax=syntax if re.fullmatch(r"[0-9.]{1,64}", syntax) else "",
        little_endian=little,
        encapsulated=encapsulated,
        frames=max(elements.integer("frames") or 1, 1),
        offset=offset,
        length=length,
    )


def _problem(
    header: SliceHeader, place: tuple[int, str, int] | None, size: int, elements: _Elements
) -> tuple[str, str] | None:
    """Why this file can't be a slice of a CT volume, as (code, reason), or None."""
    pixels, deflated = header.pixels, header.pixels.transfer_syntax == DeflatedExplicitVRLittleEndian
    if header.modality != "CT":
        return "not_ct", f"it is {header.modality or 'of unknown modality'}, not CT"
    if place is None and not deflated:
        return "no_pixels", "it holds no pixels"
    if not (0 < pixels.rows <= 16384 and 0 < pixels.columns <= 16384):
        return "bad_image", "its header does not say how large the picture is"
    if pixels.samples != 1 or pixels.photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        return "not_ct", "it is a color picture, not CT values"
    if pixels.floats:
        pass
    elif pixels.allocated not in (8, 16, 32) or not 0 < pixels.stored <= pixels.allocated:
        return "bad_image", "its header does not say how many bits a pixel has"
    elif pixels.stored <= 8 and not pixels.signed and header.slope in (None, 1) and not header.intercept:
        return "not_hu", "it is an 8-bit picture whose gray values are not CT numbers"
    if header.slope == 0:
        return "bad_image", "its rescale slope is zero"
    if deflated:
        return None
    if pixels.encapsulated:
        return ("truncated", "it is cut off") if pixels.length < 16 else None
    if UID(pixels.transfer_syntax) in NATIVE or not pixels.transfer_syntax:
        bytes_each = {"f4": 4, "f8": 8}.get(pixels.floats, pixels.allocated // 8)
        if pixels.length < pixels.rows * pixels.columns * bytes_each * pixels.frames:
            lies = place[2] != 0xFFFFFFFF and place[0] + place[2] <= size
            return ("bad_image", "it has fewer pixels than its header says") if lies else ("truncated", "it is cut off")
    if pixels.frames > 1 and not elements.sequence(_TAGS["frame_groups"]):
        return "no_positions", "it is a multi-frame picture that does not say where its frames lie"
    return None


def _frames(header: SliceHeader, frames: list[_Elements], shared: list[_Elements]) -> list[SliceHeader]:
    """One header for each frame of an enhanced multi-frame image."""
    common = _group_values(shared[0]) if shared else {}
    count = min(len(frames), header.pixels.frames)
    result = []
    for index, frame in enumerate(frames[:count]):
        own = {**common, **_group_values(frame)}
        content = next(iter(frame.sequence(_FRAME_CONTENT)), None)
        if content is not None:
            own["acquisition"] = content.integer("frame_acquisition")
            own["temporal"] = content.integer("frame_temporal")
        result.append(replace(header, frame=index, instance=index + 1, **own))
    return result


def _group_values(groups: _Elements) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for tag, names in _GROUPS.values():
        for item in groups.sequence(tag)[:1]:
            if "spacing" in names:
                values["spacing"] = _spacing(item)
                values["thickness"] = _positive(item.number("thickness"))
            elif "orientation" in names:
                values["orientation"] = _orientation(item)
            elif "position" in names:
                values["position"] = _exactly(item.numbers("position"), 3)
            else:
                values["intercept"], values["slope"] = item.number("intercept"), item.number("slope")
    return values


def _is_ct_image(elements: _Elements) -> bool:
    return elements.text("modality") == "CT" and elements.text("sop_class").startswith("1.2.840.10008.5.1.4.1.1.2")


def _exactly(numbers: tuple[float, ...], count: int) -> tuple[float, ...] | None:
    return numbers if len(numbers) == count and max(map(abs, numbers)) < 1e6 else None


def _positive(number: float | None) -> float | None:
    return number if number is not None and 0 < number < 1e4 else None


def _spacing(elements: _Elements) -> tuple[float, float] | None:
    """Mm between rows and between columns."""
    numbers = elements.numbers("spacing")
    return numbers if len(numbers) == 2 and all(1e-3 < number < 1e3 for number in numbers) else None


def _orientation(elements: _Elements) -> tuple[float, ...] | None:
    """Unit vectors of a row and of a column; slightly skew ones, as rounding makes them, are made perpendicular."""
    numbers = _exactly(elements.numbers("orientation"), 6)
    if numbers is None:
        return None
    row, column = np.array(numbers[:3]), np.array(numbers[3:])
    if not (0.9 < np.linalg.norm(row) < 1.1 and 0.9 < np.linalg.norm(column) < 1.1 and abs(row @ column) < 0.02):
        return None
    row /= np.linalg.norm(row)
    column -= row * (row @ column)
    column /= np.linalg.norm(column)
    return (*map(float, row), *map(float, column))


def _padding(elements: _Elements, signed: bool) -> tuple[int, int] | None:
    """Range of stored values that stand for "no picture here"."""
    value = elements.pixel_value("padding", signed)
    if value is None:
        return None
    limit = elements.pixel_value("padding_limit", signed)
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _harmless(text: str) -> str | None:
    """A series description only if each of its words is a common technical one: people type names there."""
    words = re.findall(r"[a-zA-Z]+", text)
    ok = words and len(text) <= 64 and all(word.lower() in _KNOWN_WORDS for word in words)
    return text if ok and not re.search(r"\d{4,}", text) else None
