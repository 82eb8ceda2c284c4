"""The fast look through a header finds what pydicom finds, or leaves the file to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from CTVolumeLib import headers, headerscan
from CTVolumeLib.elements import TAGS
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)
from support_dicom import body, dataset, enhanced, write

WANTED = frozenset(TAGS.values())


def scan(data: bytes) -> headerscan.Scanned | None:
    return headerscan.scan(data, WANTED, (TAGS["shared_groups"], TAGS["frame_groups"]))


def with_sequences(slice_: Dataset, undefined: bool) -> None:
    """Sequences in sequences, with and without lengths, holding elements that must not be taken for the slice's."""
    inner, outer, empty = Dataset(), Dataset(), Dataset()
    inner.ImagePositionPatient, inner.Rows = [7, 7, 7], 7
    outer.RequestAttributesSequence = Sequence([inner, Dataset()])
    outer.Modality = "XX"
    slice_.ReferencedImageSequence = Sequence([outer, empty])
    slice_.SourceImageSequence = Sequence([])
    slice_.add_new(0x00190010, "LO", "MAKER")
    slice_.add_new(0x00191001, "SQ", Sequence([inner]))
    slice_.add_new(0x00191002, "UN", b"\xfe\xff\x00\xe0\x10\x00")
    for one in (slice_["ReferencedImageSequence"], slice_["SourceImageSequence"], slice_[0x00191001]):
        one.is_undefined_length = undefined
    for item in (outer, inner, empty):
        item.is_undefined_length_sequence_item = undefined


def written(path: Path, syntax: str, undefined: bool | None = None) -> bytes:
    packed = syntax in (JPEGLSLossless, RLELossless)
    slice_ = dataset(body(1)[0], transfer_syntax=ExplicitVRLittleEndian if packed else syntax)
    if packed:
        slice_.compress(syntax, generate_instance_uid=False)
    if undefined is not None:
        with_sequences(slice_, undefined)
    return write(slice_, path).read_bytes()


@pytest.mark.parametrize("undefined", [None, False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless, RLELossless])
def test_the_same_as_pydicom(tmp_path, monkeypatch, syntax, undefined):
    data = written(tmp_path / "1.dcm", syntax, undefined)
    assert scan(data) is not None
    source, files = headers.Source(tmp_path / "1.dcm"), headers.Files()
    fast = headers.read_headers(source, files)
    monkeypatch.setattr(headers, "_parse", headers._parse_unusual)
    assert fast == headers.read_headers(source, files)
    assert fast[0].pixels.rows == 16


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_piece_of_a_file_gives_all_or_nothing(tmp_path, syntax, undefined):
    data = written(tmp_path / "1.dcm", syntax, undefined)
    whole = scan(data)
    offset = whole.pixels[0]
    assert all(scan(data[:end]) is None for end in range(offset - 4))
    assert scan(data[:offset]) == whole


def test_a_damaged_header_never_raises(tmp_path):
    data = np.frombuffer(written(tmp_path / "1.dcm", ExplicitVRLittleEndian, undefined=True), np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(500):
        bent = data.copy()
        bent[rng.integers(128, 1400, 3)] = rng.integers(0, 256, 3)
        scan(bent.tobytes())


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_other_syntaxes_are_left_to_pydicom(tmp_path, syntax):
    assert scan(written(tmp_path / "1.dcm", syntax)) is None


def test_without_a_preamble_is_left_to_pydicom(tmp_path):
    assert scan(written(tmp_path / "1.dcm", ExplicitVRLittleEndian)[132:]) is None


def test_elements_that_are_not_as_the_syntax_says_are_left_to_pydicom(tmp_path):
    data = written(tmp_path / "1.dcm", ExplicitVRLittleEndian)
    (syntax,) = [data.index(b"UI\x14\x001.2.840.10008.1.2.1\0") + 4]
    implicit = data[:syntax] + b"1.2.840.10008.1.2".ljust(20, b"\0") + data[syntax + 20 :]
    assert scan(implicit) is None


def test_frames_are_left_to_pydicom(tmp_path):
    enhanced(tmp_path / "many.dcm", body(4))
    assert scan((tmp_path / "many.dcm").read_bytes()) is None
