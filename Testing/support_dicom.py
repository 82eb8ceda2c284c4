"""Small synthetic DICOM series for tests: every voxel is known, and any header element can be bent."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)

Edit = Callable[[Dataset, int], object]


def body(count: int = 6, rows: int = 16, columns: int = 20) -> np.ndarray:
    """(k, j, i) int16 HU: air, a body that lies off the middle, and a bright voxel that differs in each slice."""
    j, i = np.mgrid[:rows, :columns]
    inside = ((j - 0.55 * rows) / (0.38 * rows)) ** 2 + ((i - 0.45 * columns) / (0.38 * columns)) ** 2 < 1
    hu = np.full((count, rows, columns), -1000, np.int16)
    for k in range(count):
        hu[k][inside] = 30 + (7 * k) % 50
        hu[k, rows // 2, 3 + k % (columns - 6)] = 700 + k % 100
    return hu


def tilt(degrees: float) -> tuple[float, ...]:
    """Orientation of axial slices of a gantry that is tilted about the left-right axis."""
    angle = np.deg2rad(degrees)
    return (1.0, 0.0, 0.0, 0.0, float(np.cos(angle)), float(np.sin(angle)))


def dataset(
    hu: np.ndarray,
    *,
    position: tuple[float, float, float] = (-8.0, -6.0, 0.0),
    orientation: tuple[float, ...] = AXIAL,
    spacing: tuple[float, float] = (0.8, 0.7),
    series_uid: str = "1.2.3.4",
    number: int = 1,
    signed: bool = False,
    bits: int = 12,
    intercept: float = -1024,
    transfer_syntax: str = ExplicitVRLittleEndian,
) -> FileDataset:
    """One slice as a data set, not yet written.

    Args:
        hu: (j, i) HU.
        position: LPS mm of the first voxel.
        orientation: ImageOrientationPatient.
        spacing: mm between rows, between columns.
        series_uid: SeriesInstanceUID.
        number: InstanceNumber.
        signed: PixelRepresentation 1.
        bits: BitsStored.
        intercept: RescaleIntercept; the stored value is HU less this.
        transfer_syntax: one of the uncompressed ones; ``Dataset.compress`` does the rest.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(number), str(position)])
    meta.TransferSyntaxUID = transfer_syntax
    implicit, little = transfer_syntax == ImplicitVRLittleEndian, transfer_syntax != ExplicitVRBigEndian
    slice_ = FileDataset(None, {}, b"\0" * 128, meta, is_implicit_VR=implicit, is_little_endian=little)
    slice_.SOPClassUID, slice_.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    slice_.Modality, slice_.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    slice_.PatientName, slice_.PatientID = "Nobody", "0"
    slice_.SeriesInstanceUID, slice_.FrameOfReferenceUID = series_uid, "1.2.3.9"
    slice_.InstanceNumber, slice_.AcquisitionNumber = number, 1
    slice_.PatientPosition, slice_.SliceThickness, slice_.ConvolutionKernel = "HFS", 2, "B30f"
    slice_.ImagePositionPatient = [float(value) for value in position]
    slice_.ImageOrientationPatient = [float(value) for value in orientation]
    slice_.PixelSpacing = list(spacing)
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
    slice_.Rows, slice_.Columns = hu.shape
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, bits, bits - 1
    slice_.PixelRepresentation = int(signed)
    slice_.RescaleSlope, slice_.RescaleIntercept = 1, intercept
    set_stored(slice_, np.asarray(hu, dtype=np.int64) - int(intercept))
    return slice_


def set_stored(slice_: Dataset, stored: np.ndarray) -> None:
    """Put stored values into a data set by its bits, sign and byte order."""
    code = f"{'i' if slice_.PixelRepresentation else 'u'}{slice_.BitsAllocated // 8}"
    order = ">" if slice_.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    slice_.PixelData = np.asarray(stored).astype(np.dtype(code).newbyteorder(order)).tobytes()
    slice_["PixelData"].VR = "OW" if slice_.BitsAllocated > 8 else "OB"


def write(slice_: FileDataset, path: Path) -> Path:
    """Write a data set as it is, without mending what a test has bent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    slice_.save_as(path, enforce_file_format=False)
    return path


def series(
    folder: Path,
    hu: np.ndarray | None = None,
    *,
    step: float = 2.0,
    positions: list[tuple[float, float, float]] | None = None,
    compress: str | None = None,
    edit: Edit | None = None,
    names: str = "{:04d}.dcm",
    first_number: int = 1,
    **options: object,
) -> np.ndarray:
    """Write a series of slices; returns its HU in the order of the positions given.

    Args:
        folder: where to.
        hu: (k, j, i) HU; ``body()`` if left out.
        step: mm between slices along z.
        positions: ImagePositionPatient of each slice, instead of ``step``.
        compress: transfer syntax to compress with.
        edit: called with each data set and its index; to leave a slice out it returns False.
        names: form of the file names; they are numbered in an order that is not that of the positions.
        first_number: InstanceNumber of the first slice.
        options: of ``dataset``.
    """
    hu = body() if hu is None else hu
    count = len(hu)
    for k in range(count):
        place = positions[k] if positions else (-8.0, -6.0, 100.0 + step * k)
        slice_ = dataset(hu[k], position=place, number=first_number + k, **options)
        if compress is not None:
            slice_.compress(compress, generate_instance_uid=False)
        if edit is not None and edit(slice_, k) is False:
            continue
        write(slice_, folder / names.format(file_number(k, count)))
    return hu


def file_number(k: int, count: int) -> int:
    """The number in the name of slice k's file, in an order that is not that of the positions."""
    return (k * 7 + 3) % count if np.gcd(7, count) == 1 else count - k


def enhanced(path: Path, hu: np.ndarray, *, step: float = 2.0, edit: Callable[[Dataset], object] | None = None) -> None:
    """Write an enhanced multi-frame CT whose frames are stored in a mixed order."""
    whole = dataset(hu[0])
    whole.file_meta.MediaStorageSOPClassUID = whole.SOPClassUID = EnhancedCTImageStorage
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope",
                    "RescaleIntercept", "SliceThickness"):  # fmt: skip
        delattr(whole, keyword)
    order = [(k * 5 + 2) % len(hu) if np.gcd(5, len(hu)) == 1 else k for k in range(len(hu))]
    shared, measures, orientation, values = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.7], 2
    orientation.ImageOrientationPatient = list(AXIAL)
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1024, "HU"
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelValueTransformationSequence = Sequence([values])
    frames = []
    for k in order:
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = [-8.0, -6.0, 100.0 + step * k]
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    whole.SharedFunctionalGroupsSequence = Sequence([shared])
    whole.PerFrameFunctionalGroupsSequence = Sequence(frames)
    whole.NumberOfFrames = len(hu)
    set_stored(whole, hu[order].astype(np.int64) + 1024)
    if edit is not None:
        edit(whole)
    write(whole, path)


def zipped(folder: Path, path: Path) -> Path:
    """Pack a folder into a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return path


def refusal(path: Path) -> CTError:
    """The error of reading; its text names what was asked for and says what to do."""
    with pytest.raises(CTError) as caught:
        dicom.read(path)
    assert caught.value.message.endswith(".")
    return caught.value


def remove(*keywords: str) -> Edit:
    """An edit that deletes elements."""

    def edit(slice_: Dataset, _: int) -> None:
        for keyword in keywords:
            if keyword in slice_:
                delattr(slice_, keyword)

    return edit


def codes(volume: object) -> list[str]:
    """Codes of the reader's warnings."""
    return [code for code, _ in volume.meta["warnings"]]
