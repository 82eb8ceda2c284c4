"""Damaged DICOM of every kind: the reader gives a volume with finite geometry or a CTError, and nothing else."""

from __future__ import annotations

import shutil
import struct
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless
from support_dicom import body, enhanced, series

KEYWORDS = """
    SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID Modality SliceThickness PatientPosition SeriesInstanceUID
    AcquisitionNumber InstanceNumber ImagePositionPatient ImageOrientationPatient FrameOfReferenceUID SliceLocation
    SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns PixelSpacing BitsAllocated BitsStored HighBit
    PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit RescaleIntercept RescaleSlope ConvolutionKernel
    TemporalPositionIdentifier AcquisitionTime PixelData SharedFunctionalGroupsSequence
    PerFrameFunctionalGroupsSequence
""".split()  # noqa: SIM905 - easier to read than forty strings

NONSENSE = [
    b"", b"\0", b"\0\0", b"\xff\xff", b"\x01\0", b"0", b"-1", b"1e308", b"-1e308\\0", b"nan", b"inf\\inf\\inf", b"a",
    b"1\\0\\0\\0\\1\\0", b"0\\0\\0\\0\\0\\0", b"1\\0\\0\\1\\0\\0", b"9999999999", b"1\\2", b"0\\0", b"\\", b"\\\\\\",
    b"0.0001\\0.0001", b"ISO_IR 9999", b"MONOCHROME1", b"CT", b"32767", b"65536", b"\xc3\x28", b"1,5\\1,5",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(NONSENSE),
    st.binary(max_size=40),
    st.floats().map(lambda value: repr(value).encode()),
    st.integers(-(10**12), 10**12).map(lambda value: str(value).encode()),
    st.integers(0, 65535).map(lambda value: struct.pack("<H", value)),
)  # fmt: skip
VRS = st.sampled_from(["DS", "IS", "US", "SS", "FD", "FL", "LO", "CS", "UI", "SQ", "UN", "OB", "PN", "UL", "AT"])
DAMAGE = st.lists(st.tuples(st.sampled_from(KEYWORDS), st.sampled_from(["drop", "value", "vr", "both"]), VALUES, VRS),
                  min_size=1, max_size=4)  # fmt: skip
KINDS = {
    "explicit": {"transfer_syntax": ExplicitVRLittleEndian},
    "implicit": {"transfer_syntax": ImplicitVRLittleEndian},
    "jpegls": {"compress": JPEGLSLossless},
}
SETTINGS = settings(max_examples=100, derandomize=True, deadline=None, database=None,
                    suppress_health_check=[HealthCheck.too_slow])  # fmt: skip


def read_honestly(path: Path) -> None:
    """Read; what comes back is whole and finite, what is thrown is for people."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # not even a warning gets out
        assert all(item.description for item in dicom.series_in(path))
        volume, error = None, None
        try:
            volume = dicom.read(path)
        except CTError as refusal:
            error = refusal
    if volume is None:
        assert error.code
        assert error.message.endswith(".")
        return
    assert volume.array.dtype in (np.int16, np.float32)
    assert np.isfinite(volume.array).all()
    assert np.isfinite(volume.superior()).all()
    assert np.isfinite(volume.origins()).all()
    count = volume.array.shape[0]
    assert len(volume.sources) == count
    assert np.ptp(volume.origins(), axis=0).max() > 0 or count == 1
    if volume.positions is not None:
        assert np.all(np.diff(volume.positions) > 0)


def damage(slice_, changes) -> None:
    """Replace the bytes of elements behind pydicom's back."""
    for keyword, how, value, vr in changes:
        tag = Tag(keyword)
        if how == "drop":
            slice_.pop(tag, None)
            continue
        old = slice_.get_item(tag)
        own_vr = old.VR if old is not None else "LO"
        new_vr = vr if how in ("vr", "both") and own_vr != "SQ" and vr != "SQ" else own_vr
        if new_vr == "SQ":
            slice_.pop(tag, None)
            continue
        slice_._dict[tag] = RawDataElement(tag, new_vr, len(value), value, 0, False, True)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """One good folder for each kind."""
    folder = tmp_path_factory.mktemp("clean")
    for name, options in KINDS.items():
        series(folder / name, body(5, 12, 14), **options)
    enhanced(folder / "enhanced" / "a.dcm", body(5, 12, 14))
    return folder


@pytest.mark.slow
@SETTINGS
@given(kind=st.sampled_from([*KINDS, "enhanced"]), victims=st.integers(1, 31), changes=DAMAGE)
def test_damaged_elements(kind, victims, changes):
    """One to all files of a series with elements dropped, filled with nonsense, or of another type."""

    def edit(slice_, k=0):
        if victims >> k & 1 or kind == "enhanced":
            damage(slice_, changes)

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if kind == "enhanced":
                enhanced(Path(folder) / "a.dcm", body(5, 12, 14), edit=edit)
            else:
                series(Path(folder), body(5, 12, 14), edit=edit, **KINDS[kind])
        except Exception:
            reject()  # so damaged that pydicom can't even write it
        read_honestly(Path(folder))


@pytest.mark.slow
@SETTINGS
@given(
    kind=st.sampled_from([*KINDS, "enhanced"]),
    hits=st.lists(st.tuples(st.integers(0, 1400), st.binary(min_size=1, max_size=8)), min_size=1, max_size=12),
    cut=st.one_of(st.none(), st.integers(0, 1500)),
    everywhere=st.booleans(),
)
def test_random_bytes(clean, kind, hits, cut, everywhere):
    """Bytes overwritten anywhere, lengths and tags included, and files cut off."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "scan"
        shutil.copytree(clean / kind, target)
        for path in sorted(target.iterdir())[: None if everywhere else 1]:
            data = bytearray(path.read_bytes())
            for place, new in hits:
                data[place : place + len(new)] = new
            path.write_bytes(data[:cut])
        read_honestly(target)
