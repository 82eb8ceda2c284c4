"""A fast look through an ordinary DICOM header for a few elements, without making a data set of it.

pydicom takes half a millisecond for a usual header, which is most of the time of reading a small slice. Nearly all CT
files are little endian with a preamble, and for those a walk from one element's length to the next is enough (DICOM
PS3.5, 7.1 and 7.5). Whatever is out of the ordinary is left to pydicom: ``scan`` returns None.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from dataclasses import dataclass

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
"""Transfer syntaxes (DICOM PS3.5, 10), without pydicom, which takes a fifth of a second to import."""

_LONG = frozenset((b"OB", b"OW", b"OF", b"OD", b"OV", b"OL", b"UN", b"SQ", b"UC", b"UR", b"UT", b"SV", b"UV"))
_SHORT = frozenset((
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
))  # fmt: skip
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_PIXEL_GROUP = 0x7FE0
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_OF_DICOM = "1.2.840.10008."
_MEDIA_CLASS, _TRANSFER_SYNTAX = 0x00020002, 0x00020010

_explicit = struct.Struct("<HH2sH").unpack_from
_implicit = struct.Struct("<HHI").unpack_from
_length = struct.Struct("<I").unpack_from


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was found: little endian, up to the pixels.

    Attributes:
        elements: (VR or "", value) by tag.
        transfer_syntax: UID.
        media_class: UID of the kind of object by the file's preamble, or an empty string.
        implicit: whether the elements name no VR.
        pixels: (offset, tag, length) of the pixels' value.
    """

    elements: dict[int, tuple[str, bytes]]
    transfer_syntax: str
    media_class: str
    implicit: bool
    pixels: tuple[int, int, int]


def scan(data: bytes, wanted: Container[int], never: Container[int] = ()) -> Scanned | None:
    """Find elements on the top level of a header.

    Args:
        data: the file, or its beginning up to the pixels at least.
        wanted: tags.
        never: tags of sequences whose items matter; a file that has one is left to pydicom.

    Returns:
        What was found; None where the file is unusual, damaged, or ``data`` ends before the pixels.
    """
    try:
        return _scan(data, wanted, never)
    except (struct.error, _UnusualError):
        return None


class _UnusualError(Exception):
    """Left to pydicom."""


def _scan(data: bytes, wanted: Container[int], never: Container[int]) -> Scanned:
    if data[128:132] != b"DICM":
        raise _UnusualError
    start, meta = _meta(data)
    syntax = meta.get(_TRANSFER_SYNTAX, "")
    if not syntax or syntax in (DEFLATED, EXPLICIT_BIG) or not syntax.startswith(_OF_DICOM):
        raise _UnusualError
    implicit = syntax == IMPLICIT_LITTLE
    if implicit and data[start + 4 : start + 6] in _SHORT | _LONG:
        raise _UnusualError  # the elements are not as the syntax says
    elements: dict[int, tuple[str, bytes]] = {}
    position, size, before = start, len(data), 0
    while True:
        # As _element has it, without the call: this loop is most of the time.
        if implicit:
            group, number, length = _implicit(data, position)
            vr, value = b"", position + 8
        else:
            group, number, vr, length = _explicit(data, position)
            value = position + 8
            if vr not in _SHORT:
                if vr not in _LONG:
                    raise _UnusualError
                length, value = _length(data, value)[0], position + 12
        tag = group << 16 | number
        if tag <= before or tag in never:  # out of order: damaged, or read with the wrong syntax
            raise _UnusualError
        before = tag
        if group == _PIXEL_GROUP and tag in _PIXELS:
            return Scanned(elements, syntax, meta.get(_MEDIA_CLASS, ""), implicit, (value, tag, length))
        if length == _UNDEFINED:
            position = _after_sequence(data, value, implicit, vr)
        else:
            position = value + length
            if tag in wanted:
                elements[tag] = (vr.decode(), data[value:position])
        if position > size:
            raise _UnusualError


def _meta(data: bytes) -> tuple[int, dict[int, str]]:
    """Where the data set begins, and the UIDs of the file meta information, which is always explicit."""
    found, position = {}, 132
    while data[position : position + 2] == b"\x02\x00":
        tag, _, length, value = _element(data, position, implicit=False)
        position = value + length
        if tag in (_MEDIA_CLASS, _TRANSFER_SYNTAX):
            found[tag] = data[value:position].decode("latin-1").strip(" \0")
    return position, found


def _element(data: bytes, position: int, implicit: bool) -> tuple[int, bytes, int, int]:
    """Tag, VR, length and place of the value of the element that begins at a position."""
    if implicit:
        group, number, length = _implicit(data, position)
        return group << 16 | number, b"", length, position + 8
    group, number, vr, length = _explicit(data, position)
    if vr in _SHORT:
        return group << 16 | number, vr, length, position + 8
    if vr not in _LONG:
        raise _UnusualError
    return group << 16 | number, vr, _length(data, position + 8)[0], position + 12


def _after_sequence(data: bytes, position: int, implicit: bool, vr: bytes) -> int:
    """Where a sequence without a length ends."""
    if vr not in (b"", b"SQ"):
        raise _UnusualError
    while True:
        group, number, length = _implicit(data, position)
        tag, position = group << 16 | number, position + 8
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise _UnusualError
        position = _after_item(data, position, implicit) if length == _UNDEFINED else position + length


def _after_item(data: bytes, position: int, implicit: bool) -> int:
    """Where an item without a length ends."""
    while True:
        group, number, _ = _implicit(data, position)
        if group << 16 | number == _ITEM_END:
            return position + 8
        _, vr, length, value = _element(data, position, implicit)
        position = _after_sequence(data, value, implicit, vr) if length == _UNDEFINED else value + length
