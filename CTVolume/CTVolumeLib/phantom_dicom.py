"""Writes a volume as a DICOM CT series, with the peculiarities that a reader has to cope with on request.

Everything that identifies is neutral and follows from a seed, so the same call writes the same bytes of header.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)  # fmt: skip

from .errors import CTError
from .files import replacing
from .volume import CTVolume

TRANSFER_SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "rle": RLELossless,
    "jpegls": JPEGLSLossless,
    "jpeg2000": JPEG2000Lossless,
}
"""Name to UID (DICOM PS3.5, annex A)."""

INTERCEPT = -1024


def write_dicom(
    volume: CTVolume,
    folder: Path | str,
    *,
    transfer_syntax: str = "explicit",
    seed: int = 0,
    series_number: int = 1,
    description: str = "Phantom",
    patient_name: str = "PHANTOM",
    patient_id: str = "PHANTOM",
    multi_frame: bool = False,
    shuffle: bool = False,
    monochrome1: str | None = None,
    signed: bool = False,
    padding: int | None = None,
    edit: Callable[[Dataset, int], None] | None = None,
) -> list[Path]:
    """Write a series, one file for each slice.

    Args:
        volume: any orientation, also with uneven or sheared slices; HU, rounded to whole numbers.
        folder: made if it is missing.
        transfer_syntax: one of ``TRANSFER_SYNTAXES``.
        seed: of the UIDs; the same seed is the same patient's study and frame of reference.
        series_number: another number is another series of the same study.
        description: SeriesDescription.
        patient_name: neutral unless you want to see that it does not leak.
        patient_id: likewise.
        multi_frame: one enhanced CT file instead of many.
        shuffle: file names and instance numbers in no anatomical order.
        monochrome1: ``"display"`` writes MONOCHROME1 over plain values, as the standard means it; ``"negative"`` stores
            the negative as well, as some programs do.
        signed: 16-bit signed values instead of 12-bit unsigned ones with the intercept -1024.
        padding: stored value outside the round field of view, such as -2000 (makes the values signed).
        edit: called with each dataset and its index before it is written, to break what a test wants broken.

    Returns:
        The files in the order of the volume's slices (one file if multi-frame).

    Raises:
        CTError: an unknown transfer syntax, or the folder can't be written.
    """
    if transfer_syntax not in TRANSFER_SYNTAXES:
        raise CTError("bad_transfer_syntax", f"The transfer syntax {transfer_syntax!r} is not known.",
                      f"Choose one of {', '.join(TRANSFER_SYNTAXES)}.")  # fmt: skip
    signed = signed or (padding is not None and padding < 0)
    stored = _stored(volume.array, signed, padding, monochrome1)
    uid = _uids(seed, series_number)
    base = _header(volume, uid, series_number, description, patient_name, patient_id)
    _describe_pixels(base, stored, signed, padding, monochrome1)
    count = len(stored)
    numbers = np.arange(count, 0, -1)  # the first instance is the one at the head, as scanners do it
    if shuffle:
        numbers = np.random.default_rng([seed, series_number]).permutation(numbers)
    folder = Path(folder)
    if multi_frame:
        dataset = _enhanced(base, volume, numbers)
        path = folder / "enhanced.dcm"
        _write(dataset, stored, path, uid("instance", 0), EnhancedCTImageStorage, transfer_syntax, edit, 0)
        return [path]
    paths = []
    origins, axes = volume.origins(), volume.axes()
    for k in range(count):
        dataset = Dataset()
        dataset.update(base)
        dataset.InstanceNumber = int(numbers[k])
        dataset.ImagePositionPatient = _numbers(origins[k])
        dataset.ImageOrientationPatient = _numbers((*axes[:, 0], *axes[:, 1]))
        dataset.SliceLocation = _numbers([origins[k] @ axes[:, 2]])[0]
        paths.append(folder / f"IM{int(numbers[k]):04d}.dcm")
        _write(dataset, stored[k], paths[-1], uid("instance", k), CTImageStorage, transfer_syntax, edit, k)
    return paths


def _uids(seed: int, series_number: int) -> Callable[..., str]:
    def uid(kind: str, number: int = 0) -> str:
        parts = [kind, str(seed)]
        if kind in ("series", "instance"):
            parts += [str(series_number), str(number)]
        return generate_uid(entropy_srcs=["CTSliceLocalizer phantom", *parts])

    return uid


def _stored(hu: np.ndarray, signed: bool, padding: int | None, monochrome1: str | None) -> np.ndarray:
    """(k, j, i) values as they are stored: int16, or uint16 of 12 bits."""
    low, high = (-32768, 32767) if signed else (0, 4095)
    stored = np.clip(np.rint(hu) - INTERCEPT, low, high).astype(np.int16 if signed else np.uint16)
    if padding is not None:
        j, i = (np.arange(size) - (size - 1) / 2 for size in hu.shape[1:])
        stored[:, np.hypot(j[:, None] / hu.shape[1], i[None, :] / hu.shape[2]) > 0.5] = padding
    if monochrome1 == "negative":
        stored = (-1 - stored) if signed else (4095 - stored).astype(np.uint16)
    elif monochrome1 not in (None, "display"):
        raise CTError("bad_phantom", f"MONOCHROME1 is either display or negative, not {monochrome1!r}.")
    return stored


def _header(
    volume: CTVolume, uid: Callable[..., str], series_number: int, description: str, patient_name: str, patient_id: str
) -> Dataset:
    """What all files of the series have in common."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20260101"
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = "120000"
    dataset.AccessionNumber = ""
    dataset.Modality = "CT"
    dataset.Manufacturer = "CTSliceLocalizer phantom"
    dataset.ReferringPhysicianName = ""
    dataset.SeriesDescription = description
    dataset.PatientName = patient_name
    dataset.PatientID = patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.SliceThickness = _numbers([volume.meta.get("slice_thickness") or volume.spacing[2]])[0]
    dataset.KVP = "120"
    dataset.ConvolutionKernel = str(volume.meta.get("kernel") or "smooth").upper()
    dataset.PatientPosition = volume.meta.get("patient_position") or "HFS"
    dataset.StudyInstanceUID = uid("study")
    dataset.SeriesInstanceUID = uid("series")
    dataset.FrameOfReferenceUID = uid("frame")
    dataset.StudyID = "1"
    dataset.SeriesNumber = series_number
    dataset.AcquisitionNumber = 1
    dataset.PositionReferenceIndicator = ""
    dataset.PixelSpacing = _numbers([volume.spacing[1], volume.spacing[0]])
    tilt = _gantry_tilt(volume)
    if tilt:
        dataset.GantryDetectorTilt = _numbers([tilt])[0]
    return dataset


