"""Volume files (NIfTI, NRRD, MetaImage) as CT: read by SimpleITK, with doubts about what they hold.

Such files no longer say what they are. So the checks look at what a CT can't be: pictures windowed to 0..255, several
channels, several time points, no spacing, values without any air.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import nifti
from .errors import CTError
from .pixels import AIR_HU, LOWEST_HU, looks_offset
from .quiet import late, quiet_libraries
from .sources import Files, Source
from .volume import CTVolume

if TYPE_CHECKING:
    import SimpleITK as sitk

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")

_OTHER_MODALITIES = re.compile(r"\b(MR|MRI|PT|PET|NM|US|CR|DX|MG|XA|RF|OT)\b", re.IGNORECASE)
_HINT = "Load the original DICOM series."


def is_volume_name(name: str) -> bool:
    """Whether a file name ends like a volume file."""
    return name.lower().endswith(ENDINGS)


def read(path: Path) -> CTVolume:
    """Read a volume file as CT.

    Raises:
        CTError: unreadable, several channels or time points, no spacing, or values that can't be HU.
    """
    if not is_volume_name(path.name):
        raise CTError(
            "unknown_format",
            f"{path.name} is neither DICOM nor a volume file.",
            "Supported are DICOM folders, zips and files, NIfTI, NRRD and MetaImage.",
        )
    notes: list[tuple[str, str]] = []
    header = _check_header(path, notes)
    sitk = late("SimpleITK")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with quiet_libraries():
        try:
            reader.ReadImageInformation()
            _check_kind(reader, path.name)
            array = None if header else _flat(sitk.GetArrayFromImage(reader.Execute()))
        except RuntimeError as error:
            text = f"{path.name} can't be read: it is damaged or of another kind."
            raise CTError("bad_volume_file", text, "Export it again.") from error
    if header:
        array = nifti.read_voxels(path, header)
    array = _hounsfield(array, path.name, notes)
    count = len(reader.GetSize())
    direction = np.array(reader.GetDirection()).reshape(count, count)[:3, :3]
    if not np.all(np.isfinite(reader.GetOrigin())):
        raise CTError("bad_origin", f"The origin in the header of {path.name} is not a number.", _HINT)
    if array.shape[0] == 1:
        notes.append(("one_slice", "There is only one slice."))
    return CTVolume(
        array=array,
        spacing=reader.GetSpacing()[:3],
        origin=reader.GetOrigin()[:3],
        direction=tuple(float(value) for value in direction.ravel()),
        meta={
            "modality": "CT",
            "kernel": None,
            "slice_thickness": None,
            "patient_position": None,
            "frame_of_reference_uid": None,
            "series_uid": None,
            "series_description": None,
            "warnings": tuple(notes),
        },
        sources=(str(path),) * array.shape[0],
    )


def read_source(source: Source, files: Files) -> CTVolume:
    """Read a volume file that may lie in a zip."""
    if source.member is None:
        return read(source.path)
    with tempfile.TemporaryDirectory() as folder:
        ending = next(ending for ending in ENDINGS if source.name.lower().endswith(ending))
        path = Path(folder) / f"volume{ending}"
        try:
            path.write_bytes(files.read(source))
        except OSError as error:
            raise CTError("bad_zip", f"{source.path.name} can't be unpacked.", "Copy it again.") from error
        return read(path)


def _check_kind(reader: sitk.ImageFileReader, name: str) -> None:
    size = reader.GetSize()
    kind = late("SimpleITK").GetPixelIDValueAsString(reader.GetPixelID())
    if reader.GetNumberOfComponents() != 1 or "complex" in kind:
        raise CTError("not_ct", f"{name} is a color or vector picture, not CT values.", _HINT)
    if len(size) < 3:
        raise CTError("bad_shape", f"{name} is a flat picture, not a volume.", _HINT)
    if len(size) > 3 and max(size[3:]) > 1:
        raise CTError("four_d", f"{name} holds {max(size[3:])} time points.", "Save one of them as a volume.")
    for key in reader.GetMetaDataKeys():
        value = reader.GetMetaData(key)
        if "modality" in key.lower() and _OTHER_MODALITIES.search(value):
            raise CTError("not_ct", f"{name} is marked as another modality than CT.", "Choose a CT.")


def _hounsfield(array: np.ndarray, name: str, notes: list[tuple[str, str]]) -> np.ndarray:
    """(k, j, i) HU, int16 where the values are whole and fit, else float32."""
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        count = int(np.count_nonzero(bad))
        if count == array.size:
            raise CTError("not_hu", f"{name} holds no numbers.", _HINT)
        if count:
            array[bad] = AIR_HU
            notes.append(("not_finite", f"{count} voxels were not numbers and were set to air."))
    low, high = float(array.min()), float(array.max())
    if array.dtype.itemsize == 1 or (low >= -1 and high <= 255):
        raise CTError(
            "not_hu",
            f"The values of {name} lie between {low:g} and {high:g}: gray values of a picture, no Hounsfield units.",
            "Load the original CT instead of pictures of it.",
        )
    whole = array.dtype.kind in "iu" or bool(np.all(array == np.rint(array)))
    if low >= 0:
        if not looks_offset(array):
            text = f"The values of {name} ({low:g} to {high:g}) have no air: they are no Hounsfield units."
            raise CTError("not_hu", text, _HINT)
        array = array.astype(np.int32 if whole and high < 2**31 else np.float32) - 1024
        low, high = low - 1024, high - 1024
        notes.append(("no_rescale", "The values look like HU + 1024, which was subtracted."))
    fits = whole and low >= -32768 and high <= 32767
    result = array.astype(np.int16 if fits else np.float32, copy=False)
    if low <= LOWEST_HU:
        result[result <= LOWEST_HU] = AIR_HU
    if low > -500 and np.mean(result == result.min()) > 0.05:
        text = f"The values lie between {low:g} and {high:g} HU: they seem to have been clipped to a window."
        notes.append(("clipped", text))
    return result


def _check_header(path: Path, notes: list[tuple[str, str]]) -> nifti.NiftiHeader | None:
    """Look for what SimpleITK would quietly replace: a missing spacing by 1 mm, a missing orientation by the axes."""
    name, header = path.name.lower(), None
    if name.endswith((".nii", ".nii.gz")):
        header = nifti.read_header(path)
        spacing = all(np.isfinite(value) and value > 0 for value in header.spacing)
        if not header.oriented:
            notes.append(("no_orientation", "The header does not say how the volume is oriented."))
    else:
        try:
            with path.open("rb") as file:
                text = file.read(4096).decode("latin-1")
        except OSError as error:
            raise CTError("bad_volume_file", f"{path.name} can't be read.", "Copy or export it again.") from error
        pattern = (
            r"^(spacings|space directions):" if name.endswith((".nrrd", ".nhdr")) else r"^ElementS(pacing|ize)\s*="
        )
        spacing = re.search(pattern, text.split("\n\n")[0], re.MULTILINE) is not None
    if not spacing:
        text = f"The header of {path.name} has no valid voxel spacing."
        raise CTError("bad_spacing", text, "Correct the header, or load the original DICOM series.")
    return header


def _flat(array: np.ndarray) -> np.ndarray:
    """Without the axes of one time point."""
    return array.reshape(array.shape[-3:])
