"""What a DICOM header says about one slice: where it lies, how its pixels are stored, what they mean.

Nothing here knows the patient: only the technical elements of ``elements.TAGS`` are read.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, replace
from typing import Any

from . import headerscan
from .elements import TAGS, Elements
from .headerscan import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from .quiet import late
from .sources import Files, Source

HEAD_BYTES = 1 << 15
"""Nearly every CT header is shorter; longer ones are read again, whole."""

NATIVE = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)

_PIXEL_MEASURES, _PLANE_ORIENTATION, _PLANE_POSITION = 0x00289110, 0x00209116, 0x00209113
_PIXEL_VALUE_TRANSFORMATION, _FRAME_CONTENT = 0x00289145, 0x00209111
_PIXEL_TAGS = {0x7FE00008: "f4", 0x7FE00009: "f8", 0x7FE00010: ""}
_WANTED = frozenset(TAGS.values())
_GROUPS = frozenset((TAGS["shared_groups"], TAGS["frame_groups"]))
_LONG_LENGTH = (b"OB", b"OW", b"OF", b"OD", b"OV", b"OL", b"UN", b"SQ", b"UC", b"UR", b"UT", b"SV", b"UV")


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

    To be called within ``quiet_libraries``.

    Raises:
        NotDicomError: not a DICOM file.
        OSError: the file can't be read.
        Exception: whatever a damaged header makes pydicom raise.
    """
    data = files.read(source, 0, HEAD_BYTES)
    if not looks_like_dicom(data):
        raise NotDicomError
    size = len(data) if len(data) < HEAD_BYTES else files.size(source)
    head = None
    try:
        head = _parse(data)
    except Exception:
        if size == len(data):
            raise
    if head is None or (head.place is None and size > len(data)):  # longer than the piece, or deflated
        head = _parse(files.read(source))
    return _slices(source, head, size)


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


@dataclass(frozen=True, slots=True)
class _Head:
    """What a file says before its pixels.

    Attributes:
        elements: of the data set.
        transfer_syntax: UID; empty where the file does not say it.
        media_class: UID of what the file says it holds.
        implicit: whether elements name no type.
        little: whether numbers are little endian.
        place: (offset, kind, length) of the pixels, or None where they were not met.
    """

    elements: Elements
    transfer_syntax: str
    media_class: str
    implicit: bool
    little: bool
    place: tuple[int, str, int] | None


def _parse(data: bytes) -> _Head:
    scanned = headerscan.scan(data, _WANTED, _GROUPS)
    if scanned is None:
        return _parse_unusual(data)
    offset, tag, length = scanned.pixels
    return _Head(
        Elements({tag: (*element, True) for tag, element in scanned.elements.items()}),
        scanned.transfer_syntax,
        scanned.media_class,
        scanned.implicit,
        True,
        (offset, _PIXEL_TAGS[tag], length),
    )


def _parse_unusual(data: bytes) -> _Head:
    """The same for all files that pydicom can read, in several times the time."""
    stream = io.BytesIO(data)
    dataset = late("pydicom").dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(TAGS.values()))
    meta = getattr(dataset, "file_meta", {})
    syntax, implicit, little = meta.get("TransferSyntaxUID", ""), *dataset.original_encoding
    place = None
    if syntax != DEFLATED:
        place = _pixel_place(data, stream.tell(), implicit, "<" if little else ">")
    kind = str(meta.get("MediaStorageSOPClassUID", ""))
    return _Head(Elements.of(dataset), str(syntax), kind, implicit, little, place)


def _pixel_place(data: bytes, start: int, implicit: bool, order: str) -> tuple[int, str, int] | None:
    """(offset, kind, length) of the pixels if they begin there."""
    if start + 12 > len(data):
        return None
    group, element = struct.unpack(f"{order}HH", data[start : start + 4])
    tag = group << 16 | element
    if tag not in _PIXEL_TAGS:
        return None
    if implicit or data[start + 4 : start + 6] not in _LONG_LENGTH:
        length, offset = struct.unpack(f"{order}I", data[start + 4 : start + 8])[0], start + 8
    else:
        length, offset = struct.unpack(f"{order}I", data[start + 8 : start + 12])[0], start + 12
    return offset, _PIXEL_TAGS[tag], length