def _describe_pixels(
    dataset: Dataset, stored: np.ndarray, signed: bool, padding: int | None, monochrome1: str | None
) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[1:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16 if signed else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    if padding is not None:
        dataset.PixelPaddingValue = (
            padding if monochrome1 != "negative" else (-1 - padding if signed else 4095 - padding)
        )
    dataset.WindowCenter, dataset.WindowWidth = "40", "400"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = str(INTERCEPT), "1", "HU"


def _enhanced(base: Dataset, volume: CTVolume, numbers: np.ndarray) -> Dataset:
    """Header of an enhanced CT (PS3.3, A.38): the geometry of each frame in functional groups."""
    dataset = Dataset()
    dataset.update(base)
    dataset.InstanceNumber = 1
    dataset.NumberOfFrames = len(numbers)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    axes, origins = volume.axes(), volume.origins()
    measures, orientation, rescale, shared = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = base.PixelSpacing, base.SliceThickness
    orientation.ImageOrientationPatient = _numbers((*axes[:, 0], *axes[:, 1]))
    rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = str(INTERCEPT), "1", "HU"
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelValueTransformationSequence = [rescale]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for origin, number in zip(origins, numbers):
        position, content, frame = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = _numbers(origin)
        content.InStackPositionNumber, content.StackID = int(number), "1"
        content.DimensionIndexValues = [1, int(number)]
        frame.PlanePositionSequence, frame.FrameContentSequence = [position], [content]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    for keyword in ("PixelSpacing", "SliceThickness", "RescaleIntercept", "RescaleSlope", "RescaleType"):
        del dataset[keyword]
    return dataset


def _write(
    dataset: Dataset,
    stored: np.ndarray,
    path: Path,
    instance: str,
    storage: str,
    transfer_syntax: str,
    edit: Callable[[Dataset, int], None] | None,
    index: int,
) -> None:
    syntax = TRANSFER_SYNTAXES[transfer_syntax]
    dataset.SOPClassUID, dataset.SOPInstanceUID = storage, instance
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = storage, instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_compressed and not syntax.is_deflated else syntax
    little = meta.TransferSyntaxUID.is_little_endian
    file = FileDataset(str(path), dataset, file_meta=meta, preamble=b"\0" * 128)
    file.PixelData = stored.astype(stored.dtype.newbyteorder("<" if little else ">")).tobytes()
    file["PixelData"].VR = "OW"
    if syntax.is_encapsulated:
        try:
            file.compress(syntax, generate_instance_uid=False)
        except (RuntimeError, NotImplementedError, ValueError) as error:
            raise CTError(
                "no_codec",
                f"The pixels can't be compressed as {transfer_syntax}: {error}.",
                "Install pyjpegls or pylibjpeg-openjpeg, or write another transfer syntax.",
            ) from error
    if edit is not None:
        edit(file, index)
    with replacing(path) as temporary:
        pydicom.dcmwrite(temporary, file, enforce_file_format=True)


def _numbers(values: object) -> list[str]:
    """Decimal strings of at most 16 characters."""
    return [f"{float(value):.10g}"[:16] for value in values]


def _gantry_tilt(volume: CTVolume) -> float:
    """Degrees between the slices' normal and the way from slice to slice."""
    if volume.slice_origins is None or len(volume.slice_origins) < 2:
        return 0.0
    step = volume.slice_origins[-1] - volume.slice_origins[0]
    normal = volume.axes()[:, 2]
    return float(np.degrees(np.arctan2(step @ volume.axes()[:, 1], step @ normal)))
