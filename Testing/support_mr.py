"""A made-up MR: heads with and without a bright lump, as DICOM folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid


def head(tumour: bool, seed: int, shape: tuple[int, int, int] = (14, 28, 24)) -> np.ndarray:
    """(k, j, i) int16 intensities in units of the scanner's own."""
    rng = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    values = np.where(np.sqrt((k / 1.3) ** 2 + (j / 0.85) ** 2 + (i / 0.75) ** 2) < 1, 300.0, 0.0)
    x, y, z = rng.uniform(-0.3, 0.3, 3)
    if tumour:
        values[np.sqrt((k - z) ** 2 + (j - y) ** 2 + (i - x) ** 2) < 0.3] = 480
    values = values + (values > 0) * rng.normal(0, 15, shape) + rng.exponential(4, shape)
    return np.rint(values * rng.uniform(0.5, 3)).astype(np.int16)


def write_series(array: np.ndarray, folder: Path, spacing: tuple[float, float, float] = (3.0, 3.0, 5.0)) -> None:
    """Write (k, j, i) intensities as an MR series; file names in no order."""
    folder.mkdir(parents=True)
    study, series, frame = (generate_uid(entropy_srcs=[folder.name, what]) for what in ("study", "series", "frame"))
    names = np.random.default_rng(0).permutation(len(array))
    for k, picture in enumerate(array):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[folder.name, str(k)])
        data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
        data.Modality, data.PatientName, data.PatientID = "MR", "SECRET", "SECRET"
        data.InstanceNumber, data.SeriesNumber = k + 1, 1
        data.ImagePositionPatient = [0.0, 0.0, k * spacing[2]]
        data.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        data.PixelSpacing, data.SliceThickness = [spacing[1], spacing[0]], spacing[2]
        data.Rows, data.Columns = picture.shape
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 1
        data.PixelData = picture.astype("<i2").tobytes()
        pydicom.dcmwrite(folder / f"{names[k]:03d}.dcm", data, enforce_file_format=True)