def _slices(source: Source, head: _Head, size: int) -> list[SliceHeader]:
    elements, place = head.elements, head.place
    if elements.integer("rows") is None and place is None and not _is_ct_image(elements):
        if not (elements.text("sop_class") or head.media_class):
            raise NotDicomError
        return []  # a report, a DICOMDIR, a structure set
    pixels = _pixel_format(head, size)
    modality = elements.word("modality", r"[A-Z0-9_ ]{1,16}")
    slope, intercept = elements.number("slope"), elements.number("intercept")
    header = SliceHeader(
        source=source,
        frame=0,
        pixels=pixels,
        series_uid=elements.word("series_uid", r"[0-9.]{1,64}"),
        sop_uid=elements.word("sop_uid", r"[0-9.]{1,64}"),
        modality=modality,
        image_type=tuple(elements.text("image_type").upper().split("\\")),
        position=elements.vector("position", 3),
        orientation=elements.orientation(),
        spacing=elements.spacing(),
        thickness=elements.millimeters("thickness"),
        slice_location=elements.number("slice_location"),
        slope=slope,
        intercept=intercept,
        padding=elements.padding(pixels.signed),
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
        series_description=elements.harmless("series_description"),
        problem=_problem(pixels, modality, slope, intercept, place, size, elements),
    )
    frames = elements.sequence(TAGS["frame_groups"])
    if frames and header.problem is None:
        return _frames(header, frames, elements.sequence(TAGS["shared_groups"]))
    return [header]


def _pixel_format(head: _Head, size: int) -> PixelFormat:
    elements, syntax, little = head.elements, head.transfer_syntax, head.little
    if not syntax:
        explicit = EXPLICIT_LITTLE if little else EXPLICIT_BIG
        syntax = IMPLICIT_LITTLE if head.implicit else explicit
    offset, floats, length = head.place or (None, "", 0)
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
    pixels: PixelFormat,
    modality: str,
    slope: float | None,
    intercept: float | None,
    place: tuple[int, str, int] | None,
    size: int,
    elements: Elements,
) -> tuple[str, str] | None:
    """Why this file can't be a slice of a CT volume, as (code, reason), or None."""
    deflated = pixels.transfer_syntax == DEFLATED
    if modality != "CT":
        return "not_ct", f"it is {modality or 'of unknown modality'}, not CT"
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
    elif pixels.stored <= 8 and not pixels.signed and slope in (None, 1) and not intercept:
        return "not_hu", "it is an 8-bit picture whose gray values are not CT numbers"
    if slope == 0:
        return "bad_image", "its rescale slope is zero"
    if pixels.frames > 1 and not elements.sequence(TAGS["frame_groups"]):
        return "no_positions", "it is a multi-frame picture that does not say where its frames lie"
    if deflated:
        return None
    if pixels.encapsulated:
        return ("truncated", "it is cut off") if pixels.length < 16 else None
    if pixels.transfer_syntax in NATIVE or not pixels.transfer_syntax:
        bytes_each = {"f4": 4, "f8": 8}.get(pixels.floats, pixels.allocated // 8)
        surplus = pixels.length - pixels.rows * pixels.columns * bytes_each * pixels.frames
        if surplus < 0 and place[0] + place[2] > size:
            return "truncated", "it is cut off"
        if surplus < 0 or surplus >= max(min(pixels.rows, pixels.columns) * bytes_each, 2):  # a little is padding
            return "bad_image", "it holds another number of pixels than its header says"
    return None


def _frames(header: SliceHeader, frames: list[Elements], shared: list[Elements]) -> list[SliceHeader]:
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


def _group_values(groups: Elements) -> dict[str, Any]:
    """What one item of functional groups says, by the names of ``SliceHeader``."""
    values: dict[str, Any] = {}
    for item in groups.sequence(_PIXEL_MEASURES)[:1]:
        values.update(spacing=item.spacing(), thickness=item.millimeters("thickness"))
    for item in groups.sequence(_PLANE_ORIENTATION)[:1]:
        values.update(orientation=item.orientation())
    for item in groups.sequence(_PLANE_POSITION)[:1]:
        values.update(position=item.vector("position", 3))
    for item in groups.sequence(_PIXEL_VALUE_TRANSFORMATION)[:1]:
        values.update(intercept=item.number("intercept"), slope=item.number("slope"))
    return values


def _is_ct_image(elements: Elements) -> bool:
    return elements.text("modality") == "CT" and elements.text("sop_class").startswith("1.2.840.10008.5.1.4.1.1.2")
