"""Reading MR: DICOM folders and volume files, by SimpleITK.

``CTVolumeLib.dicom`` refuses what is no CT, on purpose. Here one even stack is enough: nothing is checked of units,
duplicates or gaps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from CTVolumeLib.errors import CTError
from CTVolumeLib.quiet import quiet_libraries
from CTVolumeLib.volume import CTVolume
from CTVolumeLib.volumefile import is_volume_name


def read(path: Path) -> CTVolume:
    """The MR at a path; of several series in a folder the one with the most slices.

    Args:
        path: a folder with DICOM files (not those below it), or a NIfTI, NRRD or MetaImage file.

    Returns:
        The volume with the stored intensities; ``meta["modality"]`` is ``"MR"``.

    Raises:
        CTError: nothing there that can be read.
    """
    if not path.exists():
        raise CTError("not_found", f"There is no file or folder {path.name}.", "Check the path.")
    if path.is_file() and not is_volume_name(path.name):
        raise CTError(
            "unknown_format", f"{path.name} is neither a folder nor a volume file.", "Name the series' folder."
        )
    with quiet_libraries():
        try:
            image = sitk.ReadImage(_files(path) if path.is_dir() else str(path))
        except RuntimeError as error:
            raise CTError(
                "bad_volume_file", f"{path.name} can't be read: it is damaged.", "Export it again."
            ) from error
    array = sitk.GetArrayFromImage(image)
    if array.ndim != 3 or array.dtype.kind not in "iuf":
        raise CTError("bad_shape", f"{path.name} is not one volume of plain values.", "Export it as a volume.")
    return CTVolume(
        np.nan_to_num(array.astype(np.float32)),
        image.GetSpacing(),
        image.GetOrigin(),
        image.GetDirection(),
        meta={"modality": "MR", "source": path.resolve().name, "warnings": ()},
        sources=tuple(_files(path)) if path.is_dir() else (str(path),) * len(array),
    )


def _files(folder: Path) -> list[str]:
    """The files of the largest series, in order along its normal."""
    reader = sitk.ImageSeriesReader
    series = [reader.GetGDCMSeriesFileNames(str(folder), uid) for uid in reader.GetGDCMSeriesIDs(str(folder))]
    if not series:
        raise CTError(
            "no_images", f"{folder.name} holds no DICOM images.", "Name the folder with the files themselves."
        )
    return list(max(series, key=len))
